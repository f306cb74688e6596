//! The real chats, as the config has them: what goes out to them, and what comes in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::Router;
use secrecy::SecretString;

use super::{Stop, service::Live};
use crate::{
    access::Chat,
    chat::{
        Adapter, Channels, Findings, Mentions, Service,
        discord::{self, Discord},
        slack::{self, Slack},
    },
    config::{
        self,
        chats::{DiscordMode, SlackMode},
    },
    engine::clock::Clock,
};

/// The environment, as secrets.
pub type Env = BTreeMap<String, SecretString>;

/// The platforms that are set up.
pub struct Chats {
    slack: Option<(Arc<Slack>, SlackMode)>,
    discord: Option<Arc<Discord>>,
}

impl Chats {
    /// As the config says.
    ///
    /// # Errors
    /// A secret that is missing, or a platform that can't be set up so.
    pub fn new(live: &Live, env: &Env, clock: &Arc<dyn Clock>) -> Result<Self, Stop> {
        Ok(Self { slack: slack(live, env, clock)?, discord: discord(live, env, clock)? })
    }

    /// What the engine posts to.
    pub fn adapters(&self) -> Vec<Arc<dyn Adapter>> {
        let slack = self.slack.iter().map(|(slack, _)| Arc::clone(slack) as Arc<dyn Adapter>);
        let discord = self.discord.iter().map(|discord| Arc::clone(discord) as Arc<dyn Adapter>);
        slack.chain(discord).collect()
    }

    /// Where the platforms call us, for those that do.
    pub fn router(&self, service: &Arc<dyn Service>) -> Router {
        let router = match &self.slack {
            Some((slack, SlackMode::Http)) => slack.router(service),
            Some((_, SlackMode::Socket)) | None => Router::new(),
        };
        self.discord.iter().fold(router, |router, discord| router.merge(discord.router(Arc::clone(service))))
    }

    /// Starts to listen to those that we call.
    pub fn listen(&self, service: &Arc<dyn Service>) {
        if let Some((slack, SlackMode::Socket)) = &self.slack {
            slack.listen(service);
        }
        if let Some(discord) = &self.discord {
            discord.listen(Arc::clone(service));
        }
    }

    /// Stops listening.
    pub async fn stop(&self) {
        let slack = async {
            if let Some((slack, _)) = &self.slack {
                slack.stop().await;
            }
        };
        let discord = async {
            if let Some(discord) = &self.discord {
                discord.stop().await;
            }
        };
        tokio::join!(slack, discord);
    }
}

/// What each platform that is set up says of us, by its name.
pub async fn check(live: &Live, env: &Env, clock: &Arc<dyn Clock>) -> Vec<(&'static str, Findings)> {
    let missing = |stop: Stop| {
        let words = match stop {
            Stop::Finding(words) | Stop::Usage(words) | Stop::Unread(words) => words,
            Stop::Fault(error) => format!("{error:#}"),
        };
        Findings { found: Vec::new(), lacking: vec![words] }
    };
    let slack = async {
        match slack(live, env, clock) {
            Ok(None) => None,
            Ok(Some((slack, _))) => Some(("slack", slack.check().await)),
            Err(stop) => Some(("slack", missing(stop))),
        }
    };
    let discord = async {
        match discord(live, env, clock) {
            Ok(None) => None,
            Ok(Some(discord)) => Some(("discord", discord.check().await)),
            Err(stop) => Some(("discord", missing(stop))),
        }
    };
    let (slack, discord) = tokio::join!(slack, discord);
    slack.into_iter().chain(discord).collect()
}

/// Discord, if cards go there.
fn discord(live: &Live, env: &Env, clock: &Arc<dyn Clock>) -> Result<Option<Arc<Discord>>, Stop> {
    let config = live.now();
    let of = &config.server.discord;
    let Some(named) = &of.channels else { return Ok(None) };
    let token = secret(of.bot_token_file.as_ref(), env, "DISCORD_BOT_TOKEN");
    let clock = Arc::clone(clock);
    let settings = discord::Settings {
        mode: match of.mode {
            DiscordMode::Gateway => discord::Mode::Gateway,
            DiscordMode::Http => discord::Mode::Http,
        },
        api_url: of.api_url.clone().unwrap_or_else(|| "https://discord.com".to_owned()),
        token: token.map_err(|words| Stop::Finding(format!("Discord can't be used: {words}")))?,
        guild: of.guild_id.clone().unwrap_or_default(),
        application: of.application_id.clone().unwrap_or_default(),
        public_key: of.public_key,
        channels: channels(named, config::chats::is_discord_id),
        ping: of.ping_role.clone(),
        mentions: mentions(live, Chat::Discord),
        clock: Arc::new(move || clock.now()),
    };
    Discord::new(settings).map(Some).map_err(|error| Stop::Finding(format!("Discord can't be used: {error}")))
}

/// Slack, if cards go there.
fn slack(live: &Live, env: &Env, clock: &Arc<dyn Clock>) -> Result<Option<(Arc<Slack>, SlackMode)>, Stop> {
    let config = live.now();
    let of = &config.server.slack;
    let (Some(to), Some(team)) = (&of.channels, &of.team_id) else { return Ok(None) };
    let finding = |words: String| Stop::Finding(format!("Slack can't be set up: {words}"));
    let of_mode = |mode, file: Option<&PathBuf>, name| {
        (of.mode == mode).then(|| secret(file, env, name).map_err(finding)).transpose()
    };
    let clock = Arc::clone(clock);
    let slack = Slack::new(slack::Settings {
        team: team.clone(),
        api_url: of.api_url.clone(),
        bot_token: secret(of.bot_token_file.as_ref(), env, "SLACK_BOT_TOKEN").map_err(finding)?,
        app_token: of_mode(SlackMode::Socket, of.app_token_file.as_ref(), "SLACK_APP_TOKEN")?,
        signing_secret: of_mode(SlackMode::Http, of.signing_secret_file.as_ref(), "SLACK_SIGNING_SECRET")?,
        channels: channels(to, config::chats::is_slack_id),
        mentions: mentions(live, Chat::Slack),
        clock: Arc::new(move || clock.now()),
        chance: Arc::new(rand::random),
    });
    Ok(Some((slack, of.mode)))
}

/// A secret: from a file if the config names one, else from the environment.
///
/// # Errors
/// Why there is none, in words.
pub fn secret(file: Option<&PathBuf>, env: &Env, name: &str) -> Result<SecretString, String> {
    let read = |path: &Path| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    let secret = match file {
        Some(file) => {
            read(file).map_err(|error| format!("the file in place of `{name}` can't be read: {error}"))?.into()
        }
        None => env.get(name).cloned().ok_or_else(|| format!("`{name}` is not set"))?,
    };
    let empty = secrecy::ExposeSecret::expose_secret(&secret).is_empty();
    if empty { Err(format!("`{name}` is empty")) } else { Ok(secret) }
}

/// The channels of a platform, as an adapter takes them.
pub fn channels(of: &config::chats::Channels, is_id: fn(&str) -> bool) -> Channels {
    Channels { usual: of.usual.clone(), named: of.named.clone(), is_id }
}

/// Whom to mention, by the config of the moment.
pub fn mentions(live: &Live, chat: Chat) -> Mentions {
    let live = live.clone();
    Arc::new(move |name| live.now().facts.account(chat, name).map(str::to_owned))
}
