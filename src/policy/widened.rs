//! What people may do by one set of rules that they could not do by another, in words.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::Effect;
use chrono::{DateTime, TimeZone as _, Utc};

use super::{
    Guarded, Policies, Who,
    policies::{Outcome, Snapshot},
};
use crate::access::{Chat, Question, Resource, Right, Span};

/// Questions asked of both sets of rules together, at most: a second or two.
const ASKED_MAX: usize = 50_000;
/// People named in one line.
const NAMED_MAX: usize = 10;
/// The shortest access that is tried.
const SHORT_SECS: u64 = 60;

/// A circumstance in which both sets of rules are asked the same.
struct Sample {
    /// How it is called where it makes the difference.
    words: &'static str,
    /// Day of November 2026 (the 18th is a Wednesday) and hour in the resource's zone.
    day: u32,
    hour: u32,
    ticket: bool,
    longest: bool,
    escalated: bool,
}

const USUAL: Sample = Sample { words: "", day: 18, hour: 12, ticket: true, longest: false, escalated: false };
const SAMPLES: [Sample; 6] = [
    USUAL,
    Sample { words: " for the longest time", longest: true, ..USUAL },
    Sample { words: " without a ticket", ticket: false, ..USUAL },
    Sample { words: " at night", hour: 3, ..USUAL },
    Sample { words: " at the weekend", day: 21, ..USUAL },
    Sample { words: " once it was escalated", escalated: true, ..USUAL },
];

/// What people may do by the `new` rules that they may not do by the `old` ones, a line each: rights that somebody has
/// gained, limits that were loosened, rules that forbade something and are gone. It asks both the same questions, for
/// everybody, every resource and every right, in some circumstances; and it compares the rules themselves, because no
/// sample meets every circumstance. Nothing is returned where nothing was widened.
#[must_use]
pub fn widened(old: &Policies, new: &Policies) -> Vec<String> {
    let mut lines = Vec::new();
    accounts(old, new, &mut lines);
    for (name, guarded) in new.facts().resources() {
        match old.facts().resources().get(name) {
            None => lines.push(format!("`{name}` is new")),
            Some(before) => limits(name, before, guarded, &mut lines),
        }
    }
    sources(old, new, &mut lines);
    if old.ticket_pattern() != new.ticket_pattern() {
        lines.push("what counts as a ticket in a reason was changed, which rules may ask for".to_owned());
    }
    rules(old, new, &mut lines);
    Comparison::new(old, new).rights(&mut lines);
    lines
}

fn accounts(old: &Policies, new: &Policies, lines: &mut Vec<String>) {
    for (chat, account, name) in new.facts().accounts() {
        if chat == Chat::Playground {
            continue;
        }
        match old.facts().principal(chat, account) {
            Some(before) if before == name => {}
            Some(before) => {
                lines.push(format!("the {} account {account} is `{name}` now, it was `{before}`", chat.word()));
            }
            None if old.facts().people().contains(name) => {
                lines.push(format!("`{name}` may act from the {} account {account}", chat.word()));
            }
            None => {}
        }
    }
}

fn limits(name: &str, old: &Guarded, new: &Guarded, lines: &mut Vec<String>) {
    let (before, after) = (&old.resource, &new.resource);
    let mut longer = |what: &str, before: Span, after: Span| {
        if after > before {
            lines.push(format!("{what} `{name}` is {after} now, it was {before}"));
        }
    };
    longer("the longest access to", before.max_duration, after.max_duration);
    longer("the longest break-glass of", before.break_glass_max, after.break_glass_max);
    longer("the time for the review of a break-glass of", before.review_within, after.review_within);
    longer("the time a request waits for its decision on", before.lapse_after, after.lapse_after);
    if after.quorum < before.quorum {
        lines.push(format!("`{name}` needs {} of its approvers now, it needed {}", after.quorum, before.quorum));
    }
    let sooner = match (before.escalate_after, after.escalate_after) {
        (_, None) => None,
        (None, Some(after)) => Some(format!("{after}, and never was before")),
        (Some(before), Some(after)) if after < before => Some(format!("{after}, it was {before}")),
        (Some(_), Some(_)) => None,
    };
    lines.extend(sooner.map(|words| format!("a request for `{name}` is escalated after {words}")));
    if before.target != after.target {
        lines.push(format!("`{name}` opens something else: its provider or the provider's settings were changed"));
    }
    if before.zone != after.zone {
        lines.push(format!("times of day for `{name}` are in {} now, they were in {}", after.zone, before.zone));
    }
    let tags: Vec<String> = new.tags.symmetric_difference(&old.tags).map(|tag| format!("`{tag}`")).collect();
    if !tags.is_empty() {
        lines.push(format!("the tags of `{name}` were changed, which rules may ask for: {}", tags.join(", ")));
    }
}

