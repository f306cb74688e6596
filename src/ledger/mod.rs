//! The signed hash chain (format 1): entries, tree, notes, the journal with sled over it, verification, proofs, export.
//!
//! This module knows nothing of access requests. It is handed [`Draft`]s, makes them canonical lines, chains them, signs
//! the head of the batch, and answers when the batch is on the disk. Everything it writes can be checked by programs that
//! nobody here wrote.
//!
//! | file | what it is | section of the format |
//! |---|---|---|
//! | `line`, `canon`, `time`, `kinds` | one entry, one line | Entry |
//! | `disclosure`, `vault` | personal data, sealed; the keys of people | Personal data |
//! | `hash`, `tree`, `note`, `proof`, `tiles` | RFC 6962 and C2SP, pure | Tree, head, signature |
//! | `frame`, `journal`, `index`, `nodes`, `disk` | the journal that is the truth; what is derived from it | Storage |
//! | `store`, `memory`, `core` | the commit protocol over any store | Storage |
//! | `open`, `replay`, `snapshot`, `check`, `fault` | the start, and the one check of a log | Storage, Verifying |
//! | `keys`, `rotation` | which keys may sign a head, and who vouched for each | Tree, head, signature |
//! | `job`, `calls`, `writer`, `derive`, `publish`, `reader` | what is handed in, the threads, the public copy, reading | Storage, Public copy |
//! | [`verify`], [`history`], [`export`] | what outsiders use, and who reads beside the service | Verifying |
//! | `beside`, `notice` | the signed heads beside the journal; what the start tells of and does not refuse | Storage, Verifying |
//! | `files`, `live` | reading what somebody else may have put there, or is at work on | |
//! | `again` | the parsers with their writers behind them, for `fuzz/` | |

#[doc(hidden)]
pub mod again;
mod ahead;
mod beside;
mod blocks;
mod calls;
mod canon;
mod check;
mod core;
mod derive;
mod disclosure;
mod disk;
mod draft;
pub mod export;
mod fault;
mod files;
mod frame;
mod hash;
pub mod history;
mod ids;
mod index;
mod job;
mod journal;
mod keys;
pub mod kinds;
mod line;
mod live;
#[cfg(test)]
mod memory;
mod nodes;
mod note;
mod notice;
mod open;
pub mod proof;
mod publish;
mod reader;
mod replay;
mod rotation;
mod snapshot;
mod store;
mod tiles;
mod time;
mod tree;
mod vault;
pub mod verify;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    thread::JoinHandle,
};

use chrono::{DateTime, Utc};
use ed25519_dalek::SigningKey;
use tokio::sync::{oneshot, watch};
use zeroize::Zeroizing;

pub use self::{
    beside::HeadError,
    calls::QUEUE_MAX_JOBS,
    check::Knows,
    disclosure::{DISCLOSURE_MAX_BYTES, DISCLOSURES_MAX, Disclosed, Disclosure, Locked},
    draft::{AppendError, Committed, DRAFTS_MAX, Draft, JOB_MAX_BYTES, Refused},
    fault::{Class, Fault},
    hash::{Hash, leaf_hash},
    ids::{NotASubjectId, SubjectId},
    journal::Sizes,
    line::{LINE_MAX_BYTES, is_kind},
    note::{Checkpoint, NoteError, SignedNote, VerifierKey, is_origin},
    notice::{Notice, OnNotice},
    open::{OnProgress, OpenError, Options, Progress, in_use},
    reader::{Entry, Head, ReadError, Reader},
    tree::{consistent, included},
    vault::{wipe_secret, write_secret},
    writer::{BATCH_MAX_BYTES, BATCH_MAX_JOBS},
};
use self::{
    calls::Calls,
    disk::Layout,
    draft::ready,
    job::Job,
    publish::Publisher,
    reader::Shared,
    time::Micros,
    writer::{Answers, Command, Writer},
};

/// An open ledger: the only one on its folder, as long as it lives.
///
/// Dropping it answers what is waiting, publishes what is durable, and lets go of the folder; that blocks for a moment.
#[derive(Debug)]
pub struct Ledger {
    reader: Reader,
    verifier: VerifierKey,
    knows: Knows,
    layout: Layout,
    restored: Option<Arc<open::Restored>>,
    /// Whether the signing key was given from outside the folder.
    key_given: bool,
    commands: Arc<Calls<Command>>,
    writer: Option<JoinHandle<()>>,
    /// The lock of the folder: given up last.
    _lock: File,
}

