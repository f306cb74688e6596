//! `prove`: the proof that an entry is in the ledger.

use std::path::PathBuf;

use super::{Outcome, Stop, out, place};
use crate::{access::Event, ledger::history};

/// Write the proof that an entry is in the ledger
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The proof goes to stdout; whoever has the log's verifier key that signed its head can check it alone.\n\n\
Example: countersign prove 17 --ledger data > 17.tlog-proof && countersign verify 17.tlog-proof --key \"$KEY\""
)]
pub struct Args {
    /// The entry's index; a request's id is one
    index: u64,
    /// The ledger's folder; a running service is not disturbed
    #[arg(long, value_name = "DIR", default_value = "data")]
    ledger: PathBuf,
}

pub fn main(args: &Args) -> Outcome {
    let proof = history::prove(&args.ledger, args.index, Event::knows);
    out::part(proof.map_err(|error| Stop::Finding(place::unread(&args.ledger, &error)))?);
    Ok(())
}
