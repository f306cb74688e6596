//! `erase`: what the ledger holds of a person becomes unreadable, and the chain holds all the same.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _},
};

use super::{
    ConfigDir, Outcome, Stop, block_on,
    out::{self, say},
    shelf::Shelf,
    signing,
};
use crate::{
    access::{Phase, Request, State, phase_words},
    chat::draw::utc,
    engine::{
        clock::{Clock as _, SystemClock},
        codec,
    },
    ledger::{Disclosed, Draft, Entry, SubjectId, kinds},
};

/// Make all that the ledger holds of a person unreadable
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The person's key is destroyed, and `subject.erased` is appended. Hashes, signatures and proofs stay \
valid, and copies of the sealed bytes in backups become unreadable with it, as far as backups of `keys/` are gone too. \
There is no way back. Stop the service first. An access that the person holds is not ended by it: it is listed before \
anything is asked.\n\n\
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
    let ledger = signing::ledger(&config, clock.now())?;

    let mut subjects = Vec::new();
    let mut held: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut state = State::default();
    for entry in ledger.entries(0, ledger.size())? {
        let entry = entry?;
        if entry.kind == kinds::SUBJECT_ENROLLED && names(&entry, &args.person) {
            subjects.extend(entry.disclosed.iter().map(subject_of));
        }
        if entry.disclosed.iter().any(|one| subjects.contains(&subject_of(one)) && matches!(one, Disclosed::Open(_))) {
            held.entry(entry.kind.clone()).or_default().push(entry.seq);
        }
        state.evolve(&codec::stored(entry).map_err(|error| Stop::Finding(error.to_string()))?);
    }
    if subjects.is_empty() {
        return Err(Stop::Finding(format!("the ledger holds nothing that can be read of `{}`", args.person)));
    }
    say!("Of `{}` this will be unreadable for ever:", args.person);
    for (kind, entries) in &held {
        say!("  {:>5} × {kind:<20} {}", entries.len(), listed(entries));
    }
    warn_of_doors(&state, &args.person, &subjects);
    if !args.yes && !agreed(&args.person)? {
        return Err(Stop::Finding("nothing was erased".into()));
    }
    // First: once the person is erased, a second run would find nothing of them and not come so far.
    Shelf::of(&config.server.ledger_path).clear()?;
    for subject in subjects {
        let mut body = serde_json::Map::new();
        body.insert("subject".into(), subject.to_string().into());
        let draft = Draft { kind: kinds::SUBJECT_ERASED.into(), body, disclosures: Vec::new() };
        let done = block_on(async {
            ledger.append_next(clock.now(), vec![draft]).await.map_err(|error| Stop::Finding(error.to_string()))
        })?;
        let key = config.server.ledger_path.join("keys").join(subject.to_string());
        if done.key_left.is_some() || key.exists() {
            let why = done.key_left.as_deref().unwrap_or("it is still there");
            return Err(Stop::Finding(format!(
                "entry {} says so, but the key {} could not be destroyed: {why}; the next start of the service does it, or \
                 run this again",
                done.first,
                key.display()
            )));
        }
        say!("entry {}: erased", done.first);
    }
    say!("Backups of the ledger's `keys/` that are older than now still open it: destroy them.");
    Ok(())
}

/// Says what the person still holds or waits for: nobody will be able to tell later whose it was.
fn warn_of_doors(state: &State, person: &str, subjects: &[SubjectId]) {
    let own = |request: &&Request| subjects.iter().any(|subject| subject.0 == request.requester.0);
    let (waiting, open): (Vec<&Request>, Vec<&Request>) = state
        .open()
        .filter(own)
        .filter(|request| !request.phase.finished())
        .partition(|request| request.phase == Phase::Pending);
    if let Some(first) = open.first() {
        say!("\n`{person}` holds access, and erasing does not end it:");
        for request in &open {
            let until = match (&request.phase, request.not_after) {
                (Phase::Approved { due }, _) => format!(", {}", utc(*due)),
                (_, Some(end)) => format!(", until {}", utc(end)),
                (_, None) => String::new(),
            };
            say!("  {} {} {}{until}", request.id, request.resource, phase_words(request));
        }
        say!(
            "Each ends at its time, as soon as the service runs again. To end one before, start the service and have an \
             approver say `/access revoke {} <reason>`; that can be done after the erasure too.",
            first.id.0
        );
    }
    if !waiting.is_empty() {
        let ids: Vec<String> = waiting.iter().map(|request| request.id.to_string()).collect();
        say!("\n{} can't be decided any more once `{person}` is erased, and will lapse.", ids.join(", "));
    }
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
    out::part("Type the name to erase it: ");
    if !out::heard() {
        return Ok(false);
    }
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim() == person)
}
