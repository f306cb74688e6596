//! Reading: entries with their disclosures, heads, proofs. Everything here blocks on the disk: keep it off the async threads.

use std::{
    fs::File,
    io,
    sync::{Arc, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::{
    derive::Derived,
    disclosure::{self, Disclosed, Disclosure, Locked},
    disk::{Layout, Room},
    files,
    frame::Record,
    hash::{Hash, leaf_hash},
    ids::SubjectId,
    index::{Index, IndexError},
    line::Line,
    nodes::NodeFile,
    note::{Checkpoint, SignedNote},
    proof,
    publish::Published,
    tree::{self, Nodes as _},
    vault::Vault,
};

/// The newest durable head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub size: u64,
    /// The root.
    pub root: Hash,
    /// The signed note.
    pub note: Arc<str>,
    /// The time of the last entry.
    pub time: DateTime<Utc>,
}

/// An entry as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The index.
    pub seq: u64,
    /// When.
    pub time: DateTime<Utc>,
    /// `noun.verb`.
    pub kind: String,
    /// The body.
    pub body: Map<String, Value>,
    /// The exact bytes that are hashed.
    pub line: Vec<u8>,
    /// The leaf hash.
    pub leaf: Hash,
    /// The disclosures, in the order in which they were given.
    pub disclosed: Vec<Disclosed>,
}

/// Why something can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// What is stored is not what was signed. The next start builds the index again.
    #[error("entry {index} can't be read: the index is damaged; restart to build it again")]
    Damaged {
        /// Which entry.
        index: u64,
    },
    /// There is no such entry.
    #[error("there is no entry {index}: the ledger has {size}")]
    NoSuchEntry {
        /// Which entry.
        index: u64,
        /// How many there are.
        size: u64,
    },
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// Anything else.
    #[error("the ledger can't be read: {0}")]
    Io(String),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<IndexError> for ReadError {
    fn from(error: IndexError) -> Self {
        Self::Io(error.to_string())
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub layout: Layout,
    pub room: Arc<Room>,
    pub index: RwLock<Option<Index>>,
    pub nodes: NodeFile,
    pub vault: Vault,
    pub head: watch::Sender<Head>,
    pub log_id: Hash,
    pub published: Arc<Published>,
    pub derived: Derived,
}

/// A reader of the ledger. Clones are cheap; reading goes on beside writing and sees what is durable.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(crate) shared: Arc<Shared>,
}

impl Reader {
    /// The newest durable head.
    #[must_use]
    pub fn head(&self) -> Head {
        self.shared.head.borrow().clone()
    }

