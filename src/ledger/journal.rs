//! The journal: append-only segments of frames. When a frame is on the disk, its entries have happened.
//!
//! Segments are preallocated and zeroed, so that an append changes no metadata and one `fdatasync` is one write to the disk. The
//! next one is zeroed beside the appends, as fast as they need it; when they are faster than the disk can do that, the next is
//! only allocated. The first segment is small, for the sake of small ledgers, and each is twice as large as the one before, up to
//! a limit. A full segment never changes again: what did not fit into it stays zeros, as cutting a file can take milliseconds.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use super::{
    ahead::{Ahead, UNDER_WAY},
    blocks::{Blank, PAGE_BYTES, ZEROS_BYTES, Zeros, allocate, allocated, free_bytes},
    frame::{FRAME_HEADER_BYTES, FRAME_MAX_BYTES, Raw},
    store::Place,
};

/// Largest size of a segment, unless one frame needs more.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// Size of the first segment.
pub const FIRST_SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// Length of a segment's header: magic, number, index of the first entry, CRC-32C of those, four zeros.
pub const SEGMENT_HEADER_BYTES: usize = 32;

const SEGMENT_MAGIC: [u8; 8] = *b"CSJRNL1\n";

/// At which part of a segment the next one is begun: a small ledger then does without.
const BEGUN_AT: u64 = 8;

/// How many bytes of checksums that do not hold are computed over one segment, and one frame more: a file full of false
/// beginnings would else take for ever. What is left of it then counts as damaged.
const CHECKS_FAILED_MAX_BYTES: usize = 512 * 1024 * 1024;

/// The name under which the next segment lies ready.
const NEXT: &str = "next.part";

/// The extension of one that gets its header.
const AT_ONCE: &str = "now";

/// The name of a segment.
#[must_use]
pub fn segment_name(number: u64) -> String {
    format!("{number:08}.seg")
}

/// The segments of a journal, in order.
///
/// # Errors
/// When the folder can't be read. A folder that isn't there has none.
pub fn segments(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".seg")?.parse().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort_unstable();
    Ok(found)
}

fn header(number: u64, first: u64) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    let fields = [SEGMENT_MAGIC, number.to_le_bytes(), first.to_le_bytes()];
    let crc = crc32c::crc32c(fields.as_flattened()).to_le_bytes();
    for (to, from) in header.iter_mut().zip(fields.as_flattened().iter().chain(&crc)) {
        *to = *from;
    }
    header
}

/// What stands at a place of a segment.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// A frame whose checksum holds.
    Frame(Raw<'a>),
    /// A frame whose checksum does not hold, with another one right after it.
    Broken(Raw<'a>),
    /// Bytes that are no frame, with one after them; or the rest of a segment so damaged that it was given up.
    Gap {
        /// How many bytes.
        bytes: usize,
    },
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Where the last good frame begins; nothing when there is none.
    pub last: Option<usize>,
    /// Where the last good frame ends.
    pub at: usize,
    /// Where the last byte ends that is not zero: beyond `at` when something was begun and not finished.
    pub until: usize,
}

impl End {
    /// Whether something stands after the last frame.
    #[must_use]
    pub fn torn(&self) -> bool {
        self.until > self.at
    }

    /// Whether it is more than one frame can leave behind.
    #[must_use]
    pub fn beyond_one_frame(&self) -> bool {
        self.until - self.at > FRAME_HEADER_BYTES + FRAME_MAX_BYTES
    }
}

/// The index of the first entry of a segment, from the start of its bytes. `None` when the header is not that of this segment.
#[must_use]
pub fn first_of(bytes: &[u8], number: u64) -> Option<u64> {
    let (head, _) = bytes.split_first_chunk::<SEGMENT_HEADER_BYTES>()?;
    let first = u64::from_le_bytes(*head.get(16..)?.first_chunk()?);
    (*head == header(number, first)).then_some(first)
}

/// The index of its first entry, the pieces of a whole segment's bytes, and how it ends. `None` when the header is not that
/// of this segment.
#[must_use]
pub fn pieces(bytes: &[u8], number: u64) -> Option<(u64, Vec<Piece<'_>>, End)> {
    let first = first_of(bytes, number)?;
    let (found, end) = pieces_from(bytes.get(SEGMENT_HEADER_BYTES..)?, SEGMENT_HEADER_BYTES);
    Some((first, found, end))
}

/// The pieces of the bytes that stand at an offset of a segment, and how it ends.
#[must_use]
pub fn pieces_from(bytes: &[u8], offset: usize) -> (Vec<Piece<'_>>, End) {
    pieces_within(bytes, offset, &mut Budget(CHECKS_FAILED_MAX_BYTES))
}

fn pieces_within<'a>(bytes: &'a [u8], offset: usize, budget: &mut Budget) -> (Vec<Piece<'a>>, End) {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let (mut found, mut at, mut last) = (Vec::new(), 0, None);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match Raw::at(rest) {
            Some(raw) if budget.intact(&raw) => {
                last = Some(offset + at);
                at += raw.frame_bytes();
                found.push(Piece::Frame(raw));
                continue;
            }
            Some(raw) if budget.intact_at(rest, raw.frame_bytes()) => {
                at += raw.frame_bytes();
                found.push(Piece::Broken(raw));
                continue;
            }
            Some(_) | None => {}
        }
        let until = used.max(at);
        let begun = until - at;
        if let Some(bytes) = (1..begun).find(|skip| budget.intact_at(rest, *skip)) {
            at += bytes;
            found.push(Piece::Gap { bytes });
        } else if budget.0 == 0 && begun > 0 {
            // What was not searched may hold good frames: it is no torn end that may be cut off.
            found.push(Piece::Gap { bytes: begun });
            return (found, End { last, at: offset + until, until: offset + until });
        } else {
            return (found, End { last, at: offset + at, until: offset + until });
        }
    }
}

