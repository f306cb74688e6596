//! `webhook`: a receiver of the operator's that speaks `countersign.provider/v1` over HTTPS, as signed webhooks.
//!
//! The line that an `exec` plugin gets on standard input is the body of a `POST` here, signed as Standard Webhooks says,
//! with Ed25519. The reply is signed too, with the key that is pinned in the settings, and repeats the request's id and
//! nonce: what isn't so signed, whatever it says, leaves open what was done. No redirect is followed, and no
//! secret is sent: the receiver has its own.

mod settings;
mod sign;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, error::Error as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use ed25519_dalek::VerifyingKey;
use reqwest::{Certificate, Client, ClientBuilder, Response, StatusCode, Url, header::CONTENT_TYPE, redirect::Policy};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{
    ProviderError, Surroundings, blocking,
    plugin::{Heard, Lost, Message, Plugin, Reach, Source, Sources, Transport},
    protocol::REPLY_BYTES_MAX,
};
use settings::WebhookSettings;
pub(super) use settings::read;

/// The provider's name in the config.
pub(super) const NAME: &str = "webhook";
/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Someone who receives webhooks.
struct Receiver {
    url: Url,
    public_key: VerifyingKey,
    key: Source,
    ca_file: Option<String>,
    env: Arc<BTreeMap<String, SecretString>>,
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    client: tokio::sync::OnceCell<Client>,
}

/// The provider.
pub(super) fn plugin(
    resource: &str,
    settings: WebhookSettings,
    surroundings: &Surroundings,
) -> Result<Plugin, ProviderError> {
    let WebhookSettings { url, public_key, key, ca_file, common } = settings;
    // Whoever checked the settings has found both.
    let unread = || ProviderError::Permanent("`webhook.url` and `webhook.public_key` can't be read".into());
    let (env, now) = (Arc::clone(&surroundings.env), Arc::clone(&surroundings.now));
    let receiver = Receiver {
        url: url.ok_or_else(unread)?,
        public_key: public_key.ok_or_else(unread)?,
        key,
        ca_file,
        env: Arc::clone(&env),
        now: Arc::clone(&now),
        client: tokio::sync::OnceCell::new(),
    };
    let sources = Sources::new(BTreeMap::new(), env);
    Ok(Plugin::new((NAME, resource), common, sources, Arc::new(receiver), now))
}

#[async_trait]
impl Transport for Receiver {
    fn reach(&self) -> Reach {
        Reach::Remote
    }

    async fn exchange(&self, message: &Message) -> Result<Heard, Lost> {
        let late = || ProviderError::Unknown(format!("it did not answer within {} s", message.limit.as_secs_f32()));
        let answer = tokio::time::timeout(message.limit, self.post(message)).await;
        let reply = answer.map_err(|_| late())??;
        Ok(Heard { reply, aside: Vec::new() })
    }

    fn wants_nonce(&self) -> bool {
        true
    }
}

impl Receiver {
    async fn client(&self) -> Result<&Client, ProviderError> {
        let made = self.client.get_or_try_init(|| async {
            let permanent = |words: String| ProviderError::Permanent(words);
            let mut builder = Client::builder()
                .redirect(Policy::none())
                .connect_timeout(CONNECT_MAX)
                .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
            if settings::is_loopback(&self.url) {
                builder = builder.no_proxy();
            }
            if let Some(file) = self.ca_file.clone() {
                let shown = file.clone();
                let pem = blocking(move || {
                    std::fs::read(&file)
                        .map_err(|error| ProviderError::Permanent(format!("`ca_file` can't be read: {}", error.kind())))
                })
                .await?;
                let roots = Certificate::from_pem_bundle(&pem).unwrap_or_default();
                if roots.is_empty() {
                    return Err(permanent(format!("{shown} has no certificates in PEM")));
                }
                builder =
                    roots.into_iter().fold(builder.tls_built_in_root_certs(false), ClientBuilder::add_root_certificate);
            }
            builder.build().map_err(|_| permanent("no HTTP client can be made".into()))
        });
        made.await
    }

    async fn post(&self, message: &Message) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let secret = self.key.read(&self.env).map_err(|words| ProviderError::Permanent(format!("our key: {words}")))?;
        let key = sign::private_key(&secret);
        let key = key.ok_or_else(|| ProviderError::Permanent("our key is no `whsk_…` with an Ed25519 seed".into()))?;
        let timestamp = (self.now)().timestamp();
        let request = self
            .client()
            .await?
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(sign::ID, &message.id)
            .header(sign::TIMESTAMP, timestamp)
            .header(sign::SIGNATURE, sign::sign(&key, &message.id, timestamp, &message.line))
            .body(message.line.to_vec());
        let mut response = request.send().await.map_err(|error| fault(&error))?;
        if response.status() != StatusCode::OK {
            let status = response.status().as_u16();
            return Err(ProviderError::Unknown(format!("it answered with HTTP {status}, where only 200 is an answer")));
        }
        let headers = Headers::of(&response)?;
        let body = body(&mut response).await?;
        let believed = sign::verify(&self.public_key, headers.signed(), &body, (self.now)().timestamp());
        believed.map_err(|words| ProviderError::Unknown(words.into()))?;
        Ok(body)
    }
}

/// The three headers of a reply.
struct Headers([String; 3]);

impl Headers {
    fn of(response: &Response) -> Result<Self, ProviderError> {
        let unsigned = || ProviderError::Unknown("its reply is not signed".into());
        let one = |name: &str| {
            let mut values = response.headers().get_all(name).iter();
            let value = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
            value.map(ToOwned::to_owned).ok_or_else(unsigned)
        };
        Ok(Self([one(sign::ID)?, one(sign::TIMESTAMP)?, one(sign::SIGNATURE)?]))
    }

    fn signed(&self) -> (&str, &str, &str) {
        let [id, timestamp, signature] = &self.0;
        (id, timestamp, signature)
    }
}

/// The body, as far as anybody reads it.
async fn body(response: &mut Response) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
        if body.len().saturating_add(chunk.len()) > REPLY_BYTES_MAX {
            return Err(ProviderError::Unknown(format!("it answered more than {REPLY_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why there is no answer. Without a connection, surely nothing was done.
fn fault(error: &reqwest::Error) -> ProviderError {
    if error.is_connect() {
        // The innermost cause says it in the fewest words, and has no address in it.
        let mut cause = error.source();
        while let Some(inner) = cause.and_then(std::error::Error::source) {
            cause = Some(inner);
        }
        let why = cause.map_or_else(|| "no connection".to_owned(), ToString::to_string);
        return ProviderError::Retry(format!("it can't be reached: {why}"));
    }
    ProviderError::Unknown("the connection broke off before its reply was here".into())
}
