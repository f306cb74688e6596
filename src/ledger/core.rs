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
    disclosure::{self, Disclosure, SubjectKey},
    draft::{AppendError, Committed, ENCODED_MAX_BYTES, JOB_MAX_BYTES, Ready, Refused},
    frame::{Builder, Sealed},
    hash::{Hash, leaf_hash},
    ids::SubjectId,
    keys::KEYS_MAX,
    kinds,
    line::{self, LINE_MAX_BYTES, Parts},
    note::{Checkpoint, Signer, sign},
    store::{Commit, Store, StoreError},
    time::Micros,
};

/// One call of append.
#[derive(Debug)]
pub(crate) struct Job {
    /// The size that the caller saw, when it matters.
    pub expected: Option<u64>,
    /// When; never written smaller than the time before.
    pub time: Micros,
    pub drafts: Vec<Ready>,
}

impl Job {
    /// How many bytes its bodies and disclosures have.
    pub fn bytes(&self) -> usize {
        let values = |draft: &Ready| draft.disclosures.iter().map(|one| one.value.len()).sum::<usize>();
        self.drafts.iter().map(|draft| draft.body.len() + values(draft)).sum()
    }

    /// More than it takes in a frame: one that would take more than a job may is refused before it is in.
    pub fn frame_max_bytes(&self) -> usize {
        let disclosures = self.drafts.iter().map(|draft| draft.disclosures.len()).sum::<usize>();
        let around = self.drafts.len() * LINE_AROUND_BYTES + disclosures * DISCLOSURE_AROUND_BYTES;
        self.drafts.iter().map(Ready::frame_max_bytes).sum::<usize>().min(JOB_MAX_BYTES + around)
    }
}

/// The members of a line beside body, kind and digests, and the lengths around it in a frame, at most.
const LINE_AROUND_BYTES: usize = 320;

/// What a disclosure has in line and frame beside its own bytes: digest, subject, length, nonce and tag, salt and quotes.
const DISCLOSURE_AROUND_BYTES: usize = 256;

/// How long a byte of text can become: escaped, and then in base64.
const BYTE_ENCODED_BYTES: usize = 8;

impl Ready {
    /// More than it takes in a frame.
    fn frame_max_bytes(&self) -> usize {
        let text = |one: &Disclosure| BYTE_ENCODED_BYTES * (one.value.len() + one.name.len());
        let sealed = |one| DISCLOSURE_AROUND_BYTES + text(one).min(ENCODED_MAX_BYTES);
        LINE_AROUND_BYTES + self.kind.len() + self.body.len() + self.disclosures.iter().map(sealed).sum::<usize>()
    }
}

/// What a frame holds beside its entries, at most: a head with its signatures, and their lengths.
pub(crate) const HEADS_MAX_BYTES: usize = 4_096;

/// How much room is kept for the next frame.
const ROOM_MAX_BYTES: usize = 1024 * 1024;

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
struct Stage {
    size: u64,
    prev: Hash,
    time: Micros,
    /// The last time that was written out: most entries of a batch have the same.
    written: Option<(Micros, Arc<str>)>,
    frame: Builder,
    leaves: Vec<Hash>,
    /// The entries of the ledger's own kinds.
    own: Vec<(u64, Vec<u8>)>,
    keys: BTreeMap<SubjectId, SubjectKey>,
    erased: BTreeSet<SubjectId>,
}

/// What a commit has left.
struct Written {
    root: Hash,
    head: Arc<str>,
    /// Why a key could not be destroyed.
    key_left: Option<Arc<str>>,
}

impl Stage {
    fn after(tip: &Tip, jobs: &[Job], used: Vec<u8>) -> Self {
        let entries = jobs.iter().map(|job| job.drafts.len()).sum();
        // A line is the body and some words around it; the head comes after the last.
        let room = jobs.iter().map(Job::bytes).sum::<usize>() + entries * LINE_AROUND_BYTES + HEADS_MAX_BYTES;
        Self {
            size: tip.size(),
            prev: tip.prev,
            time: tip.time,
            written: None,
            frame: Builder::new(tip.size(), used, room),
            leaves: Vec::with_capacity(entries),
            own: Vec::new(),
            keys: BTreeMap::new(),
            erased: BTreeSet::new(),
        }
    }

