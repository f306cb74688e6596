//! Verifying a ledger's own folder: the journal, the heads in it, the `head` file, the disclosures, the public copy.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::Path,
    sync::mpsc,
};

use super::{
    AllNodes, DirFetch, Disclosures, Report, Subject, VerifyError, VerifyOptions, Walked,
    public::{self, Copy},
};
use crate::ledger::{
    check::{Tip, on_threads},
    disk::Layout,
    draft::DRAFTS_MAX,
    fault::{Class, Fault, Faults},
    files,
    frame::{BatchRef, Raw, RecordRef},
    ids::SubjectId,
    journal::{self, Piece, SEGMENT_HEADER_BYTES},
    line::Line,
    live,
    note::{Checkpoint, NOTE_MAX_BYTES, SignedNote},
    reader::opened,
    replay::WAVE_FRAMES,
    vault::Vault,
    writer::BATCH_MAX_JOBS,
};

/// How many bytes of frames are checked together, beside the last of them.
const WAVE_BYTES: usize = 4 * 1024 * 1024;

/// Most entries of one frame: what the largest commit can have.
const FRAME_ENTRIES_MAX: usize = BATCH_MAX_JOBS * DRAFTS_MAX;

pub(super) fn verify(path: &Path, options: VerifyOptions<'_>) -> Result<Report, VerifyError> {
    let layout = Layout::new(path);
    // While the service runs, the end of the journal may be being written: what is torn there says nothing. The heads
    // are read before the journal: read after it, those of a ledger that grew meanwhile would be over more than was seen.
    let ran_before = live::in_use(&layout);
    let head_file = files::read(&layout.head(), NOTE_MAX_BYTES as u64);
    let public = layout.public();
    let copied = std::fs::symlink_metadata(public.join("checkpoint"));
    let there = !copied.is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let copy = there.then(|| Copy::open(DirFetch::new(&public)));
    let VerifyOptions { knows, anchors, key, progress, threads } = options;
    let (segments, unreadable) = match journal::segments(&layout.journal()) {
        Ok(segments) => (segments, None),
        Err(error) => (Vec::new(), Some(Fault::of_log(Class::Io, format!("the journal could not be read: {error}")))),
    };
    let traces = traces(path);
    if segments.is_empty() && unreadable.is_none() && traces.is_empty() {
        return Err(VerifyError::NotALedger(path.display().to_string()));
    }
    let total = segments.iter().filter_map(|(_, path)| path.metadata().ok()).map(|found| found.len()).sum();
    let mut walked = Walked::new(Subject::Folder, knows, threads, progress, total);
    let mut people = People::at(&layout, threads);
    walked.report.cut_short = unreadable.is_some();
    walked.walk.faults.extend(unreadable);
    if !walked.report.cut_short && !layout.journal().exists() {
        let beside: Vec<String> = traces.iter().map(|name| format!("`{name}`")).collect();
        let words = format!("there is no `journal/`, though there is what lies beside one: {}", beside.join(", "));
        walked.walk.faults.add(Fault::of_log(Class::Frame, words));
    }
    let last = segments.last().map(|(number, _)| *number);
    let layout = &layout;
    std::thread::scope(|scope| {
        // The next segment is read while this one is checked; no more than that is held in memory.
        let (to, read) = mpsc::sync_channel(0);
        scope.spawn(move || {
            segments.into_iter().try_for_each(|(number, path)| {
                let written = || Some(number) == last && live::in_use(layout);
                to.send((number, live::read(&path, number, written)))
            })
        });
        let mut due = 0;
        for (number, bytes) in read {
            if let Some(words) = out_of_order(due, number) {
                walked.fault(Class::Frame, words);
                if number > due {
                    // Nothing after it can be placed.
                    walked.report.cut_short = true;
                    break;
                }
            }
            due = number.saturating_add(1);
            match bytes {
                Ok(bytes) => {
                    let being_written = || Some(number) == last && (ran_before || live::in_use(layout));
                    let placed = walked.segment(number, &bytes, being_written, &mut people);
                    walked.report.cut_short = !placed && Some(number) != last;
                }
                Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                    walked.fault(Class::Limit, format!("segment {number} can't be read: {error}"));
                }
                Err(error) if files::wrong(&error) => {
                    walked.report.cut_short = Some(number) != last;
                    walked.fault(Class::Frame, format!("segment {number} can't be read: {error}"));
                }
                // Without it, nothing after it can be placed.
                Err(error) => {
                    walked.report.cut_short = true;
                    walked.fault(Class::Io, format!("segment {number} could not be read: {error}"));
                }
            }
            if walked.report.cut_short || walked.given_up() {
                break;
            }
        }
    });
    if walked.report.cut_short || walked.given_up() {
        return Ok(walked.conclude(&anchors, key.as_ref()).0.finish());
    }
    let mut head_faults = Faults::default();
    let tip = walked.walk.tip.clone();
    let head = check_head(head_file, &tip, &walked.nodes, &mut head_faults, &mut walked.report.remarks);
    walked.report.disclosures = people.conclude(&tip, &mut head_faults, &mut walked.report.remarks);
    walked.walk.faults.extend(head_faults.kept);
    let (mut report, nodes, _) = walked.conclude(&anchors, key.as_ref());
    report.head = head;
    if let Some(copy) = copy {
        copy.compare(&tip, &nodes, threads, ran_before || live::in_use(layout), &mut report);
    }
    Ok(report.finish())
}

