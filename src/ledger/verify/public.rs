//! Verifying a public copy: the checkpoint, the bundles of entries, and every tile.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{AllNodes, Report, Subject, VerifyOptions, Walked};
use crate::ledger::{
    check::{Tip, Vouched, on_threads},
    fault::{Class, Fault, Faults},
    files,
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

/// After how many bytes no more of a wave is fetched, but for what is under way on each thread.
const WAVE_BYTES: usize = 64 * 1024 * 1024;

/// How many bundles are fetched at a time.
const FETCHES_AT_ONCE: usize = 8;

/// After how many tiles that can't be read no more are asked for.
const UNREAD_MAX: usize = 8;

/// The longest log of which a copy is read. A server can make entries up as fast as they are fetched, and 64 bytes of each are
/// kept.
pub(super) const COPY_MAX_ENTRIES: u64 = 1 << 26;

/// Largest bundle.
pub(super) const BUNDLE_MAX_BYTES: usize = 256 * (LINE_MAX_BYTES + 2);

/// Where a public copy is fetched from.
pub trait Fetch: Sync {
    /// The file at a path below the log's address, cut off after `limit` bytes; nothing when it isn't there.
    ///
    /// # Errors
    /// When that can't be said.
    fn fetch(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>>;

    /// The address that a path is fetched from, when it is a server that answers: it may be one of something else.
    fn address(&self, _path: &str) -> Option<String> {
        None
    }

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
        match files::read_some(&self.root.join(path), limit as u64) {
            Ok(bytes) => Ok(Some(bytes)),
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

/// Why there is nothing to look at.
#[derive(Debug, Clone)]
pub(super) enum Unfetched {
    /// It could not be read: that says nothing about the log.
    Unread(String),
    /// It is missing, or can't be what it should be.
    Wrong(String),
}

impl Unfetched {
    fn fault(self, index: u64) -> Fault {
        match self {
            Self::Unread(words) => Fault::at(index, Class::Io, words),
            Self::Wrong(words) => Fault::at(index, Class::Tile, words),
        }
    }
}

fn unread(what: &str, error: &io::Error) -> String {
    format!("{what} could not be read: {error}; try again")
}

fn unread_note(what: &str, error: &io::Error) -> Fault {
    if files::wrong(error) {
        Fault::of_log(Class::Signature, format!("{what}: {error}"))
    } else {
        Fault::of_log(Class::Io, unread(what, error))
    }
}

/// A tile, and how wide it is: as wide as asked, or full when the partial one is gone because the log has grown since.
pub(super) fn fetch_tile(fetch: &dyn Fetch, tile: Tile, limit: usize) -> Result<(Vec<u8>, u64), Unfetched> {
    for width in [tile.width, TILE_WIDTH] {
        let path = Tile { width, ..tile }.path();
        match fetch.fetch(&path, limit) {
            Ok(Some(bytes)) if bytes.len() > limit => return Err(Unfetched::Wrong(format!("{path} is too large"))),
            Ok(Some(bytes)) if bytes.is_empty() => {
                let words = format!("{path} is empty; after a power cut, the next start of the service writes it anew");
                return Err(Unfetched::Wrong(words));
            }
            Ok(Some(bytes)) => return Ok((bytes, width)),
            Ok(None) => {}
            Err(error) if files::wrong(&error) => return Err(Unfetched::Wrong(format!("{path}: {error}"))),
            Err(error) => return Err(Unfetched::Unread(unread(&path, &error))),
        }
    }
    Err(Unfetched::Wrong(format!("{} is missing", tile.path())))
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

/// The checkpoint of a copy, and how many entries it is over.
fn fetch_checkpoint(fetch: &dyn Fetch) -> Result<(String, u64), Fault> {
    const PATH: &str = "checkpoint";
    let bytes = fetch.fetch(PATH, NOTE_MAX_BYTES).map_err(|error| unread_note("the checkpoint", &error))?;
    let there = bytes.is_some();
    let text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
    match SignedNote::parse(&text).and_then(|note| Checkpoint::parse(&note.text)) {
        Ok(head) => Ok((text, head.size)),
        // What answers at a wrong address has nothing to do with the log.
        Err(error) => Err(match (fetch.address(PATH), there) {
            (Some(url), true) => {
                let words = format!("what {url} answers is no checkpoint; is this the address of the log?");
                Fault::of_log(Class::Io, words)
            }
            (Some(url), false) => {
                let words = format!("there is no checkpoint at {url}; is this the address of the log?");
                Fault::of_log(Class::Io, words)
            }
            (None, true) => {
                let words = format!("the `checkpoint` is none ({error}), so nothing says what the copy should hold");
                Fault::of_log(Class::Signature, words)
            }
            (None, false) => {
                let words = "there is no `checkpoint`, so nothing says what the copy should hold";
                Fault::of_log(Class::Signature, words)
            }
        }),
    }
}

/// Compares a head kept beside the log with it. `keys_known` says whether all keys that may sign are known.
pub(super) fn head_fault(text: &str, tip: &Tip, nodes: &AllNodes, keys_known: bool, place: &str) -> Option<Fault> {
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
    if tip.size() == 0 && head.size > 0 {
        let words = format!("{place} is over {} entries, and there are none", head.size);
        return Some(Fault::of_log(Class::Behind, words));
    }
    // The keys that were live at that size: one that came later, or went before, must not have signed it. Without entry 0 no
    // key is known.
    match tip.keys.signed(&note, head.size) {
        Ok(true) => {}
        Ok(false) if !keys_known || tip.opened.is_none() => {}
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
    let mut walked = Walked::new(Subject::Public, knows, threads, progress, 0);
    let (text, size) = match fetch_checkpoint(fetch) {
        Ok(read) => read,
        Err(fault) => {
            walked.report.cut_short = true;
            walked.walk.faults.add(fault);
            return walked.conclude(&anchors, key.as_ref()).0;
        }
    };
    // Who does not answer for one of them is not waited for a thousand times.
    let silent = Cell::new(false);
    // Those that are missing or spoiled: which keys may sign after the first of them is not known.
    let lost = RefCell::new(BTreeSet::new());
    let find = |index| {
        if silent.get() {
            return Err((Class::Io, "was not asked for, since one before it can't be read".into()));
        }
        let found = fetch_rotation(fetch, index);
        silent.set(matches!(found, Err((Class::Io, _))));
        if matches!(found, Err((Class::Key, _))) {
            lost.borrow_mut().insert(index);
        }
        found
    };
    let beside = Vouched::Beside(&find);
    if size > COPY_MAX_ENTRIES {
        let words =
            format!("the checkpoint is over {size} entries, more than the {COPY_MAX_ENTRIES} that are read of a copy");
        walked.report.faults.add(Fault::of_log(Class::Limit, words));
        walked.report.cut_short = true;
        return walked.conclude(&anchors, key.as_ref()).0;
    }
    walked.expected = Some(size);
    let count = size.div_ceil(TILE_WIDTH);
    let tile = |n: u64| Tile { level: None, n, width: (size - n * TILE_WIDTH).min(TILE_WIDTH) };
    let (mut n, mut whole) = (0, true);
    while n < count && whole && !walked.given_up() {
        let wave: Vec<Tile> = (n..count.min(n + WAVE_BUNDLES as u64)).map(tile).collect();
        let spent = AtomicUsize::new(0);
        let fetched = on_threads(threads.min(FETCHES_AT_ONCE), &wave, |tile| {
            // The first is fetched whatever the others cost: so it goes on.
            let due = tile.n == n || spent.load(Ordering::Relaxed) < WAVE_BYTES;
            let fetched = due.then(|| fetch_tile(fetch, *tile, BUNDLE_MAX_BYTES))?;
            let bytes = fetched.as_ref().map_or(0, |(bundle, _)| bundle.len());
            spent.fetch_add(bytes, Ordering::Relaxed);
            Some(fetched)
        });
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for (tile, fetched) in wave.iter().zip(&fetched) {
            // What was not fetched begins the next wave.
            let Some(fetched) = fetched else { break };
            n = tile.n + 1;
            let taken = fetched.as_ref().map_err(Clone::clone).and_then(|(bundle, width)| {
                bytes += bundle.len() as u64;
                entries(bundle, *width)
                    .map(|found| cut(found, tile))
                    .ok_or_else(|| Unfetched::Wrong(format!("{} does not hold {} entries", tile.path(), tile.width)))
            });
            match taken {
                Ok(found) => lines.extend(found),
                // Without these, nothing after them can be placed.
                Err(why) => {
                    walked.report.cut_short = true;
                    walked.walk.faults.add(why.fault(tile.n * TILE_WIDTH));
                    whole = false;
                    break;
                }
            }
        }
        walked.walk.lines(&lines, &beside);
        walked.keep(bytes);
    }
    if silent.get() {
        walked.report.cut_short = true;
        // Which keys are live after that can't be said.
        let faults = &mut walked.walk.faults.kept;
        let from = faults.iter().filter(|fault| fault.class == Class::Io).find_map(|fault| fault.index);
        faults.retain(|fault| fault.class != Class::Key || fault.index < from);
    }
    let lost = lost.into_inner();
    if let Some(first) = lost.first() {
        walked.keys_known = false;
        let doubtful = |index: Option<u64>| index.is_some_and(|index| index > *first && !lost.contains(&index));
        walked.walk.faults.kept.retain(|fault| fault.class != Class::Key || !doubtful(fault.index));
        let words = format!(
            "without `{}` it is not known which keys may sign after entry {first}, so who signed the checkpoint was not checked",
            rotation_path(*first)
        );
        walked.report.remarks.push(words);
    }
    if walked.report.cut_short || walked.given_up() {
        return walked.conclude(&anchors, key.as_ref()).0;
    }
    walked.walk.no_more_lines();
    let tip = walked.walk.tip.clone();
    walked.walk.heads += 1;
    let fault = head_fault(&text, &tip, &walked.nodes, walked.keys_known, "the checkpoint");
    let holds = fault.is_none() && walked.keys_known && tip.opened.is_some();
    walked.walk.faults.extend(fault);
    let (mut report, nodes, tip) = walked.conclude(&anchors, key.as_ref());
    report.head = holds.then_some(text);
    compare_tiles(fetch, tip.size(), &nodes, threads, false, None, &mut report.faults);
    report
}

/// The public copy beside a journal, with its checkpoint as it was when it was opened.
pub(super) struct Copy {
    fetch: DirFetch,
    checkpoint: io::Result<String>,
}

impl Copy {
    /// Reads the checkpoint.
    pub(super) fn open(fetch: DirFetch) -> Self {
        let read = fetch.fetch("checkpoint", NOTE_MAX_BYTES);
        let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
        Self { checkpoint: read.map(text), fetch }
    }

    /// Compares it with the journal, whose walk began after this was opened. While the service runs, tiles that reach
    /// beyond what was walked have been written since.
    pub(super) fn compare(&self, tip: &Tip, nodes: &AllNodes, threads: usize, running: bool, report: &mut Report) {
        let text = match &self.checkpoint {
            Ok(text) => text,
            Err(error) => {
                return report.faults.add(unread_note("the public checkpoint", error));
            }
        };
        report.faults.extend(head_fault(text, tip, nodes, true, "the public checkpoint"));
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
    let unread = AtomicUsize::new(0);
    let found = on_threads(threads, &wanted, |tile| {
        // A server that is gone would be waited for at each of them.
        if unread.load(Ordering::Relaxed) >= UNREAD_MAX {
            return Vec::new();
        }
        // Older partial tiles beside this one are served too, so they must be right too.
        let others = fetch.partial_widths(tile).into_iter().filter(|width| *width != tile.width);
        let reach = |width: u64| (tile.n * TILE_WIDTH + width) << (tile.level.unwrap_or_default() * TILE_HEIGHT);
        let others = others.filter(|width| grown.is_none_or(|grown| reach(*width) <= grown));
        let widths = std::iter::once(tile.width).chain(others);
        let faults: Vec<_> = widths.filter_map(|width| compare_tile(fetch, Tile { width, ..*tile }, nodes)).collect();
        let gone = faults.iter().filter(|fault| fault.class == Class::Io).count();
        unread.fetch_add(gone, Ordering::Relaxed);
        faults
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
        Err(why) => return Some(why.fault(first << shift)),
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
