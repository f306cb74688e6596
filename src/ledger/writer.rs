//! The writer: one thread that owns the log. It takes what is waiting, commits it as one batch, and then answers.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{mpsc, oneshot},
};

use super::{
    calls::Calls,
    core::{Core, HEADS_MAX_BYTES, Stage},
    draft::{AppendError, Committed},
    frame::FRAME_MAX_BYTES,
    hash::Hash,
    job::{Done, Job},
    publish::Publisher,
    reader::{Head, Shared},
    snapshot,
    store::Store,
    time::Micros,
};

/// How many calls go into one batch.
pub const BATCH_MAX_JOBS: usize = 256;

/// At how many bytes of bodies and disclosures a batch is closed; before that, when the next call might not fit into the frame.
pub const BATCH_MAX_BYTES: usize = 512 * 1024;

/// How often the writer looks for the next call before it lies down, some tens of microseconds in all. A caller that waits for
/// each of its answers comes back within that time, and to wake a thread that has lain down costs both sides about as much.
const LOOKS: usize = 100;

/// How often it looks for one more behind the last that came.
const LOOKS_BEHIND: usize = 3;

/// How often while there are fewer than in the last batch: those who were answered together come back together, and who comes
/// too late waits for two commits.
const LOOKS_FOR_MISSING: usize = 20;

/// How long it is from one look to the next, in turns of a spin loop: under half a microsecond.
const LOOK_SPINS: usize = 15;

/// Where an append is answered. The job is given back with the answer: to free what another thread has allocated costs several
/// times as much.
type Answer = oneshot::Sender<(Job, Result<Arc<Done>, AppendError>)>;

/// A call of append.
type Call = (Job, Answer);

/// How many calls are answered by the writer itself. To wake one task from outside of the runtime takes a lock that its
/// workers contend for while they run those who were woken before; to have one task wake the others does not.
const ANSWERED_AT_ONCE: usize = 8;

/// Calls that are to be answered: they are when this is dropped, wherever that happens.
struct Answered {
    calls: Vec<Call>,
    done: Result<Arc<Done>, AppendError>,
}

impl Drop for Answered {
    fn drop(&mut self) {
        for (job, answer) in self.calls.drain(..) {
            // Who has gone away does not need the answer.
            drop(answer.send((job, self.done.clone())));
        }
    }
}

/// Who wakes those that are answered.
pub(crate) struct Answers(Option<mpsc::UnboundedSender<Answered>>);

impl Answers {
    /// A task of the runtime that this is called in, if that has threads of its own; else the writer does it.
    pub fn start() -> Self {
        let runtime = Handle::try_current().ok();
        let with_threads = runtime.filter(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        Self(with_threads.map(|runtime| {
            let (send, mut answered) = mpsc::unbounded_channel();
            runtime.spawn(async move {
                while let Some(answered) = answered.recv().await {
                    drop::<Answered>(answered);
                }
            });
            send
        }))
    }

    fn answer(&self, answered: Answered) {
        match &self.0 {
            // When the runtime has ended, what comes back is dropped here.
            Some(task) if answered.calls.len() > ANSWERED_AT_ONCE => drop(task.send(answered)),
            Some(_) | None => drop(answered),
        }
    }
}

/// What the writer can be asked.
pub(crate) enum Command {
    /// Append entries.
    Append(Job, Answer),
    /// Make a snapshot of the state at a size.
    Snapshot { size: u64, state: Vec<u8>, answer: oneshot::Sender<Result<Vec<u8>, AppendError>> },
    /// Bring in the key that lies in the folder as the next one.
    Rotate(Box<ed25519_dalek::SigningKey>, Micros, oneshot::Sender<Result<Committed, AppendError>>),
}

pub(crate) struct Writer<S> {
    pub core: Core<S>,
    pub shared: Arc<Shared>,
    pub publisher: Publisher,
    pub answers: Answers,
}

/// The calls that wait, oldest first.
pub(super) struct Waiting {
    calls: Arc<Calls<Command>>,
    taken: VecDeque<Command>,
    /// How many there were in the last batch.
    last: usize,
}

impl Waiting {
    pub(super) fn new(calls: Arc<Calls<Command>>) -> Self {
        Self { calls, taken: VecDeque::new(), last: 0 }
    }

    /// The oldest; nothing when there will be none any more. Waits for one.
    pub(super) fn next(&mut self) -> Option<Command> {
        if !self.look(LOOKS) {
            self.calls.wait(&mut self.taken);
        }
        self.taken.pop_front()
    }

