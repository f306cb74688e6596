//! The commit protocol over any store: stage the lines, make the sealing keys durable, sign the head, append, and only
//! then move on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ed25519_dalek::SigningKey;
use rand::CryptoRng;
use serde_json::json;

use super::{
    canon,
    check::{Knows, Tip},
    disclosure::{self, SubjectKey},
    draft::{AppendError, Committed, ENCODED_MAX_BYTES, JOB_MAX_BYTES, Ready, Refused},
    frame::{Builder, Sealed},
    hash::{Hash, leaf_hash},
    ids::SubjectId,
    job::{Done, Job},
    keys::KEYS_MAX,
    kinds,
    line::{self, Front, LINE_MAX_BYTES, Standing},
    note::{Checkpoint, Signer, sign},
    store::{Commit, Store, StoreError},
    time::Micros,
    tree::Frontier,
};

/// What a frame holds beside its entries, at most: a head with its signatures, and their lengths.
pub(crate) const HEADS_MAX_BYTES: usize = 4_096;

/// How much room is kept for the next frame.
const ROOM_MAX_BYTES: usize = 1024 * 1024;

/// How many nodes there is room for at first: those of a batch that is not among the largest.
const NODES_USUAL: usize = 256;

/// A log that can be appended to.
pub(crate) struct Core<S> {
    pub store: S,
    pub tip: Tip,
    pub signers: Vec<Signer>,
    rng: Box<dyn CryptoRng + Send>,
    knows: Knows,
    failed: Option<String>,
    /// The room of the last frame, for the next one: a large one would else come from the kernel page by page each time.
    room: Vec<u8>,
}

/// What a commit is being made of.
pub(crate) struct Stage {
    size: u64,
    prev: Hash,
    time: Micros,
    /// The last time that was written out: most entries of a batch have the same.
    written: (Micros, String),
    frame: Builder,
    tree: Frontier,
    /// The nodes that are complete with these entries.
    nodes: Vec<Hash>,
    /// The entries of the ledger's own kinds.
    own: Vec<(u64, Vec<u8>)>,
    keys: BTreeMap<SubjectId, SubjectKey>,
    erased: BTreeSet<SubjectId>,
}

impl<S: Store> Core<S> {
    pub fn new(store: S, tip: Tip, signers: Vec<Signer>, knows: Knows, rng: Box<dyn CryptoRng + Send>) -> Self {
        Self { store, tip, signers, rng, knows, failed: None, room: Vec::new() }
    }

    /// Writes entry 0 of a new log.
    pub fn begin(&mut self, origin: &str, time: Micros) -> Result<Committed, AppendError> {
        let mut log_id = [0; 32];
        self.rng.fill_bytes(&mut log_id);
        let key = self.signers.first().map(|signer| signer.verifier().to_string());
        self.own(kinds::LOG_OPENED, &json!({"key": key, "log_id": hex::encode(log_id), "origin": origin}), time)
    }

    /// Brings a key in, signed by it and by the older ones, and retires those.
    pub fn rotate(&mut self, key: SigningKey, time: Micros) -> Result<Committed, AppendError> {
        let origin = self.tip.opened.as_ref().map(|opened| opened.origin.clone()).unwrap_or_default();
        let signer = Signer::new(&origin, key);
        let body = json!({"key": signer.verifier().to_string()});
        let known = self.tip.keys.iter().any(|known| *known.key == *signer.verifier());
        let is_live = self.tip.live().any(|live| live == signer.verifier());
        if known && !is_live {
            return Err(AppendError::Failed("that key was retired and can't come back: make a new one".into()));
        }
        if !is_live && !self.tip.has_room_for_a_key() {
            let why =
                format!("it has had the {KEYS_MAX} keys that a log may have; begin a new ledger in another folder");
            return Err(AppendError::Failed(why));
        }
        // As the newest, which is the one that stays.
        self.signers.retain(|known| known.verifier() != signer.verifier());
        self.signers.push(signer);
        if !is_live {
            self.own(kinds::KEY_ADDED, &body, time)?;
        }
        self.finish_rotation(time)
    }

