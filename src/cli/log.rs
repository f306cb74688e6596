//! `log`: the entries of a ledger, read from its folder. A running service is not disturbed.

use std::path::PathBuf;

use super::{Outcome, Stop};
use crate::{
    access::{EVIDENCE, Event},
    audit::{Names, told},
    ledger::{Disclosed, Entry, history},
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
    /// What a platform signed of them, one JSON object a line: for others to check with the platform's key
    #[arg(long, conflicts_with = "json")]
    evidence: bool,
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
        let text = match (args.json, args.evidence) {
            (true, _) => String::from_utf8_lossy(&entry.line).into_owned(),
            (false, true) => match signed(&entry) {
                Some(signed) => signed,
                None => return,
            },
            (false, false) => text,
        };
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

/// What a platform signed of an entry, if it signed it and its author was not erased.
fn signed(entry: &Entry) -> Option<String> {
    let evidence = entry.disclosed.iter().find_map(|disclosed| match disclosed {
        Disclosed::Open(open) if open.name == EVIDENCE => Some(&open.value),
        Disclosed::Open(_) | Disclosed::Erased { .. } | Disclosed::Locked { .. } => None,
    })?;
    let mut lines = evidence.splitn(3, '\n');
    let (timestamp, signature, body) = (lines.next()?, lines.next()?, lines.next()?);
    let signed =
        serde_json::json!({ "entry": entry.seq, "timestamp": timestamp, "signature": signature, "body": body });
    Some(signed.to_string())
}
