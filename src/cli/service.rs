//! Joins the rooms to a running service: engine, chats, web.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use secrecy::SecretString;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    Stop,
    chats::{self, Chats},
    modes, place,
    shelf::Shelf,
    signing,
    status::Status,
};
use crate::{
    access::Files,
    chat::{Adapter, Service, playground},
    config::Config,
    engine::{
        self, Engine, Fatal, Setup,
        clock::{Clock, SystemClock},
        doors::Doors,
        ground::Disk,
        rulebook::{Book, Rulebook, Schedule, Widened},
    },
    policy::{self, Platform, Platforms, Policies},
    provider::{self, Holder},
    web,
};

/// Examples on the playground's page.
const EXAMPLES_MAX: usize = 4;
/// All that is to be finished at the end has this long together, so that whoever asked to stop waits for less than 10 s,
/// with the second that the runtime gives to its last threads.
const STOP_MAX: Duration = Duration::from_millis(8_700);
/// How often it is looked whether a source of a group is to be asked again: well within the time that an answer may be too
/// old by.
const FRESH_EVERY: Duration = Duration::from_secs(5);

/// What the service gets from the process it runs in.
pub struct Surroundings {
    /// The ledger's folder.
    pub data: PathBuf,
    /// The providers' folder.
    pub providers: PathBuf,
    /// The key that signs the ledger, when it is not kept in the ledger's folder.
    pub signing_key: Option<SecretString>,
    /// The environment.
    pub env: BTreeMap<String, SecretString>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The config's folder, for loading it anew.
    pub config: PathBuf,
}

/// The config that holds at the moment, for those who look things up in it.
#[derive(Clone)]
pub struct Live(Arc<RwLock<Arc<Config>>>);

impl Live {
    /// The first one.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// The one that holds now.
    pub fn now(&self) -> Arc<Config> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, config: Config) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

impl Surroundings {
    /// As the config and the environment say.
    ///
    /// # Errors
    /// A signing key that is said to be somewhere and isn't there.
    pub fn of_process(config: &Config, dir: &Path) -> Result<Self, Stop> {
        let env = environment();
        Ok(Self {
            config: dir.to_owned(),
            data: config.server.ledger_path.clone(),
            providers: config.server.ledger_path.join("providers"),
            signing_key: signing::key(config, &env)?,
            env,
            listen: config.listen(),
        })
    }
}

/// The environment, as secrets. What is not UTF-8 is nothing a config can name.
pub fn environment() -> BTreeMap<String, SecretString> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?.into())))
        .collect()
}

/// The providers, as the config and the surroundings describe them.
pub fn doors(config: &Live, surroundings: &Surroundings, clock: &Arc<dyn Clock>) -> Arc<Doors> {
    let clock = Arc::clone(clock);
    let config = config.clone();
    let around = provider::Surroundings {
        dir: surroundings.providers.clone(),
        env: Arc::new(surroundings.env.clone()),
        now: Arc::new(move || clock.now()),
    };
    let holder = move |name: &str| Holder {
        name: name.to_owned(),
        ssh_keys: config.now().people.get(name).map(|person| person.ssh_keys.clone()).unwrap_or_default(),
    };
    Arc::new(Doors::new(around, Arc::new(holder)))
}

/// The rules of a config: its facts, its policies, and the sources of its groups.
pub fn rules(config: &Config, env: &BTreeMap<String, SecretString>) -> Result<Policies, Stop> {
    let server = &config.server;
    let token = |file: Option<&PathBuf>, name: &str| chats::secret(file, env, name);
    let platform = |url: &Option<String>, usual: &str, token, place: Option<&String>| Platform {
        api_url: url.clone().unwrap_or_else(|| usual.to_owned()),
        token,
        place: place.cloned(),
    };
    let (slack, discord, pagerduty) = (&server.slack, &server.discord, &server.pagerduty);
    let platforms = Platforms {
        slack: platform(
            &slack.api_url,
            "https://slack.com/api",
            token(slack.bot_token_file.as_ref(), "SLACK_BOT_TOKEN"),
            slack.team_id.as_ref(),
        ),
        discord: platform(
            &discord.api_url,
            "https://discord.com",
            token(discord.bot_token_file.as_ref(), "DISCORD_BOT_TOKEN"),
            discord.guild_id.as_ref(),
        ),
        pagerduty: platform(
            &pagerduty.api_url,
            "https://api.pagerduty.com",
            token(pagerduty.token_file.as_ref(), "PAGERDUTY_TOKEN"),
            None,
        ),
    };
    let lookups = policy::lookups(&config.facts, &platforms);
    Ok(config.policies().map_err(Stop::Finding)?.with_sources(lookups, server.group_cache_secs))
}