    /// Retires all keys but the newest.
    pub fn finish_rotation(&mut self, time: Micros) -> Result<Committed, AppendError> {
        let Some(newest) = self.signers.pop() else {
            return Err(AppendError::Failed("there is no key to sign with".into()));
        };
        let older: Vec<String> =
            self.tip.live().filter(|key| *key != newest.verifier()).map(ToString::to_string).collect();
        self.signers = vec![newest];
        let mut last = Err(AppendError::Failed("there was no older key to retire".into()));
        for key in older {
            last = Ok(self.own(kinds::KEY_RETIRED, &json!({"key": key}), time)?);
        }
        last
    }

    /// Writes one of the kinds that only the ledger writes.
    fn own(&mut self, kind: &str, body: &serde_json::Value, time: Micros) -> Result<Committed, AppendError> {
        let map = body.as_object().cloned().unwrap_or_default();
        let front = Front::new(kind, |text| canon::write(&map, text))
            .map_err(|why| AppendError::Refused { draft: 0, why: why.into() })?;
        let draft = Ready { front, own: true, disclosures: Vec::new(), erases: None };
        let mut job = Job::new(None, time, draft, Vec::new());
        let mut stage = self.stage();
        self.add(&mut job, &mut stage);
        job.told(self.commit(stage))
    }

    /// Begins a commit.
    pub fn stage(&mut self) -> Stage {
        Stage {
            size: self.tip.size(),
            prev: self.tip.prev,
            time: self.tip.time,
            written: (Micros(0), String::new()),
            frame: Builder::new(self.tip.size(), std::mem::take(&mut self.room)),
            tree: self.tip.tree.clone(),
            nodes: Vec::with_capacity(NODES_USUAL),
            own: Vec::new(),
            keys: BTreeMap::new(),
            erased: BTreeSet::new(),
        }
    }

    /// Adds a job to a commit, whole or not at all; says in the job what came of it.
    pub fn add(&mut self, job: &mut Job, stage: &mut Stage) {
        let added = match &self.failed {
            Some(why) => Err(AppendError::Failed(why.clone())),
            None => self.add_all(job, stage),
        };
        job.refused = added.err();
    }

    /// Commits what was staged under one head. A failed write fails all of it, and everything after.
    ///
    /// # Errors
    /// [`AppendError`]; `Refused` when nothing was staged.
    pub fn commit(&mut self, stage: Stage) -> Result<Arc<Done>, AppendError> {
        if stage.frame.entries() == 0 {
            return Err(AppendError::Refused { draft: 0, why: Refused::BatchSize });
        }
        self.write(stage).map(Arc::new).map_err(|error| match error {
            StoreError::Conflict { expected, actual } => {
                self.failed = Some("somebody else wrote to the ledger".into());
                AppendError::Conflict { expected, actual }
            }
            error @ (StoreError::Failed(_) | StoreError::Full(_)) => {
                let why = error.to_string();
                self.failed = Some(why.clone());
                AppendError::Failed(why)
            }
        })
    }

    /// Begins what follows from the last commit, after it was answered.
    pub fn follow(&mut self) {
        if let Err(error) = self.store.follow() {
            self.failed = Some(error.to_string());
        }
    }

    fn add_all(&mut self, job: &mut Job, stage: &mut Stage) -> Result<(), AppendError> {
        if let Some(expected) = job.expected.filter(|expected| *expected != stage.size) {
            return Err(AppendError::Conflict { expected, actual: stage.size });
        }
        let before = (stage.size, stage.prev, stage.time, stage.erased.clone());
        let (mark, own, mut bytes) = (stage.frame.mark(), stage.own.len(), 0);
        (stage.time, job.first) = (stage.time.max(job.time), stage.size);
        job.leaves.clear();
        for (draft, ready) in std::iter::once(&job.draft).chain(&job.others).enumerate() {
            let added = self.add_one(draft, ready, stage).and_then(|added| {
                bytes += added;
                if bytes > JOB_MAX_BYTES {
                    Err(AppendError::Refused { draft, why: Refused::BatchSize })
                } else {
                    Ok(())
                }
            });
            if let Err(error) = added {
                (stage.size, stage.prev, stage.time, stage.erased) = before;
                stage.frame.back_to(mark);
                stage.own.truncate(own);
                return Err(error);
            }
            job.leaves.push(stage.prev);
        }
        for leaf in &job.leaves {
            stage.tree.push(*leaf, |node| stage.nodes.push(node));
        }
        Ok(())
    }

