//! `token`: a signed JWT (RFC 7519, `EdDSA` as in RFC 8037), for services that check a token themselves.
//!
//! The target is whoever trusts our key: they fetch `jwks.json` (RFC 7517) and refuse what stands in `revoked.json`. A
//! token names its holder, its resource and its end; its `jti` names the grant in the ledger. Another key signs every
//! `rotate_days`: [`keys`].

mod jwt;
mod keys;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    Credential, CredentialPart, Description, Item, NativeExpiry, Order, Provider, ProviderError, PublicDocument,
    SessionEnd, Surroundings, blocking,
    files::{self, Folder, Lock},
    orders::{checked, not_over, written},
    quote::shell,
    register::Register,
    settings::Reader,
};
use keys::Keys;

/// The provider's name in the config.
pub(super) const NAME: &str = "token";
const REGISTER: &str = "tokens.json";
/// After how many days another key signs, unless the settings say otherwise.
const ROTATE_DAYS: u16 = 90;
/// The most that the settings may say.
const ROTATE_DAYS_MAX: u16 = 3650;
/// How slow the clock of a service may be for a fresh token to be valid there, in seconds.
const SLOW_CLOCK_SECS: i64 = 60;

/// What can be set.
pub(super) struct TokenSettings {
    issuer: String,
    audience: Option<String>,
    key_file: Option<String>,
    rotate_days: u16,
}

/// Takes the settings out of `reader`.
pub(super) fn read(reader: &mut Reader<'_>) -> TokenSettings {
    let issuer = reader.text("issuer").unwrap_or_else(|| "countersign".into());
    let audience = reader.text("audience");
    let key_file = reader.text("key_file");
    let rotate_days = reader.number("rotate_days", 1..=ROTATE_DAYS_MAX);
    if key_file.is_some() && rotate_days.is_some() {
        let hint = "a key of your own is replaced by you: put another in its file";
        reader.problem("rotate_days", "stands beside `key_file`", hint);
    }
    TokenSettings { issuer, audience, key_file, rotate_days: rotate_days.unwrap_or(ROTATE_DAYS) }
}

/// The provider; its parts are shared with the threads that block.
pub(super) struct Token(Arc<Inner>);

struct Inner {
    resource: String,
    issuer: String,
    audience: String,
    keys: Keys,
    folder: Folder,
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

impl Token {
    pub(super) fn new(resource: &str, settings: TokenSettings, surroundings: &Surroundings) -> Self {
        Self(Arc::new(Inner {
            resource: resource.to_owned(),
            issuer: settings.issuer,
            audience: settings.audience.unwrap_or_else(|| resource.to_owned()),
            keys: Keys {
                folder: Folder::new(&surroundings.dir, resource),
                file: settings.key_file,
                rotate_days: settings.rotate_days,
            },
            folder: Folder::new(&surroundings.dir, resource),
            now: Arc::clone(&surroundings.now),
        }))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner, &Lock) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let held = inner.folder.lock()?;
            work(&inner, &held)
        })
        .await
    }
}

#[async_trait]
impl Provider for Token {
    fn describe(&self) -> Description {
        Description {
            name: NAME,
            native_expiry: NativeExpiry::Exact,
            ends_sessions: SessionEnd::No,
            lists: true,
            shared: false,
            activity: false,
            max_ttl_secs: None,
        }
    }

    fn plan(&self) -> Vec<String> {
        vec![
            format!("sign a token for audience {} that names its holder", self.0.audience),
            "it expires when the time is up; if it is revoked earlier, revoked.json says so".to_owned(),
        ]
    }

    async fn check(&self) -> Result<Vec<String>, ProviderError> {
        self.run(|inner, held| {
            let mut lacking = Vec::new();
            if let Err(error) = inner.keys.signing((inner.now)(), held) {
                lacking.push(error.to_string());
            } else if inner.keys.file.as_ref().is_some_and(|file| files::is_open_to_others(file.as_ref())) {
                lacking.push("others may read `token.key_file`: run `chmod 600` on it".into());
            }
            Ok(lacking)
        })
        .await
    }

