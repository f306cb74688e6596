//! The calls that wait for the writer.
//!
//! A list behind a lock, of which the writer takes all at once: what a caller touches is then not touched by the writer at the
//! same time. Processors hand such memory over in 50 to 250 ns each time, and a channel does that several times for each call.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::draft::AppendError;

/// How many calls may wait, beside those that the writer has taken.
pub const QUEUE_MAX_JOBS: usize = 1_024;

/// The calls, oldest first.
pub(crate) struct Calls<T> {
    state: Mutex<State<T>>,
    /// Whether there is one: only a hint, which is looked at without the lock.
    any: AtomicBool,
    woken: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Whether the writer sleeps.
    asleep: bool,
    /// Whether none may come any more.
    closed: bool,
}

impl<T> fmt::Debug for Calls<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

impl<T> Calls<T> {
    pub fn new() -> Self {
        let state = State { waiting: VecDeque::new(), asleep: false, closed: false };
        Self { state: Mutex::new(state), any: AtomicBool::new(false), woken: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`AppendError::Busy`] when too many wait; `Failed` when the writer has stopped.
    pub fn add(&self, call: T) -> Result<(), AppendError> {
        let mut state = self.state();
        if state.closed {
            return Err(AppendError::stopped());
        }
        if state.waiting.len() >= QUEUE_MAX_JOBS {
            return Err(AppendError::Busy);
        }
        state.waiting.push_back(call);
        self.any.store(true, Ordering::Relaxed);
        let wake = mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.woken.notify_one();
        }
        Ok(())
    }

    /// Whether there may be one. Costs those who add nothing as long as there is none.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Takes all that are there; `into` must be empty.
    pub fn take(&self, into: &mut VecDeque<T>) {
        let mut state = self.state();
        self.any.store(false, Ordering::Relaxed);
        mem::swap(&mut state.waiting, into);
    }

    /// Waits until there is one, and takes all; none when there will be none any more. `into` must be empty.
    pub fn wait(&self, into: &mut VecDeque<T>) {
        let mut state = self.state();
        while state.waiting.is_empty() && !state.closed {
            state.asleep = true;
            state = self.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        self.any.store(false, Ordering::Relaxed);
        mem::swap(&mut state.waiting, into);
    }

    /// Lets none come any more; those that wait may still be taken.
    pub fn close(&self) {
        self.state().closed = true;
        self.woken.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn each_call_is_taken_once_and_in_its_order() {
        let calls = Arc::new(Calls::new());
        let adders: Vec<_> = (0..4)
            .map(|who| {
                let calls = Arc::clone(&calls);
                thread::spawn(move || {
                    for n in 0..10_000 {
                        while calls.add((who, n)) == Err(AppendError::Busy) {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let (mut taken, mut next, mut all) = (VecDeque::new(), [0; 4], 0);
        while all < 40_000 {
            calls.wait(&mut taken);
            assert!(taken.len() <= QUEUE_MAX_JOBS);
            for (who, n) in taken.drain(..) {
                let expected: &mut usize = &mut next[who];
                assert_eq!(n, *expected);
                *expected += 1;
                all += 1;
            }
        }
        for adder in adders {
            adder.join().unwrap();
        }
        assert!(!calls.any());
    }

    #[test]
    fn what_waits_when_it_is_closed_may_still_be_taken() {
        let (calls, mut taken) = (Calls::new(), VecDeque::new());
        (0..QUEUE_MAX_JOBS).for_each(|n| calls.add(n).unwrap());
        assert_eq!(calls.add(0), Err(AppendError::Busy));
        calls.close();
        assert_eq!(calls.add(0), Err(AppendError::stopped()));
        calls.wait(&mut taken);
        assert_eq!(taken.len(), QUEUE_MAX_JOBS);
        taken.clear();
        calls.wait(&mut taken);
        assert!(taken.is_empty(), "there will be none any more, and nobody waits for them");
    }
}