impl Walked<'_> {
    fn fault(&mut self, class: Class, words: impl Into<String>) {
        let index = self.walk.tip.size();
        self.walk.faults.add(Fault::at(index, class, words));
    }

    /// Whether what stands in it could be placed.
    fn segment(&mut self, number: u64, bytes: &[u8], being_written: impl Fn() -> bool, people: &mut People) -> bool {
        let (pieces, end) = if let Some((first, pieces, end)) = journal::pieces(bytes, number) {
            if first != self.walk.tip.size() {
                self.fault(Class::Frame, format!("segment {number} begins at {first}"));
            }
            (pieces, end)
        } else {
            // Each frame says itself where it belongs.
            let behind = bytes.get(SEGMENT_HEADER_BYTES..).unwrap_or_default();
            let (pieces, end) = journal::pieces_from(behind, SEGMENT_HEADER_BYTES);
            let rest =
                if pieces.is_empty() { "nothing behind it can be read" } else { "what stands behind it was read" };
            self.fault(Class::Frame, format!("segment {number} has a damaged header; {rest}"));
            if pieces.is_empty() {
                return false;
            }
            (pieces, end)
        };
        let mut rest = &*pieces;
        while let Some((wave, after)) = rest.split_at_checked(wave(rest)).filter(|(wave, _)| !wave.is_empty()) {
            self.pieces(wave, people);
            if self.given_up() {
                return true;
            }
            rest = after;
        }
        if end.torn() && !being_written() {
            let words = format!("{} bytes at the end of segment {number} are no whole frame", end.until - end.at);
            self.fault(Class::Torn, words);
        }
        true
    }

    fn pieces(&mut self, pieces: &[Piece<'_>], people: &mut People) {
        let (mut batches, mut broken) = (Vec::new(), Vec::new());
        let mut due = self.walk.tip.size();
        for piece in pieces {
            let raw = match piece {
                Piece::Frame(raw) => Some(raw),
                Piece::Broken(raw) => {
                    broken.push(Fault::at(due, Class::Frame, "its frame has a wrong checksum"));
                    Some(raw)
                }
                Piece::Gap { bytes } => {
                    broken.push(Fault::at(due, Class::Frame, format!("{bytes} bytes are no frame")));
                    None
                }
            };
            match raw.map(Raw::decode) {
                Some(Some(batch)) if batch.records.len() > FRAME_ENTRIES_MAX => {
                    let words = "its frame has more entries than one commit can have";
                    broken.push(Fault::at(due, Class::Limit, words));
                }
                Some(Some(batch)) => {
                    due += batch.records.len() as u64;
                    batches.push(batch);
                }
                Some(None) => broken.push(Fault::at(due, Class::Frame, "its frame is no batch")),
                None => {}
            }
        }
        self.walk.faults.extend(broken);
        people.wave(&batches, &mut self.walk.faults);
        self.walk.wave(&batches);
        let bytes = batches.iter().flat_map(|batch| &batch.records).map(|record| record.line.len() as u64).sum();
        self.keep(bytes);
    }
}

