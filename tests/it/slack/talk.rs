//! What people say below a card: recorded with its request, once, and nothing follows from it.

use countersign::ledger::Disclosed;
use serde_json::{Value, json};

use super::{
    service::{ANA, BEN, CHANNEL, EVE, SECURITY, Service, config, standin},
    standin::{Acked, Fault, Message, Standin, TEAM, people::words},
    story::lived,
};
use crate::support::{
    demo::{self, assert_verifies, countersign},
    process::until,
    small_disk::SmallDisk,
};

/// The app is given what it takes to be told.
fn give(slack: &Standin) {
    slack.inner.state().scopes.extend(["channels:history", "groups:history"].map(str::to_owned));
}

/// A request of ana's, and the time of its card's message.
async fn card(slack: &Standin, service: &Service, line: &str) -> (u64, String) {
    let before = service.count("card.posted");
    assert!(slack.says(ANA, CHANNEL, line).await.contains("Asked:"));
    let id = service.newest();
    let card = slack.card(CHANNEL, &format!("ledger entry {id} ")).await;
    service.until("card.posted", before + 1);
    (id, card.ts)
}

/// What is recorded of threads: the words, and the body.
fn recorded(service: &Service) -> Vec<(String, Value)> {
    let entries = demo::opened(&service.ledger()).into_iter().filter(|entry| entry.body.contains_key("thread"));
    let read = entries.map(|entry| {
        assert_eq!((entry.kind.as_str(), &entry.body["via"]), ("message.received", &json!("thread")));
        let text = entry.disclosed.iter().map(|disclosed| match disclosed {
            Disclosed::Open(open) => open.value.clone(),
            Disclosed::Erased { .. } => "(erased)".to_owned(),
            Disclosed::Locked { why, .. } => why.to_string(),
        });
        (text.collect::<String>(), Value::Object(entry.body))
    });
    read.collect()
}

#[track_caller]
fn taken(tries: Option<Vec<Acked>>) {
    let tries = tries.expect("Slack tells it");
    assert_eq!(tries, [Acked::Yes(Value::Null)], "acknowledged at once, and not answered");
}

/// What people say below one card.
struct Thread {
    dir: tempfile::TempDir,
    slack: Standin,
    service: Service,
    mode: &'static str,
    id: u64,
    ts: String,
}

const HOSTILE: &str = "shall I restart it first? <!channel> \u{202E}gnp.exe & more";

impl Thread {
    async fn start(mode: &'static str) -> Self {
        let (dir, slack, service) = lived(mode).await;
        give(&slack);
        let (id, ts) = card(&slack, &service, "prod-api 10m fixing INC-42").await;
        Self { dir, slack, service, mode, id, ts }
    }

    fn recorded(&self) -> Vec<(String, Value)> {
        recorded(&self.service)
    }

    async fn says(&self, who: &str, words: &str) -> Message {
        let (message, told) = self.slack.talks(who, CHANNEL, &self.ts, words).await;
        taken(told);
        message
    }

    async fn tells(&self, event: &Value) {
        taken(self.slack.tells(CHANNEL, event).await);
    }

    /// Whatever is said, and whoever says it: it decides nothing.
    async fn said(&self) -> Message {
        let first = self.says(ANA, HOSTILE).await;
        // It is durable when it is acknowledged, and it is hers.
        let known = self.recorded();
        assert_eq!(known[0].0, HOSTILE);
        assert_eq!(known[0].1["thread"], json!({ "request": self.id, "turn": "said" }));
        let requested = self.service.entries().into_iter().find(|entry| entry["kind"] == "access.requested").unwrap();
        assert_eq!(known[0].1["from"], requested["body"]["requester"]);
        let command = format!("approve {}", self.id);
        for words in ["yes", "approved", &format!("/access {command}"), &command, ":white_check_mark:"] {
            self.says(BEN, words).await;
        }
        self.says(EVE, "who is this?").await;
        assert_eq!(self.recorded().len(), 7);
        assert_eq!((self.service.count("request.approved"), self.service.count("message.refused")), (0, 0));
        first
    }

    /// However often it is delivered, and whatever the delivery is called, it is recorded once.
    async fn delivered_again(&self) {
        let (message, event) = self.slack.writes(BEN, CHANNEL, &self.ts, "once only");
        let payload = self.slack.event(&event);
        for retry in [None, Some(1), Some(2), Some(3)] {
            let acked = self.slack.try_to_tell(&payload, retry).await;
            // Over HTTP, what is signed within the same second is the same request once more.
            assert!(matches!(acked, Acked::Yes(_)) || (self.mode == "http" && acked == Acked::Nobody), "{acked:?}");
        }
        let mut other = self.slack.event(&event);
        other["event"]["client_msg_id"] = json!(message.client_id);
        let (one, two) = tokio::join!(self.slack.try_to_tell(&other, None), self.slack.try_to_tell(&payload, Some(1)));
        assert!(matches!(one, Acked::Yes(_)) && two != Acked::Late, "{one:?} {two:?}");
        assert_eq!(self.recorded().len(), 8);
    }

