//! The rules, which change in mid-flight: people come and go, resources too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, TimeZone as _, Utc};
use countersign::{
    access::{Chat, Files, Question, Resource, Right, Rules, Span, Target, Verdict},
    engine::rulebook::{Book, Schedule},
};
use serde_json::{Value, json};

use super::{doors::DOORS, mutants::Mutant, rng::Rng};

pub const PEOPLE: [&str; 6] = ["ana", "ben", "cleo", "dan", "eve", "finn"];
pub const RESOURCES: [&str; 4] = ["db", "host", "api", "vault"];
pub const CHATS: [Chat; 3] = [Chat::Slack, Chat::Discord, Chat::Playground];
pub const CHANNEL: &str = "approvals";
pub const SECURITY: &str = "security";

/// A report is due so often.
const REPORT_SECS: i64 = 6 * 3600;

/// A resource and who may do what with it.
#[derive(Debug, Clone)]
pub struct Guard {
    pub quorum: u32,
    pub longest: u64,
    pub longest_glass: u64,
    pub lapse: u64,
    remind: Option<u64>,
    escalate: Option<u64>,
    review: u64,
    door: &'static str,
    pub rights: BTreeMap<Right, BTreeSet<String>>,
    /// Who may approve too what has waited for long.
    pub escalated: BTreeSet<String>,
    /// A rule that can't be evaluated.
    broken: Option<Right>,
}

/// The rules at one time.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub version: usize,
    /// Whose an account is.
    pub accounts: BTreeMap<(Chat, String), String>,
    pub resources: BTreeMap<String, Guard>,
    /// Who may read all of the ledger.
    pub readers: BTreeSet<String>,
    security: bool,
    reports: bool,
}

/// The rules of all times, the newest last.
pub struct Rulebook(pub Vec<Arc<Facts>>);

/// How many of a thousand have a right.
fn share(right: Right) -> u64 {
    match right {
        Right::Request => 930,
        Right::Approve => 800,
        Right::BreakGlass | Right::Review => 500,
        Right::Revoke | Right::Administer | Right::ReadLog => 300,
        Right::AutoApprove => 100,
    }
}

/// The targets that a resource may be at.
fn doors_of(name: &str) -> &'static [&'static str] {
    match name {
        "db" => &["db-0", "db-1"],
        "host" => &["blind-0", "blind-1"],
        "api" => &["team-0", "team-1"],
        _ => &["team-0", "vault-0"],
    }
}

fn guard(rng: &mut Rng, name: &str) -> Guard {
    let mut rights: BTreeMap<Right, BTreeSet<String>> = BTreeMap::new();
    for right in Right::ALL {
        let some = PEOPLE.iter().filter(|_| rng.permille(share(right))).map(|&name| name.to_owned());
        rights.insert(right, some.collect());
    }
    Guard {
        quorum: u32::try_from(*rng.pick(&[1, 1, 1, 2, 2, 3])).unwrap(),
        longest: *rng.pick(&[600, 3600, 7200]),
        longest_glass: *rng.pick(&[300, 1800]),
        lapse: *rng.pick(&[300, 1800, 3600]),
        remind: *rng.pick(&[None, None, Some(120)]),
        escalate: *rng.pick(&[None, None, None, Some(200)]),
        review: *rng.pick(&[600, 3600, 24 * 3600]),
        door: rng.pick::<&'static str>(doors_of(name)),
        rights,
        escalated: PEOPLE.iter().filter(|_| rng.permille(300)).map(|&name| name.to_owned()).collect(),
        broken: rng.permille(40).then(|| *rng.pick(&Right::ALL)),
    }
}

impl Guard {
    /// Whether somebody has a right by it.
    pub fn gives(&self, right: Right, who: &str, escalated: bool) -> bool {
        let own = self.rights.get(&right).is_some_and(|people| people.contains(who));
        let more = right == Right::Approve && escalated && self.escalated.contains(who);
        self.broken != Some(right) && (own || more)
    }
}

impl Facts {
    fn of(rng: &mut Rng) -> Self {
        let mut facts = Self { security: rng.permille(700), reports: rng.permille(300), ..Self::default() };
        facts.readers = PEOPLE.iter().filter(|_| rng.permille(300)).map(|&name| name.to_owned()).collect();
        for chat in CHATS {
            for name in PEOPLE {
                if rng.permille(950) {
                    facts.accounts.insert((chat, account(name)), name.to_owned());
                }
            }
        }
        for name in RESOURCES {
            facts.resources.insert(name.to_owned(), guard(rng, name));
        }
        facts
    }

