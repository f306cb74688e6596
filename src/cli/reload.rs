//! `reload`: has a running service load its config anew, whole or not at all.

use std::{path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use super::{ConfigDir, Outcome, Stop, block_on, out::say, place, status::Status};
use crate::ledger;

/// How often the service is looked at until it has answered. It goes on, whether anybody waits or not.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// So many looks are enough.
const LOOKS_MAX: usize = 600;

/// Have a running service load its config anew
#[derive(Debug, clap::Args)]
#[command(after_help = "The config is checked here first, so that every mistake is told before anything is touched. \
Requests that wait are decided by the new rules at the next click.\n\nExample: countersign reload --config bot-config")]
pub struct Args {
    #[command(flatten)]
    config: ConfigDir,
}

pub fn main(args: &Args) -> Outcome {
    let config = args.config.load()?;
    let ledger = &config.server.ledger_path;
    place::must_be(ledger)?;
    let nobody = || Stop::Finding(format!("no service runs on the ledger in {}", place::whole(ledger).display()));
    if !ledger::in_use(ledger) {
        return Err(nobody());
    }
    let before = Status::read(ledger).ok_or_else(nobody)?;
    let pid = Pid::from_raw(before.pid).ok_or_else(nobody)?;
    kill_process(pid, Signal::HUP).map_err(|error| Stop::Finding(format!("the service can't be told: {error}")))?;
    let entry = block_on(answered(ledger, &before))?;
    say!("entry {entry}: the rules were loaded anew");
    Ok(())
}

/// The entry that the service wrote since `before`.
async fn answered(ledger: &Path, before: &Status) -> Result<u64, Stop> {
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(LOOK_EVERY).await;
        match Status::read(ledger) {
            Some(Status { pid, reloads, entry, error }) if pid == before.pid && reloads > before.reloads => {
                let silent = || "the service does not say what it did".to_owned();
                return error.map_or(entry.ok_or_else(silent), Err).map_err(Stop::Finding);
            }
            Some(_) | None => {}
        }
    }
    Err(Stop::Finding("the service has not answered for a while; look at its log".to_owned()))
}
