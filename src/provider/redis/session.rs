//! One connection to the server, for one call; nothing is pooled, as for `postgres`.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisError,
    TlsCertificates, Value, aio::MultiplexedConnection,
};
use secrecy::{ExposeSecret, SecretString};

use super::super::{ProviderError, tls};

/// How long one call may take in all, in seconds: a server with very many users takes its time to save them.
pub(super) const CALL_LIMIT_SECS: u64 = 25;
/// How long connecting may take, in seconds.
const CONNECT_LIMIT_SECS: u64 = 5;
/// Questions that are sent before the first is answered.
const AT_ONCE: usize = 500;
/// Longest message of the server that is passed on, in characters.
const MESSAGE_MAX_CHARS: usize = 300;

/// How to reach a server: from the admin URL.
#[derive(Clone)]
pub(super) struct Address {
    client: Client,
}

/// What the holder of a grant connects to.
pub(super) struct Shown {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: i64,
    /// Whether the server must be reached by TLS.
    pub(super) tls: bool,
}

/// A connection.
pub(super) struct Session {
    connection: MultiplexedConnection,
}

/// What was under way when an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// A question that changes nothing.
    Question,
    /// A change.
    Change,
}

impl Address {
    /// Reads the admin URL. Its text is in no message.
    pub(super) fn read(name: &str, url: &SecretString, ca_file: Option<&str>) -> Result<Self, ProviderError> {
        let unread = || {
            ProviderError::Permanent(format!(
                "`{name}` is not a URL that can be read: write `rediss://user:password@host:6379/0`, or `redis://` without \
                 TLS"
            ))
        };
        let info = url.expose_secret().into_connection_info().map_err(|_| unread())?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(ProviderError::Permanent(format!(
                "`{name}` says not to verify the server: take `#insecure` out"
            )));
        }
        tls::name_provider();
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        let root_cert = ca_file.map(|file| tls::authorities(file, "redis.ca_file")).transpose()?;
        let client = match root_cert {
            Some(pem) => Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem) }),
            None => Client::open(info),
        };
        Ok(Self { client: client.map_err(|_| unread())? })
    }

    /// What a holder is shown if the settings don't say otherwise.
    pub(super) fn shown(&self) -> Shown {
        let info = self.client.get_connection_info();
        let (host, port, tls) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => (host.clone(), *port, false),
            ConnectionAddr::TcpTls { host, port, .. } => (host.clone(), *port, true),
            ConnectionAddr::Unix(_) | _ => ("localhost".into(), 6379, false),
        };
        Shown { host, port, database: info.redis_settings().db(), tls }
    }

    /// Where it is, for messages.
    pub(super) fn words(&self) -> String {
        let shown = self.shown();
        format!("Redis at {}:{}", shown.host, shown.port)
    }

    /// Connects. Until this is done, nothing is changed: every error but a wrong login is worth another try.
    pub(super) async fn connect(&self) -> Result<Session, ProviderError> {
        let limit = Duration::from_secs(CONNECT_LIMIT_SECS);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limit))
            .set_response_timeout(Some(Duration::from_secs(CALL_LIMIT_SECS)));
        let late = || ProviderError::Retry(format!("{} doesn't answer within {CONNECT_LIMIT_SECS} s", self.words()));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let connected = tokio::time::timeout(limit, connecting).await.map_err(|_| late())?;
        let connection = connected.map_err(|error| {
            if error.is_timeout() {
                return late();
            }
            let refused = error.kind() == ErrorKind::AuthenticationFailed || is_login(&error);
            if refused {
                let words = "the login was refused: look at the user and the password in the URL";
                return ProviderError::Permanent(format!("{}: {words}", self.words()));
            }
            ProviderError::Retry(format!("{}: can't be reached: {}", self.words(), message(&error)))
        })?;
        Ok(Session { connection })
    }
}

impl Session {
    /// Asks something; changes nothing.
    pub(super) async fn ask(&mut self, words: &[&str]) -> Result<Value, ProviderError> {
        self.send(words).await.map_err(|e| fault(&e, Sent::Question))
    }

    /// Changes something.
    pub(super) async fn change(&mut self, words: &[&str]) -> Result<Value, ProviderError> {
        self.send(words).await.map_err(|e| fault(&e, Sent::Change))
    }

    /// The answers to several questions of the same kind, each as a list of texts; empty for what isn't there.
    pub(super) async fn texts_of_each(
        &mut self,
        words: &[&str],
        of: &[String],
    ) -> Result<Vec<Vec<String>>, ProviderError> {
        let mut answers = Vec::with_capacity(of.len());
        for some in of.chunks(AT_ONCE) {
            let mut questions = redis::pipe();
            for about in some {
                let mut command = Cmd::new();
                for word in words.iter().chain([&about.as_str()]) {
                    command.arg(*word);
                }
                questions.add_command(command);
            }
            let told: Vec<Value> =
                questions.query_async(&mut self.connection).await.map_err(|e| fault(&e, Sent::Question))?;
            answers.extend(told.iter().map(texts));
        }
        Ok(answers)
    }

    async fn send(&mut self, words: &[&str]) -> Result<Value, RedisError> {
        let mut command = Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command.query_async(&mut self.connection).await
    }

    /// The answer as text; empty if there is none.
    pub(super) async fn text(&mut self, words: &[&str]) -> Result<String, ProviderError> {
        let answer = self.ask(words).await?;
        Ok(texts(&answer).join("\n"))
    }

    /// The answer as a list of texts.
    pub(super) async fn texts(&mut self, words: &[&str]) -> Result<Vec<String>, ProviderError> {
        let answer = self.ask(words).await?;
        Ok(texts(&answer))
    }
}

/// Every text in an answer, in order; numbers too.
fn texts(answer: &Value) -> Vec<String> {
    if let Value::Array(entries) | Value::Set(entries) = answer {
        return entries.iter().flat_map(texts).collect();
    }
    if let Value::Map(entries) = answer {
        return entries.iter().flat_map(|(key, value)| [texts(key), texts(value)].concat()).collect();
    }
    let text = match answer {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Okay => "OK".into(),
        Value::Nil | _ => return Vec::new(),
    };
    vec![text]
}

/// The verdict on an error.
fn fault(error: &RedisError, sent: Sent) -> ProviderError {
    /// It is starting, busy, full, or no master.
    const PASSING: [&str; 8] =
        ["LOADING", "BUSY", "MASTERDOWN", "READONLY", "MISCONF", "OOM", "TRYAGAIN", "CLUSTERDOWN"];
    let Some(code) = error.code() else {
        let words = message(error);
        return match sent {
            Sent::Question => ProviderError::Retry(format!("Redis: {words}")),
            Sent::Change => ProviderError::Unknown(format!("Redis: {words} while a change was under way")),
        };
    };
    let words = format!("Redis says: {code} {}", message(error));
    if PASSING.contains(&code) { ProviderError::Retry(words) } else { ProviderError::Permanent(words) }
}

fn is_login(error: &RedisError) -> bool {
    error.code().is_some_and(|code| ["NOAUTH", "WRONGPASS", "NOPERM"].contains(&code))
}

/// What an error says. Nothing of what was sent is in it but what the server quotes, and it is sent no secret.
fn message(error: &RedisError) -> String {
    let text = error.detail().map_or_else(|| error.to_string(), ToOwned::to_owned);
    text.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX_CHARS).collect()
}
