//! Verifying a public copy: the checkpoint, the bundles of entries, and every tile.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{AllNodes, Report, Subject, VerifyOptions, Walked};
use crate::ledger::{
    check::{Tip, Vouched, on_threads},
    fault::{Class, Fault, Faults},
    hash::{HASH_BYTES, leaf_hash},
    line::LINE_MAX_BYTES,
    note::{Checkpoint, NOTE_MAX_BYTES, SignedNote},
    rotation::{Rotation, rotation_path, unvouched},
    tiles::{TILE_HEIGHT, TILE_WIDTH, Tile, entries, hashes, tiles_between},
    tree::Nodes as _,
};

/// Largest tile of hashes.
const TILE_BYTES: usize = 256 * HASH_BYTES;

/// How many bundles are checked together.
const WAVE_BUNDLES: usize = 64;

/// Largest bundle.
pub(super) const BUNDLE_MAX_BYTES: usize = 256 * (LINE_MAX_BYTES + 2);

/// Where a public copy is fetched from.
pub trait Fetch: Sync {
    /// The file at a path below the log's address, cut off after `limit` bytes; nothing when it isn't there.
    ///
    /// # Errors
    /// When that can't be said.
    fn fetch(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>>;

    /// The widths of the partial tiles that lie beside the full path of a tile, if that can be listed.
    fn partial_widths(&self, _tile: &Tile) -> Vec<u64> {
        Vec::new()
    }
}

/// A public copy in a folder.
#[derive(Debug, Clone)]
pub struct DirFetch {
    root: PathBuf,
}

impl DirFetch {
    /// The copy in a folder.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl Fetch for DirFetch {
    fn fetch(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let path = self.root.join(path);
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => {
                let mut bytes = Vec::new();
                File::open(&path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            Ok(_) => Err(io::Error::other("it is not a file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn partial_widths(&self, tile: &Tile) -> Vec<u64> {
        let dir = self.root.join(format!("{}.p", tile.full_path()));
        let names = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.to_str()?.parse().ok()).filter(|width| (1..TILE_WIDTH).contains(width)).collect()
    }
}

/// A tile, and how wide it is: as wide as asked, or full when the partial one is gone because the log has grown since.
pub(super) fn fetch_tile(fetch: &dyn Fetch, tile: Tile, limit: usize) -> Result<(Vec<u8>, u64), String> {
    for width in [tile.width, TILE_WIDTH] {
        let path = Tile { width, ..tile }.path();
        match fetch.fetch(&path, limit) {
            Ok(Some(bytes)) if bytes.len() > limit => return Err(format!("{path} is too large")),
            Ok(Some(bytes)) => return Ok((bytes, width)),
            Ok(None) => {}
            Err(error) => return Err(format!("{path}: {error}")),
        }
    }
    Err(format!("{} is missing", tile.path()))
}

/// The head that took in the key of the entry at `index`.
fn fetch_rotation(fetch: &dyn Fetch, index: u64) -> Result<Rotation, (Class, String)> {
    match fetch.fetch(&rotation_path(index), NOTE_MAX_BYTES) {
        Ok(Some(bytes)) => Rotation::parse(&bytes).map_err(|why| (Class::Key, why)),
        Ok(None) => Err((Class::Key, "is missing".into())),
        Err(error) => Err((Class::Io, format!("can't be read: {error}"))),
    }
}

/// So many of what a tile holds.
fn cut<T>(mut held: Vec<T>, tile: &Tile) -> Vec<T> {
    held.truncate(usize::try_from(tile.width).unwrap_or(usize::MAX));
    held
}

/// Compares a head kept beside the log with it.
pub(super) fn head_fault(text: &str, tip: &Tip, nodes: &AllNodes, place: &str) -> Option<Fault> {
    let malformed = |error: &dyn std::fmt::Display| Some(Fault::of_log(Class::Signature, format!("{place}: {error}")));
    let note = match SignedNote::parse(text) {
        Ok(note) => note,
        Err(error) => return malformed(&error),
    };
    let head = match Checkpoint::parse(&note.text) {
        Ok(head) => head,
        Err(error) => return malformed(&error),
    };
    if tip.opened.as_ref().is_some_and(|opened| opened.origin != head.origin) {
        return Some(Fault::of_log(Class::Origin, format!("{place} is of another log, `{}`", head.origin)));
    }
    // The keys that were live at that size: one that came later, or went before, must not have signed it.
    match tip.keys.signed(&note, head.size) {
        Ok(true) => {}
        Ok(false) => {
            return Some(Fault::of_log(
                Class::Key,
                format!("{place} is not signed by a key that was live at its size"),
            ));
        }
        Err(error) => return malformed(&error),
    }
    match nodes.root(head.size) {
        None => {
            let words = format!("{place} is over {} entries and there are {}: the tail is gone", head.size, tip.size());
            Some(Fault::of_log(Class::Behind, words))
        }
        Some(root) if root == head.root => None,
        Some(_) => Some(Fault::of_log(Class::Root, format!("{place} has another root than its {} entries", head.size))),
    }
}

/// Verifies a copy on its own.
pub(super) fn verify(fetch: &dyn Fetch, options: VerifyOptions<'_>) -> Report {
    let VerifyOptions { knows, anchors, key, progress, threads } = options;
    let checkpoint = fetch.fetch("checkpoint", NOTE_MAX_BYTES);
    let text = match checkpoint {
        Ok(Some(bytes)) => String::from_utf8(bytes).unwrap_or_default(),
        Ok(None) | Err(_) => String::new(),
    };
    let size = SignedNote::parse(&text).and_then(|note| Checkpoint::parse(&note.text)).map_or(0, |head| head.size);
    let mut walked = Walked::new(Subject::Public, knows, threads, progress, 0);
    // Who does not answer for one of them is not waited for a thousand times.
    let silent = Cell::new(false);
    let find = |index| {
        if silent.get() {
            return Err((Class::Io, "was not asked for, since one before it can't be read".into()));
        }
        let found = fetch_rotation(fetch, index);
        silent.set(matches!(found, Err((Class::Io, _))));
        found
    };
    let beside = Vouched::Beside(&find);
    let count = size.div_ceil(TILE_WIDTH);
    let tile = |n: u64| Tile { level: None, n, width: (size - n * TILE_WIDTH).min(TILE_WIDTH) };
    let (mut n, mut whole) = (0, true);
    while n < count && whole {
        let wave: Vec<Tile> = (n..count.min(n + WAVE_BUNDLES as u64)).map(tile).collect();
        n += wave.len() as u64;
        let fetched = on_threads(threads, &wave, |tile| fetch_tile(fetch, *tile, BUNDLE_MAX_BYTES));
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for (tile, fetched) in wave.iter().zip(&fetched) {
            let taken = fetched.as_ref().map_err(Clone::clone).and_then(|(bundle, width)| {
                bytes += bundle.len() as u64;
                entries(bundle, *width)
                    .map(|found| cut(found, tile))
                    .ok_or_else(|| format!("{} does not hold {} entries", tile.path(), tile.width))
            });
            match taken {
                Ok(found) => lines.extend(found),
                // Without these, nothing after them can be placed.
                Err(words) => {
                    walked.walk.faults.add(Fault::at(tile.n * TILE_WIDTH, Class::Tile, words));
                    whole = false;
                    break;
                }
            }
        }
        walked.walk.lines(&lines, &beside);
        walked.keep(bytes);
    }
    walked.walk.no_more_lines();
    let tip = walked.walk.tip.clone();
    walked.walk.heads += u64::from(!text.is_empty());
    let fault = head_fault(&text, &tip, &walked.nodes, "the checkpoint");
    let holds = fault.is_none();
    walked.walk.faults.extend(fault);
    let (mut report, nodes, tip) = walked.conclude(&anchors, key.as_ref());
    report.head = holds.then_some(text);
    compare_tiles(fetch, tip.size(), &nodes, threads, false, None, &mut report.faults);
    report
}

/// The public copy beside a journal, with its checkpoint as it was when it was opened.
pub(super) struct Copy {
    fetch: DirFetch,
    checkpoint: String,
}

impl Copy {
    /// Reads the checkpoint.
    pub(super) fn open(fetch: DirFetch) -> Self {
        let read = fetch.fetch("checkpoint", NOTE_MAX_BYTES).ok().flatten();
        let checkpoint = read.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        Self { fetch, checkpoint }
    }

    /// Compares it with the journal, whose walk began after this was opened. While the service runs, tiles that reach
    /// beyond what was walked have been written since.
    pub(super) fn compare(&self, tip: &Tip, nodes: &AllNodes, threads: usize, running: bool, report: &mut Report) {
        let text = &self.checkpoint;
        report.faults.extend(head_fault(text, tip, nodes, "the public checkpoint"));
        let size = SignedNote::parse(text).and_then(|note| Checkpoint::parse(&note.text)).map_or(0, |head| head.size);
        let beside = tip.keys.iter().filter(|known| (1..size).contains(&known.added));
        for known in beside {
            let vouches = |head: Rotation| {
                head.vouches(&tip.keys, known, nodes.root(head.size())).map_err(|why| (Class::Key, why))
            };
            if let Err((class, why)) = fetch_rotation(&self.fetch, known.added).and_then(vouches) {
                report.faults.add(unvouched(known.added, class, &why));
            }
        }
        if size < tip.size() {
            report.remarks.push(format!("the public copy has the first {size} entries"));
        }
        let grown = if running { Some(tip.size()) } else { None };
        compare_tiles(&self.fetch, size.min(tip.size()), nodes, threads, true, grown, &mut report.faults);
    }
}

/// Compares every tile, and the bundles too when they were not what was walked, with the nodes. Partial tiles that reach
/// beyond `grown` entries are left out.
fn compare_tiles(
    fetch: &dyn Fetch,
    size: u64,
    nodes: &AllNodes,
    threads: usize,
    bundles: bool,
    grown: Option<u64>,
    faults: &mut Faults,
) {
    let wanted: Vec<Tile> = tiles_between(0, size).filter(|tile| bundles || tile.level.is_some()).collect();
    let found = on_threads(threads, &wanted, |tile| {
        // Older partial tiles beside this one are served too, so they must be right too.
        let others = fetch.partial_widths(tile).into_iter().filter(|width| *width != tile.width);
        let reach = |width: u64| (tile.n * TILE_WIDTH + width) << (tile.level.unwrap_or_default() * TILE_HEIGHT);
        let others = others.filter(|width| grown.is_none_or(|grown| reach(*width) <= grown));
        let widths = std::iter::once(tile.width).chain(others);
        widths.filter_map(|width| compare_tile(fetch, Tile { width, ..*tile }, nodes)).collect::<Vec<_>>()
    });
    faults.extend(found.into_iter().flatten());
}

fn compare_tile(fetch: &dyn Fetch, tile: Tile, nodes: &AllNodes) -> Option<Fault> {
    let shift = tile.level.unwrap_or_default() * TILE_HEIGHT;
    let first = tile.n * TILE_WIDTH;
    let fault = |n: u64, words: String| Some(Fault::at((first + n) << shift, Class::Tile, words));
    let limit = if tile.level.is_some() { TILE_BYTES } else { BUNDLE_MAX_BYTES };
    let (bytes, width) = match fetch_tile(fetch, tile, limit) {
        Ok(fetched) => fetched,
        Err(words) => return fault(0, words),
    };
    let held = if tile.level.is_some() {
        hashes(&bytes, width).map(<[_]>::to_vec)
    } else {
        entries(&bytes, width).map(|lines| lines.into_iter().map(leaf_hash).collect())
    };
    let Some(held) = held.map(|held| cut(held, &tile)) else {
        return fault(0, format!("{} does not hold {} of them", tile.path(), tile.width));
    };
    let level = if tile.level.is_some() { shift } else { 0 };
    let wrong = (0..).zip(&held).find(|(n, hash)| nodes.node(level, first + n).ok().as_ref() != Some(*hash));
    wrong.and_then(|(n, _)| fault(n, format!("{} is not what the entries give", tile.path())))
}
