//! How everything looks that we send, in every state, held against Discord's rules: by our own count of them, and by its
//! published schemas.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use chrono::DateTime;
use countersign::{
    access::RequestId,
    chat::{
        Bulletin, Mentions, Notice, Reply, Tone,
        card::{Button, Card, Field, Line, Span, Status, Step},
        discord::{commands, forms, render, wire::Callback},
        plain,
    },
};
use serde_json::{Value, json};

use super::{ANA, BEN, Scene, standin::rules, story::asks};

/// What a stranger wrote, with everything in it that formats, links, pings or hides.
const NASTY: &str = "a*b*_c_~~d~~ `e` ```f``` ||g|| <@&1> <@2> <#3> <t:0:R> @everyone [h](https://evil.example) # i\n# j\n- k\n> l\n1. m \u{202E}n\u{200B}";

const STATES: [Status; 12] = [
    Status::Requested,
    Status::Scheduled,
    Status::Issuing,
    Status::Live,
    Status::Ending,
    Status::Ended,
    Status::Owing,
    Status::Denied,
    Status::Cancelled,
    Status::Lapsed,
    Status::Failed,
    Status::Extended,
];

fn foreign() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_BIN_EXE_countersign")).parent().unwrap().parent().unwrap().to_owned();
    target.join("foreign/discord")
}

fn mentions() -> Mentions {
    Arc::new(|name| (name == "ana").then(|| format!("112233445566778899/{ANA}")))
}

fn buttons(status: Status) -> Vec<(Button, String)> {
    let of = |buttons: &[Button]| buttons.iter().map(|button| (*button, format!("{button:?}…"))).collect();
    match status {
        Status::Requested => of(&[Button::Approve, Button::ApproveLess, Button::Deny, Button::Cancel]),
        Status::Live => of(&[Button::Show, Button::Extend, Button::Done, Button::Revoke]),
        Status::Scheduled => of(&[Button::Cancel, Button::Revoke]),
        Status::Issuing => of(&[Button::Cut]),
        Status::Owing => of(&[Button::ReviewOk, Button::ReviewConcern]),
        Status::Ending
        | Status::Ended
        | Status::Denied
        | Status::Cancelled
        | Status::Lapsed
        | Status::Failed
        | Status::Extended => Vec::new(),
    }
}

fn card(status: Status, reason: &str, loud: bool) -> Card {
    let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    Card {
        request: RequestId(17),
        status,
        loud,
        title: if loud { "BREAK-GLASS: prod-db for 30m".into() } else { "prod-db for 30m".into() },
        headline: vec![Span::Strong("Open, ".into()), Span::Text("until ".into()), Span::Time(at)],
        fields: vec![
            Field { label: "Requester", value: vec![Span::Person("ana".into())] },
            Field { label: "Resource", value: vec![Span::Code("prod-db".into())] },
            Field { label: "Duration", value: plain("30m") },
            Field { label: "Reason", value: plain(reason) },
        ],
        plan: vec!["create the role `cs_1`".into(), format!("grant {reason}")],
        history: vec![
            Step { seq: 17, at, line: vec![Span::Text("asked by ".into()), Span::Person("ana".into())] },
            Step {
                seq: 19,
                at,
                line: vec![
                    Span::Text("approved by ".into()),
                    Span::Person("ben".into()),
                    Span::Text(format!(": {reason}")),
                ],
            },
        ],
        buttons: buttons(status),
        proof: "0123abcd".into(),
        terms: "0123abcd".repeat(8),
        summary: "#17 prod-db for 30m, asked by ana".into(),
    }
}

fn long() -> String {
    // Astral characters count twice, and escapes are added.
    format!("{NASTY}{}", "🦓*_`".repeat(2_000))
}

