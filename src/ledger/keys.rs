//! The keys of a log: which ones may sign a head of which size, and who vouched for each. The one place for these rules.
//!
//! The first key is the one in entry 0. Every other counts only once a head that covers its `key.added` was signed by it and
//! by a key that the log had before it and that is live under that head: a stranger can chain any line, but not sign for others.

use std::sync::Arc;

use super::note::{NoteError, SignedNote, VerifierKey};

/// Most keys that one log brings in, the first one and those that nobody vouched for counted. A rotation a week fills 19 years.
pub const KEYS_MAX: usize = 1_024;

/// A key that the log brought in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// The key.
    pub key: Arc<VerifierKey>,
    /// Index of the entry that added it.
    pub added: u64,
    /// Index of the entry that retired it.
    pub retired: Option<u64>,
}

impl LogKey {
    /// Whether it may sign the head over the first `size` entries.
    #[must_use]
    pub fn live_at(&self, size: u64) -> bool {
        self.added < size && self.retired.is_none_or(|retired| retired >= size)
    }
}

/// Why a key can't be retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRetired {
    /// It is none that may sign.
    NotLive,
    /// Nobody could sign any more.
    Last,
}

/// The keys for which somebody vouched, the first one first. A clone shares them until one of the two changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Arc<Vec<LogKey>>);

impl From<Vec<LogKey>> for Keys {
    fn from(keys: Vec<LogKey>) -> Self {
        Self(Arc::new(keys))
    }
}

impl Keys {
    /// All of them, the retired ones too.
    pub fn iter(&self) -> impl Iterator<Item = &LogKey> {
        self.0.iter()
    }

    /// The indexes of the entries that brought in all but the first.
    pub fn rotations(&self) -> impl Iterator<Item = u64> {
        self.iter().map(|known| known.added).filter(|added| *added > 0)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn has(&self, key: &VerifierKey) -> bool {
        self.iter().any(|known| *known.key == *key)
    }

    /// The keys that may sign now.
    pub fn live(&self) -> impl Iterator<Item = &VerifierKey> {
        self.iter().filter(|known| known.retired.is_none()).map(|known| &*known.key)
    }

    /// Takes one in.
    pub fn add(&mut self, key: LogKey) {
        Arc::make_mut(&mut self.0).push(key);
    }

    /// Retires one by the entry at `index`.
    ///
    /// # Errors
    /// [`NotRetired`].
    pub fn retire(&mut self, key: &VerifierKey, index: u64) -> Result<(), NotRetired> {
        let at = self.iter().position(|known| known.retired.is_none() && *known.key == *key);
        let at = at.ok_or(NotRetired::NotLive)?;
        if self.live().take(2).count() < 2 {
            return Err(NotRetired::Last);
        }
        if let Some(known) = Arc::make_mut(&mut self.0).get_mut(at) {
            known.retired = Some(index);
        }
        Ok(())
    }

    /// Whether a key that may sign a head of that size signed this one.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`]: any known key's wrong signature spoils the note.
    pub fn signed(&self, note: &SignedNote, size: u64) -> Result<bool, NoteError> {
        let mut signed = false;
        for known in self.iter() {
            signed |= note.check([&*known.key])? > 0 && known.live_at(size);
        }
        Ok(signed)
    }

    /// Whether the head of that size in this note takes keys in: each of them signed it, and one that is live there and older
    /// than all of them.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`].
    pub fn vouch<'k>(
        &self,
        note: &SignedNote,
        size: u64,
        new: impl IntoIterator<Item = &'k LogKey>,
    ) -> Result<bool, NoteError> {
        let (mut first, mut older) = (u64::MAX, false);
        for new in new {
            if !new.live_at(size) || note.check([&*new.key])? == 0 {
                return Ok(false);
            }
            first = first.min(new.added);
        }
        for known in self.iter().filter(|known| known.added < first && known.live_at(size)) {
            older |= note.check([&*known.key])? > 0;
        }
        Ok(older)
    }
}
