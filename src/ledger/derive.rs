//! What is derived from the journal after a commit, on a thread of its own: the index and the nodes of the tree. A commit is
//! answered when it is durable; who then reads waits until what is read has been derived.
//!
//! The thread takes all that waits at once, rests a little, and is only woken when it has nothing to do or somebody waits to
//! read: under load a wake-up a commit would cost more than all that it does.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use super::{
    hash::Hash,
    index::{Index, Indexed, caught},
    nodes::NodeFile,
    tree::stored_count,
};

/// How many entries may wait: more, and the writer waits for the index.
const QUEUE_MAX_ENTRIES: usize = 65_536;

/// How long the thread rests after some work, unless somebody waits for it.
const PAUSE: Duration = Duration::from_millis(20);

/// How nice the thread is to the others.
pub const NICENESS: i32 = 10;

/// One commit to derive from.
#[derive(Debug)]
struct Work {
    indexed: Indexed,
    nodes: Vec<Hash>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Work>,
    entries: usize,
    /// How many entries are derived, and up to where somebody waits for them.
    size: u64,
    wanted: u64,
    /// Whether the thread has nothing to do and must be woken.
    idle: bool,
    closing: bool,
    fault: Option<String>,
}

#[derive(Debug, Default)]
struct Meeting {
    state: Mutex<State>,
    /// There is work, or it is wanted sooner.
    due: Condvar,
    /// Work is done.
    done: Condvar,
}

impl Meeting {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far the derived is. Clones share it.
#[derive(Debug, Clone)]
pub struct Derived {
    meeting: Arc<Meeting>,
}

impl Derived {
    /// Waits until so many entries are derived. They must be durable, so that they are on their way.
    ///
    /// # Errors
    /// Why they will never be.
    pub fn wait(&self, size: u64) -> Result<(), String> {
        let mut state = self.meeting.state();
        if state.size < size {
            state.wanted = state.wanted.max(size);
            self.meeting.due.notify_one();
        }
        let state = self
            .meeting
            .done
            .wait_while(state, |state| state.size < size && state.fault.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        if state.size >= size { Ok(()) } else { Err(state.fault.clone().unwrap_or_default()) }
    }

    /// What went wrong.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.meeting.state().fault.clone()
    }
}

/// The thread.
#[derive(Debug)]
pub struct Deriver {
    derived: Derived,
    thread: Option<JoinHandle<()>>,
}

impl Deriver {
    /// Starts it, with so many entries derived already.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(size: u64, index: Index, nodes: NodeFile) -> io::Result<Self> {
        Self::start_with(size, move |work| derive(work, &index, &nodes))
    }

    fn start_with(size: u64, derive: impl Fn(&[Work]) -> Result<(), String> + Send + 'static) -> io::Result<Self> {
        let state = Mutex::new(State { size, ..State::default() });
        let meeting = Arc::new(Meeting { state, ..Meeting::default() });
        let derived = Derived { meeting: Arc::clone(&meeting) };
        let thread = std::thread::Builder::new().name("ledger-derive".into()).spawn(move || {
            be_nice();
            while let Some(work) = next(&meeting) {
                // Whoever waits would wait for ever for a thread that is gone.
                let done = caught(|| derive(&work)).unwrap_or_else(|()| Err("its thread panicked".into()));
                let failed = done.is_err();
                let mut state = meeting.state();
                match done {
                    Ok(()) => state.size = work.last().map_or(state.size, |work| work.indexed.shape.size()),
                    Err(fault) => state.fault = Some(fault),
                }
                meeting.done.notify_all();
                if failed {
                    break;
                }
            }
        })?;
        Ok(Self { derived, thread: Some(thread) })
    }

    /// How far it is.
    #[must_use]
    pub fn derived(&self) -> Derived {
        self.derived.clone()
    }

    /// Hands a durable commit over.
    ///
    /// # Errors
    /// Why the thread takes no more.
    pub fn take(&self, indexed: Indexed, nodes: Vec<Hash>) -> Result<(), String> {
        let meeting = &self.derived.meeting;
        let full = |state: &mut State| state.entries >= QUEUE_MAX_ENTRIES && state.fault.is_none();
        let mut state = meeting.state();
        if full(&mut state) {
            meeting.due.notify_one();
            state = meeting.done.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(fault) = &state.fault {
            return Err(fault.clone());
        }
        state.entries += indexed.shape.ends.len();
        state.waiting.push(Work { indexed, nodes });
        if state.idle {
            state.idle = false;
            meeting.due.notify_one();
        }
        Ok(())
    }
}

/// Lets others have the processor first: what this thread does can wait. Threads that it starts are as nice as it is.
pub fn be_nice() {
    // As nice as before is no harm.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// All that waits, after a rest; nothing when it is time to go and all is done.
fn next(meeting: &Meeting) -> Option<Vec<Work>> {
    let state = meeting.state();
    let resting =
        |state: &mut State| !state.closing && state.wanted <= state.size && state.entries < QUEUE_MAX_ENTRIES / 2;
    let rested = meeting.due.wait_timeout_while(state, PAUSE, resting);
    let (mut state, _) = rested.unwrap_or_else(PoisonError::into_inner);
    state.idle = state.waiting.is_empty();
    let mut state = meeting
        .due
        .wait_while(state, |state| state.waiting.is_empty() && !state.closing)
        .unwrap_or_else(PoisonError::into_inner);
    (state.idle, state.entries) = (false, 0);
    let work = std::mem::take(&mut state.waiting);
    (!work.is_empty()).then_some(work)
}

fn derive(work: &[Work], index: &Index, nodes: &NodeFile) -> Result<(), String> {
    let Some(first) = work.first() else { return Ok(()) };
    let complete: Vec<Hash> = work.iter().flat_map(|work| &work.nodes).copied().collect();
    nodes
        .write(stored_count(first.indexed.shape.first), &complete)
        .map_err(|error| format!("the node file: {error}"))?;
    index.apply(work.iter().map(|work| &work.indexed)).map_err(|error| error.to_string())
}

impl Drop for Deriver {
    fn drop(&mut self) {
        let meeting = &self.derived.meeting;
        meeting.state().closing = true;
        meeting.due.notify_one();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        // Who still waits would wait for ever.
        meeting.state().fault = Some("the ledger is closed".into());
        meeting.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{frame::Shape, store::Place};

    #[test]
    fn whoever_waits_for_a_thread_that_panics_is_told() {
        let deriver = Deriver::start_with(0, |_| panic!("over some work")).unwrap();
        let shape = Shape { first: 0, ends: vec![1], subjects: vec![] };
        let indexed = Indexed { place: Place::default(), shape, last: [0; 32], head: "head".into() };
        deriver.take(indexed.clone(), vec![]).unwrap();
        assert_eq!(deriver.derived().wait(1), Err("its thread panicked".into()));
        assert_eq!(deriver.take(indexed, vec![]), Err("its thread panicked".into()));
    }
}
