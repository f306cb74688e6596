//! Verifying a ledger's folder, a public copy, an export, a list of lines or a proof: every fault with its index, all of them, and it
//! ends on any input.
//!
//! Inside a log no cryptography can show that its tail was cut off, or that it was rewritten with a live key. That takes
//! a memory elsewhere: an [`Anchor`]. Without one the report says that freshness is unproven.

mod anchor;
mod clear;
mod folder;
mod lines;
mod public;
mod report;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use self::{
    anchor::{Anchor, AnchorError},
    public::{DirFetch, Fetch},
    report::{Disclosures, Freshness, Report, Subject},
};
use super::{
    check::{Knows, Tip, Walk},
    fault::{Class, Fault},
    files,
    hash::Hash,
    note::VerifierKey,
    open::{OnProgress, Progress},
    proof::{PROOF_HEADER, PROOF_MAX_BYTES, Proof, ProofError},
    tree::{Frontier, Nodes, peaks, stored_index},
};
pub(crate) use clear::FILE as CLEAR_FILE;

/// How many faults are enough: a log with so many is not worth reading on.
const FAULTS_STOP: u64 = 100_000;

/// How a log is verified.
pub struct VerifyOptions<'a> {
    /// Whether a kind is known beside the ledger's own ones.
    pub knows: Knows,
    /// Heads that were kept elsewhere.
    pub anchors: Vec<Anchor>,
    /// The first key of the log, if the verifier has pinned it; for a proof, the key that signed its head.
    pub key: Option<VerifierKey>,
    /// Told now and then.
    pub progress: OnProgress<'a>,
    /// How many threads check.
    pub threads: usize,
}

impl VerifyOptions<'_> {
    /// The usual options: no anchors, nothing pinned, all processors.
    #[must_use]
    pub fn new(knows: Knows) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { knows, anchors: Vec::new(), key: None, progress: Box::new(|_| ()), threads }
    }
}

/// Why there is nothing to verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no such path.
    #[error("there is no file or folder {0}")]
    NotFound(String),
    /// The path holds nothing that looks like a ledger.
    #[error("{0} is neither a ledger's folder, nor a public copy, an export, a list of entries or a proof")]
    NotALedger(String),
    /// The path holds nothing that looks like a ledger, but a folder in it does.
    #[error("{path} is no ledger itself, but `{ledger}` in it seems to be one: verify that")]
    Inside {
        /// What was to be verified.
        path: String,
        /// What is in it.
        ledger: String,
    },
    /// A list of something else.
    #[error(
        "{0} is not a list of entries: that is `log.jsonl` of an export; what else is in an export is verified with its folder"
    )]
    NotEntries(String),
    /// A journal stands beside the files of a copy: one of them would be verified in the place of the other.
    #[error(
        "{0} holds both a `journal/` and a `checkpoint`, and nothing that we write does: verify the one that belongs \
         there, without the other"
    )]
    Both(String),
    /// A proof can only be checked with the key that signed its head.
    #[error(
        "a proof is checked with the key of its log that signed its head, and none was given: give it with `--key KEY`; \
         `verify` of the log or its public copy lists those that are live"
    )]
    NoKey,
}

/// Verifies what lies at a path, whatever it is. Blocks.
///
/// # Errors
/// [`VerifyError`], when there is nothing to verify at all; whatever is wrong with a log is in the report, and so is what could
/// not be read.
pub fn verify(path: &Path, options: VerifyOptions<'_>) -> Result<Report, VerifyError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => verify_dir(path, options),
        Ok(found) if found.is_file() => verify_file(path, options),
        Ok(_) => Err(VerifyError::NotALedger(path.display().to_string())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(VerifyError::NotFound(path.display().to_string()))
        }
        Err(error) => Ok(Report::unread(path, &error)),
    }
}

fn verify_dir(path: &Path, options: VerifyOptions<'_>) -> Result<Report, VerifyError> {
    // What is in a folder that may not be read is not seen, and so not said to be missing.
    let (journal, copy) = match (path.join("journal").try_exists(), path.join("checkpoint").try_exists()) {
        (Ok(journal), Ok(copy)) => (journal, copy),
        (Err(error), _) => return Ok(Report::unread(&path.join("journal"), &error)),
        (_, Err(error)) => return Ok(Report::unread(&path.join("checkpoint"), &error)),
    };
    let beside_entries = || ["tile", "log.jsonl"].iter().any(|name| path.join(name).exists());
    match (journal, copy) {
        (true, true) => Err(VerifyError::Both(path.display().to_string())),
        (true, false) => folder::verify(path, options),
        (false, false) if !folder::traces(path).is_empty() => folder::verify(path, options),
        (false, false) if !beside_entries() => Err(inside(path)),
        (false, _) => {
            let fetch = DirFetch::new(path);
            let mut report = public::verify(&fetch, options);
            if !report.given_up() && !report.cut_short && !report.unchecked() {
                lines::compare(&path.join("log.jsonl"), &mut report);
                clear::compare(path, &fetch, &mut report);
            }
            Ok(report.finish())
        }
    }
}

