//! The files that belong to a target: durable, private, changed by one hand at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::ProviderError;

/// Largest file that is read, in bytes: far above what 10,000 grants need.
const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The folder of one resource, mode 0700.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// Held while a folder's files are read and changed; other instances and other processes wait.
pub(super) struct Lock(#[expect(dead_code, reason = "the lock is released when the file is closed")] File);

impl Folder {
    /// The folder of `resource` in `dir`; nothing is touched yet.
    pub(super) fn new(dir: &Path, resource: &str) -> Self {
        Self(dir.join(resource))
    }

    /// Makes the folder if it isn't there and waits until nobody else changes its files.
    pub(super) fn lock(&self) -> Result<Lock, ProviderError> {
        let locked = || {
            if !self.0.is_dir() {
                DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
                self.0.parent().map_or(Ok(()), |above| File::open(above)?.sync_all())?;
            }
            let file =
                OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.path("lock"))?;
            file.lock()?;
            Ok(file)
        };
        locked().map(Lock).map_err(|e| self.fault("lock", "lock", &e))
    }

    /// Where a file of this name is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The file's bytes; `None` if there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ProviderError> {
        read(&self.path(name)).map_err(|e| self.fault("read", name, &e))
    }

    /// Replaces the file: after a crash it is the old one or the new one, whole.
    pub(super) fn write(&self, name: &str, bytes: &[u8], _held: &Lock) -> Result<(), ProviderError> {
        let written = || {
            let mut file = tempfile::Builder::new()
                .prefix(".new-")
                .permissions(Permissions::from_mode(0o600))
                .tempfile_in(&self.0)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(self.path(name)).map_err(|e| e.error)?;
            File::open(&self.0)?.sync_all()
        };
        written().map_err(|e| self.fault("write", name, &e))
    }

    /// Puts one file in the place of another: after a crash it is the old one or the new one, whole.
    pub(super) fn rename(&self, from: &str, to: &str, _held: &Lock) -> Result<(), ProviderError> {
        let renamed = || {
            fs::rename(self.path(from), self.path(to))?;
            File::open(&self.0)?.sync_all()
        };
        renamed().map_err(|e| self.fault("replace", to, &e))
    }

    /// The file as JSON, or the default if there is none.
    pub(super) fn read_json<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, ProviderError> {
        let Some(bytes) = self.read(name)? else { return Ok(T::default()) };
        serde_json::from_slice(&bytes).map_err(|_| {
            ProviderError::Permanent(format!("`{}` is damaged: bring it back from a copy", self.shown(name)))
        })
    }

    /// Replaces the file by `value` as JSON.
    pub(super) fn write_json<T: Serialize>(&self, name: &str, value: &T, held: &Lock) -> Result<(), ProviderError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|e| ProviderError::Permanent(format!("`{}` can't be written: {e}", self.shown(name))))?;
        self.write(name, &bytes, held)
    }

    /// How a file is called in messages: with its resource, without the path of this machine.
    pub(super) fn shown(&self, name: &str) -> String {
        let folder = self.0.file_name().unwrap_or_default().to_string_lossy();
        format!("{folder}/{name}")
    }

    fn fault(&self, what: &str, name: &str, error: &io::Error) -> ProviderError {
        ProviderError::Retry(format!("can't {what} `{}`: {}", self.shown(name), error.kind()))
    }
}

/// The file's bytes; `None` if there is no such file.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(about) if about.len() > FILE_MAX_BYTES => Err(io::ErrorKind::FileTooLarge.into()),
        Ok(_) => fs::read(path).map(Some),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether others than the owner may read or write the file.
pub(super) fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o007 != 0)
}
