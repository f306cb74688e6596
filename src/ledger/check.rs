//! The check of a log from its first byte on, shared by the start of the service and by `verify`.
//!
//! Each line is read and hashed on its own, on all threads; then one pass in order compares chain, index, time and roots;
//! then the signatures of the heads are checked, on all threads again.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    fault::{Class, Fault, Faults},
    frame::BatchRef,
    hash::{Hash, NO_PREV, leaf_hash},
    ids::{SubjectId, lower_hex},
    keys::{KEYS_MAX, Keys, LogKey, NotRetired},
    kinds,
    line::{Line, LineFault},
    note::{Checkpoint, NoteError, SignedNote, VerifierKey},
    rotation::{Rotation, unvouched},
    time::Micros,
    tree::Frontier,
};

/// Whether a kind is known to the program beside [`kinds::OWN`].
pub type Knows = fn(&str) -> bool;

/// What entry 0 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The log's name in every head.
    pub origin: String,
    /// The first key.
    pub key: VerifierKey,
    /// 32 random bytes.
    pub log_id: Hash,
}

/// What an entry means to the ledger itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    Other,
    Unknown(String),
    Misshapen(&'static str),
    Opened(Box<Opened>),
    Added(Box<VerifierKey>),
    /// Nothing when it names no key at all.
    Retired(Option<Box<VerifierKey>>),
    Erased(SubjectId),
}

/// What can be said of a line alone.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its leaf hash.
    pub leaf: Hash,
    read: Result<Facts, LineFault>,
}

#[derive(Debug, Clone)]
struct Facts {
    prev: Hash,
    seq: u64,
    time: Micros,
    digests: usize,
    meaning: Meaning,
}

/// Reads and hashes one line.
#[must_use]
pub fn see(line: &[u8], knows: Knows) -> Seen {
    let read = Line::read(line).map(|line| Facts {
        prev: line.prev,
        seq: line.seq,
        time: line.time,
        digests: line.digest_count(),
        meaning: meaning(&line, knows),
    });
    Seen { leaf: leaf_hash(line), read }
}

fn meaning(line: &Line<'_>, knows: Knows) -> Meaning {
    if !kinds::OWN.contains(&line.kind) {
        return if knows(line.kind) { Meaning::Other } else { Meaning::Unknown(line.kind.to_owned()) };
    }
    let body: serde_json::Value = serde_json::from_slice(line.body).unwrap_or_default();
    let text = |key: &str| body.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    match line.kind {
        kinds::LOG_OPENED => {
            let (key, log_id) = (VerifierKey::parse(text("key")), lower_hex(text("log_id")));
            match (key, log_id) {
                (Ok(key), Some(log_id)) if key.name() == text("origin") => {
                    Meaning::Opened(Box::new(Opened { origin: key.name().to_owned(), key, log_id }))
                }
                _ => Meaning::Misshapen(kinds::LOG_OPENED),
            }
        }
        kinds::KEY_ADDED => VerifierKey::parse(text("key"))
            .map_or(Meaning::Misshapen(kinds::KEY_ADDED), |key| Meaning::Added(Box::new(key))),
        kinds::KEY_RETIRED => Meaning::Retired(VerifierKey::parse(text("key")).ok().map(Box::new)),
        kinds::SUBJECT_ERASED => {
            text("subject").parse().map_or(Meaning::Misshapen(kinds::SUBJECT_ERASED), Meaning::Erased)
        }
        _ => Meaning::Other,
    }
}

/// A key that came in and for which no head has vouched yet: it may sign nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    key: LogKey,
    /// The head that is to vouch for it, when it is not the next one.
    head: Option<Rotation>,
}

/// All that is known of a log after some of its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// The tree over the entries so far.
    pub tree: Frontier,
    /// The leaf hash of the last entry.
    pub prev: Hash,
    /// The time of the last entry.
    pub time: Micros,
    /// What entry 0 said.
    pub opened: Option<Opened>,
    /// The keys so far that may sign or once might, the first one first.
    pub keys: Keys,
    /// Who was erased, and at which index.
    pub erased: BTreeMap<SubjectId, u64>,
    /// The `seq` that the next entry should have: after a fault, one more than the last that was read.
    next_seq: u64,
    /// The keys that wait for a head. After each commit there are none.
    pending: Vec<Pending>,
    /// How many keys came in, those for which nobody vouched counted.
    brought: usize,
}

impl Default for Tip {
    fn default() -> Self {
        Self {
            tree: Frontier::default(),
            prev: NO_PREV,
            time: Micros(i64::MIN),
            opened: None,
            keys: Keys::default(),
            erased: BTreeMap::new(),
            next_seq: 0,
            pending: Vec::new(),
            brought: 0,
        }
    }
}

