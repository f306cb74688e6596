//! What Slack's own libraries say: of what we send, and of the stand-in.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Map, Value, json};

use super::{
    cards,
    service::{ANA, BEN, CHANNEL, standin},
    standin::{APP_TOKEN, Acked, BOT_TOKEN, Fault, Order},
};
use crate::support::process::{said, until};

fn here(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/slack_foreign").join(file)
}

/// What `tests/run` installs.
fn installed(what: &str) -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR")
        .map_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let path = target.join("foreign/slack").join(what);
    assert!(path.exists(), "{} is not there: run tests/it/slack_foreign/install", path.display());
    path
}

fn by_name(list: Vec<(String, Value)>) -> Map<String, Value> {
    list.into_iter().collect()
}

fn validated(given: &Value) -> Value {
    let mut python = Command::new(installed("venv/bin/python"))
        .arg(here("blocks.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn blockkit_and_slack_sdk_have_nothing_against_what_is_sent() {
    let given = json!({ "messages": by_name(cards::messages()), "views": by_name(cards::views()) });
    let found = validated(&given);
    assert_eq!(found["wrong"], json!([]), "{found:#}");
    assert!(found["seen"].as_u64().unwrap() > 100, "{found}");
    // They can find something.
    let mut bad = given;
    bad["messages"]["card-live"]["blocks"][0]["text"]["text"] = json!("x".repeat(151));
    bad["views"]["home"]["blocks"][0]["elements"][0]["text"]["text"] = json!("x".repeat(76));
    let found = validated(&bad)["wrong"].to_string();
    assert!(found.contains("blockkit: card-live[0]") && found.contains("slack_sdk: card-live"), "{found}");
    assert!(found.contains("blockkit: home"), "{found}");
}

/// Everything that is sent, as constants of the types that Slack publishes.
fn typescript() -> String {
    let mut source = String::from(
        "import type { HomeView, KnownBlock, ModalView, Option, PlainTextElement } from '@slack/types';\n\
         type Suggestions = { options: Option[] } | { option_groups: { label: PlainTextElement; options: Option[] }[] };",
    );
    let name = |name: &str| name.replace('-', "_");
    for (key, message) in cards::messages() {
        writeln!(source, "export const {}: KnownBlock[] = {};", name(&key), message["blocks"]).unwrap();
    }
    for (key, view) in cards::views() {
        let kind = if view["type"] == "home" { "HomeView" } else { "ModalView" };
        writeln!(source, "export const view_{}: {kind} = {view};", name(&key)).unwrap();
    }
    for (key, answer) in cards::searches() {
        writeln!(source, "export const search_{}: Suggestions = {answer};", name(&key)).unwrap();
    }
    source
}

fn compiled(source: &str) -> Result<(), String> {
    let node_modules = installed("node_modules");
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&node_modules, dir.path().join("node_modules")).unwrap();
    fs::write(dir.path().join("sent.ts"), source).unwrap();
    let options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022", "sent.ts"];
    let output = Command::new(node_modules.join(".bin/tsc")).args(options).current_dir(dir.path()).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(said(&output)) }
}

#[test]
fn slacks_own_types_fit_what_is_sent() {
    let source = typescript();
    let result = compiled(&source);
    assert!(result.is_ok(), "{}", result.unwrap_err().chars().take(4_000).collect::<String>());
    let bad = source.replacen("\"rich_text_section\"", "\"rich_text_selection\"", 1);
    assert!(compiled(&bad).is_err(), "it can find something");
    let bad = source.replacen("\"accessibility_label\"", "\"accessible_label\"", 1);
    assert!(compiled(&bad).is_err(), "nothing that Slack does not know goes through");
}

/// The official client, running.
struct Bolt {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Bolt {
    fn start(api_url: &str) -> Self {
        let mut child = Command::new(installed("venv/bin/python"))
            .arg(here("bolt.py"))
            .env("SLACK_API_URL", api_url)
            .env("SLACK_BOT_TOKEN", BOT_TOKEN)
            .env("SLACK_APP_TOKEN", APP_TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (sink, stdout) = (Arc::clone(&said), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                sink.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, said }
    }

    #[track_caller]
    fn until(&self, words: &str) {
        until(&format!("bolt says `{words}`"), || self.said.lock().unwrap().contains(words));
    }
}

impl Drop for Bolt {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_bolt_lives_a_session_against_the_stand_in() {
    let slack = standin().await;
    let mut bolt = Bolt::start(&slack.api_url());
    bolt.until("connected as U0BOTBOTBOT");
    slack.connected(1).await;

