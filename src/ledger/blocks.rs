//! Files whose blocks are all there before anything is written to them, so that a write changes no metadata.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use rustix::{
    fs::{FallocateFlags, OFlags, fallocate},
    io::{Errno, retry_on_intr},
};

/// Size of a page of memory, and what the length and place of a write past the cache are multiples of.
pub const PAGE_BYTES: usize = 4_096;

/// How many zeros are written at once.
pub const ZEROS_BYTES: usize = 192 * 1024;

/// Reserves a file's blocks, where the file system can.
pub fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    reserved(file, bytes).map(drop)
}

/// Reserves a file's blocks; says whether the file system can.
fn reserved(file: &File, bytes: u64) -> io::Result<bool> {
    // A large file takes its time, and a signal may come.
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, bytes)) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// How many bytes are free on the disk of a folder.
///
/// # Errors
/// What the disk says.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(dir)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Makes a file of that length whose blocks are all there: at once where the file system can, else with zeros.
///
/// # Errors
/// What the disk says.
pub fn allocated(path: &Path, bytes: u64) -> io::Result<File> {
    let blank = Blank::create(path)?;
    if reserved(&blank.file, bytes)? { Ok(blank.file) } else { blank.fill(&Zeros::new(), bytes, |_| Ok(())) }
}

/// Zeros as they can be written without the page cache.
#[derive(Debug)]
pub struct Zeros {
    room: Vec<u8>,
    /// Where in it a page begins.
    aligned: usize,
}

impl Zeros {
    /// Some of them: [`ZEROS_BYTES`].
    pub fn new() -> Self {
        let room = vec![0; ZEROS_BYTES + PAGE_BYTES];
        Self { aligned: room.as_ptr().align_offset(PAGE_BYTES), room }
    }

    fn some(&self, bytes: u64) -> &[u8] {
        let length = usize::try_from(bytes).unwrap_or(ZEROS_BYTES).min(ZEROS_BYTES);
        // An address that can't be aligned is refused by the disk, and then written another way.
        let from = self.room.get(self.aligned..).filter(|from| from.len() >= length).unwrap_or(&self.room);
        from.get(..length).unwrap_or_default()
    }
}

/// An empty file that is to hold zeros.
#[derive(Debug)]
pub struct Blank {
    file: File,
    /// The same without the page cache, as far as the file system can.
    past: Option<File>,
}

impl Blank {
    /// Makes it; what was there under that name is gone.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let flags = i32::try_from(OFlags::DIRECT.bits()).unwrap_or_default();
        Ok(Self { file, past: OpenOptions::new().write(true).custom_flags(flags).open(path).ok() })
    }

    /// Fills it with so many zeros, so that its blocks are all there, and all of it durable but for its name. `rest` is
    /// called between the writes with the number of zeros so far, and may end it.
    ///
    /// # Errors
    /// What the disk or `rest` says.
    pub fn fill(mut self, zeros: &Zeros, bytes: u64, mut rest: impl FnMut(u64) -> io::Result<()>) -> io::Result<File> {
        allocate(&self.file, bytes)?;
        let mut at = 0;
        while at < bytes {
            let some = zeros.some(bytes - at);
            self.write(some, at)?;
            at += some.len() as u64;
            if at < bytes {
                rest(at)?;
            }
        }
        self.file.sync_all()?;
        Ok(self.file)
    }

    /// Writes zeros, so that they are on their way to the disk and nobody who syncs another file has to bring them there.
    fn write(&mut self, zeros: &[u8], at: u64) -> io::Result<()> {
        if let Some(past) = &self.past
            && zeros.len().is_multiple_of(PAGE_BYTES)
        {
            match past.write_all_at(zeros, at) {
                // One that can't says so at the first, each in its own way.
                Err(error) if error.kind() != io::ErrorKind::StorageFull => self.past = None,
                done => return done,
            }
        }
        self.file.write_all_at(zeros, at)?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = ZEROS_BYTES as u64;

    #[test]
    fn a_file_of_zeros_has_all_of_its_blocks() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        for bytes in [1, 4_096, 5_000, 3 * PIECE, 3 * PIECE + 4_097] {
            let path = dir.path().join("zeros");
            // What was there before does not show through.
            std::fs::write(&path, vec![b'x'; 2 * ZEROS_BYTES]).unwrap();
            let mut told = Vec::new();
            let note = |at| {
                told.push(at);
                Ok(())
            };
            Blank::create(&path).unwrap().fill(&Zeros::new(), bytes, note).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), vec![0; usize::try_from(bytes).unwrap()]);
            assert!(std::fs::metadata(&path).unwrap().blocks() * 512 >= bytes);
            let between = (1..bytes.div_ceil(PIECE)).map(|n| n * PIECE);
            assert_eq!(told, between.collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_can_not_write_past_the_cache_writes_through_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zeros");
        let mut blank = Blank::create(&path).unwrap();
        // An address that hardly a disk takes: most file systems refuse it, as some do with any.
        let zeros = Zeros::new();
        let odd = zeros.aligned + 1;
        for at in [0, PAGE_BYTES as u64] {
            blank.write(&zeros.room[odd..odd + PAGE_BYTES], at).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), vec![0; 2 * PAGE_BYTES]);
    }

    #[test]
    fn who_is_refused_past_the_cache_for_another_reason_writes_through_it_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zeros");
        let mut blank = Blank::create(&path).unwrap();
        blank.past = Some(File::open(&path).unwrap());
        blank.fill(&Zeros::new(), 2 * PIECE, |_| Ok(())).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), vec![0; 2 * ZEROS_BYTES]);
    }
}