/// Groups whose people somebody else says from now on.
fn sources(old: &Policies, new: &Policies, lines: &mut Vec<String>) {
    for (name, group) in new.facts().groups() {
        let before = old.facts().groups().get(name);
        if group.source.is_some() && before.is_none_or(|before| before.source != group.source) {
            lines.push(format!("who is in `{name}` is said by a source that did not say it before"));
        }
        if group.on_call && !before.is_some_and(|before| before.on_call) {
            lines.push(format!("whoever is in `{name}` counts as on call"));
        }
    }
}

fn rules(old: &Policies, new: &Policies, lines: &mut Vec<String>) {
    let own = |policies: &Policies| -> BTreeMap<String, (Effect, String)> {
        let known = policies.book().known.iter().filter(|(_, known)| !known.shipped);
        known.map(|(id, known)| (id.clone(), (known.effect, known.text.clone()))).collect()
    };
    let (before, after) = (own(old), own(new));
    for (id, (effect, text)) in &before {
        let now = after.get(id);
        match (effect, now) {
            (Effect::Forbid, None) => lines.push(format!("the rule `{id}`, which forbids, is gone")),
            (Effect::Forbid, Some((Effect::Permit, _))) => {
                lines.push(format!("the rule `{id}` permits now, it forbade"));
            }
            (Effect::Forbid, Some((Effect::Forbid, now))) if now != text => {
                lines.push(format!("the rule `{id}`, which forbids, was changed"));
            }
            (Effect::Permit, Some((Effect::Permit, now))) if now != text => {
                lines.push(format!("the rule `{id}`, which permits, was changed"));
            }
            (Effect::Forbid | Effect::Permit, Some(_)) | (Effect::Permit, None) => {}
        }
    }
    let fresh = after.iter().filter(|(id, (effect, _))| *effect == Effect::Permit && !before.contains_key(*id));
    lines.extend(fresh.map(|(id, _)| format!("there is a new rule `{id}`, which permits")));
}

/// What makes people different for rules: their name if some rule names them, whether they are new, and the groups they
/// were and are in.
type Class<'a> = (Option<&'a str>, bool, Vec<String>, Vec<String>);

/// Both sets of rules, and what makes people different for them.
struct Comparison<'a> {
    old: &'a Policies,
    new: &'a Policies,
    snapshots: (std::sync::Arc<Snapshot>, std::sync::Arc<Snapshot>),
    /// People whom no rule can tell from each other.
    classes: Vec<Vec<&'a str>>,
    /// People who are new or in other groups than before.
    moved: BTreeSet<&'a str>,
    /// Whether the policies, and who answers for security and who is on call, are the same.
    same_rules: bool,
    asked: usize,
}

impl<'a> Comparison<'a> {
    fn new(old: &'a Policies, new: &'a Policies) -> Self {
        let snapshots = (old.snapshot(), new.snapshot());
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for policies in [old, new] {
            named.extend(policies.book().known.values().flat_map(|known| known.people.iter().map(String::as_str)));
            let lists = policies.facts().resources().values().flat_map(super::policies::lists_of);
            for who in lists.chain([policies.facts().security()]).flatten() {
                if let Who::Person(name) = who {
                    named.insert(name);
                }
            }
        }
        let groups = |snapshot: &Snapshot, who: &str| -> Vec<String> {
            let groups = snapshot.world.flat.iter().filter(|(_, people)| people.contains(who));
            groups.map(|(group, _)| group.clone()).collect()
        };
        let mut classes: BTreeMap<Class<'_>, Vec<&'a str>> = BTreeMap::new();
        for who in new.facts().people() {
            let person = named.get(who.as_str()).copied();
            let known = old.facts().people().contains(who);
            let class = (person, known, groups(&snapshots.0, who), groups(&snapshots.1, who));
            classes.entry(class).or_default().push(who);
        }
        let moved = classes.iter().filter(|((_, known, before, after), _)| !known || before != after);
        let moved = moved.flat_map(|(_, people)| people.iter().copied()).collect();
        let texts = |policies: &Policies| -> Vec<(String, String)> {
            policies.book().known.iter().map(|(id, known)| (id.clone(), known.text.clone())).collect()
        };
        let same_rules = texts(old) == texts(new)
            && old.facts().security() == new.facts().security()
            && old.ticket_pattern() == new.ticket_pattern()
            && new
                .book()
                .named_resources
                .iter()
                .all(|name| old.facts().resources().get(name) == new.facts().resources().get(name))
            && snapshots.0.world.on_call == snapshots.1.world.on_call;
        Self { old, new, classes: classes.into_values().collect(), moved, same_rules, asked: 0, snapshots }
    }