/// What of a ledger's folder is here beside the journal.
pub(super) fn traces(path: &Path) -> Vec<&'static str> {
    let layout = Layout::new(path);
    // What others have too is looked at more closely.
    let keys = || Vault::at(&layout.keys()).subjects().is_ok_and(|subjects| !subjects.is_empty());
    let there = [
        ("head", layout.head().is_file()),
        ("public/checkpoint", layout.public().join("checkpoint").is_file()),
        ("keys/", keys()),
        ("sled/", layout.index().is_dir()),
    ];
    there.into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
}

/// What is wrong when a segment is met where another one is due.
fn out_of_order(due: u64, met: u64) -> Option<String> {
    match met.checked_sub(due) {
        Some(0) => None,
        Some(1) => Some(format!("segment {due} of the journal is missing")),
        Some(_) => Some(format!("segments {due} to {} of the journal are missing", met - 1)),
        None => Some(format!("there is more than one segment {met} of the journal")),
    }
}

/// How many pieces are checked together.
fn wave(pieces: &[Piece<'_>]) -> usize {
    let mut bytes = 0;
    let more = |piece: &&Piece<'_>| {
        let before = bytes;
        bytes += match piece {
            Piece::Frame(raw) | Piece::Broken(raw) => raw.frame_bytes(),
            Piece::Gap { .. } => 0,
        };
        before < WAVE_BYTES
    };
    pieces.iter().take(WAVE_FRAMES).take_while(more).count()
}

/// Checks the `head` file, and gives the newest head that holds.
fn check_head(
    read: std::io::Result<Vec<u8>>,
    tip: &Tip,
    nodes: &AllNodes,
    faults: &mut Faults,
    remarks: &mut Vec<String>,
) -> Option<String> {
    let text = match read.map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => {
            faults.add(Fault::of_log(Class::Signature, format!("the `head` file: {error}")));
            return None;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            remarks.push("there is no `head` file beside the journal, so a cut tail would not show".into());
            return None;
        }
        Err(error) => {
            let class = if files::wrong(&error) { Class::Signature } else { Class::Io };
            faults.add(Fault::of_log(class, format!("the `head` file could not be read: {error}")));
            return None;
        }
    };
    let fault = public::head_fault(&text, tip, nodes, true, "the `head` file");
    let holds = fault.is_none() && tip.opened.is_some();
    faults.extend(fault);
    let size = SignedNote::parse(&text).and_then(|note| Checkpoint::parse(&note.text)).map_or(0, |head| head.size);
    if holds && size < tip.size() {
        remarks.push(format!("the `head` file is over the first {size} entries"));
    }
    holds.then_some(text)
}

/// The disclosures and the keys of people.
struct People {
    vault: Vault,
    /// Why none of the keys is here, when the whole folder is not there or can't be read.
    no_keys: Option<String>,
    /// Whose key isn't there, and what needs it.
    missing: BTreeMap<SubjectId, Needs>,
    /// Whose key could not be read, what needs it, and why.
    unread: BTreeMap<SubjectId, (Needs, String)>,
    opened: u64,
    threads: usize,
}

/// What needs a key that isn't there.
struct Needs {
    first: u64,
    last: u64,
    count: u64,
}

impl Needs {
    fn at(index: u64) -> Self {
        Self { first: index, last: index, count: 0 }
    }

    fn add(&mut self, index: u64) {
        *self = Self { first: self.first.min(index), last: self.last.max(index), count: self.count + 1 };
    }
}

/// What came of the disclosures of one entry.
#[derive(Default)]
struct Looked {
    index: u64,
    opened: u64,
    missing: Vec<SubjectId>,
    unread: Vec<(SubjectId, String)>,
    wrong: Vec<Fault>,
}

impl People {
    fn at(layout: &Layout, threads: usize) -> Self {
        let vault = Vault::at(&layout.keys());
        // Its names may be listed and its files out of reach.
        let no_keys = match vault.subjects().and_then(|_| layout.keys().join(".").metadata()) {
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::NotFound => Some("there is no `keys/` here".to_owned()),
            Err(error) => Some(format!("`keys/` could not be read: {error}")),
        };
        Self { vault, no_keys, missing: BTreeMap::new(), unread: BTreeMap::new(), opened: 0, threads }
    }

