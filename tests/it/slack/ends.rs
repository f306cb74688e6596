//! What ends by itself, and what outlives a restart: the end of a grant's time, and buttons in direct messages.

use serde_json::{Value, json};

use super::{
    service::{ANA, BEN, CHANNEL, CLEO, Service},
    standin::{
        Acked, Message, Standin,
        people::{Seen, button, words},
    },
    story::lived,
};

const BENS: &str = "D0000000002";
const CLEOS: &str = "D0000000003";

/// What stands below a card.
fn below(slack: &Standin, card: &Message) -> String {
    let thread = slack.messages(CHANNEL).into_iter().filter(|message| message.thread.as_ref() == Some(&card.ts));
    thread.map(|message| words(&message.blocks)).collect()
}

async fn ends_by_its_time(mode: &str) {
    let (_dir, slack, service) = lived(mode).await;
    slack.says(ANA, CHANNEL, "prod-api 12s only a moment").await;
    let card = slack.card(CHANNEL, "Waiting for approval").await;
    slack.presses(BEN, CHANNEL, "approve").await;
    let live = slack.card(CHANNEL, "Live until").await;
    assert!(words(&live.blocks).contains("prod-api for 12s"));
    assert!(button(&live.blocks, "show", None).is_some());
    // Nobody does anything more.
    let ended = slack.card(CHANNEL, "Ended: its time was up").await;
    assert_eq!((&ended.ts, slack.cards(CHANNEL).len()), (&card.ts, 1), "the same message, changed in place");
    let seen_live = ended.before.iter().any(|look| words(&look["blocks"]).contains("Live until"));
    assert!(seen_live, "it was live before");
    assert!(slack.sees_none(CHANNEL, &["approve", "show", "extend", "done", "revoke"]));
    let told = || Some(below(&slack, &card)).filter(|told| told.contains("seen closed"));
    let thread = slack.until("the thread tells the end", told).await;
    for part in ["approved by @U0000000002", "opened, until", "its time was up", "seen closed"] {
        assert!(thread.contains(part), "{part}: {thread}");
    }
    slack.card("D0000000001", "Your access to prod-api has ended").await;
    let entries = service.entries();
    let at = |kind: &str| entries.iter().find(|entry| entry["kind"] == kind).unwrap().clone();
    assert_eq!(at("grant.ended")["body"]["cause"], "expired");
    let not_after = at("grant.issued")["body"]["not_after"].clone();
    let moment = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(moment(&at("grant.ending")["time"]) >= moment(&not_after), "not before its time");
    // Whoever comes too late is told so.
    slack.clicks(ANA, &Seen { channel: CHANNEL.into(), message: live, ..slack_button("show", service.newest()) }).await;
    slack.window(ANA, "a refusal", |view| view["title"]["text"] == "Not done").await;
    slack.content();
    service.stop();
}

