//! A life of the demo with deaths in it: steps that are done again after each, and what has to hold in between.

use std::{collections::BTreeMap, os::unix::process::ExitStatusExt as _, path::PathBuf};

use serde_json::Value;

use super::{
    demo::{self, Answer, Demo, assert_verifies, happened, key, nonce},
    postgres::psql,
    process::until,
    strace::{Doom, Strace},
};

/// What is done in a step.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Typed after `/access`, to ask for something.
    Asks(String),
    /// Typed after `/access`; `ID` stands for the request's.
    Says(&'static str),
    /// Pressed on a card.
    Presses(&'static str),
    /// Nothing is done: the time passes.
    Waits,
}

/// A step of a story, and the entry about its request that says it is finished.
#[derive(Debug, Clone)]
pub struct Step {
    pub who: &'static str,
    pub deed: Deed,
    pub finished_by: &'static [&'static str],
}

impl Step {
    pub fn asks(line: &str) -> Self {
        Self { who: "ana", deed: Deed::Asks(line.to_owned()), finished_by: &["card.posted"] }
    }

    pub fn presses(who: &'static str, button: &'static str, finished_by: &'static [&'static str]) -> Self {
        Self { who, deed: Deed::Presses(button), finished_by }
    }

    pub fn presses_button(&self, button: &str) -> bool {
        matches!(self.deed, Deed::Presses(pressed) if pressed == button)
    }

    pub fn says(who: &'static str, line: &'static str, finished_by: &'static [&'static str]) -> Self {
        Self { who, deed: Deed::Says(line), finished_by }
    }

    pub fn waits_for(finished_by: &'static [&'static str]) -> Self {
        Self { who: "", deed: Deed::Waits, finished_by }
    }
}

/// What lives.
enum Kind {
    /// The demo, with a database of its own.
    Demo,
    /// The service, with this environment.
    Service(Vec<(String, String)>),
}

impl Kind {
    fn start(&self, dir: &std::path::Path) -> Demo {
        match self {
            Self::Demo => Demo::start(dir),
            Self::Service(env) => Demo::serve(dir, env),
        }
    }
}

/// A demo or a service that is killed and started again.
pub struct Life {
    dir: tempfile::TempDir,
    kind: Kind,
    demo: Option<Demo>,
    /// The entries that were there when somebody last looked.
    known: Vec<Value>,
    /// Messages that were answered: their keys in the ledger.
    answered: Vec<String>,
    /// Every message id that was used.
    messages: Vec<String>,
    /// The request that the steps are about.
    pub request: u64,
    /// How often it died.
    pub deaths: u32,
}

impl Life {
    pub fn start() -> Self {
        Self::of(demo::folder(), Kind::Demo)
    }

    /// The service, with its config in the folder's `bot-config`.
    pub fn serve(dir: tempfile::TempDir, env: Vec<(String, String)>) -> Self {
        Self::of(dir, Kind::Service(env))
    }

    fn of(dir: tempfile::TempDir, kind: Kind) -> Self {
        let demo = Some(kind.start(dir.path()));
        let (known, answered, messages) = (Vec::new(), Vec::new(), Vec::new());
        Self { dir, kind, demo, known, answered, messages, request: 0, deaths: 0 }
    }

