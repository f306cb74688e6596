//! `explain` and the real decision agree: 10,000 random wishes under random rules, each explained and then really made.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::{
    access::{Action, Answer, Event, Fresh, Message, Moment, Request, State, Stored, Via, hear, settle},
    policy::{Said, Wish},
};

const PEOPLE: [&str; 6] = ["ana", "bea", "cas", "dan", "eve", "fay"];
const GROUPS: [&str; 4] = ["dev", "dba", "sec", "all"];
const RESOURCES: [&str; 3] = ["db", "api", "host"];
const RULES: u64 = 500;
const WISHES: usize = 20;

fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

fn whos(rng: &mut StdRng) -> Vec<Who> {
    (0..rng.random_range(0..4))
        .map(|_| {
            if rng.random_bool(0.6) {
                Who::Group(pick(rng, &GROUPS).into())
            } else {
                Who::Person(pick(rng, &PEOPLE).into())
            }
        })
        .collect()
}

fn random_facts(rng: &mut StdRng) -> Facts {
    let mut facts = Facts::new();
    for name in PEOPLE {
        facts.add_person(name, [(Chat::Slack, format!("T/{name}")), (Chat::Playground, name.to_owned())]);
    }
    for (at, name) in GROUPS.into_iter().enumerate() {
        let mut members: Vec<Who> =
            PEOPLE.into_iter().filter(|_| rng.random_bool(0.3)).map(|who| Who::Person(who.into())).collect();
        // Only groups before it, so that there is no circle.
        members.extend(GROUPS[..at].iter().filter(|_| rng.random_bool(0.3)).map(|inner| Who::Group((*inner).into())));
        facts.put_group(name, Group { members, source: None, on_call: rng.random_bool(0.3) });
    }
    for name in RESOURCES {
        let target = Target { provider: "token".into(), settings: serde_json::Map::new() };
        let longest = Span::from_secs([600, 3600, 7200][rng.random_range(0..3)]).unwrap();
        let resource = Resource {
            break_glass_max: Span::from_secs([300, 3600][rng.random_range(0..2)]).unwrap(),
            zone: [chrono_tz::UTC, chrono_tz::Asia::Tokyo][rng.random_range(0..2)],
            channel: pick(rng, &["approvals", "random"]).into(),
            ..Resource::new(name, target, rng.random_range(1..4), longest)
        };
        facts.add_resource(Guarded {
            tags: ["production", "data"].into_iter().filter(|_| rng.random_bool(0.5)).map(str::to_owned).collect(),
            requesters: rng.random_bool(0.5).then(|| whos(rng)),
            escalate_to: whos(rng),
            break_glass: whos(rng),
            reviewers: whos(rng),
            revokers: whos(rng),
            ..Guarded::new(resource, whos(rng))
        });
    }
    facts.set_security(None, whos(rng));
    facts
}

fn random_policies(rng: &mut StdRng) -> String {
    let mut text = String::new();
    for n in 0..rng.random_range(0..6) {
        let effect = pick(rng, &["permit", "forbid"]);
        let principal = match rng.random_range(0..4) {
            0 => format!("principal == Countersign::Principal::\"{}\"", pick(rng, &PEOPLE)),
            1 | 2 => format!("principal in Countersign::Group::\"{}\"", pick(rng, &GROUPS)),
            _ => "principal".to_owned(),
        };
        let action = if rng.random_bool(0.2) {
            "action in [Countersign::Action::\"request\", Countersign::Action::\"approve\"]".to_owned()
        } else {
            let right = pick(rng, &["request", "approve", "autoApprove", "autoApprove", "breakGlass"]);
            format!("action == Countersign::Action::\"{right}\"")
        };
        let resource = if rng.random_bool(0.3) {
            format!("resource == Countersign::Resource::\"{}\"", pick(rng, &RESOURCES))
        } else {
            "resource".to_owned()
        };
        let when = pick(
            rng,
            &[
                "true",
                "resource.tags.contains(\"production\")",
                "context.durationSecs > 900",
                "context.hour < 9 || context.weekday > 5",
                "context has ticket && context.ticket like \"INC-*\"",
                "context.chat == \"slack\"",
                "context.channel == \"approvals\"",
                "context.onCall",
                "context.requesterOnCall",
                "context.requester in Countersign::Group::\"dev\"",
                "resource.quorum > 1 && context.approvals < 1",
                "principal in resource.approvers.groups",
                "context.durationSecs * 4611686018427387904 > 0",
            ],
        );
        let word = pick(rng, &["when", "unless"]);
        let head = format!("@id(\"p{n}\")\n@reason(\"so it is.\")\n{effect} ({principal}, {action}, {resource})");
        writeln!(text, "{head}\n{word} {{ {when} }};").unwrap();
    }
    text
}

/// A ledger in memory, from its first entry.
struct Log(State, DateTime<Utc>);

impl Log {
    fn new(now: DateTime<Utc>) -> Self {
        let mut log = Self(State::new("testlogs"), now);
        log.append(vec![Event::Ledger("log.opened".into())]);
        log
    }

    fn append(&mut self, events: Vec<Event>) {
        for event in events {
            let seq = self.0.size();
            self.0.evolve(&Stored { seq, time: self.1, leaf: None, event });
            self.0.committed(seq, &format!("leaf-{seq}"));
        }
    }