impl Ledger {
    /// Opens the ledger in a folder: takes its lock, checks the whole journal, compares it with every head that is
    /// remembered elsewhere, brings what is derived from it up to date, and starts its threads. Makes it if it isn't there.
    /// Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`OpenError`]: each is one plain sentence.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let key_given = options.signing_key.is_some();
        let on_notice = Arc::clone(&options.on_notice);
        let opening = open::open(dir, options)?;
        let mut core = opening.core;
        core.follow();
        let (Some(signer), Some(log)) = (core.signers.first(), &core.tip.opened) else {
            return Err(OpenError::KeyMissing(opening.layout.signing_key()));
        };
        let verifier = signer.verifier().clone();
        let derived = core.store.derived()?;
        derived.wait(core.tip.size()).map_err(OpenError::Io)?;
        let note = core.store.index.newest_head().map_err(store::StoreError::from)?;
        let note = note.ok_or_else(|| OpenError::Io("the index has no head".into()))?;
        let head =
            Head { size: core.tip.size(), root: core.tip.tree.root(), note: note.into(), time: core.tip.time.to_utc() };
        let index = core.store.index.clone();
        let beside = (derived.clone(), core.store.vault.clone());
        let publisher =
            Publisher::start(opening.layout.clone(), index.clone(), core.store.nodes.clone(), beside, on_notice)?;
        // All of them: a version before this one wrote none.
        publisher.rotations(core.tip.keys.rotations());
        publisher.head(head.size, Arc::clone(&head.note));
        let shared = Arc::new(Shared {
            layout: opening.layout.clone(),
            room: Arc::clone(&core.store.room),
            index: RwLock::new(Some(index)),
            nodes: core.store.nodes.clone(),
            vault: core.store.vault.clone(),
            head: watch::Sender::new(head),
            log_id: log.log_id,
            published: publisher.shared(),
            derived,
        });
        let commands = Arc::new(Calls::new());
        let writer = Writer { core, shared: Arc::clone(&shared), publisher, answers: Answers::start() };
        let writer = writer.start(Arc::clone(&commands))?;
        Ok(Self {
            reader: Reader { shared },
            verifier,
            knows: opening.knows,
            layout: opening.layout,
            restored: opening.restored.map(Arc::new),
            key_given,
            commands,
            writer: Some(writer),
            _lock: opening.lock,
        })
    }

    /// Appends drafts as consecutive entries, if the log still has `expected_size` entries. Answers when they are durable
    /// under a signed head.
    ///
    /// Calls that wait together share one batch: a caller that knows the size its earlier call will leave may send the next
    /// one without waiting. A `time` before the last entry's is written as the last entry's.
    ///
    /// # Errors
    /// [`AppendError`]. After [`AppendError::Failed`] nothing more can be appended: drop the ledger and open it again.
    pub async fn append(
        &self,
        expected_size: u64,
        time: DateTime<Utc>,
        batch: Vec<Draft>,
    ) -> Result<Committed, AppendError> {
        self.send(Some(expected_size), time, batch).await
    }

    /// Appends drafts wherever the log ends: for what doesn't depend on what is there.
    ///
    /// # Errors
    /// As [`Ledger::append`], without the conflict.
    pub async fn append_next(&self, time: DateTime<Utc>, batch: Vec<Draft>) -> Result<Committed, AppendError> {
        self.send(None, time, batch).await
    }

    async fn send(
        &self,
        expected: Option<u64>,
        time: DateTime<Utc>,
        batch: Vec<Draft>,
    ) -> Result<Committed, AppendError> {
        let refused = |(draft, why)| AppendError::Refused { draft, why };
        if batch.len() > DRAFTS_MAX {
            return Err(refused((0, Refused::BatchSize)));
        }
        let mut drafts =
            batch.into_iter().enumerate().map(|(n, draft)| ready(draft, self.knows).map_err(|why| refused((n, why))));
        let first = drafts.next().ok_or_else(|| refused((0, Refused::BatchSize)))??;
        let job = Job::new(expected, Micros::from_utc(time), first, drafts.collect::<Result<_, _>>()?);
        let (answer, answered) = oneshot::channel();
        self.commands.add(Command::Append(job, answer))?;
        let (job, done) = answered.await.map_err(|_| AppendError::stopped())?;
        job.told(done)
    }

    /// Replaces the signing key in the folder: the new one comes in under a head that both sign, the old one is retired
    /// under a head that only the new one signs, and then the old secret is wiped. A stop in between is carried to its end
    /// by the next start. `secret` must be 32 fresh random bytes. Blocks on the disk for the key files.
    ///
    /// # Errors
    /// [`AppendError`]; `Failed` also when the key files can't be written, when the key came from outside the folder, or when the
    /// log has had its 1,024 keys: after those the ledger goes on as it was.
    pub async fn rotate_key(&self, secret: Zeroizing<[u8; 32]>, time: DateTime<Utc>) -> Result<Committed, AppendError> {
        let failed = |error: &dyn std::fmt::Display| AppendError::Failed(format!("the signing key: {error}"));
        if self.key_given || !self.layout.signing_key().exists() {
            return Err(AppendError::Failed("the signing key is not kept in the folder of the ledger".into()));
        }
        if self.layout.next_signing_key().exists() {
            return Err(AppendError::Failed(
                "a rotation is under way: open the ledger again to bring it to its end".into(),
            ));
        }
        let key = SigningKey::from_bytes(&secret);
        let pem = open::signing_key_pem(&key).map_err(|error| failed(&error))?;
        vault::write_secret(&self.layout.next_signing_key(), pem.as_bytes()).map_err(|error| failed(&error))?;
        let done = self.rotate(key, time).await?;
        open::promote(&self.layout).map_err(|error| failed(&error))?;
        Ok(done)
    }

    /// As [`Ledger::rotate_key`], for a key that is not kept in the folder: `next` is the new one as PKCS#8 PEM. Give that one
    /// when the ledger is opened again. What broke off in between is carried to its end by the same call again, with the old
    /// key or the new one.
    ///
    /// # Errors
    /// [`AppendError`]; `Failed` also when the key lies in the folder, can't be read, or was a key of this log before.
    pub async fn rotate_to(&self, next: &str, time: DateTime<Utc>) -> Result<Committed, AppendError> {
        if !self.key_given {
            return Err(AppendError::Failed("the signing key is kept in the folder of the ledger".into()));
        }
        let key = open::read_key(next).map_err(|error| AppendError::Failed(error.to_string()))?;
        self.rotate(key, time).await
    }

    async fn rotate(&self, key: SigningKey, time: DateTime<Utc>) -> Result<Committed, AppendError> {
        let (answer, answered) = oneshot::channel();
        self.commands.add(Command::Rotate(Box::new(key), Micros::from_utc(time), answer))?;
        answered.await.unwrap_or_else(|_| Err(AppendError::stopped()))
    }

    /// Keeps what the service has folded from the first `size` entries, which must be all there are, for the next start.
    /// The snapshot is signed with the key of the log and bound to its head. Blocks on the disk for the file.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] when the log has grown; `Failed` when the file can't be written, which harms nothing else.
    pub async fn save_snapshot(&self, size: u64, state: Vec<u8>) -> Result<(), AppendError> {
        let (answer, answered) = oneshot::channel();
        self.commands.add(Command::Snapshot { size, state, answer })?;
        let bytes = answered.await.unwrap_or_else(|_| Err(AppendError::stopped()))?;
        snapshot::write(&self.layout.snapshot(), &bytes)
            .map_err(|error| AppendError::Failed(format!("the snapshot: {error}")))
    }

    /// What [`Ledger::save_snapshot`] kept, and the size it was made at, if this ledger was opened from it: fold the entries
    /// from there on. Then run [`Ledger::history_check`] in the background, and keep no other before it has ended well: from
    /// that, too, the next start would go on unchecked.
    #[must_use]
    pub fn snapshot(&self) -> Option<(u64, &[u8])> {
        self.restored.as_ref().map(|restored| (restored.tip.size(), &*restored.state))
    }

    /// The check of the history before the snapshot that this ledger was opened from; none when it was opened without one.
    #[must_use]
    pub fn history_check(&self) -> Option<HistoryCheck> {
        self.restored.as_ref().map(|restored| HistoryCheck {
            layout: self.layout.clone(),
            restored: Arc::clone(restored),
            knows: self.knows,
        })
    }

    /// A reader, for other threads.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Entries with their disclosures; see [`Reader::entries`]. Blocks.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn entries(
        &self,
        from: u64,
        to: u64,
    ) -> Result<impl Iterator<Item = Result<Entry, ReadError>> + use<>, ReadError> {
        self.reader.entries(from, to)
    }

    /// Whether only what must be recorded should be; see [`Reader::is_scarce`].
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.reader.is_scarce()
    }

    /// Number of durable entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.reader.size()
    }

    /// The newest durable head.
    #[must_use]
    pub fn head(&self) -> Head {
        self.reader.head()
    }

    /// The 32 random bytes that entry 0 gave the log.
    #[must_use]
    pub fn log_id(&self) -> Hash {
        self.reader.log_id()
    }

    /// The verifier key that signed when the ledger was opened: what others pin.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    /// A proof of one entry; see [`Reader::prove`]. Blocks.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn prove(&self, index: u64) -> Result<String, ReadError> {
        self.reader.prove(index)
    }
}

/// A check of the history before a snapshot. It keeps nothing of the ledger open: that may be closed, and be opened again,
/// while this runs.
#[derive(Debug, Clone)]
pub struct HistoryCheck {
    layout: Layout,
    restored: Arc<open::Restored>,
    knows: Knows,
}

impl HistoryCheck {
    /// Runs it. On a finding the snapshot is removed, so that the next start refuses; stop the service. Blocks for long.
    ///
    /// # Errors
    /// [`OpenError`]: what the start would have said.
    pub fn run(self, threads: usize, progress: &mut dyn FnMut(Progress)) -> Result<(), OpenError> {
        open::check_history(&self.layout, &self.restored, self.knows, threads, progress).inspect_err(|_| {
            // If it can't be removed, the next start finds the same, only later. What was found matters more.
            drop(std::fs::remove_file(self.layout.snapshot()));
        })
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.commands.close();
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
        // Readers may live on; the index must not, or it could not be opened again.
        *self.reader.shared.index.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