    /// Number of durable entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.shared.head.borrow().size
    }

    /// The 32 random bytes that entry 0 gave the log.
    #[must_use]
    pub fn log_id(&self) -> Hash {
        self.shared.log_id
    }

    /// Tells of every new head.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Head> {
        self.shared.head.subscribe()
    }

    /// How many entries the public copy has since the start, and why it is behind if writing it failed.
    #[must_use]
    pub fn published(&self) -> (u64, Option<String>) {
        self.shared.published.state()
    }

    /// Whether the spare space is gone that a full disk is met with, and less than that is free: record only what must be
    /// recorded. As it was after the last commit, or when [`Reader::look_for_room`] was called: this does not block.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.shared.room.is_scarce()
    }

    /// Looks how much room there is now. A disk that can't be asked is taken for one with room: a write that fails is told
    /// of anyhow. Blocks for a moment.
    pub fn look_for_room(&self) {
        self.shared.room.look();
    }

    /// The index, once it has the first `size` entries, which must be durable.
    fn index(&self, size: u64) -> Result<Index, ReadError> {
        self.shared.derived.wait(size).map_err(ReadError::Io)?;
        self.shared.index.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(ReadError::Closed)
    }

    /// The entries from one index up to, not including, another (cut to what there is), with their disclosures opened
    /// where the key is still there. Each is compared with the tree before it is handed out.
    ///
    /// # Errors
    /// [`ReadError::Closed`]; each item may be an error of its own, after which there is none.
    pub fn entries(
        &self,
        from: u64,
        to: u64,
    ) -> Result<impl Iterator<Item = Result<Entry, ReadError>> + use<>, ReadError> {
        let to = to.min(self.size());
        let reader = self.clone();
        let mut records = self.index(to)?.records(from, to);
        let mut due = from..to;
        Ok(std::iter::from_fn(move || {
            let seq = due.next()?;
            let read = match records.next() {
                Some(Ok((at, record))) if at == seq => reader.entry(seq, record),
                Some(Ok(_) | Err(_)) | None => Err(reader.damaged(seq)),
            };
            if read.is_err() {
                due = 0..0;
            }
            Some(read)
        }))
    }

    /// One entry.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn get(&self, index: u64) -> Result<Entry, ReadError> {
        let missing = ReadError::NoSuchEntry { index, size: self.size() };
        self.entries(index, index + 1)?.next().unwrap_or(Err(missing))
    }

    /// One entry, proved to be under the newest head: for what was not walked at the start, because a snapshot was there.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn get_proved(&self, index: u64) -> Result<Entry, ReadError> {
        self.proved(index, &self.head()).map(|(entry, _)| entry)
    }

    fn proved(&self, index: u64, head: &Head) -> Result<(Entry, Vec<Hash>), ReadError> {
        let entry = self.get(index)?;
        self.shared.derived.wait(head.size).map_err(ReadError::Io)?;
        let path = tree::inclusion(&self.shared.nodes, index, head.size)?;
        if tree::included(&entry.leaf, index, head.size, &path, &head.root) {
            Ok((entry, path))
        } else {
            Err(self.damaged(index))
        }
    }

    /// Remembers that the index must be built again.
    fn damaged(&self, index: u64) -> ReadError {
        // If the mark can't be made, the reading still fails, which is what matters.
        drop(File::create(self.shared.layout.index_damaged()));
        ReadError::Damaged { index }
    }

    fn entry(&self, seq: u64, record: Record) -> Result<Entry, ReadError> {
        let leaf = leaf_hash(&record.line);
        let read = Line::read(&record.line).ok().filter(|line| line.seq == seq);
        let (Some(line), true) = (read, self.shared.nodes.node(0, seq)? == leaf) else { return Err(self.damaged(seq)) };
        let disclosed = (0u32..)
            .zip(&record.sealed)
            .map(|(ordinal, sealed)| {
                let (vault, subject) = (&self.shared.vault, sealed.subject);
                // The line is what was signed, so the index is sound: what can't be opened lacks its key.
                Ok(match unsealed(vault, &line, (ordinal, subject, &sealed.bytes))? {
                    Ok(open) => Disclosed::Open(Disclosure { subject, name: open.name, value: open.value }),
                    Err(_) if vault.was_erased(subject) => Disclosed::Erased { subject },
                    Err(why) => Disclosed::Locked { subject, why },
                })
            })
            .collect::<Result<_, ReadError>>()?;
        let (time, kind) = (line.time.to_utc(), line.kind.to_owned());
        let body = serde_json::from_slice(line.body).map_err(|_| self.damaged(seq))?;
        Ok(Entry { seq, time, kind, body, line: record.line, leaf, disclosed })
    }

    /// The indexes of the entries that hold something about a person: what erasing makes unreadable.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn of_subject(&self, subject: SubjectId) -> Result<Vec<u64>, ReadError> {
        Ok(self.index(self.size())?.of_subject(subject).collect::<Result<_, _>>()?)
    }

    /// The proof, as `c2sp.org/tlog-proof@v1` text, that the entry is under the newest head. The line itself is in `extra`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn prove(&self, index: u64) -> Result<String, ReadError> {
        let head = self.head();
        let (entry, path) = self.proved(index, &head)?;
        Ok(proof::write(index, &path, &entry.line, &head.note))
    }

    /// The proof that the log of `new` entries begins with that of `old`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, ReadError> {
        if new > self.size() {
            return Err(ReadError::NoSuchEntry { index: new - 1, size: self.size() });
        }
        self.shared.derived.wait(new).map_err(ReadError::Io)?;
        Ok(tree::consistency(&self.shared.nodes, old, new)?)
    }

    /// The signed head over the fewest entries of at least `size`: every batch has left one.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn head_from(&self, size: u64) -> Result<Option<(u64, String)>, ReadError> {
        let Some(note) = self.index(self.size())?.head_from(size)? else { return Ok(None) };
        let head = SignedNote::parse(&note).and_then(|note| Checkpoint::parse(&note.text));
        Ok(head.ok().map(|head| (head.size, note)))
    }
}

/// Opens a sealed disclosure with the key of its subject, or says why that can't be.
///
/// # Errors
/// When the key file may be right and can't be read; the words name it.
pub(crate) fn unsealed(
    vault: &Vault,
    line: &Line<'_>,
    (ordinal, subject, sealed): (u32, SubjectId, &[u8]),
) -> io::Result<Result<Open, Locked>> {
    match vault.get(subject) {
        Ok(Some(key)) => Ok(opened(line, &key, ordinal, sealed).ok_or(Locked::KeyWrong)),
        Ok(None) => Ok(Err(Locked::KeyMissing)),
        Err(error) if files::wrong(&error) => Ok(Err(Locked::KeyWrong)),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", vault.path(subject).display()))),
    }
}

/// A disclosure that was opened.
pub(crate) struct Open {
    /// As it was sealed: salt, name and value.
    pub encoded: String,
    /// What it is: `reason`, `email`.
    pub name: String,
    /// The text.
    pub value: String,
    /// Its digest, which stands in the line.
    pub digest: String,
}

/// Opens a disclosure and compares it with the digests of its line.
pub(crate) fn opened(line: &Line<'_>, key: &disclosure::SubjectKey, ordinal: u32, sealed: &[u8]) -> Option<Open> {
    let encoded = disclosure::open(key, line.seq, ordinal, sealed)?;
    let digest = disclosure::digest(&encoded);
    let (name, value) = disclosure::decode(&encoded)?;
    line.each_digest().any(|known| known == digest.as_bytes()).then_some(Open { encoded, name, value, digest })
}
