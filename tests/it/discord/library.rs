//! A library that nobody here wrote lives a session against the stand-in: what we hold our adapter against is like Discord
//! to others too.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::json;

use super::{
    ANA, Manners, Standin,
    standin::{
        Act, CHANNEL, GUILD, TOKEN,
        people::{People, Way},
    },
};
use crate::support::process::until;

struct Library {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Library {
    fn start(standin: &Standin) -> Self {
        let target = PathBuf::from(env!("CARGO_BIN_EXE_countersign")).parent().unwrap().parent().unwrap().to_owned();
        let python = target.join("foreign/discord/venv/bin/python");
        assert!(python.exists(), "run tests/it/discord/foreign/install first");
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/discord/foreign/session.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([&standin.url, &standin.gateway_url, TOKEN, GUILD, CHANNEL])
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    said.lock().unwrap().push_str(&(line + "\n"));
                }
            });
        }
        Self { child, said }
    }

    #[track_caller]
    fn says(&self, standin: &Standin, word: &str) {
        let said = || self.said.lock().unwrap().clone();
        tokio::task::block_in_place(|| {
            let mut tries = 0;
            until("the library says it, or never will", || {
                tries += 1;
                said().lines().any(|line| line == word) || tries > 900
            });
        });
        assert!(said().lines().any(|line| line == word), "{word} in:\n{}\n{:#?}", said(), standin.world().calls);
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_py_lives_a_session() {
    let standin = Standin::start(Manners::default()).await;
    standin.world().members.insert(ANA.to_owned(), Vec::new());
    let people = People::new(Arc::clone(&standin), Way::Gateway);
    let library = Library::start(&standin);
    library.says(&standin, "ready");
    assert_eq!(standin.world().commands[0]["name"], "access");
    // A command, deferred and answered, with a card, an edit and a thread.
    let value = people.interaction(
        ANA,
        2,
        json!({ "id": standin.world().commands[0]["id"], "name": "access", "type": 1,
        "guild_id": GUILD, "options": [{ "name": "resource", "type": 3, "value": "prod-db" }] }),
    );
    let id = people.delivers_only(value).await;
    library.says(&standin, "said");
    let seen = people.sees(&id).await;
    assert_eq!(seen.callback["type"], 5);
    let known = standin.world().interactions[&seen.id].clone();
    assert_eq!(known.original.unwrap()["content"], "asked for prod-db");
    assert_eq!(known.followups[0]["content"], "and more");
    let card = standin.in_channel(CHANNEL).pop().unwrap();
    assert_eq!((card.body["embeds"][0]["title"].as_str(), card.edits), (Some("a card, changed"), 1));
    assert_eq!(standin.world().threads[&card.id]["name"], "history");
    // A button, a form, and what was written in it.
    let seen = people.does(ANA, 3, json!({ "custom_id": "deny:1", "component_type": 2 })).await;
    library.says(&standin, "form");
    let sent = people.sends(ANA, &seen.callback["data"], &[]).await;
    library.says(&standin, "denied");
    assert!(sent.messages[0]["content"].as_str().unwrap().starts_with("denied: "));
    // The connection is cut: it takes its session up again.
    standin.act(Act::Reconnect);
    library.says(&standin, "resumed");
    assert_eq!(standin.world().identified.len(), 1);
}
