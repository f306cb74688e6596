//! A throwaway `PostgreSQL` cluster, so that `countersign demo` has a real database to open the door of.
//!
//! It lives in one folder, listens on a free port of 127.0.0.1 only and has no Unix socket. It has a database
//! [`DATABASE`] with a few rows, a profile role [`PROFILE`] that may read and change them, and a bot that may grant
//! that role and is no superuser; the superuser's password is forgotten as soon as this stands.
//!
//! The server dies with us, also when we are killed: a small shell between us and it waits for the end of a pipe that
//! we hold and that nobody else inherits. Opening the same folder again starts the same cluster, with the roles in it.

mod account;
mod binaries;
mod keeper;
mod maker;

use std::{
    fmt,
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use secrecy::SecretString;

use super::random;
use account::Account;
use binaries::Binaries;
use keeper::Running;
use maker::{BOT, Kept, Maker};

/// The database in the cluster.
pub const DATABASE: &str = "orders";
/// The profile role in the cluster.
pub const PROFILE: &str = "app_rw";

/// Why there is no throwaway cluster, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WhyNot(String);

/// A running cluster; it is stopped when this is dropped.
pub struct Cluster {
    admin_url: SecretString,
    words: String,
    running: Option<Running>,
    /// Held as long as we run the cluster in this folder.
    _lock: File,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cluster").field(&self.words).finish()
    }
}

impl Cluster {
    /// Starts the cluster in `dir`, which is made if it isn't there; the first time takes a second or two. If we are
    /// root, the server runs as `postgres` or `nobody`, who must be able to enter every folder above `dir`.
    ///
    /// # Errors
    ///
    /// There are no binaries, no fit user, the folder is in use or can't be entered, or the server doesn't start: each
    /// in one line for people.
    pub async fn open(dir: &Path) -> Result<Self, WhyNot> {
        let account = Account::fit().map_err(WhyNot)?;
        let dir = make_folder(dir, account.as_ref())?;
        let lock = lock(&dir)?;
        let data = dir.join("data");
        let kept = Kept::read(&dir);
        if kept.is_none() && data.exists() {
            // Somebody was killed in the middle of making it.
            fs::remove_dir_all(&data).map_err(|e| WhyNot(format!("can't remove a half-made cluster: {e}")))?;
        }
        let binaries = Binaries::find(&data).await.map_err(WhyNot)?;
        let maker = Maker { dir, data, binaries, account };
        maker.stop_leftover().await;
        let (running, kept) = match kept {
            Some(kept) => maker.start_again(kept).await?,
            None => maker.make().await?,
        };
        let Kept { port, password } = &kept;
        Ok(Self {
            admin_url: format!("postgres://{BOT}:{}@127.0.0.1:{port}/{DATABASE}?sslmode=disable", password.as_str())
                .into(),
            words: format!("{}, a throwaway cluster on 127.0.0.1:{port}", maker.binaries),
            running: Some(running),
            _lock: lock,
        })
    }

    /// The URL our provider connects with; it is a secret.
    #[must_use]
    pub fn admin_url(&self) -> &SecretString {
        &self.admin_url
    }

    /// What was found and where it listens, in one line.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Stops the server and waits for it, at most ten seconds.
    pub async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            // A thread that is broken off has told the server to stop all the same.
            drop(tokio::task::spawn_blocking(move || running.stop()).await);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

/// The folder, as an absolute path without links; the server's user can enter it.
fn make_folder(dir: &Path, account: Option<&Account>) -> Result<PathBuf, WhyNot> {
    let mode = if account.is_some() { 0o711 } else { 0o700 };
    let there = || {
        fs::DirBuilder::new().recursive(true).mode(mode).create(dir)?;
        let dir = dir.canonicalize()?;
        fs::set_permissions(&dir, Permissions::from_mode(mode))?;
        Ok(dir)
    };
    let dir = there().map_err(|e: io::Error| WhyNot(format!("can't make the folder of the cluster: {e}")))?;
    if let Some(account) = account
        && let Some(closed) = dir.ancestors().find(|folder| !account.enters(folder))
    {
        return Err(WhyNot(format!(
            "`{}` can't be entered by `{}`, whom PostgreSQL would run as: choose a folder elsewhere, for example in /var/tmp",
            closed.display(),
            account.name,
        )));
    }
    Ok(dir)
}

fn lock(dir: &Path) -> Result<File, WhyNot> {
    let fault = |e: io::Error| WhyNot(format!("can't lock the folder of the cluster: {e}"));
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WhyNot("another process runs the cluster in this folder".into())),
        Err(TryLockError::Error(e)) => Err(fault(e)),
    }
}

/// Runs a program to its end; one that is late is killed.
async fn finished(command: Command, limit_secs: u64) -> io::Result<std::process::Output> {
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).output();
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    tokio::time::timeout(Duration::from_secs(limit_secs), output).await.map_err(late)?
}
