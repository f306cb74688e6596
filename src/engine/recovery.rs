//! How the state comes back: at start, and after a write that failed.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Fatal, Setup, codec,
    ground::{Log, blocking},
    job::Job,
    writer::Writer,
};
use crate::{
    access::{Event, Request, RequestId, State},
    chat::answer,
    ledger::OpenError,
};

/// The first pause before a ledger that could not be written is opened again; it doubles each time.
const REOPEN_FIRST_MS: u64 = 250;
/// The longest pause.
const REOPEN_LONGEST_MS: u64 = 30_000;
/// Results that arrive while the ledger is away are kept up to this many; their senders wait beyond it.
const HELD_MAX: usize = 10_000;

/// Opens the ledger and folds it.
///
/// # Errors
/// Why it can't be opened, or an entry that this program can't read.
pub fn open(setup: &Setup) -> Result<(Arc<dyn Log>, State), Fatal> {
    let ledger = setup.ground.open(setup.clock.now())?;
    let mut state = State::new(log_tag(&ledger.log_id()));
    let mut from = 0;
    if let Some((size, bytes)) = ledger.snapshot()
        && let Some(resumed) = resume(ledger.as_ref(), state.clone(), size, bytes)
    {
        (from, state) = (size, resumed);
    }
    for entry in ledger.entries(from, ledger.size())? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                // What is before the snapshot was not checked yet: the whole check says what is wrong with it.
                ledger.history_check().map_or(Ok(()), |check| check())?;
                return Err(error.into());
            }
        };
        state.evolve(&codec::stored(entry)?);
    }
    Ok((ledger, state))
}

/// What a snapshot keeps of the state: only which entries make it.
#[derive(Serialize, Deserialize)]
struct Kept {
    v: u32,
    last_time: DateTime<Utc>,
    essence: Vec<u64>,
}

/// The version of [`Kept`], and of what the core folds: a snapshot of another version is not used.
const KEPT_VERSION: u32 = 4;

/// The state for a snapshot.
pub fn kept(state: &State) -> Option<Vec<u8>> {
    serde_json::to_vec(&Kept { v: KEPT_VERSION, last_time: state.last_time()?, essence: state.essence() }).ok()
}

/// The state from a snapshot; `None` if it does not fit, which costs only time.
fn resume(ledger: &dyn Log, mut state: State, size: u64, bytes: &[u8]) -> Option<State> {
    let kept: Kept = serde_json::from_slice(bytes).ok().filter(|kept: &Kept| kept.v == KEPT_VERSION)?;
    for seq in kept.essence {
        // This part of the history was not walked at the start, so each entry has to prove that it is in it.
        state.evolve(&codec::stored(ledger.get_proved(seq).ok()?).ok()?);
    }
    state.resume_at(size, kept.last_time);
    Some(state)
}

/// The message that asks for something stands no more entries before it: only whoever says it is enrolled between them.
const MESSAGE_BEFORE_MAX: u64 = 4;

/// One request, folded from the entries that are about it, up to its end. Blocks, for as long as it lived.
pub fn request(ledger: &dyn Log, id: RequestId) -> Option<Request> {
    let mut state = State::default();
    // Where it was asked is said by the message, which stands shortly before.
    for entry in ledger.entries(id.0.saturating_sub(MESSAGE_BEFORE_MAX), ledger.size()).ok()? {
        let stored = codec::stored(entry.ok()?).ok()?;
        let own = stored.seq == id.0;
        if own && !matches!(stored.event, Event::AccessRequested { .. }) {
            return None;
        }
        let is_message = matches!(stored.event, Event::MessageReceived { .. });
        if own || is_message || stored.event.concerns(id) {
            state.evolve(&stored);
        }
        if state.request(id).is_some_and(Request::over) {
            break;
        }
    }
    state.request(id).cloned()
}

/// Names the log in external ids: 40 bits of its id in base 32.
#[must_use]
pub fn log_tag(log_id: &[u8; 32]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits = log_id.iter().take(5).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    (0..8)
        .rev()
        .filter_map(|place| ALPHABET.get(usize::try_from(bits >> (5 * place) & 31).ok()?))
        .map(|letter| char::from(*letter))
        .collect()
}

/// Opens the ledger anew after a write that failed, as often as it takes. Whoever asks meanwhile is told at once.
///
/// # Errors
/// [`Fatal`] if what is there can't be trusted.
pub async fn reopen(writer: &mut Writer) -> Result<(), Fatal> {
    writer.shared.close();
    let old = writer.ledger.take();
    let _ = blocking(writer.setup.ground.as_ref(), move || drop(old)).await;
    let mut pause = REOPEN_FIRST_MS;
    loop {
        let mut wake = writer.setup.clock.pause(Duration::from_millis(pause));
        // Whoever is to stop has nothing more to write: the next start is the recovery.
        while writer.stopping.is_none() {
            tokio::select! {
                biased;
                () = &mut wake => break,
                job = writer.jobs.recv(), if writer.held.len() < HELD_MAX => match job {
                    Some(Job::Message { reply, .. } | Job::Talk { reply, .. }) => { let _ = reply.send(answer::ledger_down()); }
                    Some(Job::Stop(done)) => writer.stopping = Some(done),
                    Some(job) => writer.held.push_back(job),
                    None => return Ok(()),
                },
            }
        }
        if writer.stopping.is_some() {
            return Ok(());
        }
        let setup = Arc::clone(&writer.setup);
        let opened = blocking(writer.setup.ground.as_ref(), move || open(&setup)).await;
        match opened {
            Some(Ok((ledger, state))) => {
                tracing::info!(size = ledger.size(), "the ledger is open again");
                writer.shared.opened(&ledger);
                writer.ledger = Some(ledger);
                writer.state = state;
                writer.resume().await;
                return Ok(());
            }
            Some(Err(Fatal::Open(error))) if passes(&error) => {
                tracing::warn!(%error, "the ledger can't be opened yet");
            }
            Some(Err(fatal)) => return Err(fatal),
            None => return Err(Fatal::Broken("opening the ledger again".into())),
        }
        pause = (pause * 2).min(REOPEN_LONGEST_MS);
    }
}

/// Whether waiting may help: a full disk can be freed, and our own last look at the folder ends.
fn passes(error: &OpenError) -> bool {
    match error {
        OpenError::DiskFull | OpenError::Io(_) | OpenError::InUse(_) => true,
        OpenError::Origin(_)
        | OpenError::OtherOrigin { .. }
        | OpenError::KeyMissing(_)
        | OpenError::KeyUnreadable
        | OpenError::KeyNotLive
        | OpenError::Broken { .. }
        | OpenError::Unknown { .. }
        | OpenError::Head(_) => false,
    }
}
