//! The adapter with a service of the test's own behind it: one that is slow, and one that breaks.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use countersign::{
    access::{Chat, RequestId},
    chat::{
        Channels, Inbound, Input, LedgerView, Offer, Overview, Reply, Service, Talk, Tone, Turn,
        card::Card,
        plain,
        slack::{Settings, Slack},
    },
};
use tokio::sync::Semaphore;

use super::{
    cards,
    service::{ANA, CHANNEL, standin},
    standin::{
        APP_TOKEN, Acked, BOT_TOKEN, SIGNING_SECRET, Standin, TEAM,
        people::words,
        signed::{Signed, now},
    },
};

/// Answers what it was told; breaks at `break`, and waits at `wait` until the test lets it go on.
struct Moody {
    gate: Semaphore,
}

#[async_trait]
impl Service for Moody {
    async fn submit(&self, inbound: Inbound) -> Reply {
        let said = match inbound.input {
            Input::Line(line) => line,
            Input::Form(form) => form.words(),
            Input::Press { button, .. } => button.word().to_owned(),
        };
        assert!(!said.contains("break it"), "it breaks, as it was told");
        if said.contains("wait") {
            self.gate.acquire().await.unwrap().forget();
        }
        Reply { tone: Tone::Done, lines: vec![plain(format!("heard {said}"))], secret: Vec::new(), keep_input: false }
    }

    async fn overheard(&self, talk: Talk) -> bool {
        let Turn::Said(text) = talk.turn else { return true };
        assert!(!text.contains("break it"), "it breaks, as it was told");
        if text.contains("wait") {
            self.gate.acquire().await.unwrap().forget();
        }
        !text.contains("not now")
    }

    async fn offers(&self, _: Chat, _: &str) -> Vec<Offer> {
        cards::offers(340)
    }

    async fn overview(&self, _: Chat, _: &str) -> Overview {
        Overview::default()
    }

    async fn card(&self, _: Chat, _: &str, _: RequestId) -> Option<Card> {
        None
    }

    async fn ledger(&self, _: usize) -> LedgerView {
        LedgerView::default()
    }

    async fn verify(&self) -> (bool, Vec<String>) {
        (true, Vec::new())
    }
}

pub fn settings(slack: &Standin) -> Settings {
    Settings {
        team: TEAM.to_owned(),
        api_url: Some(slack.api_url()),
        bot_token: BOT_TOKEN.into(),
        app_token: Some(APP_TOKEN.into()),
        signing_secret: None,
        channels: Channels { usual: CHANNEL.to_owned(), named: BTreeMap::new(), is_id: |id| id.starts_with('C') },
        mentions: cards::mentions(),
        clock: Arc::new(|| chrono::DateTime::UNIX_EPOCH),
        chance: Arc::new(rand::random),
    }
}

