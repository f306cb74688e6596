//! `log`: the entries of a ledger, read from its folder. A running service is not disturbed.

use std::path::PathBuf;

use super::{Outcome, Stop};
use crate::{
    access::Event,
    audit::{Names, told},
    ledger::history,
};

/// Read the ledger
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Personal data is shown where its key is still there, so this needs the right to read `keys/`.\n\n\
Example: countersign log --ledger data --last 20 prod-db"
)]
pub struct Args {
    /// Only entries that have all of these words, in the kind, the body or what can be read of the personal data
    words: Vec<String>,
    /// The ledger's folder
    #[arg(long, value_name = "DIR", default_value = "data")]
    ledger: PathBuf,
    /// Only the newest so many of them
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// The lines as they are hashed, one JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> Outcome {
    let mut found = std::collections::VecDeque::new();
    let words: Vec<String> = args.words.iter().map(|word| word.to_lowercase()).collect();
    let show = |text: String| println!("{text}");
    history::entries(&args.ledger, Event::knows, |entry| {
        let (at, words_of) = (entry.time.format("%Y-%m-%d %H:%M:%S"), told(&entry, &Names::new()));
        let text = format!("{:>6}  {at}  {:<20} {words_of}", entry.seq, entry.kind);
        let haystack = text.to_lowercase();
        if !words.iter().all(|word| haystack.contains(word)) {
            return;
        }
        let text = if args.json { String::from_utf8_lossy(&entry.line).into_owned() } else { text };
        match args.last {
            None => show(text),
            Some(most) => {
                found.push_back(text);
                if found.len() > most {
                    found.pop_front();
                }
            }
        }
    })
    .map_err(|error| Stop::Finding(error.to_string()))?;
    found.into_iter().for_each(show);
    Ok(())
}
