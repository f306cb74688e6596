//! Discord: slash commands, cards as embeds with buttons, forms, private answers.
//!
//! What is done in Discord comes in by one of two ways, the gateway ([`gateway`]) or signed HTTP requests ([`http`]), and
//! is the same from there on ([`desk`]): it is read leniently ([`heard`]), handed to the service, and answered within three
//! seconds, or deferred and answered when the answer is there. What goes out is paced and tried again by [`rest`].
//!
//! Nothing is decided here. A direct message carries no authority, and neither does another guild: both are refused before
//! anybody is asked.

mod cards;
mod check;
pub mod commands;
pub mod deed;
mod desk;
pub mod evidence;
pub mod forms;
mod gateway;
pub mod heard;
mod http;
mod markdown;
pub mod render;
mod rest;
mod suggest;
#[cfg(test)]
mod tests;
pub mod wire;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

pub use super::Mentions;
use super::{Channels, Service};
use crate::access::RequestId;
use desk::Desk;
use rest::{Call, Rest, RestError};

pub use http::BODY_BYTES_MAX;

/// Tells the time; the edge hands in its clock.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A call that people wait for may take so long.
const CALL_MAX: Duration = Duration::from_secs(15);
/// A message may wait for its turn so long: a channel takes five in five seconds.
const POST_MAX: Duration = Duration::from_mins(1);
/// A stop waits so long for answers that are under way.
const DRAIN_MAX: Duration = Duration::from_secs(4);
/// Cards whose place is remembered, the newest.
const PLACES_MAX: usize = 10_000;
/// The first pause before the commands are registered again; it doubles.
const REGISTER_AGAIN_FIRST: Duration = Duration::from_secs(2);
/// The longest such pause.
const REGISTER_AGAIN_LONGEST: Duration = Duration::from_mins(5);

/// How Discord tells us what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Over a connection that we open; no port of ours is reachable.
    Gateway,
    /// By signed requests to our listener.
    Http,
}

/// What the adapter needs to know.
#[derive(Clone)]
pub struct Settings {
    /// How Discord tells us what was done.
    pub mode: Mode,
    /// The base of the API: `https://discord.com`.
    pub api_url: String,
    /// The bot's token.
    pub token: SecretString,
    /// The one guild that is served.
    pub guild: String,
    /// The application's id.
    pub application: String,
    /// The application's public key; needed by [`Mode::Http`].
    pub public_key: Option<[u8; 32]>,
    /// Which channel is meant by a name of ours.
    pub channels: Channels,
    /// The role that a new card pings.
    pub ping: Option<String>,
    /// Who is who.
    pub mentions: Mentions,
    /// The clock.
    pub clock: Clock,
}

impl Settings {
    /// Our name of a channel of Discord's; its id where it has none.
    fn channel_name(&self, id: &str) -> String {
        let named = self.channels.named.iter().find(|(_, known)| *known == id);
        named.map_or_else(|| id.to_owned(), |(name, _)| name.clone())
    }
}

/// Why there is no adapter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// An id is no snowflake.
    #[error("`discord.{0}` is no id: it is up to 20 digits, copied with the developer mode on")]
    NoId(&'static str),
    /// The application's key is missing or no key.
    #[error("`discord.public_key` is missing or no Ed25519 key: the 64 hex digits are on the application's first page")]
    NoKey,
    /// There is no HTTP client.
    #[error("no HTTP client can be made: {0}")]
    NoClient(String),
}

/// Where a card stands, and how much of its history its thread has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    channel: String,
    message: String,
    told: u64,
}

/// The adapter.
pub struct Discord {
    settings: Settings,
    rest: Rest,
    http: reqwest::Client,
    /// By request and Discord's channel.
    places: Mutex<BTreeMap<(RequestId, String), Place>>,
    /// Direct-message channels by user.
    direct: Mutex<BTreeMap<String, String>>,
    stop: watch::Sender<bool>,
    tasks: TaskTracker,
    listening: Mutex<Vec<JoinHandle<()>>>,
}