    /// What was recorded first stays. The event of the deletion.
    async fn changed_and_deleted(&self, first: &Message) -> Value {
        let change = self.slack.revises(CHANNEL, &first.ts, Some("I have restarted it"));
        self.tells(&change).await;
        let mut unfolded = self.slack.revises(CHANNEL, &first.ts, Some("I have restarted it"));
        unfolded["message"].as_object_mut().unwrap().remove("edited");
        self.tells(&unfolded).await;
        let deletion = self.slack.revises(CHANNEL, &first.ts, None);
        self.tells(&deletion).await;
        self.tells(&deletion).await;
        let known = self.recorded();
        assert_eq!(known.len(), 10);
        let opened = demo::opened(&self.service.ledger());
        let earlier = opened.iter().find(|entry| entry.body.contains_key("thread")).unwrap().seq;
        assert_eq!(known[8].0, "I have restarted it");
        assert_eq!(known[8].1["thread"], json!({ "request": self.id, "turn": "changed", "earlier": earlier }));
        assert_eq!(known[9].0, "");
        assert_eq!(known[9].1["thread"], json!({ "request": self.id, "turn": "deleted", "earlier": earlier }));
        assert_eq!(known[0].0, HOSTILE);
        deletion
    }

    /// What stands in no thread of ours, or no person of ours wrote.
    async fn let_be(&self) {
        let (_, elsewhere) = self.slack.writes(BEN, CHANNEL, "1795000000.000001", "another thread");
        self.tells(&elsewhere).await;
        let (_, event) = self.slack.writes(BEN, CHANNEL, &self.ts, "not in its thread");
        for change in [
            &(|event: &mut Value| drop(event.as_object_mut().unwrap().remove("thread_ts"))) as &dyn Fn(&mut Value),
            &|event| event["bot_id"] = json!("B0OTHERBOT"),
            &|event| event["subtype"] = json!("channel_topic"),
            &|event| event["team"] = json!("T9999999999"),
            &|event| event["user_team"] = json!("T9999999999"),
            &|event| event["user"] = json!("U0BOTBOTBOT"),
        ] {
            let mut event = event.clone();
            change(&mut event);
            self.tells(&event).await;
        }
        let mut outer = self.slack.event(&event);
        outer["team_id"] = json!("T9999999999");
        assert!(matches!(self.slack.try_to_tell(&outer, None).await, Acked::Yes(_)));
        assert_eq!(self.recorded().len(), 10);
    }

    /// With a file, and shown in the channel too.
    async fn of_other_kinds(&self) {
        let (_, mut event) = self.slack.writes(BEN, CHANNEL, &self.ts, "the graph");
        event["subtype"] = json!("file_share");
        event["files"] = json!([{ "id": "F1", "name": "graph.png", "mimetype": "image/png" }]);
        self.tells(&event).await;
        let (_, mut event) = self.slack.writes(BEN, CHANNEL, &self.ts, "for everybody");
        event["subtype"] = json!("thread_broadcast");
        let root = json!({ "user": "U0BOTBOTBOT", "bot_id": "B0BOTBOTBOT", "ts": self.ts, "thread_ts": self.ts });
        event["root"] = root;
        self.tells(&event).await;
        let known = self.recorded();
        assert_eq!(known[10].0, "the graph\n[file: graph.png]");
        assert_eq!((known[11].0.as_str(), known.len()), ("for everybody", 12));
    }

