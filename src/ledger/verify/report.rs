//! What a verification found, for people and for machines.

use std::{fmt, io, path::Path};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use crate::ledger::{
    fault::{Class, Fault, Faults},
    line::Line,
};

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A ledger's own folder.
    Folder,
    /// A public copy or an export.
    Public,
    /// Lines without heads.
    Lines,
    /// One proof.
    Proof,
    /// Nobody knows: it could not be read.
    Unread,
}

/// Whether the log is known to be as long as it ever was, and not rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Freshness {
    /// Nothing outside was compared: the tail may be cut, the whole may be rewritten by who holds the key.
    Unproven,
    /// The log agrees with what was kept elsewhere.
    Anchored {
        /// Entries under the largest anchor that agrees.
        size: u64,
        /// Entries after it, of which no anchor speaks.
        after: u64,
    },
    /// What was kept elsewhere contradicts the log.
    Contradicted,
}

/// How many disclosures were looked at, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Disclosures {
    /// Opened, or found in clear, and one that its entry has a digest of.
    pub opened: u64,
    /// Can't be opened, because their people were erased. That each is of whom it is said to be of is nowhere signed.
    pub erased: u64,
    /// Can't be opened, although nobody was erased: each is a fault.
    pub without_key: u64,
    /// Were not opened, as the whole folder of keys is kept elsewhere or can't be read: no fault, and nothing is known of them.
    pub not_opened: u64,
}

/// The findings.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was verified.
    pub subject: Subject,
    /// The log's name.
    pub origin: Option<String>,
    /// The log's id, in hex.
    pub log_id: Option<String>,
    /// Number of entries.
    pub size: u64,
    /// The root over them, in hex.
    pub root: String,
    /// The newest signed head that holds.
    pub head: Option<String>,
    /// The key that entry 0 names.
    pub first_key: Option<String>,
    /// The keys that may sign after the last entry; of lines and of a proof, none, and none when that is not known.
    pub keys: Vec<String>,
    /// How many signed heads were checked.
    pub heads: u64,
    /// How many heads have a wrong root; only the first is among the faults, since each wrong entry makes all later ones wrong.
    pub roots_wrong: u64,
    /// What came of the disclosures.
    pub disclosures: Disclosures,
    /// Whether the log is whole as far as anybody outside knows.
    pub freshness: Freshness,
    /// The index of the entry, when a proof was verified.
    pub index: Option<u64>,
    /// The entry, when a proof was verified.
    pub entry: Option<String>,
    /// What is not wrong but worth knowing.
    pub remarks: Vec<String>,
    /// All that is wrong, at most 1,000 in full.
    pub faults: Faults,
    /// Whether the log could not be followed to its end, so that nothing is said of what comes after.
    pub(super) cut_short: bool,
    /// How many of the faults are that an anchor is of another log.
    pub(super) strange_anchors: u64,
}

impl Report {
    pub(super) fn of(subject: Subject) -> Self {
        Self {
            subject,
            origin: None,
            log_id: None,
            size: 0,
            root: String::new(),
            head: None,
            first_key: None,
            keys: Vec::new(),
            heads: 0,
            roots_wrong: 0,
            disclosures: Disclosures::default(),
            freshness: Freshness::Unproven,
            index: None,
            entry: None,
            remarks: Vec::new(),
            faults: Faults::default(),
            cut_short: false,
            strange_anchors: 0,
        }
    }

    /// The report of what could not be read.
    pub(super) fn unread(path: &Path, error: &io::Error) -> Self {
        let mut report = Self::of(Subject::Unread);
        report.faults.add(Fault::of_log(Class::Io, format!("{} could not be read: {error}", path.display())));
        report
    }

    /// Whether the log was not read to its end, since too much is wrong with it.
    pub(super) fn given_up(&self) -> bool {
        self.faults.kept.iter().any(|fault| fault.class == Class::Limit)
    }

    /// Puts the faults in order.
    pub(super) fn finish(mut self) -> Self {
        self.faults.kept.sort_by_key(|fault| (fault.index.is_none(), fault.index, fault.class));
        self.faults.kept.dedup();
        self
    }

    /// Whether nothing is wrong. It is not a plain OK while [`Report::freshness`] is unproven.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether nothing was found but that something could not be read: then the log was not checked, and nothing says that
    /// anybody tampered with it.
    #[must_use]
    pub fn unchecked(&self) -> bool {
        // The first of each class is always kept.
        !self.holds() && self.faults.kept.iter().all(|fault| fault.class == Class::Io)
    }

