//! `export`: a ledger in the C2SP tlog-tiles layout, for anybody's tools.

use std::path::PathBuf;

use super::{Outcome, Stop};
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
    println!("{}: {} entries, {} disclosures", args.to.display(), exported.entries, exported.disclosures);
    if exported.locked > 0 {
        eprintln!(
            "{} disclosures are left out that can't be opened, though nobody was erased: keys are missing or are not the right \
             ones; `countersign verify` says whose, and the backup of `keys/` may have them",
            exported.locked
        );
    }
    Ok(())
}
