//! Slack's Web API, over `slack-morphism`'s connector: what may be tried again is, as fast as Slack lets us, and a token
//! that Slack has thrown away is told once and used no more.
//!
//! Bodies go in and out as JSON of ours. The crate's errors carry whole bodies (trigger ids, response URLs, credentials), so
//! none of them is ever shown: a [`Fault`] has Slack's code and nothing else.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hyper_timeout::TimeoutConnector;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use slack_morphism::{
    ClientResult, SlackApiToken, SlackApiTokenValue, SlackClientApiCallContext, SlackClientHttpConnector as _,
    errors::{SlackClientError, SlackClientHttpProtocolError},
    hyper_tokio::{SlackClientHyperConnector, SlackHyperHttpsConnector},
};
use tokio::time::{sleep, timeout};

use super::pace::{Pace, Rate};

/// A connection is made within this.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// An answer comes within this, or is no answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A modal is opened within this: its trigger lives three seconds.
const OPEN_MAX: Duration = Duration::from_millis(2_500);
/// How often a call is tried in all, before it is the engine's turn to try again.
const TRIES: u32 = 4;
/// The first pause before a call is tried again; it doubles each time.
const AGAIN_FIRST: Duration = Duration::from_millis(200);
/// What is waited when Slack wants a pause and does not say how long.
const PAUSE_DEFAULT: Duration = Duration::from_secs(1);
/// A longer pause than this is the engine's to wait; the lane is held all the same.
const PAUSE_WAITED_MAX: Duration = Duration::from_mins(1);
/// Slack's code is shown up to this length.
const CODE_CHARS: usize = 60;

/// What a channel is: only looked at when somebody asks for a check, and as far as the bot may.
pub const CHANNEL_INFO: &str = "conversations.info";

/// The methods that are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Who we are.
    AuthTest,
    /// A message.
    PostMessage,
    /// A message, made to look like this.
    Update,
    /// A message that one person sees.
    PostEphemeral,
    /// The direct message with a person.
    OpenConversation,
    /// A modal; its trigger lives three seconds.
    OpenView,
    /// A modal, made to look like this.
    UpdateView,
    /// App Home of a person.
    PublishView,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AuthTest,
        Self::PostMessage,
        Self::Update,
        Self::PostEphemeral,
        Self::OpenConversation,
        Self::OpenView,
        Self::UpdateView,
        Self::PublishView,
    ];

    /// Its name in Slack.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthTest => "auth.test",
            Self::PostMessage => "chat.postMessage",
            Self::Update => "chat.update",
            Self::PostEphemeral => "chat.postEphemeral",
            Self::OpenConversation => "conversations.open",
            Self::OpenView => "views.open",
            Self::UpdateView => "views.update",
            Self::PublishView => "views.publish",
        }
    }

    /// The scope it needs, if any.
    #[must_use]
    pub fn scope(self) -> Option<&'static str> {
        match self {
            Self::PostMessage | Self::Update | Self::PostEphemeral => Some("chat:write"),
            Self::OpenConversation => Some("im:write"),
            Self::AuthTest | Self::OpenView | Self::UpdateView | Self::PublishView => None,
        }
    }

    /// Whether doing it twice is doing it once.
    fn is_idempotent(self) -> bool {
        match self {
            Self::AuthTest | Self::Update | Self::OpenConversation | Self::UpdateView | Self::PublishView => true,
            Self::PostMessage | Self::PostEphemeral | Self::OpenView => false,
        }
    }

    /// How often Slack lets it be called; nothing for what somebody waits for with a trigger that dies.
    pub(super) fn rate(self) -> Option<Rate> {
        match self {
            // One message a second in a channel.
            Self::PostMessage => Some(Rate { burst: 1, each: Duration::from_secs(1) }),
            // Tier 3: 50 a minute.
            Self::Update | Self::OpenConversation => Some(Rate { burst: 10, each: Duration::from_millis(1_250) }),
            // Tier 4: 100 a minute.
            Self::PostEphemeral | Self::PublishView => Some(Rate { burst: 20, each: Duration::from_millis(650) }),
            Self::AuthTest | Self::OpenView | Self::UpdateView => None,
        }
    }

    /// Whether Slack counts it by channel, and not over the workspace.
    pub(super) fn is_counted_by_place(self) -> bool {
        match self {
            Self::PostMessage => true,
            Self::AuthTest
            | Self::Update
            | Self::PostEphemeral
            | Self::OpenConversation
            | Self::OpenView
            | Self::UpdateView
            | Self::PublishView => false,
        }
    }
}

/// Why Slack did not do what it was asked. Nothing of a body is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It said no, and would again.
    #[error("Slack says `{0}`")]
    Refused(String),
    /// It wants a pause.
    #[error("Slack wants a pause of {} s", .0.as_secs())]
    Limited(Duration),
    /// It was never reached.
    #[error("Slack can't be reached")]
    Unsent,
    /// It may have been done: {0} is what came instead of an answer.
    #[error("Slack gave no answer that can be read ({0})")]
    Unknown(String),
    /// The token is worth nothing any more.
    #[error("Slack has thrown our token away (`{0}`): give Countersign a new one and start it again")]
    Dead(String),
    /// The token is of another workspace than the config says.
    #[error(
        "the bot token is of the workspace `{0}`, and `slack.team_id` says `{1}`: correct one of them and start again"
    )]
    Elsewhere(String, String),
}

