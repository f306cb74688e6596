//! Verifying a ledger's own folder: the journal, the heads in it, the `head` file, the disclosures, the public copy.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
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
    fault::{Class, Fault, Faults},
    frame::{BatchRef, FRAME_MAX_BYTES, Raw, RecordRef},
    ids::SubjectId,
    journal::{self, Piece, SEGMENT_BYTES},
    line::Line,
    note::{Checkpoint, SignedNote},
    reader::opened,
    replay::WAVE_FRAMES,
    vault::Vault,
};

/// Largest segment that is read: a full one, or one made for one large frame.
const SEGMENT_MAX_BYTES: u64 = SEGMENT_BYTES + FRAME_MAX_BYTES as u64 + 4_096;

pub(super) fn verify(path: &Path, options: VerifyOptions<'_>) -> Result<Report, VerifyError> {
    let layout = Layout::new(path);
    // While the service runs, the end of the journal may be being written: what is torn there says nothing. The heads
    // are read before the journal: read after it, those of a ledger that grew meanwhile would be over more than was seen.
    let running = || File::open(layout.lock()).is_ok_and(|lock| lock.try_lock_shared().is_err());
    let ran_before = running();
    let head_file = std::fs::read_to_string(layout.head());
    let copy = layout.public().join("checkpoint").exists().then(|| Copy::open(DirFetch::new(&layout.public())));
    let VerifyOptions { knows, anchors, key, progress, threads } = options;
    let (segments, unreadable) = match journal::segments(&layout.journal()) {
        Ok(segments) => (segments, None),
        Err(error) => (Vec::new(), Some(Fault::of_log(Class::Io, format!("the journal can't be read: {error}")))),
    };
    let traces = [layout.head(), layout.public(), layout.keys()];
    if segments.is_empty() && unreadable.is_none() && !traces.iter().any(|path| path.exists()) {
        return Err(VerifyError::NotALedger(path.display().to_string()));
    }
    let total = segments.iter().filter_map(|(_, path)| path.metadata().ok()).map(|found| found.len()).sum();
    let mut walked = Walked::new(Subject::Folder, knows, threads, progress, total);
    let mut people = People::at(&layout, threads);
    walked.walk.faults.extend(unreadable);
    let last = segments.last().map(|(number, _)| *number);
    std::thread::scope(|scope| {
        // The next segment is read while this one is checked; no more than that is held in memory.
        let (to, read) = mpsc::sync_channel(0);
        scope.spawn(move || segments.into_iter().try_for_each(|(number, path)| to.send((number, read_segment(&path)))));
        for (due, (number, bytes)) in (0..).zip(read) {
            if number != due {
                walked.fault(Class::Frame, format!("segment {due} of the journal is missing"));
            }
            match bytes {
                Ok(bytes) => walked.segment(number, &bytes, Some(number) == last && ran_before, &mut people),
                Err((class, words)) => walked.fault(class, format!("segment {number} {words}")),
            }
        }
    });
    let mut head_faults = Faults::default();
    let tip = walked.walk.tip.clone();
    let head = check_head(head_file, &tip, &walked.nodes, &mut head_faults, &mut walked.report.remarks);
    walked.report.disclosures = people.conclude(&tip, &mut head_faults);
    walked.walk.faults.extend(head_faults.kept);
    let (mut report, nodes, _) = walked.conclude(&anchors, key.as_ref());
    report.head = head;
    if let Some(copy) = copy {
        copy.compare(&tip, &nodes, threads, ran_before || running(), &mut report);
    }
    Ok(report.finish())
}

/// The bytes of a segment, if it is no larger than one can be.
fn read_segment(path: &Path) -> Result<Vec<u8>, (Class, String)> {
    let unreadable = |error: std::io::Error| (Class::Io, format!("can't be read: {error}"));
    if path.metadata().map_err(unreadable)?.len() > SEGMENT_MAX_BYTES {
        return Err((Class::Limit, "is too large".into()));
    }
    std::fs::read(path).map_err(unreadable)
}

