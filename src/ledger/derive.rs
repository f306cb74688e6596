//! What is derived from the journal after a commit, on a thread of its own: the index and the nodes of the tree. A commit is
//! answered when it is durable; who then reads waits until what is read has been derived.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use super::{frame::Batch, hash::Hash, index::Index, nodes::NodeFile, tree::stored_count};

/// How many commits may wait: more, and the writer waits for the index.
const QUEUE_MAX_COMMITS: usize = 64;

/// One commit to derive from.
struct Work {
    batch: Batch,
    nodes: Vec<Hash>,
}

#[derive(Debug)]
struct State {
    size: u64,
    fault: Option<String>,
}

/// How far the derived is. Clones share it.
#[derive(Debug, Clone)]
pub struct Derived {
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Derived {
    fn new(size: u64) -> Self {
        Self { state: Arc::new((Mutex::new(State { size, fault: None }), Condvar::new())) }
    }

    /// Waits until so many entries are derived. They must be durable, so that they are on their way.
    ///
    /// # Errors
    /// Why they will never be.
    pub fn wait(&self, size: u64) -> Result<(), String> {
        let (state, changed) = &*self.state;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = changed
            .wait_while(state, |state| state.size < size && state.fault.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        if state.size >= size { Ok(()) } else { Err(state.fault.clone().unwrap_or_default()) }
    }

    /// What went wrong.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).fault.clone()
    }

    fn set(&self, done: Result<u64, String>) {
        let (state, changed) = &*self.state;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(size) => state.size = size,
            Err(fault) => state.fault = Some(fault),
        }
        changed.notify_all();
    }
}

/// The thread.
#[derive(Debug)]
pub struct Deriver {
    derived: Derived,
    queue: Option<mpsc::SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Deriver {
    /// Starts it, with so many entries derived already.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(size: u64, index: Index, nodes: NodeFile) -> io::Result<Self> {
        let (queue, work) = mpsc::sync_channel::<Work>(QUEUE_MAX_COMMITS);
        let derived = Derived::new(size);
        let told = derived.clone();
        let thread = std::thread::Builder::new().name("ledger-derive".into()).spawn(move || {
            for Work { batch, nodes: complete } in work {
                let written = nodes
                    .write(stored_count(batch.first), &complete)
                    .map_err(|error| format!("the node file: {error}"));
                let done = written.and_then(|()| index.apply(&batch).map_err(|error| error.to_string()));
                let failed = done.is_err();
                told.set(done.map(|()| batch.size()));
                if failed {
                    break;
                }
            }
        })?;
        Ok(Self { derived, queue: Some(queue), thread: Some(thread) })
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
    pub fn take(&self, batch: Batch, nodes: Vec<Hash>) -> Result<(), String> {
        let stopped = || self.derived.fault().unwrap_or_else(|| "the index has stopped".into());
        self.queue.as_ref().ok_or_else(stopped)?.send(Work { batch, nodes }).map_err(|_| stopped())
    }
}

impl Drop for Deriver {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        // Who still waits would wait for ever.
        self.derived.set(Err("the ledger is closed".into()));
    }
}
