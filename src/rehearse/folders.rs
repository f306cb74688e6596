//! Config folders that a story loads while it is played: what one lacks is as it was before.

use std::path::{Path, PathBuf};

use crate::config::{self, Config, Problem};

/// A config folder has so many files at the most that are looked at.
const FILES_MAX: usize = 64;

/// The config folder that holds, and those laid over it.
pub struct Folders {
    newest: PathBuf,
    made: tempfile::TempDir,
    many: usize,
}

impl Folders {
    /// The first folder.
    ///
    /// # Errors
    /// There is no room for copies.
    pub fn new(first: &Path) -> std::io::Result<Self> {
        let made = tempfile::Builder::new().prefix("countersign-configs-").tempdir()?;
        Ok(Self { newest: first.to_owned(), made, many: 0 })
    }

    /// The config of the newest folder with the files of `folder` in place of its own.
    ///
    /// # Errors
    /// Every mistake in it, or why it can't be read.
    pub fn lay(&mut self, folder: &Path) -> Result<Config, Vec<Problem>> {
        let whole = |words: String| {
            let file = folder.display().to_string();
            vec![Problem { file, line: 0, column: 0, words, hint: None, source: None, warning: false }]
        };
        let laid = self.copy(folder).map_err(|error| whole(error.to_string()))?;
        let config = config::load(&laid)?;
        self.newest = laid;
        Ok(config)
    }

    fn copy(&mut self, folder: &Path) -> std::io::Result<PathBuf> {
        self.many += 1;
        let laid = self.made.path().join(self.many.to_string());
        std::fs::create_dir(&laid)?;
        for from in [self.newest.as_path(), folder] {
            for entry in std::fs::read_dir(from)?.take(FILES_MAX) {
                let path = entry?.path();
                if let Some(name) = path.file_name()
                    && path.extension().is_some_and(|ending| ending == "toml" || ending == "cedar")
                    && path.is_file()
                {
                    std::fs::copy(&path, laid.join(name))?;
                }
            }
        }
        Ok(laid)
    }
}