    async fn grant(&self, order: &Order) -> Result<(), ProviderError> {
        checked(order)?;
        not_over(order, (self.0.now)())?;
        let order = order.clone();
        self.run(move |inner, held| inner.change(held, |register| register.open(&order))).await
    }

    async fn credential(&self, order: &Order, n: u32) -> Result<Credential, ProviderError> {
        checked(order)?;
        not_over(order, (self.0.now)())?;
        let order = order.clone();
        self.run(move |inner, held| inner.credential(held, &order, n)).await
    }

    async fn revoke(&self, order: &Order) -> Result<(), ProviderError> {
        checked(order)?;
        let order = order.clone();
        self.run(move |inner, held| inner.change(held, |register| register.close(&order))).await
    }

    async fn list(&self, log_tag: &str) -> Result<Vec<Item>, ProviderError> {
        let log_tag = log_tag.to_owned();
        self.run(move |inner, _| Ok(inner.register()?.items(&log_tag))).await
    }

    async fn public(&self, name: &str) -> Option<PublicDocument> {
        let body = match name {
            "jwks.json" => self.run(|inner, held| inner.keys.published((inner.now)(), held)).await,
            "revoked.json" => self.run(|inner, _| inner.revoked()).await,
            _ => return None,
        };
        let body = body.ok()?;
        Some(PublicDocument { content_type: "application/json", body: body.to_string().into_bytes() })
    }
}

impl Inner {
    fn register(&self) -> Result<Register<()>, ProviderError> {
        self.folder.read_json(REGISTER)
    }

    fn change(&self, held: &Lock, how: impl FnOnce(&mut Register<()>)) -> Result<(), ProviderError> {
        let mut register = self.register()?;
        how(&mut register);
        register.turn_page((self.now)());
        self.folder.write_json(REGISTER, &register, held)
    }

    fn credential(&self, held: &Lock, order: &Order, n: u32) -> Result<Credential, ProviderError> {
        let now = (self.now)();
        let key = self.keys.signing(now, held)?;
        let mut register = self.register()?;
        let exp = order.not_after.timestamp();
        register.cut(order, n, exp, ())?;
        register.turn_page(now);
        // The earlier ones are void, and the key is to stay published, before the new one exists.
        self.folder.write_json(REGISTER, &register, held)?;
        self.keys.signs(&key, exp, now, held)?;

        let now = now.timestamp();
        let jti = format!("{}:{n}", order.external_id);
        let token = key.sign(&json!({
            "iss": self.issuer,
            "sub": order.holder.name,
            "aud": self.audience,
            "exp": exp,
            "nbf": now.saturating_sub(SLOW_CLOCK_SECS),
            "iat": now,
            "jti": jti,
            "resource": self.resource,
        }));
        let variable = variable(&self.resource);
        let check = format!(
            "algorithm EdDSA, key from /providers/{}/jwks.json\niss = {}\naud = {}\nexp = {exp} ({})\njti = {jti}, \
             void if it stands in /providers/{}/revoked.json",
            self.resource,
            self.issuer,
            self.audience,
            written(order.not_after),
            self.resource,
        );
        Ok(Credential {
            n,
            public_id: jti,
            not_after: DateTime::from_timestamp(exp, 0).unwrap_or(order.not_after),
            parts: vec![
                CredentialPart {
                    label: "run this in the shell that needs it".into(),
                    text: format!("export {variable}={}", shell(&token)).into(),
                },
                CredentialPart { label: "how the service checks it".into(), text: check.into() },
            ],
        })
    }

    /// Every token that is void though it hasn't expired.
    fn revoked(&self) -> Result<serde_json::Value, ProviderError> {
        let register = self.register()?;
        let void = register.doors.iter().flat_map(|(id, door)| {
            let void = door.keys.iter().filter(|key| key.void);
            void.map(move |key| json!({ "jti": format!("{id}:{}", key.n), "exp": key.not_after }))
        });
        Ok(json!({ "revoked": void.collect::<Vec<_>>() }))
    }
}

/// The environment variable for a resource's token: `prod-api` becomes `PROD_API_TOKEN`.
fn variable(resource: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = resource.chars().map(word).collect();
    let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
    format!("{}{name}_TOKEN", if digit_first { "_" } else { "" })
}
