//! What a verification found, for people and for machines.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use crate::ledger::fault::{Class, Fault, Faults};

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
    /// The keys that may sign after the last entry; of lines and of a proof, none.
    pub keys: Vec<String>,
    /// How many signed heads were checked.
    pub heads: u64,
    /// How many heads have a wrong root; only the first is among the faults, since each wrong entry makes all later ones wrong.
    pub roots_wrong: u64,
    /// What came of the disclosures.
    pub disclosures: Disclosures,
    /// Whether the log is whole as far as anybody outside knows.
    pub freshness: Freshness,
    /// The entry, when a proof was verified.
    pub entry: Option<String>,
    /// What is not wrong but worth knowing.
    pub remarks: Vec<String>,
    /// All that is wrong, at most 1,000 in full.
    pub faults: Faults,
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
            keys: Vec::new(),
            heads: 0,
            roots_wrong: 0,
            disclosures: Disclosures::default(),
            freshness: Freshness::Unproven,
            entry: None,
            remarks: Vec::new(),
            faults: Faults::default(),
        }
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
        let unread = self.faults.more == 0 && self.faults.kept.iter().all(|fault| fault.class == Class::Io);
        !self.holds() && unread
    }

    /// What is wrong, in the order of the entries.
    #[must_use]
    pub fn found(&self) -> &[Fault] {
        &self.faults.kept
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_struct("Report", 16)?;
        map.serialize_field("holds", &self.holds())?;
        map.serialize_field("unchecked", &self.unchecked())?;
        map.serialize_field("subject", &self.subject)?;
        map.serialize_field("origin", &self.origin)?;
        map.serialize_field("log_id", &self.log_id)?;
        map.serialize_field("size", &self.size)?;
        map.serialize_field("root", &self.root)?;
        map.serialize_field("head", &self.head)?;
        map.serialize_field("keys", &self.keys)?;
        map.serialize_field("heads", &self.heads)?;
        map.serialize_field("roots_wrong", &self.roots_wrong)?;
        map.serialize_field("disclosures", &self.disclosures)?;
        map.serialize_field("freshness", &self.freshness)?;
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
        let origin = self.origin.as_deref().unwrap_or("a log without a name");
        write!(f, "{origin}: {} entries, {} signed heads, root {}: ", self.size, self.heads, self.root)?;
        if self.unchecked() {
            return f.write_str("COULD NOT BE CHECKED");
        }
        if !self.holds() {
            return f.write_str("DOES NOT VERIFY");
        }
        match &self.freshness {
            Freshness::Unproven => f.write_str("consistent; freshness unproven (give an anchor)"),
            Freshness::Anchored { size, after: 0 } => write!(f, "verified, and anchored over all its {size} entries"),
            Freshness::Anchored { size, after } => {
                write!(
                    f,
                    "verified, and anchored over the first {size} entries; freshness of the {after} after them unproven"
                )
            }
            Freshness::Contradicted => f.write_str("CONTRADICTED by an anchor"),
        }
    }
}