    /// Looks whether there is one, and so many times more.
    fn look(&mut self, times: usize) -> bool {
        for again in 0..=times {
            if again > 0 {
                (0..LOOK_SPINS).for_each(|_| std::hint::spin_loop());
            }
            if self.taken.is_empty() && self.calls.any() {
                self.calls.take(&mut self.taken);
            }
            if !self.taken.is_empty() {
                return true;
            }
        }
        false
    }

    /// Stages a call, and those that come behind it and go into one batch with it, each as it comes.
    pub(super) fn gather<S: Store>(&mut self, core: &mut Core<S>, first: Call) -> (Stage, Vec<Call>) {
        let (mut stage, mut calls) = (core.stage(), Vec::with_capacity(self.last));
        let (mut bytes, mut room) = (0, FRAME_MAX_BYTES.saturating_sub(HEADS_MAX_BYTES));
        let mut next = Some(first);
        while let Some((mut job, answer)) = next {
            bytes += job.bytes;
            room = room.saturating_sub(job.frame_max_bytes);
            core.add(&mut job, &mut stage);
            calls.push((job, answer));
            let full = bytes >= BATCH_MAX_BYTES || calls.len() >= BATCH_MAX_JOBS;
            next = if full { None } else { self.next_append(calls.len(), room) };
        }
        self.last = calls.len();
        (stage, calls)
    }

    /// The oldest, if it is an append that fits into so much of a frame; looks for one behind so many.
    fn next_append(&mut self, behind: usize, room: usize) -> Option<Call> {
        // Who was alone the last time does not wait for others.
        let looks = if behind < self.last { LOOKS_FOR_MISSING } else { LOOKS_BEHIND.min(self.last.saturating_sub(1)) };
        self.look(looks);
        match self.taken.pop_front()? {
            Command::Append(job, answer) if job.frame_max_bytes <= room => Some((job, answer)),
            other @ (Command::Append(..) | Command::Rotate(..) | Command::Snapshot { .. }) => {
                self.taken.push_front(other);
                None
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Whoever waits for an answer is told that there will be none, those first whose calls were taken: the list is swapped.
        self.calls.close();
        self.taken.clear();
        self.calls.take(&mut self.taken);
        self.taken.clear();
    }
}

impl<S: Store + 'static> Writer<S> {
    /// Starts the thread; it ends when there will be no more calls, after it has answered everybody.
    pub fn start(mut self, calls: Arc<Calls<Command>>) -> io::Result<JoinHandle<()>> {
        let mut waiting = Waiting::new(calls);
        thread::Builder::new().name("ledger-write".into()).spawn(move || {
            while let Some(command) = waiting.next() {
                match command {
                    Command::Append(job, answer) => self.batch((job, answer), &mut waiting),
                    Command::Snapshot { size, state, answer } => drop(answer.send(self.snapshot(size, &state))),
                    Command::Rotate(key, time, answer) => {
                        let rotated = self.core.rotate(*key, time);
                        self.publisher.rotations(self.core.tip.keys.rotations());
                        let head = rotated.as_ref().ok().map(|done| self.announce(done.size, done.root, &done.head));
                        // Who has gone away does not need the answer.
                        drop(answer.send(rotated));
                        self.follow(head);
                    }
                }
            }
        })
    }

    /// Commits this call and what comes behind it.
    fn batch(&mut self, first: Call, waiting: &mut Waiting) {
        let (stage, calls) = waiting.gather(&mut self.core, first);
        let done = self.core.commit(stage);
        let head = done.as_ref().ok().map(|done| self.announce(done.size, done.root, &done.head));
        self.answers.answer(Answered { calls, done });
        self.follow(head);
    }

    fn snapshot(&self, size: u64, state: &[u8]) -> Result<Vec<u8>, AppendError> {
        let actual = self.core.tip.size();
        if size != actual {
            return Err(AppendError::Conflict { expected: size, actual });
        }
        let signer =
            self.core.signers.first().ok_or_else(|| AppendError::Failed("there is no key to sign with".into()))?;
        let head = self.shared.head.borrow().note.clone();
        snapshot::encode(&self.core.tip, self.core.store.place(), &head, state, signer)
            .map_err(|error| AppendError::Failed(error.to_string()))
    }

    /// Lets readers see the newest head.
    fn announce(&self, size: u64, root: Hash, note: &Arc<str>) -> (u64, Arc<str>) {
        let time = self.core.tip.time.to_utc();
        self.shared.head.send_replace(Head { size, root, note: Arc::clone(note), time });
        (size, Arc::clone(note))
    }

    /// Sets going what nobody waits for: the index and the public copy. Waking their threads costs more than an answer.
    fn follow(&mut self, head: Option<(u64, Arc<str>)>) {
        self.core.follow();
        if let Some((size, note)) = head {
            self.publisher.head(size, note);
        }
    }
}