    fn wave(&mut self, batches: &[BatchRef<'_>], faults: &mut Faults) {
        let vault = &self.vault;
        let found = on_threads(self.threads, batches, |batch| {
            batch.records.iter().filter_map(|record| disclosures(vault, record)).collect::<Vec<_>>()
        });
        for Looked { index, opened, missing, unread, wrong } in found.into_iter().flatten() {
            self.opened += opened;
            for subject in missing {
                self.missing.entry(subject).or_insert_with(|| Needs::at(index)).add(index);
            }
            for (subject, why) in unread {
                self.unread.entry(subject).or_insert_with(|| (Needs::at(index), why)).0.add(index);
            }
            faults.extend(wrong);
        }
    }

    fn conclude(&self, tip: &Tip, faults: &mut Faults, remarks: &mut Vec<String>) -> Disclosures {
        let mut found = Disclosures { opened: self.opened, ..Disclosures::default() };
        let unread = self.unread.iter().map(|(subject, (needs, why))| (subject, needs, Some(why)));
        let missing = self.missing.iter().map(|(subject, needs)| (subject, needs, None));
        for (subject, needs, why) in missing.chain(unread) {
            match (tip.erased.get(subject), why) {
                // Of one that is there the folder could be read.
                (_, Some(why)) if self.no_keys.is_none() => {
                    let words = format!("the key of {subject} could not be read: {why}");
                    faults.add(Fault::at(needs.first, Class::Io, words));
                }
                (Some(erased), _) => {
                    found.erased += needs.count;
                    // Nothing that is signed says whose a disclosure is. But nothing more is written of who was erased.
                    if needs.last > *erased {
                        let words = format!(
                            "a disclosure is said to be of {subject}, who was erased before, at entry {erased}"
                        );
                        faults.add(Fault::at(needs.last, Class::Disclosure, words));
                    }
                }
                (None, _) if self.no_keys.is_some() => found.not_opened += needs.count,
                (None, _) => {
                    found.without_key += needs.count;
                    let words = format!("the key of {subject} is gone, and nothing says that they were erased");
                    faults.add(Fault::at(needs.first, Class::Disclosure, words));
                }
            }
        }
        if let Some(why) = self.no_keys.as_ref().filter(|_| found.not_opened > 0) {
            let count = match found.not_opened {
                1 => "1 disclosure was not opened".to_owned(),
                many => format!("{many} disclosures were not opened"),
            };
            remarks.push(format!("{count}, since {why}; entries, roots and signatures are checked without them"));
        }
        let there = self.vault.subjects().unwrap_or_default();
        for subject in there.iter().filter(|subject| tip.erased.contains_key(subject)) {
            let index = tip.erased.get(subject).copied().unwrap_or_default();
            faults.add(Fault::at(index, Class::Erased, format!("{subject} was erased, and their key is there")));
        }
        found
    }
}

fn disclosures(vault: &Vault, record: &RecordRef<'_>) -> Option<Looked> {
    if record.sealed.is_empty() {
        return None;
    }
    let line = Line::read(record.line).ok()?;
    let mut looked = Looked { index: line.seq, ..Looked::default() };
    let mut digests = BTreeSet::new();
    for (ordinal, (subject, sealed)) in (0..).zip(&record.sealed) {
        let words = match vault.get(*subject) {
            Ok(None) => {
                looked.missing.push(*subject);
                continue;
            }
            Err(error) if files::wrong(&error) => {
                format!("the key of {subject}: {error}")
            }
            Err(error) => {
                looked.unread.push((*subject, error.to_string()));
                continue;
            }
            Ok(Some(key)) => match opened(&line, &key, ordinal, sealed) {
                Some(open) if !digests.contains(&open.digest) => {
                    digests.insert(open.digest);
                    looked.opened += 1;
                    continue;
                }
                Some(_) => "holds the same disclosure twice, so another one is gone".into(),
                None => {
                    format!("a disclosure of {subject} can't be opened with their key, or is not the one in the line")
                }
            },
        };
        looked.wrong.push(Fault::at(line.seq, Class::Disclosure, words));
    }
    Some(looked)
}
