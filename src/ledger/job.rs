//! One call of append, on its way to the writer and back.

use std::sync::Arc;

use super::{
    disclosure::Disclosure,
    draft::{AppendError, Committed, ENCODED_MAX_BYTES, JOB_MAX_BYTES, Ready},
    hash::Hash,
    time::Micros,
};

/// What has a draft in a frame beside its front and its disclosures, at most: the rest of the line, and lengths.
const LINE_AROUND_BYTES: usize = 320;

/// What a disclosure has in line and frame beside its own bytes: digest, subject, length, nonce and tag, salt and quotes.
const DISCLOSURE_AROUND_BYTES: usize = 256;

/// How long a byte of text can become: escaped, and then in base64.
const BYTE_ENCODED_BYTES: usize = 8;

/// One call of append. What it holds is made, and freed, by the caller: the thread that commits it looks at it once. That is
/// done where it lies in the list of calls: each pointer that has to be followed into another processor's memory costs as
/// much as the hash of a line.
#[derive(Debug)]
pub(crate) struct Job {
    /// The size that the caller saw, when it matters.
    pub expected: Option<u64>,
    /// When; never written smaller than the time before.
    pub time: Micros,
    /// The first draft; most calls have no other.
    pub draft: Ready,
    /// Those after it.
    pub others: Vec<Ready>,
    /// How many bytes its fronts and disclosures have.
    pub bytes: usize,
    /// More than it takes in a frame: one that would take more than a job may is refused before it is in.
    pub frame_max_bytes: usize,
    /// Once it is staged: the index of its first entry, and the leaf hash of each.
    pub first: u64,
    pub leaves: Vec<Hash>,
    /// Why it was not staged.
    pub refused: Option<AppendError>,
}

/// What came of a commit, for all who had a part in it.
#[derive(Debug)]
pub(crate) struct Done {
    pub size: u64,
    pub root: Hash,
    pub head: Arc<str>,
    /// Why a key could not be destroyed.
    pub key_left: Option<Arc<str>>,
}

impl Job {
    pub fn new(expected: Option<u64>, time: Micros, draft: Ready, others: Vec<Ready>) -> Self {
        let drafts = || std::iter::once(&draft).chain(&others);
        let values = |draft: &Ready| draft.disclosures.iter().map(|one| one.value.len()).sum::<usize>();
        let bytes = drafts().map(|draft| draft.front.len() + values(draft)).sum();
        let disclosures = drafts().map(|draft| draft.disclosures.len()).sum::<usize>();
        let around = drafts().count() * LINE_AROUND_BYTES + disclosures * DISCLOSURE_AROUND_BYTES;
        let frame_max_bytes = drafts().map(Ready::frame_max_bytes).sum::<usize>().min(JOB_MAX_BYTES + around);
        let leaves = Vec::with_capacity(drafts().count());
        Self { expected, time, draft, others, bytes, frame_max_bytes, first: 0, leaves, refused: None }
    }

    /// What its caller is told, when the commit that it was to be part of came to that.
    pub fn told(self, done: Result<Arc<Done>, AppendError>) -> Result<Committed, AppendError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let done = done?;
        Ok(Committed {
            first: self.first,
            size: done.size,
            root: done.root,
            leaves: self.leaves,
            head: Arc::clone(&done.head),
            key_left: done.key_left.clone(),
        })
    }
}

impl Ready {
    /// More than it takes in a frame.
    fn frame_max_bytes(&self) -> usize {
        let text = |one: &Disclosure| BYTE_ENCODED_BYTES * (one.value.len() + one.name.len());
        let sealed = |one| DISCLOSURE_AROUND_BYTES + text(one).min(ENCODED_MAX_BYTES);
        LINE_AROUND_BYTES + self.front.len() + self.disclosures.iter().map(sealed).sum::<usize>()
    }
}
