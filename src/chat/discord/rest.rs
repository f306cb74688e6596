//! Discord's REST API: paced by what it says of its limits, tried again where that is safe, and never without an end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout_at};
use zeroize::Zeroizing;

/// One try.
const TRY_MAX: Duration = Duration::from_secs(10);
/// Tries of one call, besides those that were told to wait.
const TRIES_MAX: u32 = 4;
/// The first pause before another try; it doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
/// What Discord allows an application on all routes together, but for answers to interactions.
const CALLS_PER_SEC: u32 = 45;
/// After so many buckets those that are open are forgotten.
const BUCKETS_MAX: usize = 4_096;
/// A token that was refused is not tried again for so long: ten thousand refusals are a ban of the address.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Discord wants to know who calls.
const USER_AGENT: &str = concat!("DiscordBot (https://countersign.example.com, ", env!("CARGO_PKG_VERSION"), ")");

/// Why a call failed. It names the route and never what is in the address or the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// Discord said no: its status, its own code and its words.
    #[error("Discord answered {status} (code {code}) to {route}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Discord's own code; 0 if it gave none.
        code: u64,
        /// Which route.
        route: &'static str,
    },
    /// No answer in time, or no connection.
    #[error("{why}, at {route}")]
    Unreachable {
        /// What happened, without the address.
        why: &'static str,
        /// Which route.
        route: &'static str,
    },
}

impl RestError {
    /// Whether Discord answered with this code of its own.
    #[must_use]
    pub fn is_code(&self, wanted: u64) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }

    /// Whether the same call would be refused again, whenever it is made.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 403 | 404, .. })
    }
}

/// What to call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The route without its ids, for errors.
    pub route: &'static str,
    /// The method.
    pub method: Method,
    /// The path below `/api/v10`.
    pub path: String,
    /// The body, if there is one.
    pub body: Option<Arc<Zeroizing<Vec<u8>>>>,
    /// What shares a limit with it: the route with its channel, guild or webhook.
    pub bucket: String,
    /// Answers to interactions: no global limit, and no bot token.
    pub is_answer: bool,
    /// Whether doing it twice is doing it once.
    pub is_idempotent: bool,
    /// How long it may take in all.
    pub within: Duration,
}

/// A limit that Discord told us of.
#[derive(Debug, Default)]
struct Bucket {
    /// Until when nothing is left.
    closed_until: Option<Instant>,
}

/// The client.
pub struct Rest {
    client: reqwest::Client,
    base: String,
    token: SecretString,
    buckets: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Bucket>>>>,
    /// When the next call of all may be made, and until when none may.
    next: tokio::sync::Mutex<Instant>,
    refused_until: Mutex<Option<Instant>>,
}

/// What one try came to.
enum Tried {
    Done(Value),
    /// Refused for good.
    No(RestError),
    /// Not now: after so long, everywhere or on this bucket only.
    Later {
        after: Duration,
        everywhere: bool,
    },
    /// Perhaps done, surely not answered.
    Again(RestError),
}

