//! What the engine stands on: where its log is kept, and who does the work that blocks. The service stands on the disk
//! ([`Disk`]); a simulation brings a ground of its own, and runs the same engine on it.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rand::SeedableRng as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::{
    access::{Event, State},
    ledger::{
        self, AppendError, Committed, Draft, Entry, Hash, Head, Ledger, OpenError, Progress, ReadError,
        verify::{Anchor, VerifyOptions, verify},
    },
};

/// A start that has less to check says nothing of it.
const PROGRESS_FROM_BYTES: u64 = 64 * 1024 * 1024;

/// Work that blocks.
pub type Work = Box<dyn FnOnce() + Send>;

/// A check of old history, which needs no open log and blocks for long. Its error is what a start without the snapshot would
/// have said.
pub type HistoryCheck = Box<dyn FnOnce() -> Result<(), OpenError> + Send>;

/// Entries, in order; after an error there is none.
pub type Entries = Box<dyn Iterator<Item = Result<Entry, ReadError>> + Send>;

/// An open log, as the engine uses it: the only one on its place, as long as it lives. Dropping it may block.
#[async_trait]
pub trait Log: Send + Sync {
    /// Number of durable entries.
    fn size(&self) -> u64;
    /// The newest durable head.
    fn head(&self) -> Head;
    /// The 32 random bytes that name the log.
    fn log_id(&self) -> Hash;
    /// Appends drafts as consecutive entries, if the log still has `expected` entries. Answers when they are durable
    /// under a signed head.
    ///
    /// # Errors
    /// [`AppendError`]. After [`AppendError::Failed`] nothing more can be appended, and whether the batch was written
    /// shows when the log is opened again.
    async fn append(&self, expected: u64, time: DateTime<Utc>, drafts: Vec<Draft>) -> Result<Committed, AppendError>;
    /// The entries from one index up to, not including, another, cut to what there is. Blocks.
    ///
    /// # Errors
    /// [`ReadError`]; each item may be an error of its own.
    fn entries(&self, from: u64, to: u64) -> Result<Entries, ReadError>;
    /// One entry, proved to be under the newest head. Blocks.
    ///
    /// # Errors
    /// [`ReadError`].
    fn get_proved(&self, index: u64) -> Result<Entry, ReadError>;
    /// What [`Log::save_snapshot`] kept, and the size it was made at, if the log was opened from it.
    fn snapshot(&self) -> Option<(u64, &[u8])>;
    /// Keeps what was folded from the first `size` entries for the next start. It is a cache.
    ///
    /// # Errors
    /// [`AppendError`]; nothing else is harmed.
    async fn save_snapshot(&self, size: u64, state: Vec<u8>) -> Result<(), AppendError>;
    /// Whether the disk was so full, when it was looked at last, that only what must be recorded should be.
    fn is_scarce(&self) -> bool {
        false
    }
    /// A look at the disk, if there is anything to look at. It blocks.
    fn look_for_room(&self) -> Option<Work> {
        None
    }
    /// The check of the history before the snapshot, if there is one.
    fn history_check(&self) -> Option<HistoryCheck>;
}

#[async_trait]
impl Log for Ledger {
    fn size(&self) -> u64 {
        Ledger::size(self)
    }

    fn head(&self) -> Head {
        Ledger::head(self)
    }

    fn log_id(&self) -> Hash {
        Ledger::log_id(self)
    }

    async fn append(&self, expected: u64, time: DateTime<Utc>, drafts: Vec<Draft>) -> Result<Committed, AppendError> {
        Ledger::append(self, expected, time, drafts).await
    }

    fn entries(&self, from: u64, to: u64) -> Result<Entries, ReadError> {
        Ok(Box::new(Ledger::entries(self, from, to)?))
    }

    fn get_proved(&self, index: u64) -> Result<Entry, ReadError> {
        self.reader().get_proved(index)
    }

    fn snapshot(&self) -> Option<(u64, &[u8])> {
        Ledger::snapshot(self)
    }

    async fn save_snapshot(&self, size: u64, state: Vec<u8>) -> Result<(), AppendError> {
        Ledger::save_snapshot(self, size, state).await
    }