/// Looks for a ledger or a copy right below a folder that is none.
fn inside(path: &Path) -> VerifyError {
    let below = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let kept = |below: &PathBuf| below.join("journal").is_dir();
    let ledger = below.filter(|below| kept(below) || below.join("checkpoint").is_file());
    let ledger = ledger.min_by_key(|below| (!kept(below), below.clone()));
    let path = path.display().to_string();
    match ledger {
        Some(ledger) => VerifyError::Inside { path, ledger: ledger.display().to_string() },
        None => VerifyError::NotALedger(path),
    }
}

fn verify_file(path: &Path, options: VerifyOptions<'_>) -> Result<Report, VerifyError> {
    let start = match files::read_some(path, PROOF_MAX_BYTES as u64) {
        Ok(start) => start,
        Err(error) => return Ok(Report::unread(path, &error)),
    };
    if start.starts_with(PROOF_HEADER.as_bytes()) {
        return verify_proof(&start, &options);
    }
    if start.first() != Some(&b'{') {
        return Err(VerifyError::NotALedger(path.display().to_string()));
    }
    if lines::of_something_else(&start) {
        return Err(VerifyError::NotEntries(path.display().to_string()));
    }
    Ok(lines::verify(path, options).unwrap_or_else(|error| Report::unread(path, &error)).finish())
}

/// Verifies a public copy wherever it can be fetched from. Blocks.
#[must_use]
pub fn verify_public(fetch: &dyn Fetch, options: VerifyOptions<'_>) -> Report {
    public::verify(fetch, options).finish()
}

/// Verifies a proof whose `extra` is the entry's line.
fn verify_proof(text: &[u8], options: &VerifyOptions<'_>) -> Result<Report, VerifyError> {
    let key = options.key.as_ref().ok_or(VerifyError::NoKey)?;
    let mut report = Report::of(Subject::Proof);
    let text = std::str::from_utf8(text).unwrap_or_default();
    let checked = Proof::parse(text).and_then(|proof| {
        report.size = proof.head.size;
        report.root = hex::encode(proof.head.root);
        report.origin = Some(proof.head.origin.clone());
        report.heads = 1;
        report.index = Some(proof.index);
        let line = proof.extra.as_deref();
        report.entry = line.and_then(|line| std::str::from_utf8(line).ok()).map(str::to_owned);
        let checked = match proof.check(line.unwrap_or_default(), std::slice::from_ref(key)) {
            // The signature was checked before that.
            Ok(()) | Err(ProofError::NotIncluded(_)) if line.is_none() => {
                let words = "the proof carries no entry, as it has no `extra` line: it can only be checked by who has the entry";
                report.faults.add(Fault::of_log(Class::Io, words));
                Ok(())
            }
            checked => checked,
        };
        // Of a head that nobody is seen to have signed, an anchor says nothing.
        if matches!(checked, Ok(()) | Err(ProofError::NotIncluded(_))) {
            anchor::compare_head(&options.anchors, &proof.head, key, &mut report);
        }
        checked
    });
    if let Err(error) = checked {
        let class = if matches!(error, ProofError::NotSigned(_)) { Class::Key } else { Class::Signature };
        report.faults.add(Fault::of_log(class, error.to_string()));
    }
    Ok(report.finish())
}

/// All complete nodes of a log, in memory.
#[derive(Debug, Default)]
pub(crate) struct AllNodes(pub Vec<Hash>);

impl Nodes for AllNodes {
    type Error = io::Error;

