//! `verify`: checks what lies at a path with nothing but its files.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Outcome, Stop};
use crate::{
    access::Event,
    ledger::{
        Progress, VerifierKey,
        verify::{Anchor, Report, VerifyOptions, verify},
    },
};

/// A check that is shorter than this needs no bar.
const BAR_FROM_BYTES: u64 = 16 * 1024 * 1024;

/// Check a ledger's folder, a public copy, an export, a list of lines or a proof
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Inside a log nothing can show that its tail was cut off, or that it was rewritten with a live key. \
That takes a memory elsewhere: give one with --anchor, or the check says that freshness is unproven.\n\n\
Example: countersign verify data --anchor checkpoint-from-monday.txt"
)]
pub struct Args {
    /// What to check
    path: PathBuf,
    /// A head that was kept elsewhere: a checkpoint file, or the line that was posted in the chat; may be repeated
    #[arg(long, value_name = "FILE|LINE")]
    anchor: Vec<String>,
    /// The log's first verifier key, if you have pinned it; needed for a proof
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> Outcome {
    let mut options = VerifyOptions::new(Event::knows);
    for anchor in &args.anchor {
        options.anchors.push(read_anchor(anchor)?);
    }
    if let Some(key) = &args.key {
        let wrong = |error| Stop::Finding(format!("--key is no verifier key: {error}"));
        options.key = Some(VerifierKey::parse(key).map_err(wrong)?);
    }
    let bar = ProgressBar::hidden();
    let shown = bar.clone();
    options.progress = Box::new(move |progress| show(&shown, progress));
    let report = verify(&args.path, options).map_err(|error| Stop::Finding(error.to_string()));
    bar.finish_and_clear();
    tell(&report?, args.json)
}

fn tell(report: &Report, json: bool) -> Outcome {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        println!("{report}");
    }
    if report.holds() { Ok(()) } else { Err(Stop::Finding(format!("{} faults", report.found().len()))) }
}

/// A file's contents if there is such a file, else the text itself.
fn read_anchor(text: &str) -> Result<Anchor, Stop> {
    const ANCHOR_BYTES_MAX: u64 = 1024 * 1024;
    let path = Path::new(text);
    let contents = match std::fs::metadata(path) {
        Ok(found) if found.len() > ANCHOR_BYTES_MAX => {
            return Err(Stop::Finding(format!("--anchor {text}: {} bytes are no checkpoint", found.len())));
        }
        Ok(_) => std::fs::read_to_string(path).map_err(|error| Stop::Finding(format!("--anchor {text}: {error}")))?,
        Err(_) => text.to_owned(),
    };
    Anchor::parse(&contents).map_err(|error| Stop::Finding(format!("--anchor: {error}")))
}

fn show(bar: &ProgressBar, progress: Progress) {
    if progress.total_bytes < BAR_FROM_BYTES {
        return;
    }
    if bar.length() != Some(progress.total_bytes) {
        bar.set_length(progress.total_bytes);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}  {eta} left") {
            bar.set_style(style);
        }
        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
    }
    bar.set_position(progress.done_bytes);
}