    /// Adds one entry; gives the number of its bytes.
    fn add_one(&mut self, draft: usize, ready: &Ready, stage: &mut Stage) -> Result<usize, AppendError> {
        let refused = |why| AppendError::Refused { draft, why };
        let Ready { front, own, disclosures, erases } = ready;
        let (mut digests, mut sealed, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (ordinal, one) in (0u32..).zip(disclosures) {
            if stage.erased.contains(&one.subject) || self.tip.erased.contains_key(&one.subject) {
                return Err(refused(Refused::Erased(one.subject)));
            }
            let encoded = disclosure::encode(&one.name, &one.value, &mut *self.rng);
            let key = self.subject_key(one.subject, stage)?;
            let closed = disclosure::seal(&key, stage.size, ordinal, &encoded, &mut *self.rng)
                .filter(|_| encoded.len() <= ENCODED_MAX_BYTES)
                .ok_or_else(|| refused(Refused::TooMuchDisclosed))?;
            bytes += closed.len();
            digests.push(disclosure::digest(&encoded));
            sealed.push(Sealed { subject: one.subject, bytes: closed });
        }
        digests.sort_unstable();
        if stage.written.1.is_empty() || stage.written.0 != stage.time {
            stage.written = (stage.time, stage.time.text().ok_or_else(|| refused(Refused::Time))?);
        }
        let standing = Standing { prev: &stage.prev, seq: stage.size, time: &stage.written.1 };
        let place = stage.frame.entry(|out| line::write(&digests, front, standing, out), &sealed);
        let line = stage.frame.at(place);
        if line.len() > LINE_MAX_BYTES {
            return Err(refused(Refused::TooLong(line.len())));
        }
        bytes += line.len();
        if *own {
            stage.own.push((stage.size, line.to_vec()));
        }
        stage.prev = leaf_hash(line);
        stage.erased.extend(*erases);
        stage.size += 1;
        Ok(bytes)
    }

    fn subject_key(&mut self, subject: SubjectId, stage: &mut Stage) -> Result<SubjectKey, AppendError> {
        if let Some(key) = stage.keys.get(&subject) {
            return Ok(key.clone());
        }
        let kept = self.store.key(subject).map_err(|error| AppendError::Failed(error.to_string()))?;
        Ok(kept.unwrap_or_else(|| {
            let mut key = SubjectKey::default();
            self.rng.fill_bytes(&mut *key);
            stage.keys.insert(subject, key.clone());
            key
        }))
    }

    fn write(&mut self, stage: Stage) -> Result<Done, StoreError> {
        let Stage { size, prev, time, written: _, frame, tree, nodes, own, keys, erased } = stage;
        let keys: Vec<_> = keys.into_iter().collect();
        if !keys.is_empty() {
            self.store.put_keys(&keys)?;
        }
        let origin = self.signers.first().map(|signer| signer.verifier().name().to_owned()).unwrap_or_default();
        let head = Checkpoint { origin, size, root: tree.root() };
        let note: Arc<str> = sign(&head, &self.signers).into();
        let (mut frame, shape) =
            frame.finish(&note).ok_or_else(|| StoreError::Failed("the batch is too large for a frame".into()))?;
        let commit = Commit { frame: &mut frame, shape, head: Arc::clone(&note), last: prev, nodes };
        self.store.append(self.tip.size(), commit)?;
        self.room = if frame.capacity() > ROOM_MAX_BYTES { Vec::new() } else { frame };
        self.tip.advance(tree, prev, time, &own, self.knows);
        let mut key_left = None;
        for subject in &erased {
            // The record stands; the next start destroys the key if it can't be done now.
            if let Err(error) = self.store.destroy_key(*subject) {
                self.failed = Some(error.to_string());
                key_left = Some(error.to_string().into());
            }
        }
        Ok(Done { size, root: head.root, head: note, key_left })
    }
}
