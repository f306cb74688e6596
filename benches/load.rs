//! A busy day: 10,000 live grants and 1,000 requests a minute for ten minutes, with a provider that takes 200 ms.
//!
//! The limits: no grant ends more than 1 s after its time at p99, a click is answered within 50 ms at p99, and the
//! process stays under 300 MB. `COUNTERSIGN_LOAD_MINUTES` makes it shorter, `cargo bench --bench load` runs it whole.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench measures, and fails by panicking"
)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use countersign::{
    access::{Chat, RequestId, Resource, Span, Standing, Target},
    chat::{
        Adapter, Bulletin, ChatError, Inbound, Input, Notice, Reply, Service as _, Tone,
        card::{Button, Card, Span as Run},
    },
    engine::{
        self, Engine, Handle, Setup,
        clock::{Clock, SystemClock},
        doors::Doors,
        ground::Disk,
        rulebook::{self, Rulebook},
    },
    policy::{Book, Facts, Guarded, Policies, Who},
    provider::{
        Credential, Description, Holder, Item, NativeExpiry, Order, Provider, ProviderError, PublicDocument, SessionEnd,
    },
};

const LIVE: usize = 10_000;
const REQUESTS_PER_MINUTE: u64 = 1_000;
const MINUTES_DEFAULT: u64 = 10;
const PEOPLE: usize = 2_000;
const APPROVERS: usize = 20;
const PROVIDER_TAKES: Duration = Duration::from_millis(200);
const LATE_MAX: Duration = Duration::from_secs(1);
const CLICK_MAX: Duration = Duration::from_millis(50);
const MEMORY_MAX_MB: u64 = 300;
/// Requests of the first ten thousand that are made at the same time.
const AT_ONCE: usize = 64;

/// Doors that take their time, and know when each was shut.
struct Slow {
    clock: Arc<dyn Clock>,
    late: Mutex<Vec<Duration>>,
    open: AtomicU64,
}

#[async_trait]
impl Provider for Slow {
    fn describe(&self) -> Description {
        describe()
    }

    fn plan(&self) -> Vec<String> {
        vec!["open a door".into()]
    }

    async fn check(&self) -> Result<Vec<String>, ProviderError> {
        Ok(Vec::new())
    }

    async fn grant(&self, _: &Order) -> Result<(), ProviderError> {
        tokio::time::sleep(PROVIDER_TAKES).await;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn credential(&self, _: &Order, _: u32) -> Result<Credential, ProviderError> {
        Err(ProviderError::Permanent("nobody asks for one here".into()))
    }

    async fn revoke(&self, order: &Order) -> Result<(), ProviderError> {
        tokio::time::sleep(PROVIDER_TAKES).await;
        self.open.fetch_sub(1, Ordering::Relaxed);
        let late = (self.clock.now() - order.not_after).to_std().unwrap_or_default();
        self.late.lock().unwrap().push(late);
        Ok(())
    }

    async fn list(&self, _: &str) -> Result<Vec<Item>, ProviderError> {
        Ok(Vec::new())
    }

    async fn public(&self, _: &str) -> Option<PublicDocument> {
        None
    }
}

fn describe() -> Description {
    Description {
        name: "slow",
        native_expiry: NativeExpiry::None,
        ends_sessions: SessionEnd::Yes,
        lists: false,
        shared: false,
        activity: false,
        max_ttl_secs: None,
    }
}

/// A chat that is quick and keeps nothing.
struct Quick;

#[async_trait]
impl Adapter for Quick {
    fn chat(&self) -> Chat {
        Chat::Slack
    }

    fn forgets(&self) -> bool {
        false
    }

    async fn put_card(&self, channel: &str, _: Option<&Standing>, card: &Card) -> Result<Standing, ChatError> {
        Ok(Standing { message: format!("{channel}/{}", card.request.0), told: 0 })
    }

    async fn direct(&self, _: &str, key: &str, _: &Notice) -> Result<String, ChatError> {
        Ok(key.to_owned())
    }

    async fn post(&self, _: Option<&str>, key: &str, _: &Bulletin) -> Result<String, ChatError> {
        Ok(key.to_owned())
    }
}

fn rules() -> Policies {
    let mut facts = Facts::new();
    let mut add = |name: String| facts.add_person(&name, [(Chat::Slack, name.clone())]);
    (0..PEOPLE).for_each(|n| add(format!("p{n}")));
    (0..APPROVERS).for_each(|n| add(format!("a{n}")));
    let approvers: Vec<Who> = (0..APPROVERS).map(|n| Who::Person(format!("a{n}"))).collect();
    for n in 0..10 {
        let target = Target { provider: "slow".into(), settings: serde_json::Map::new() };
        let resource = Resource::new(format!("door{n}"), target, 1, Span::from_secs(4 * 3600).unwrap());
        facts.add_resource(Guarded::new(resource, approvers.clone()));
    }
    let book = Book::read("", Some(&facts)).book.unwrap();
    Policies::new(facts, book).unwrap()
}

struct Day {
    handle: Arc<Handle>,
    messages: AtomicU64,
    clicks: Mutex<Vec<Duration>>,
    asks: Mutex<Vec<Duration>>,
}

impl Day {
    async fn says(&self, who: String, input: Input) -> (Reply, Duration) {
        let message = self.messages.fetch_add(1, Ordering::Relaxed).to_string();
        let inbound =
            Inbound { chat: Chat::Slack, account: who, channel: "approvals".into(), message, input, evidence: None };
        let started = Instant::now();
        let reply = self.handle.submit(inbound).await;
        (reply, started.elapsed())
    }

