//! What is handed to the ledger, and why it may refuse it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    canon::{self, NotCanonical},
    disclosure::{DISCLOSURE_MAX_BYTES, DISCLOSURES_MAX, Disclosure},
    hash::Hash,
    ids::SubjectId,
    kinds,
    line::{self, Front},
};

/// Most drafts in one call of append.
pub const DRAFTS_MAX: usize = 256;

/// Longest encoded disclosure; escapes and base64 make it longer than its value.
pub const ENCODED_MAX_BYTES: usize = 1_000_000;

/// Most bytes of lines and disclosures in one call of append.
pub const JOB_MAX_BYTES: usize = 8 * 1024 * 1024;

/// An entry to be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Draft {
    /// `noun.verb`, in the past tense.
    pub kind: String,
    /// The body: no floats, no null, integers within 2^53-1, plain ASCII keys. It must hold no personal data.
    pub body: Map<String, Value>,
    /// The personal data. The person's sealing key is made when it is first needed.
    pub disclosures: Vec<Disclosure>,
}

/// A batch that was made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Index of the first entry of this call.
    pub first: u64,
    /// Size of the log that the head is over: other calls may have shared the batch, so it can be more than
    /// `first + leaves.len()`.
    pub size: u64,
    /// The root at that size.
    pub root: Hash,
    /// The leaf hash of each entry of this call.
    pub leaves: Vec<Hash>,
    /// The signed head at that size.
    pub head: Arc<str>,
    /// Why the key of somebody whom this batch erases is still there: the record stands, and the next start destroys it.
    pub key_left: Option<Arc<str>>,
}

/// Why nothing was appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log has grown since the caller looked. Nothing was written.
    #[error("the ledger has {actual} entries, not {expected}")]
    Conflict {
        /// What the caller thought.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// A draft can't be an entry. Nothing was written.
    #[error("draft {draft}: {why}")]
    Refused {
        /// Which of the drafts, from 0.
        draft: usize,
        /// Why.
        why: Refused,
    },
    /// The queue is full. Nothing was written; try again.
    #[error("the ledger is busy")]
    Busy,
    /// A write failed, now or before, and the writer has stopped: drop the ledger and open it again. Whether the batch
    /// was written shows then.
    #[error("the ledger can't be written: {0}")]
    Failed(String),
}

impl AppendError {
    /// What is said to those who come when nobody writes any more.
    pub(super) fn stopped() -> Self {
        Self::Failed("its writer has stopped".into())
    }
}

/// Why a draft can't be an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No kind at all.
    #[error("`{0}` is not a kind of the form `noun.verb`")]
    NotAKind(String),
    /// Nobody could read it.
    #[error("the kind `{0}` is unknown to this program")]
    UnknownKind(String),
    /// The ledger writes these itself.
    #[error("only the ledger itself writes `{0}`")]
    Reserved(String),
    /// The body is not in the canonical subset.
    #[error("the body: {0}")]
    Body(#[from] NotCanonical),
    /// The body of an own kind is not what it has to be.
    #[error("a `{0}` needs a `subject`")]
    NoSubject(&'static str),
    /// The line would be longer than an entry can be.
    #[error("the line would have {0} bytes, more than {max}", max = line::LINE_MAX_BYTES)]
    TooLong(usize),
    /// A disclosure over [`DISCLOSURE_MAX_BYTES`], or more than [`DISCLOSURES_MAX`] of them.
    #[error("the disclosures are over their limit of {DISCLOSURES_MAX} with {DISCLOSURE_MAX_BYTES} bytes each")]
    TooMuchDisclosed,
    /// The person was erased, for good.
    #[error("subject {0} was erased")]
    Erased(SubjectId),
    /// More than [`DRAFTS_MAX`] drafts or [`JOB_MAX_BYTES`] bytes at once, or none at all.
    #[error("one append takes 1 to {DRAFTS_MAX} drafts with {JOB_MAX_BYTES} bytes together")]
    BatchSize,
    /// A time outside the years 0 to 9999.
    #[error("the time is outside the years 0 to 9999")]
    Time,
}

/// A draft that is written as far as it can be before its place is known: that work is done on the caller's thread.
#[derive(Debug)]
pub(crate) struct Ready {
    pub front: Front,
    /// Whether it is of one of the ledger's own kinds.
    pub own: bool,
    pub disclosures: Vec<Disclosure>,
    pub erases: Option<SubjectId>,
}

/// Checks a draft and writes its front.
pub(crate) fn ready(draft: Draft, knows: super::check::Knows) -> Result<Ready, Refused> {
    let Draft { kind, body, disclosures } = draft;
    if !line::is_kind(&kind) {
        return Err(Refused::NotAKind(kind));
    }
    if kinds::RESERVED.contains(&&*kind) {
        return Err(Refused::Reserved(kind));
    }
    let own = kinds::OWN.contains(&&*kind);
    if !own && !knows(&kind) {
        return Err(Refused::UnknownKind(kind));
    }
    let too_long = |one: &Disclosure| one.value.len() > DISCLOSURE_MAX_BYTES || one.name.len() > line::KIND_MAX_BYTES;
    if disclosures.len() > DISCLOSURES_MAX || disclosures.iter().any(too_long) {
        return Err(Refused::TooMuchDisclosed);
    }
    let subject = body.get("subject").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let erases = match (&*kind, subject) {
        (kinds::SUBJECT_ERASED, None) => return Err(Refused::NoSubject(kinds::SUBJECT_ERASED)),
        (kinds::SUBJECT_ENROLLED, None) => return Err(Refused::NoSubject(kinds::SUBJECT_ENROLLED)),
        (kinds::SUBJECT_ERASED, subject) => subject,
        _ => None,
    };
    let front = Front::new(&kind, |text| canon::write(&body, text))?;
    Ok(Ready { front, own, disclosures, erases })
}
