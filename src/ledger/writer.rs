//! The writer: one thread that owns the log. It takes what is waiting, commits it as one batch, and then answers.

use std::{io, sync::Arc, thread::JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::{
    core::{Core, Job},
    draft::{AppendError, Committed},
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

/// At how many bytes of bodies and disclosures a batch is closed.
pub const BATCH_MAX_BYTES: usize = 512 * 1024;

pub(crate) type Answer = oneshot::Sender<Result<Committed, AppendError>>;

/// What the writer can be asked.
pub(crate) enum Command {
    /// Append entries.
    Append(Job, Answer),
    /// Make a snapshot of the state at a size.
    Snapshot { size: u64, state: Vec<u8>, answer: oneshot::Sender<Result<Vec<u8>, AppendError>> },
    /// Bring in the key that lies in the folder as the next one.
    Rotate(Box<ed25519_dalek::SigningKey>, Micros, Answer),
}

pub(crate) struct Writer<S> {
    pub core: Core<S>,
    pub shared: Arc<Shared>,
    pub publisher: Publisher,
}

impl<S: Store + 'static> Writer<S> {
    /// Starts the thread; it ends when the last sender is gone, after it has answered everybody.
    pub fn start(mut self, mut commands: mpsc::Receiver<Command>) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("ledger-write".into()).spawn(move || {
            let mut next = commands.blocking_recv();
            while let Some(command) = next.take() {
                match command {
                    Command::Append(job, answer) => next = self.batch(job, answer, &mut commands),
                    Command::Snapshot { size, state, answer } => drop(answer.send(self.snapshot(size, &state))),
                    Command::Rotate(key, time, answer) => {
                        let rotated = self.core.rotate(*key, time);
                        let head = self.announce(rotated.as_ref().ok());
                        // Who has gone away does not need the answer.
                        drop(answer.send(rotated));
                        self.follow(head);
                    }
                }
                if next.is_none() {
                    next = commands.blocking_recv();
                }
            }
        })
    }

    /// Commits this call and what is waiting behind it; gives back a command that can't share the batch.
    fn batch(&mut self, job: Job, answer: Answer, commands: &mut mpsc::Receiver<Command>) -> Option<Command> {
        let (mut bytes, mut jobs, mut answers, mut other) = (job.bytes(), vec![job], vec![answer], None);
        while jobs.len() < BATCH_MAX_JOBS && bytes < BATCH_MAX_BYTES && other.is_none() {
            match commands.try_recv() {
                Ok(Command::Append(job, answer)) => {
                    bytes += job.bytes();
                    jobs.push(job);
                    answers.push(answer);
                }
                Ok(command @ (Command::Rotate(..) | Command::Snapshot { .. })) => other = Some(command),
                Err(_) => break,
            }
        }
        let results = self.core.commit(jobs);
        let head = self.announce(results.iter().rev().find_map(|result| result.as_ref().ok()));
        for (answer, result) in answers.into_iter().zip(results) {
            drop(answer.send(result));
        }
        self.follow(head);
        other
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
