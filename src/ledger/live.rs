//! Reading a segment of a journal without its writer, which may be at work on it.

use std::{io, path::Path, sync::mpsc::channel, time::Duration};

use super::{
    disk::Layout,
    files,
    frame::FRAME_MAX_BYTES,
    journal::{self, Piece, SEGMENT_BYTES},
};

/// Largest segment that is read: a full one, or one made for one large frame.
const SEGMENT_MAX_BYTES: u64 = SEGMENT_BYTES + FRAME_MAX_BYTES as u64 + 4_096;

/// How often a segment is read in which something seems to be missing.
pub const READS_MAX: usize = 6;

/// How long a reader waits before it reads again.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether a process has the ledger open.
#[must_use]
pub fn in_use(layout: &Layout) -> bool {
    files::open(&layout.lock()).is_ok_and(|lock| lock.try_lock_shared().is_err())
}

/// The bytes of a segment, if it is no larger than one can be. `written` says whether it may be being written.
///
/// # Errors
/// What the disk says; [`io::ErrorKind::FileTooLarge`] when it is larger.
pub fn read(path: &Path, number: u64, written: impl Fn() -> bool) -> io::Result<Vec<u8>> {
    settled(number, written, || files::read(path, SEGMENT_MAX_BYTES))
}

/// Reads again while something is missing before a frame that is there, and the segment may be being written: a reading that
/// the writer overtook has the zeros from before and a frame from after.
pub fn settled(
    number: u64,
    written: impl Fn() -> bool,
    mut read: impl FnMut() -> io::Result<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let mut bytes = read()?;
    let (_waiting, wait) = channel::<()>();
    for _ in 1..READS_MAX {
        if !written() || whole(&bytes, number) {
            break;
        }
        // Nobody sends: it is a rest.
        let _ = wait.recv_timeout(PAUSE);
        bytes = read()?;
    }
    Ok(bytes)
}

fn whole(bytes: &[u8], number: u64) -> bool {
    let frame = |piece: &Piece<'_>| match piece {
        Piece::Frame(_) => true,
        Piece::Broken(_) | Piece::Gap { .. } => false,
    };
    journal::pieces(bytes, number).is_some_and(|(_, pieces, _)| pieces.iter().all(frame))
}
