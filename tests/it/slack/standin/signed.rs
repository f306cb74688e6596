//! The stand-in's HTTP mode: what Slack posts, signed as Slack signs it.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Acked, SIGNING_SECRET};

/// HMAC-SHA256, as RFC 2104 has it.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    hex::encode(Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize())
}

pub fn now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

pub fn encoded(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A request of Slack's: its path, body and headers.
pub struct Signed {
    pub path: &'static str,
    pub content_type: &'static str,
    pub body: String,
    pub moment: i64,
    pub signature: String,
    /// Which try it is, if not the first.
    pub retry: Option<u64>,
}

impl Signed {
    pub fn new(kind: &str, payload: &Value, moment: i64) -> Self {
        let (path, content_type, body) = match kind {
            "slash_commands" => {
                let fields = payload.as_object().unwrap().iter();
                let pair = |(name, value): (&String, &Value)| {
                    format!("{name}={}", encoded(value.as_str().unwrap_or_default()))
                };
                ("/slack/commands", "application/x-www-form-urlencoded", fields.map(pair).collect::<Vec<_>>().join("&"))
            }
            "interactive" => {
                let body = format!("payload={}", encoded(&payload.to_string()));
                ("/slack/interactions", "application/x-www-form-urlencoded", body)
            }
            _ => ("/slack/events", "application/json", payload.to_string()),
        };
        let signature = format!("v0={}", hmac(SIGNING_SECRET.as_bytes(), format!("v0:{moment}:{body}").as_bytes()));
        Self { path, content_type, body, moment, signature, retry: None }
    }

    pub async fn send(&self, app: &str) -> reqwest::Result<reqwest::Response> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(3)).build().unwrap();
        let mut request = http
            .post(format!("{app}{}", self.path))
            .header("content-type", self.content_type)
            .header("x-slack-request-timestamp", self.moment.to_string())
            .header("x-slack-signature", &self.signature)
            .body(self.body.clone());
        if let Some(retry) = self.retry {
            request = request.header("x-slack-retry-num", retry).header("x-slack-retry-reason", "http_error");
        }
        request.send().await
    }
}

pub async fn deliver(app: &str, kind: &str, payload: &Value) -> Acked {
    deliver_again(app, kind, payload, None).await
}

/// The same, as Slack says it when it delivers something once more.
pub async fn deliver_again(app: &str, kind: &str, payload: &Value, retry: Option<u64>) -> Acked {
    let signed = Signed { retry, ..Signed::new(kind, payload, now()) };
    let Ok(response) = signed.send(app).await else { return Acked::Late };
    if !response.status().is_success() {
        return Acked::Nobody;
    }
    let text = response.text().await.unwrap();
    Acked::Yes(serde_json::from_str(&text).unwrap_or_default())
}

#[test]
fn the_signature_is_slacks() {
    // From Slack's own page on how requests are verified.
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
                channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
                response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
                trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signed = hmac(b"8f742231b10e8888abcd99yyyzzz85a5", format!("v0:1531420618:{body}").as_bytes());
    assert_eq!(signed, "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503");
}