    fn rights(&mut self, lines: &mut Vec<String>) {
        for right in Right::ALL {
            let log = matches!(right, Right::ReadLog | Right::Administer);
            let resources: Vec<&str> =
                if log { vec![""] } else { self.new.facts().resources().keys().map(String::as_str).collect() };
            for resource in resources {
                let same = self.same_rules
                    && self.old.facts().resources().get(resource) == self.new.facts().resources().get(resource);
                let mut gained: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
                for class in self.classes.clone() {
                    let Some(first) = class.first() else { continue };
                    // What no rule can tell from before is not asked again.
                    if same && !self.moved.contains(first) && !self.moved.contains(self.other(first)) {
                        continue;
                    }
                    if self.asked > ASKED_MAX {
                        lines.push("and there is more to compare than can be compared at once".to_owned());
                        return;
                    }
                    if let Some(words) = self.gained(right, resource, first) {
                        gained.entry(words).or_default().extend(class);
                    }
                }
                lines.extend(gained.into_iter().map(|(words, people)| line(right, resource, people, words)));
            }
        }
    }

    /// Somebody else, to have asked.
    fn other(&self, who: &str) -> &'a str {
        self.new.facts().people().iter().find(|name| *name != who).map_or("", String::as_str)
    }

    /// In which circumstance this person may do it now and could not before.
    fn gained(&mut self, right: Right, resource: &str, who: &str) -> Option<&'static str> {
        let (old, new) = (self.old, self.new);
        let own = matches!(right, Right::Request | Right::AutoApprove | Right::BreakGlass);
        let requester = if own { who } else { self.other(who) };
        let (before, after) = (old.facts().resource(resource), new.facts().resource(resource));
        // A limit that was loosened is told as such; here it is about what both sets of rules have room for.
        let longest = |break_glass| {
            let of = |resource: &Resource| if break_glass { resource.break_glass_max } else { resource.max_duration };
            let longest = after.map(of)?;
            Some(before.map(of).map_or(longest, |before| before.min(longest)))
        };
        let short = Span::from_secs(SHORT_SECS).ok()?;
        SAMPLES.iter().find_map(|sample| {
            let span = longest(right == Right::BreakGlass).filter(|longest| sample.longest || *longest < short);
            let zone = after.map_or(chrono_tz::Tz::UTC, |after| after.zone);
            let now = zone.with_ymd_and_hms(2026, 11, sample.day, sample.hour, 0, 0).earliest();
            let question = Question {
                right,
                who,
                resource,
                requester,
                span: span.unwrap_or(short),
                reason: if sample.ticket { "fixing INC-42" } else { "having a look" },
                now: now.map_or(DateTime::UNIX_EPOCH, |now| now.with_timezone(&Utc)),
                chat: Some(Chat::Slack),
                channel: after.map_or("", |after| &after.channel),
                approvals: 0,
                escalated: sample.escalated,
            };
            let yes = |rules: &Policies, snapshot: &Snapshot| {
                matches!(rules.outcome(snapshot, &question, false), Outcome::Yes(_))
            };
            self.asked += 1;
            if !yes(new, &self.snapshots.1) {
                return None;
            }
            let known = old.facts().people().contains(who);
            let there = resource.is_empty() || old.facts().resource(resource).is_some();
            self.asked += 1;
            (!(known && there && yes(old, &self.snapshots.0))).then_some(sample.words)
        })
    }
}

fn line(right: Right, resource: &str, mut people: Vec<&str>, words: &str) -> String {
    people.sort_unstable();
    let more = people.len().saturating_sub(NAMED_MAX);
    let mut names: Vec<String> = people.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    match more {
        0 => {}
        1 => names.push("1 other".to_owned()),
        more => names.push(format!("{more} others")),
    }
    let last = names.pop().unwrap_or_default();
    let who = if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) };
    match right {
        Right::Request => format!("{who} may ask for `{resource}`{words}"),
        Right::Approve => format!("{who} may approve `{resource}`{words}"),
        Right::AutoApprove => format!("{who} may have `{resource}` without anybody's approval{words}"),
        Right::BreakGlass => format!("{who} may break the glass for `{resource}`{words}"),
        Right::Revoke => format!("{who} may end access to `{resource}`{words}"),
        Right::Review => format!("{who} may review a break-glass of `{resource}`{words}"),
        Right::ReadLog => format!("{who} may read the ledger{words}"),
        Right::Administer => format!("{who} may look after the service{words}"),
    }
}