/// A button as it stood on a message.
fn slack_button(word: &str, request: u64) -> Seen {
    let button = json!({ "type": "button", "action_id": word, "value": request.to_string() });
    let message = Message {
        ts: String::new(),
        user: None,
        client_id: String::new(),
        thread: None,
        text: String::new(),
        blocks: Value::Null,
        metadata: Value::Null,
        before: Vec::new(),
        deleted: false,
    };
    Seen { channel: String::new(), message, button, block_id: "b1".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_grant_ends_by_its_time_by_socket() {
    ends_by_its_time("socket").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_grant_ends_by_its_time_over_http() {
    ends_by_its_time("http").await;
}

/// Kills the service and starts it again.
async fn again(dir: &tempfile::TempDir, slack: &Standin, service: Service) -> Service {
    service.kill();
    slack.until("nobody is there", || (slack.sockets() == 0).then_some(())).await;
    let service = Service::start(dir.path(), &[]);
    slack.connected(2).await;
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_in_an_old_direct_message_does_after_a_restart_what_the_channel_s_does() {
    let (dir, slack, service) = lived("socket").await;
    slack.says(ANA, CHANNEL, "prod-both 10m across a restart").await;
    let id = service.newest();
    let bens = slack.card(BENS, "waits for your approval").await;
    slack.card(CLEOS, "waits for your approval").await;
    service.until("notice.sent", 2);
    let (own, cleos) = (slack.sees(BENS, "approve").await, slack.sees(CLEOS, "approve").await);
    let deny = slack.sees(CLEOS, "deny").await;
    let service = again(&dir, &slack, service).await;

    // Authority is asked for at the click: nobody approves their own, and a stranger nothing.
    let mut stolen = own.clone();
    stolen.channel = "D0000000001".into();
    slack.clicks(ANA, &stolen).await;
    slack.until_told(ANA, "an't approve their own request").await;
    assert!(matches!(slack.clicks(BEN, &own).await, Acked::Yes(_)));
    slack.until_told(BEN, "It needs one more approval").await;
    slack.card(CHANNEL, "Waiting for approval, 1 of 2").await;
    // It still means something, and stands as it stood.
    assert!(slack.card(BENS, "waits for your approval").await.before.is_empty());
    let service = again(&dir, &slack, service).await;
    // Pressed twice, it counts once.
    slack.clicks(BEN, &own).await;
    slack.until_told(BEN, "already approved").await;
    assert_eq!(service.count("request.approved"), 1);

    // Decided elsewhere: the old message says so as soon as somebody presses it, and who it was.
    let said = slack.says(CLEO, CHANNEL, &format!("approve {id}")).await;
    assert!(said.contains("Approved"), "{said}");
    slack.card(CHANNEL, "Live until").await;
    let changed = slack.card(BENS, "Since then: ").await;
    assert!(changed.ts == bens.ts && words(&changed.blocks).contains("approved by @U0000000003"), "{changed:?}");
    assert!(button(&changed.blocks, "approve", None).is_none(), "its buttons are gone");
    slack.clicks(CLEO, &cleos).await;
    let late = slack.until_told(CLEO, "⛔").await;
    assert!(late.contains(&format!("#{id} is live")) && late.contains("approved by @U0000000003"), "{late}");
    let changed = slack.card(CLEOS, "Since then: ").await;
    assert!(words(&changed.blocks).contains("approved by @U0000000003"), "{changed:?}");
    assert!(slack.sees_none(CLEOS, &["approve", "approve-less", "deny"]));
    // A form from a message that stands there no more changes nothing either.
    slack.clicks(CLEO, &deny).await;
    let form = slack.window(CLEO, "the form", |view| view["callback_id"] == "press").await;
    let answer = slack.submits(CLEO, &form, &[("words", json!("too late"))]).await;
    assert_eq!(answer["response_action"], "errors", "{answer:#}");
    assert_eq!((service.count("request.approved"), service.count("request.denied")), (2, 0));
    slack.content();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_direct_message_about_what_is_over_is_answered_with_how_it_was_decided() {
    let (dir, slack, service) = lived("socket").await;
    slack.says(ANA, CHANNEL, "prod-api 10m to be denied").await;
    slack.card(BENS, "waits for your approval").await;
    service.until("notice.sent", 2);
    let old = slack.sees(BENS, "approve").await;
    let service = again(&dir, &slack, service).await;
    let id = service.newest();
    let said = slack.says(CLEO, CHANNEL, &format!("deny {id} use the replica")).await;
    assert!(said.contains("Denied"), "{said}");
    slack.card(CHANNEL, "Denied").await;
    let service = again(&dir, &slack, service).await;
    slack.clicks(BEN, &old).await;
    let late = slack.until_told(BEN, "⛔").await;
    assert!(late.contains("denied by @U0000000003") && late.contains("use the replica"), "{late}");
    let changed = slack.card(BENS, "Since then: Denied; denied by @U0000000003").await;
    assert!(words(&changed.blocks).contains("waits for your approval"), "what it said stays: {changed:?}");
    assert!(slack.sees_none(BENS, &["approve", "approve-less", "deny"]));
    slack.content();
    service.stop();
}