    /// What is wrong, in the order of the entries.
    #[must_use]
    pub fn found(&self) -> &[Fault] {
        &self.faults.kept
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_struct("Report", 19)?;
        map.serialize_field("holds", &self.holds())?;
        map.serialize_field("unchecked", &self.unchecked())?;
        map.serialize_field("subject", &self.subject)?;
        map.serialize_field("origin", &self.origin)?;
        map.serialize_field("log_id", &self.log_id)?;
        map.serialize_field("size", &self.size)?;
        map.serialize_field("root", &self.root)?;
        map.serialize_field("head", &self.head)?;
        map.serialize_field("first_key", &self.first_key)?;
        map.serialize_field("keys", &self.keys)?;
        map.serialize_field("heads", &self.heads)?;
        map.serialize_field("roots_wrong", &self.roots_wrong)?;
        map.serialize_field("disclosures", &self.disclosures)?;
        map.serialize_field("freshness", &self.freshness)?;
        map.serialize_field("index", &self.index)?;
        map.serialize_field("entry", &self.entry)?;
        map.serialize_field("remarks", &self.remarks)?;
        map.serialize_field("faults", &self.faults.kept)?;
        map.serialize_field("more_faults", &self.faults.more)?;
        map.end()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in self.found() {
            match fault.index {
                Some(index) => writeln!(f, "entry {index}: {}", fault.words)?,
                None => writeln!(f, "{}", fault.words)?,
            }
        }
        if self.faults.more > 0 {
            writeln!(f, "and {} more", self.faults.more)?;
        }
        for remark in &self.remarks {
            writeln!(f, "note: {remark}")?;
        }
        match self.disclosures.erased {
            0 => {}
            1 => writeln!(f, "note: 1 disclosure can't be opened: its person was erased")?,
            many => writeln!(f, "note: {many} disclosures can't be opened: their people were erased")?,
        }
        for key in &self.keys {
            writeln!(f, "live key: {key}")?;
        }
        if self.size == 0 && self.unchecked() {
            return f.write_str("nothing of it was read: COULD NOT BE CHECKED");
        }
        let origin = self.origin.as_deref().unwrap_or("a log without a name");
        if let Some(index) = self.index {
            return self.proved(f, origin, index);
        }
        write!(f, "{origin}: {} entries, {} signed heads, root {}: ", self.size, self.heads, self.root)?;
        if let Some(words) = self.refused() {
            return f.write_str(words);
        }
        match &self.freshness {
            Freshness::Unproven => f.write_str("consistent; freshness unproven (give an anchor)")?,
            Freshness::Anchored { size, after: 0 } => write!(f, "verified, and anchored over all its {size} entries")?,
            Freshness::Anchored { size, after } => {
                write!(
                    f,
                    "verified, and anchored over the first {size} entries; freshness of the {after} after them unproven"
                )?;
            }
            Freshness::Contradicted => f.write_str("CONTRADICTED by an anchor")?,
        }
        match self.disclosures.not_opened {
            0 => Ok(()),
            count => write!(f, "; disclosures not opened: {count}"),
        }
    }
}

impl Report {
    /// The verdict, unless nothing is wrong.
    fn refused(&self) -> Option<&'static str> {
        if self.unchecked() {
            Some("COULD NOT BE CHECKED")
        } else if self.holds() {
            None
        } else if self.strange_anchors == self.faults.count() {
            Some("consistent, but AN ANCHOR IS OF ANOTHER LOG")
        } else {
            Some("DOES NOT VERIFY")
        }
    }

    /// A proof shows one entry, and says nothing of the others.
    fn proved(&self, f: &mut fmt::Formatter<'_>, origin: &str, index: u64) -> fmt::Result {
        if let Some(words) = self.refused() {
            return write!(f, "{origin}: the proof of entry {index}: {words}");
        }
        write!(f, "{origin}: entry {index}")?;
        if let Some(line) = self.entry.as_deref().and_then(|entry| Line::read(entry.as_bytes()).ok()) {
            write!(f, " ({}, {})", line.kind, line.time.text().unwrap_or_default())?;
        }
        write!(f, " is in the log of {} entries, root {}; ", self.size, self.root)?;
        match &self.freshness {
            Freshness::Unproven => f.write_str("freshness unproven (give an anchor)"),
            Freshness::Anchored { .. } => f.write_str("an anchor has the same root"),
            Freshness::Contradicted => f.write_str("CONTRADICTED by an anchor"),
        }
    }
}
