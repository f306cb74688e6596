//! `log`: the entries of a ledger, read from its folder. A running service is not disturbed.

use std::{collections::VecDeque, path::PathBuf, sync::mpsc::sync_channel};

use super::{
    Outcome, Stop,
    out::{self, say},
    place,
};
use crate::{
    access::{EVIDENCE, Event, SubjectId},
    audit::{Names, told},
    chat::draw::utc,
    ledger::{Disclosed, Entry, history, kinds},
};

/// So many entries are read ahead of what is shown.
const FOUND_AHEAD_MAX: usize = 256;

/// Read the ledger
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Personal data is shown where its key is still there, so this needs the right to read `keys/`. People are \
called by name, until they are erased; times are UTC. `log ana` finds what ana did, what was done to her, and what \
others said of her.\n\n\
Example: countersign log --ledger data --last 20 prod-db"
)]
pub struct Args {
    /// Only entries that have all of these words: in the kind, the body, the names of the people in it, or what can be
    /// read of the personal data
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
    let mut lines = Lines::of(args);
    let (found, shown) = sync_channel(FOUND_AHEAD_MAX);
    let ledger = args.ledger.clone();
    // In a thread of its own, which ends with the process: when nobody listens any more, the rest needs no reading.
    let reading = std::thread::spawn(move || {
        history::entries(&ledger, Event::knows, |entry| {
            if let Some(text) = lines.line(&entry) {
                drop(found.send(text));
            }
        })
    });
    let mut newest = VecDeque::new();
    for text in shown {
        match args.last {
            None => say!("{text}"),
            Some(most) => {
                newest.push_back(text);
                if newest.len() > most {
                    newest.pop_front();
                }
            }
        }
        if !out::heard() {
            return Ok(());
        }
    }
    let read = reading.join().map_err(|_| anyhow::anyhow!("the reading broke off"))?;
    read.map_err(|error| Stop::Finding(place::unread(&args.ledger, &error)))?;
    for text in newest {
        say!("{text}");
    }
    Ok(())
}

/// Which entries are shown, and how.
struct Lines {
    words: Vec<String>,
    json: bool,
    evidence: bool,
    /// Whoever has appeared so far.
    names: Names,
}

impl Lines {
    fn of(args: &Args) -> Self {
        let words = args.words.iter().map(|word| word.to_lowercase()).collect();
        Self { words, json: args.json, evidence: args.evidence, names: Names::new() }
    }

    /// What is shown of an entry, if it is one that is looked for.
    fn line(&mut self, entry: &Entry) -> Option<String> {
        let text = format!("{:>6}  {}  {:<20} {}", entry.seq, utc(entry.time), entry.kind, told(entry, &self.names));
        // By their ids, too: a key in `keys/` has one for its name.
        let bare = if self.words.is_empty() { String::new() } else { told(entry, &Names::new()) };
        let haystack = format!("#{} {text} {bare}", entry.seq).to_lowercase();
        // From here on: where somebody appears, the id is said that is theirs.
        self.names.extend(enrolled(entry));
        if !self.words.iter().all(|word| haystack.contains(word)) {
            return None;
        }
        match (self.json, self.evidence) {
            (true, _) => Some(String::from_utf8_lossy(&entry.line).into_owned()),
            (false, true) => signed(entry),
            (false, false) => Some(text),
        }
    }
}

/// Who appears with this entry, by what name.
fn enrolled(entry: &Entry) -> Option<(SubjectId, String)> {
    let id = entry.body.get("subject").filter(|_| entry.kind == kinds::SUBJECT_ENROLLED)?;
    let name = entry.disclosed.iter().find_map(|disclosed| match disclosed {
        Disclosed::Open(open) if open.name == "name" => Some(open.value.clone()),
        Disclosed::Open(_) | Disclosed::Erased { .. } | Disclosed::Locked { .. } => None,
    })?;
    Some((id.as_str()?.parse().ok()?, name))
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