impl Rest {
    /// A client of the API at `base`, for example `https://discord.com`.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(client: reqwest::Client, base: &str, token: SecretString) -> Self {
        Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
            token,
            buckets: Mutex::default(),
            next: tokio::sync::Mutex::new(Instant::now()),
            refused_until: Mutex::default(),
        }
    }

    /// Calls, and waits its turn.
    ///
    /// # Errors
    /// [`RestError`], at the latest after `call.within`.
    pub async fn call(&self, call: &Call) -> Result<Value, RestError> {
        let end = Instant::now() + call.within;
        let late = || RestError::Unreachable { why: "no answer in time", route: call.route };
        let mut tries = 0;
        loop {
            self.not_refused(call)?;
            let bucket = self.bucket(&call.bucket);
            // One call at a time on each bucket: whoever waits is next.
            let mut bucket = timeout_at(end, bucket.lock_owned()).await.map_err(|_| late())?;
            if let Some(until) = bucket.closed_until.filter(|until| *until > Instant::now()) {
                timeout_at(end, sleep_until(until)).await.map_err(|_| late())?;
            }
            if !call.is_answer {
                timeout_at(end, self.turn()).await.map_err(|_| late())?;
            }
            let outcome = timeout_at(end.min(Instant::now() + TRY_MAX), self.attempt(call, &mut bucket)).await;
            drop(bucket);
            let error = match outcome {
                Ok(Tried::Done(value)) => return Ok(value),
                Ok(Tried::No(error)) => return Err(error),
                Ok(Tried::Later { after, everywhere }) => {
                    let until = Instant::now() + after;
                    if everywhere {
                        let mut next = self.next.lock().await;
                        *next = (*next).max(until);
                    }
                    if until >= end {
                        return Err(late());
                    }
                    sleep_until(until).await;
                    continue;
                }
                Ok(Tried::Again(error)) => error,
                Err(_) => late(),
            };
            tries += 1;
            let pause = PAUSE_FIRST * 2u32.saturating_pow(tries - 1);
            if !call.is_idempotent || tries >= TRIES_MAX || Instant::now() + pause >= end {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn bucket(&self, name: &str) -> Arc<tokio::sync::Mutex<Bucket>> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            // Those that somebody waits for, or that may be closed, stay.
            buckets.retain(|_, bucket| {
                Arc::strong_count(bucket) > 1
                    || bucket
                        .try_lock()
                        .is_ok_and(|bucket| bucket.closed_until.is_some_and(|until| until > Instant::now()))
            });
        }
        Arc::clone(buckets.entry(name.to_owned()).or_default())
    }

    /// Waits for a turn on the limit of all routes together.
    async fn turn(&self) {
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + Duration::from_secs(1) / CALLS_PER_SEC;
    }

    fn not_refused(&self, call: &Call) -> Result<(), RestError> {
        let refused = *self.refused_until.lock().unwrap_or_else(PoisonError::into_inner);
        match refused {
            Some(until) if until > Instant::now() && !call.is_answer => {
                Err(RestError::Refused { status: 401, code: 0, route: call.route })
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn attempt(&self, call: &Call, bucket: &mut Bucket) -> Tried {
        let unreachable = |why| RestError::Unreachable { why, route: call.route };
        let url = format!("{}/api/v10{}", self.base, call.path);
        let mut request = self.client.request(call.method.clone(), url).header(header::USER_AGENT, USER_AGENT);
        if !call.is_answer {
            let token = Zeroizing::new(format!("Bot {}", self.token.expose_secret()));
            let Ok(mut value) = header::HeaderValue::from_str(&token) else {
                return Tried::No(unreachable("the bot's token can't be sent in a header"));
            };
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(body) = &call.body {
            let bytes = axum::body::Bytes::from_owner(Shared(Arc::clone(body)));
            request = request.header(header::CONTENT_TYPE, "application/json").body(bytes);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Tried::Again(unreachable("no connection")),
            Err(error) if error.is_timeout() => return Tried::Again(unreachable("no answer in time")),
            Err(_) => return Tried::Again(unreachable("the call broke off")),
        };
        let status = response.status();
        let number = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            value.parse::<f64>().ok().filter(|secs| secs.is_finite() && *secs >= 0.0)
        };
        if number("x-ratelimit-remaining").is_some_and(|left| left < 1.0) {
            bucket.closed_until = number("x-ratelimit-reset-after").map(|secs| Instant::now() + seconds(secs));
        }
        let (retry_after, global) = (number("retry-after"), response.headers().contains_key("x-ratelimit-global"));
        let Some(body) = limited(response).await else {
            return Tried::Again(unreachable("its answer broke off"));
        };
        if status.is_success() {
            return Tried::Done(serde_json::from_slice(&body).unwrap_or_default());
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = body.get("code").and_then(Value::as_u64).unwrap_or_default();
        let refused = RestError::Refused { status: status.as_u16(), code, route: call.route };
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                let said = body.get("retry_after").and_then(Value::as_f64);
                let everywhere = global || body.get("global") == Some(&Value::Bool(true));
                let after = seconds(said.or(retry_after).unwrap_or(1.0));
                if !everywhere {
                    bucket.closed_until = Some(Instant::now() + after);
                }
                Tried::Later { after, everywhere }
            }
            StatusCode::UNAUTHORIZED if !call.is_answer => {
                *self.refused_until.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Instant::now() + REFUSED_PAUSE);
                Tried::No(refused)
            }
            status if status.is_server_error() => Tried::Again(refused),
            _ => Tried::No(refused),
        }
    }
}

/// A body that is sent without a copy of it.
struct Shared(Arc<Zeroizing<Vec<u8>>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Seconds as Discord gives them, within reason.
fn seconds(secs: f64) -> Duration {
    const LONGEST_SECS: f64 = 3_600.0;
    Duration::try_from_secs_f64(secs.clamp(0.0, LONGEST_SECS)).unwrap_or(Duration::from_secs(1))
}

/// The body, if all of it came and it is not longer than anything we ask for.
async fn limited(mut response: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