/// How many bytes of failed checksums are left. A good frame costs nothing, so that only damage is given up on, and never
/// the first of it.
struct Budget(usize);

impl Budget {
    fn intact(&mut self, raw: &Raw<'_>) -> bool {
        if self.0 == 0 {
            return false;
        }
        let intact = raw.intact();
        if !intact {
            self.0 = self.0.saturating_sub(raw.frame_bytes());
        }
        intact
    }

    fn intact_at(&mut self, bytes: &[u8], at: usize) -> bool {
        bytes.get(at..).and_then(Raw::at).is_some_and(|raw| self.intact(&raw))
    }
}

/// Writes the last frame again where it stands, and syncs it. It may have been read from the cache alone: a process was
/// killed before its sync, or the sync failed, after which the kernel takes the pages for written and the next sync says
/// nothing of them. Only the last one can be like that: a frame is not begun, and a segment not left, before the sync of the
/// frame before it has succeeded.
fn settle_last(file: &File, end: End) -> io::Result<()> {
    let Some(last) = end.last else { return Ok(()) };
    let mut bytes = vec![0; end.at.saturating_sub(last)];
    file.read_exact_at(&mut bytes, last as u64)?;
    if !Raw::at(&bytes).is_some_and(|raw| raw.frame_bytes() == bytes.len() && raw.intact()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the last frame was read before and can't be now"));
    }
    file.write_all_at(&bytes, last as u64)?;
    file.sync_data()
}

/// Renames a file, never over another one.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system and kernel can do it in one step; the folder is locked, so nobody comes in between.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !to.try_exists()? => std::fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(Errno::EXIST.into()),
        done => Ok(done?),
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// When the folder can't be opened or synced.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// How large segments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The first one, in bytes; never smaller than its header.
    pub first: u64,
    /// The others at most, in bytes: each is twice as large as the one before.
    pub others: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { first: FIRST_SEGMENT_BYTES, others: SEGMENT_BYTES }
    }
}

/// The end of the journal, open for writing.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    sizes: Sizes,
    file: File,
    number: u64,
    at: u64,
    capacity: u64,
    /// Who prepares the next one: nobody while there is little room, which others need too. Segments are then small.
    ahead: Option<Ahead>,
    frugal: bool,
}

