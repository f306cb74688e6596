//! How fast a door of a real database is: a grant, a credential and a revocation of `postgres` on loopback while 500
//! grants are live, and a look over 5,000 objects. The server is started as the tests start theirs, with its syncs on.
//!
//! The limits: grant and revoke under 50 ms at p50, a sweep over 5,000 objects under 2 s.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench measures, and fails by panicking"
)]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/support/door.rs"]
mod door;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/support/postgres.rs"]
mod postgres;
#[path = "../tests/it/support/process.rs"]
mod process;

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use countersign::provider::Provider;
use serde_json::json;

use door::{Place, TAG, order};
use postgres::Server;

const LIVE: u64 = 500;
const ROUNDS: u64 = 200;
const OBJECTS: u64 = 5_000;
const SWEEPS: usize = 15;
const CALL_MAX: Duration = Duration::from_millis(50);
const SWEEP_MAX: Duration = Duration::from_secs(2);

/// Roles with our mark, made by hand: as many as nobody wants to wait for.
fn made_by_hand(from: u64, to: u64, end: i64) -> String {
    format!(
        "DO $$ BEGIN FOR i IN {from}..{to} LOOP \
         EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT PASSWORD NULL VALID UNTIL %L CONNECTION LIMIT 4 IN ROLE app_rw', \
         'cs_{TAG}_' || i, to_timestamp({end})); \
         EXECUTE format('ALTER ROLE %I SET role = ''app_rw''', 'cs_{TAG}_' || i); \
         EXECUTE format('COMMENT ON ROLE %I IS %L', 'cs_{TAG}_' || i, \
         '{{\"countersign\":\"cs_{TAG}_' || i || '\",\"exp\":{end},\"log\":\"{TAG}\",\"request\":' || i || ',\"resource\":\"prod-db\"}}'); \
         END LOOP; END $$"
    )
}

/// Says the median and the p99, and holds the median against a limit.
fn told(what: &str, mut times: Vec<Duration>, most: Duration) -> bool {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    let (median, slow) = (at(50), at(99));
    let verdict = if median < most { "kept" } else { "BROKEN" };
    println!(
        "{what:<44} p50 {:>8.1} ms   p99 {:>8.1} ms   limit {:>6.0} ms at p50: {verdict}",
        ms(median),
        ms(slow),
        ms(most),
    );
    median < most
}

async fn timed<T>(times: &mut Vec<Duration>, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    times.push(began.elapsed());
    done
}

async fn calls(provider: &dyn Provider) -> bool {
    for number in 0..LIVE {
        provider.grant(&order("prod-db", number)).await.unwrap();
    }
    let (mut grants, mut credentials, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for number in LIVE..LIVE + ROUNDS {
        let order = order("prod-db", number);
        timed(&mut grants, provider.grant(&order)).await.unwrap();
        drop(timed(&mut credentials, provider.credential(&order, 1)).await.unwrap());
        timed(&mut ends, provider.revoke(&order)).await.unwrap();
    }
    assert_eq!(provider.list(TAG).await.unwrap().len(), usize::try_from(LIVE).unwrap());
    let kept = [
        told(&format!("grant, {LIVE} live"), grants, CALL_MAX),
        told(&format!("credential, {LIVE} live"), credentials, CALL_MAX),
        told(&format!("revoke, {LIVE} live"), ends, CALL_MAX),
    ];
    kept.iter().all(|kept| *kept)
}

async fn sweeps(provider: &dyn Provider, server: &Server) -> bool {
    let end = door::now().timestamp() + 3600;
    server.sql(&made_by_hand(LIVE, OBJECTS - 1, end));
    let (mut lists, mut marks, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    let config = tempfile::tempdir().unwrap();
    let at = |name: &str| config.path().join(name);
    fs::write(
        at("countersign.toml"),
        "[ledger]\npath = \"data\"\norigin = \"example.com/bench\"\n[playground]\nchannel = \"x\"\n",
    )
    .unwrap();
    fs::write(at("people.toml"), "[[person]]\nname = \"ana\"\n[[person]]\nname = \"ben\"\n").unwrap();
    fs::write(at("policy.cedar"), "").unwrap();
    fs::write(
        at("resources.toml"),
        "[[resource]]\nname = \"prod-db\"\nprovider = \"postgres\"\napprovers = [\"person:ben\"]\nmax_duration = \"1h\"\n\
         [resource.postgres]\nurl_env = \"URL\"\nrole = \"app_rw\"\n",
    )
    .unwrap();
    for _ in 0..SWEEPS {
        let listed = timed(&mut lists, provider.list(TAG)).await.unwrap();
        let marked = timed(&mut marks, provider.marked()).await.unwrap().unwrap();
        let all = usize::try_from(OBJECTS).unwrap();
        assert_eq!((listed.len(), marked.items.len()), (all, all));
        let began = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["sweep", "--dry-run", "--config"]).arg(config.path()).env("URL", server.bot_url());
        let said = process::run(&mut command);
        whole.push(began.elapsed());
        assert!(said.contains(&format!("{OBJECTS} with our mark")), "{said}");
    }
    let kept = [
        told(&format!("the service's look at {OBJECTS} objects"), lists, SWEEP_MAX),
        told(&format!("{OBJECTS} marks, of all logs"), marks, SWEEP_MAX),
        told(&format!("`countersign sweep` over {OBJECTS} objects"), whole, SWEEP_MAX),
    ];
    kept.iter().all(|kept| *kept)
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = runtime.block_on(async {
        let server = Server::start_with(&["fsync=on", "synchronous_commit=on"]);
        let place = Place::new(&[("URL", &server.bot_url())]);
        let provider = place.open("postgres", "prod-db", &json!({ "url_env": "URL", "role": "app_rw" }));
        let calls = calls(provider.as_ref()).await;
        sweeps(provider.as_ref(), &server).await && calls
    });
    assert!(kept, "a limit is broken");
}
