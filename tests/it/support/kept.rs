//! A ledger that a rehearsal wrote in an instant, with the demo's config beside it, for the commands that work on one.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::demo::{BINARY, countersign};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/demo");

/// A folder with `conf/`, the story, and the ledger in `L/`.
pub struct Kept(tempfile::TempDir);

impl Kept {
    /// The ledger of a story that the demo's people live.
    pub fn of(story: &str) -> Self {
        let kept = Self::config("conf");
        fs::write(kept.path("told.story"), story).unwrap();
        let (conf, ledger, story) = (kept.text("conf"), kept.text("L"), kept.text("told.story"));
        let (code, said, errors) = countersign(&["rehearse", "--config", &conf, "--keep", &ledger, &story]);
        assert_eq!(code, 0, "{said}{errors}");
        kept
    }

    /// The config alone, in a folder of this name; its ledger's path is whole.
    pub fn config(name: &str) -> Self {
        let kept = Self(tempfile::tempdir().unwrap());
        fs::create_dir(kept.path(name)).unwrap();
        for file in ["countersign.toml", "people.toml", "resources.toml", "policy.cedar"] {
            let text = fs::read_to_string(Path::new(DEMO).join(file)).unwrap();
            let text = text.replace("\"ledger\"", &format!("{:?}", kept.text("L")));
            fs::write(kept.path(name).join(file), text).unwrap();
        }
        kept
    }

    /// The same config with its ledger in `path`.
    pub fn moved(self, path: &str) -> Self {
        let file = self.path("conf/countersign.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace(&format!("{:?}", self.text("L")), &format!("{path:?}"))).unwrap();
        self
    }

    /// A path in the folder.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    /// The same as text.
    pub fn text(&self, inside: &str) -> String {
        self.path(inside).to_string_lossy().into_owned()
    }

    /// Runs a command in a folder inside; the folder is `DIR` in what it says.
    pub fn run(&self, cwd: &str, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(BINARY);
        let output = command.args(args).current_dir(self.path(cwd)).stdin(Stdio::null()).output().unwrap();
        let dir = fs::canonicalize(self.0.path()).unwrap();
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&*dir.to_string_lossy(), "DIR").replace(&*self.0.path().to_string_lossy(), "DIR")
        };
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// Runs a command whose output has no room; its exit code, and what it says of errors.
    pub fn to_full(&self, args: &[&str]) -> (i32, String) {
        self.piped(full(), args)
    }

    /// Runs a command to which nobody listens; its exit code, and what it says of errors.
    pub fn unheard(&self, args: &[&str]) -> (i32, String) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.piped(Stdio::from(writer), args)
    }

    fn piped(&self, stdout: Stdio, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
    }

    /// Runs a command that can't say anything at all; its exit code.
    pub fn struck_dumb(&self, args: &[&str]) -> i32 {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).stdout(full()).stderr(full());
        command.status().unwrap().code().unwrap_or(-1)
    }

    /// The names in a folder inside, in order.
    pub fn names(&self, inside: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(inside)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// What has no room.
fn full() -> Stdio {
    Stdio::from(File::options().write(true).open("/dev/full").unwrap())
}
