//! The configs that were loaded, kept beside the ledger by their hashes: what a change of the rules changes is said in
//! words, also of a change that was made while the service was down. A config names people, so a copy is sealed under a
//! key of its own among the ledger's keys. A cache: without it, only the words are missing.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, aead::Aead as _};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    access::Files,
    config::{self, Config},
    ledger::{wipe_secret, write_secret},
};

/// So many configs are kept, the newest.
const KEPT_MAX: usize = 8;
/// A sealed copy begins with its nonce, bytes.
const NONCE_BYTES: usize = 12;

/// Where they are kept.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
    key: PathBuf,
}

impl Shelf {
    /// The shelf of a ledger.
    pub fn of(ledger: &Path) -> Self {
        Self { dir: ledger.join("rules"), key: ledger.join("keys").join("rules.key") }
    }

    /// Keeps a copy of the files of a config folder, if they are still those that were loaded.
    ///
    /// # Errors
    /// Why it can't be kept.
    pub fn keep(&self, from: &Path, files: &Files) -> io::Result<()> {
        let to = self.dir.join(name(files));
        if to.exists() {
            return Ok(());
        }
        let mut copy = BTreeMap::new();
        for (file, hash) in files {
            let text = std::fs::read_to_string(from.join(file))?;
            if hex::encode(Sha256::digest(&text)) != *hash {
                return Err(io::Error::other(format!("{file} has changed since it was loaded")));
            }
            copy.insert(file, text);
        }
        let key = self.key().map_or_else(|| self.new_key(), Ok)?;
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let text = Zeroizing::new(serde_json::to_vec(&copy)?);
        let sealed = ChaCha20Poly1305::new((&*key).into()).encrypt(&nonce.into(), text.as_slice());
        let sealed = sealed.map_err(|_| io::Error::other("it can't be sealed"))?;
        std::fs::create_dir_all(&self.dir)?;
        write_secret(&to, &[&nonce[..], &sealed].concat())?;
        self.prune()
    }

    /// The config with these files, if it is still here and as it was.
    pub fn find(&self, files: &Files) -> Option<Config> {
        let sealed = std::fs::read(self.dir.join(name(files))).ok()?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let text = ChaCha20Poly1305::new((&*self.key()?).into()).decrypt(nonce.into(), sealed).ok()?;
        let copy: BTreeMap<String, String> = serde_json::from_slice(&Zeroizing::new(text)).ok()?;
        let dir = tempfile::tempdir().ok()?;
        for (file, _) in files {
            std::fs::write(dir.path().join(file), copy.get(file)?).ok()?;
        }
        config::load(dir.path()).ok().filter(|config| config.files == *files)
    }

    /// Forgets all, durably: the copies may name somebody who was erased. With the key gone, copies in backups can't be
    /// read either.
    ///
    /// # Errors
    /// Why they can't be removed.
    pub fn clear(&self) -> io::Result<()> {
        wipe_secret(&self.key)?;
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.dir.parent().map_or(Ok(()), |ledger| File::open(ledger)?.sync_all())
    }

    fn key(&self) -> Option<Zeroizing<[u8; 32]>> {
        let bytes = Zeroizing::new(std::fs::read(&self.key).ok()?);
        bytes.as_slice().try_into().ok().map(Zeroizing::new)
    }

    fn new_key(&self) -> io::Result<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(&mut *key);
        write_secret(&self.key, &*key)?;
        Ok(key)
    }

    fn prune(&self) -> io::Result<()> {
        let mut kept: Vec<(std::time::SystemTime, PathBuf)> = std::fs::read_dir(&self.dir)?
            .filter_map(Result::ok)
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        kept.sort();
        for (_, old) in kept.iter().take(kept.len().saturating_sub(KEPT_MAX)) {
            std::fs::remove_file(old)?;
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