    fn node(&self, level: u32, n: u64) -> io::Result<Hash> {
        let at = usize::try_from(stored_index(level, n)).ok().and_then(|at| self.0.get(at));
        at.copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl AllNodes {
    /// The root of the first `size` entries, if there are so many.
    pub(crate) fn root(&self, size: u64) -> Option<Hash> {
        Some(Frontier::from_peaks(size, peaks(self, size).ok()?)?.root())
    }
}

/// What the walk over a log leaves for the comparisons after it.
struct Walked<'a> {
    walk: Walk,
    nodes: AllNodes,
    report: Report,
    progress: OnProgress<'a>,
    /// How many entries there will be, when it is not known how many bytes.
    expected: Option<u64>,
    done: Progress,
    /// Whether all keys that may sign are known: not when a head that took one in is missing.
    keys_known: bool,
}

impl<'a> Walked<'a> {
    fn new(subject: Subject, knows: Knows, threads: usize, progress: OnProgress<'a>, total_bytes: u64) -> Self {
        Self {
            walk: Walk::new(Tip::default(), knows, threads),
            nodes: AllNodes::default(),
            report: Report::of(subject),
            progress,
            expected: None,
            done: Progress { done_bytes: 0, total_bytes, entries: 0 },
            keys_known: true,
        }
    }

    /// Keeps the nodes of the last wave, and tells how far it is.
    fn keep(&mut self, bytes: u64) {
        self.nodes.0.extend_from_slice(&self.walk.nodes);
        self.done.done_bytes += bytes;
        self.done.entries = self.walk.tip.size();
        if let Some(expected) = self.expected {
            // Of a copy nobody knows how long it is: the rest is taken for as long as what was read.
            let all = u128::from(self.done.done_bytes) * u128::from(expected) / u128::from(self.done.entries.max(1));
            self.done.total_bytes = u64::try_from(all).unwrap_or(u64::MAX).max(self.done.done_bytes);
        }
        (self.progress)(self.done);
    }

    /// Whether so much is wrong that the log is not read on.
    fn given_up(&mut self) -> bool {
        if !self.report.given_up() && self.walk.faults.count() >= FAULTS_STOP {
            let size = self.walk.tip.size();
            let words = format!("the log was not read beyond entry {size}, nor what lies beside it: too much is wrong");
            self.report.faults.add(Fault::of_log(Class::Limit, words));
        }
        self.report.given_up()
    }

    /// Compares with what the verifier knew before, and writes the report.
    fn conclude(mut self, anchors: &[Anchor], pinned: Option<&VerifierKey>) -> (Report, AllNodes, Tip) {
        let tip = &self.walk.tip;
        let first = tip.opened.as_ref().map(|opened| &opened.key);
        let unseen = self.report.cut_short && tip.size() == 0;
        if let Some(pinned) = pinned.filter(|pinned| !unseen && first != Some(*pinned)) {
            self.walk.faults.add(Fault::at(0, Class::Key, not_the_first(tip, pinned)));
        }
        // What was not read to its end can't be compared with anything.
        if self.report.cut_short {
            let followed = match tip.size() {
                0 => "nothing of the log was followed".to_owned(),
                size => format!("the log was followed for its first {size} entries, and no further"),
            };
            self.report.remarks.push(format!("{followed}: its signed head and the anchors were not compared with it"));
        } else if !self.report.given_up() {
            // A log has its entry 0 from its first moment on.
            if tip.size() == 0 {
                let words = "there is no entry 0: either nothing was ever written here, or all of it is gone";
                self.walk.faults.add(Fault::of_log(Class::Kind, words));
            }
            let keys_known = self.keys_known && tip.opened.is_some();
            anchor::compare(anchors, tip, &self.nodes, keys_known, &mut self.report);
        }
        self.report.first_key = first.map(ToString::to_string);
        self.report.origin = tip.opened.as_ref().map(|opened| opened.origin.clone());
        self.report.log_id = tip.opened.as_ref().map(|opened| hex::encode(opened.log_id));
        // Of lines alone nobody can say who vouched for the keys in them.
        let keys = tip.live().filter(|_| self.keys_known && self.report.subject != Subject::Lines);
        self.report.keys = keys.map(ToString::to_string).collect();
        self.report.size = tip.size();
        self.report.root = hex::encode(tip.tree.root());
        self.report.heads = self.walk.heads;
        self.report.roots_wrong = self.walk.roots_wrong();
        let found = std::mem::take(&mut self.walk.faults);
        self.report.faults.more += found.more;
        self.report.faults.extend(found.kept);
        (self.report, self.nodes, self.walk.tip)
    }
}

/// That a log begins with another key than the one that was pinned.
fn not_the_first(tip: &Tip, pinned: &VerifierKey) -> String {
    let Some(opened) = &tip.opened else {
        return format!("the log does not begin with the pinned key {pinned}");
    };
    let later = tip.keys.iter().find(|known| *known.key == *pinned);
    let later = later.map_or_else(String::new, |known| format!(", which came in at entry {}", known.added));
    format!("the log begins with the key {}, and not with the pinned one, {pinned}{later}", opened.key)
}

#[cfg(test)]
mod tests;
