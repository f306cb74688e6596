//! Slack: cards and direct messages out, commands, clicks and forms in.
//!
//! | file | what it is for |
//! |---|---|
//! | `text`, `limit`, `blocks` | text that can't become markup, Slack's limits, lines as Block Kit |
//! | `message`, `modal`, `home` | what is shown: pure pictures of a state |
//! | `api`, `pace`, `check` | the Web API, as fast as Slack lets us, and what it says of us |
//! | `payload`, `talk`, `desk` | what Slack sends, and what is done with it |
//! | `socket`, `http` | the two ways in |
//! | `post`, `direct` | the adapter: messages that look like the engine's cards, and direct ones that are up to date |
//!
//! A message in Slack has no key by which the same could be posted once: what was posted is remembered here and in the
//! ledger. Where the answer to a post was lost (a timeout, a crash in that moment), the message is looked for by its
//! metadata if the app may read the channel (`channels:history`, which it need not have); if not, the card may stand there
//! twice, the older one as it was.

mod api;
mod backoff;
pub mod blocks;
mod check;
mod desk;
mod direct;
pub mod home;
mod http;
mod limit;
pub mod message;
pub mod modal;
mod pace;
mod payload;
mod post;
mod socket;
pub mod talk;
mod text;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{
    sync::{OnceCell, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{Channels, Mentions, Service};
use crate::access::RequestId;
use api::{Api, Fault};
use desk::Desk;

pub use api::Method;
pub use backoff::Chance;
pub use socket::CONNECTIONS;

/// Tells the time; the edge hands in its clock.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// At the end, what is under way is waited for so long.
const STOP_MAX: Duration = Duration::from_secs(8);

/// The words after which Slack calls us.
pub const COMMAND: &str = "/access";
/// The events that we want to be told, besides those of [`talk::EVENTS`] where thread talk is to be recorded.
pub const EVENTS: [&str; 1] = ["app_home_opened"];
/// The scopes of what is done, besides those of the [`Method`]s.
pub const SCOPES: [&str; 1] = ["commands"];

/// How Slack is reached, and what the adapter needs to know.
#[derive(Clone)]
pub struct Settings {
    /// The workspace: whoever is of another is refused.
    pub team: String,
    /// The base of the Web API, `https://slack.com/api` if there is none.
    pub api_url: Option<String>,
    /// The bot's token, `xoxb-…`.
    pub bot_token: SecretString,
    /// The app's token, `xapp-…`: for Socket Mode.
    pub app_token: Option<SecretString>,
    /// What Slack signs with: for HTTP.
    pub signing_secret: Option<SecretString>,
    /// Our names for its channels.
    pub channels: Channels,
    /// Whom to mention.
    pub mentions: Mentions,
    /// The time.
    pub clock: Clock,
    /// Random numbers, for pauses.
    pub chance: Chance,
}

/// Slack.
pub struct Slack {
    api: Arc<Api>,
    settings: Settings,
    started: DateTime<Utc>,
    /// Whether the token is of the workspace it should be of: asked once.
    known: OnceCell<()>,
    desk: OnceCell<Arc<Desk>>,
    memory: Arc<Mutex<post::Memory>>,
    stop: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

impl Slack {
    /// With these settings. Nothing is asked of Slack yet.
    #[must_use]
    pub fn new(settings: Settings) -> Arc<Self> {
        // With two of them compiled in, rustls would not know which one is meant. One that was chosen before stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = Api::new(settings.api_url.as_deref(), &settings.bot_token, settings.app_token.as_ref());
        Arc::new(Self {
            api: Arc::new(api),
            started: (settings.clock)(),
            settings,
            known: OnceCell::new(),
            desk: OnceCell::new(),
            memory: Arc::default(),
            stop: watch::Sender::new(false),
            tasks: Mutex::default(),
        })
    }

    /// Starts to listen by Socket Mode, on tasks of its own; they go on until [`Slack::stop`].
    pub fn listen(self: &Arc<Self>, service: &Arc<dyn Service>) {
        let (slack, service, mut stop) = (Arc::clone(self), Arc::clone(service), self.stop.subscribe());
        let listening = async move {
            if let Some(desk) = slack.introduced(&service, &mut stop).await {
                socket::listen(desk, stop).await;
            }
        };
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(listening);
    }

    /// What Slack calls over HTTP.
    pub fn router(self: &Arc<Self>, service: &Arc<dyn Service>) -> Router {
        http::router(Arc::clone(self), Arc::clone(service), self.settings.signing_secret.as_ref())
    }

    /// Stops listening. What is under way is still answered.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while tasks.join_next().await.is_some() {} };
        if timeout(STOP_MAX, ended).await.is_err() {
            tracing::warn!("Slack's connections did not end in time");
        }
    }

    /// Asks until Slack says who we are, or that we are nobody.
    async fn introduced(&self, service: &Arc<dyn Service>, stop: &mut watch::Receiver<bool>) -> Option<Arc<Desk>> {
        let mut failures: u32 = 0;
        loop {
            match self.desk(service).await {
                Ok(desk) => return Some(desk),
                Err(Fault::Dead(_) | Fault::Elsewhere(..)) => return None,
                Err(fault) => {
                    failures = failures.saturating_add(1);
                    let pause = backoff::pause(failures, (self.settings.chance)());
                    tracing::warn!(%fault, "Slack does not say who we are; asked again");
                    tokio::select! {
                        () = sleep(pause) => {}
                        _ = stop.wait_for(|stop| *stop) => return None,
                    }
                }
            }
        }
    }

    /// The one desk, once Slack has said who we are.
    async fn desk(&self, service: &Arc<dyn Service>) -> Result<Arc<Desk>, Fault> {
        self.ready().await?;
        let made = || async {
            Arc::new(Desk {
                api: Arc::clone(&self.api),
                chance: Arc::clone(&self.settings.chance),
                team: self.settings.team.clone(),
                channels: self.settings.channels.clone(),
                mentions: Arc::clone(&self.settings.mentions),
                service: Arc::clone(service),
                finished: Mutex::default(),
                memory: Arc::clone(&self.memory),
            })
        };
        Ok(Arc::clone(self.desk.get_or_init(made).await))
    }

    /// Whether the bot's token is good, and of the workspace that the config names.
    async fn ready(&self) -> Result<(), Fault> {
        self.api.alive()?;
        let asked = || async {
            let answer = self.api.call(Method::AuthTest, "", &json!({})).await?;
            let team = answer.get("team_id").and_then(Value::as_str).unwrap_or_default();
            if team == self.settings.team {
                return Ok(());
            }
            let fault = Fault::Elsewhere(team.to_owned(), self.settings.team.clone());
            self.api.bury(fault.clone());
            Err(fault)
        };
        self.known.get_or_try_init(asked).await.copied()
    }
}

/// What names a message in its metadata.
fn metadata(request: Option<RequestId>, key: &str) -> Value {
    // Slack's own libraries read strings only.
    let request = request.map_or_else(String::new, |request| request.0.to_string());
    json!({ "event_type": "countersign_card", "event_payload": { "request": request, "key": key } })
}
