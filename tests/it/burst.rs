//! More at once than one batch takes: everybody is answered.

use std::{collections::BTreeMap, sync::Arc};

use countersign::{
    access::{Chat, Resource, Span, Target},
    chat::{Inbound, Input, Service as _, Tone},
    engine::{
        self, Engine, Setup,
        clock::{Clock, SystemClock},
        doors::Doors,
        ground::Disk,
        rulebook::{Book, Rulebook},
    },
    policy::{self, Facts, Guarded, Policies, Who},
    provider::{Holder, Surroundings},
};

/// The writer takes 256 jobs into a batch; what comes after them waits for the next one and is not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_between_two_batches() {
    let mut facts = Facts::new();
    for name in ["ana", "ben"] {
        facts.add_person(name, [(Chat::Playground, name.to_owned())]);
    }
    let target = Target { provider: "token".into(), settings: serde_json::Map::new() };
    let resource = Resource::new("api", target, 1, Span::from_secs(60).unwrap());
    facts.add_resource(Guarded::new(resource, vec![Who::Person("ben".into())]));
    let book = policy::Book::read("", Some(&facts)).book.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = SystemClock::start();
    let now = Arc::clone(&clock);
    let around = Surroundings {
        dir: dir.path().join("providers"),
        env: Arc::new(BTreeMap::new()),
        now: Arc::new(move || now.now()),
    };
    let holder = |name: &str| Holder { name: name.to_owned(), ssh_keys: vec![] };
    let engine = Engine::start(Setup {
        ground: Arc::new(Disk {
            data: dir.path().join("ledger"),
            origin: "example.com/burst".into(),
            signing_key: None,
        }),
        book: Rulebook::new(Book { rules: Arc::new(Policies::new(facts, book).unwrap()), digest: None, files: vec![] }),
        widened: Arc::new(|_, _| Vec::new()),
        entropy: engine::entropy(),
        doors: Arc::new(Doors::new(around, Arc::new(holder))),
        adapters: vec![],
        clock,
        version: "test".into(),
    })
    .await
    .unwrap();
    // One message, delivered again and again, leaves no entry: only the number of jobs ends the batch.
    let say = |message: u32| {
        let handle = Arc::clone(&engine.handle);
        let inbound = Inbound {
            chat: Chat::Playground,
            account: "ana".into(),
            channel: "approvals".into(),
            message: message.to_string(),
            input: Input::Line("mine".into()),
            evidence: None,
        };
        tokio::spawn(async move { handle.submit(inbound).await.tone })
    };
    assert_eq!(say(0).await.unwrap(), Tone::Info);
    for _ in 0..10 {
        let all: Vec<_> = (0..900).map(|_| say(0)).collect();
        for one in all {
            assert_eq!(one.await.unwrap(), Tone::Info);
        }
    }
    engine.stop().await;
}