    /// It is where people look for it, and nobody is answered in the thread, or anywhere else.
    async fn found(&self) {
        let slack = &self.slack;
        let shown = slack.says(BEN, CHANNEL, &format!("show {}", self.id)).await;
        for part in [
            "said in Slack's thread: shall I restart it first? <!channel> �gnp.exe",
            "to: I have restarted it",
            "deleted from Slack's thread",
            "said in Slack's thread: who is this?",
            "once only",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let found = slack.says(ANA, CHANNEL, "log who is this").await;
        assert!(found.contains("who is this?"), "it concerns her request: {found}");
        assert!(!slack.says(BEN, CHANNEL, "log this?").await.contains("who is"), "and not him");
        let of_the_bot = slack.messages(CHANNEL).into_iter().filter(|message| message.user.is_none());
        assert_eq!(of_the_bot.count(), 1, "the card, and nothing below it");
        assert!(slack.told(EVE).is_empty());
    }

    /// A restart knows the card by what is recorded, and what was recorded before.
    async fn across_a_restart(self, deletion: &Value) -> Self {
        let Self { dir, slack, service, mode, id, ts } = self;
        service.kill();
        if mode == "socket" {
            slack.until("nobody is there", || (slack.sockets() == 0).then_some(())).await;
        }
        let service = Service::start(dir.path(), &[]);
        if mode == "http" {
            *slack.inner.app.lock().unwrap() = Some(service.url());
        } else {
            slack.connected(2).await;
        }
        let again = Self { dir, slack, service, mode, id, ts };
        again.tells(deletion).await;
        again.says(BEN, "after the restart").await;
        let known = again.recorded();
        assert_eq!((known[12].0.as_str(), known.len()), ("after the restart", 13));
        again
    }

    /// The request lives as ever; its history is told below the card, and not what people said.
    async fn lives(&self) {
        let slack = &self.slack;
        slack.presses(BEN, CHANNEL, "approve").await;
        slack.card(CHANNEL, "Live until").await;
        slack.presses(ANA, CHANNEL, "done").await;
        slack.card(CHANNEL, "Ended: given back early").await;
        self.service.until("grant.ended", 1);
        self.says(ANA, "thanks").await;
        assert_eq!(self.recorded().len(), 14);
        let below = || {
            let messages = slack.messages(CHANNEL).into_iter();
            let of_the_bot = messages.filter(|message| message.user.is_none() && message.thread.is_some());
            let told: String = of_the_bot.map(|message| words(&message.blocks)).collect();
            Some(told).filter(|told| told.contains("seen closed"))
        };
        let told = slack.until("the thread tells the end", below).await;
        assert!(!told.contains("restart") && !told.contains("thanks"), "{told}");
        slack.content();
    }

    /// Whoever is erased has said nothing that can be read, and the chain holds.
    fn erased(self) {
        let (ledger, folder) = (self.service.ledger(), self.dir.path().join("config"));
        self.service.stop();
        assert_verifies(&ledger);
        let folder = folder.to_string_lossy().into_owned();
        for who in ["ana", &format!("slack:{TEAM}/{EVE}")] {
            let (code, said, errors) = countersign(&["erase", who, "--config", &folder, "--yes"]);
            assert_eq!(code, 0, "{said}{errors}");
        }
        let (_, log, _) = countersign(&["log", "--ledger", &ledger.to_string_lossy()]);
        assert!(log.contains("once only") && log.contains("after the restart"), "{log}");
        assert!(!log.contains("restarted it") && !log.contains("who is this") && !log.contains("thanks"), "{log}");
        assert_verifies(&ledger);
    }
}

async fn talked(mode: &'static str) {
    let thread = Thread::start(mode).await;
    let first = thread.said().await;
    thread.delivered_again().await;
    let deletion = thread.changed_and_deleted(&first).await;
    thread.let_be().await;
    thread.of_other_kinds().await;
    thread.found().await;
    let thread = thread.across_a_restart(&deletion).await;
    thread.lives().await;
    tokio::task::block_in_place(|| thread.erased());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_below_a_card_is_recorded_by_socket() {
    talked("socket").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_below_a_card_is_recorded_over_http() {
    talked("http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_tells_only_what_the_scopes_give_where_the_bot_is() {
    let (_dir, slack, service) = lived("socket").await;
    let (_, thread) = card(&slack, &service, "prod-api 10m fixing INC-42").await;
    assert_eq!(slack.talks(BEN, CHANNEL, &thread, "unheard").await.1, None);
    slack.inner.state().scopes.insert("channels:history".into());
    taken(slack.talks(BEN, CHANNEL, &thread, "heard").await.1);
    slack.inner.state().private.insert(CHANNEL.into());
    assert_eq!(slack.talks(BEN, CHANNEL, &thread, "in private").await.1, None);
    slack.inner.state().scopes.insert("groups:history".into());
    taken(slack.talks(BEN, CHANNEL, &thread, "heard in private").await.1);
    slack.inner.state().left.insert(CHANNEL.into());
    assert_eq!(slack.talks(BEN, CHANNEL, &thread, "without the bot").await.1, None);
    let said: Vec<String> = recorded(&service).into_iter().map(|(text, _)| text).collect();
    assert_eq!(said, ["heard", "heard in private"]);
    // The same request in another channel has another thread.
    slack.says(ANA, CHANNEL, "break-glass prod-api 10m the orders are down").await;
    let loud = slack.card(SECURITY, "BREAK-GLASS").await;
    service.until("card.posted", 2);
    taken(slack.talks(BEN, SECURITY, &loud.ts, "what happened?").await.1);
    assert_eq!(recorded(&service)[2].1["thread"]["request"], json!(service.newest()));
    slack.content();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_recorded_is_not_acknowledged_and_is_recorded_when_it_comes_again() {
    let (dir, slack, service) = lived("socket").await;
    give(&slack);
    let (_, thread) = card(&slack, &service, "prod-api 10m across a crash").await;
    service.kill();
    slack.until("nobody is there", || (slack.sockets() == 0).then_some(())).await;
    let (_, event) = slack.writes(BEN, CHANNEL, &thread, "said while it was down");
    let payload = slack.event(&event);
    assert_eq!(slack.try_to_tell(&payload, None).await, Acked::Nobody);
    let service = Service::start(dir.path(), &[]);
    slack.connected(2).await;
    assert!(matches!(slack.try_to_tell(&payload, Some(1)).await, Acked::Yes(_)));
    let said: Vec<String> = recorded(&service).into_iter().map(|(text, _)| text).collect();
    assert_eq!(said, ["said while it was down"]);
    // A card that could not be drawn for a while is known when it stands there.
    slack.breaks("chat.postMessage", [Fault::Status(500), Fault::Limited(1)]);
    let (id, thread) = card(&slack, &service, "prod-both 10m in a storm").await;
    taken(slack.talks(ANA, CHANNEL, &thread, "at last").await.1);
    assert_eq!(recorded(&service)[1].1["thread"]["request"], json!(id));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_line_is_recorded_by_its_start_its_length_and_its_hash() {
    let dir = demo::folder();
    let slack = standin().await;
    give(&slack);
    config(dir.path(), &slack, "socket");
    let service = Service::start(dir.path(), &[]);
    slack.connected(2).await;
    let (_, thread) = card(&slack, &service, "prod-api 10m fixing INC-42").await;
    let long = "ä".repeat(40_000);
    taken(slack.talks(BEN, CHANNEL, &thread, &long).await.1);
    let (text, _) = recorded(&service).remove(0);
    assert!(text.len() < 17 * 1024 && text.contains("80000 bytes in all, SHA-256 "), "{} bytes", text.len());
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_talk_is_not_acknowledged_and_comes_again_when_there_is_room() {
    let (dir, slack) = (demo::folder(), standin().await);
    give(&slack);
    config(dir.path(), &slack, "socket");
    let ledger = dir.path().join("ledger");
    std::fs::create_dir(&ledger).unwrap();
    let disk = SmallDisk::mount(&ledger, "160m");
    let service = Service::start_by(dir.path(), &[], &disk.runner());
    slack.connected(2).await;
    assert!(slack.says(ANA, CHANNEL, "prod-api 10m fixing INC-42").await.contains("Asked:"));
    let card = slack.card(CHANNEL, "Waiting for approval").await;
    let entries = || demo::opened(&disk.seen());
    until("the card is recorded", || entries().iter().any(|entry| entry.kind == "card.posted"));
    // The reserve is what a full disk takes first, and then the room in the ledger's first segment.
    std::fs::remove_file(disk.seen().join("reserve")).unwrap();
    disk.fill();
    let full = slack.says(ANA, CHANNEL, "mine").await;
    assert!(full.contains("The disk under the ledger is full"), "{full}");
    let before = entries().len();
    let (_, event) = slack.writes(BEN, CHANNEL, &card.ts, "said on a full disk");
    let payload = slack.event(&event);
    assert_eq!(slack.try_to_tell(&payload, None).await, Acked::Late, "it is not recorded, so it is not acknowledged");
    assert_eq!(entries().len(), before);
    disk.free();
    // A command that is taken again says that the ledger is open.
    let open = async || {
        let said = slack.says(BEN, CHANNEL, "mine").await;
        !said.contains("is full") && !said.contains("can't be written")
    };
    while !open().await {
        tokio::task::yield_now().await;
    }
    assert!(matches!(slack.try_to_tell(&payload, Some(1)).await, Acked::Yes(_)));
    let talk = entries().into_iter().filter(|entry| entry.body.contains_key("thread"));
    let said: Vec<String> = talk.map(|entry| demo::text_of(&entry, "text")).collect();
    assert_eq!(said, ["said on a full disk"]);
    service.stop();
    assert_verifies(&disk.seen());
}