/// What of the config may change while the service runs.
pub fn book(config: &Config, env: &BTreeMap<String, SecretString>) -> Result<Book, Stop> {
    Ok(Book { rules: Arc::new(rules(config, env)?), digest: schedule(config), files: config.files.clone() })
}

/// The same without anything outside: whoever is in the groups that have a source is said by `lookups`, every time.
pub fn rehearsed(config: &Config, lookups: BTreeMap<String, Arc<dyn policy::Lookup>>) -> Result<Book, String> {
    let rules = config.policies()?.with_sources(lookups, 0);
    Ok(Book { rules: Arc::new(rules), digest: schedule(config), files: config.files.clone() })
}

/// When a report is due, as the config says.
fn schedule(config: &Config) -> Option<Schedule> {
    let plan = config.server.digest.clone()?;
    Some(Arc::new(move |after, until| plan.newest(after, until)))
}

/// A running service.
pub struct Running {
    chats: Chats,
    live: Live,
    page: Arc<playground::Playground>,
    shelf: Shelf,
    dir: PathBuf,
    data: PathBuf,
    env: BTreeMap<String, SecretString>,
    clock: Arc<dyn Clock>,
    status: Status,
    engine: Engine,
    address: SocketAddr,
    stopper: watch::Sender<bool>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    signals: Signals,
}