/// Slack, a service in a mood of its own, and the adapter between them, which listens.
async fn moody() -> (Standin, Arc<Moody>, Arc<Slack>) {
    let slack = standin().await;
    let moody = Arc::new(Moody { gate: Semaphore::new(0) });
    let adapter = Slack::new(settings(&slack));
    let service: Arc<dyn Service> = Arc::clone(&moody) as _;
    adapter.listen(&service);
    slack.connected(2).await;
    (slack, moody, adapter)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_longer_than_slack_waits_is_acknowledged_and_answered_when_it_is_there() {
    let (slack, moody, adapter) = moody().await;
    let slow = slack.types(ANA, CHANNEL, "mine wait");
    // Others are answered meanwhile, on the same connections.
    let others = async {
        for n in 0..4 {
            let said = slack.says("U0000000002", CHANNEL, &format!("mine {n}")).await;
            assert_eq!(said.trim(), format!("✅ heard mine {n}"));
        }
    };
    let (slow, ()) = tokio::join!(slow, others);
    assert!(words(&slow.payload()["blocks"]).contains("Working on it"));
    moody.gate.add_permits(1);
    slack.until_told(ANA, "heard mine wait").await;

    // The same with a form: its window says so, and is filled in later.
    slack.types(ANA, CHANNEL, "resource-001 30m").await;
    let form = slack.window(ANA, "the form", |view| view["callback_id"] == "request").await;
    let answer = slack.submits(ANA, &form, &[("reason", "wait for it".into())]).await;
    assert!(words(&answer["view"]["blocks"]).contains("Working on it"), "{answer:#}");
    moody.gate.add_permits(1);
    slack.window(ANA, "the answer", |view| words(&view["blocks"]).contains("heard request resource-001 30m")).await;

    let found = slack.searches(ANA, &form, "resource", "resource-0").await;
    assert_eq!(found["options"].as_array().unwrap().len(), 100);
    slack.content();
    adapter.stop().await;
    slack.until("the connections are gone", || (slack.sockets() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_while_it_answers_is_told_and_ends_nothing() {
    let (slack, _moody, adapter) = moody().await;
    for _ in 0..8 {
        let said = slack.says(ANA, CHANNEL, "show break it").await;
        assert!(said.contains("Something broke in Countersign"), "{said}");
    }
    assert_eq!(slack.says(ANA, CHANNEL, "mine").await.trim(), "✅ heard mine");
    assert_eq!(slack.sockets(), 2, "no connection was lost over it");
    slack.types(ANA, CHANNEL, "resource-001 30m").await;
    let form = slack.window(ANA, "the form", |view| view["callback_id"] == "request").await;
    let answer = slack.submits(ANA, &form, &[("reason", "break it".into())]).await;
    assert!(words(&answer["view"]["blocks"]).contains("Something broke"), "{answer:#}");
    // What is no JSON of Slack's, or has no id, is let be.
    for odd in [
        serde_json::json!({ "type": "slash_commands" }),
        serde_json::json!([1, 2]),
        serde_json::json!({ "type": "new_kind", "envelope_id": "x" }),
    ] {
        slack.order(|| super::standin::Order::Send(odd.clone()));
    }
    assert!(matches!(slack.types(ANA, CHANNEL, "mine").await, Acked::Yes(_)));
    slack.content();
    adapter.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_are_handled_side_by_side() {
    let (slack, moody, adapter) = moody().await;
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let slack = slack.clone();
            tokio::spawn(async move { slack.says(ANA, CHANNEL, &format!("mine wait {n}")).await })
        })
        .collect();
    // None of them can go on before all of them have come.
    slack.until("they all wait", || (slack.inner.state().waiting.len() == 50).then_some(())).await;
    moody.gate.add_permits(50);
    for (n, task) in tasks.into_iter().enumerate() {
        let said = task.await.unwrap();
        assert!(said.contains(&format!("heard mine wait {n}")) || said.contains("Working on it"), "{said}");
    }
    adapter.stop().await;
}

/// Somebody says this in a thread; its payload.
fn said(slack: &Standin, text: &str) -> serde_json::Value {
    let (_, event) = slack.writes(ANA, CHANNEL, "1795000000.000001", text);
    slack.event(&event)
}

#[tokio::test(flavor = "multi_thread")]
async fn talk_is_acknowledged_when_it_is_recorded_and_not_before() {
    let (slack, moody, adapter) = moody().await;
    let payloads = ["fine", "not now", "break it", "wait for it"].map(|text| said(&slack, text));
    let tell = |at: usize| slack.try_to_tell(&payloads[at], None);
    let (fine, later, broken, slow) = tokio::join!(tell(0), tell(1), tell(2), tell(3));
    assert!(matches!(fine, Acked::Yes(_)));
    assert_eq!([later, broken, slow], [Acked::Late, Acked::Late, Acked::Late], "Slack delivers them again");
    // The first delivery goes on, and so does the second.
    moody.gate.add_permits(2);
    assert!(matches!(slack.try_to_tell(&payloads[3], Some(1)).await, Acked::Yes(_)));
    assert!(slack.told(ANA).is_empty(), "nobody is answered");
    assert_eq!(slack.sockets(), 2, "no connection was lost over it");
    slack.content();
    adapter.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_talk_that_can_t_be_recorded_is_wanted_again_and_is_no_replay() {
    let slack = standin().await;
    let service: Arc<dyn Service> = Arc::new(Moody { gate: Semaphore::new(0) });
    let adapter = Slack::new(Settings { signing_secret: Some(SIGNING_SECRET.into()), ..settings(&slack) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = format!("http://{}", listener.local_addr().unwrap());
    let router = adapter.router(&service);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let status = async |request: &Signed| request.send(&app).await.unwrap().status().as_u16();
    let refused = Signed::new("events_api", &said(&slack, "not now"), now());
    assert_eq!([status(&refused).await, status(&refused).await], [503, 503]);
    let taken = Signed::new("events_api", &said(&slack, "fine"), now());
    assert_eq!([status(&taken).await, status(&taken).await], [200, 409]);
    slack.content();
}
