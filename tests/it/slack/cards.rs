//! Everything that is ever sent to Slack, once in each state, with what a mean person would write in it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use countersign::{
    access::RequestId,
    chat::{
        Bulletin, Mentions, Notice, Offer, Overview, Reply, Tone,
        card::{Button, Card, Field, Line, Span, Status, Step},
        grammar::Draft,
        slack::{blocks::Content, home, message, modal},
    },
};
use serde_json::{Value, json};

pub const STATES: [Status; 12] = [
    Status::Requested,
    Status::Scheduled,
    Status::Issuing,
    Status::Live,
    Status::Ending,
    Status::Ended,
    Status::Denied,
    Status::Cancelled,
    Status::Lapsed,
    Status::Failed,
    Status::Owing,
    Status::Extended,
];

/// A reason that tries everything.
pub const MEAN: &str = "fixing INC-42 <!channel> <@U0000000002|boss> <https://evil.example|the runbook> *bold* ```code``` \
                        \u{202E}gnp.exe\u{200B} & :fire: \"quotes\"";

pub fn mentions() -> Mentions {
    Arc::new(|name| match name {
        "ana" => Some("T0123456789/U0000000001".to_owned()),
        "ben" => Some("T0123456789/U0000000002".to_owned()),
        _ => None,
    })
}

fn at(minutes: i64) -> DateTime<Utc> {
    "2026-11-20T09:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
}

fn text(text: &str) -> Span {
    Span::Text(text.to_owned())
}

fn person(name: &str) -> Span {
    Span::Person(name.to_owned())
}

fn headline(status: Status) -> Line {
    match status {
        Status::Requested => vec![text("Waiting for approval, 1 of 2. Lapses "), Span::Time(at(480))],
        Status::Scheduled => vec![text("Approved. It starts "), Span::Time(at(60))],
        Status::Issuing => vec![text("Approved. The provider is opening it")],
        Status::Live => vec![text("Live until "), Span::Time(at(32))],
        Status::Ending => vec![
            Span::Strong("Not closed yet. ".into()),
            text("The provider has failed 3 times; tries again "),
            Span::Time(at(35)),
        ],
        Status::Ended => vec![text("Ended: revoked by "), person("ben")],
        Status::Denied => vec![text("Denied")],
        Status::Cancelled => vec![text("Withdrawn by its requester")],
        Status::Lapsed => vec![text("Lapsed: nobody decided in time")],
        Status::Failed => vec![text("Failed. Nothing is open")],
        Status::Owing => {
            vec![text("Ended: its time was up. It owes a review by somebody else by "), Span::Time(at(24 * 60))]
        }
        Status::Extended => vec![text("Done: the access lasts until "), Span::Time(at(62))],
    }
}

fn buttons(status: Status) -> Vec<(Button, String)> {
    let of = |list: &[(Button, &str)]| list.iter().map(|(button, label)| (*button, (*label).to_owned())).collect();
    match status {
        Status::Requested => of(&[
            (Button::Approve, "Approve"),
            (Button::ApproveLess, "Approve for less…"),
            (Button::Deny, "Deny…"),
            (Button::Cancel, "Withdraw"),
        ]),
        Status::Scheduled => of(&[(Button::Cancel, "Withdraw"), (Button::Revoke, "Revoke…")]),
        Status::Issuing => of(&[(Button::Revoke, "Revoke…")]),
        Status::Live => of(&[
            (Button::Show, "Show credential"),
            (Button::Extend, "Extend…"),
            (Button::Done, "Give back"),
            (Button::Revoke, "Revoke…"),
        ]),
        Status::Owing => of(&[(Button::ReviewOk, "Review: ok…"), (Button::ReviewConcern, "Review: concern…")]),
        Status::Ending
        | Status::Ended
        | Status::Denied
        | Status::Cancelled
        | Status::Lapsed
        | Status::Failed
        | Status::Extended => Vec::new(),
    }
}

pub fn card(status: Status) -> Card {
    let mut history = vec![Step { seq: 4821, at: at(0), line: vec![text("asked by "), person("ana")] }];
    if status != Status::Requested {
        let line = vec![text("approved by "), person("ben"), text(": looks right")];
        history.push(Step { seq: 4823, at: at(2), line });
    }
    Card {
        request: RequestId(4821),
        status,
        loud: false,
        title: "prod-db for 30m".to_owned(),
        headline: headline(status),
        fields: vec![
            Field { label: "Requester", value: vec![person("ana")] },
            Field { label: "Resource", value: vec![Span::Code("prod-db".into())] },
            Field { label: "Duration", value: vec![text("30m")] },
            Field { label: "Reason", value: vec![text(MEAN)] },
        ],
        plan: vec!["create the role cs_demo_4821 in app_rw".into(), "valid until its end, then dropped".into()],
        history,
        buttons: buttons(status),
        proof: "1a2b3c4d".to_owned(),
        terms: "1a2b3c4d".repeat(8),
        summary: format!("#4821 prod-db for 30m, asked by ana: {MEAN}"),
    }
}

/// A break-glass while it is open.
pub fn loud() -> Card {
    let mut card = card(Status::Live);
    card.loud = true;
    card.title.insert_str(0, "BREAK-GLASS: ");
    card.headline = vec![Span::Strong("Open before any approval, ".into()), text("until "), Span::Time(at(30))];
    card.buttons.pop();
    card.buttons.push((Button::Cut, "Cut it now".to_owned()));
    card
}

/// A card as long as anything can get.
pub fn long() -> Card {
    let mut card = card(Status::Requested);
    card.title = format!("{} for 30m", "r".repeat(300));
    card.fields[3].value = vec![text(&"<&>🙂 ".repeat(2_000))];
    card.plan = (0..60).map(|n| format!("step {n}: {}", "x".repeat(200))).collect();
    card.summary = "<&>".repeat(5_000);
    card
}