    /// Writes the present time out, if it can be.
    fn time_text(&mut self) -> Option<Arc<str>> {
        if self.written.as_ref().is_none_or(|(time, _)| *time != self.time) {
            self.written = Some((self.time, self.time.text()?.into()));
        }
        self.written.as_ref().map(|(_, text)| Arc::clone(text))
    }
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
        let mut bytes = Vec::new();
        let map = body.as_object().cloned().unwrap_or_default();
        canon::write(&map, &mut bytes).map_err(|why| AppendError::Refused { draft: 0, why: why.into() })?;
        let draft = Ready { kind: kind.to_owned(), body: bytes, disclosures: Vec::new(), erases: None };
        let job = Job { expected: None, time, drafts: vec![draft] };
        self.commit(&[job]).pop().unwrap_or_else(|| Err(AppendError::Failed("no answer".into())))
    }

    /// Commits jobs as one batch under one head. A job that can't be is refused alone; a failed write fails them all,
    /// and everything after.
    pub fn commit(&mut self, jobs: &[Job]) -> Vec<Result<Committed, AppendError>> {
        let all_failed =
            |count: usize, why: &str| (0..count).map(|_| Err(AppendError::Failed(why.to_owned()))).collect();
        let count = jobs.len();
        if let Some(why) = &self.failed {
            return all_failed(count, why);
        }
        let mut stage = Stage::after(&self.tip, jobs, std::mem::take(&mut self.room));
        let places: Vec<_> = jobs.iter().map(|job| self.stage(job, &mut stage)).collect();
        if stage.leaves.is_empty() {
            let nothing = || Err(AppendError::Refused { draft: 0, why: Refused::BatchSize });
            return places.into_iter().map(|place| place.and_then(|_| nothing())).collect();
        }
        let (before, size, leaves) = (self.tip.size(), stage.size, std::mem::take(&mut stage.leaves));
        match self.write(stage, &leaves) {
            Ok(Written { root, head, key_left }) => {
                let committed = |(first, count): (u64, usize)| {
                    let skip = usize::try_from(first - before).unwrap_or_default();
                    Committed {
                        first,
                        size,
                        root,
                        leaves: leaves.iter().skip(skip).take(count).copied().collect(),
                        head: Arc::clone(&head),
                        key_left: key_left.clone(),
                    }
                };
                places.into_iter().map(|place| place.map(committed)).collect()
            }
            Err(StoreError::Conflict { expected, actual }) => {
                self.failed = Some("somebody else wrote to the ledger".into());
                places.into_iter().map(|place| place.and(Err(AppendError::Conflict { expected, actual }))).collect()
            }
            Err(error @ (StoreError::Failed(_) | StoreError::Full(_))) => {
                let why = error.to_string();
                self.failed = Some(why.clone());
                places.into_iter().map(|place| place.and(Err(AppendError::Failed(why.clone())))).collect()
            }
        }
    }

    /// Begins what follows from the last commit, after it was answered.
    pub fn follow(&mut self) {
        if let Err(error) = self.store.follow() {
            self.failed = Some(error.to_string());
        }
    }

    /// Stages one job whole or not at all; gives its first index and its number of entries.
    fn stage(&mut self, job: &Job, stage: &mut Stage) -> Result<(u64, usize), AppendError> {
        if let Some(expected) = job.expected.filter(|expected| *expected != stage.size) {
            return Err(AppendError::Conflict { expected, actual: stage.size });
        }
        let before = (stage.size, stage.prev, stage.time, stage.erased.clone());
        let (mark, kept, own) = (stage.frame.mark(), stage.leaves.len(), stage.own.len());
        let (first, count, mut bytes) = (stage.size, job.drafts.len(), 0);
        stage.time = stage.time.max(job.time);
        for (draft, ready) in job.drafts.iter().enumerate() {
            let staged = self.stage_one(draft, ready, stage).and_then(|added| {
                bytes += added;
                if bytes > JOB_MAX_BYTES {
                    Err(AppendError::Refused { draft, why: Refused::BatchSize })
                } else {
                    Ok(())
                }
            });
            if let Err(error) = staged {
                (stage.size, stage.prev, stage.time, stage.erased) = before;
                stage.frame.back_to(mark);
                stage.leaves.truncate(kept);
                stage.own.truncate(own);
                return Err(error);
            }
        }
        Ok((first, count))
    }

    fn stage_one(&mut self, draft: usize, ready: &Ready, stage: &mut Stage) -> Result<usize, AppendError> {
        let refused = |why| AppendError::Refused { draft, why };
        let Ready { kind, body, disclosures, erases } = ready;
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
        let (seq, prev) = (stage.size, stage.prev);
        let time = stage.time_text().ok_or_else(|| refused(Refused::Time))?;
        let parts = Parts { digests: &digests, body, kind, prev: &prev, seq, time: &time };
        let place = stage.frame.entry(|out| line::write(parts, out), &sealed);
        let line = stage.frame.at(place);
        if line.len() > LINE_MAX_BYTES {
            return Err(refused(Refused::TooLong(line.len())));
        }
        bytes += line.len();
        if kinds::OWN.contains(&kind.as_str()) {
            stage.own.push((seq, line.to_vec()));
        }
        stage.prev = leaf_hash(line);
        stage.leaves.push(stage.prev);
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

    fn write(&mut self, stage: Stage, leaves: &[Hash]) -> Result<Written, StoreError> {
        let keys: Vec<_> = stage.keys.iter().map(|(subject, key)| (*subject, key.clone())).collect();
        if !keys.is_empty() {
            self.store.put_keys(&keys)?;
        }
        let (mut tree, mut nodes) = (self.tip.tree.clone(), Vec::with_capacity(2 * leaves.len()));
        for leaf in leaves {
            tree.push(*leaf, |node| nodes.push(node));
        }
        let origin = self.signers.first().map(|signer| signer.verifier().name().to_owned()).unwrap_or_default();
        let head = Checkpoint { origin, size: stage.size, root: tree.root() };
        let note: Arc<str> = sign(&head, &self.signers).into();
        let (frame, shape) =
            stage.frame.finish(&note).ok_or_else(|| StoreError::Failed("the batch is too large for a frame".into()))?;
        let commit = Commit { frame: &frame, shape, head: Arc::clone(&note), last: stage.prev, nodes };
        self.store.append(self.tip.size(), commit)?;
        self.room = if frame.capacity() > ROOM_MAX_BYTES { Vec::new() } else { frame };
        self.tip.advance(tree, stage.prev, stage.time, &stage.own, self.knows);
        let mut key_left = None;
        for subject in &stage.erased {
            // The record stands; the next start destroys the key if it can't be done now.
            if let Err(error) = self.store.destroy_key(*subject) {
                self.failed = Some(error.to_string());
                key_left = Some(error.to_string().into());
            }
        }
        Ok(Written { root: head.root, head: note, key_left })
    }
}