    pub fn demo(&self) -> &Demo {
        self.demo.as_ref().unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ledger(&self) -> PathBuf {
        self.path("ledger")
    }

    /// The entries in the folder, whether the process lives or not.
    pub fn entries(&self) -> Vec<Value> {
        demo::opened(&self.ledger()).iter().map(|entry| serde_json::from_slice(&entry.line).unwrap()).collect()
    }

    /// Does a step to its end, and if it was killed over it, starts again and does the step again with the same
    /// message. Whether it was killed, and the last answer.
    pub async fn step(&mut self, step: &Step, doom: Option<Doom>) -> (bool, Option<Answer>) {
        let message = nonce();
        let strace = doom.map(|doom| Strace::attach(self.demo().pid(), doom));
        let mut answer = self.tries(step, &message).await;
        let finished = self.until_finished_or_dead(step, &message);
        if let Some(strace) = strace {
            strace.detach();
        }
        let died = self.demo.as_mut().unwrap().is_dead();
        assert!(died || finished, "{step:?} is neither finished nor was it killed: {:#?}", self.entries());
        if died {
            self.rises();
            let entry = of_key(&self.entries(), &key(step.who, &message)).is_some();
            let again = self.tries(step, &message).await;
            if let Some(again) = &again {
                let said_again = again.text.contains("done already");
                assert_eq!(said_again, entry, "{step:?} is done once, and it is said: {again:?}");
            }
            // A credential that was ordered and got lost with the process is not made again by the same press.
            if step.presses_button("show") && answer.is_none() {
                answer = match again {
                    Some(again) if again.secret.is_empty() => self.tries(step, &nonce()).await,
                    again => again,
                };
            } else {
                answer = answer.or(again);
            }
            assert!(self.until_finished_or_dead(step, &message), "{step:?} is finished after a restart");
        }
        (died, answer)
    }

    /// Kills it and starts it again.
    pub fn dies_between_steps(&mut self) {
        demo::signal(self.demo().pid(), rustix::process::Signal::KILL);
        self.rises();
    }

    /// Kills it, and leaves it lying until something is so.
    pub fn lies_dead_until(&mut self, what: &str, so: impl FnMut() -> bool) {
        demo::signal(self.demo().pid(), rustix::process::Signal::KILL);
        until(what, so);
        self.rises();
    }

    /// After a death: looks at what it left behind, starts it again, and looks again.
    fn rises(&mut self) {
        let status = self.demo.take().unwrap().wait();
        assert_eq!(status.signal(), Some(9), "it was killed, and did not end by itself");
        self.deaths += 1;
        self.look();
        self.demo = Some(self.kind.start(self.dir.path()));
        assert_verifies(&self.ledger());
        self.look();
    }

    /// Nothing that was there is gone or different, and every answer has its entry.
    fn look(&mut self) {
        let entries = self.entries();
        assert!(entries.starts_with(&self.known), "entries are gone or changed: {:#?} {entries:#?}", self.known);
        for key in &self.answered {
            assert!(of_key(&entries, key).is_some(), "a message was answered and is not in the ledger");
        }
        self.known = entries;
    }

    async fn tries(&mut self, step: &Step, message: &str) -> Option<Answer> {
        let demo = self.demo.as_ref().unwrap();
        let answer = match &step.deed {
            Deed::Asks(line) => demo.tries_to_say(step.who, line, message).await,
            Deed::Says(line) => {
                let line = line.replace("ID", &self.request.to_string());
                demo.tries_to_say(step.who, &line, message).await
            }
            Deed::Presses(button) => demo.tries_to_press(step.who, button, self.request, message).await,
            Deed::Waits => return None,
        };
        self.messages.push(key(step.who, message));
        let answer = answer.ok()?;
        self.answered.push(key(step.who, message));
        assert!(["done", "info"].contains(&answer.tone.as_str()) || answer.text.contains("done already"), "{answer:?}");
        Some(answer)
    }

    /// Waits until a step is finished, in the public copy too, or the process is dead. Whether it is finished.
    fn until_finished_or_dead(&mut self, step: &Step, message: &str) -> bool {
        let mut finished = false;
        until(&format!("{step:?} is finished"), || {
            if self.demo.as_mut().unwrap().is_dead() {
                return true;
            }
            let entries = self.entries();
            if matches!(step.deed, Deed::Asks(_)) {
                let asked = of_key(&entries, &key(step.who, message));
                let request = asked.and_then(|seq| {
                    entries.iter().find(|e| e["kind"] == "access.requested" && e["body"]["message"] == seq)
                });
                let Some(request) = request else { return false };
                self.request = request["seq"].as_u64().unwrap();
            }
            finished = step.finished_by.iter().all(|kind| happened(&entries, kind, self.request))
                && self.published() == Some(entries.len());
            finished
        });
        finished && !self.demo.as_mut().unwrap().is_dead()
    }

    fn published(&self) -> Option<usize> {
        let checkpoint = std::fs::read_to_string(self.ledger().join("public/checkpoint")).ok()?;
        checkpoint.lines().nth(1)?.parse().ok()
    }

    /// What the demo's own login in the database sees.
    pub fn sql(&self, sql: &str) -> String {
        let kept: Value = serde_json::from_slice(&std::fs::read(self.path("postgres/cluster.json")).unwrap()).unwrap();
        let (port, password) = (self.demo().database_port(), kept["password"].as_str().unwrap());
        let url = format!("postgres://countersign_bot:{password}@127.0.0.1:{port}/orders?sslmode=disable");
        psql(&url, sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// The roles with our mark.
    pub fn roles(&self) -> String {
        self.sql("SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname LIKE 'cs\\_%'")
    }

    /// At the end of all stories: nothing was done twice, every grant has one end, and nothing is open.
    pub fn ends(mut self) {
        self.look();
        let entries = self.known.clone();
        let count = |so: &dyn Fn(&Value) -> bool| entries.iter().filter(|e| so(e)).count();
        for key in &self.messages {
            assert!(count(&|e| e["body"]["key"] == **key) <= 1, "a message is in the ledger twice");
        }
        let mut by_message: BTreeMap<(String, u64), usize> = BTreeMap::new();
        for entry in &entries {
            if let Some(message) = entry["body"]["message"].as_u64() {
                *by_message.entry((entry["kind"].as_str().unwrap().to_owned(), message)).or_default() += 1;
            }
        }
        assert!(by_message.values().all(|times| *times == 1), "one message had an effect twice: {by_message:?}");
        for request in entries.iter().filter(|e| e["kind"] == "access.requested").map(|e| e["seq"].clone()) {
            let of = |kind: &str| count(&|e| e["kind"] == kind && e["body"]["request"] == request);
            if of("grant.ordered") > 0 {
                assert_eq!(of("grant.ended") + of("grant.failed"), 1, "request {request} ends once: {entries:#?}");
                assert_eq!(of("grant.issued"), 1, "request {request} is issued once");
            }
        }
        if matches!(self.kind, Kind::Demo) {
            assert_eq!(self.roles(), "", "nothing with our mark is left in the database");
        }
        let ledger = self.ledger();
        assert!(self.demo.take().unwrap().stop().success());
        assert_verifies(&ledger);
    }
}

/// The index of the message with a key.
fn of_key(entries: &[Value], key: &str) -> Option<u64> {
    entries.iter().find(|entry| entry["body"]["key"] == key)?["seq"].as_u64()
}
