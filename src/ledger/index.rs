//! The index over the journal, in sled: where in the journal what the service reads stands. It can be thrown away and built
//! again at any time.
//!
//! One tree, written by one thread, in order, the newest head last: sled recovers a prefix of what was written, so a head
//! that is there stands for all before it. Entries, disclosures and heads themselves are read from the journal, which does not
//! change; a copy of them in sled cost 1.7 times their bytes on the disk and most of the processor under load. Keys have a
//! fixed width after their first letter:
//!
//! | key | value |
//! |---|---|
//! | `c` size | where the frame of the commit stands that made the log so long, and where some of its entries do |
//! | `u` subject seq | nothing: where a person's disclosures are |
//! | `n` | the newest: size, last leaf, signed head. The mark of what is indexed |
//! | `v` | the version of this layout |

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use super::{
    frame::{ENTRIES_AT, FRAME_HEADER_BYTES, FRAME_MAX_BYTES, Record, Shape, decode_entries},
    hash::{HASH_BYTES, Hash},
    ids::SubjectId,
    journal::segment_name,
    store::Place,
};

/// The version of the layout: an index of another one is built anew.
const VERSION: u8 = 2;

/// A frame's entries are found from the last one before them whose place is noted: one in so many bytes...
const MARK_EVERY_BYTES: u32 = 8_192;

/// ...but no more than so many a frame: large values go to files of their own in sled, which are never synced.
const MARKS_MAX: u32 = 512;

/// What sled says when it finds its lock taken: it has no kind of error for that.
const LOCK_HELD: &str = "could not acquire lock";

/// How long a lock of sled's is waited for: somebody may still be reading from an index that was closed.
const LOCK_MAX: Duration = Duration::from_secs(5);

/// How many segments are held open.
const OPEN_MAX_SEGMENTS: usize = 64;

/// Memory that sled may use for pages.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// The index can't be used; the words are sled's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the index: {0}")]
pub struct IndexError(pub String);

impl From<sled::Error> for IndexError {
    fn from(error: sled::Error) -> Self {
        Self(error.to_string())
    }
}

fn torn(what: &str) -> IndexError {
    IndexError(format!("{what} is torn"))
}

/// What the index keeps of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// Where its frame begins.
    pub place: Place,
    /// Where its entries are in it.
    pub shape: Shape,
    /// The leaf hash of its last entry.
    pub last: Hash,
    /// The signed head.
    pub head: Arc<str>,
}

/// The journal's segments, open to be read.
#[derive(Debug)]
struct Segments {
    dir: PathBuf,
    open: Mutex<BTreeMap<u64, Arc<File>>>,
}

impl Segments {
    fn read(&self, place: Place, length: usize) -> Result<Vec<u8>, IndexError> {
        let unreadable = |error: io::Error| IndexError(format!("segment {} of the journal: {error}", place.segment));
        let file = self.file(place.segment).map_err(unreadable)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, place.offset).map_err(unreadable)?;
        Ok(bytes)
    }

    fn file(&self, number: u64) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&number) {
            return Ok(Arc::clone(file));
        }
        if open.len() >= OPEN_MAX_SEGMENTS {
            open.clear();
        }
        let file = Arc::new(File::open(self.dir.join(segment_name(number)))?);
        open.insert(number, Arc::clone(&file));
        Ok(file)
    }
}

/// The value of one commit.
///
/// ```text
/// segment u32 | offset u32 | entries u32 | bytes of entries u32 | head length u32 | mark…
/// mark: entries before it u32 | bytes of entries before it u32
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
struct Commit {
    /// Where the first entry stands.
    entries_at: Place,
    first: u64,
    bytes: u32,
    head_bytes: u32,
    marks: Vec<(u32, u32)>,
}

impl Commit {
    fn value(of: &Indexed) -> Result<Vec<u8>, IndexError> {
        let small = |n: u64| u32::try_from(n).map_err(|_| IndexError("a segment is too large".into()));
        let Shape { ends, .. } = &of.shape;
        let bytes = ends.last().copied().unwrap_or_default();
        let fields = [
            small(of.place.segment)?,
            small(of.place.offset)?,
            small(ends.len() as u64)?,
            bytes,
            small(of.head.len() as u64)?,
        ];
        let (every, mut marked) = (MARK_EVERY_BYTES.max(bytes / MARKS_MAX), 0);
        let marks = (1u32..).zip(ends).filter(|(_, end)| {
            let due = **end - marked >= every && **end < bytes;
            if due {
                marked = **end;
            }
            due
        });
        let all = fields.into_iter().chain(marks.flat_map(|(entries, end)| [entries, *end]));
        Ok(all.flat_map(u32::to_le_bytes).collect())
    }

