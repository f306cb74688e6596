//! Fifty commands a second for a minute, through the true binary and a stand-in for Slack on loopback.
//!
//! The limit: from the command to its acknowledgement under 100 ms at p99, and every one of them in the ledger.
//! `COUNTERSIGN_BENCH_SECS` makes it shorter; `cargo bench --bench slack` runs it whole.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::panic,
    dead_code,
    reason = "a bench measures, fails by panicking, and needs less of the stand-in than the tests"
)]

#[path = "../tests/it/slack/standin/mod.rs"]
mod standin;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use standin::{APP_TOKEN, Acked, BOT_TOKEN, Standin, TEAM};
use tokio::time::{MissedTickBehavior, interval};

const BINARY: &str = env!("CARGO_BIN_EXE_countersign");
const PER_SECOND: u32 = 50;
const SECS_DEFAULT: u32 = 60;
const ACK_MAX: Duration = Duration::from_millis(100);
/// Nobody asks for a resource twice, and nobody has more than twenty requests waiting, which is all they may.
const PEOPLE: u32 = 160;
const RESOURCES: u32 = 20;
const CHANNEL: &str = "C0123456789";

fn user(n: u32) -> String {
    format!("U{n:010}")
}

fn config(dir: &Path, api_url: &str) {
    let config = dir.join("config");
    fs::create_dir_all(&config).unwrap();
    let server = format!(
        "[ledger]\npath = \"{}\"\norigin = \"countersign.example/bench\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [slack]\nteam_id = \"{TEAM}\"\nchannel = \"{CHANNEL}\"\napi_url = \"{api_url}\"\n",
        dir.join("ledger").display(),
    );
    let (mut people, mut resources) = (String::new(), String::new());
    for n in 0..PEOPLE {
        write!(people, "[[person]]\nname = \"p{n}\"\nslack = \"{}\"\n", user(n)).unwrap();
    }
    let names: Vec<String> = (0..PEOPLE).map(|n| format!("\"p{n}\"")).collect();
    write!(people, "[[group]]\nname = \"all\"\nmembers = [{}]\n", names.join(", ")).unwrap();
    for n in 0..RESOURCES {
        write!(
            resources,
            "[[resource]]\nname = \"r{n}\"\ndescription = \"number {n}\"\nprovider = \"token\"\n\
             approvers = [\"group:all\"]\nmax_duration = \"2h\"\n[resource.token]\n\
             issuer = \"https://countersign.example\"\naudience = \"https://r{n}.example\"\n"
        )
        .unwrap();
    }
    for (file, text) in [
        ("countersign.toml", server),
        ("people.toml", people),
        ("resources.toml", resources),
        ("policy.cedar", String::new()),
    ] {
        fs::write(config.join(file), text).unwrap();
    }
}

/// The service; it is killed when this is dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn requested(ledger: &Path) -> usize {
    let output = Command::new(BINARY).args(["log", "--json", "--ledger"]).arg(ledger).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().matches("\"kind\":\"access.requested\"").count()
}

#[tokio::main]
async fn main() {
    let secs = std::env::var("COUNTERSIGN_BENCH_SECS").map_or(SECS_DEFAULT, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let users: Vec<String> = (0..PEOPLE).map(user).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let slack = Standin::start(&users, &[CHANNEL]).await;
    config(dir.path(), &slack.api_url());
    let child = Command::new(BINARY)
        .args(["run", "--config"])
        .arg(dir.path().join("config"))
        .env("SLACK_BOT_TOKEN", BOT_TOKEN)
        .env("SLACK_APP_TOKEN", APP_TOKEN)
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let service = Service(child);
    slack.connected(2).await;

    let total = PER_SECOND * secs;
    let mut pace = interval(Duration::from_secs(1) / PER_SECOND);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut tasks = Vec::new();
    for n in 0..total {
        pace.tick().await;
        let slack = slack.clone();
        tasks.push(tokio::spawn(async move {
            let payload = slack.command(&user(n % PEOPLE), CHANNEL, &format!("r{} 10m bench {n}", n / PEOPLE));
            let since = Instant::now();
            let acked = slack.deliver("slash_commands", payload, true).await;
            let took = since.elapsed();
            let said = match acked {
                Acked::Yes(payload) => payload["text"].to_string(),
                Acked::Late | Acked::Nobody => panic!("number {n} was not acknowledged"),
            };
            assert!(said.contains("Asked:"), "{said}");
            took
        }));
    }
    let mut took = Vec::new();
    for task in tasks {
        took.push(task.await.unwrap());
    }
    took.sort_unstable();
    let at = |per_mille: usize| took[(took.len() - 1) * per_mille / 1_000];
    let cards = slack.cards(CHANNEL).len();
    drop(service);
    let found = requested(&dir.path().join("ledger"));
    println!(
        "{total} commands at {PER_SECOND}/s: acknowledged p50 {:.1?}, p99 {:.1?}, slowest {:.1?}; {found} in the ledger; \
         {cards} cards so far, one a second as Slack has it",
        at(500),
        at(990),
        at(1_000),
    );
    assert_eq!(found, usize::try_from(total).unwrap(), "every one of them is in the ledger");
    assert!(at(990) < ACK_MAX, "p99 is {:?}", at(990));
}