impl Tip {
    /// The tip of a log that was checked up to there before, where a commit ends: no key waits for its head.
    #[must_use]
    pub fn at(
        tree: Frontier,
        prev: Hash,
        time: Micros,
        opened: Opened,
        keys: Keys,
        erased: BTreeMap<SubjectId, u64>,
    ) -> Self {
        let (next_seq, brought) = (tree.size(), keys.count());
        Self { tree, prev, time, opened: Some(opened), keys, erased, next_seq, pending: Vec::new(), brought }
    }

    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The keys that may sign now.
    pub fn live(&self) -> impl Iterator<Item = &VerifierKey> {
        self.keys.live()
    }

    /// Whether a key waits for the head that takes it in.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether one more key may come in.
    #[must_use]
    pub fn has_room_for_a_key(&self) -> bool {
        self.brought < KEYS_MAX
    }

    /// Takes the next entry, whatever is wrong with it. The nodes that it completes are added to `nodes`.
    pub fn take(&mut self, seen: &Seen, faults: &mut Faults, nodes: &mut Vec<Hash>) {
        let index = self.size();
        match &seen.read {
            Ok(facts) => self.follow(index, facts, faults),
            Err(fault) => {
                let class = match fault {
                    LineFault::Version(_) => Class::Unknown,
                    LineFault::TooLong(_) | LineFault::NotUtf8 | LineFault::NotCanonical(_) => Class::Canonical,
                };
                faults.add(Fault::at(index, class, fault.to_string()));
                self.next_seq += 1;
            }
        }
        self.prev = seen.leaf;
        self.tree.push(seen.leaf, |node| nodes.push(node));
    }

    fn follow(&mut self, index: u64, facts: &Facts, faults: &mut Faults) {
        if facts.prev != self.prev {
            let words =
                if index == 0 { "the first entry names one before it" } else { "does not follow the entry before it" };
            faults.add(Fault::at(index, Class::Chain, words));
        }
        if facts.seq != self.next_seq {
            let words = format!("has the index {} where {} is due", facts.seq, self.next_seq);
            faults.add(Fault::at(index, Class::Seq, words));
        }
        if facts.time < self.time {
            faults.add(Fault::at(index, Class::Time, "is older than the entry before it"));
        }
        self.next_seq = facts.seq.saturating_add(1);
        self.time = self.time.max(facts.time);
        if let Some((class, words)) = self.mean(index, &facts.meaning) {
            faults.add(Fault::at(index, class, words));
        }
    }

    fn mean(&mut self, index: u64, meaning: &Meaning) -> Option<(Class, String)> {
        if index == 0 && !matches!(meaning, Meaning::Opened(_)) {
            return Some((Class::Kind, format!("the first entry is not `{}`", kinds::LOG_OPENED)));
        }
        match meaning {
            Meaning::Other => None,
            Meaning::Unknown(kind) => Some((Class::Unknown, format!("the kind `{kind}` is unknown to this program"))),
            Meaning::Misshapen(kind) => Some((Class::Kind, format!("a `{kind}` can't have this body"))),
            Meaning::Opened(_) if index > 0 => Some((Class::Kind, "the log is opened twice".into())),
            Meaning::Opened(opened) => {
                self.keys.add(LogKey { key: Arc::new(opened.key.clone()), added: index, retired: None });
                self.brought += 1;
                self.opened = Some((**opened).clone());
                None
            }
            Meaning::Added(key) => self.add_key(index, key),
            Meaning::Retired(key) => self.retire_key(index, key.as_deref()),
            Meaning::Erased(subject) => {
                self.erased.entry(*subject).or_insert(index);
                None
            }
        }
    }

    fn add_key(&mut self, index: u64, key: &VerifierKey) -> Option<(Class, String)> {
        if self.opened.as_ref().is_none_or(|opened| opened.origin != key.name()) {
            return Some((Class::Origin, "adds a key of another log".into()));
        }
        if !self.has_room_for_a_key() {
            return Some((Class::Key, format!("adds one key more than the {KEYS_MAX} that a log may have")));
        }
        if self.keys.has(key) || self.pending.iter().any(|pending| *pending.key.key == *key) {
            return Some((Class::Key, "adds a key that was already there".into()));
        }
        let key = LogKey { key: Arc::new(key.clone()), added: index, retired: None };
        self.pending.push(Pending { key, head: None });
        self.brought += 1;
        None
    }

