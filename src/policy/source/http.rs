//! One bounded GET.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::policy::directory::DEADLINE_MILLIS;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Asks, and reads the answer as JSON. A redirect is no answer: it could lead the token elsewhere.
pub fn get(who: &str, url: &str, token: Option<(&str, &SecretString)>, accept: &str) -> Result<Value, String> {
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|start| url.starts_with(start));
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_millis(DEADLINE_MILLIS)))
        .max_redirects(0)
        .http_status_as_error(false)
        // Discord's form, which it insists on; the others take any.
        .user_agent(concat!(
            "DiscordBot (https://countersign.example.com, ",
            env!("CARGO_PKG_VERSION"),
            ") countersign"
        ));
    if local {
        config = config.proxy(None);
    }
    let agent: ureq::Agent = config.build().into();
    let mut request = agent.get(url).header("Accept", accept);
    if let Some((scheme, token)) = token {
        request = request.header("Authorization", format!("{scheme}{}", token.expose_secret()));
    }
    let mut response = request.call().map_err(|error| format!("{who} can't be asked: {}", plain(&error)))?;
    let status = response.status().as_u16();
    let why = match status {
        200 => None,
        401 | 403 => Some("our token may not read this"),
        404 => Some("there is no such thing there"),
        429 => Some("it was asked too often"),
        _ => Some("it failed"),
    };
    if let Some(why) = why {
        return Err(format!("{who} answered {status}: {why}"));
    }
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    let body = body.map_err(|error| format!("{who}'s answer can't be read: {}", plain(&error)))?;
    serde_json::from_slice(&body).map_err(|_| format!("{who}'s answer is no JSON"))
}

/// Why a call failed, without the address, which may hold what is nobody's business.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list of errors is open")]
fn plain(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::Timeout(_) => "no answer in time",
        ureq::Error::HostNotFound => "its host is not found",
        ureq::Error::ConnectionFailed | ureq::Error::Io(_) => "no connection",
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "its certificate does not hold",
        ureq::Error::BodyExceedsLimit(_) => "it is too long",
        _ => "the call failed",
    }
}

/// A part of a URL.
pub fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
