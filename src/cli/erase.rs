//! `erase`: what a person wrote, and who they are, becomes unreadable, and the chain holds all the same.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _},
    path::Path,
};

use chrono::{DateTime, Utc};

use super::{
    ConfigDir, Outcome, Stop, block_on,
    out::{self, say},
    shelf::Shelf,
    signing,
};
use crate::{
    access::{Phase, Request, State, phase_words},
    chat::draw::utc,
    config::Config,
    engine::{
        clock::{Clock as _, SystemClock},
        codec,
    },
    ledger::{Disclosed, Draft, Entry, SubjectId, kinds},
};

/// Make what a person wrote, and who they are, unreadable
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The person's key is destroyed, and `subject.erased` is appended. Hashes, signatures and proofs stay \
valid, and copies of the sealed bytes in backups become unreadable with it, as far as backups of `keys/` are gone too. \
There is no way back. Stop the service first.\n\n\
What others wrote of the person stays: a reason, a comment, a line in a thread. It is theirs, sealed under their keys. \
The entries in which the person's name, or an account or address that people.toml gives them, can still be read are \
listed before anything is asked. Nothing is changed in the config, which may still name the person, in the chats, or in \
what was exported with `--disclosures`. An access that the person holds is not ended: it is listed too.\n\n\
Example: countersign erase ana --config bot-config"
)]
pub struct Args {
    /// The person's name; of an account that is nobody's, `chat:account`; of somebody whose key is lost, the name of its file
    /// in `keys/`
    person: String,
    #[command(flatten)]
    config: ConfigDir,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

/// Entries by their kind.
type Kinds = BTreeMap<String, Vec<u64>>;

pub fn main(args: &Args) -> Outcome {
    let config = args.config.load()?;
    let clock = SystemClock::start();
    let ledger = signing::ledger(&config, clock.now())?;

    let words = words_for(&args.person, &config);
    let mut subjects = Vec::new();
    let mut held = Kinds::new();
    let mut named = Vec::new();
    let mut state = State::default();
    for entry in ledger.entries(0, ledger.size())? {
        let entry = entry?;
        if entry.kind == kinds::SUBJECT_ENROLLED && names(&entry, &args.person) {
            subjects.extend(entry.disclosed.iter().map(subject_of));
        }
        if entry
            .disclosed
            .iter()
            .any(|one| subjects.contains(&subject_of(one)) && !matches!(one, Disclosed::Erased { .. }))
        {
            held.entry(entry.kind.clone()).or_default().push(entry.seq);
        }
        named.extend(namers(&entry, &words).map(|whose| (whose, entry.kind.clone(), entry.seq)));
        state.evolve(&codec::stored(entry).map_err(|error| Stop::Finding(error.to_string()))?);
    }
    let mut others = Kinds::new();
    for (_, kind, seq) in named.into_iter().filter(|(whose, _, _)| !subjects.contains(whose)) {
        let entries = others.entry(kind).or_default();
        if entries.last() != Some(&seq) {
            entries.push(seq);
        }
    }
    if subjects.is_empty() {
        tell_what_stays(&args.person, &others);
        tell_of_config(args.config.dir(), &config, &words);
        return Err(Stop::Finding(format!("the ledger holds nothing of `{}`'s own that can be read", args.person)));
    }
    say!("Of `{}` this will be unreadable for ever:", args.person);
    list(&held);
    tell_what_stays(&args.person, &others);
    tell_of_config(args.config.dir(), &config, &words);
    warn_of_doors(&state, &args.person, &subjects);
    tell_of_approvals_ahead(&state, &args.person, &subjects, clock.now());
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

fn list(kinds: &Kinds) {
    for (kind, entries) in kinds {
        say!("  {:>5} × {kind:<20} {}", entries.len(), listed(entries));
    }
}

/// Says where the person can still be read of afterwards, in what others wrote.
fn tell_what_stays(person: &str, others: &Kinds) {
    let count: usize = others.values().map(Vec::len).sum();
    match count {
        0 => return say!("\nNothing that others wrote, and that can be read, has the name of `{person}` in it."),
        1 => say!("\nWhat others wrote stays. In 1 entry of theirs `{person}` can be read of:"),
        _ => say!("\nWhat others wrote stays. In {count} entries of theirs `{person}` can be read of:"),
    }
    list(others);
    say!(
        "They were looked through for the name, and what people.toml knows the person by. `countersign log` shows them."
    );
}

/// Says which files of the config name the person: that is no business of the ledger, and goes on.
fn tell_of_config(dir: &Path, config: &Config, words: &[String]) {
    let lines_of = |file: &String| -> Option<(String, Vec<String>)> {
        let text = std::fs::read_to_string(dir.join(file)).ok()?;
        let lines = text.lines().zip(1_usize..).filter(|(line, _)| words.iter().any(|word| has_word(line, word)));
        Some((file.clone(), lines.map(|(_, number)| number.to_string()).collect()))
    };
    let found: Vec<_> =
        config.files.iter().filter_map(|(file, _)| lines_of(file)).filter(|(_, lines)| !lines.is_empty()).collect();
    if found.is_empty() {
        return;
    }
    say!("\nThe config still names them, and whoever it names can ask again, as somebody new. Take them out of:");
    for (file, lines) in found {
        say!("  {}: line {}", dir.join(file).display(), lines.join(", "));
    }
}

/// Says which approvals ahead are of no use to anybody any more.
fn tell_of_approvals_ahead(state: &State, person: &str, subjects: &[SubjectId], now: DateTime<Utc>) {
    let is = |who: crate::access::SubjectId| subjects.iter().any(|subject| subject.0 == who.0);
    let open: Vec<_> =
        state.preapprovals().filter(|(_, ahead)| ahead.until > now && (is(ahead.by) || is(ahead.person))).collect();
    if open.is_empty() {
        return;
    }
    say!("\nWhat was approved ahead for `{person}`, or by them, is of no use to anybody once they are erased:");
    for (id, ahead) in open {
        let whose = if is(ahead.person) { "for" } else { "by" };
        say!("  #{id} {}, {whose} `{person}`, until {}", ahead.resource, utc(ahead.until));
    }
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

/// Whether an entry says who somebody is: by name, or, when that can't be opened, by id.
fn names(entry: &Entry, person: &str) -> bool {
    let by_id = entry.body.get("subject").and_then(serde_json::Value::as_str) == Some(person);
    by_id
        || entry
            .disclosed
            .iter()
            .any(|one| matches!(one, Disclosed::Open(open) if open.name == "name" && open.value == person))
}

/// What a person can be told by in a text: the name, and the accounts and the address that the config has of them.
fn words_for(name: &str, config: &Config) -> Vec<String> {
    let own = config.people.get(name).into_iter();
    let known = own.flat_map(|person| [&person.email, &person.slack, &person.discord]).flatten();
    // `team/user`, `chat:account`: in a text stands the last part alone.
    let last = |text: &str| text.rsplit(['/', ':']).next().unwrap_or_default().to_lowercase();
    let mut words: Vec<String> = known.map(|word| last(word)).chain([name.to_lowercase(), last(name)]).collect();
    words.retain(|word| !word.is_empty());
    words.sort();
    words.dedup();
    words
}

/// Under whose keys an entry has one of these words.
fn namers(entry: &Entry, words: &[String]) -> impl Iterator<Item = SubjectId> {
    entry.disclosed.iter().filter_map(|one| match one {
        Disclosed::Open(open) if words.iter().any(|word| has_word(&open.value, word)) => Some(open.subject),
        Disclosed::Open(_) | Disclosed::Erased { .. } | Disclosed::Locked { .. } => None,
    })
}

/// Whether a text has this word, in lower case, and not as a part of another.
fn has_word(text: &str, word: &str) -> bool {
    let text = text.to_lowercase();
    let goes_on = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text.get(..at), text.get(at + word.len()..));
        !goes_on(before.and_then(|text| text.chars().next_back()))
            && !goes_on(after.and_then(|text| text.chars().next()))
    })
}

fn subject_of(disclosed: &Disclosed) -> SubjectId {
    match disclosed {
        Disclosed::Open(open) => open.subject,
        Disclosed::Erased { subject } | Disclosed::Locked { subject, .. } => *subject,
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
