//! The predicates about the ledger: what its entries say of people and their messages. They read the entries as anybody
//! could, and know nothing of how the core folds them, but for the one that holds the core's own fold against the state
//! that the engine goes on with. What they say of one request is in `grants`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use countersign::{
    access::{Chat, Event, PersonalField, Record, Right, State, Stored, SubjectId},
    chat::Notice,
    engine::rulebook::Book,
    ledger::{AppendError, Disclosed, Entry, kinds},
};
use serde_json::Value;

use super::{
    disk::LOG_TAG,
    doors::SECRET_MARK,
    grants::Ask,
    rules::{Facts, version_of},
    talk::Talked,
    world::{Inner, epoch},
};

pub const RECORD: &str = "1 no record, no effect";
pub const STATE: &str = "2 the ledger is the only state";
pub const EXPIRY: &str = "3 no grant outlives its expiry";
pub const PERSON: &str = "4 a decision is a person's";
pub const SECRET: &str = "5 nothing secret is written down";
pub const ONCE: &str = "a message acts once";
pub const END: &str = "a grant ends once";
pub const LIVE: &str = "what is live is left alone";
pub const FINISHED: &str = "finished stays finished";
pub const CLOCK: &str = "the ledger's time never goes back";
pub const UNKNOWN: &str = "every kind is known to the predicates";

/// How long a message that comes again is known.
const KNOWN_SECS: i64 = 15 * 60;

/// A message as it was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub chat: Chat,
    pub account: String,
    /// The message that it really is, if the platform gave it another id.
    pub really: String,
    pub deliveries: u32,
}

/// A message in the ledger.
#[derive(Debug, Clone)]
pub struct Said {
    pub key: String,
    pub person: String,
    pub from: String,
    /// What followed from it.
    pub act: Option<String>,
    pub refused: bool,
}

/// What somebody approved ahead.
#[derive(Debug, Clone)]
pub struct Ahead {
    pub giver: String,
    pub by: String,
    pub person: String,
    pub resource: String,
    pub secs: u64,
    pub until: DateTime<Utc>,
}

/// What the predicates know.
pub struct Checks {
    /// The core's own fold of the entries.
    pub state: State,
    pub asks: BTreeMap<u64, Ask>,
    pub sent: HashMap<String, Sent>,
    pub said: HashMap<u64, Said>,
    /// What was said below cards, by its name in the ledger.
    pub talked: HashMap<String, Talked>,
    pub by_key: HashMap<String, Vec<u64>>,
    pub aheads: BTreeMap<u64, Ahead>,
    /// What is extra and was recorded: target and mark, by entry.
    pub strays: BTreeMap<u64, (String, String)>,
    /// Who is who: the names that subjects were enrolled with.
    pub people: HashMap<String, String>,
    /// Which rules hold for the process that lives, since its start or its last load.
    pub in_force: usize,
    /// Whether the process that lives has said that it started.
    started: bool,
    /// When a message last came in, whatever id it came under.
    last: HashMap<String, DateTime<Utc>>,
    time: DateTime<Utc>,
    /// Up to which entry reports were made, and when the last was due.
    reported: Option<(u64, DateTime<Utc>)>,
    bulletins: BTreeSet<(u64, String)>,
    /// Every card that was right at some time: request and hash.
    pub cards: HashSet<(u64, u64)>,
    /// Every notice that was right at some time, and to whom.
    pub notices: HashMap<String, Vec<(String, Notice)>>,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            state: State::new(LOG_TAG),
            asks: BTreeMap::new(),
            sent: HashMap::new(),
            said: HashMap::new(),
            talked: HashMap::new(),
            by_key: HashMap::new(),
            aheads: BTreeMap::new(),
            strays: BTreeMap::new(),
            people: HashMap::new(),
            in_force: 0,
            started: false,
            last: HashMap::new(),
            time: epoch(),
            reported: None,
            bulletins: BTreeSet::new(),
            cards: HashSet::new(),
            notices: HashMap::new(),
        }
    }
}

/// An entry as the core reads it.
pub fn stored(entry: &Entry) -> Stored {
    let mut personal = Vec::new();
    let (mut erased, mut locked) = (false, false);
    for one in &entry.disclosed {
        match one {
            Disclosed::Open(open) => personal.push(PersonalField {
                subject: SubjectId(open.subject.0),
                name: open.name.clone(),
                value: open.value.clone(),
            }),
            Disclosed::Erased { .. } => erased = true,
            Disclosed::Locked { .. } => locked = true,
        }
    }
    let record = Record { kind: entry.kind.clone(), body: entry.body.clone(), personal, erased, locked };
    let event = Event::from_record(entry.seq, record, |kind| kinds::OWN.contains(&kind)).unwrap();
    Stored { seq: entry.seq, time: entry.time, leaf: Some(hex::encode(entry.leaf)), event }
}