    /// What comes of a message: the events, those that follow at once, or the words of the refusal.
    fn says(&mut self, rules: &Policies, wish: &Wish<'_>, who: &str, action: Action) -> Result<Vec<Event>, String> {
        let size = self.0.size();
        let moment = |size| Moment { rules, now: self.1, fresh: Fresh([u8::try_from(size % 256).unwrap(); 16]) };
        let account = match wish.chat {
            Chat::Slack => format!("T/{who}"),
            Chat::Discord | Chat::Playground => who.to_owned(),
        };
        let message = Message {
            chat: wish.chat,
            account,
            channel: wish.channel.into(),
            key: format!("{size:032x}"),
            via: Via::Line,
            text: "as typed".into(),
            evidence: None,
            action: Ok(action),
        };
        let heard = hear(&self.0, moment(size), &message);
        let mut all = heard.events.clone();
        self.append(heard.events);
        if let Answer::Refused(refusal) = heard.answer {
            return Err(refusal.to_string());
        }
        let due = settle(&self.0, Moment { rules, now: self.1, fresh: Fresh([7; 16]) }, 200);
        all.extend(due.clone());
        self.append(due);
        Ok(all)
    }

    fn request(&self) -> Request {
        self.0.requests().next_back().unwrap().clone()
    }
}

/// The policies of the first event that has some, as the ledger would have them.
fn policies(events: &[Event]) -> Vec<String> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other events name no policies")]
    let found = events.iter().find_map(|event| match event {
        Event::AccessRequested { policies, .. } | Event::RequestApproved { policies, .. } => Some(policies.clone()),
        _ => None,
    });
    found.unwrap()
}

fn same(said: &Said, really: &Result<Vec<Event>, String>, about: &dyn std::fmt::Debug) {
    match (said, really) {
        (Said::Yes { policies: explained }, Ok(events)) => assert_eq!(*explained, policies(events), "{about:?}"),
        (Said::No { words, .. } | Said::Broken { words, .. }, Err(refusal)) => assert_eq!(words, refusal, "{about:?}"),
        (Said::Yes { .. }, Err(_)) | (Said::No { .. } | Said::Broken { .. }, Ok(_)) => {
            panic!("explained {said:?}, but really {really:?}: {about:?}")
        }
    }
}

#[test]
fn what_is_explained_is_what_happens() {
    let (mut asked, mut allowed, mut automatic, mut approvers) = (0, 0, 0, 0);
    let ticket = regex::Regex::new(r"\b[A-Z]+-[0-9]+\b").unwrap();
    for seed in 0..RULES {
        let rng = &mut StdRng::seed_from_u64(seed);
        let facts = random_facts(rng);
        let text = random_policies(rng);
        let reading = Book::read(&text, Some(&facts));
        // A policy that can never apply is a warning, and some are made here.
        let book = reading.book.unwrap_or_else(|| panic!("seed {seed}: {:?}\n{text}", reading.remarks));
        let rules = Policies::new(facts, book).unwrap().with_ticket(Some(ticket.clone()));
        for _ in 0..WISHES {
            let now: DateTime<Utc> = "2026-11-20T00:00:00Z".parse().unwrap();
            let wish = Wish {
                who: pick(rng, &PEOPLE),
                resource: pick(rng, &RESOURCES),
                span: Span::from_secs([60, 600, 1200, 3600, 9000][rng.random_range(0..5)]).unwrap(),
                reason: pick(rng, &["fixing INC-42", "OPS-1", "having a look"]),
                now: now + TimeDelta::minutes(rng.random_range(0..10_000)),
                chat: [Chat::Slack, Chat::Playground][rng.random_range(0..2)],
                channel: pick(rng, &["approvals", "random"]),
            };
            let explained = rules.explain(&wish).unwrap();
            let about = (seed, &wish, &text);
            asked += 1;

            let (resource, reason, plan) = (wish.resource.to_owned(), wish.reason.to_owned(), Vec::new());
            let glass = Action::BreakGlass { resource, span: wish.span, reason, plan };
            same(&explained.break_glass, &Log::new(wish.now).says(&rules, &wish, wish.who, glass), &about);

            let mut log = Log::new(wish.now);
            let (resource, reason, plan) = (wish.resource.to_owned(), wish.reason.to_owned(), Vec::new());
            let ask = Action::Request { resource, span: wish.span, reason, plan, start: None };
            let really = log.says(&rules, &wish, wish.who, ask);
            same(&explained.request, &really, &about);
            let Ok(events) = really else { continue };
            allowed += 1;
            let by_rule = events.iter().find_map(|event| {
                let Event::RequestAutoapproved { policies, .. } = event else { return None };
                Some(policies.clone())
            });
            match (&explained.automatic, by_rule) {
                (Said::Yes { policies }, Some(really)) => {
                    assert_eq!(*policies, really, "{about:?}");
                    automatic += 1;
                    continue;
                }
                (Said::No { .. } | Said::Broken { .. }, None) => {}
                (said, really) => panic!("explained {said:?}, but really {really:?}: {about:?}"),
            }
            let request = log.request();
            assert_eq!(explained.quorum, request.quorum, "{about:?}");
            for other in &explained.others {
                let approve = Action::Approve { request: request.id, span: None, comment: String::new() };
                let really = Log(log.0.clone(), log.1).says(&rules, &wish, &other.who, approve);
                same(&other.said, &really, &(&other.who, about));
                approvers += usize::from(really.is_ok());
            }
            // And nobody approves their own, whatever the rules are.
            let approve = Action::Approve { request: request.id, span: None, comment: String::new() };
            assert!(Log(log.0.clone(), log.1).says(&rules, &wish, wish.who, approve).is_err(), "{about:?}");
        }
    }
    assert_eq!(asked, 10_000);
    // It is about something: of each kind there were many.
    assert!(allowed > 2_000 && automatic > 100 && approvers > 2_000, "{allowed} {automatic} {approvers}");
}
