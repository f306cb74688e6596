//! What is brought up to date in the background after a commit: the `head` file and the public copy.
//!
//! Heads that come while one is being published are skipped over: only the newest matters.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use super::{
    derive::{Derived, be_nice},
    disk::Layout,
    files,
    hash::{Hash, leaf_hash},
    ids::SubjectId,
    index::{Index, caught},
    journal::sync_dir,
    line::{LINE_MAX_BYTES, Line},
    nodes::NodeFile,
    note::{Checkpoint, NOTE_MAX_BYTES, SignedNote},
    notice::{Notice, OnNotice},
    reader::unsealed,
    rotation::{ROTATION_DIR, rotation_path},
    tiles::{TILE_HEIGHT, TILE_WIDTH, Tile, bundle, tiles_between},
    tree::Nodes as _,
    vault::Vault,
};

/// How long the thread rests after it has published: under load it would else take the disk and a processor for itself.
const PAUSE: Duration = Duration::from_millis(250);

/// How much longer for each tile that it wrote: a full one is synced, which the journal's own syncs would wait for.
const PAUSE_A_TILE: Duration = Duration::from_millis(4);

/// How long at most.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How many keys that don't open what is sealed with them are told of by their files.
const KEYS_TOLD_MAX: usize = 64;

/// How many keys are tried before it is looked whether it is time to go.
const KEYS_AT_ONCE: u64 = 256;

/// No tile or bundle is larger.
const TILE_MAX_BYTES: u64 = TILE_WIDTH * (LINE_MAX_BYTES as u64 + 2);

/// How many files that were not right are told of by name.
const TOLD_MAX: usize = 8;

#[derive(Debug, Default)]
struct Due {
    head: Option<(u64, Arc<str>)>,
    /// The entries that brought keys in whose heads are still to be written.
    rotations: BTreeSet<u64>,
    published: u64,
    fault: Option<String>,
    resting: bool,
    closing: bool,
}

/// What the background thread shares with others.
#[derive(Debug, Default)]
pub(crate) struct Published {
    due: Mutex<Due>,
    changed: Condvar,
}