impl Walked<'_> {
    fn fault(&mut self, class: Class, words: impl Into<String>) {
        let index = self.walk.tip.size();
        self.walk.faults.add(Fault::at(index, class, words));
    }

    fn segment(&mut self, number: u64, bytes: &[u8], being_written: bool, people: &mut People) {
        let Some((first, pieces, end)) = journal::pieces(bytes, number) else {
            return self.fault(Class::Frame, format!("segment {number} has a damaged header"));
        };
        if first != self.walk.tip.size() {
            self.fault(Class::Frame, format!("segment {number} begins at {first}"));
        }
        for wave in pieces.chunks(WAVE_FRAMES) {
            self.pieces(wave, people);
        }
        if end.torn() && !being_written {
            let words = format!("{} bytes at the end of segment {number} are no whole frame", end.until - end.at);
            self.fault(Class::Torn, words);
        }
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

/// Checks the `head` file, and gives the newest head that holds.
fn check_head(
    read: std::io::Result<String>,
    tip: &Tip,
    nodes: &AllNodes,
    faults: &mut Faults,
    remarks: &mut Vec<String>,
) -> Option<String> {
    let text = match read {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            remarks.push("there is no `head` file beside the journal, so a cut tail would not show".into());
            return None;
        }
        Err(error) => {
            faults.add(Fault::of_log(Class::Signature, format!("the `head` file: {error}")));
            return None;
        }
    };
    let fault = public::head_fault(&text, tip, nodes, "the `head` file");
    let holds = fault.is_none();
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
    /// Whose key isn't there, and the first and the last entry that need it.
    missing: BTreeMap<SubjectId, Needs>,
    opened: u64,
    threads: usize,
}

/// What needs a key that isn't there.
struct Needs {
    first: u64,
    last: u64,
    count: u64,
}

/// What came of the disclosures of one entry.
#[derive(Default)]
struct Looked {
    index: u64,
    opened: u64,
    missing: Vec<SubjectId>,
    wrong: Vec<Fault>,
}

impl People {
    fn at(layout: &Layout, threads: usize) -> Self {
        Self { vault: Vault::at(&layout.keys()), missing: BTreeMap::new(), opened: 0, threads }
    }

    fn wave(&mut self, batches: &[BatchRef<'_>], faults: &mut Faults) {
        let vault = &self.vault;
        let found = on_threads(self.threads, batches, |batch| {
            batch.records.iter().filter_map(|record| disclosures(vault, record)).collect::<Vec<_>>()
        });
        for Looked { index, opened, missing, wrong } in found.into_iter().flatten() {
            self.opened += opened;
            for subject in missing {
                let needs = self.missing.entry(subject).or_insert(Needs { first: index, last: index, count: 0 });
                *needs = Needs { first: needs.first.min(index), last: needs.last.max(index), count: needs.count + 1 };
            }
            faults.extend(wrong);
        }
    }

    fn conclude(&self, tip: &Tip, faults: &mut Faults) -> Disclosures {
        let mut found = Disclosures { opened: self.opened, ..Disclosures::default() };
        for (subject, needs) in &self.missing {
            let Some(erased) = tip.erased.get(subject) else {
                found.without_key += needs.count;
                let words = format!("the key of {subject} is gone, and nothing says that they were erased");
                faults.add(Fault::at(needs.first, Class::Disclosure, words));
                continue;
            };
            found.erased += needs.count;
            // Nothing that is signed says whose a disclosure is. But nothing more is written of who was erased.
            if needs.last > *erased {
                let words =
                    format!("a disclosure is said to be of {subject}, who was erased before, at entry {erased}");
                faults.add(Fault::at(needs.last, Class::Disclosure, words));
            }
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
            Err(error) => format!("the key of {subject}: {error}"),
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
