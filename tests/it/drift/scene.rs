//! The real engine over a real ledger, between a clock, a chat and targets of the test's own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use countersign::{
    access::{
        Chat, Event, Phase, Question, Request, RequestId, Resource, Right, Rules, Standing, State, Stored, Target,
        Verdict,
    },
    chat::{
        Adapter, Bulletin, ChatError, Inbound, Input, Notice, Service as _, Tone,
        card::{Card, Span as Text},
        draw::flat,
    },
    engine::{
        self, Engine, Setup, codec,
        doors::{Doors, Opener},
        ground::Disk,
        rulebook::{Book, Rulebook},
    },
    provider::Holder,
};
use tempfile::TempDir;

use super::{clock::StillClock, yard::Yard};

/// `ana` may ask for everything, `bea` approves.
#[derive(Clone)]
pub struct Town(pub BTreeMap<String, Target>);

impl Town {
    /// Resources, each with the name of its target.
    pub fn new(resources: &[(&str, &str)]) -> Self {
        let target = |target: &str| Target {
            provider: "yard".into(),
            settings: serde_json::json!({ "target": target }).as_object().unwrap().clone(),
        };
        Self(resources.iter().map(|(name, at)| ((*name).to_owned(), target(at))).collect())
    }
}

impl Rules for Town {
    fn principal(&self, _: Chat, account: &str) -> Option<String> {
        self.knows(account).then(|| account.to_owned())
    }

    fn account(&self, _: Chat, who: &str) -> Option<String> {
        Some(who.to_owned())
    }

    fn knows(&self, who: &str) -> bool {
        ["ana", "bea"].contains(&who)
    }

    fn resource(&self, name: &str) -> Option<Resource> {
        Some(Resource::new(name, self.0.get(name)?.clone(), 1, "8h".parse().unwrap()))
    }

    fn resource_names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn security_channel(&self) -> Option<String> {
        Some("security".into())
    }

    fn judge(&self, question: &Question<'_>) -> Verdict {
        if question.right == Right::Request || (question.right == Right::Approve && question.who == "bea") {
            return Verdict::Yes(Vec::new());
        }
        Verdict::No { policies: Vec::new(), words: "not for you".into() }
    }

    fn those_who_may(&self, _: &Question<'_>) -> Vec<String> {
        vec!["bea".into()]
    }
}

/// What was said: to whom or where, and the words.
#[derive(Default)]
pub struct Wall(Mutex<Vec<(String, String)>>);

#[async_trait]
impl Adapter for Wall {
    fn chat(&self) -> Chat {
        Chat::Slack
    }

    fn forgets(&self) -> bool {
        false
    }

    async fn put_card(&self, _: &str, _: Option<&Standing>, card: &Card) -> Result<Standing, ChatError> {
        Ok(Standing { message: card.request.to_string(), told: 0 })
    }

    async fn direct(&self, account: &str, key: &str, notice: &Notice) -> Result<String, ChatError> {
        self.keep(account, &notice.lines);
        Ok(key.to_owned())
    }

    async fn post(&self, channel: Option<&str>, key: &str, bulletin: &Bulletin) -> Result<String, ChatError> {
        let title = vec![Text::Text(bulletin.title.clone())];
        let lines: Vec<_> = std::iter::once(title).chain(bulletin.lines.clone()).collect();
        self.keep(&format!("#{}", channel.unwrap_or("usual")), &lines);
        Ok(key.to_owned())
    }
}

impl Wall {
    fn keep(&self, to: &str, lines: &[Vec<Text>]) {
        let words: Vec<String> = lines.iter().map(flat).collect();
        self.0.lock().unwrap().push((to.to_owned(), words.join("\n")));
    }

    /// What somebody, or a channel, was told with these words in it.
    pub fn told(&self, to: &str, words: &str) -> Vec<String> {
        let said = self.0.lock().unwrap();
        said.iter().filter(|(who, said)| who == to && said.contains(words)).map(|(_, said)| said.clone()).collect()
    }
}

pub struct Scene {
    pub yard: Arc<Yard>,
    pub wall: Arc<Wall>,
    pub clock: Arc<StillClock>,
    /// What the ledger says, folded here.
    pub state: State,
    pub log: Vec<Stored>,
    town: Town,
    opener: Opener,
    data: TempDir,
    engine: Option<Engine>,
    said: u32,
}

