//! `export`: a ledger in the C2SP tlog-tiles layout, for anybody's tools.

use std::path::PathBuf;

use super::{
    Outcome, Stop,
    out::{self, say},
    place,
};
use crate::{
    access::Event,
    ledger::export::{self, ExportError},
};

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
        .map_err(|error| Stop::Finding(refusal(args, &error)))?;
    say!("{}: {} entries, {} disclosures", args.to.display(), exported.entries, exported.disclosures);
    if exported.locked > 0 {
        out::complain(&format_args!(
            "{} disclosures are left out that can't be opened, though nobody was erased: keys are missing or are not the right \
             ones; `countersign verify` says whose, and the backup of `keys/` may have them",
            exported.locked
        ));
    }
    Ok(())
}

fn refusal(args: &Args, error: &ExportError) -> String {
    let to = place::whole(&args.to);
    let to = to.display();
    match error {
        ExportError::History(error) => place::unread(&args.ledger, error),
        ExportError::Keys(error) => place::cant("read", &args.ledger.join("keys"), error),
        ExportError::NotEmpty(_) => {
            format!(
                "{to} is not empty\n  hint: name a folder that is not there yet; what an export that was killed left, remove"
            )
        }
        ExportError::Inside(_) => {
            format!(
                "{to} is in the ledger's own folder, where only the service writes\n  hint: name a folder elsewhere"
            )
        }
        ExportError::Target { error, .. } if args.to.is_file() => {
            format!("{to} is a file: {error}\n  hint: name a folder that is not there yet, or empty")
        }
        ExportError::Target { error, .. } => place::cant("written", &args.to, error),
        ExportError::Left { broke_off, error, .. } => {
            let broke_off = refusal(args, broke_off);
            format!(
                "{broke_off}\nwhat was written to {to} can't be removed: {error}\n  hint: remove it before you try again"
            )
        }
    }
}
