//! Reading a ledger's folder without opening it, so that a running service is not disturbed: every entry in order, and
//! the proof of one. The chain is checked on the way; nothing is believed because it is there.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use super::{
    beside::{Beside, HeadError},
    check::{Knows, Tip, Walk},
    disclosure::{Disclosed, Disclosure, Locked},
    disk::Layout,
    fault::Fault,
    frame::{BatchRef, RecordRef},
    hash::leaf_hash,
    ids::SubjectId,
    journal::{self, Piece},
    kinds,
    line::Line,
    live, proof,
    reader::{Entry, Open, unsealed},
    replay::WAVE_FRAMES,
    tree,
    vault::Vault,
    verify::AllNodes,
};

/// Why a ledger's history can't be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// There is no ledger.
    #[error("there is no ledger in {0}")]
    NoLedger(PathBuf),
    /// What is there does not verify.
    #[error("the ledger does not verify: entry {} {}", .0.index.unwrap_or_default(), .0.words)]
    Broken(Fault),
    /// The journal is damaged.
    #[error("the journal is damaged in segment {0}; `verify` says where")]
    Damaged(u64),
    /// A segment of the journal can't be read.
    #[error("segment {number} of the journal can't be read: {error}")]
    Segment {
        /// Which one.
        number: u64,
        /// Why.
        error: io::Error,
    },
    /// A signed head that lies beside the journal says that this is not the log it was.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// There is no such entry.
    #[error("there is no entry {index}: the ledger has {size}")]
    NoSuchEntry {
        /// Which entry.
        index: u64,
        /// How many there are.
        size: u64,
    },
    /// Reading failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Walks the journal in order, checking the chain, and at its end compares it with the heads that lie beside it. `visit` is
