//! One decision with 1,000 resources, 2,000 people, 200 groups and 100 policies, beside the shipped ones.
//!
//! The limit is 200 µs at p99 over a mix of questions: every right, people of the lists and people of none, so that
//! refusals with their hints are in it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench fails by panicking, and measures with the clock that it has"
)]

use std::{collections::BTreeMap, hint::black_box, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use countersign::{
    access::{Chat, Question, Resource, Right, Rules, Span, Target, Verdict},
    policy::{Book, Facts, Group, Guarded, Policies, Who},
};
use criterion::Criterion;
use regex::Regex;

const RESOURCES: usize = 1_000;
const PEOPLE: usize = 2_000;
const GROUPS: usize = 200;
const POLICIES: usize = 100;
const DECISIONS: usize = 40_000;
const LIMIT: Duration = Duration::from_micros(200);

fn facts() -> Facts {
    let mut facts = Facts::new();
    for person in 0..PEOPLE {
        let name = format!("p{person}");
        facts.add_person(&name, [(Chat::Slack, format!("T1/U{person}")), (Chat::Playground, name.clone())]);
    }
    for group in 0..GROUPS {
        let mut members: Vec<Who> =
            (0..30).map(|n| Who::Person(format!("p{}", (group * 37 + n * 61) % PEOPLE))).collect();
        // Every tenth group holds the nine before it.
        if group % 10 == 9 {
            members.extend((group - 9..group).map(|inner| Who::Group(format!("g{inner}"))));
        }
        facts.put_group(&format!("g{group}"), Group { members, source: None, on_call: group % 20 == 0 });
    }
    for resource in 0..RESOURCES {
        let target = Target { provider: "token".into(), settings: serde_json::Map::new() };
        let group = |n: usize| vec![Who::Group(format!("g{}", (resource + n) % GROUPS))];
        facts.add_resource(Guarded {
            tags: [format!("tag{}", resource % 10), "production".to_owned()].into(),
            requesters: (resource % 2 == 0).then(|| group(9)),
            revokers: group(1),
            break_glass: group(20),
            reviewers: group(2),
            escalate_to: group(3),
            ..Guarded::new(Resource::new(format!("r{resource}"), target, 1, Span::from_secs(7200).unwrap()), group(0))
        });
    }
    facts.set_security(Some("security".into()), vec![Who::Group("g0".into())]);
    facts
}

/// A hundred rules of the sorts that people write, over all rights.
fn policies() -> String {
    let action = |right: Right| format!("action == Countersign::Action::\"{}\"", right.word());
    let mut text = String::new();
    for n in 0..POLICIES {
        let on = action(Right::ALL[n % 6]);
        let rule = match n % 5 {
            0 => format!(
                "@id(\"p{n}\") permit (principal in Countersign::Group::\"g{n}\", {on}, resource) when {{ resource.tags.contains(\"tag{}\") && context.durationSecs <= 1800 }};\n",
                n % 10
            ),
            1 => format!(
                "@id(\"p{n}\") forbid (principal, {on}, resource == Countersign::Resource::\"r{n}\") when {{ context.weekday >= 6 || context.hour < 7 }} unless {{ context.onCall }};\n"
            ),
            2 => format!(
                "@id(\"p{n}\") forbid (principal in Countersign::Group::\"g{n}\", {on}, resource) when {{ resource.tags.contains(\"tag3\") && context.reason like \"*test*\" }};\n"
            ),
            3 => format!(
                "@id(\"p{n}\") permit (principal, {on}, resource) when {{ context has ticket && context.ticket like \"INC-{n}\" && principal in Countersign::Group::\"g{}\" }};\n",
                n * 2 % GROUPS
            ),
            _ => format!(
                "@id(\"p{n}\") forbid (principal, action, resource) when {{ context.chat == \"discord\" && context.channel == \"c{n}\" }};\n"
            ),
        };
        text.push_str(&rule);
    }
    text
}

fn question<'a>(n: usize, names: &'a [String], resources: &'a [String], now: DateTime<Utc>) -> Question<'a> {
    // One in three is by somebody of the resource's own group.
    let resource = n * 7919 % RESOURCES;
    let who = if n.is_multiple_of(3) { (resource % GROUPS * 37 + n % 30 * 61) % PEOPLE } else { n * 104_729 % PEOPLE };
    let right = Right::ALL[n % Right::ALL.len()];
    let own = matches!(right, Right::Request | Right::AutoApprove | Right::BreakGlass);
    Question {
        right,
        who: &names[who],
        resource: &resources[resource],
        requester: if own { &names[who] } else { &names[(who + 1) % PEOPLE] },
        span: Span::from_secs(1800).unwrap(),
        reason: "fixing INC-42 as agreed",
        now: now + TimeDelta::minutes(i64::try_from(n % 10_000).unwrap()),
        chat: Some(Chat::Slack),
        channel: "approvals",
        approvals: 0,
        escalated: n.is_multiple_of(5),
    }
}

fn main() {
    let facts = facts();
    let reading = Book::read(&policies(), Some(&facts));
    let started = std::time::Instant::now();
    let book = reading.book.unwrap();
    let rules = Policies::new(facts, book).unwrap().with_ticket(Some(Regex::new(r"\b[A-Z]+-[0-9]+\b").unwrap()));
    println!("entities built in {:?}", started.elapsed());
    let names: Vec<String> = (0..PEOPLE).map(|n| format!("p{n}")).collect();
    let resources: Vec<String> = (0..RESOURCES).map(|n| format!("r{n}")).collect();
    let now: DateTime<Utc> = "2026-11-20T09:00:00Z".parse().unwrap();

    let mut times: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for n in 0..DECISIONS {
        let question = question(n, &names, &resources, now);
        let started = std::time::Instant::now();
        let verdict = black_box(rules.judge(black_box(&question)));
        let took = started.elapsed();
        let kind = match verdict {
            Verdict::Yes(_) => "yes",
            Verdict::No { .. } => "no",
            Verdict::Broken { .. } => "broken",
        };
        times.entry(kind).or_default().push(took);
        times.entry("all").or_default().push(took);
    }
    for (kind, times) in &mut times {
        times.sort();
        let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000];
        let (p50, p99) = (at(500), at(990));
        let ratio = p99.as_secs_f64() / LIMIT.as_secs_f64();
        println!(
            "{kind:>6}: {:>6} decisions, p50 {p50:?}, p99 {p99:?}, {ratio:.2} of the limit of {LIMIT:?}",
            times.len()
        );
    }

    let mut criterion = Criterion::default().configure_from_args();
    let asked: Vec<Question<'_>> = (0..1_000).map(|n| question(n, &names, &resources, now)).collect();
    let mut next = asked.iter().cycle();
    criterion.bench_function("policy/judge", |bench| bench.iter(|| rules.judge(black_box(next.next().unwrap()))));
    criterion.final_summary();
}
