//! The next segment of the journal, made ready while the present one is filled.
//!
//! It is made of zeros, of which only as many are written as will be needed, and right after a commit was answered: then nobody
//! waits for the disk, as those who were answered make up their minds. At any other time somebody would. The file itself is there
//! before, empty: to make one is slow, too.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use super::blocks::{Blank, Zeros};

/// The extension of a segment that is being made.
pub const UNDER_WAY: &str = "work";

/// So many zeros that there is nothing more to do.
const ALL: u64 = u64::MAX;

#[derive(Debug, Default)]
struct State {
    /// The size of the segment to be made, in bytes; none when there is nothing to do.
    bytes: Option<u64>,
    /// How many of its zeros should be there.
    due: u64,
    ended: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// How many zeros there are; [`ALL`] when the segment is ready, or can't be made.
    zeros: AtomicU64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a segment is to be made, and gives its size; nothing when it is time to go.
    fn wanted(&self) -> Option<u64> {
        let idle = |state: &mut State| !state.ended && state.bytes.is_none();
        let state = self.changed.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        state.bytes.filter(|_| !state.ended)
    }

    /// Waits until more zeros are due than there are.
    fn rest(&self, zeros: u64) -> io::Result<()> {
        self.zeros.store(zeros, Ordering::Relaxed);
        let enough = |state: &mut State| !state.ended && state.due <= zeros;
        let state = self.changed.wait_while(self.state(), enough).unwrap_or_else(PoisonError::into_inner);
        if state.ended { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    /// Makes one segment, and waits until it is taken; whether there will be another. One that can't be made is made when it
    /// is needed. Who takes it by its name, and says so, is heard after this has been noted.
    fn make(&self, ready: &Path, zeros: &Zeros) -> bool {
        let work = ready.with_extension(UNDER_WAY);
        let blank = Blank::create(&work);
        let made = match self.wanted() {
            Some(bytes) => blank.and_then(|blank| blank.fill(zeros, bytes, |zeros| self.rest(zeros))),
            None => Err(io::ErrorKind::Interrupted.into()),
        };
        let mut state = self.state();
        if made.and_then(|_| std::fs::rename(&work, ready)).is_err() {
            // What can't be removed is written over by the next.
            drop(std::fs::remove_file(&work));
        }
        (state.bytes, state.due) = (None, 0);
        self.zeros.store(ALL, Ordering::Relaxed);
        let ready = |state: &mut State| !state.ended && self.zeros.load(Ordering::Relaxed) == ALL;
        !self.changed.wait_while(state, ready).unwrap_or_else(PoisonError::into_inner).ended
    }
}

/// The thread that makes segments ready.
#[derive(Debug)]
pub struct Ahead {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Starts it. Segments that are ready come under that name.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(ready: PathBuf) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let work = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("ledger-next".into()).spawn(move || {
            let zeros = Zeros::new();
            while work.make(&ready, &zeros) {}
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Sees to it that of a segment of so many bytes so many zeros are there; returns at once. One that is ready, or could not
    /// be made, is left as it is until it is taken.
    pub fn reach(&self, bytes: u64, due: u64) {
        let enough = || self.shared.zeros.load(Ordering::Relaxed) >= due;
        if enough() {
            return;
        }
        let mut state = self.shared.state();
        // It may have become ready in between: an order would be left over, for one of another size.
        if enough() {
            return;
        }
        state.bytes.get_or_insert(bytes);
        state.due = state.due.max(due);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Says that what was ready has been taken, so that another can be made. One that is under way is made to its end.
    pub fn taken(&self) {
        let state = self.shared.state();
        if self.shared.zeros.load(Ordering::Relaxed) == ALL {
            self.shared.zeros.store(0, Ordering::Relaxed);
        }
        drop(state);
        self.shared.changed.notify_one();
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::blocks::ZEROS_BYTES;

    const PIECE: u64 = ZEROS_BYTES as u64;

    /// Waits until so many zeros are there. The thread says so itself, and nothing else ends the wait.
    fn until(ahead: &Ahead, zeros: u64) {
        while ahead.shared.zeros.load(Ordering::Relaxed) != zeros {
            std::thread::yield_now();
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let name = |file: io::Result<std::fs::DirEntry>| file.unwrap().file_name().into_string().unwrap();
        std::fs::read_dir(dir).unwrap().map(name).collect()
    }

    #[test]
    fn only_what_is_due_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let ahead = Ahead::start(dir.path().join("next.part")).unwrap();
        ahead.reach(4 * PIECE, 1);
        until(&ahead, PIECE);
        ahead.reach(4 * PIECE, PIECE);
        ahead.reach(4 * PIECE, PIECE + 1);
        until(&ahead, 2 * PIECE);
        assert_eq!(names(dir.path()), ["next.work"]);
        ahead.reach(4 * PIECE, 4 * PIECE);
        until(&ahead, ALL);
        assert_eq!(names(dir.path()), ["next.part"]);
        assert_eq!(std::fs::read(dir.path().join("next.part")).unwrap(), vec![0; 4 * ZEROS_BYTES]);
        // It lies ready: another one is only made when it was taken.
        ahead.reach(8 * PIECE, 8 * PIECE);
        assert_eq!(names(dir.path()), ["next.part"]);
        std::fs::remove_file(dir.path().join("next.part")).unwrap();
        ahead.taken();
        ahead.reach(PIECE, PIECE);
        until(&ahead, ALL);
        assert_eq!(std::fs::metadata(dir.path().join("next.part")).unwrap().len(), PIECE);
    }

    #[test]
    fn one_that_can_not_be_made_is_not_tried_again_until_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let ready = dir.path().join("folder/next.part");
        let ahead = Ahead::start(ready.clone()).unwrap();
        ahead.reach(PIECE, PIECE);
        until(&ahead, ALL);
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        ahead.reach(PIECE, PIECE);
        assert!(!ready.exists());
        ahead.taken();
        ahead.reach(PIECE, PIECE);
        until(&ahead, ALL);
        assert!(ready.exists());
    }

    #[test]
    fn what_was_begun_and_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let ahead = Ahead::start(dir.path().join("next.part")).unwrap();
        ahead.reach(4 * PIECE, 1);
        until(&ahead, PIECE);
        drop(ahead);
        assert!(names(dir.path()).is_empty());
    }
}