impl Fault {
    /// Whether Slack said this.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        matches!(self, Self::Refused(said) if said == code)
    }
}

/// Codes that say a token is worth nothing.
const DEAD: [&str; 7] = [
    "not_authed",
    "invalid_auth",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "team_access_not_granted",
    "org_login_required",
];
/// More of them where a socket is asked for: this app may not have one.
const DEAD_FOR_SOCKETS: [&str; 5] =
    ["no_permission", "missing_scope", "not_allowed_token_type", "link_disabled", "forbidden_team"];
/// Codes after which something may have been done.
const UNKNOWN: [&str; 5] =
    ["internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"];

/// The Web API with our tokens.
pub struct Api {
    connector: SlackClientHyperConnector<TimeoutConnector<SlackHyperHttpsConnector>>,
    bot: SlackApiToken,
    app: Option<SlackApiToken>,
    pace: Pace,
    dead: RwLock<Option<Fault>>,
    over_loopback: bool,
}

fn token(secret: &SecretString) -> SlackApiToken {
    SlackApiToken::new(SlackApiTokenValue::from(secret.expose_secret().to_owned()))
}

impl Api {
    /// With these tokens, at this base (`https://slack.com/api` if none is named).
    #[must_use]
    pub fn new(base: Option<&str>, bot: &SecretString, app: Option<&SecretString>) -> Self {
        let https = hyper_rustls::HttpsConnectorBuilder::new().with_webpki_roots();
        let https = if base.is_some() {
            https.https_or_http().enable_http1().build()
        } else {
            https.https_only().enable_http1().enable_http2().build()
        };
        let mut connector = TimeoutConnector::new(https);
        connector.set_connect_timeout(Some(CONNECT_MAX));
        connector.set_read_timeout(Some(ANSWER_MAX));
        connector.set_write_timeout(Some(ANSWER_MAX));
        let connector = SlackClientHyperConnector::with_connector(connector);
        let connector = match base {
            Some(base) => connector.with_slack_api_url(base.trim_end_matches('/')),
            None => connector,
        };
        Self {
            connector,
            bot: token(bot),
            app: app.map(token),
            pace: Pace::default(),
            dead: RwLock::default(),
            over_loopback: base.is_some_and(|base| base.starts_with("http://")),
        }
    }

    /// Calls a method with the bot's token. `place` is the channel it is about.
    ///
    /// # Errors
    /// Why it was not done, after as many tries as make sense.
    pub async fn call(&self, method: Method, place: &str, body: &Value) -> Result<Value, Fault> {
        let mut tries = 1;
        loop {
            self.alive()?;
            self.pace.turn(method, place).await;
            let fault = match self.once(method, body).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let pause =
                match &fault {
                    Fault::Limited(pause) => {
                        self.pace.hold(method, place, *pause);
                        // Whoever has a rate waits in its lane.
                        (*pause <= PAUSE_WAITED_MAX && method != Method::OpenView)
                            .then_some(if method.rate().is_some() { Duration::ZERO } else { *pause })
                    }
                    Fault::Unsent if method != Method::OpenView => Some(AGAIN_FIRST.saturating_mul(1 << tries.min(8))),
                    Fault::Unknown(_) if method.is_idempotent() => Some(AGAIN_FIRST.saturating_mul(1 << tries.min(8))),
                    Fault::Dead(_) => {
                        self.bury(fault.clone());
                        None
                    }
                    Fault::Unsent | Fault::Unknown(_) | Fault::Refused(_) | Fault::Elsewhere(..) => None,
                };
            let Some(pause) = pause.filter(|_| tries < TRIES) else { return Err(fault) };
            tracing::debug!(method = method.name(), tries, %fault, "asking Slack again");
            tries += 1;
            sleep(pause).await;
        }
    }

    async fn once(&self, method: Method, body: &Value) -> Result<Value, Fault> {
        let most = if method == Method::OpenView { OPEN_MAX } else { ANSWER_MAX };
        let span = tracing::Span::none();
        let asked = self.connector.http_post(method.name(), body, context(Some(&self.bot), &span));
        answer(within(most, asked).await?, &[])
    }

