//! The configs that were loaded, kept beside the ledger by their hashes: what a change of the rules changes is said in
//! words, also of a change that was made while the service was down. A cache: without it, only the words are missing.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::{
    access::Files,
    config::{self, Config},
};

/// So many configs are kept, the newest.
const KEPT_MAX: usize = 8;

/// Where they are kept.
#[derive(Debug, Clone)]
pub struct Shelf(PathBuf);

impl Shelf {
    /// The shelf of a ledger.
    pub fn of(ledger: &Path) -> Self {
        Self(ledger.join("rules"))
    }

    /// Keeps a copy of the files of a config folder, if they are still those that were loaded.
    ///
    /// # Errors
    /// Why it can't be kept.
    pub fn keep(&self, from: &Path, files: &Files) -> std::io::Result<()> {
        let to = self.0.join(name(files));
        if to.is_dir() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.0)?;
        let making = tempfile::tempdir_in(&self.0)?;
        for (file, hash) in files {
            let bytes = std::fs::read(from.join(file))?;
            if hex::encode(Sha256::digest(&bytes)) != *hash {
                return Err(std::io::Error::other(format!("{file} has changed since it was loaded")));
            }
            std::fs::write(making.path().join(file), bytes)?;
        }
        std::fs::rename(making.keep(), to)?;
        self.prune()
    }

    /// The config with these files, if it is still here and as it was.
    pub fn find(&self, files: &Files) -> Option<Config> {
        config::load(&self.0.join(name(files))).ok().filter(|config| config.files == *files)
    }

    /// Forgets all: the copies may name somebody who was erased.
    ///
    /// # Errors
    /// Why they can't be removed.
    pub fn clear(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn prune(&self) -> std::io::Result<()> {
        let mut kept: Vec<(std::time::SystemTime, PathBuf)> = std::fs::read_dir(&self.0)?
            .filter_map(Result::ok)
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        kept.sort();
        for (_, old) in kept.iter().take(kept.len().saturating_sub(KEPT_MAX)) {
            std::fs::remove_dir_all(old)?;
        }
        Ok(())
    }
}

/// One name for all files together.
fn name(files: &Files) -> String {
    let mut hash = Sha256::new();
    for (file, sha256) in files {
        hash.update(format!("{file}\n{sha256}\n"));
    }
    hex::encode(hash.finalize())
}