    fn retire_key(&mut self, index: u64, key: Option<&VerifierKey>) -> Option<(Class, String)> {
        match key.ok_or(NotRetired::NotLive).and_then(|key| self.keys.retire(key, index)) {
            Ok(()) => None,
            Err(NotRetired::NotLive) => Some((Class::Key, "retires a key that is not live".into())),
            Err(NotRetired::Last) => Some((Class::Key, "retires the last key".into())),
        }
    }

    /// Takes in all keys that wait.
    fn take_in(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            self.keys.add(pending.key);
        }
    }

    /// Moves on over entries that were just written by this program itself, and need no check.
    /// Only the lines of the ledger's own kinds mean anything to it: they come with their indexes.
    pub fn advance(&mut self, tree: Frontier, prev: Hash, time: Micros, own: &[(u64, Vec<u8>)], knows: Knows) {
        for (index, line) in own {
            let read = Line::read(line).ok();
            read.and_then(|line| self.mean(*index, &meaning(&line, knows)));
        }
        // Every live signer of this program has signed the head, the one that came in too.
        self.take_in();
        self.next_seq = tree.size();
        (self.tree, self.prev, self.time) = (tree, prev, time);
    }

    /// Compares a head with the entries so far, and takes in the keys that it vouches for. What remains, its signatures, is
    /// handed back as a [`HeadCheck`].
    ///
    /// # Errors
    /// The fault, when the head is not one of this log at this size, or does not vouch for a key that came in. Such a key is
    /// not taken in: what it signs later counts for nothing.
    pub fn head(&mut self, note: &str) -> Result<HeadCheck, Fault> {
        let (index, size) = (self.size().saturating_sub(1), self.size());
        let pending = std::mem::take(&mut self.pending);
        let malformed = |error: NoteError| Fault::at(index, Class::Signature, format!("its head: {error}"));
        let note = SignedNote::parse(note).map_err(malformed)?;
        let head = Checkpoint::parse(&note.text).map_err(malformed)?;
        if self.opened.as_ref().is_some_and(|opened| opened.origin != head.origin) {
            return Err(Fault::at(index, Class::Origin, format!("its head is of another log, `{}`", head.origin)));
        }
        if head.size != size {
            let words = format!("its head is signed for {} entries where there are {size}", head.size);
            return Err(Fault::at(index, Class::Root, words));
        }
        if head.root != self.tree.root() {
            return Err(Fault::at(index, Class::Root, "the signed root is not that of the entries"));
        }
        if !pending.is_empty() {
            let new = pending.iter().map(|pending| &pending.key);
            if !self.keys.vouch(&note, size, new).map_err(malformed)? {
                let words = "its head brings in a key and is not signed by both an older live key and the new one";
                return Err(Fault::at(index, Class::Key, words));
            }
        }
        // Only now: keys that come together can't vouch for each other.
        self.pending = pending;
        self.take_in();
        Ok(HeadCheck { index, size, note, keys: self.keys.clone() })
    }
}

/// The signatures of one head, still to be checked.
#[derive(Debug, Clone)]
pub struct HeadCheck {
    index: u64,
    size: u64,
    note: SignedNote,
    pub(super) keys: Keys,
}

impl HeadCheck {
    /// What is wrong with the signatures.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self.keys.signed(&self.note, self.size) {
            Ok(true) => None,
            Ok(false) => Some(Fault::at(self.index, Class::Key, "no live key signed its head")),
            Err(error) => Some(Fault::at(self.index, Class::Signature, format!("its head: {error}"))),
        }
    }
}

/// How keys that come in are vouched for where lines stand under no head of their own.
pub enum Vouched<'a> {
    /// Not at all: no signature is checked against what the lines say.
    Unseen,
    /// By the heads in `rotation/`: hands out the one for the key of the entry at an index, or says why it can't be used.
    Beside(&'a dyn Fn(u64) -> Result<Rotation, (Class, String)>),
}

