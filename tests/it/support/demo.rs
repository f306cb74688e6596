//! The true binary, lived with over HTTP: started, killed, started again, its ledger read with its own commands.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use countersign::{
    access::Event,
    ledger::{Disclosed, Entry, history},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::process::until;

pub const BINARY: &str = env!("CARGO_BIN_EXE_countersign");

/// A folder for `--keep` that other users may enter, as `PostgreSQL`'s must.
pub fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// A running demo; it is killed when this is dropped.
pub struct Demo {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub url: String,
    /// What it said at its start.
    pub greeting: String,
    dir: PathBuf,
    errors: Arc<Mutex<String>>,
    output: Arc<Mutex<String>>,
    http: reqwest::Client,
}

/// What one person was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `done`, `info`, `refused` or `fault`.
    pub tone: String,
    /// The words, without their dress.
    pub text: String,
    /// The parts of a credential: label and text.
    pub secret: Vec<(String, String)>,
}

impl Answer {
    /// The part of a credential whose label has this word.
    #[track_caller]
    pub fn part(&self, word: &str) -> &str {
        let part = self.secret.iter().find(|(label, _)| label.contains(word));
        &part.unwrap_or_else(|| panic!("no part `{word}` in {self:?}")).1
    }
}

impl Demo {
    /// Starts `countersign demo --keep dir` on a free port, and waits until it says where it is.
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    pub fn start_with(dir: &Path, env: &[(&str, &str)]) -> Self {
        Self::start_by(dir, env, &[], &[])
    }

