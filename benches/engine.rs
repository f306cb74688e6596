//! How fast a click is: request to card, and click to grant ordered, inside the process, over a plain durable append of
//! as many entries measured in the same run. The limit is twice the plain append, at p50.
//!
//! `cargo bench --bench engine` prints criterion's figures first, then the ratios of medians from interleaved rounds.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench fails by panicking, and measures with the clock that it has"
)]

use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use countersign::{
    access::{Chat, Event, RequestId, Resource, Span, Standing, Target},
    chat::{
        Adapter, Bulletin, ChatError, Inbound, Input, Notice, Service as _,
        card::{Button, Card, Status},
    },
    engine::{
        self, Engine, Setup,
        clock::{Clock, SystemClock},
        doors::Doors,
        ground::Disk,
        rulebook::{Book, Rulebook},
    },
    ledger::{Disclosure, Draft, Ledger, Options, SubjectId},
    policy::{self, Facts, Guarded, Policies, Who},
    provider::{Holder, Surroundings},
};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::SeedableRng as _;
use tokio::{runtime::Runtime, sync::mpsc};

const ROUNDS: usize = 400;

/// A chat that only says when a card is on its screen.
struct Screen(mpsc::UnboundedSender<(u64, Status)>);

#[async_trait]
impl Adapter for Screen {
    fn chat(&self) -> Chat {
        Chat::Playground
    }

    fn forgets(&self) -> bool {
        false
    }

    async fn put_card(&self, channel: &str, _: Option<&Standing>, card: &Card) -> Result<Standing, ChatError> {
        let _ = self.0.send((card.request.0, card.status));
        Ok(Standing { message: format!("{channel}/{}", card.request.0), told: 0 })
    }

    async fn direct(&self, _: &str, key: &str, _: &Notice) -> Result<String, ChatError> {
        Ok(key.to_owned())
    }

    async fn post(&self, _: Option<&str>, key: &str, _: &Bulletin) -> Result<String, ChatError> {
        Ok(key.to_owned())
    }
}

struct House {
    engine: Engine,
    screen: mpsc::UnboundedReceiver<(u64, Status)>,
    ledger: Ledger,
    messages: u64,
    _dirs: (tempfile::TempDir, tempfile::TempDir),
}

fn rules() -> Policies {
    Policies::new(facts(), policy::Book::read("", None).book.unwrap()).unwrap()
}

fn facts() -> Facts {
    let mut facts = Facts::new();
    for name in ["ana", "ben"] {
        facts.add_person(name, [(Chat::Playground, name.to_owned())]);
    }
    let settings = serde_json::json!({ "issuer": "https://i.example", "audience": "https://a.example" });
    let serde_json::Value::Object(settings) = settings else { unreachable!() };
    let target = Target { provider: "token".into(), settings };
    let resource = Resource::new("api", target, 1, Span::from_secs(7200).unwrap());
    facts.add_resource(Guarded::new(resource, vec![Who::Person("ben".into())]));
    facts
}

impl House {
    async fn open() -> Self {
        let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let clock: Arc<dyn Clock> = SystemClock::start();
        let (to_screen, screen) = mpsc::unbounded_channel();
        let now = Arc::clone(&clock);
        let around = Surroundings {
            dir: dirs.0.path().join("providers"),
            env: Arc::new(BTreeMap::new()),
            now: Arc::new(move || now.now()),
        };
        let holder = |name: &str| Holder { name: name.to_owned(), ssh_keys: vec![] };
        let engine = Engine::start(Setup {
            ground: Arc::new(Disk {
                data: dirs.0.path().join("ledger"),
                origin: "example.com/bench".into(),
                signing_key: None,
            }),
            book: Rulebook::new(Book { rules: Arc::new(rules()), digest: None, files: vec![] }),
            widened: Arc::new(|_, _| Vec::new()),
            entropy: engine::entropy(),
            doors: Arc::new(Doors::new(around, Arc::new(holder))),
            adapters: vec![Arc::new(Screen(to_screen))],
            clock: Arc::clone(&clock),
            version: "bench".into(),
        })
        .await
        .unwrap();
        let rng = Box::new(rand::rngs::StdRng::from_rng(&mut rand::rng()));
        let options = Options::new("example.com/plain", Event::knows, clock.now(), rng);
        let ledger = Ledger::open(&dirs.1.path().join("ledger"), options).unwrap();
        Self { engine, screen, ledger, messages: 0, _dirs: dirs }
    }