/// Runs `each` over all items, on as many threads, and keeps the order.
pub fn on_threads<T: Sync, R: Send>(threads: usize, items: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let share = items.len().div_ceil(threads.max(1)).max(1);
    if share >= items.len() {
        return items.iter().map(each).collect();
    }
    let each = &each;
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            items.chunks(share).map(|part| scope.spawn(move || part.iter().map(each).collect::<Vec<R>>())).collect();
        // A thread that panicked took its answers with it: go on panicking, as without threads.
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// The whole check, wave by wave.
#[derive(Debug)]
pub struct Walk {
    /// What is known so far.
    pub tip: Tip,
    /// What was found so far.
    pub faults: Faults,
    /// How many heads were compared.
    pub heads: u64,
    /// The nodes completed in the last wave, in stored order.
    pub nodes: Vec<Hash>,
    knows: Knows,
    threads: usize,
    roots_wrong: u64,
}

impl Walk {
    /// Starts after `tip`.
    #[must_use]
    pub fn new(tip: Tip, knows: Knows, threads: usize) -> Self {
        Self { tip, faults: Faults::default(), heads: 0, nodes: Vec::new(), knows, threads, roots_wrong: 0 }
    }

    /// Takes the next batches, in order.
    pub fn wave(&mut self, batches: &[BatchRef<'_>]) {
        let knows = self.knows;
        let seen = on_threads(self.threads, batches, |batch| {
            batch.records.iter().map(|record| see(record.line, knows)).collect::<Vec<_>>()
        });
        self.nodes.clear();
        let mut checks = Vec::with_capacity(batches.len());
        for (batch, seen) in batches.iter().zip(seen) {
            if batch.first != self.tip.size() {
                let words = format!("a frame begins at {} where {} is due", batch.first, self.tip.size());
                self.faults.add(Fault::at(self.tip.size(), Class::Frame, words));
            }
            for (record, seen) in batch.records.iter().zip(&seen) {
                let digests = seen.read.as_ref().map_or(record.sealed.len(), |facts| facts.digests);
                if digests != record.sealed.len() {
                    let words = format!("has {digests} digests and {} disclosures", record.sealed.len());
                    self.faults.add(Fault::at(self.tip.size(), Class::Disclosure, words));
                }
                self.tip.take(seen, &mut self.faults, &mut self.nodes);
            }
            self.compare(batch.head, &mut checks);
        }
        self.signatures(&checks);
    }

    /// Takes the next lines, which stand under no head of their own.
    pub fn lines<L: AsRef<[u8]> + Sync>(&mut self, lines: &[L], vouched: &Vouched<'_>) {
        let knows = self.knows;
        self.nodes.clear();
        for seen in on_threads(self.threads, lines, |line| see(line.as_ref(), knows)) {
            self.tip.take(&seen, &mut self.faults, &mut self.nodes);
            if self.tip.waits() {
                self.heads_beside(vouched);
            }
        }
    }

    /// Looks for the head of a key that has just come in, and compares those that are over the entries so far.
    fn heads_beside(&mut self, vouched: &Vouched<'_>) {
        let Vouched::Beside(find) = vouched else { return self.tip.take_in() };
        let size = self.tip.size();
        if self.tip.pending.iter().all(|pending| pending.head.as_ref().is_some_and(|head| head.size() > size)) {
            return;
        }
        let root = self.tip.tree.root();
        let mut taken = Vec::new();
        for mut pending in std::mem::take(&mut self.tip.pending) {
            let index = pending.key.added;
            if pending.head.is_none() {
                match find(index) {
                    Ok(head) => pending.head = Some(head),
                    Err((class, why)) => {
                        self.faults.add(unvouched(index, class, &why));
                        continue;
                    }
                }
                self.heads += 1;
            }
            match &pending.head {
                // One that is over fewer entries than these is of no use, and is told so at once.
                Some(head) if head.size() <= size => match head.vouches(&self.tip.keys, &pending.key, Some(root)) {
                    Ok(()) => taken.push(pending.key),
                    Err(why) => self.faults.add(unvouched(index, Class::Key, &why)),
                },
                Some(_) | None => self.tip.pending.push(pending),
            }
        }
        for key in taken {
            self.tip.keys.add(key);
        }
    }

    /// Says that there are no more lines: whose head is over more of them stays out.
    pub fn no_more_lines(&mut self) {
        for pending in std::mem::take(&mut self.tip.pending) {
            let Some(head) = &pending.head else { continue };
            if let Err(why) = head.vouches(&self.tip.keys, &pending.key, None) {
                self.faults.add(unvouched(pending.key.added, Class::Key, &why));
            }
        }
    }

    fn compare(&mut self, note: &str, checks: &mut Vec<HeadCheck>) {
        self.heads += 1;
        match self.tip.head(note) {
            Ok(check) => checks.push(check),
            // Once an entry is wrong, so is every root after it: say so once, and count the others.
            Err(fault) if fault.class == Class::Root => {
                if self.roots_wrong == 0 {
                    self.faults.add(fault);
                }
                self.roots_wrong += 1;
            }
            Err(fault) => self.faults.add(fault),
        }
    }

    fn signatures(&mut self, checks: &[HeadCheck]) {
        self.faults.extend(on_threads(self.threads, checks, HeadCheck::fault).into_iter().flatten());
    }

    /// How many heads have a root that is not that of the entries; only the first of them is among the faults.
    #[must_use]
    pub fn roots_wrong(&self) -> u64 {
        self.roots_wrong
    }
}