    /// One request, and its approval.
    async fn round(&self, n: usize, secs: u64, counted: bool) {
        let line = format!("door{} {secs}s load {n}", n % 10);
        let (reply, asked) = self.says(format!("p{}", n % PEOPLE), Input::Line(line)).await;
        assert_eq!(reply.tone, Tone::Done, "{:?}", reply.lines);
        let id = reply.lines.iter().flatten().find_map(|run| match run {
            Run::Code(text) => text.strip_prefix('#')?.parse().ok(),
            Run::Text(_) | Run::Time(_) | Run::Person(_) | Run::Strong(_) => None,
        });
        let press = Input::Press { request: RequestId(id.unwrap()), button: Button::Approve, text: None };
        let (reply, clicked) = self.says(format!("a{}", n % APPROVERS), press).await;
        assert_eq!(reply.tone, Tone::Done, "{:?}", reply.lines);
        if counted {
            self.asks.lock().unwrap().push(asked);
            self.clicks.lock().unwrap().push(clicked);
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let minutes = std::env::var("COUNTERSIGN_LOAD_MINUTES").ok().and_then(|text| text.parse().ok());
    let minutes: u64 = minutes.unwrap_or(MINUTES_DEFAULT);
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = SystemClock::start();
    let slow = Arc::new(Slow { clock: Arc::clone(&clock), late: Mutex::default(), open: AtomicU64::new(0) });
    let provider: Arc<dyn Provider> = Arc::clone(&slow) as _;
    let holder = |name: &str| Holder { name: name.to_owned(), ssh_keys: vec![] };
    let engine = Engine::start(Setup {
        ground: Arc::new(Disk {
            data: dir.path().join("ledger"),
            origin: "example.com/load".into(),
            signing_key: None,
        }),
        book: Rulebook::new(rulebook::Book { rules: Arc::new(rules()), digest: None, files: vec![] }),
        widened: Arc::new(|_, _| Vec::new()),
        entropy: engine::entropy(),
        doors: Arc::new(Doors::opened_by(Arc::new(move |_, _, _| Ok(Arc::clone(&provider))), Arc::new(holder))),
        adapters: vec![Arc::new(Quick)],
        clock: Arc::clone(&clock),
        version: "bench".into(),
    })
    .await
    .unwrap();
    let day = Arc::new(Day {
        handle: Arc::clone(&engine.handle),
        messages: AtomicU64::new(0),
        clicks: Mutex::default(),
        asks: Mutex::default(),
    });

    let started = Instant::now();
    for chunk in (0..LIVE).collect::<Vec<_>>().chunks(AT_ONCE) {
        let rounds = chunk.iter().map(|n| {
            let (day, n) = (Arc::clone(&day), *n);
            // One in ten ends within the first minutes; the rest outlive the bench.
            let secs = if n % 10 == 0 { 120 + n as u64 % 60 } else { 3 * 3600 };
            tokio::spawn(async move { day.round(n, secs, false).await })
        });
        for round in rounds.collect::<Vec<_>>() {
            round.await.unwrap();
        }
    }
    while slow.open.load(Ordering::Relaxed) < LIVE as u64 * 9 / 10 {
        tokio::time::sleep(PROVIDER_TAKES).await;
    }
    println!("{LIVE} grants live after {:.1?}", started.elapsed());

    let every = Duration::from_mins(1) / u32::try_from(REQUESTS_PER_MINUTE).unwrap();
    let mut beat = tokio::time::interval(every);
    let mut rounds = Vec::new();
    let (from, mut most_open): (DateTime<Utc>, u64) = (clock.now(), 0);
    for n in 0..usize::try_from(minutes * REQUESTS_PER_MINUTE).unwrap() {
        beat.tick().await;
        let day = Arc::clone(&day);
        let secs = 20 + n as u64 % 100;
        rounds.push(tokio::spawn(async move { day.round(LIVE + n, secs, true).await }));
        most_open = most_open.max(slow.open.load(Ordering::Relaxed));
    }
    for round in rounds {
        round.await.unwrap();
    }
    let took = clock.now() - from;
    println!("{} requests in {} s, {most_open} grants live at most", minutes * REQUESTS_PER_MINUTE, took.num_seconds());

    row("end after its time", &mut slow.late.lock().unwrap(), LATE_MAX);
    row("answer to a click", &mut day.clicks.lock().unwrap(), CLICK_MAX);
    row("answer to a request", &mut day.asks.lock().unwrap(), CLICK_MAX);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    if let Some(kilobytes) = kilobytes {
        let mb: u64 = kilobytes;
        let mb = mb / 1024;
        println!(
            "memory, at most        {mb} MB, {:.2} of the limit of {MEMORY_MAX_MB} MB",
            mb as f64 / MEMORY_MAX_MB as f64
        );
    }
    println!("ledger                 {} entries", *engine.handle.shared().size().borrow());
    engine.stop().await;
}

fn row(what: &str, times: &mut [Duration], limit: Duration) {
    times.sort_unstable();
    let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000];
    let (p50, p99, most) = (at(500), at(990), at(1000));
    let ratio = p99.as_secs_f64() / limit.as_secs_f64();
    println!(
        "{what:<22} {:>6} times, p50 {p50:.1?}, p99 {p99:.1?}, most {most:.1?}; p99 is {ratio:.2} of the limit of {limit:?}",
        times.len()
    );
}
