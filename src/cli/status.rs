//! What a running service says of itself to the commands beside it: one small file in the ledger's folder. It decides
//! nothing: whether a service runs is known by the ledger's lock.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A service, and how its last reload went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: i32,
    /// How often it was told to load its config anew.
    pub reloads: u64,
    /// The entry of the rules that hold, if they were loaded anew.
    pub entry: Option<u64>,
    /// Why the last reload changed nothing, if it did not.
    pub error: Option<String>,
}

impl Status {
    /// Of this process.
    pub fn mine() -> Self {
        Self { pid: rustix::process::getpid().as_raw_nonzero().get(), reloads: 0, entry: None, error: None }
    }

    /// Where it stands.
    pub fn path(ledger: &Path) -> PathBuf {
        ledger.join("service.json")
    }

    /// What the service at this ledger says; `None` if it says nothing.
    pub fn read(ledger: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(ledger)).ok()?).ok()
    }

    /// Says it.
    ///
    /// # Errors
    /// Why it can't be written.
    pub fn write(&self, ledger: &Path) -> std::io::Result<()> {
        let file = tempfile::NamedTempFile::new_in(ledger)?;
        std::fs::write(file.path(), serde_json::to_vec(self)?)?;
        file.persist(Self::path(ledger)).map_err(|error| error.error)?;
        Ok(())
    }
}
