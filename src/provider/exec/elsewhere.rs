//! Hosts that are not Linux: the file itself is started. Whoever may write it can put another one there between the look
//! at it and its start.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Pid;

/// The file.
pub struct Copy(PathBuf);

impl Copy {
    /// The file at this path.
    #[expect(clippy::unnecessary_wraps, reason = "a copy can fail")]
    pub fn new(path: &Path) -> io::Result<Self> {
        Ok(Self(path.to_owned()))
    }

    /// There is nothing to copy.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "a copy can fail")]
    pub fn add(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    /// There is nothing to seal.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "a copy can fail")]
    pub fn seal(&self) -> io::Result<()> {
        Ok(())
    }

    /// What to start it by.
    pub fn path(&self) -> PathBuf {
        self.0.clone()
    }
}

/// There is no such promise here.
#[expect(clippy::unnecessary_wraps, reason = "on Linux it can fail")]
pub fn keep_privileges() -> io::Result<()> {
    Ok(())
}

/// There is no way to limit another process here.
pub fn limit(_: Pid, _: Duration) {}
