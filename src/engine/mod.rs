//! The engine: one writer that owns the state and the ledger, and everything that follows from what it wrote.
//!
//! A job is decided on the state, its events are appended with those of the whole batch under one write to the disk
//! and one signature, and only then is anybody answered, a card drawn or a provider called. What is to be done outside
//! is read from the state ([`crate::access::effects_of`]), so after a crash the same comes out again.

pub mod clock;
pub mod codec;
pub mod doors;
mod follow;
pub mod ground;
mod intake;
mod job;
mod posts;
mod recovery;
mod rest;
pub mod rulebook;
mod search;
mod service;
mod shared;
mod sweep;
mod views;
mod writer;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

pub use service::{Handle, message_key, recorded_words};
pub use shared::Shared;
pub use writer::DRAIN_MAX;

use crate::{
    access::NotAnEvent,
    chat::Adapter,
    ledger::{OpenError, ReadError},
};
use clock::Clock;
use doors::Doors;
use ground::Ground;
use job::Job;
use rand::Rng as _;
use rulebook::{Book, Rulebook, Widened};

/// Jobs that may wait for the writer; whoever comes when it is full is told that we are busy.
const QUEUE_JOBS_MAX: usize = 1024;

/// What an engine is made of.
pub struct Setup {
    /// Where the log is kept; [`ground::Disk`] for the service.
    pub ground: Arc<dyn Ground>,
    /// The rules of the day.
    pub book: Arc<Rulebook>,
    /// What other rules change.
    pub widened: Widened,
    /// 128 random bits a call.
    pub entropy: Entropy,
    /// The providers.
    pub doors: Arc<Doors>,
    /// The chats.
    pub adapters: Vec<Arc<dyn Adapter>>,
    /// The one clock.
    pub clock: Arc<dyn Clock>,
    /// The program's version, for the record.
    pub version: String,
}

/// Where random bits come from.
pub type Entropy = Arc<dyn Fn() -> [u8; 16] + Send + Sync>;

/// The system's random bits.
#[must_use]
pub fn entropy() -> Entropy {
    Arc::new(|| {
        let mut bits = [0; 16];
        rand::rng().fill_bytes(&mut bits);
        bits
    })
}

/// Why the service can't go on. Nothing was answered that is not in the ledger, and a restart is the recovery.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The ledger can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An entry can't be read by this program.
    #[error(transparent)]
    Entry(#[from] NotAnEvent),
    /// The ledger can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A part of the program broke off.
    #[error("the engine broke off: {0}")]
    Broken(String),
}

/// A running engine.
pub struct Engine {
    /// For the chats and the web.
    pub handle: Arc<Handle>,
    task: tokio::task::JoinHandle<Result<(), Fatal>>,
    jobs: mpsc::Sender<Job>,
}

impl Engine {
    /// Opens the ledger, folds it, and starts the writer.
    ///
    /// # Errors
    /// Why the ledger can't be opened or read; nothing was started then.
    pub async fn start(setup: Setup) -> Result<Self, Fatal> {
        let setup = Arc::new(setup);
        let opening = Arc::clone(&setup);
        let (ledger, state) = ground::blocking(setup.ground.as_ref(), move || recovery::open(&opening))
            .await
            .ok_or_else(|| Fatal::Broken("opening the ledger".into()))??;
        if let Some(newest) = state.last_time() {
            setup.clock.not_before(newest);
        }
        let (to_self, jobs) = mpsc::channel(QUEUE_JOBS_MAX);
        let shared = Arc::new(Shared::new(Arc::clone(&setup.ground), &ledger));
        let handle = Arc::new(Handle::new(Arc::clone(&setup), Arc::clone(&shared), to_self.clone()));
        let writer = writer::Writer::new(setup, shared, (ledger, state), jobs, to_self.clone());
        Ok(Self { handle, task: tokio::spawn(writer.run()), jobs: to_self })
    }

    /// Waits until the engine can't go on.
    ///
    /// # Errors
    /// Why.
    pub async fn failed(&mut self) -> Result<(), Fatal> {
        (&mut self.task).await.unwrap_or_else(|panic| Err(Fatal::Broken(panic.to_string())))
    }

    /// Waits until nothing is queued and nothing is due, and says how much was under way outside by then: calls, cards,
    /// notices and lookups ([`Shared::under_way`]). At zero, nothing happens any more until somebody speaks or time passes. `None` if
    /// the engine has stopped.
    pub async fn rest(&self) -> Option<usize> {
        let (asked, told) = oneshot::channel();
        self.jobs.send(Job::Rest(asked)).await.ok()?;
        told.await.ok()
    }

    /// Has other rules hold from now on. Whoever asked before and is not answered yet may be answered by either. The
    /// index of the entry that says so.
    ///
    /// # Errors
    /// In words, if it could not be recorded; the old rules hold then.
    pub async fn load(&self, book: Book) -> Result<u64, String> {
        let (done, loaded) = oneshot::channel();
        let gone = "the service is stopping".to_owned();
        self.jobs.send(Job::Load { book: Arc::new(book), done }).await.map_err(|_| gone.clone())?;
        loaded.await.unwrap_or(Err(gone))
    }

    /// Finishes the batch at hand, closes the ledger, and stops.
    pub async fn stop(self) {
        let (done, stopped) = oneshot::channel();
        if self.jobs.send(Job::Stop(done)).await.is_ok() {
            let _ = stopped.await;
        }
    }
}
