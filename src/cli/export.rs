//! `export`: a ledger in the C2SP tlog-tiles layout, for anybody's tools.

use std::path::PathBuf;

use super::{Outcome, Stop, out::say};
use crate::{access::Event, ledger::export};

/// Write a ledger out
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: countersign export data --to /mnt/audit/2026-11")]
pub struct Args {
    /// The ledger's folder
    ledger: PathBuf,
    /// Where to: a folder that is not there yet, or empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Also write out the personal data that can still be read, in clear: names, reasons, messages
    #[arg(long)]
    disclosures: bool,
}

pub fn main(args: &Args) -> Outcome {
    let exported = export::export(&args.ledger, &args.to, args.disclosures, Event::knows)
        .map_err(|error| Stop::Finding(error.to_string()))?;
    say!("{}: {} entries, {} disclosures", args.to.display(), exported.entries, exported.disclosures);
    Ok(())
}
