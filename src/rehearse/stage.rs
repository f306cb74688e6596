//! Where a story is played: the real engine over a real ledger, between a clock, chats and providers of the story's own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    chats::Walls,
    clock::StoryClock,
    groups::{Groups, Lookups},
    world::World,
};
use crate::{
    access::{Files, RequestId, Rules, State, Stored},
    chat::{Inbound, Reply, Service as _, Talk},
    config::{Config, Person},
    engine::{
        self, DRAIN_MAX, Engine, Fatal, Setup,
        clock::Clock,
        codec,
        doors::Doors,
        ground::Disk,
        rulebook::{Book, Rulebook, Widened},
    },
    ledger::OpenError,
    provider::{Holder, Surroundings},
};

/// An engine that has not come to rest by then, in real time, never will.
const REST_MAX: Duration = Duration::from_mins(2);
/// The clock is moved so often at the most, in one story.
pub const MOVES_MAX: u32 = 20_000;
/// A ledger that was just closed may still be looked at by its own last check, for a moment.
const AGAIN_MS: u64 = 10;
/// How often it is tried to open it.
const OPEN_TRIES_MAX: u32 = 500;
/// How often it is looked whether the public copy is there.
const PUBLISHED_TRIES_MAX: u32 = 6_000;

/// The story does not come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock was moved {MOVES_MAX} times, from one thing that was due to the next, and there is still more to come"
)]
pub struct Endless;

/// Finds a config of the story by its files.
pub type Finder = Arc<dyn Fn(&Files) -> Option<Config> + Send + Sync>;

/// How the service makes its rules of a config.
#[derive(Clone)]
pub struct Kit {
    /// What may change while it runs.
    pub book: fn(&Config, Lookups) -> Result<Book, String>,
    /// What other rules change.
    pub widened: fn(Finder) -> Widened,
}

/// The configs of a story, for saying what one changes.
type Seen = Arc<RwLock<Vec<Config>>>;

/// Where a story is played.
pub struct Stage {
    config: Config,
    seen: Seen,
    kit: Kit,
    book: Arc<Rulebook>,
    people: Arc<RwLock<BTreeMap<String, Person>>>,
    data: PathBuf,
    providers: PathBuf,
    /// The story's clock.
    pub clock: Arc<StoryClock>,
    /// The story's targets.
    pub world: Arc<World>,
    /// The story's groups.
    pub groups: Arc<Groups>,
    /// The story's chats.
    pub walls: Arc<Walls>,
    /// What the ledger says: folded here from its entries, as anybody could.
    pub state: State,
    /// The entries, with their kinds.
    pub entries: Vec<(String, Stored)>,
    engine: Option<Engine>,
    moves: u32,
}

impl Stage {
    /// Opens the stage over the ledger in `data`, at the time of the clock. `providers` is for the files of providers.
    ///
    /// # Errors
    /// The ledger can't be opened.
    pub async fn open(
        config: Config,
        kit: Kit,
        (data, providers): (&Path, &Path),
        now: DateTime<Utc>,
    ) -> anyhow::Result<Self> {
        let groups = Arc::new(Groups::default());
        let mut stage = Self {
            book: Rulebook::new((kit.book)(&config, groups.lookups(&config)).map_err(anyhow::Error::msg)?),
            people: Arc::new(RwLock::new(config.people.clone())),
            walls: Walls::new(usual_channel(&config)),
            seen: Arc::new(RwLock::new(vec![config.clone()])),
            config,
            kit,
            data: data.to_owned(),
            providers: providers.to_owned(),
            clock: StoryClock::new(now),
            world: World::new(),
            groups,
            state: State::default(),
            entries: Vec::new(),
            engine: None,
            moves: 0,
        };
        stage.start().await?;
        Ok(stage)
    }

    /// The rules of the day.
    pub fn rules(&self) -> Arc<dyn Rules> {
        self.book.rules()
    }

    /// Where somebody speaks who names no channel.
    pub fn channel(&self) -> String {
        usual_channel(&self.config)
    }

