//! Reading files that somebody else may have put there: only regular ones, and no more of them than there can be.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;

/// Opens a regular file to read. Opening a pipe does not wait for who writes into it: it is refused, like all else that is no file.
///
/// # Errors
/// What the disk says; also when it is not a file: see [`wrong`].
pub fn open(path: &Path) -> io::Result<File> {
    let at_once = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(at_once).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a file"))
    }
}

/// Whether an error is not that something can't be read, but that what is there can't be what it should be.
#[must_use]
pub fn wrong(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge)
}

/// Reads a regular file whole, if it is no longer than `limit` bytes.
///
/// # Errors
/// What the disk says; [`io::ErrorKind::FileTooLarge`] when it is longer.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes"));
    let length = file.metadata()?.len();
    // It may grow, and its length may not be true: what is read is counted too.
    let bytes = if length > limit { return Err(too_large()) } else { some(file, length, limit)? };
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// Reads a regular file, at most `limit` bytes and one more.
///
/// # Errors
/// What the disk says.
pub fn read_some(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    some(file, length, limit)
}

fn some(file: File, length: u64, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // At once, so that what is large is not moved about while it is read.
    bytes.try_reserve(usize::try_from(length.min(limit)).unwrap_or_default()).map_err(io::Error::other)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