/// handed some batches and what is known after them, with the tree's nodes that are complete since the batches before.
pub(super) fn walk<E: From<HistoryError>>(
    layout: &Layout,
    dir: &Path,
    knows: Knows,
    mut visit: impl FnMut(&[BatchRef<'_>], &Walk) -> Result<(), E>,
) -> Result<(), E> {
    let segments = journal::segments(&layout.journal()).map_err(HistoryError::from)?;
    if segments.is_empty() {
        return Err(HistoryError::NoLedger(dir.to_owned()).into());
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut beside = Beside::read(layout);
    let mut walk = Walk::new(Tip::default(), knows, threads);
    let last = segments.last().map(|(number, _)| *number);
    for (number, path) in segments {
        let unreadable = |error: io::Error| HistoryError::Segment { number, error };
        let bytes = live::read(&path, number, || Some(number) == last && live::in_use(layout)).map_err(unreadable)?;
        let (_, pieces, _) = journal::pieces(&bytes, number).ok_or(HistoryError::Damaged(number))?;
        let batches = pieces.iter().map(|piece| match piece {
            Piece::Frame(raw) => raw.decode(),
            Piece::Broken(_) | Piece::Gap { .. } => None,
        });
        let batches: Vec<_> = batches.collect::<Option<_>>().ok_or(HistoryError::Damaged(number))?;
        for wave in batches.chunks(WAVE_FRAMES) {
            walk.wave(wave);
            if let Some(fault) = walk.faults.kept.first() {
                return Err(HistoryError::Broken(fault.clone()).into());
            }
            for batch in wave {
                beside.take(batch);
            }
            visit(wave, &walk)?;
        }
    }
    // A journal without entry 0 was only begun.
    if walk.tip.size() == 0 {
        return Err(HistoryError::NoLedger(dir.to_owned()).into());
    }
    Ok(beside.compare(&walk.tip).map_err(HistoryError::from)?)
}

/// Visits every entry in order, with the disclosures that can still be opened. Blocks.
///
/// # Errors
/// [`HistoryError`]; what came before it has been visited.
pub fn entries(dir: &Path, knows: Knows, mut visit: impl FnMut(Entry)) -> Result<(), HistoryError> {
    let layout = Layout::new(dir);
    let mut people = People::at(&layout);
    walk(&layout, dir, knows, |batches, _| {
        for batch in batches {
            for record in &batch.records {
                visit(entry(record, &mut people)?);
            }
        }
        Ok(())
    })
}

fn entry(record: &RecordRef<'_>, people: &mut People) -> Result<Entry, HistoryError> {
    let unreadable = || HistoryError::Io(io::ErrorKind::InvalidData.into());
    let line = Line::read(record.line).map_err(|_| unreadable())?;
    let mut disclosed = Vec::new();
    for (ordinal, (subject, sealed)) in (0..).zip(&record.sealed) {
        let subject = *subject;
        disclosed.push(match people.open(&line, ordinal, subject, sealed)? {
            Looked::Open(open) => Disclosed::Open(Disclosure { subject, name: open.name, value: open.value }),
            Looked::Erased => Disclosed::Erased { subject },
            Looked::Locked(why) => Disclosed::Locked { subject, why },
        });
    }
    Ok(Entry {
        seq: line.seq,
        time: line.time.to_utc(),
        kind: line.kind.to_string(),
        body: serde_json::from_slice(line.body).map_err(|_| unreadable())?,
        line: record.line.to_vec(),
        leaf: leaf_hash(record.line),
        disclosed,
    })
}

/// What came of a disclosure.
pub(super) enum Looked {
    Open(Open),
    Erased,
    Locked(Locked),
}

/// The keys of people, and who was erased, for who reads a folder.
pub(super) struct People {
    layout: Layout,
    vault: Vault,
    /// Whether the journal was gone through for those who were erased.
    gone_through: bool,
    /// Who has no key, and was not erased when that was looked up.
    lost: BTreeSet<SubjectId>,
}

impl People {
    pub(super) fn at(layout: &Layout) -> Self {
        let (layout, vault) = (layout.clone(), Vault::at(&layout.keys()));
        Self { layout, vault, gone_through: false, lost: BTreeSet::new() }
    }

    /// Opens a disclosure.
    pub(super) fn open(
        &mut self,
        line: &Line<'_>,
        ordinal: u32,
        subject: SubjectId,
        sealed: &[u8],
    ) -> io::Result<Looked> {
        Ok(match unsealed(&self.vault, line, (ordinal, subject, sealed))? {
            Ok(open) => Looked::Open(open),
            Err(_) if self.was_erased(subject)? => Looked::Erased,
            Err(why) => Looked::Locked(why),
        })
    }

    /// Whether an entry, which may stand anywhere, says that somebody was erased. It may have come just now, before the key
    /// went.
    fn was_erased(&mut self, subject: SubjectId) -> io::Result<bool> {
        let again = !self.lost.contains(&subject) && live::in_use(&self.layout);
        if !self.vault.was_erased(subject) && (again || !self.gone_through) {
            self.go_through()?;
            self.gone_through = true;
        }
        let erased = self.vault.was_erased(subject);
        if !erased {
            self.lost.insert(subject);
        }
        Ok(erased)
    }

    /// Looks for those who were erased. What is no entry is told of by the walk.
    fn go_through(&self) -> io::Result<()> {
        for (number, path) in journal::segments(&self.layout.journal())? {
            let bytes = live::read(&path, number, || false)?;
            let pieces = journal::pieces(&bytes, number).map(|(_, pieces, _)| pieces).unwrap_or_default();
            let frames = pieces.iter().filter_map(|piece| match piece {
                Piece::Frame(raw) => raw.decode(),
                Piece::Broken(_) | Piece::Gap { .. } => None,
            });
            for batch in frames {
                self.vault.note_erased(batch.records.iter().filter_map(|record| erases(record.line)));
            }
        }
        Ok(())
    }
}

/// Whom an entry says to be erased.
fn erases(line: &[u8]) -> Option<SubjectId> {
    let line = Line::read(line).ok().filter(|line| line.kind == kinds::SUBJECT_ERASED)?;
    let body: serde_json::Value = serde_json::from_slice(line.body).ok()?;
    body.get("subject")?.as_str()?.parse().ok()
}

/// The proof that an entry is under the newest head in the journal, as `c2sp.org/tlog-proof@v1`. Blocks.
///
/// # Errors
/// [`HistoryError`].
pub fn prove(dir: &Path, index: u64, knows: Knows) -> Result<String, HistoryError> {
    let mut nodes = AllNodes::default();
    let mut line = None;
    let (mut size, mut head) = (0, String::new());
    walk::<HistoryError>(&Layout::new(dir), dir, knows, |batches, walk| {
        nodes.0.extend_from_slice(&walk.nodes);
        for batch in batches {
            for (seq, record) in (batch.first..).zip(&batch.records) {
                size = seq + 1;
                if seq == index {
                    line = Some(record.line.to_vec());
                }
            }
            batch.head.clone_into(&mut head);
        }
        Ok(())
    })?;
    let line = line.ok_or(HistoryError::NoSuchEntry { index, size })?;
    let path = tree::inclusion(&nodes, index, size)?;
    Ok(proof::write(index, &path, &line, &head))
}