/// The background thread.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Published>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Starts it.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(
        layout: Layout,
        index: Index,
        nodes: NodeFile,
        (derived, vault): (Derived, Vault),
        on_notice: OnNotice,
    ) -> io::Result<Self> {
        let shared = Arc::new(Published::default());
        let work = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("ledger-publish".into()).spawn(move || {
            be_nice();
            let copy = Copy { layout, index, nodes, vault };
            let (mut published, said) = copy.published();
            let mut mended = false;
            let mut pause = Duration::ZERO;
            while let Some((size, head)) = work.next(pause) {
                let done = told(|| {
                    derived.wait(size).map_err(io::Error::other)?;
                    if !mended {
                        let mut wrong = copy.wrong(published, said, size)?;
                        wrong.extend(copy.wrong_rotations(&work, said, size)?);
                        wrong.extend(copy.mend(published, size)?);
                        tell(&wrong, &copy.layout.public(), &on_notice);
                    }
                    copy.rotations(&work, size)?;
                    copy.publish(published, size, &head)
                });
                if done.is_ok() && !mended {
                    // What is wrong with the index is told where it is read.
                    drop(told(|| copy.keys(&work, &on_notice)));
                }
                mended |= done.is_ok();
                let tiles = done.as_ref().copied().unwrap_or_default();
                pause = PAUSE_MAX.min(PAUSE + PAUSE_A_TILE.saturating_mul(tiles));
                let mut due = work.due.lock().unwrap_or_else(PoisonError::into_inner);
                match done {
                    Ok(_) => {
                        published = size;
                        (due.published, due.fault) = (size, None);
                    }
                    Err(error) => due.fault = Some(error.to_string()),
                }
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Hands over the newest head; returns at once.
    pub fn head(&self, size: u64, head: Arc<str>) {
        let mut due = self.shared.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.head = Some((size, head));
        // While it rests, there is nothing to wake it for: under load that would cost more than all it does.
        if !due.resting {
            self.shared.changed.notify_one();
        }
    }

    /// Says which entries brought keys in, before a head is handed over that covers them: who verifies the public copy needs
    /// the heads that took them in. Those that are there already are left as they are.
    pub fn rotations(&self, entries: impl IntoIterator<Item = u64>) {
        self.shared.due.lock().unwrap_or_else(PoisonError::into_inner).rotations.extend(entries);
    }

    /// What it shares.
    pub(crate) fn shared(&self) -> Arc<Published> {
        Arc::clone(&self.shared)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.due.lock().unwrap_or_else(PoisonError::into_inner).closing = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Published {
    /// How many entries the public copy has since the start, and what went wrong with it last.
    pub fn state(&self) -> (u64, Option<String>) {
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        (due.published, due.fault.clone())
    }

    /// Waits for a head; nothing when it is time to go and all is published.
    fn next(&self, pause: Duration) -> Option<(u64, Arc<str>)> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.resting = true;
        let waited = self.changed.wait_timeout_while(due, pause, |due| !due.closing);
        let (mut due, _) = waited.unwrap_or_else(PoisonError::into_inner);
        due.resting = false;
        let mut due = self
            .changed
            .wait_while(due, |due| due.head.is_none() && !due.closing)
            .unwrap_or_else(PoisonError::into_inner);
        due.head.take()
    }
}

/// Runs a step of the thread, of which a panic is told like any other fault: the thread goes on with the next head.
fn told<T>(step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    caught(step).unwrap_or_else(|()| Err(io::Error::other("its thread panicked")))
}

/// Tells of files of the public copy that were not right.
fn tell(wrong: &BTreeSet<PathBuf>, public: &Path, on_notice: &OnNotice) {
    let first = wrong.iter().take(TOLD_MAX).map(|path| path.strip_prefix(public).unwrap_or(path).display().to_string());
    if !wrong.is_empty() {
        on_notice(&Notice::Mended { count: wrong.len(), first: first.collect() });
    }
}

/// Replaces a file at once. What is not durable may be empty after a power cut, as the new name can be on the disk before the
/// bytes are.
fn replace(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    std::fs::rename(part, path)
}

struct Copy {
    layout: Layout,
    index: Index,
    nodes: NodeFile,
    vault: Vault,
}

impl Copy {
    /// From where on the public copy must be written: one tile before the one that was last being filled, since only full
    /// ones are synced. And how many entries its checkpoint says it has.
    fn published(&self) -> (u64, u64) {
        let note = std::fs::read_to_string(self.layout.public().join("checkpoint")).unwrap_or_default();
        let size = SignedNote::parse(&note).and_then(|note| Checkpoint::parse(&note.text)).map_or(0, |head| head.size);
        ((size / TILE_WIDTH).saturating_sub(1) * TILE_WIDTH, size)
    }

    /// Which files are not what they are about to be written as: those that differ, and of those that a checkpoint over
    /// `said` entries came after, those that are missing.
    fn wrong(&self, old: u64, said: u64, new: u64) -> io::Result<BTreeSet<PathBuf>> {
        let public = self.layout.public();
        let owed: Vec<Tile> = tiles_between(old, said.min(new)).collect();
        let due = tiles_between(old, new).filter(|tile| !owed.contains(tile)).map(|tile| (tile, false));
        let mut wrong = BTreeSet::new();
        for (tile, owed) in due.chain(owed.iter().map(|tile| (*tile, true))) {
            let path = public.join(tile.path());
            let differs = match files::read(&path, TILE_MAX_BYTES) {
                Ok(there) => there != self.bytes(tile)?,
                // A full one takes the place of those that were not: a stop may have come before the next checkpoint.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    owed && !public.join(tile.full_path()).exists()
                }
                Err(_) => true,
            };
            if differs {
                wrong.insert(path);
            }
        }
        Ok(wrong)
    }

    /// Writes what is new, and says how many tiles that were.
    fn publish(&self, old: u64, new: u64, head: &str) -> io::Result<u32> {
        replace(&self.layout.head(), head.as_bytes(), true)?;
        let (public, mut tiles) = (self.layout.public(), 0);
        for tile in tiles_between(old, new) {
            put_tile(&public, tile, &self.bytes(tile)?)?;
            tiles += 1;
        }
        std::fs::create_dir_all(&public)?;
        replace(&public.join("checkpoint"), head.as_bytes(), true)?;
        Ok(tiles)
    }

    /// Makes the partial tiles right that were left behind before the last stop: they are not synced, and a power cut can
    /// have left them empty. Who has seen an older checkpoint may still ask for them. Says which were not right.
    fn mend(&self, old: u64, new: u64) -> io::Result<Vec<PathBuf>> {
        let (public, mut wrong) = (self.layout.public(), Vec::new());
        let levels = (0..u64::BITS / TILE_HEIGHT).take_while(|level| new >> (level * TILE_HEIGHT) > 0);
        for level in std::iter::once(None).chain(levels.map(Some)) {
            let shift = level.unwrap_or_default() * TILE_HEIGHT;
            for n in (old >> shift) / TILE_WIDTH..=(new >> shift) / TILE_WIDTH {
                let beside = Tile { level, n, width: TILE_WIDTH };
                for (path, width) in partial_tiles(&public, &beside)? {
                    let tile = Tile { width: width.unwrap_or_default(), ..beside };
                    if tile.width == 0 || n * TILE_WIDTH + tile.width > new >> shift {
                        std::fs::remove_file(&path)?;
                        wrong.push(path);
                        continue;
                    }
                    let bytes = self.bytes(tile)?;
                    if std::fs::read(&path)? != bytes {
                        replace(&path, &bytes, false)?;
                        wrong.push(path);
                    }
                }
            }
        }
        Ok(wrong)
    }

    /// The heads that took the keys of the first `size` entries in, as far as they are not written.
    fn due_rotations(&self, work: &Published, size: u64) -> io::Result<Vec<(u64, String)>> {
        let due = work.due.lock().unwrap_or_else(PoisonError::into_inner).rotations.clone();
        let head = |index: &u64| {
            let head = self.index.head_from(index.saturating_add(1)).map_err(io::Error::other)?;
            Ok((*index, head.ok_or_else(|| io::Error::other("the index lacks a head"))?))
        };
        due.range(..size).map(head).collect()
    }

    /// Which of them are not what they are about to be written as; missing are those that a checkpoint over `said` entries
    /// came after.
    fn wrong_rotations(&self, work: &Published, said: u64, size: u64) -> io::Result<Vec<PathBuf>> {
        let public = self.layout.public();
        let wrong = |(index, head): (u64, String)| {
            let path = public.join(rotation_path(index));
            let differs = match files::read(&path, NOTE_MAX_BYTES as u64) {
                Ok(there) => there != head.as_bytes(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => index < said,
                Err(_) => true,
            };
            differs.then_some(path)
        };
        Ok(self.due_rotations(work, size)?.into_iter().filter_map(wrong).collect())
    }

    /// Writes the heads that took the keys of the first `size` entries in, durably, as far as they are not there.
    fn rotations(&self, work: &Published, size: u64) -> io::Result<()> {
        for (index, head) in self.due_rotations(work, size)? {
            put_rotation(&self.layout.public(), index, &head)?;
            work.due.lock().unwrap_or_else(PoisonError::into_inner).rotations.remove(&index);
        }
        Ok(())
    }

    /// Tells of people whose key does not open the first that is sealed for them, though they were not erased.
    fn keys(&self, work: &Published, on_notice: &OnNotice) -> io::Result<()> {
        let (mut first, mut count, mut before, mut seen) = (Vec::new(), 0, None, 0_u64);
        while let Some((subject, seq)) = self.index.subject_after(before).map_err(io::Error::other)? {
            (before, seen) = (Some(subject), seen + 1);
            if seen.is_multiple_of(KEYS_AT_ONCE) && work.due.lock().unwrap_or_else(PoisonError::into_inner).closing {
                break;
            }
            let Some(why) = self.locked(subject, seq)? else { continue };
            count += 1;
            if first.len() < KEYS_TOLD_MAX {
                first.push(format!("{}: {why}", self.vault.path(subject).display()));
            }
        }
        if count > 0 {
            on_notice(&Notice::Locked { count, first });
        }
        Ok(())
    }

    /// Why what is sealed for somebody in an entry can't be opened, unless it can or they were erased.
    fn locked(&self, subject: SubjectId, seq: u64) -> io::Result<Option<String>> {
        let Some((_, record)) = self.index.records(seq, seq + 1).next().transpose().map_err(io::Error::other)? else {
            return Ok(None);
        };
        let Ok(line) = Line::read(&record.line) else { return Ok(None) };
        let own = (0..).zip(&record.sealed).find(|(_, sealed)| sealed.subject == subject);
        let Some((ordinal, sealed)) = own else { return Ok(None) };
        let opened = match unsealed(&self.vault, &line, (ordinal, subject, &sealed.bytes)) {
            Ok(opened) => opened.map(drop).map_err(|why| why.to_string()),
            Err(error) => Err(error.to_string()),
        };
        Ok(opened.err().filter(|_| !self.vault.was_erased(subject)))
    }

    fn bytes(&self, tile: Tile) -> io::Result<Vec<u8>> {
        match tile.level {
            Some(level) => Ok(self.hashes(level, tile)?.as_flattened().to_vec()),
            None => self.entries(tile),
        }
    }

    fn hashes(&self, level: u32, tile: Tile) -> io::Result<Vec<Hash>> {
        let first = tile.n * TILE_WIDTH;
        (first..first + tile.width).map(|n| self.nodes.node(level * TILE_HEIGHT, n)).collect()
    }

    fn entries(&self, tile: Tile) -> io::Result<Vec<u8>> {
        let first = tile.n * TILE_WIDTH;
        let records: Result<Vec<_>, _> = self.index.records(first, first + tile.width).collect();
        let records = records.map_err(io::Error::other)?;
        let whole = records.len() as u64 == tile.width;
        for (seq, record) in &records {
            // Of damage in the journal, which may not have been found yet, none gets into what others verify.
            if self.nodes.node(0, *seq)? != leaf_hash(&record.line) {
                return Err(io::Error::other(format!("entry {seq} is damaged in the journal")));
            }
        }
        let bytes = bundle(records.iter().map(|(_, record)| &*record.line)).filter(|_| whole);
        bytes.ok_or_else(|| io::Error::other("the index lacks entries"))
    }
}

/// The files beside a full tile's path, with their widths; none for what is not a partial tile.
fn partial_tiles(public: &Path, tile: &Tile) -> io::Result<Vec<(PathBuf, Option<u64>)>> {
    let files = match std::fs::read_dir(public.join(format!("{}.p", tile.full_path()))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let width = |path: PathBuf| {
        let width = path.file_name().and_then(|name| name.to_str()?.parse().ok()).filter(|width| *width < TILE_WIDTH);
        (path, width)
    };
    files.map(|file| Ok(width(file?.path()))).collect()
}

/// Writes the head that took in the key of the entry at `index`, durably, unless it is there.
///
/// # Errors
/// What the disk says.
pub(crate) fn put_rotation(public: &Path, index: u64, head: &str) -> io::Result<()> {
    let path = public.join(rotation_path(index));
    if std::fs::read(&path).is_ok_and(|there| there == head.as_bytes()) {
        return Ok(());
    }
    let dir = public.join(ROTATION_DIR);
    std::fs::create_dir_all(&dir)?;
    replace(&path, head.as_bytes(), true)?;
    sync_dir(&dir)?;
    sync_dir(public)
}

/// Writes one tile. Once it is full, the partial ones of its place are not needed any more.
///
/// # Errors
/// What the disk says.
pub(crate) fn put_tile(public: &Path, tile: Tile, bytes: &[u8]) -> io::Result<()> {
    let path = public.join(tile.path());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let full = tile.width == TILE_WIDTH;
    replace(&path, bytes, full)?;
    if full {
        match std::fs::remove_dir_all(public.join(format!("{}.p", tile.full_path()))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault_that_is_told() {
        assert_eq!(told(|| Ok(1)).unwrap(), 1);
        let fault = told::<u32>(|| panic!("over a tile")).unwrap_err();
        assert_eq!(fault.to_string(), "its thread panicked");
    }
}