    async fn says(&mut self, who: &str, input: Input) {
        self.messages += 1;
        let message = self.messages.to_string();
        let inbound = Inbound {
            chat: Chat::Playground,
            account: who.into(),
            channel: "approvals".into(),
            message,
            input,
            evidence: None,
        };
        black_box(self.engine.handle.submit(inbound).await);
    }

    async fn presses(&mut self, who: &str, button: Button, request: u64) {
        self.says(who, Input::Press { request: RequestId(request), button, text: None }).await;
    }

    async fn until(&mut self, status: Status) -> u64 {
        loop {
            let (request, shown) = self.screen.recv().await.unwrap();
            if shown == status {
                return request;
            }
        }
    }

    /// Waits until `more` entries came after `before`: what follows a click by itself is not part of the next one.
    async fn quiet(&self, before: u64, more: u64) {
        let mut size = self.engine.handle.shared().size();
        size.wait_for(|size| *size >= before + more).await.unwrap();
    }

    fn size(&self) -> u64 {
        *self.engine.handle.shared().size().borrow()
    }

    /// One life: request to card, click to grant ordered, and a plain durable append of as many entries as each.
    async fn round(&mut self) -> [Duration; 3] {
        let before = self.size();
        let start = Instant::now();
        self.says("ana", Input::Line("api 1h fixing INC-42".into())).await;
        let request = self.until(Status::Requested).await;
        let asked = start.elapsed();
        // Message, request, card posted.
        self.quiet(before, 3).await;

        let before = self.size();
        // The reply to the click comes when the order is durable.
        let start = Instant::now();
        self.presses("ben", Button::Approve, request).await;
        let ordered = start.elapsed();
        self.until(Status::Live).await;
        // Message, approval, order, issue, notice.
        self.quiet(before, 5).await;

        let before = self.size();
        self.presses("ana", Button::Done, request).await;
        self.until(Status::Ended).await;
        // Message, ending, end.
        self.quiet(before, 3).await;
        let drafts = vec![draft(self.messages), draft(self.messages)];
        let (size, now) = (self.ledger.size(), self.ledger.head().time);
        let start = Instant::now();
        black_box(self.ledger.append(size, now, drafts).await.unwrap());
        [asked, ordered, start.elapsed()]
    }
}

/// An entry about as large as those of a request.
fn draft(n: u64) -> Draft {
    let subject = SubjectId([7; 16]);
    let body = serde_json::json!({
        "from": subject.to_string(),
        "chat": "playground",
        "via": "line",
        "key": format!("{n:032x}"),
        "plan": ["sign a token for audience `https://a.example` that names its holder"],
    });
    let serde_json::Value::Object(body) = body else { unreachable!() };
    let disclosure = Disclosure { subject, name: "text".into(), value: "api 1h fixing INC-42".into() };
    Draft { kind: "message.received".into(), body, disclosures: vec![disclosure] }
}

fn lives(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut house = runtime.block_on(House::open());
    for (name, part) in [("request to card", 0), ("click to grant ordered", 1), ("plain durable append", 2)] {
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let mut total = Duration::ZERO;
                    for _ in 0..rounds {
                        total += house.round().await.get(part).copied().unwrap();
                    }
                    total
                })
            });
        });
    }
    let mut rounds: Vec<[Duration; 3]> = runtime.block_on(async { interleaved(&mut house).await });
    let mut percentile = |part: usize, share: usize| {
        rounds.sort_by_key(|round| round.get(part).copied());
        rounds.get(rounds.len() * share / 100).and_then(|round| round.get(part)).copied().unwrap()
    };
    println!("\n{ROUNDS} interleaved rounds            p50         p99   p50 over the plain append's");
    let plain = percentile(2, 50);
    for (name, part) in [("request to card", 0), ("click to grant ordered", 1), ("plain durable append", 2)] {
        let (half, most) = (percentile(part, 50), percentile(part, 99));
        println!("{name:<24} {half:>11.1?} {most:>11.1?}   {:.2}", half.as_secs_f64() / plain.as_secs_f64());
    }
    runtime.block_on(house.engine.stop());
}

async fn interleaved(house: &mut House) -> Vec<[Duration; 3]> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push(house.round().await);
    }
    rounds
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).measurement_time(Duration::from_secs(5));
    targets = lives
}
criterion_main!(benches);
