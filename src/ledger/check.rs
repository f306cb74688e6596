//! The check of a log from its first byte on, shared by the start of the service and by `verify`.
//!
//! Each line is read and hashed on its own, on all threads; then one pass in order compares chain, index, time and roots;
//! then the signatures of the heads are checked, on all threads again.

use std::collections::BTreeMap;

use super::{
    fault::{Class, Fault, Faults},
    frame::BatchRef,
    hash::{Hash, NO_PREV, leaf_hash},
    ids::{SubjectId, lower_hex},
    kinds,
    line::{Line, LineFault},
    note::{Checkpoint, SignedNote, VerifierKey},
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
    Retired(String),
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
        kinds::KEY_RETIRED => Meaning::Retired(text("key").to_owned()),
        kinds::SUBJECT_ERASED => {
            text("subject").parse().map_or(Meaning::Misshapen(kinds::SUBJECT_ERASED), Meaning::Erased)
        }
        _ => Meaning::Other,
    }
}

/// A key that the log brought in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// The key.
    pub key: VerifierKey,
    /// Index of the entry that added it.
    pub added: u64,
    /// Index of the entry that retired it.
    pub retired: Option<u64>,
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
    /// The keys so far, the first one first.
    pub keys: Vec<LogKey>,
    /// Who was erased, and at which index.
    pub erased: BTreeMap<SubjectId, u64>,
    /// The `seq` that the next entry should have: after a fault, one more than the last that was read.
    next_seq: u64,
    /// Index of a `key.added` that no head has confirmed yet.
    unconfirmed: Option<u64>,
}

impl Default for Tip {
    fn default() -> Self {
        Self {
            tree: Frontier::default(),
            prev: NO_PREV,
            time: Micros(i64::MIN),
            opened: None,
            keys: Vec::new(),
            erased: BTreeMap::new(),
            next_seq: 0,
            unconfirmed: None,
        }
    }
}

impl Tip {
    /// The tip of a log that was checked up to there before.
    #[must_use]
    pub fn at(
        tree: Frontier,
        prev: Hash,
        time: Micros,
        opened: Opened,
        keys: Vec<LogKey>,
        erased: BTreeMap<SubjectId, u64>,
    ) -> Self {
        let next_seq = tree.size();
        Self { tree, prev, time, opened: Some(opened), keys, erased, next_seq, unconfirmed: None }
    }

    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The keys that may sign now.
    pub fn live(&self) -> impl Iterator<Item = &VerifierKey> {
        self.keys.iter().filter(|key| key.retired.is_none()).map(|key| &key.key)
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
                self.keys.push(LogKey { key: opened.key.clone(), added: index, retired: None });
                self.opened = Some((**opened).clone());
                None
            }
            Meaning::Added(key) => self.add_key(index, key),
            Meaning::Retired(text) => self.retire_key(index, text),
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
        if self.keys.iter().any(|known| known.key == *key) {
            return Some((Class::Key, "adds a key that was already there".into()));
        }
        self.keys.push(LogKey { key: key.clone(), added: index, retired: None });
        self.unconfirmed = Some(index);
        None
    }

    fn retire_key(&mut self, index: u64, text: &str) -> Option<(Class, String)> {
        let others = self.live().filter(|key| key.to_string() != text).count();
        match self.keys.iter_mut().find(|known| known.retired.is_none() && known.key.to_string() == text) {
            None => Some((Class::Key, "retires a key that is not live".into())),
            Some(_) if others == 0 => Some((Class::Key, "retires the last key".into())),
            Some(known) => {
                known.retired = Some(index);
                None
            }
        }
    }

    /// Moves on over entries that were just written by this program itself, and need no check.
    /// Only the lines of the ledger's own kinds mean anything to it: they come with their indexes.
    pub fn advance(&mut self, tree: Frontier, prev: Hash, time: Micros, own: &[(u64, Vec<u8>)], knows: Knows) {
        for (index, line) in own {
            let read = Line::read(line).ok();
            read.and_then(|line| self.mean(*index, &meaning(&line, knows)));
        }
        self.next_seq = tree.size();
        (self.tree, self.prev, self.time, self.unconfirmed) = (tree, prev, time, None);
    }

    /// Compares a head with the entries so far. What remains, its signatures, is handed back as a [`HeadCheck`].
    ///
    /// # Errors
    /// The fault, when the head is not one of this log at this size.
    pub fn head(&mut self, note: &str) -> Result<HeadCheck, Fault> {
        let index = self.size().saturating_sub(1);
        let added = self.unconfirmed.take();
        let malformed =
            |error: super::note::NoteError| Fault::at(index, Class::Signature, format!("its head: {error}"));
        let note = SignedNote::parse(note).map_err(malformed)?;
        let head = Checkpoint::parse(&note.text).map_err(malformed)?;
        if self.opened.as_ref().is_some_and(|opened| opened.origin != head.origin) {
            return Err(Fault::at(index, Class::Origin, format!("its head is of another log, `{}`", head.origin)));
        }
        if head.size != self.size() {
            let words = format!("its head is signed for {} entries where there are {}", head.size, self.size());
            return Err(Fault::at(index, Class::Root, words));
        }
        if head.root != self.tree.root() {
            return Err(Fault::at(index, Class::Root, "the signed root is not that of the entries"));
        }
        Ok(HeadCheck { index, note, keys: self.keys.clone(), added })
    }
}

/// The signatures of one head, still to be checked.
#[derive(Debug, Clone)]
pub struct HeadCheck {
    index: u64,
    note: SignedNote,
    keys: Vec<LogKey>,
    added: Option<u64>,
}

impl HeadCheck {
    /// What is wrong with the signatures.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let (mut live, mut older, mut newer) = (false, false, false);
        for known in &self.keys {
            match self.note.check([&known.key]) {
                Err(error) => return Some(Fault::at(self.index, Class::Signature, format!("its head: {error}"))),
                Ok(0) => {}
                Ok(_) if known.retired.is_some() => {}
                Ok(_) => {
                    live = true;
                    newer |= self.added == Some(known.added);
                    older |= self.added.is_some_and(|added| known.added < added);
                }
            }
        }
        if !live {
            return Some(Fault::at(self.index, Class::Key, "no live key signed its head"));
        }
        let words = "its head brings in a key and is not signed by both an older live key and the new one";
        (self.added.is_some() && !(older && newer)).then(|| Fault::at(self.index, Class::Key, words))
    }
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
    pub fn lines<L: AsRef<[u8]> + Sync>(&mut self, lines: &[L]) {
        let knows = self.knows;
        self.nodes.clear();
        for seen in on_threads(self.threads, lines, |line| see(line.as_ref(), knows)) {
            self.tip.take(&seen, &mut self.faults, &mut self.nodes);
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