    fn is_scarce(&self) -> bool {
        Ledger::is_scarce(self)
    }

    fn look_for_room(&self) -> Option<Work> {
        let reader = self.reader();
        Some(Box::new(move || reader.look_for_room()))
    }

    fn history_check(&self) -> Option<HistoryCheck> {
        let check = Ledger::history_check(self)?;
        // One thread: the service is at work beside it.
        Some(Box::new(move || check.run(1, &mut |_| ())))
    }
}

/// What the engine stands on.
pub trait Ground: Send + Sync {
    /// Opens the log, and makes it if there is none. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]: each is one plain sentence.
    fn open(&self, now: DateTime<Utc>) -> Result<Arc<dyn Log>, OpenError>;
    /// Checks the whole log against a head that is held outside it: whether it holds, and what was found, in words.
    /// Blocks for long.
    fn verify(&self, head: &str) -> (bool, Vec<String>);
    /// Does work that blocks where it holds nobody up.
    fn run(&self, work: Work);
    /// Is shown the state that the engine goes on with after each batch that is durable. The service has no use for it; a
    /// simulation holds it against a fold of its own.
    fn holds(&self, _state: &State) {}
}

/// Does work that blocks on the ground's terms, and waits for it. `None` if it broke off.
pub async fn blocking<T: Send + 'static>(ground: &dyn Ground, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, waiting) = oneshot::channel();
    ground.run(Box::new(move || {
        // Whoever has gone away needs no result; it is dropped here, where that may block.
        let _ = done.send(work());
    }));
    waiting.await.ok()
}

/// How many percent of a long check are done, each time that it is ten more than when it was `told` last.
fn percent_to_tell(told: &mut u64, progress: Progress) -> Option<u64> {
    let percent = progress.done_bytes.saturating_mul(10) / progress.total_bytes.max(1) * 10;
    if progress.total_bytes < PROGRESS_FROM_BYTES || percent <= *told {
        return None;
    }
    *told = percent;
    Some(percent)
}

/// The ground of the service: a ledger in a folder.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The ledger's folder.
    pub data: PathBuf,
    /// The log's name in every signed head.
    pub origin: String,
    /// The signing key as PKCS#8 PEM, when it is not kept in the folder.
    pub signing_key: Option<SecretString>,
}

impl Ground for Disk {
    fn open(&self, now: DateTime<Utc>) -> Result<Arc<dyn Log>, OpenError> {
        let rng = Box::new(rand::rngs::StdRng::from_rng(&mut rand::rng()));
        let mut options = ledger::Options::new(&self.origin, Event::knows, now, rng);
        options.signing_key = self.signing_key.as_ref().map(|pem| Zeroizing::new(pem.expose_secret().to_owned()));
        let mut told = 0;
        options.progress = Box::new(move |progress| {
            if let Some(percent) = percent_to_tell(&mut told, progress) {
                tracing::info!(percent, entries = progress.entries, "checking the ledger");
            }
        });
        Ok(Arc::new(Ledger::open(&self.data, options)?))
    }

    fn verify(&self, head: &str) -> (bool, Vec<String>) {
        let mut options = VerifyOptions::new(Event::knows);
        options.anchors.extend(Anchor::parse(head));
        match verify(&self.data, options) {
            Ok(report) => (report.holds(), report.to_string().lines().map(str::to_owned).collect()),
            Err(error) => (false, vec![error.to_string()]),
        }
    }

    fn run(&self, work: Work) {
        tokio::task::spawn_blocking(work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_check_is_told_in_tens_and_a_short_one_not_at_all() {
        let told = |total_bytes: u64, steps: u64| -> Vec<u64> {
            let mut told = 0;
            let at = |step| Progress { done_bytes: total_bytes / steps * step, total_bytes, entries: step };
            (0..=steps).filter_map(|step| percent_to_tell(&mut told, at(step))).collect()
        };
        assert_eq!(told(PROGRESS_FROM_BYTES - 1, 1_000), [0_u64; 0]);
        assert_eq!(told(PROGRESS_FROM_BYTES * 1_000, 1_000), [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
        assert_eq!(told(PROGRESS_FROM_BYTES * 4, 4), [20, 50, 70, 100]);
    }
}
