//! How the state comes back: at start, and after a write that failed.

use std::{sync::Arc, time::Duration};

use rand::SeedableRng;

use super::{Fatal, Setup, codec, job::Job, writer::Writer};
use crate::{
    access::{Event, State},
    chat::answer,
    ledger::{self, Ledger, OpenError},
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
pub fn open(setup: &Setup) -> Result<(Arc<Ledger>, State), Fatal> {
    let ledger = Ledger::open(&setup.data, options(setup))?;
    let mut state = State::new(log_tag(&ledger.log_id()));
    for entry in ledger.entries(0, ledger.size())? {
        state.evolve(&codec::stored(entry?)?);
    }
    Ok((Arc::new(ledger), state))
}

fn options(setup: &Setup) -> ledger::Options {
    ledger::Options::new(
        &setup.origin,
        Event::knows,
        setup.clock.now(),
        Box::new(rand::rngs::StdRng::from_rng(&mut rand::rng())),
    )
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
    let _ = tokio::task::spawn_blocking(move || drop(old)).await;
    let mut pause = REOPEN_FIRST_MS;
    loop {
        let wake = tokio::time::sleep(Duration::from_millis(pause));
        tokio::pin!(wake);
        // Whoever is to stop has nothing more to write: the next start is the recovery.
        while writer.stopping.is_none() {
            tokio::select! {
                () = &mut wake => break,
                job = writer.jobs.recv(), if writer.held.len() < HELD_MAX => match job {
                    Some(Job::Message { reply, .. }) => { let _ = reply.send(answer::ledger_down()); }
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
        let opened = tokio::task::spawn_blocking(move || open(&setup)).await;
        match opened {
            Ok(Ok((ledger, state))) => {
                tracing::info!(size = ledger.size(), "the ledger is open again");
                writer.shared.opened(&ledger);
                writer.ledger = Some(ledger);
                writer.state = state;
                writer.follow_everything();
                return Ok(());
            }
            Ok(Err(Fatal::Open(error))) if passes(&error) => {
                tracing::warn!(%error, "the ledger can't be opened yet");
            }
            Ok(Err(fatal)) => return Err(fatal),
            Err(panic) => return Err(Fatal::Broken(panic.to_string())),
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
        | OpenError::Behind { .. }
        | OpenError::Diverged { .. } => false,
    }
}