    assert_eq!(slack.types(ANA, CHANNEL, "hello").await, Acked::Yes(Value::Null));
    slack.until_told(ANA, "heard hello").await;

    // Messages, a thread, a direct message, and what Slack does not take.
    assert!(slack.says(ANA, CHANNEL, "card").await.contains("here it comes"));
    bolt.until("card posted");
    bolt.until("history: missing_scope");
    let text = bolt.said.lock().unwrap().clone();
    assert_eq!(text.matches("refused: invalid_blocks").count(), 2, "{text}");
    assert!(slack.calls("chat.postMessage").iter().any(|call| call.outcome == "429"), "it was slowed down once");
    assert_eq!(slack.cards(CHANNEL).len(), 1);
    assert_eq!(slack.messages(CHANNEL).len(), 3);
    assert_eq!(slack.cards("D0000000001").len(), 1);
    assert_eq!(slack.complaints().len(), 2, "{:?}", slack.complaints());
    // What is said below it is told once the scope is given: said, changed, deleted. Its own messages bolt leaves out.
    let card = slack.cards(CHANNEL).remove(0).ts;
    assert_eq!(slack.talks(ANA, CHANNEL, &card, "unheard").await.1, None);
    slack.inner.state().scopes.insert("channels:history".into());
    let (said, told) = slack.talks(ANA, CHANNEL, &card, "is it <this> & that?").await;
    assert_eq!(told, Some(vec![Acked::Yes(Value::Null)]));
    bolt.until(&format!("message said {ANA} is it &lt;this&gt; &amp; that? below {card}"));
    let change = slack.revises(CHANNEL, &said.ts, Some("it is that"));
    assert_eq!(slack.tells(CHANNEL, &change).await, Some(vec![Acked::Yes(Value::Null)]));
    bolt.until(&format!("message message_changed {ANA} it is that below {card}"));
    let deletion = slack.revises(CHANNEL, &said.ts, None);
    assert_eq!(slack.tells(CHANNEL, &deletion).await, Some(vec![Acked::Yes(Value::Null)]));
    bolt.until(&format!("message message_deleted {ANA} it is that below {card}"));
    slack.breaks("chat.update", [Fault::Limited(1)]);
    assert_eq!(slack.presses(BEN, CHANNEL, "approve").await, Acked::Yes(Value::Null));
    bolt.until("approved 17");
    slack.card(CHANNEL, "approved 17").await;

    // A window: triggers that are used once, and live three seconds; errors, an update, a search.
    slack.types(ANA, CHANNEL, "form").await;
    bolt.until("again: exchanged_trigger_id");
    let form = slack.window(ANA, "the form", |view| view["callback_id"] == "form").await;
    let found = slack.searches(ANA, &form, "resource", "prod-").await;
    assert_eq!(found["options"][1]["value"], "prod-b");
    slack.chooses(ANA, &form, "resource", &found["options"][1]).await;
    bolt.until("chosen prod-b");
    let filled = |words: &str| [("resource", found["options"][1].clone()), ("words", json!(words))];
    let answer = slack.submits(ANA, &form, &filled("wrong")).await;
    assert_eq!(answer["errors"]["words"], "say it better");
    slack.submits(ANA, &form, &filled("right")).await;
    bolt.until(&format!("sent right by {ANA}"));
    slack.window(ANA, "it is updated", |view| view["callback_id"] == "done").await;
    assert_eq!(slack.types(ANA, CHANNEL, "late").await, Acked::Late);
    bolt.until("late: expired_trigger_id");

    slack.home(ANA).await;
    bolt.until(&format!("home {ANA}"));

    // Slack renews its connection, and goes on.
    let first = slack.inner.state().sockets.iter().map(|socket| socket.id).collect::<Vec<_>>();
    slack.renews();
    slack.order(|| Order::Close);
    let fresh = || slack.inner.state().sockets.iter().any(|socket| !first.contains(&socket.id)).then_some(());
    slack.until("another connection", fresh).await;
    let payload = slack.opens_home(BEN);
    // As Slack does: what is not acknowledged is delivered again.
    let mut retry = 0;
    while !matches!(slack.deliver_again("events_api", payload.clone(), false, Some(retry)).await, Acked::Yes(_)) {
        retry += 1;
        assert!(retry < 4, "three retries are all there are");
    }
    bolt.until(&format!("home {BEN}"));
    drop(bolt.child.stdin.take());
    bolt.until("over");
    assert!(bolt.child.wait().unwrap().success());
}
