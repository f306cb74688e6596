//! Reading a segment of a journal without its writer, which may be at work on it.

use std::{io, path::Path};

use super::{files, frame::FRAME_MAX_BYTES, journal::SEGMENT_BYTES};

/// Largest segment that is read: a full one, or one made for one large frame.
const SEGMENT_MAX_BYTES: u64 = SEGMENT_BYTES + FRAME_MAX_BYTES as u64 + 4_096;

/// The bytes of a segment, if it is no larger than one can be.
///
/// # Errors
/// What the disk says; [`io::ErrorKind::FileTooLarge`] when it is larger.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    files::read(path, SEGMENT_MAX_BYTES)
}