impl Journal {
    /// Makes the first segment of a journal.
    ///
    /// # Errors
    /// What the disk says; also when there are segments already.
    pub fn create(dir: &Path, sizes: Sizes) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        // The folder's own name must be as durable as what will be in it.
        dir.parent().map_or(Ok(()), sync_dir)?;
        if !segments(dir)?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there are segments already"));
        }
        let (part, bytes) = (dir.join(NEXT), sizes.first.max(SEGMENT_HEADER_BYTES as u64));
        let filled = Blank::create(&part).and_then(|blank| blank.fill(&Zeros::new(), bytes, |_| Ok(())));
        if let Err(error) = filled {
            // What can't be removed is written over by the next attempt.
            drop(std::fs::remove_file(&part));
            return Err(error);
        }
        let (file, capacity) = Self::segment(dir, 0, 0, bytes, 0)?;
        Ok(Self::at(dir, sizes, file, 0, SEGMENT_HEADER_BYTES as u64, capacity))
    }

    /// Opens the last segment of a journal to write on at `end.at`, and cuts off what was begun after it. Segments whose making
    /// was begun are removed. When this returns, all that was read up to there is on the disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn resume(dir: &Path, sizes: Sizes, number: u64, end: End) -> io::Result<Self> {
        for begun in [AT_ONCE, UNDER_WAY] {
            match std::fs::remove_file(dir.join(NEXT).with_extension(begun)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        let file = OpenOptions::new().read(true).write(true).open(dir.join(segment_name(number)))?;
        let (at, capacity) = (end.at as u64, file.metadata()?.len());
        if end.torn() {
            file.set_len(at)?;
            file.sync_all()?;
            file.set_len(capacity)?;
            allocate(&file, capacity)?;
            file.sync_all()?;
        }
        settle_last(&file, end)?;
        // The segment's name may be as new as its last frame.
        sync_dir(dir)?;
        Ok(Self::at(dir, sizes, file, number, at, capacity))
    }

    fn at(dir: &Path, sizes: Sizes, file: File, number: u64, at: u64, capacity: u64) -> Self {
        let ahead = ahead(dir);
        Self { dir: dir.to_owned(), sizes, file, number, at, capacity, ahead, frugal: false }
    }

    /// Makes a segment, of the one that lies ready if that has `need` bytes; gives its size.
    fn segment(dir: &Path, number: u64, first: u64, bytes: u64, need: u64) -> io::Result<(File, u64)> {
        let part = dir.join(NEXT);
        // A name that nobody else uses comes first: another one that is ready may come under this one at any moment.
        let now = part.with_extension(AT_ONCE);
        let ready = match std::fs::rename(&part, &now) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            renamed => Some(renamed.and_then(|()| OpenOptions::new().read(true).write(true).open(&now))?),
        };
        let found = ready.as_ref().map_or(Ok(0), |file| file.metadata().map(|found| found.len()))?;
        let (file, capacity) = match ready {
            Some(file) if found >= need => (file, found),
            Some(_) | None => (allocated(&now, bytes)?, bytes),
        };
        // A whole page, as of a frame: what is behind it is not read from the disk first.
        let mut page = [0; PAGE_BYTES];
        for (to, from) in page.iter_mut().zip(header(number, first)) {
            *to = from;
        }
        file.write_all_at(page.get(..usize::try_from(capacity).unwrap_or(PAGE_BYTES)).unwrap_or(&page), 0)?;
        file.sync_data()?;
        rename_new(&now, &dir.join(segment_name(number)))?;
        sync_dir(dir)?;
        Ok((file, capacity))
    }

    /// Appends a frame whose first entry has that index, and says where it stands. When this returns, the frame is on the disk.
    /// `frame` is given back as it was; it is only lent to be written out to the end of a page.
    ///
    /// # Errors
    /// What the disk says; the frame may be there or not, and nothing may be appended any more.
    pub fn append(&mut self, frame: &mut Vec<u8>, first: u64) -> io::Result<Place> {
        let length = frame.len() as u64;
        if self.at + length > self.capacity {
            self.roll(first, length)?;
        }
        let place = self.place();
        // Of a page that is not written whole, the rest would first be read from the disk, and it is zeros.
        let end = (self.at + length).next_multiple_of(PAGE_BYTES as u64).min(self.capacity);
        let (before, padded) = (frame.len(), usize::try_from(end - self.at).unwrap_or(frame.len()));
        frame.resize(padded, 0);
        let written = self.file.write_all_at(frame, self.at);
        frame.truncate(before);
        written?;
        self.file.sync_data()?;
        self.at += length;
        Ok(place)
    }

    /// Sees to the next segment, as far as it will be needed. Called when nobody waits for the disk.
    pub fn follow(&self) {
        let Some(ahead) = &self.ahead else { return };
        let begun_at = self.capacity / BEGUN_AT;
        if self.at > begun_at {
            let (bytes, since, all) = (self.usual(), self.at - begun_at, self.capacity - begun_at);
            // An eighth sooner than it must be there.
            let due = bytes.saturating_mul(since) / all / 8 * 9;
            ahead.reach(bytes, due.saturating_add(ZEROS_BYTES as u64).min(bytes));
        }
    }

    /// Where the next frame will stand.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { segment: self.number, offset: self.at }
    }

    /// Says whether there is little room: then a segment takes half of it, or what its first frame needs, and the next is
    /// not prepared.
    pub fn be_frugal(&mut self, frugal: bool) {
        self.frugal = frugal;
        // What is half made is removed.
        self.ahead = if frugal { None } else { self.ahead.take().or_else(|| ahead(&self.dir)) };
    }

    fn roll(&mut self, first: u64, length: u64) -> io::Result<()> {
        let need = SEGMENT_HEADER_BYTES as u64 + length;
        let usual = self.usual().max(need);
        // Half of what there is, for the journal; the other half for what is derived from it.
        let half = if self.frugal { free_bytes(&self.dir)? / 2 } else { usual };
        let next = self.number + 1;
        let made = Self::segment(&self.dir, next, first, half.clamp(need, usual), need).or_else(|error| {
            if error.kind() != io::ErrorKind::StorageFull || !self.frugal {
                return Err(error);
            }
            Self::segment(&self.dir, next, first, need, need)
        });
        (self.file, self.capacity) = made?;
        if let Some(ahead) = &self.ahead {
            ahead.taken();
        }
        self.number = next;
        self.at = SEGMENT_HEADER_BYTES as u64;
        Ok(())
    }

    /// How large the next segment is.
    fn usual(&self) -> u64 {
        self.capacity.saturating_mul(2).min(self.sizes.others)
    }
}

/// Who prepares the next segments of a journal. Without, each is made when it is needed.
fn ahead(dir: &Path) -> Option<Ahead> {
    Ahead::start(dir.join(NEXT)).ok()
}

#[cfg(test)]
mod tests;