impl Discord {
    /// An adapter; it does nothing before it is asked to.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: Settings) -> Result<Arc<Self>, SettingsError> {
        for (name, id) in [("guild_id", &settings.guild), ("application_id", &settings.application)] {
            if !is_snowflake(id) {
                return Err(SettingsError::NoId(name));
            }
        }
        if settings.mode == Mode::Http && settings.public_key.and_then(|key| evidence::Key::new(&key)).is_none() {
            return Err(SettingsError::NoKey);
        }
        let http = reqwest::Client::builder()
            .use_rustls_tls()
            .connect_timeout(Duration::from_secs(5))
            // A redirect could lead the token elsewhere.
            .redirect(reqwest::redirect::Policy::none());
        let http = if is_loopback(&settings.api_url) { http.no_proxy() } else { http };
        let http = http.build().map_err(|error| SettingsError::NoClient(error.without_url().to_string()))?;
        let rest = Rest::new(http.clone(), &settings.api_url, settings.token.clone());
        Ok(Arc::new(Self {
            settings,
            rest,
            http,
            places: Mutex::default(),
            direct: Mutex::default(),
            stop: watch::Sender::new(false),
            tasks: TaskTracker::new(),
            listening: Mutex::default(),
        }))
    }

    /// Registers the commands, and listens on the gateway if that is the mode. Returns at once.
    pub fn listen(self: &Arc<Self>, service: Arc<dyn Service>) {
        let mut tasks = vec![tokio::spawn(Arc::clone(self).register())];
        if self.settings.mode == Mode::Gateway {
            let desk = Desk::new(Arc::clone(self), service);
            tasks.push(tokio::spawn(gateway::run(Arc::clone(self), desk)));
        }
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
    }

    /// The route of the HTTP mode, `/discord/interactions`; no route in the other.
    pub fn router(self: &Arc<Self>, service: Arc<dyn Service>) -> axum::Router {
        let key = self.settings.public_key.and_then(|key| evidence::Key::new(&key));
        match (self.settings.mode, key) {
            (Mode::Http, Some(key)) => http::router(Desk::new(Arc::clone(self), service), key),
            (Mode::Http | Mode::Gateway, _) => axum::Router::new(),
        }
    }

    /// Hangs up, and waits a little for answers that are under way.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        self.tasks.close();
        // Whoever is not answered by then was not going to be.
        let _ = tokio::time::timeout(DRAIN_MAX, self.tasks.wait()).await;
        let listening = std::mem::take(&mut *self.listening.lock().unwrap_or_else(PoisonError::into_inner));
        for task in listening {
            // A task that ended by itself is as good as one that was ended.
            let _ = tokio::time::timeout(DRAIN_MAX, task).await;
        }
    }

    /// Registers the commands if what is registered is something else.
    async fn register(self: Arc<Self>) {
        let mut stopped = self.stop.subscribe();
        let mut pause = REGISTER_AGAIN_FIRST;
        loop {
            let done = tokio::select! {
                done = self.registered() => done,
                _ = stopped.wait_for(|stop| *stop) => return,
            };
            match done {
                Ok(true) => return tracing::info!("the commands were registered with Discord"),
                Ok(false) => return tracing::info!("the commands are registered with Discord"),
                Err(error) => tracing::error!(%error, "the commands can't be registered with Discord; tried again"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
            pause = (pause * 2).min(REGISTER_AGAIN_LONGEST);
        }
    }

    /// Whether they had to be.
    async fn registered(&self) -> Result<bool, RestError> {
        let Settings { application, guild, .. } = &self.settings;
        let path = format!("/applications/{application}/guilds/{guild}/commands");
        let wanted = commands::all();
        let there = self.get("GET commands", path.clone(), guild).await?;
        if commands::same(&wanted, &there) {
            return Ok(false);
        }
        let body = wire::json(&wanted).unwrap_or_default();
        self.send("PUT commands", (Method::PUT, path), guild, body, CALL_MAX).await?;
        Ok(true)
    }

    /// A GET, which shares its limit with those of the same route and place.
    async fn get(&self, route: &'static str, path: String, place: &str) -> Result<Value, RestError> {
        let call = Call {
            route,
            method: Method::GET,
            path,
            body: None,
            bucket: format!("{route} {place}"),
            is_answer: false,
            is_idempotent: true,
            within: CALL_MAX,
        };
        self.rest.call(&call).await
    }

    /// A call with a body, which may be made twice.
    async fn send(
        &self,
        route: &'static str,
        (method, path): (Method, String),
        place: &str,
        body: Zeroizing<Vec<u8>>,
        within: Duration,
    ) -> Result<Value, RestError> {
        let call = Call {
            route,
            method,
            path,
            body: Some(Arc::new(body)),
            bucket: format!("{route} {place}"),
            is_answer: false,
            is_idempotent: true,
            within,
        };
        self.rest.call(&call).await
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<(RequestId, String), Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, request: RequestId, place: Place) {
        let mut places = self.places();
        places.insert((request, place.channel.clone()), place);
        while places.len() > PLACES_MAX {
            places.pop_first();
        }
    }

    /// Where a request's card can be opened.
    fn card_url(&self, request: RequestId) -> Option<String> {
        let guild = &self.settings.guild;
        let places = self.places();
        let (_, place) = places.range((request, String::new())..).next().filter(|((of, _), _)| *of == request)?;
        Some(format!("https://discord.com/channels/{guild}/{}/{}", place.channel, place.message))
    }
}

/// Whether it can be an id of Discord's: up to 20 digits.
#[must_use]
pub fn is_snowflake(id: &str) -> bool {
    (1..=20).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit())
}

fn is_loopback(url: &str) -> bool {
    ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|start| url.starts_with(start))
}