    /// Somebody edits the config.
    fn edited(&self, rng: &mut Rng) -> Self {
        let mut facts = self.clone();
        facts.version += 1;
        let (name, person) = (*rng.pick(&RESOURCES), (*rng.pick(&PEOPLE)).to_owned());
        let (chat, right) = (*rng.pick(&CHATS), *rng.pick(&Right::ALL));
        match (rng.below(7), facts.resources.get_mut(name)) {
            (0, Some(_)) => drop(facts.resources.remove(name)),
            (1, Some(guard)) => guard.quorum = u32::try_from(rng.within(1, 3)).unwrap(),
            (2, Some(guard)) => guard.longest = *rng.pick(&[60, 600, 3600]),
            (3 | 4, Some(guard)) => {
                let right = if rng.permille(500) { Right::Approve } else { right };
                let people = guard.rights.entry(right).or_default();
                if !people.remove(&person) {
                    people.insert(person);
                }
            }
            (5, _) => {
                let account = (chat, account(&person));
                if facts.accounts.remove(&account).is_none() {
                    facts.accounts.insert(account, person);
                }
            }
            // Somebody leaves every group.
            (6, _) => {
                for guard in facts.resources.values_mut() {
                    for people in guard.rights.values_mut() {
                        people.remove(&person);
                    }
                }
            }
            _ => drop(facts.resources.insert(name.to_owned(), guard(rng, name))),
        }
        facts
    }

    /// Everybody may do everything that takes somebody else's approval, and one is enough.
    pub fn plain() -> Self {
        let mut facts = Self::default().kind();
        let everybody: BTreeSet<String> = PEOPLE.iter().map(|&name| name.to_owned()).collect();
        facts.version = 0;
        facts.resources.retain(|name, _| RESOURCES.contains(&name.as_str()));
        for guard in facts.resources.values_mut() {
            guard.longest = 3600;
            guard.rights.insert(Right::Request, everybody.clone());
        }
        facts
    }

    /// The same, and somebody may not approve any more.
    pub fn without_approver(&self, name: &str) -> Self {
        let mut facts = self.clone();
        facts.version += 1;
        for guard in facts.resources.values_mut() {
            guard.rights.entry(Right::Approve).or_default().remove(name);
        }
        facts
    }

    /// Everybody may do everything, and every target is looked at: so that all that is left can come to its end.
    fn kind(&self) -> Self {
        let mut facts = self.clone();
        facts.version += 1;
        facts.accounts =
            CHATS.into_iter().flat_map(|chat| PEOPLE.map(|name| ((chat, account(name)), name.to_owned()))).collect();
        let everybody: BTreeSet<String> = PEOPLE.iter().map(|&name| name.to_owned()).collect();
        let rights: BTreeMap<Right, BTreeSet<String>> = [Right::Review, Right::Revoke, Right::Approve]
            .into_iter()
            .map(|right| (right, everybody.clone()))
            .collect();
        let guard = |door: &'static str| Guard {
            quorum: 1,
            longest: 600,
            longest_glass: 600,
            lapse: 600,
            remind: None,
            escalate: None,
            review: 600,
            door,
            rights: rights.clone(),
            escalated: BTreeSet::new(),
            broken: None,
        };
        for name in RESOURCES {
            facts.resources.insert(name.to_owned(), guard(doors_of(name)[0]));
        }
        for door in DOORS {
            facts.resources.insert(format!("spare-{door}"), guard(door));
        }
        facts.security = true;
        facts
    }

    /// Whether somebody may do something to a resource, whoever's it is.
    pub fn may(&self, right: Right, who: &str, resource: &str) -> bool {
        self.resources.get(resource).is_some_and(|it| it.gives(right, who, false))
    }

    /// Whether a resource is given for so long.
    pub fn gives(&self, resource: &str, secs: u64) -> bool {
        self.resources.get(resource).is_some_and(|it| secs <= it.longest)
    }

    /// What the engine is given.
    pub fn book(self: &Arc<Self>, mutant: Option<Mutant>) -> Book {
        let due: Schedule = Arc::new(report_due);
        Book {
            rules: Arc::new(SimRules { facts: Arc::clone(self), mutant }),
            digest: self.reports.then_some(due),
            files: vec![("facts".into(), format!("{:064x}", self.version))],
        }
    }
}

/// The version of the rules behind the files of a config.
pub fn version_of(files: &[(String, String)]) -> usize {
    usize::from_str_radix(&files[0].1, 16).unwrap()
}

fn report_due(after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let newest = Utc.timestamp_opt(until.timestamp().div_euclid(REPORT_SECS) * REPORT_SECS, 0).unwrap();
    (newest > after).then_some(newest)
}

