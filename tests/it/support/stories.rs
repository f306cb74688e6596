//! Stories, rehearsed with the true binary.

use super::demo::countersign;

/// The sample config.
pub const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bot-config");

/// A folder with stories in it.
pub struct Stories {
    pub dir: tempfile::TempDir,
}

impl Stories {
    pub fn new(stories: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in stories {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Self { dir }
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    /// The exit code, and what was said on both streams.
    pub fn told(&self, args: &[&str]) -> String {
        let (code, said, errors) = rehearse(args);
        format!("{code}\n{said}{errors}").replace(&*self.dir.path().to_string_lossy(), "DIR")
    }
}

/// The exit code and both streams of `rehearse`, against the sample.
pub fn rehearse(args: &[&str]) -> (i32, String, String) {
    let mut all = vec!["rehearse", "--config", SAMPLE];
    all.extend(args);
    countersign(&all)
}

/// What becomes of one story.
pub fn of(story: &str) -> String {
    let stories = Stories::new(&[("a.story", story)]);
    stories.told(&[&stories.path("a.story")])
}