/// Everything that is ever sent, with the names of the schemas.
fn everything() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let who = mentions();
    let mut add = |schema, body: Value| all.push((schema, body));
    let value = |thing: &dyn erased::Thing| thing.value();
    for status in STATES {
        for loud in [false, true] {
            for reason in ["fixing INC-42", NASTY, "", "\n", &long()] {
                let card = card(status, reason, loud);
                let ping = loud.then_some("112233445566778822");
                add("message", value(&render::card(&card, ping, &who).once("n".repeat(22))));
                let mut edit = render::card(&card, None, &who).edit();
                edit.allowed_mentions.roles.clear();
                add("message-edit", value(&edit));
                add("thread", json!({ "name": render::thread_name(&card), "auto_archive_duration": 4_320 }));
                for (_, message) in render::history(&card.history, 0, &who) {
                    add("message", value(&message.once("n".repeat(22))));
                }
            }
        }
    }
    let lines =
        |text: &str| -> Vec<Line> { vec![plain(text), vec![Span::Code(text.into()), Span::Person(text.into())]] };
    for text in ["Your access is live.", NASTY, &long()] {
        for (url, buttons) in
            [(None, buttons(Status::Live)), (Some("https://discord.com/channels/1/2/3".to_owned()), Vec::new())]
        {
            let notice = Notice { request: RequestId(17), lines: lines(text), buttons };
            add("message", value(&render::notice(&notice, url, &who).once("n".repeat(22))));
        }
        for loud in [false, true] {
            let bulletin =
                Bulletin { title: text.to_owned(), lines: (0..40).flat_map(|_| lines(text)).collect(), loud };
            add("message", value(&render::bulletin(&bulletin, &who).once("n".repeat(22))));
        }
        for tone in [Tone::Done, Tone::Info, Tone::Refused, Tone::Fault] {
            for (count, secret) in
                [(0, ""), (1, "s3cret"), (30, "with ```fences``` and *stars*"), (1, &"k".repeat(9_000))]
            {
                let secret = vec![("password".to_owned(), secret.to_owned().into()); usize::from(!secret.is_empty())];
                let lines = (0..count).flat_map(|_| lines(text)).collect();
                let reply = Reply { tone, lines, secret, keep_input: tone == Tone::Refused };
                for (at, message) in render::reply(&reply, Some(text), &who).into_iter().enumerate() {
                    add("webhook", value(&message));
                    add("webhook-edit", value(&message.clone().edit()));
                    if at == 0 {
                        add("callback-message", value(&Callback::Say(Box::new(message))));
                    }
                }
            }
        }
        for glass in [false, true] {
            add("callback-modal", value(&Callback::Form(forms::ask(glass, [text; 4]))));
        }
    }
    for word in Button::ALL.map(Button::word).into_iter().chain([render::APPROVE_WITH_WORD]) {
        let pressed = forms::pressed(&format!("{word}:17")).unwrap();
        if let Some(form) = forms::form(pressed) {
            add("callback-modal", value(&Callback::Form(form)));
        }
    }
    add("callback-message", value(&Callback::Defer));
    add("callback-pong", value(&Callback::Pong));
    add("callback-choices", value(&Callback::Choices(Vec::new())));
    add("commands", commands::all());
    all
}

mod erased {
    /// Whatever can be written.
    pub trait Thing {
        fn value(&self) -> serde_json::Value;
    }

    impl<T: serde::Serialize> Thing for T {
        fn value(&self) -> serde_json::Value {
            serde_json::to_value(self).unwrap()
        }
    }
}

fn ours(schema: &str, body: &Value) -> Vec<String> {
    match schema {
        "message" | "webhook" => rules::message(body, false),
        "message-edit" | "webhook-edit" => rules::message(body, true),
        "callback-message" if body["type"] == 4 => rules::message(&body["data"], false),
        "callback-modal" => rules::modal(&body["data"]),
        "callback-choices" => rules::choices(&body["data"]),
        "commands" => rules::commands(body),
        _ => Vec::new(),
    }
}

