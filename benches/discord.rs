//! Fifty commands a second for a minute, through the true gateway of a stand-in for Discord and the true binary: how long
//! from the command to its acknowledgement, and whether every one is in the ledger.
//!
//! The limit: 100 ms at p99. `COUNTERSIGN_DISCORD_SECS` makes it shorter, `cargo bench --bench discord` runs it whole.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "a bench measures, and fails by panicking; it uses a part of what the tests have"
)]

#[path = "../tests/it/discord/standin/mod.rs"]
mod standin;

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use standin::{
    APPLICATION, Act, CHANNEL, GUILD, Manners, Standin, TOKEN,
    people::{People, Way},
};

const PER_SECOND: u64 = 50;
const SECS_DEFAULT: u64 = 60;
const LIMIT: Duration = Duration::from_millis(100);
/// People who type; each has few requests that are pending at one time.
const PEOPLE: u64 = 1_000;

struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn user(n: u64) -> String {
    (990_000_000_000_000_000 + n % PEOPLE).to_string()
}

fn config(dir: &std::path::Path, standin: &Standin) {
    std::fs::create_dir(dir).unwrap();
    let ledger = dir.parent().unwrap().join("ledger");
    let server = format!(
        "[ledger]\npath = \"{}\"\norigin = \"example.com/bench\"\n[http]\nlisten = \"127.0.0.1:0\"\n[discord]\n\
         guild_id = \"{GUILD}\"\napplication_id = \"{APPLICATION}\"\nchannel = \"{CHANNEL}\"\napi_url = \"{}\"\n",
        ledger.display(),
        standin.url
    );
    let people: Vec<String> =
        (0..PEOPLE).map(|n| format!("[[person]]\nname = \"p{n}\"\ndiscord = \"{}\"\n", user(n))).collect();
    let people = people.concat();
    let resources: Vec<String> = (0..20)
        .map(|n| {
            format!(
                "[[resource]]\nname = \"api{n}\"\nprovider = \"token\"\napprovers = [\"person:p0\"]\nmax_duration = \"2h\"\n\
                 [resource.token]\nissuer = \"https://a.example\"\naudience = \"https://b{n}.example\"\n"
            )
        })
        .collect();
    let resources = resources.concat();
    for (name, text) in [
        ("countersign.toml", &server),
        ("people.toml", &people),
        ("resources.toml", &resources),
        ("policy.cedar", &String::new()),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let secs = std::env::var("COUNTERSIGN_DISCORD_SECS").ok().and_then(|text| text.parse().ok());
    let secs: u64 = secs.unwrap_or(SECS_DEFAULT);
    let manners = Manners { heartbeat: Duration::from_secs(41), ..Manners::default() };
    let standin = Standin::start(manners).await;
    let dir = tempfile::tempdir().unwrap();
    config(&dir.path().join("bot-config"), &standin);
    let service = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["run", "--config", &dir.path().join("bot-config").to_string_lossy()])
        .env("DISCORD_BOT_TOKEN", TOKEN)
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let service = Service(service);
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    while !standin.is_connected() {
        tick.tick().await;
    }
    let people = Arc::new(People::new(Arc::clone(&standin), Way::Gateway));

    let total = secs * PER_SECOND;
    let mut beat = tokio::time::interval(Duration::from_secs(1) / u32::try_from(PER_SECOND).unwrap());
    let mut ids = Vec::new();
    for n in 0..total {
        beat.tick().await;
        let options = [
            ("resource", format!("api{}", n / PEOPLE % 20)),
            ("duration", "30m".into()),
            ("reason", format!("bench {n}")),
        ];
        let options: Vec<Value> =
            options.iter().map(|(name, value)| json!({ "name": name, "type": 3, "value": value })).collect();
        let data = json!({ "id": "1", "name": "access", "type": 1,
            "options": [{ "name": "request", "type": 1, "options": options }] });
        let value = people.interaction(&user(n), 2, data);
        people.knows(&value);
        ids.push(value["id"].as_str().unwrap().to_owned());
        standin.act(Act::Dispatch("INTERACTION_CREATE", value));
    }
    let mut took = Vec::new();
    for id in &ids {
        let seen = people.sees(id).await;
        assert_eq!(seen.tone(), "done", "{}", seen.text);
        took.push(seen.took);
    }
    took.sort_unstable();
    let at = |per_mille: usize| took[(took.len() - 1) * per_mille / 1000];
    println!(
        "command to acknowledgement  {} times, p50 {:.1?}, p99 {:.1?}, most {:.1?}; p99 is {:.2} of the limit of {LIMIT:?}",
        took.len(),
        at(500),
        at(990),
        at(1000),
        at(990).as_secs_f64() / LIMIT.as_secs_f64()
    );
    let lines = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["log", "--json", "--ledger", &dir.path().join("ledger").to_string_lossy()])
        .output()
        .unwrap();
    let lines = String::from_utf8(lines.stdout).unwrap();
    let asked = lines.lines().filter(|line| line.contains("\"kind\":\"access.requested\"")).count();
    assert_eq!(asked as u64, total, "every one is in the ledger");
    println!("in the ledger               {asked} of {total}");
    let (over, cards) = {
        let world = standin.world();
        (world.calls.iter().filter(|call| call.starts_with("429")).count(), world.messages.len())
    };
    println!("cards so far                {cards}, at what the channel takes; {over} calls over a limit");
    assert!(standin.world().wrong.is_empty(), "{:?}", standin.world().wrong);
    drop(service);
}