    /// Where a socket may be opened: an address with a ticket in it, as good as a token for a few seconds.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn socket_url(&self) -> Result<SecretString, Fault> {
        let app = self.app.as_ref().ok_or_else(|| Fault::Dead("not_authed".into()))?;
        let body = json!({});
        let span = tracing::Span::none();
        let asked = self.connector.http_post("apps.connections.open", &body, context(Some(app), &span));
        let answer = answer(within(ANSWER_MAX, asked).await?, &DEAD_FOR_SOCKETS)?;
        let url = answer.get("url").and_then(Value::as_str).ok_or_else(|| Fault::Unknown("no address".into()))?;
        Ok(url.to_owned().into())
    }

    /// Whether somebody who would call this now would have to wait.
    #[must_use]
    pub fn is_busy(&self, method: Method, place: &str) -> bool {
        self.pace.is_busy(method, place)
    }

    /// Sends a message to the address that came with a command or a click. The address is a secret of sorts.
    ///
    /// # Errors
    /// Why it was not done; it is not tried again, since it can be used five times only.
    pub async fn respond(&self, url: &str, body: &Value) -> Result<(), Fault> {
        let fit = url.starts_with("https://") || (self.over_loopback && url.starts_with("http://"));
        let url = url.parse().ok().filter(|_| fit).ok_or_else(|| Fault::Refused("no_response_url".into()))?;
        let span = tracing::Span::none();
        let asked = self.connector.http_post_uri::<_, Value>(url, body, context(None, &span));
        match within(ANSWER_MAX, asked).await? {
            // Slack answers `ok` in plain text, which the connector reads as an empty object.
            Ok(_) => Ok(()),
            Err(error) => Err(fault(&error, &[])),
        }
    }

    /// The newest messages of a channel with their metadata, if we may read them.
    ///
    /// # Errors
    /// `missing_scope` where the app has no `channels:history`, as it usually has not.
    pub async fn newest(&self, channel: &str) -> Result<Vec<Value>, Fault> {
        self.alive()?;
        let params = vec![("channel", Some(channel)), ("limit", Some("15")), ("include_all_metadata", Some("true"))];
        let span = tracing::Span::none();
        let asked = self.connector.http_get("conversations.history", &params, context(Some(&self.bot), &span));
        let answer = answer(within(ANSWER_MAX, asked).await?, &[])?;
        Ok(answer.get("messages").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Whether the bot's token is worth anything, as far as we know.
    ///
    /// # Errors
    /// [`Fault::Dead`] if not.
    pub fn alive(&self) -> Result<(), Fault> {
        self.dead.read().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }

    /// The token is not to be used again, for this reason; it is told once.
    pub fn bury(&self, why: Fault) {
        let mut dead = self.dead.write().unwrap_or_else(PoisonError::into_inner);
        if dead.is_none() {
            tracing::error!("nothing goes to Slack any more: {why}");
            *dead = Some(why);
        }
    }
}

fn context<'a>(token: Option<&'a SlackApiToken>, span: &'a tracing::Span) -> SlackClientApiCallContext<'a> {
    // Its addresses are never written out: one that a message goes to is a secret.
    SlackClientApiCallContext { rate_control_params: None, token, tracing_span: span, is_sensitive_url: true }
}

async fn within<T>(most: Duration, asked: impl Future<Output = T>) -> Result<T, Fault> {
    timeout(most, asked).await.map_err(|_| Fault::Unknown("none in time".into()))
}

fn answer(result: ClientResult<Value>, more: &[&str]) -> Result<Value, Fault> {
    match result {
        Ok(answer) if answer.get("ok") == Some(&Value::Bool(true)) => Ok(answer),
        // A page of HTML becomes an empty object in the connector.
        Ok(_) => Err(Fault::Unknown("no JSON of Slack's".into())),
        Err(error) => Err(fault(&error, more)),
    }
}

fn fault(error: &SlackClientError, more: &[&str]) -> Fault {
    match error {
        SlackClientError::ApiError(error) => {
            let code: String =
                error.code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(CODE_CHARS).collect();
            match code.as_str() {
                "ratelimited" | "rate_limited" => Fault::Limited(PAUSE_DEFAULT),
                code if DEAD.contains(&code) || more.contains(&code) => Fault::Dead(code.to_owned()),
                code if UNKNOWN.contains(&code) => Fault::Unknown(code.to_owned()),
                code => Fault::Refused(code.to_owned()),
            }
        }
        SlackClientError::RateLimitError(error) => Fault::Limited(error.retry_after.unwrap_or(PAUSE_DEFAULT)),
        SlackClientError::HttpError(error) => match error.status_code.as_u16() {
            status @ 400..500 => Fault::Refused(format!("http_{status}")),
            status => Fault::Unknown(format!("HTTP {status}")),
        },
        SlackClientError::HttpProtocolError(error) if never_sent(error) => Fault::Unsent,
        SlackClientError::HttpProtocolError(_) | SlackClientError::SystemError(_) => {
            Fault::Unknown("the connection broke".into())
        }
        SlackClientError::EndOfStream(_)
        | SlackClientError::ProtocolError(_)
        | SlackClientError::SocketModeProtocolError(_) => Fault::Unknown("no JSON of Slack's".into()),
    }
}

/// Whether there was not even a connection.
fn never_sent(error: &SlackClientHttpProtocolError) -> bool {
    error
        .cause
        .as_ref()
        .and_then(|cause| cause.downcast_ref::<hyper_util::client::legacy::Error>())
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
}

/// The same for whoever shares it.
pub type Shared = Arc<Api>;