    fn read(size: u64, value: &[u8]) -> Option<Self> {
        let (fields, rest) = value.as_chunks::<4>();
        let fields: Vec<u32> = fields.iter().map(|field| u32::from_le_bytes(*field)).collect();
        let [segment, offset, count, bytes, head_bytes, marks @ ..] = fields.as_slice() else { return None };
        let (marks, odd) = marks.as_chunks::<2>();
        let sound = rest.is_empty() && odd.is_empty() && *count > 0;
        let small = [*bytes, *head_bytes].into_iter().all(|n| usize::try_from(n).is_ok_and(|n| n <= FRAME_MAX_BYTES));
        (sound && small).then_some(Self {
            entries_at: Place { segment: u64::from(*segment), offset: u64::from(*offset) + ENTRIES_AT as u64 },
            first: size.checked_sub(u64::from(*count))?,
            bytes: *bytes,
            head_bytes: *head_bytes,
            marks: marks.iter().map(|[entries, bytes]| (*entries, *bytes)).collect(),
        })
    }

    fn at(&self, bytes: u32) -> Place {
        Place { offset: self.entries_at.offset + u64::from(bytes), ..self.entries_at }
    }

    /// Which bytes of the entries hold a range of them, and the index of the first entry in there.
    fn span(&self, from: u64, to: u64) -> (u64, u32, u32) {
        let starts = |mark: &&(u32, u32), seq: u64| self.first.saturating_add(u64::from(mark.0)) <= seq;
        let (entries, start) = self.marks.iter().rfind(|mark| starts(mark, from)).copied().unwrap_or_default();
        let end = self.marks.iter().find(|mark| !starts(mark, to.saturating_sub(1))).map_or(self.bytes, |mark| mark.1);
        (self.first.saturating_add(u64::from(entries)), start, end)
    }
}

/// The index. Clones share it.
#[derive(Debug, Clone)]
pub struct Index {
    db: sled::Db,
    /// The file that tells the next start to build it again.
    mark: PathBuf,
    segments: Arc<Segments>,
}

fn key(letter: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![letter];
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// What sled gives of a range. Damage may show at any step, also as a panic; then there is no further one.
struct Scan<I> {
    index: Index,
    found: Option<I>,
}

impl<K, I: Iterator<Item = sled::Result<(K, K)>>> Iterator for Scan<I> {
    type Item = Result<(K, K), IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.found.as_mut()?;
        let next = self.index.guarded(|| found.next().transpose()).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.found = None;
        }
        next
    }
}

/// The entries of a range, read from the journal commit by commit.
struct Records {
    commits: Scan<sled::Iter>,
    ready: VecDeque<(u64, Record)>,
    from: u64,
    to: u64,
}

impl Records {
    /// Reads what the next commit has of the range; nothing when there is none.
    fn read(&mut self) -> Result<Option<()>, IndexError> {
        let Some(found) = self.commits.next().filter(|_| self.from < self.to) else { return Ok(None) };
        let (key, value) = found?;
        let index = &self.commits.index;
        let size = number(key.get(1..).unwrap_or_default())?;
        let commit = Commit::read(size, &value).ok_or_else(|| index.torn("a commit"))?;
        let (first, start, end) = commit.span(self.from, self.to);
        let length = usize::try_from(end.saturating_sub(start)).unwrap_or_default();
        let bytes = index.segments.read(commit.at(start), length)?;
        let records = decode_entries(&bytes).ok_or_else(|| index.torn("a frame"))?;
        let wanted = (first..).zip(records).filter(|(seq, _)| (self.from..self.to).contains(seq));
        self.ready.extend(wanted.map(|(seq, record)| (seq, record.to_record())));
        self.from = size;
        Ok(Some(()))
    }
}

impl Iterator for Records {
    type Item = Result<(u64, Record), IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Some(Ok(record));
            }
            if let Err(error) = self.read().transpose()? {
                self.to = 0;
                return Some(Err(error));
            }
        }
    }
}

