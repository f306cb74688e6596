//! `erase`: what the ledger holds of a person becomes unreadable, and the chain holds all the same.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, Write as _},
};

use rand::SeedableRng as _;

use super::{ConfigDir, Outcome, Stop, block_on, shelf::Shelf};
use crate::{
    access::Event,
    engine::clock::{Clock as _, SystemClock},
    ledger::{Disclosed, Draft, Entry, Ledger, Options, SubjectId, kinds},
};

/// Make all that the ledger holds of a person unreadable
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The person's key is destroyed, and `subject.erased` is appended. Hashes, signatures and proofs stay \
valid, and copies of the sealed bytes in backups become unreadable with it, as far as backups of `keys/` are gone too. \
There is no way back. Stop the service first.\n\n\
Example: countersign erase ana --config bot-config"
)]
pub struct Args {
    /// The person's name; of an account that is nobody's, `chat:account`
    person: String,
    #[command(flatten)]
    config: ConfigDir,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

pub fn main(args: &Args) -> Outcome {
    let config = args.config.load()?;
    let clock = SystemClock::start();
    let rng = Box::new(rand::rngs::StdRng::from_rng(&mut rand::rng()));
    let options = Options::new(&config.server.origin, Event::knows, clock.now(), rng);
    let ledger = Ledger::open(&config.server.ledger_path, options).map_err(|error| Stop::Finding(error.to_string()))?;

    let mut subjects = Vec::new();
    let mut held: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for entry in ledger.entries(0, ledger.size())? {
        let entry = entry?;
        if entry.kind == kinds::SUBJECT_ENROLLED && names(&entry, &args.person) {
            subjects.extend(entry.disclosed.iter().map(subject_of));
        }
        if entry.disclosed.iter().any(|one| subjects.contains(&subject_of(one)) && matches!(one, Disclosed::Open(_))) {
            held.entry(entry.kind).or_default().push(entry.seq);
        }
    }
    if subjects.is_empty() {
        return Err(Stop::Finding(format!("the ledger holds nothing that can be read of `{}`", args.person)));
    }
    println!("Of `{}` this will be unreadable for ever:", args.person);
    for (kind, entries) in &held {
        println!("  {:>5} × {kind:<20} {}", entries.len(), listed(entries));
    }
    if !args.yes && !agreed(&args.person)? {
        return Err(Stop::Finding("nothing was erased".into()));
    }
    for subject in subjects {
        let mut body = serde_json::Map::new();
        body.insert("subject".into(), subject.to_string().into());
        let draft = Draft { kind: kinds::SUBJECT_ERASED.into(), body, disclosures: Vec::new() };
        let done = block_on(async {
            ledger.append_next(clock.now(), vec![draft]).await.map_err(|error| Stop::Finding(error.to_string()))
        })?;
        println!("entry {}: erased", done.first);
    }
    Shelf::of(&config.server.ledger_path).clear()?;
    println!("Backups of the ledger's `keys/` that are older than now still open it: destroy them.");
    Ok(())
}

fn names(entry: &Entry, person: &str) -> bool {
    entry
        .disclosed
        .iter()
        .any(|one| matches!(one, Disclosed::Open(open) if open.name == "name" && open.value == person))
}

fn subject_of(disclosed: &Disclosed) -> SubjectId {
    match disclosed {
        Disclosed::Open(open) => open.subject,
        Disclosed::Erased { subject } => *subject,
    }
}

fn listed(entries: &[u64]) -> String {
    const LISTED_MAX: usize = 8;
    let mut words: Vec<String> = entries.iter().take(LISTED_MAX).map(|seq| format!("#{seq}")).collect();
    if entries.len() > LISTED_MAX {
        words.push("…".into());
    }
    words.join(" ")
}

fn agreed(person: &str) -> io::Result<bool> {
    print!("Type the name to erase it: ");
    io::stdout().flush()?;
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim() == person)
}