    /// Has the rules of another config hold from now on.
    ///
    /// # Errors
    /// As [`Stage::rest`]; within, why they were not loaded.
    pub async fn reload(&mut self, config: &Config) -> anyhow::Result<Result<(), String>> {
        self.seen.write().unwrap_or_else(PoisonError::into_inner).push(config.clone());
        let book = (self.kit.book)(config, self.groups.lookups(config)).map_err(anyhow::Error::msg)?;
        if let Err(words) = self.engine()?.load(book).await {
            return Ok(Err(words));
        }
        *self.people.write().unwrap_or_else(PoisonError::into_inner) = config.people.clone();
        self.config = config.clone();
        self.rest().await.map(Ok)
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        let mut tries = 1;
        let engine = loop {
            match Engine::start(self.setup()).await {
                Ok(engine) => break engine,
                Err(Fatal::Open(OpenError::InUse(_))) if tries < OPEN_TRIES_MAX => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(AGAIN_MS)).await;
                }
                Err(fatal) => return Err(fatal).context("the ledger of the story"),
            }
        };
        self.engine = Some(engine);
        self.rest().await
    }

    fn setup(&self) -> Setup {
        let people = Arc::clone(&self.people);
        let holder = move |name: &str| {
            let people = people.read().unwrap_or_else(PoisonError::into_inner);
            let ssh_keys = people.get(name).map(|person| person.ssh_keys.clone()).unwrap_or_default();
            Holder { name: name.to_owned(), ssh_keys }
        };
        let clock = Arc::clone(&self.clock);
        let surroundings =
            Surroundings { dir: self.providers.clone(), env: Arc::default(), now: Arc::new(move || clock.now()) };
        Setup {
            ground: Arc::new(Disk {
                data: self.data.clone(),
                origin: self.config.server.origin.clone(),
                signing_key: None,
            }),
            book: Arc::clone(&self.book),
            widened: (self.kit.widened)(self.finder()),
            entropy: engine::entropy(),
            doors: Arc::new(Doors::opened_by(self.world.opener(surroundings), Arc::new(holder))),
            adapters: self.walls.adapters(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn finder(&self) -> Finder {
        let seen = Arc::clone(&self.seen);
        Arc::new(move |files| {
            let seen = seen.read().unwrap_or_else(PoisonError::into_inner);
            seen.iter().find(|config| config.files == *files).cloned()
        })
    }

    fn engine(&self) -> anyhow::Result<&Engine> {
        self.engine.as_ref().context("the engine has stopped")
    }

    /// Waits until nothing happens any more unless somebody speaks or time passes, and reads what was written by then.
    ///
    /// # Errors
    /// The engine has stopped, or does not come to rest.
    pub async fn rest(&mut self) -> anyhow::Result<()> {
        match tokio::time::timeout(REST_MAX, self.at_rest()).await {
            Ok(Some(())) => self.read().await,
            Ok(None) => match &mut self.engine {
                Some(engine) => match engine.failed().await {
                    Err(fatal) => Err(fatal.into()),
                    Ok(()) => bail!("the engine has stopped by itself"),
                },
                None => bail!("the engine has stopped"),
            },
            Err(_) => bail!("the engine did not come to rest within {} s", REST_MAX.as_secs()),
        }
    }

    async fn at_rest(&self) -> Option<()> {
        let engine = self.engine.as_ref()?;
        let mut under_way = engine.handle.shared().under_way();
        let mut hanging = self.world.hanging();
        loop {
            self.clock.heard().await;
            under_way.borrow_and_update();
            let waited_for = engine.rest().await?;
            // A call that hangs is at rest: nothing comes of it until time passes.
            if waited_for == *hanging.borrow_and_update() {
                return Some(());
            }
            tokio::select! {
                changed = under_way.changed() => changed.ok()?,
                changed = hanging.changed() => changed.ok()?,
            }
        }
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let ledger = self.engine()?.handle.shared().ledger().context("the ledger is not open")?;
        let from = self.state.size();
        let read = move || -> anyhow::Result<Vec<(String, Stored)>> {
            let mut read = Vec::new();
            for entry in ledger.entries(from, ledger.size())? {
                let entry = entry?;
                read.push((entry.kind.clone(), codec::stored(entry)?));
            }
            Ok(read)
        };
        for (kind, stored) in tokio::task::spawn_blocking(read).await?? {
            self.state.evolve(&stored);
            self.entries.push((kind, stored));
        }
        Ok(())
    }

    /// Moves the clock to `moment`, from one thing that is due to the next.
    ///
    /// # Errors
    /// [`Endless`], and as [`Stage::rest`].
    pub async fn pass_until(&mut self, moment: DateTime<Utc>) -> anyhow::Result<()> {
        loop {
            self.rest().await?;
            let due = self.clock.next_end().filter(|end| *end <= moment);
            self.moves += 1;
            if self.moves > MOVES_MAX {
                return Err(Endless.into());
            }
            self.clock.move_to(due.unwrap_or(moment));
            if due.is_none() {
                return self.rest().await;
            }
        }
    }

    /// Hands over what somebody said or pressed. The answer comes by itself, at the latest when time has passed.
    ///
    /// # Errors
    /// As [`Stage::rest`].
    pub fn submit(&self, inbound: Inbound) -> anyhow::Result<tokio::task::JoinHandle<Reply>> {
        let handle = Arc::clone(&self.engine()?.handle);
        Ok(tokio::spawn(async move { handle.submit(inbound).await }))
    }

    /// Has what is written in a thread recorded; whether it is.
    ///
    /// # Errors
    /// The engine has stopped.
    pub async fn overheard(&self, talk: Talk) -> anyhow::Result<bool> {
        Ok(self.engine()?.handle.overheard(talk).await)
    }

    /// Stops the engine and starts it again over the same ledger, so much later.
    ///
    /// # Errors
    /// As [`Stage::open`].
    pub async fn restart(&mut self, away: TimeDelta) -> anyhow::Result<()> {
        self.stop().await?;
        self.clock.move_to(self.clock.now() + away);
        self.start().await
    }

    /// Stops the engine. It waits for providers that hang, as the real one does: time passes over that.
    ///
    /// # Errors
    /// It does not stop.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(engine) = self.engine.take() else { return Ok(()) };
        let (clock, hanging) = (Arc::clone(&self.clock), self.world.hanging());
        let mut made = clock.made();
        made.borrow_and_update();
        let drained = TimeDelta::from_std(DRAIN_MAX).ok().and_then(|span| clock.now().checked_add_signed(span));
        let stopped = async {
            let mut stop = std::pin::pin!(engine.stop());
            loop {
                tokio::select! {
                    biased;
                    () = &mut stop => return,
                    _ = made.changed() => {}
                }
                while *hanging.borrow() > 0
                    && let Some(end) = clock.next_end().filter(|end| Some(*end) <= drained)
                {
                    clock.move_to(end);
                    clock.heard().await;
                }
            }
        };
        tokio::time::timeout(REST_MAX, stopped).await.map_err(|_| anyhow!("the engine did not stop"))?;
        self.world.end_calls().await;
        Ok(())
    }

    /// Waits until the public copy has all entries: it is written behind the answers, and a check while it is written
    /// would not be the same one every time.
    ///
    /// # Errors
    /// The copy is not written.
    pub async fn published(&self) -> anyhow::Result<()> {
        let (checkpoint, size) = (self.data.join("public/checkpoint"), self.state.size().to_string());
        for _ in 0..PUBLISHED_TRIES_MAX {
            let note = tokio::fs::read_to_string(&checkpoint).await.unwrap_or_default();
            if note.lines().nth(1) == Some(size.as_str()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(AGAIN_MS)).await;
        }
        bail!("the public copy of the ledger was not written")
    }

    /// Whether the whole chain verifies, and what was found.
    ///
    /// # Errors
    /// The engine has stopped.
    pub async fn verify(&self) -> anyhow::Result<(bool, Vec<String>)> {
        self.published().await?;
        Ok(self.engine()?.handle.verify().await)
    }

    /// Whether a door is open for a request.
    pub fn is_open(&self, request: RequestId) -> bool {
        self.world.open_for(request.0).is_some()
    }
}

/// Where cards go, and what is for no channel in particular.
fn usual_channel(config: &Config) -> String {
    let of_resource = || config.resources.first().and_then(|name| config.facts.resource(name));
    let channel = config.server.playground_channel.clone();
    channel.or_else(|| of_resource().map(|resource| resource.channel.clone())).unwrap_or_else(|| "approvals".into())
}
