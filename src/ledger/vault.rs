//! The sealing keys of people: one small file each, mode 0600, named by the subject. Destroying the file is erasing the person.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    disclosure::{SUBJECT_KEY_BYTES, SubjectKey},
    files,
    ids::SubjectId,
    journal::sync_dir,
};

/// No key file is longer.
const KEY_FILE_MAX_BYTES: u64 = 64;

/// How many keys are kept in memory.
const CACHE_MAX_KEYS: usize = 4_096;

/// The folder of keys, and the few that are in use. Clones share them.
#[derive(Debug, Clone)]
pub struct Vault {
    dir: PathBuf,
    cache: Arc<Mutex<HashMap<SubjectId, SubjectKey>>>,
    /// Who was erased, so that who is not and has no key can be told from them.
    erased: Arc<Mutex<BTreeSet<SubjectId>>>,
}

impl Vault {
    /// The vault of a folder, which is made (mode 0700) if it isn't there.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let vault = Self::at(dir);
        if !dir.exists() {
            std::fs::DirBuilder::new().mode(0o700).create(dir)?;
        }
        Ok(vault)
    }

    /// The vault of a folder that may not be there, to read from.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), cache: Arc::default(), erased: Arc::default() }
    }

    /// Where a person's key is.
    #[must_use]
    pub fn path(&self, subject: SubjectId) -> PathBuf {
        self.dir.join(subject.to_string())
    }

    fn erased(&self) -> MutexGuard<'_, BTreeSet<SubjectId>> {
        self.erased.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of who was erased.
    pub fn note_erased(&self, subjects: impl IntoIterator<Item = SubjectId>) {
        self.erased().extend(subjects);
    }

    /// Whether somebody is known to have been erased.
    #[must_use]
    pub fn was_erased(&self, subject: SubjectId) -> bool {
        self.erased().contains(&subject)
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<SubjectId, SubjectKey>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A person's key; nothing when it was never made or is destroyed.
    ///
    /// # Errors
    /// What the disk says; also when the file does not hold a key.
    pub fn get(&self, subject: SubjectId) -> io::Result<Option<SubjectKey>> {
        // The lock is held over the read, so that a key can't come back into memory while it is destroyed.
        let mut cache = self.cache();
        if let Some(key) = cache.get(&subject) {
            return Ok(Some(key.clone()));
        }
        let Some(key) = self.read(subject)? else { return Ok(None) };
        if cache.len() >= CACHE_MAX_KEYS {
            cache.clear();
        }
        cache.insert(subject, key.clone());
        Ok(Some(key))
    }

    /// The same from the disk, and not kept in memory.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub fn read(&self, subject: SubjectId) -> io::Result<Option<SubjectKey>> {
        let bytes = match files::read(&self.path(subject), KEY_FILE_MAX_BYTES) {
            Ok(bytes) => zeroize::Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let key: [u8; SUBJECT_KEY_BYTES] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("the key file of {subject} is damaged")))?;
        Ok(Some(SubjectKey::new(key)))
    }

    /// Makes keys durable.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put(&self, keys: &[(SubjectId, SubjectKey)]) -> io::Result<()> {
        for (subject, key) in keys {
            let part = self.dir.join(format!("{subject}.part"));
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(&**key)?;
            file.sync_all()?;
            std::fs::rename(&part, self.path(*subject))?;
        }
        if !keys.is_empty() {
            sync_dir(&self.dir)?;
        }
        Ok(())
    }

    /// Destroys the key of somebody who was erased: overwritten, removed, and the removal made durable. Doing it twice is harmless.
    ///
    /// # Errors
    /// What the disk says.
    pub fn destroy(&self, subject: SubjectId) -> io::Result<()> {
        // First, so that nobody takes the key for lost.
        self.note_erased([subject]);
        let mut cache = self.cache();
        cache.remove(&subject);
        wipe(&self.path(subject))?;
        sync_dir(&self.dir)
    }

    /// The subjects whose keys are there.
    ///
    /// # Errors
    /// What the disk says.
    pub fn subjects(&self) -> io::Result<Vec<SubjectId>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            found.extend(entry?.file_name().to_str().and_then(|name| name.parse::<SubjectId>().ok()));
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// Overwrites a secret file with zeros and removes it, if it is there.
///
/// # Errors
/// What the disk says.
pub fn wipe(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let length = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    std::fs::remove_file(path)
}

/// Overwrites a secret file with zeros and removes it, if it is there, and makes that durable.
///
/// # Errors
/// What the disk says.
pub fn wipe_secret(path: &Path) -> io::Result<()> {
    wipe(path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Writes a secret file whole, mode 0600, and makes it durable with its name.
///
/// # Errors
/// What the disk says.
pub fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}