/// What the service is told by signals, from the moment at which others can find its process: before, they end it.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// Starts everything: the ledger first, the listener last, so that nobody is answered by half a service.
///
/// # Errors
/// A ledger that can't be used and an address that can't be listened on are findings.
pub async fn start(config: &Config, surroundings: Surroundings) -> Result<Running, Stop> {
    let clock: Arc<dyn Clock> = SystemClock::start();
    let on_page = config.server.playground_channel.is_some();
    if on_page && !is_loopback(surroundings.listen.ip()) {
        return Err(Stop::Finding(format!(
            "the playground lets whoever opens it be anybody, so it listens on loopback only, and `{}` is not: \
             set `http.listen` to 127.0.0.1, or take the `[playground]` table out",
            surroundings.listen
        )));
    }
    for words in modes::open_to_others(&surroundings.data, config.server.signing_key_file.as_ref()) {
        tracing::warn!("{words}");
    }
    let live = Live::new(config.clone());
    let shelf = Shelf::of(&surroundings.data);
    let doors = doors(&live, &surroundings, &clock);
    let page_clock = Arc::clone(&clock);
    let page = Arc::new(playground::Playground::new(cast(config), Arc::new(move || page_clock.now())));
    let chats = Chats::new(&live, &surroundings.env, &clock)?;
    let mut adapters = chats.adapters();
    if on_page {
        adapters.push(Arc::clone(&page) as Arc<dyn Adapter>);
    }
    let book = Rulebook::new(book(config, &surroundings.env)?);
    book.rules().refresh(clock.now()).await;
    keep_fresh(Arc::clone(&book), Arc::clone(&clock));
    let setup = Setup {
        ground: Arc::new(Disk {
            data: surroundings.data.clone(),
            origin: config.server.origin.clone(),
            signing_key: surroundings.signing_key.clone(),
        }),
        book,
        widened: widened(finder(&shelf, &live)),
        entropy: engine::entropy(),
        doors: Arc::clone(&doors),
        adapters,
        clock: Arc::clone(&clock),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let listener = TcpListener::bind(surroundings.listen)
        .await
        .map_err(|error| Stop::Finding(format!("can't listen on {}: {error}", surroundings.listen)))?;
    let address = listener.local_addr()?;
    let engine = Engine::start(setup).await.map_err(|fatal| stop(fatal, "does not start"))?;
    keep(&shelf, &surroundings.config, config);
    let (stopper, mut told) = watch::channel(false);
    let mut router =
        web::router(web::PublicLog { dir: surroundings.data.join("public") }, documents(live.clone(), doors));
    let service: Arc<dyn Service> = Arc::clone(&engine.handle) as _;
    router = router.merge(chats.router(&service));
    if on_page {
        router = router.merge(playground::router(Arc::clone(&page), Arc::clone(&service)));
        let mut size = engine.handle.shared().size();
        let page = Arc::clone(&page);
        tokio::spawn(async move {
            while size.changed().await.is_ok() {
                page.poke();
            }
        });
    }
    let ending = Arc::clone(&page);
    let server = tokio::spawn(async move {
        let over = async move {
            // A sender that is gone is as good as a word to stop.
            let _ = told.wait_for(|stop| *stop).await;
            ending.hang_up();
        };
        axum::serve(listener, router).with_graceful_shutdown(over).await
    });
    chats.listen(&service);
    let signals = Signals::listen()?;
    let status = Status::mine();
    status.write(&surroundings.data)?;
    let Surroundings { config: dir, data, env, .. } = surroundings;
    Ok(Running { chats, live, page, shelf, dir, data, env, clock, status, engine, address, stopper, server, signals })
}

/// Has the sources of groups asked again before their answers are too old: what the clock brings about, such as an access
/// that was approved for later, is judged without a click that would ask them.
fn keep_fresh(book: Arc<Rulebook>, clock: Arc<dyn Clock>) {
    tokio::spawn(async move {
        loop {
            clock.pause(FRESH_EVERY).await;
            book.rules().refresh(clock.now()).await;
        }
    });
}

/// The config that holds, and those on the shelf.
fn finder(shelf: &Shelf, live: &Live) -> Finder {
    let (shelf, live) = (shelf.clone(), live.clone());
    Arc::new(move |files| {
        let now = live.now();
        if now.files == *files { Some(now.as_ref().clone()) } else { shelf.find(files) }
    })
}

/// Keeps a copy of the config, for saying later what has changed since.
fn keep(shelf: &Shelf, dir: &Path, config: &Config) {
    if let Err(error) = shelf.keep(dir, &config.files) {
        tracing::warn!(%error, "no copy of the config is kept: what the next one changes can't be said in words");
    }
}

/// Finds a config by its files, as far as it is still at hand.
pub type Finder = Arc<dyn Fn(&Files) -> Option<Config> + Send + Sync>;

/// What other rules change, in words.
pub fn widened(find: Finder) -> Widened {
    Arc::new(move |before, after| match (find(before), find(after)) {
        (Some(before), Some(after)) => match (before.policies(), after.policies()) {
            (Ok(before), Ok(after)) => policy::widened(&before, &after),
            (Err(words), _) | (_, Err(words)) => vec![format!("what it changes can't be said: {words}")],
        },
        (Some(_) | None, _) => {
            vec!["the rules before these are not at hand, so everything in them may be new".to_owned()]
        }
    })
}

/// A ledger that can't be used is a finding, in one sentence; what broke off is a fault of ours.
fn stop(fatal: Fatal, what: &str) -> Stop {
    match fatal {
        Fatal::Broken(_) => Stop::Fault(fatal.into()),
        Fatal::Open(_) | Fatal::Entry(_) | Fatal::Read(_) => {
            let next = if let Fatal::Open(error) = &fatal { place::next_step(error) } else { String::new() };
            Stop::Finding(format!("countersign {what}, and nothing is granted: {fatal}{next}"))
        }
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.is_loopback()
}

/// Who is on the playground's page, and where.
fn cast(config: &Config) -> playground::Cast {
    let people = config.people.values().map(|person| {
        let groups: Vec<&str> = config
            .groups
            .iter()
            .filter(|(_, members)| members.contains(&person.name))
            .map(|(group, _)| group.as_str())
            .collect();
        let title = if groups.is_empty() { "in no group".to_owned() } else { format!("in {}", groups.join(", ")) };
        playground::Persona { name: person.name.clone(), title }
    });
    let own = [&config.server.playground_channel, &config.server.security_channel];
    let mut channels: Vec<String> = own.into_iter().flatten().cloned().collect();
    let mut examples = Vec::new();
    for name in &config.resources {
        let Some(resource) = config.facts.resource(name) else { continue };
        if !channels.contains(&resource.channel) {
            channels.push(resource.channel.clone());
        }
        if examples.len() < EXAMPLES_MAX {
            examples.push(format!("{name} 10m fixing INC-42"));
        }
    }
    playground::Cast::new(people.collect(), channels, examples)
}

fn documents(live: Live, doors: Arc<Doors>) -> web::Documents {
    Arc::new(move |resource, name| {
        let target = live.now().facts.resource(&resource).map(|resource| resource.target.clone());
        let doors = Arc::clone(&doors);
        Box::pin(async move {
            let document = doors.open(&resource, &target?).ok()?.public(&name).await?;
            Some((document.content_type, document.body))
        })
    })
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a signal to stop, or for the engine to give up; then stops in order.
    ///
    /// # Errors
    /// Why the engine gave up.
    pub async fn until_stopped(mut self) -> Result<(), Stop> {
        let failed = loop {
            tokio::select! {
                _ = self.signals.interrupt.recv() => break None,
                _ = self.signals.terminate.recv() => break None,
                result = self.engine.failed() => break Some(result),
                _ = self.signals.hang_up.recv() => self.reload().await,
            }
        };
        // Nobody is there any more to whom it would matter.
        let _ = self.stopper.send(true);
        if let Some(result) = failed {
            self.server.abort();
            return result.map_err(|fatal| stop(fatal, "has stopped"));
        }
        tracing::info!("stopping");
        let Self { chats, engine, mut server, data, .. } = self;
        let over = Instant::now() + STOP_MAX;
        // Side by side: a chat that hangs takes nothing from the time that providers have to answer. Who speaks now is not
        // answered any more, and is to see that nobody is there.
        let drained = async { tokio::join!(chats.stop(), engine.stop()) };
        if timeout_at(over, drained).await.is_err() {
            tracing::warn!("not everything that was under way has ended; the next start goes on with it");
        }
        // Whoever looks for the service finds by the ledger's lock that there is none.
        let _ = std::fs::remove_file(Status::path(&data));
        if let Ok(ended) = timeout_at(over, &mut server).await {
            ended??;
        } else {
            server.abort();
            tracing::warn!("connections that others keep open are cut");
        }
        Ok(())
    }

    /// Loads the config anew, whole or not at all, and says how it went.
    async fn reload(&mut self) {
        let outcome = self.load().await;
        match &outcome {
            Ok(entry) => tracing::info!(entry, "the config was loaded anew"),
            Err(error) => tracing::error!("{error}\nThe config before still holds"),
        }
        self.status.reloads += 1;
        (self.status.entry, self.status.error) = match outcome {
            Ok(entry) => (Some(entry), None),
            Err(error) => (self.status.entry, Some(error)),
        };
        if let Err(error) = self.status.write(&self.data) {
            tracing::warn!(%error, "how the reload went can't be written down");
        }
    }

    /// The entry that says so, or why the config before still holds.
    async fn load(&self) -> Result<u64, String> {
        let dir = self.dir.clone();
        let loaded = tokio::task::spawn_blocking(move || super::load(&dir)).await.map_err(|panic| panic.to_string())?;
        let config = loaded.map_err(|stop| match stop {
            Stop::Finding(words) | Stop::Usage(words) | Stop::Unread(words) => words,
            Stop::Fault(error) => format!("{error:#}"),
        })?;
        if let Some(key) = fixed(&self.live.now(), &config) {
            return Err(format!("`{key}` can't change while the service runs: restart it"));
        }
        keep(&self.shelf, &self.dir, &config);
        let book = book(&config, &self.env).map_err(|stop| match stop {
            Stop::Finding(words) | Stop::Usage(words) | Stop::Unread(words) => words,
            Stop::Fault(error) => format!("{error:#}"),
        })?;
        book.rules.refresh(self.clock.now()).await;
        let entry = self.engine.load(book).await?;
        self.page.recast(cast(&config));
        self.live.put(config);
        Ok(entry)
    }
}

/// What differs between two configs and can't change while the service runs.
fn fixed(old: &Config, new: &Config) -> Option<&'static str> {
    let (old, new) = (&old.server, &new.server);
    let same = [
        ("ledger.path", old.ledger_path == new.ledger_path),
        ("ledger.origin", old.origin == new.origin),
        ("ledger.signing_key_file", old.signing_key_file == new.signing_key_file),
        ("http.listen", old.listen == new.listen),
        ("playground", old.playground_channel == new.playground_channel),
        ("discord", old.discord == new.discord),
    ];
    same.into_iter().find(|(_, same)| !same).map(|(key, _)| key)
}
