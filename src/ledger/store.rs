//! What a ledger is kept in. The one write is a compare-and-swap append, because a second kind of store, for several
//! replicas, will stand beside the one on disk.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{disclosure::SubjectKey, frame::Shape, hash::Hash, ids::SubjectId, replay::Wave};

/// Why a store can't do what is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else appended: the log has another size than was expected.
    #[error("the ledger has {actual} entries, not {expected}")]
    Conflict {
        /// What the caller thought.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// The disk is full. Whether the write happened is unknown until the store is opened again.
    #[error("the disk is full: {0}")]
    Full(String),
    /// A write failed. Whether it happened is unknown until the store is opened again.
    #[error("{0}")]
    Failed(String),
}

/// One commit: what becomes durable, and what follows from it.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The entries and their signed head, as a frame; given back as it was.
    pub frame: &'a mut Vec<u8>,
    /// Where the entries are in it.
    pub shape: Shape,
    /// The signed head.
    pub head: Arc<str>,
    /// The leaf hash of the last entry.
    pub last: Hash,
    /// The nodes that these entries complete, in stored order.
    pub nodes: Vec<Hash>,
}

/// What stops a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped;

/// A place between two commits, in the store's own terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// Which segment.
    pub segment: u64,
    /// Offset in it, in bytes.
    pub offset: u64,
}

/// A place for one ledger.
pub trait Store: Send {
    /// Hands all batches from a place on to `wave`, in order, some at a time, and stops when it says so.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when it can't be read.
    fn replay(&mut self, from: Place, wave: Wave<'_>) -> Result<(), StoreError>;

    /// Where the next commit will stand: from there a later replay can go on.
    fn place(&self) -> Place;

    /// Makes a commit durable, if the log still has `expected` entries.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], and nothing is changed; or [`StoreError::Failed`], and nobody knows.
    fn append(&mut self, expected: u64, commit: Commit<'_>) -> Result<(), StoreError>;

    /// Begins what follows from the last commit and nobody waits for. Called after it was answered.
    ///
    /// # Errors
    /// Why it can't be begun: nothing more can be appended then.
    fn follow(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// A person's sealing key.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when it can't be read.
    fn key(&mut self, subject: SubjectId) -> Result<Option<SubjectKey>, StoreError>;

    /// Makes sealing keys durable.
    ///
    /// # Errors
    /// [`StoreError::Failed`], and nobody knows.
    fn put_keys(&mut self, keys: &[(SubjectId, SubjectKey)]) -> Result<(), StoreError>;

    /// Destroys a person's key, durably. Doing it twice is harmless.
    ///
    /// # Errors
    /// [`StoreError::Failed`], and nobody knows.
    fn destroy_key(&mut self, subject: SubjectId) -> Result<(), StoreError>;
}
