//! Verifying what an export holds in clear: each disclosure in `disclosures.jsonl` must be one that its entry has a digest of.

use std::{
    collections::BTreeMap,
    io::{self, BufReader},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    FAULTS_STOP, Report,
    lines::next_line,
    public::{BUNDLE_MAX_BYTES, Fetch, fetch_tile},
};
use crate::ledger::{
    disclosure,
    draft::ENCODED_MAX_BYTES,
    fault::{Class, Fault},
    files,
    ids::SubjectId,
    line::Line,
    tiles::{TILE_WIDTH, Tile, entries},
};

/// The file's name in an export.
pub(crate) const FILE: &str = "disclosures.jsonl";

/// Longest line: the disclosure, and what stands around it.
const CLEAR_MAX_BYTES: usize = ENCODED_MAX_BYTES + 128;

/// One line, its members in the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clear<'a> {
    disclosure: &'a str,
    seq: u64,
    subject: &'a str,
}

/// The bundle that the last line was held against: the digests of each of its entries, and which of them were met.
#[derive(Default)]
struct Bundle {
    n: Option<u64>,
    digests: Vec<BTreeMap<Vec<u8>, bool>>,
}

/// Compares the disclosures of an export, if there are any, with the entries in its bundles. No more than one line and one
/// bundle is held in memory.
pub(super) fn compare(dir: &Path, fetch: &dyn Fetch, report: &mut Report) {
    let file = match files::open(&dir.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return report.faults.add(Fault::of_log(Class::Io, format!("`{FILE}`: {error}"))),
    };
    let mut reader = BufReader::new(file);
    let (mut bundle, mut last, mut wrong) = (Bundle::default(), 0, 0);
    for number in 1u64.. {
        let line = match next_line(&mut reader, CLEAR_MAX_BYTES) {
            Ok(Some(line)) => line,
            Ok(None) => return,
            Err(error) => return report.faults.add(Fault::of_log(Class::Io, format!("`{FILE}`: {error}"))),
        };
        let clear = read(&line);
        let words = match &clear {
            None => Err("is no disclosure"),
            Some(clear) if clear.seq >= report.size => Err("is of an entry that isn't there"),
            Some(clear) if clear.seq < last => Err("is out of order"),
            Some(clear) => {
                last = clear.seq;
                bundle.at(clear.seq, report.size, fetch).meet(clear)
            }
        };
        let Err(words) = words else {
            report.disclosures.opened += 1;
            continue;
        };
        let words = format!("line {number} of `{FILE}` {words}");
        report.faults.add(Fault { index: clear.map(|clear| clear.seq), class: Class::Disclosure, words });
        wrong += 1;
        if wrong >= FAULTS_STOP {
            let words = format!("`{FILE}` was not read beyond line {number}: it has {wrong} faults");
            return report.faults.add(Fault::of_log(Class::Limit, words));
        }
    }
}

/// A line that is exactly what is written for a disclosure.
fn read(line: &[u8]) -> Option<Clear<'_>> {
    let clear: Clear<'_> = serde_json::from_slice(line).ok()?;
    let subject = clear.subject.parse::<SubjectId>().is_ok();
    let same = serde_json::to_vec(&clear).is_ok_and(|written| written == line);
    (subject && same).then_some(clear)
}

impl Bundle {
    /// The bundle with an entry, of a log of `size` entries; one that can't be read has no digests.
    fn at(&mut self, seq: u64, size: u64, fetch: &dyn Fetch) -> &mut Self {
        let n = seq / TILE_WIDTH;
        if self.n != Some(n) {
            let tile = Tile { level: None, n, width: size.saturating_sub(n * TILE_WIDTH).min(TILE_WIDTH) };
            let fetched = fetch_tile(fetch, tile, BUNDLE_MAX_BYTES).ok();
            let digests =
                fetched.and_then(|(bytes, width)| Some(entries(&bytes, width)?.into_iter().map(met).collect()));
            *self = Self { n: Some(n), digests: digests.unwrap_or_default() };
        }
        self
    }

    fn meet(&mut self, clear: &Clear<'_>) -> Result<(), &'static str> {
        let at = usize::try_from(clear.seq % TILE_WIDTH).ok();
        let digests = at.and_then(|at| self.digests.get_mut(at));
        let met = digests.and_then(|digests| digests.get_mut(disclosure::digest(clear.disclosure).as_bytes()));
        match met {
            None => Err("is not what the entry has a digest of"),
            Some(true) => Err("stands there twice"),
            Some(met) => {
                *met = true;
                Ok(())
            }
        }
    }
}

/// The digests of an entry, none of them met yet.
fn met(line: &[u8]) -> BTreeMap<Vec<u8>, bool> {
    let line = Line::read(line).ok();
    line.iter().flat_map(Line::each_digest).map(|digest| (digest.to_vec(), false)).collect()
}