#[test]
fn everything_keeps_to_the_rules_that_no_schema_says() {
    let mut wrong = Vec::new();
    for (schema, body) in everything() {
        wrong.extend(ours(schema, &body).into_iter().map(|what| format!("{schema}: {what}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The rules themselves find what they are for.
#[test]
fn the_rules_find_what_is_wrong() {
    let closed = json!({ "parse": [] });
    let message = |body: Value| {
        let mut body = body;
        body["allowed_mentions"] = closed.clone();
        rules::message(&body, false)
    };
    let button = |id: &str| json!({ "type": 2, "style": 1, "label": "x", "custom_id": id });
    let row = |buttons: Vec<Value>| json!({ "type": 1, "components": buttons });
    let wrong = [
        message(json!({})),
        message(json!({ "content": "", "embeds": [] })),
        message(json!({ "content": "x".repeat(2_001) })),
        message(json!({ "content": "x", "components": [row(vec![button("a"), button("a")])] })),
        message(json!({ "content": "x", "components": [row(vec![])] })),
        message(json!({ "content": "x", "components": [row((0..6).map(|n| button(&n.to_string())).collect())] })),
        message(json!({ "embeds": [{ "description": "x".repeat(4_097) }] })),
        message(json!({ "embeds": [{ "description": "x".repeat(3_100) }, { "description": "x".repeat(3_100) }] })),
        message(json!({ "embeds": [{ "title": "x", "fields": [{ "name": "a", "value": "" }] }] })),
        message(json!({ "embeds": [{}] })),
        rules::message(&json!({ "content": "x" }), false),
        rules::message(&json!({ "content": "x", "allowed_mentions": { "parse": ["everyone"] } }), false),
        rules::message(&json!({ "content": "x", "allowed_mentions": { "parse": [], "roles": ["1"] } }), false),
        rules::modal(&json!({ "title": "x".repeat(46), "custom_id": "a", "components": [] })),
        rules::choices(&json!({ "choices": [{ "name": "", "value": "a" }] })),
        rules::commands(&json!([{ "name": "Access", "description": "x" }])),
    ];
    for (at, found) in wrong.iter().enumerate() {
        assert!(!found.is_empty(), "nothing was found in the {at}th");
    }
    assert!(message(json!({ "content": "x", "components": [row(vec![button("a"), button("b")])] })).is_empty());
}

/// What the schemas that Discord publishes say of a list of bodies.
fn schemas(bodies: &[(&'static str, Value)]) -> (bool, String) {
    let check = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/discord/foreign/check.mjs");
    let here = foreign();
    assert!(here.join("node_modules/discord-api-spec").exists(), "run tests/it/discord/foreign/install first");
    std::fs::copy(check, here.join("check.mjs")).unwrap();
    let mut node = Command::new("node")
        .arg("check.mjs")
        .current_dir(&here)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text: String = bodies.iter().map(|body| serde_json::to_string(body).unwrap() + "\n").collect();
    let mut stdin = node.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn everything_fits_discords_published_schemas() {
    let (fits, said) = schemas(&everything());
    assert!(fits, "{said}");
    // What they are for, they find.
    let (fits, said) = schemas(&[("message", json!({ "content": "x".repeat(4_001) }))]);
    assert!(!fits, "{said}");
    let (fits, said) = schemas(&[("message", json!({ "content": "x", "nobody_knows": 1 }))]);
    assert!(!fits && said.contains("nobody_knows is unknown"), "{said}");
}

/// The same of what the true binary sent in a life.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_in_a_life_fits_too() {
    let scene = Scene::start("gateway").await;
    let id = asks(&scene, ANA, "prod-api").await;
    scene.people.types(BEN, "approve", &[("id", "".into())], "id").await;
    scene.people.fills(BEN, "approve-less", id, &[("span", "10m")]).await;
    scene.until_entry("grant.issued", id);
    scene.people.presses(ANA, "show", id).await;
    scene.people.says(ANA, "help", &[]).await;
    scene.people.fills(BEN, "revoke", id, &[("text", NASTY)]).await;
    scene.until_card(id, "revoked by");
    scene.until("she is told", || scene.standin.direct_to(ANA).len() >= 2);
    let bodies = scene.standin.world().bodies.clone();
    let (fits, said) = tokio::task::block_in_place(|| schemas(&bodies));
    assert!(fits, "{said}");
    for schema in [
        "message",
        "message-edit",
        "thread",
        "direct",
        "commands",
        "callback-message",
        "callback-modal",
        "callback-choices",
    ] {
        assert!(bodies.iter().any(|(name, _)| *name == schema), "no {schema} was sent: {said}");
    }
    scene.standin.assert_well();
}

/// One picture of all states, in words.
#[test]
fn a_card_in_every_state() {
    let mut text = Vec::new();
    for status in STATES {
        let message =
            serde_json::to_value(render::card(&card(status, "fixing *INC-42* <@&1>", false), None, &mentions()))
                .unwrap();
        let embed = &message["embeds"][0];
        text.push(format!(
            "{status:?} #{:06X}\n  {}\n  {}\n",
            embed["color"].as_u64().unwrap(),
            embed["title"].as_str().unwrap(),
            embed["description"].as_str().unwrap()
        ));
        if status == Status::Requested {
            for field in embed["fields"].as_array().unwrap() {
                text.push(format!(
                    "  {}: {}\n",
                    field["name"].as_str().unwrap(),
                    field["value"].as_str().unwrap().replace('\n', " ⏎ ")
                ));
            }
            text.push(format!("  {}\n", embed["footer"]["text"].as_str().unwrap()));
        }
        for button in
            message["components"].as_array().unwrap().iter().flat_map(|row| row["components"].as_array().unwrap())
        {
            text.push(format!(
                "  [{}] {} ({})\n",
                button["label"].as_str().unwrap(),
                button["custom_id"].as_str().unwrap(),
                button["style"]
            ));
        }
    }
    let text = text.concat();
    insta::assert_snapshot!(text);
}

#[test]
fn what_people_write_formats_links_and_pings_nothing() {
    let message =
        serde_json::to_value(render::card(&card(Status::Requested, NASTY, false), None, &mentions())).unwrap();
    insta::assert_snapshot!(message["embeds"][0]["fields"][3]["value"].as_str().unwrap());
    insta::assert_snapshot!(message["embeds"][0]["fields"][4]["value"].as_str().unwrap());
}

/// The number in the invitation is the permissions that it names, and no other.
#[test]
fn the_invitation_asks_for_the_least() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let app: Value = serde_json::from_str(&read("deploy/discord-app.json")).unwrap();
    let bits = app["permissions"].as_object().unwrap().values().map(|bit| 1_u64 << bit.as_u64().unwrap());
    let number = bits.sum::<u64>().to_string();
    assert_eq!(app["permissions_number"], number);
    assert!(app["invite"].as_str().unwrap().contains(&format!("permissions={number}&")));
    assert!(read("docs/discord.md").contains(app["invite"].as_str().unwrap()));
    // Administrator, and everything that manages.
    assert_eq!(number.parse::<u64>().unwrap() & (1 << 3 | 1 << 4 | 1 << 5 | 1 << 13 | 1 << 17 | 1 << 28), 0);
}