pub fn notice() -> Notice {
    let line =
        vec![Span::Code("#4821".into()), text(" waits for your approval: "), person("ana"), text(" asks for it.")];
    let buttons = vec![(Button::Approve, "Approve".to_owned()), (Button::Deny, "Deny…".to_owned())];
    Notice { request: RequestId(4821), lines: vec![line, vec![text(&format!("Reason: {MEAN}"))]], buttons }
}

pub fn bulletin(lines: usize) -> Bulletin {
    let line = |n| vec![text(&format!("• line {n} {MEAN}"))];
    Bulletin { title: "The rules are wider".into(), lines: (0..lines).map(line).collect(), loud: true }
}

pub fn reply(tone: Tone) -> Reply {
    let lines =
        vec![vec![text("Can't approve their own request. "), Span::Code("/access list".into())], vec![text(MEAN)]];
    Reply { tone, lines, secret: Vec::new(), keep_input: false }
}

pub fn secret() -> Reply {
    let secret = vec![
        ("URL".to_owned(), "postgres://cs_demo_4821:s3cret@db/orders".to_owned().into()),
        ("certificate".to_owned(), "ssh-ed25519-cert-v01@openssh.com AAAA".repeat(200).into()),
    ];
    Reply { secret, ..reply(Tone::Done) }
}

pub fn offers(count: usize) -> Vec<Offer> {
    let offer = |n: usize| Offer {
        resource: format!("resource-{n:03}"),
        description: format!("Number {n} <!here>, read and write"),
        longest: Some(countersign::access::Span::from_secs(7_200).unwrap()),
        glass: n.is_multiple_of(2).then(|| countersign::access::Span::from_secs(1_800).unwrap()),
    };
    (0..count).map(offer).collect()
}

pub fn asking(glass: bool, resource: &str) -> modal::Asking {
    let draft = Draft { glass, resource: resource.to_owned(), duration: "45m".to_owned(), reason: MEAN.to_owned() };
    modal::Asking::of(draft, "C0123456789")
}

fn content(content: &Content) -> Value {
    json!({ "text": content.text, "blocks": content.blocks })
}

/// Every message, by name.
pub fn messages() -> Vec<(String, Value)> {
    let mentions = mentions();
    let mut all: Vec<(String, Value)> = STATES
        .iter()
        .map(|status| (format!("card-{status:?}").to_lowercase(), content(&message::card(&card(*status), &mentions))))
        .collect();
    let mut add = |name: &str, value: &Content| all.push((name.to_owned(), content(value)));
    add("card-loud", &message::card(&loud(), &mentions));
    add("card-long", &message::card(&long(), &mentions));
    let live = card(Status::Live);
    add("thread", &message::history(&live, &live.history, &mentions));
    add("notice", &message::notice(&notice(), &mentions, None));
    add("notice-since", &message::notice(&notice(), &mentions, Some(&headline(Status::Denied))));
    add("bulletin", &message::bulletin(&bulletin(3), &mentions));
    add("bulletin-long", &message::bulletin(&bulletin(2_000), &mentions));
    for tone in [Tone::Done, Tone::Info, Tone::Refused, Tone::Fault] {
        add(&format!("answer-{tone:?}").to_lowercase(), &message::answer(&reply(tone), &mentions));
    }
    all
}

/// Every view, by name.
pub fn views() -> Vec<(String, Value)> {
    let mentions = mentions();
    let mut all = vec![
        ("loading".to_owned(), modal::loading()),
        ("request-bare".to_owned(), modal::request(&modal::Asking::default(), &offers(3))),
        ("request-chosen".to_owned(), modal::request(&asking(false, "resource-001"), &offers(3))),
        ("request-unknown".to_owned(), modal::request(&asking(false, "nothing"), &offers(3))),
        ("request-glass".to_owned(), modal::request(&asking(true, "resource-002"), &offers(3))),
        ("request-nothing".to_owned(), modal::request(&asking(false, ""), &[])),
        ("answer".to_owned(), modal::answer(&reply(Tone::Refused), &mentions)),
        ("credential".to_owned(), modal::answer(&secret(), &mentions)),
    ];
    let live = card(Status::Live);
    for button in Button::ALL {
        if let Some(view) = modal::press(RequestId(4821), button, Some(&live), "C0123456789", &mentions) {
            all.push((format!("press-{}", button.word()), view));
        }
    }
    let numbered = |(n, card): (u64, Card)| Card { request: RequestId(4_821 + n), ..card };
    let of = |cards: Vec<Card>| (0..).zip(cards).map(numbered).collect::<Vec<_>>();
    let overview = Overview {
        held: of(vec![card(Status::Live), loud()]),
        waiting: of(vec![card(Status::Requested), card(Status::Owing)]),
        asked: of(vec![card(Status::Requested)]),
    };
    all.push(("home".to_owned(), home::view(&overview, &mentions)));
    all.push(("home-empty".to_owned(), home::view(&Overview::default(), &mentions)));
    let many = || of(vec![card(Status::Live); 25]);
    let full = Overview { held: many(), waiting: many(), asked: many() };
    all.push(("home-full".to_owned(), home::view(&full, &mentions)));
    all
}

/// Every answer to a search, by name.
pub fn searches() -> Vec<(String, Value)> {
    [("none", 3, "zzz"), ("few", 30, "resource-00"), ("all", 100, ""), ("many", 340, "")]
        .map(|(name, count, query)| (name.to_owned(), modal::suggestions(&offers(count), false, query)))
        .into()
}
