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

/// Makes a file of that many zeros whose blocks are all there, durable but for its name. `rest` is called between the writes
/// with the number of zeros so far, and may end it.
///
/// # Errors
/// What the disk or `rest` says.
pub fn zeroed(path: &Path, bytes: u64, mut rest: impl FnMut(u64) -> io::Result<()>) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    allocate(&file, bytes)?;
    let room = vec![0; ZEROS_BYTES + PAGE_BYTES];
    let aligned = room.as_ptr().align_offset(PAGE_BYTES);
    let zeros = room.get(aligned..).and_then(|zeros| zeros.get(..ZEROS_BYTES)).unwrap_or(&room);
    let mut past = PastTheCache::of(path);
    let mut at = 0;
    while at < bytes {
        let length = zeros.len().min(usize::try_from(bytes - at).unwrap_or(zeros.len()));
        past.write(&file, zeros.get(..length).unwrap_or_default(), at)?;
        at += length as u64;
        if at < bytes {
            rest(at)?;
        }
    }
    file.sync_all()?;
    Ok(file)
}

/// Makes a file of that length whose blocks are all there: at once where the file system can, else with zeros.
///
/// # Errors
/// What the disk says.
pub fn allocated(path: &Path, bytes: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    if reserved(&file, bytes)? { Ok(file) } else { zeroed(path, bytes, |_| Ok(())) }
}

/// A file that is written without the page cache, as far as the file system can.
struct PastTheCache(Option<File>);

impl PastTheCache {
    fn of(path: &Path) -> Self {
        let flags = i32::try_from(OFlags::DIRECT.bits()).unwrap_or_default();
        Self(OpenOptions::new().write(true).custom_flags(flags).open(path).ok())
    }

    /// Writes zeros, so that they are on their way to the disk and nobody who syncs another file has to bring them there.
    fn write(&mut self, file: &File, zeros: &[u8], at: u64) -> io::Result<()> {
        if let Some(direct) = &self.0
            && zeros.len().is_multiple_of(PAGE_BYTES)
        {
            match direct.write_all_at(zeros, at) {
                // One that can't says so at the first.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.0 = None,
                done => return done,
            }
        }
        file.write_all_at(zeros, at)?;
        file.sync_data()
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
            zeroed(&path, bytes, |at| {
                told.push(at);
                Ok(())
            })
            .unwrap();
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
        let file = File::create_new(&path).unwrap();
        // An address that hardly a disk takes: most file systems refuse it, as some do with any.
        let room = vec![0; PAGE_BYTES * 3];
        let odd = room.as_ptr().align_offset(PAGE_BYTES) + 1;
        let mut past = PastTheCache::of(&path);
        for at in [0, PAGE_BYTES as u64] {
            past.write(&file, &room[odd..odd + PAGE_BYTES], at).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), vec![0; 2 * PAGE_BYTES]);
    }
}