/// 2026-11-20 09:00:00 UTC.
fn start() -> DateTime<Utc> {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

impl Scene {
    /// `db` on the target `one`, `api` on the target `two`.
    pub async fn new() -> Self {
        Self::of(Town::new(&[("db", "one"), ("api", "two")]), Yard::new(false)).await
    }

    pub async fn of(town: Town, yard: Arc<Yard>) -> Self {
        let opener = yard.opener();
        Self::with(town, yard, opener, start()).await
    }

    pub async fn with(town: Town, yard: Arc<Yard>, opener: Opener, now: DateTime<Utc>) -> Self {
        let mut scene = Self {
            yard,
            opener,
            wall: Arc::default(),
            clock: StillClock::new(now),
            state: State::default(),
            log: Vec::new(),
            town,
            data: tempfile::tempdir().unwrap(),
            engine: None,
            said: 0,
        };
        scene.starts().await;
        scene
    }

    fn book(&self) -> Book {
        Book { rules: Arc::new(self.town.clone()), digest: None, files: Vec::new() }
    }

    pub async fn starts(&mut self) {
        let holder = |name: &str| Holder { name: name.to_owned(), ssh_keys: Vec::new() };
        let setup = Setup {
            ground: Arc::new(Disk {
                data: self.data.path().to_owned(),
                origin: "example.com/drift".into(),
                signing_key: None,
            }),
            book: Rulebook::new(self.book()),
            widened: Arc::new(|_, _| Vec::new()),
            entropy: engine::entropy(),
            doors: Arc::new(Doors::opened_by(Arc::clone(&self.opener), Arc::new(holder))),
            adapters: vec![Arc::clone(&self.wall) as _],
            clock: Arc::clone(&self.clock) as _,
            version: "0".into(),
        };
        self.engine = Some(Engine::start(setup).await.unwrap());
        self.rest().await;
    }

    pub async fn stops(&mut self) {
        self.engine.take().unwrap().stop().await;
    }

    /// Has these resources be all there are.
    pub async fn reloads(&mut self, town: Town) {
        self.town = town;
        let loaded = self.engine.as_ref().unwrap().load(self.book()).await;
        loaded.unwrap();
        self.rest().await;
    }

    /// Waits until nothing happens any more unless somebody speaks or time passes, and reads the ledger.
    pub async fn rest(&mut self) {
        let engine = self.engine.as_ref().unwrap();
        let (mut under_way, mut hanging) = (engine.handle.shared().under_way(), self.yard.hanging());
        loop {
            under_way.borrow_and_update();
            let waited_for = engine.rest().await.unwrap();
            if waited_for == *hanging.borrow_and_update() {
                break;
            }
            tokio::select! {
                changed = under_way.changed() => changed.unwrap(),
                changed = hanging.changed() => changed.unwrap(),
            }
        }
        let ledger = engine.handle.shared().ledger().unwrap();
        if self.log.is_empty() {
            self.state = State::new(log_tag(&ledger.log_id()));
        }
        for entry in ledger.entries(self.log.len() as u64, ledger.size()).unwrap() {
            let stored = codec::stored(entry.unwrap()).unwrap();
            self.state.evolve(&stored);
            self.log.push(stored);
        }
    }

    /// Lets time pass, from one thing that is due to the next.
    pub async fn pass(&mut self, secs: i64) {
        let until = countersign::engine::clock::Clock::now(self.clock.as_ref()) + TimeDelta::seconds(secs);
        loop {
            self.rest().await;
            let due = self.clock.next_end().filter(|end| *end <= until);
            self.clock.move_to(due.unwrap_or(until)).await;
            if due.is_none() {
                return self.rest().await;
            }
        }
    }

    /// Says something that is to be done.
    pub async fn says(&mut self, who: &str, line: &str) {
        self.said += 1;
        let inbound = Inbound {
            chat: Chat::Slack,
            account: who.into(),
            channel: "approvals".into(),
            message: self.said.to_string(),
            input: Input::Line(line.into()),
            evidence: None,
        };
        let reply = self.engine.as_ref().unwrap().handle.submit(inbound).await;
        let words: Vec<String> = reply.lines.iter().map(flat).collect();
        assert_eq!(reply.tone, Tone::Done, "{line}: {words:?}");
        self.rest().await;
    }

    /// Ana asks, bea approves.
    pub async fn granted(&mut self, resource: &str, span: &str) -> RequestId {
        self.says("ana", &format!("{resource} {span} fixing INC-42")).await;
        let id = self.state.requests().last().unwrap().id;
        self.says("bea", &format!("approve {}", id.0)).await;
        id
    }

    /// The same, and it is live.
    pub async fn live(&mut self, resource: &str, span: &str) -> RequestId {
        let id = self.granted(resource, span).await;
        assert!(self.request(id).is_live(), "{:?}", self.request(id).phase);
        id
    }

    #[track_caller]
    pub fn request(&self, id: RequestId) -> &Request {
        self.state.request(id).unwrap()
    }

    #[track_caller]
    pub fn ended(&self, id: RequestId) {
        assert!(matches!(self.request(id).phase, Phase::Ended { .. }), "{:?}", self.request(id).phase);
    }

    pub fn mark(&self, id: u64) -> String {
        self.state.external_id(RequestId(id))
    }

    /// The entries about drift, a line each.
    pub fn drift(&self) -> Vec<String> {
        let line = |stored: &Stored| {
            if let Event::DriftFound { resource, external_id, what, request, .. } = &stored.event {
                let request = request.map_or("nobody's".to_owned(), |id| id.to_string());
                Some(format!("{resource} {what:?} {} {request}", external_id.rsplit_once('_').unwrap().1))
            } else if let Event::DriftClosed { external_id, .. } = &stored.event {
                Some(format!("closed {}", external_id.rsplit_once('_').unwrap().1))
            } else {
                None
            }
        };
        self.log.iter().filter_map(line).collect()
    }

    /// Stops it; the chain verifies, and the entries that a snapshot keeps make the state again.
    pub async fn ends(mut self) {
        let shared = Arc::clone(self.engine.as_ref().unwrap().handle.shared());
        assert!(shared.verify().await.0);
        let mut again = State::new(self.state.log_tag());
        for seq in self.state.essence() {
            again.evolve(&self.log[usize::try_from(seq).unwrap()]);
        }
        again.resume_at(self.state.size(), self.state.last_time().unwrap());
        assert_eq!(again, self.state);
        self.stops().await;
    }
}

/// The tag in the marks of a log.
fn log_tag(log_id: &[u8; 32]) -> String {
    let letters: Vec<char> = ('a'..='z').chain('2'..='7').collect();
    let bits = log_id[..5].iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
    (0..8).rev().map(|place| letters[bits >> (5 * place) & 31]).collect()
}