    /// The same with words before the command, which run it, and with more arguments.
    pub fn start_by(dir: &Path, env: &[(&str, &str)], runner: &[String], more: &[&str]) -> Self {
        let mut child = command(dir, env, runner, more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let errors = Arc::new(Mutex::new(String::new()));
        let (sink, stderr) = (Arc::clone(&errors), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("Ctrl-C") {
            if stdout.read_line(&mut greeting).unwrap() == 0 {
                let status = child.wait().unwrap();
                panic!("the demo ended at its start ({status}): {}", errors.lock().unwrap());
            }
        }
        let output = Arc::new(Mutex::new(greeting.clone()));
        let sink = Arc::clone(&output);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                sink.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let url = greeting.split("Open ").nth(1).unwrap().split("/ and").next().unwrap().to_owned();
        let http = reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
        Self { child, url, greeting, dir: dir.to_owned(), errors, output, http }
    }

    /// Starts `countersign run` with the config in `dir/bot-config`, which listens on a free port and has its ledger in
    /// `dir/ledger`, and waits until it says where it is.
    pub fn serve(dir: &Path, env: &[(String, String)]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["run", "--config"]).arg(dir.join("bot-config")).stdin(Stdio::null()).stdout(Stdio::null());
        command.envs(env.iter().map(|(name, value)| (name, value)));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("listening") {
            if stderr.read_line(&mut said).unwrap() == 0 {
                let status = child.wait().unwrap();
                panic!("the service ended at its start ({status}): {said}");
            }
        }
        let address = said.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let errors = Arc::new(Mutex::new(said));
        let sink = Arc::clone(&errors);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                sink.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let http = reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
        let (url, greeting, output) = (format!("http://{address}"), String::new(), Arc::default());
        Self { child, url, greeting, dir: dir.to_owned(), errors, output, http }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn logged(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    pub fn ledger(&self) -> PathBuf {
        self.dir.join("ledger")
    }

    pub async fn get(&self, path: &str) -> String {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap().text().await.unwrap()
    }

    pub async fn get_bytes(&self, path: &str) -> Vec<u8> {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    /// Somebody types after `/access`. `Err` if the process died over it.
    pub async fn tries_to_say(&self, who: &str, line: &str, message: &str) -> reqwest::Result<Answer> {
        self.post(who, "access", &[("line", line), ("message", message), ("view", "c/approvals")]).await
    }

    pub async fn says(&self, who: &str, line: &str) -> Answer {
        self.tries_to_say(who, line, &nonce()).await.unwrap()
    }

    pub async fn tries_to_press(
        &self,
        who: &str,
        button: &str,
        request: u64,
        message: &str,
    ) -> reqwest::Result<Answer> {
        let request = request.to_string();
        let form = [("request", request.as_str()), ("button", button), ("message", message), ("view", "c/approvals")];
        self.post(who, "press", &form).await
    }

    pub async fn presses(&self, who: &str, button: &str, request: u64) -> Answer {
        self.tries_to_press(who, button, request, &nonce()).await.unwrap()
    }

    /// What one person's open page is told, from now on. `Err` if the process died over it.
    pub async fn changes(&self, who: &str) -> reqwest::Result<Changes> {
        // It stays open for as long as the process lives.
        let http = reqwest::Client::builder().build().unwrap();
        Ok(Changes(http.get(format!("{}/as/{who}/events", self.url)).send().await?))
    }

    /// Waits until one person's page has this in it.
    pub async fn until_shown(&self, who: &str, view: &str, text: &str) {
        let mut changes = self.changes(who).await.unwrap();
        while !self.get(&format!("/as/{who}/{view}")).await.contains(text) {
            changes.next().await.unwrap_or_else(|| panic!("{view} never shows {text}"));
        }
    }

    async fn post(&self, who: &str, what: &str, form: &[(&str, &str)]) -> reqwest::Result<Answer> {
        Ok(answer(&self.post_page(who, what, form).await?))
    }

    /// Sends a form; the whole page that comes back.
    pub async fn post_page(&self, who: &str, what: &str, form: &[(&str, &str)]) -> reqwest::Result<String> {
        self.http.post(format!("{}/as/{who}/{what}", self.url)).form(form).send().await?.text().await
    }

    /// Kills it as the power does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself, or was killed by somebody else.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn is_dead(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Asks it to stop, and waits.
    pub fn stop(mut self) -> ExitStatus {
        signal(self.child.id(), rustix::process::Signal::TERM);
        self.child.wait().unwrap()
    }

    /// The entries of its ledger, read from the folder.
    pub fn entries(&self) -> Vec<Value> {
        entries(&self.ledger())
    }

    /// The id of the newest request.
    pub fn newest_request(&self) -> u64 {
        let entries = self.entries();
        entries.iter().rfind(|entry| entry["kind"] == "access.requested").unwrap()["seq"].as_u64().unwrap()
    }

    /// Waits for an entry of this kind about this request.
    #[track_caller]
    pub fn until(&self, kind: &str, request: u64) {
        until(&format!("{kind} of {request}"), || happened(&self.entries(), kind, request));
    }

    /// The throwaway database's port.
    pub fn database_port(&self) -> u16 {
        let after = self.greeting.split("throwaway cluster on 127.0.0.1:").nth(1).expect("the demo has a database");
        after.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The word that something has changed, each time it has.
pub struct Changes(reqwest::Response);

impl Changes {
    /// Waits for the next; `None` if the process died.
    pub async fn next(&mut self) -> Option<()> {
        self.0.chunk().await.ok().flatten().map(drop)
    }
}

fn command(dir: &Path, env: &[(&str, &str)], runner: &[String], more: &[&str]) -> Command {
    let mut words = runner.iter().map(String::as_str).chain([BINARY, "demo", "--listen", "127.0.0.1:0", "--keep"]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).arg(dir).args(more).envs(env.iter().copied()).stdin(Stdio::null());
    command
}

/// Starts it and kills it so much later, whether it is there by then or not. Whether it was not.
pub async fn dies_starting(dir: &Path, env: &[(&str, &str)], more: &[&str], after: Duration) -> bool {
    let mut child = command(dir, env, &[], more).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(after).await;
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    !String::from_utf8_lossy(&output.stdout).contains("Ctrl-C")
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A fresh message id.
pub fn nonce() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// Runs one of the binary's commands: exit code, standard output, standard error.
pub fn countersign(args: &[&str]) -> (i32, String, String) {
    countersign_with(args, &[])
}

/// The same with these environment variables.
pub fn countersign_with(args: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(BINARY).args(args).envs(env.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// The lines of a ledger, as `log --json` gives them.
pub fn entries(ledger: &Path) -> Vec<Value> {
    let (code, lines, errors) = countersign(&["log", "--json", "--ledger", &ledger.to_string_lossy()]);
    assert_eq!(code, 0, "{errors}");
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn happened(entries: &[Value], kind: &str, request: u64) -> bool {
    entries.iter().any(|entry| entry["kind"] == kind && entry["body"]["request"] == request)
}

/// `verify` has nothing to say against a ledger.
#[track_caller]
pub fn assert_verifies(ledger: &Path) {
    let (code, said, errors) = countersign(&["verify", &ledger.to_string_lossy()]);
    assert_eq!(code, 0, "{said}{errors}");
}

/// The answer on a page.
pub fn answer(page: &str) -> Answer {
    let section = page.split("<section class=\"answer\"").nth(1).unwrap_or_else(|| panic!("no answer in {page}"));
    let section = section.split("</section>").next().unwrap();
    let between = |text: &str, start: &str, end: &str| {
        text.split(start).nth(1).and_then(|rest| rest.split(end).next()).unwrap_or_default().to_owned()
    };
    let parts = section.split("<div class=\"part\"").skip(1);
    let secret =
        parts.map(|part| (plain(&between(part, "data-label=\"", "\"")), plain(&between(part, "<code>", "</code>"))));
    Answer {
        tone: between(section, "data-tone=\"", "\""),
        text: plain(&between(section, "<div class=\"lines\">", "</div>")),
        secret: secret.collect(),
    }
}

/// What a message is called in the ledger.
pub fn key(who: &str, message: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["playground", who, message] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut key = hex::encode(hash.finalize());
    key.truncate(32);
    key
}

/// The entries of a ledger's folder with what is sealed in them, whether a process uses it or not.
pub fn opened(ledger: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    let read = history::entries(ledger, Event::knows, |entry| entries.push(entry));
    read.unwrap_or_else(|e| panic!("{e}"));
    entries
}

/// What a page shows of a text with words in backticks.
pub fn unmarked(text: &str) -> String {
    text.replace('`', "")
}

/// What is sealed in an entry under a name; empty if there is nothing.
pub fn text_of(entry: &Entry, name: &str) -> String {
    let opened = entry.disclosed.iter().find_map(|disclosed| match disclosed {
        Disclosed::Open(open) if open.name == name => Some(open.value.clone()),
        Disclosed::Open(_) | Disclosed::Erased { .. } | Disclosed::Locked { .. } => None,
    });
    opened.unwrap_or_default()
}

/// Markup to text: tags out, entities back.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut tag = false;
    for c in html.chars() {
        match c {
            '<' => tag = true,
            '>' => tag = false,
            c if !tag => text.push(c),
            _ => {}
        }
    }
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    entities.iter().fold(text, |text, (entity, c)| text.replace(entity, c))
}