pub fn text<'a>(entry: &'a Entry, name: &str) -> &'a str {
    entry.body.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub fn number(entry: &Entry, name: &str) -> Option<u64> {
    entry.body.get(name).and_then(Value::as_u64)
}

pub fn moment(entry: &Entry, name: &str) -> DateTime<Utc> {
    text(entry, name).parse().unwrap()
}

/// The version of the rules that an entry names.
fn version(entry: &Entry) -> usize {
    let files: Vec<(String, String)> = serde_json::from_value(entry.body["files"].clone()).unwrap();
    version_of(&files)
}

/// What a predicate found: which one does not hold, and why.
pub type Found = Result<(), (&'static str, String)>;

pub fn holds(so: bool, predicate: &'static str, what: impl FnOnce() -> String) -> Found {
    if so { Ok(()) } else { Err((predicate, what())) }
}

impl Inner {
    /// The rules that a process starts with.
    pub fn first_book(&mut self) -> Book {
        self.checks.in_force = self.rules.now().version;
        self.checks.started = false;
        self.book()
    }

    pub fn book(&self) -> Book {
        self.rules.now().book(self.mutant)
    }

    /// Somebody edits the config.
    pub fn edits(&mut self) {
        let mut rng = self.rng.clone();
        self.rules.edit(&mut rng);
        self.rng = rng;
        self.count("rules edited");
        self.note(|| "the rules were edited".into());
    }

    /// Entries are durable.
    pub fn watch(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.checks.state.evolve(&stored(entry));
            self.entry(entry);
        }
        if let Some(loaded) = entries.iter().rfind(|entry| entry.kind == "rules.loaded") {
            self.checks.in_force = version(loaded);
        }
        let first = entries.first().map_or(0, |entry| entry.seq);
        let touched: Vec<_> = self
            .checks
            .state
            .requests()
            .filter(|request| request.entries.last().is_some_and(|last| *last >= first))
            .map(|request| request.id)
            .collect();
        for request in touched {
            self.right_now(request);
        }
    }

    /// The ledger took none of a batch: the engine should not have made it.
    pub fn refused(&mut self, why: &AppendError) {
        self.violated(STATE, &format!("a batch that the ledger can't take: {why}"));
    }

    /// The state that the engine goes on with.
    pub fn compare(&mut self, state: &State) {
        self.count("state compared");
        if *state == self.checks.state {
            return;
        }
        let (held, folded) = (format!("{state:#?}"), format!("{:#?}", self.checks.state));
        let only = |this: &str, that: &str| {
            let that: HashSet<&str> = that.lines().collect();
            let lines: Vec<&str> = this.lines().filter(|line| !that.contains(line)).map(str::trim).take(8).collect();
            lines.join(" ")
        };
        let what = format!("only held: {}; only in the fold: {}", only(&held, &folded), only(&folded, &held));
        self.violated(STATE, &what);
    }

    fn folded(&self) -> State {
        let mut state = State::new(LOG_TAG);
        for seq in 0..self.disk.size() {
            state.evolve(&stored(&self.disk.readable(seq).unwrap()));
        }
        state
    }

    /// Folds the ledger afresh, and holds it against what was folded entry by entry.
    pub fn refold(&mut self) {
        let folded = self.folded();
        self.compare(&folded);
    }

    /// Somebody was erased while nothing ran: what was folded before holds words that nobody can read any more.
    pub fn forget(&mut self) {
        self.checks.state = self.folded();
        for request in self.checks.state.requests().map(|request| request.id).collect::<Vec<_>>() {
            self.right_now(request);
        }
    }

    /// The rules that hold.
    pub fn facts(&self) -> std::sync::Arc<Facts> {
        self.rules.at(self.checks.in_force)
    }

    /// Whether somebody was erased under this id.
    pub fn is_erased(&self, subject: &str) -> bool {
        self.disk.erased.iter().any(|erased| hex::encode(erased.0) == subject)
    }

    fn entry(&mut self, entry: &Entry) {
        let known = |one: &Disclosed| match one {
            Disclosed::Open(open) => open.value.contains(SECRET_MARK),
            Disclosed::Erased { .. } | Disclosed::Locked { .. } => false,
        };
        let line = String::from_utf8_lossy(&entry.line);
        if line.contains(SECRET_MARK) || entry.disclosed.iter().any(known) {
            self.violated(SECRET, &format!("entry {} holds a credential", entry.seq));
        }
        if entry.time < self.checks.time {
            self.violated(CLOCK, &format!("entry {} is of {}, after {}", entry.seq, entry.time, self.checks.time));
        }
        self.checks.time = entry.time;
        let outside = [kinds::LOG_OPENED, kinds::SUBJECT_ERASED, "service.started"].contains(&entry.kind.as_str());
        if !outside && !self.checks.started {
            self.violated(RECORD, &format!("entry {} is of a service that has not said that it started", entry.seq));
        }
        let found = match entry.kind.as_str() {
            "subject.enrolled" => self.enrolled(entry),
            "message.received" if entry.body.contains_key("thread") => self.overheard(entry),
            "message.received" => self.received(entry),
            "message.refused" => self.turned_down(entry),
            "access.requested" => self.requested(entry),
            "preapproval.given" => self.given_ahead(entry),
            "preapproval.withdrawn" => self.withdrawn_ahead(entry),
            "drift.found" => self.drifted(entry),
            "drift.closed" => {
                let known = number(entry, "drift").and_then(|drift| self.checks.strays.remove(&drift));
                holds(known.is_some(), END, || "nothing was found, or it was gone already".into())
            }
            "service.started" => {
                self.checks.started = true;
                let right = version(entry) == self.checks.in_force;
                holds(right, RECORD, || "it starts with other rules than it says".into())
            }
            "bulletin.posted" => {
                let key = (number(entry, "bulletin").unwrap(), text(entry, "chat").to_owned());
                let known = key.0 < entry.seq;
                let first = self.checks.bulletins.insert(key);
                holds(known && first, ONCE, || "it stands there already, or is about nothing".into())
            }
            "digest.made" => self.reported(entry),
            "log.read" => self.searched(entry),
            "rules.loaded" | "clock.jumped" => Ok(()),
            _ => match number(entry, "request") {
                Some(id) => self.about(id, entry),
                None if kinds::OWN.contains(&entry.kind.as_str()) => Ok(()),
                None => Err((UNKNOWN, "the predicates don't know it".to_owned())),
            },
        };
        if let Err((predicate, what)) = found {
            self.violated(predicate, &format!("entry {} `{}`: {what}", entry.seq, entry.kind));
        }
    }

    fn searched(&mut self, entry: &Entry) -> Found {
        let said = self.acts(entry)?;
        let whole = self.ruled(&said, |facts| facts.readers.contains(&said.person));
        let right = entry.body["whole"] == whole && text(entry, "by") == said.from;
        holds(right, PERSON, || format!("{} may not read so much, or may read more", said.person))
    }

    fn reported(&mut self, entry: &Entry) -> Found {
        let (from, to, due) = (number(entry, "from"), number(entry, "to"), moment(entry, "due"));
        let (up_to, last) = self.checks.reported.map_or((0, epoch()), |last| last);
        self.checks.reported = to.map(|to| (to, due));
        let next = from == Some(up_to) && to == Some(entry.seq) && due > last && due <= entry.time;
        holds(next, ONCE, || format!("it does not follow the report up to {up_to}, due {last}"))
    }

    fn enrolled(&mut self, entry: &Entry) -> Found {
        let subject = text(entry, "subject").to_owned();
        let name = entry.disclosed.iter().find_map(|one| match one {
            Disclosed::Open(open) if open.name == "name" => Some(open.value.clone()),
            Disclosed::Open(_) | Disclosed::Erased { .. } | Disclosed::Locked { .. } => None,
        });
        let name = name.ok_or((PERSON, "nobody's id".to_owned()))?;
        let twice = self.checks.people.iter().any(|(id, known)| *known == name && !self.is_erased(id));
        self.checks.people.insert(subject, name.clone());
        holds(!twice, PERSON, || format!("{name} has an id already"))
    }

    fn received(&mut self, entry: &Entry) -> Found {
        let key = text(entry, "key").to_owned();
        let from = text(entry, "from").to_owned();
        let sent = self.checks.sent.get(&key).cloned().ok_or((PERSON, "nobody sent it".to_owned()))?;
        let person = sent.account.trim_start_matches("U-").to_owned();
        let account = (sent.chat, sent.account.clone());
        let known = self.facts().accounts.get(&account).cloned();
        let name = known.unwrap_or_else(|| format!("{}:{}", sent.chat.word(), sent.account));
        let checks = &mut self.checks;
        let right = checks.people.get(&from) == Some(&name);
        let before = checks.last.insert(sent.really, entry.time);
        checks.said.insert(entry.seq, Said { key: key.clone(), person, from, act: None, refused: false });
        checks.by_key.entry(key).or_default().push(entry.seq);
        let again = before.is_some_and(|before| entry.time - before <= TimeDelta::seconds(KNOWN_SECS));
        holds(!again, ONCE, || "it was recorded before".into())?;
        holds(right, PERSON, || format!("it is said to be somebody else's than {name}'s"))
    }

    fn turned_down(&mut self, entry: &Entry) -> Found {
        self.count(&format!("refused {}", text(entry, "code")));
        let said = self.said(entry)?;
        said.refused = true;
        let act = said.act.clone();
        holds(act.is_none(), ONCE, || format!("it was refused and done: {act:?}"))
    }

    /// The message that an entry answers.
    fn said(&mut self, entry: &Entry) -> Result<&mut Said, (&'static str, String)> {
        let message = number(entry, "message").unwrap_or(u64::MAX);
        self.checks.said.get_mut(&message).ok_or((RECORD, "its message is not in the ledger".to_owned()))
    }

    /// The person whose message an entry answers, and the account's subject. A message acts once.
    pub fn acts(&mut self, entry: &Entry) -> Result<Said, (&'static str, String)> {
        let said = self.said(entry)?;
        let before = said.act.replace(entry.kind.clone());
        let said = said.clone();
        let first = before.is_none() && !said.refused;
        holds(first, ONCE, || format!("its message has acted or was refused already: {before:?}"))?;
        Ok(said)
    }

    /// Whether something is so by the rules that hold, and the message's account is this person's by them.
    pub fn ruled(&self, said: &Said, so: impl Fn(&Facts) -> bool) -> bool {
        let Some(sent) = self.checks.sent.get(&said.key) else { return false };
        let account = (sent.chat, sent.account.clone());
        let facts = self.facts();
        facts.accounts.get(&account) == Some(&said.person) && so(&facts)
    }

    fn given_ahead(&mut self, entry: &Entry) -> Found {
        let said = self.acts(entry)?;
        let person = self.checks.people.get(text(entry, "person")).cloned().unwrap_or_default();
        let ahead = Ahead {
            giver: said.person.clone(),
            by: text(entry, "by").to_owned(),
            person,
            resource: text(entry, "resource").to_owned(),
            secs: number(entry, "duration_secs").unwrap_or_default(),
            until: moment(entry, "until"),
        };
        let allowed = self.ruled(&said, |facts| {
            facts.may(Right::Approve, &ahead.giver, &ahead.resource)
                && facts.may(Right::Request, &ahead.person, &ahead.resource)
                && facts.gives(&ahead.resource, ahead.secs)
        });
        let own = ahead.by == said.from && ahead.giver != ahead.person;
        self.checks.aheads.insert(entry.seq, ahead);
        holds(allowed, PERSON, || format!("{} may not approve it ahead", said.person))?;
        holds(own, PERSON, || "it is their own, or said to be somebody else's".into())
    }

    fn withdrawn_ahead(&mut self, entry: &Entry) -> Found {
        let said = self.acts(entry)?;
        let ahead = number(entry, "preapproval").and_then(|id| self.checks.aheads.remove(&id));
        let ahead = ahead.ok_or((END, "it holds no longer".to_owned()))?;
        let allowed = self.ruled(&said, |facts| facts.may(Right::Revoke, &said.person, &ahead.resource));
        holds(allowed || ahead.giver == said.person, PERSON, || format!("{} may not withdraw it", said.person))
    }

    fn drifted(&mut self, entry: &Entry) -> Found {
        let target = entry.body["target"]["settings"]["door"].as_str().unwrap().to_owned();
        let mark = text(entry, "external_id").to_owned();
        let id = mark.rsplit_once('_').unwrap().1.parse::<u64>().unwrap();
        let ask = self.checks.asks.get_mut(&id);
        let live = ask.as_ref().is_some_and(|ask| ask.is_live() && ask.target == target);
        if text(entry, "what") == "extra" {
            self.checks.strays.insert(entry.seq, (target, mark));
            return holds(!live, LIVE, || "it is live".into());
        }
        let again = ask.is_some_and(|ask| std::mem::replace(&mut ask.missing, true));
        holds(live && !again, ONCE, || "it is not live there, or was missed before".into())
    }
}