impl Index {
    /// Opens or makes it, over the journal in a folder. A half-written snapshot of sled, which it would stumble over, is
    /// removed first.
    ///
    /// # Errors
    /// When sled can't open it, or panics over it, or when it has another layout.
    pub fn open(path: &Path, journal: &Path) -> Result<Self, IndexError> {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(".generating") {
                std::fs::remove_file(entry.path()).map_err(|error| IndexError(error.to_string()))?;
            }
        }
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
        let db = guarded(|| config.open()).or_else(|error| {
            let held = error.0.contains(LOCK_HELD) && let_go(path);
            if held { guarded(|| config.open()) } else { Err(error) }
        })?;
        match guarded(|| db.get(b"v"))? {
            Some(version) if *version == [VERSION] => {}
            None if guarded(|| db.iter().next().transpose())?.is_none() => {
                guarded(|| db.insert(b"v", &[VERSION]))?;
            }
            Some(_) | None => return Err(IndexError("it has another layout".into())),
        }
        let segments = Segments { dir: journal.to_owned(), open: Mutex::default() };
        Ok(Self { db, mark: path.with_extension("damaged"), segments: Arc::new(segments) })
    }

    /// Runs a call into sled. When it finds damage, or panics over it, the next start builds the index again.
    fn guarded<T>(&self, call: impl FnOnce() -> sled::Result<T>) -> Result<T, IndexError> {
        match caught(call) {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error @ sled::Error::Corruption { .. })) => {
                self.mark();
                Err(error.into())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(()) => {
                self.mark();
                Err(IndexError(PANICKED.into()))
            }
        }
    }

    fn torn(&self, what: &str) -> IndexError {
        self.mark();
        torn(what)
    }

    fn mark(&self) {
        // Without the mark the next reading finds the same.
        drop(File::create(&self.mark));
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
        self.guarded(|| self.db.insert(key, value)).map(drop)
    }

    /// Size and last leaf of what is indexed; nothing when it is empty.
    ///
    /// # Errors
    /// What sled says.
    pub fn extent(&self) -> Result<Option<(u64, Hash)>, IndexError> {
        Ok(self.newest()?.map(|(size, leaf, _)| (size, leaf)))
    }

    /// Where the frame begins of the commit that made the log so long, if it is indexed.
    ///
    /// # Errors
    /// What sled says.
    pub fn place(&self, size: u64) -> Result<Option<Place>, IndexError> {
        let Some(value) = self.guarded(|| self.db.get(key(b'c', &[&size.to_be_bytes()])))? else { return Ok(None) };
        let Place { segment, offset } = Commit::read(size, &value).ok_or_else(|| torn("a commit"))?.entries_at;
        Ok(Some(Place { segment, offset: offset.saturating_sub(ENTRIES_AT as u64) }))
    }

    /// The bytes of the journal from where the frame begins of the commit that made the log so long, up to a place; nothing
    /// when it is not indexed, or no frame can stand there.
    ///
    /// # Errors
    /// What sled says, and reading the journal.
    pub fn frame(&self, size: u64, until: Place) -> Result<Option<Vec<u8>>, IndexError> {
        let Some(place) = self.place(size)?.filter(|place| place.segment == until.segment) else { return Ok(None) };
        let length = until.offset.checked_sub(place.offset).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length <= FRAME_HEADER_BYTES + FRAME_MAX_BYTES);
        length.map(|length| self.segments.read(place, length)).transpose()
    }

    /// Adds commits that follow what is indexed.
    ///
    /// # Errors
    /// What sled says.
    pub fn apply<'a>(&self, commits: impl IntoIterator<Item = &'a Indexed>) -> Result<(), IndexError> {
        let mut newest = None;
        for commit in commits {
            let size = commit.shape.size().to_be_bytes();
            for (seq, subject) in &commit.shape.subjects {
                self.insert(&key(b'u', &[&subject.0, &seq.to_be_bytes()]), &[])?;
            }
            self.insert(&key(b'c', &[&size]), &Commit::value(commit)?)?;
            newest = Some([&size[..], &commit.last, commit.head.as_bytes()].concat());
        }
        newest.map_or(Ok(()), |newest| self.insert(b"n", &newest))
    }

    fn commits(&self, from: u64) -> Scan<sled::Iter> {
        let (from, to) = (key(b'c', &[&from.to_be_bytes()]), key(b'c', &[&[u8::MAX; 9]]));
        Scan { index: self.clone(), found: Some(self.db.range::<Vec<u8>, _>(from..to)) }
    }

    /// The records of a range, in order. What is missing is simply not there.
    pub fn records(&self, from: u64, to: u64) -> impl Iterator<Item = Result<(u64, Record), IndexError>> + use<> {
        let commits = self.commits(from.saturating_add(1));
        Records { commits, ready: VecDeque::new(), from, to }
    }

    /// The indexes of the entries that hold disclosures of a person.
    pub fn of_subject(&self, subject: SubjectId) -> impl Iterator<Item = Result<u64, IndexError>> + use<> {
        let (from, to) = (key(b'u', &[&subject.0]), key(b'u', &[&subject.0, &[u8::MAX; 9]]));
        let found = Scan { index: self.clone(), found: Some(self.db.range(from..to)) };
        found.map(|found| number(found?.0.get(17..).unwrap_or_default()))
    }

    /// The next person after another, or the first, and the first entry that holds disclosures of them.
    ///
    /// # Errors
    /// What sled says.
    pub fn subject_after(&self, before: Option<SubjectId>) -> Result<Option<(SubjectId, u64)>, IndexError> {
        let from = before.map_or_else(|| vec![b'u'], |before| key(b'u', &[&before.0, &[u8::MAX; 9]]));
        let found = Some(self.db.range(from..vec![b'u' + 1]));
        let Some(found) = (Scan { index: self.clone(), found }).next() else { return Ok(None) };
        let (key, _) = found?;
        let (subject, seq) = key.split_at_checked(17).ok_or_else(|| torn("a key"))?;
        let subject = subject.last_chunk().ok_or_else(|| torn("a key"))?;
        Ok(Some((SubjectId(*subject), number(seq)?)))
    }

    /// The smallest signed head over at least `size` entries.
    ///
    /// # Errors
    /// What sled says.
    pub fn head_from(&self, size: u64) -> Result<Option<String>, IndexError> {
        let Some((key, value)) = self.commits(size).next().transpose()? else { return Ok(None) };
        let commit = Commit::read(number(key.get(1..).unwrap_or_default())?, &value).ok_or_else(|| torn("a commit"))?;
        // The length of the head stands between the entries and it.
        let (mut place, length) = (commit.at(commit.bytes), usize::try_from(commit.head_bytes).unwrap_or_default());
        place.offset += 4;
        String::from_utf8(self.segments.read(place, length)?).map(Some).map_err(|_| torn("a head"))
    }

    /// The signed head over the most entries; nothing when it is not text.
    ///
    /// # Errors
    /// What sled says.
    pub fn newest_head(&self) -> Result<Option<String>, IndexError> {
        Ok(self.newest()?.and_then(|(_, _, note)| String::from_utf8(note).ok()))
    }

    fn newest(&self) -> Result<Option<(u64, Hash, Vec<u8>)>, IndexError> {
        let Some(value) = self.guarded(|| self.db.get(b"n"))? else { return Ok(None) };
        let parts = value.split_first_chunk::<8>().and_then(|(size, rest)| {
            let (leaf, note) = rest.split_first_chunk::<HASH_BYTES>()?;
            Some((u64::from_be_bytes(*size), *leaf, note.to_vec()))
        });
        parts.map(Some).ok_or_else(|| torn("the newest head"))
    }
}

fn number(bytes: &[u8]) -> Result<u64, IndexError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| torn("a key"))
}

/// Waits until sled's lock is free: its threads keep it a little longer than the database that they work for.
/// The folder's own lock is ours, so nobody else has it; without this wait a sound index would be taken for a damaged one.
pub(super) fn let_go(path: &Path) -> bool {
    let Ok(file) = File::open(path.join("db")) else { return false };
    let (free, freed) = mpsc::channel();
    std::thread::spawn(move || {
        let locked = file.lock();
        drop(file);
        // Who has stopped waiting builds the index again.
        let _ = free.send(locked);
    });
    freed.recv_timeout(LOCK_MAX).is_ok_and(|locked| locked.is_ok())
}

/// What is said of a panic of sled's: one more way to be damaged.
const PANICKED: &str = "sled panicked over it";

/// Runs a call into sled while the index is opened.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, IndexError> {
    Ok(caught(call).map_err(|()| IndexError(PANICKED.into()))??)
}

/// Runs what may panic, and says no more than that it did.
pub(super) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, ()> {
    catch_unwind(AssertUnwindSafe(call)).map_err(drop)
}

#[cfg(test)]
mod tests;
