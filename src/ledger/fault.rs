//! What a check can find: each fault with the index of its entry and the kind of damage.

use std::collections::BTreeSet;

use serde::Serialize;

/// Most faults of entries that are kept with their words, and as many of the log as a whole; the rest are counted. The first
/// of each class is always kept: a fork must not vanish behind a thousand damaged lines.
pub const FAULTS_MAX: usize = 1_000;

/// What kind of damage a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A line that is not canonical, too long, or not an entry.
    Canonical,
    /// An unknown `v` or `kind`.
    Unknown,
    /// A kind of the ledger's own where it can't be, or with a body it can't have.
    Kind,
    /// An entry that does not follow the one before it.
    Chain,
    /// An index out of order.
    Seq,
    /// A time before the one of the entry before. So nothing can be dated back beyond the last entry under an anchor.
    Time,
    /// A head whose root is not that of the entries.
    Root,
    /// A head that can't be read, or whose signature is wrong.
    Signature,
    /// A head that no live key signed, or a key that came in without an older one.
    Key,
    /// A head or an anchor of another log.
    Origin,
    /// A journal frame or segment that is damaged.
    Frame,
    /// Bytes after the last frame that are none: a write that was never finished, or the end damaged.
    Torn,
    /// The log is shorter than a head that was signed: its tail is gone.
    Behind,
    /// Another history was signed.
    Fork,
    /// Sealed data that does not belong to the line, or can't be opened although its person was not erased.
    Disclosure,
    /// A key that is there although its person was erased.
    Erased,
    /// A tile or bundle of the public copy that is missing or wrong.
    Tile,
    /// A limit of the verifier was reached.
    Limit,
    /// Something could not be read.
    Io,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Index of the entry, when there is one.
    pub index: Option<u64>,
    /// What kind of damage.
    pub class: Class,
    /// One sentence for people, lower case, no full stop.
    pub words: String,
}

impl Fault {
    /// A fault of the entry at `index`.
    pub fn at(index: u64, class: Class, words: impl Into<String>) -> Self {
        Self { index: Some(index), class, words: words.into() }
    }

    /// A fault of the log as a whole.
    pub fn of_log(class: Class, words: impl Into<String>) -> Self {
        Self { index: None, class, words: words.into() }
    }
}

/// The faults found so far, not all of them in full: see [`FAULTS_MAX`].
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The first ones, in the order of finding.
    pub kept: Vec<Fault>,
    /// How many more there were.
    pub more: u64,
    /// How many of those that are kept are of the log as a whole.
    of_log: usize,
    classes: BTreeSet<Class>,
}

impl Faults {
    /// Adds one.
    pub fn add(&mut self, fault: Fault) {
        let of_log = fault.index.is_none();
        let others = if of_log { self.of_log } else { self.kept.len() - self.of_log };
        if self.classes.insert(fault.class) || others < FAULTS_MAX {
            self.of_log += usize::from(of_log);
            self.kept.push(fault);
        } else {
            self.more += 1;
        }
    }

    /// How many there are in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.more + self.kept.len() as u64
    }

    /// Adds several.
    pub fn extend(&mut self, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            self.add(fault);
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