/// Some changes let people do more, others don't.
pub fn widened(before: &Files, files: &Files) -> Vec<String> {
    let (before, now) = (version_of(before), version_of(files));
    if now.is_multiple_of(2) && before != now { vec![format!("{now} is more than {before}")] } else { Vec::new() }
}

impl Rulebook {
    pub fn of(rng: &mut Rng) -> Self {
        Self(vec![Arc::new(Facts::of(rng))])
    }

    pub fn now(&self) -> Arc<Facts> {
        Arc::clone(self.0.last().unwrap())
    }

    pub fn at(&self, version: usize) -> Arc<Facts> {
        Arc::clone(&self.0[version])
    }

    pub fn edit(&mut self, rng: &mut Rng) {
        let next = self.now().edited(rng);
        self.0.push(Arc::new(next));
    }

    /// From now on nothing is forbidden that is needed for an end.
    pub fn be_kind(&mut self) {
        let next = self.now().kind();
        self.0.push(Arc::new(next));
    }
}

/// The account of a person, on any platform.
pub fn account(name: &str) -> String {
    format!("U-{name}")
}

/// The rules as the engine asks for them.
struct SimRules {
    facts: Arc<Facts>,
    mutant: Option<Mutant>,
}

fn verdict(yes: bool) -> Verdict {
    if yes {
        return Verdict::Yes(vec!["the-rule".into()]);
    }
    Verdict::No { policies: Vec::new(), words: "the rules say no. Ask somebody".into() }
}

impl Rules for SimRules {
    fn principal(&self, chat: Chat, account: &str) -> Option<String> {
        let name = self.facts.accounts.get(&(chat, account.to_owned())).cloned()?;
        if chat == Chat::Slack && self.mutant == Some(Mutant::TwoNamesForOnePerson) {
            return Some(format!("{name}-of-slack"));
        }
        Some(name)
    }

    fn account(&self, chat: Chat, who: &str) -> Option<String> {
        let known = self.facts.accounts.contains_key(&(chat, account(who)));
        known.then(|| account(who))
    }

    fn knows(&self, who: &str) -> bool {
        PEOPLE.contains(&who)
    }

    fn resource(&self, name: &str) -> Option<Resource> {
        let guard = self.facts.resources.get(name)?;
        let Value::Object(settings) = json!({ "door": guard.door }) else { unreachable!() };
        let target = Target { provider: "sim".into(), settings };
        let span = |secs: u64| Span::from_secs(secs).unwrap();
        let mut resource = Resource::new(name, target, guard.quorum, span(guard.longest));
        resource.break_glass_max = span(guard.longest_glass);
        resource.lapse_after = span(guard.lapse);
        resource.remind_after = guard.remind.map(span);
        resource.escalate_after = guard.escalate.map(span);
        resource.review_within = span(guard.review);
        resource.channel = CHANNEL.into();
        Some(resource)
    }

    fn resource_names(&self) -> Vec<String> {
        self.facts.resources.keys().cloned().collect()
    }

    fn security_channel(&self) -> Option<String> {
        self.facts.security.then(|| SECURITY.into())
    }

    fn judge(&self, question: &Question<'_>) -> Verdict {
        let has = |mutant: Mutant| self.mutant == Some(mutant);
        let anybody = match question.right {
            Right::Approve => has(Mutant::AnybodyApproves) || has(Mutant::TwoNamesForOnePerson),
            Right::Request => has(Mutant::TwoNamesForOnePerson),
            Right::AutoApprove
            | Right::BreakGlass
            | Right::Revoke
            | Right::Review
            | Right::ReadLog
            | Right::Administer => false,
        };
        if question.right == Right::ReadLog {
            return verdict(self.facts.readers.contains(question.who));
        }
        let guard = self.facts.resources.get(question.resource);
        if !anybody && guard.is_some_and(|guard| guard.broken == Some(question.right)) {
            return Verdict::Broken { policies: vec!["the-rule".into()], words: "the rule fails. Ask somebody".into() };
        }
        let gives = guard.is_some_and(|guard| guard.gives(question.right, question.who, question.escalated));
        verdict(anybody || gives)
    }

    fn those_who_may(&self, question: &Question<'_>) -> Vec<String> {
        let Some(guard) = self.facts.resources.get(question.resource) else { return Vec::new() };
        let all = PEOPLE.iter().filter(|who| guard.gives(question.right, who, question.escalated));
        all.filter(|who| **who != question.requester).map(|&who| who.to_owned()).collect()
    }
}
