//! The writer: one thread that owns the log. It takes what is waiting, commits it as one batch, and then answers.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    task::{Context, Waker},
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    core::{Core, HEADS_MAX_BYTES, Job},
    draft::{AppendError, Committed},
    frame::FRAME_MAX_BYTES,
    publish::Publisher,
    reader::{Head, Shared},
    snapshot,
    store::Store,
    time::Micros,
};

/// How many calls may wait.
pub const QUEUE_MAX_JOBS: usize = 1_024;

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

type Done = Result<Committed, AppendError>;

/// Where an append is answered.
type Answer = oneshot::Sender<(Done, Job)>;

/// What the writer can be asked.
pub(crate) enum Command {
    /// Append entries. The job is given back with the answer: to free what another thread has allocated costs several times
    /// as much.
    Append(Job, Answer),
    /// Make a snapshot of the state at a size.
    Snapshot { size: u64, state: Vec<u8>, answer: oneshot::Sender<Result<Vec<u8>, AppendError>> },
    /// Bring in the key that lies in the folder as the next one.
    Rotate(Box<ed25519_dalek::SigningKey>, Micros, oneshot::Sender<Done>),
}

pub(crate) struct Writer<S> {
    pub core: Core<S>,
    pub shared: Arc<Shared>,
    pub publisher: Publisher,
}

/// The calls that wait, oldest first.
pub(super) struct Waiting {
    commands: mpsc::Receiver<Command>,
    taken: VecDeque<Command>,
    /// What was just received.
    arrived: Vec<Command>,
    /// How many there were in the last batch.
    last: usize,
}

impl Waiting {
    pub(super) fn new(commands: mpsc::Receiver<Command>) -> Self {
        Self { commands, taken: VecDeque::new(), arrived: Vec::new(), last: 0 }
    }

    /// The oldest; nothing when there will be none any more. Waits for one, and for those that arrive right behind it.
    pub(super) fn next(&mut self) -> Option<Command> {
        let (mut patience, mut before) = (LOOKS, 0);
        loop {
            self.take_more();
            let now = self.taken.len();
            if now > before {
                (patience, before) = (if now < self.last { LOOKS_FOR_MISSING } else { LOOKS_BEHIND }, now);
            } else if patience == 0 {
                break;
            } else {
                patience -= 1;
            }
            (0..LOOK_SPINS).for_each(|_| std::hint::spin_loop());
        }
        if self.taken.is_empty() {
            self.commands.blocking_recv_many(&mut self.arrived, BATCH_MAX_JOBS);
            self.taken.extend(self.arrived.drain(..));
        }
        self.taken.pop_front()
    }

    /// Takes what is there, together: each taking has its price.
    fn take_more(&mut self) {
        let room = BATCH_MAX_JOBS.saturating_sub(self.taken.len());
        if room > 0 {
            let mut context = Context::from_waker(Waker::noop());
            let _ = self.commands.poll_recv_many(&mut context, &mut self.arrived, room);
            self.taken.extend(self.arrived.drain(..));
        }
    }

    /// A call and those behind it that go into one batch with it.
    pub(super) fn together(&mut self, job: Job, answer: Answer) -> (Vec<Job>, Vec<Answer>) {
        let mut room = FRAME_MAX_BYTES.saturating_sub(HEADS_MAX_BYTES + job.frame_max_bytes());
        let (mut bytes, mut jobs, mut answers) = (job.bytes(), vec![job], vec![answer]);
        while bytes < BATCH_MAX_BYTES
            && let Some((job, answer)) = self.next_append(room)
        {
            bytes += job.bytes();
            room = room.saturating_sub(job.frame_max_bytes());
            jobs.push(job);
            answers.push(answer);
        }
        self.last = jobs.len();
        (jobs, answers)
    }

    /// The oldest, if it is an append that fits into so much of a frame.
    fn next_append(&mut self, room: usize) -> Option<(Job, Answer)> {
        match self.taken.pop_front()? {
            Command::Append(job, answer) if job.frame_max_bytes() <= room => Some((job, answer)),
            other @ (Command::Append(..) | Command::Rotate(..) | Command::Snapshot { .. }) => {
                self.taken.push_front(other);
                None
            }
        }
    }
}

impl<S: Store + 'static> Writer<S> {
    /// Starts the thread; it ends when the last sender is gone, after it has answered everybody.
    pub fn start(mut self, commands: mpsc::Receiver<Command>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("ledger-write".into()).spawn(move || {
            let mut waiting = Waiting::new(commands);
            while let Some(command) = waiting.next() {
                match command {
                    Command::Append(job, answer) => self.batch(job, answer, &mut waiting),
                    Command::Snapshot { size, state, answer } => drop(answer.send(self.snapshot(size, &state))),
                    Command::Rotate(key, time, answer) => {
                        let rotated = self.core.rotate(*key, time);
                        self.publisher.rotations(self.core.tip.keys.rotations());
                        let head = self.announce(rotated.as_ref().ok());
                        // Who has gone away does not need the answer.
                        drop(answer.send(rotated));
                        self.follow(head);
                    }
                }
            }
        })
    }

    /// Commits this call and what is waiting behind it.
    fn batch(&mut self, job: Job, answer: Answer, waiting: &mut Waiting) {
        let (jobs, answers) = waiting.together(job, answer);
        let results = self.core.commit(&jobs);
        let head = self.announce(results.iter().rev().find_map(|result| result.as_ref().ok()));
        for ((answer, result), job) in answers.into_iter().zip(results).zip(jobs) {
            drop(answer.send((result, job)));
        }
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
    fn announce(&self, newest: Option<&Committed>) -> Option<(u64, Arc<str>)> {
        let done = newest?;
        let note = Arc::clone(&done.head);
        let time = self.core.tip.time.to_utc();
        self.shared.head.send_replace(Head { size: done.size, root: done.root, note: Arc::clone(&note), time });
        Some((done.size, note))
    }

    /// Sets going what nobody waits for: the index and the public copy. Waking their threads costs more than an answer.
    fn follow(&mut self, head: Option<(u64, Arc<str>)>) {
        self.core.follow();
        if let Some((size, note)) = head {
            self.publisher.head(size, note);
        }
    }
}
