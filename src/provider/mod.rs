//! Providers: the doors. One trait, one file a provider.
//!
//! A provider instance is bound to one target: it is built by [`open`] from the provider's name and its settings, a
//! copy of which every grant keeps in the ledger, so that editing or deleting the resource's config can't strand a
//! grant. Secrets are never in the settings: these name environment variables or files.
//!
//! What is not in this binary speaks the same contract as lines of JSON ([`protocol`]), through a program (`exec`) or a
//! signed webhook (`webhook`); what is in it can be asked in the same lines ([`serve`]), and [`kit`] holds both to it.
//!
//! The contract: `grant` and `revoke` are idempotent on [`Order::external_id`]; revoking what is gone succeeds; a
//! timeout or an unreadable answer is [`ProviderError::Unknown`], never a failure.

mod admin;
mod exec;
mod files;
pub mod kit;
mod mark;
mod marked;
mod mysql;
mod noted;
mod orders;
mod plugin;
mod postgres;
pub mod protocol;
mod quote;
mod random;
mod redis;
mod register;
mod registry;
pub mod serve;
mod settings;
mod ssh;
mod statements;
pub mod throwaway;
mod tls;
mod token;
mod webhook;
mod words;

#[cfg(test)]
mod tests;

pub use marked::{Marked, Marks};
pub use orders::is_log_tag;
pub use registry::{NAMES, check_settings, open};
pub use settings::SettingsProblem;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// The settings of a target, as they stand in `[resource.<provider>]`: JSON with strings, integers, booleans, arrays
/// and objects only. Never a secret.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// What a provider can do, said honestly: it is shown on cards and in the docs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The provider's name in the config.
    pub name: &'static str,
    /// Whether the target itself ends the access at `not_after`, without us.
    pub native_expiry: NativeExpiry,
    /// Whether sessions that are open at the end are cut.
    pub ends_sessions: SessionEnd,
    /// Whether [`Provider::list`] sees what bears our mark.
    pub lists: bool,
    /// Whether one person's grants share one object, for example a membership in a group: it is then removed with the
    /// last of them.
    pub shared: bool,
    /// Whether [`Provider::activity`] tells what was done with a grant.
    pub activity: bool,
    /// The longest grant it takes, in seconds, if it has a limit of its own.
    pub max_ttl_secs: Option<u32>,
}

/// The second lock: how the target itself ends an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NativeExpiry {
    /// The target knows no end: only our revocation closes the door.
    #[default]
    None,
    /// The target refuses at `not_after` to the second.
    Exact,
    /// The target refuses at `not_after`, but never sooner than so many seconds after it was opened.
    #[serde(rename = "floor_secs")]
    Floor(u32),
}

/// What happens to a session that is open when the grant ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// It lives on until its holder leaves.
    #[default]
    No,
    /// It is cut, whenever the grant ends.
    Yes,
    /// It is cut at the `not_after` that was known when its key was cut. If the grant ends earlier, nobody new gets
    /// in, but it lives on until then.
    AtNotAfter,
}

/// The person a door is opened for, as far as a provider needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The principal's name, `[a-z0-9._-]`, at most 64 bytes.
    pub name: String,
    /// The person's SSH public keys in OpenSSH form, if the config has any.
    pub ssh_keys: Vec<String>,
}

/// One grant as its provider sees it. The same order is handed to `grant`, `credential` and `revoke`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Deterministic and unique: made of the log id and the request id, `cs_[a-z2-7]{8}_[0-9]+`, at most 40 bytes.
    pub external_id: String,
    /// The request's id, which is its index in the ledger.
    pub request: u64,
    /// The resource's name.
    pub resource: String,
    /// Who holds the grant.
    pub holder: Holder,
    /// When it ends at the latest. Sessions and credentials get the time that remains, never the full duration again.
    pub not_after: DateTime<Utc>,
}

impl Order {
    /// The tag of the log that made the order; `None` if its id is of no form of ours.
    #[must_use]
    pub fn log_tag(&self) -> Option<&str> {
        orders::log_tag(&self.external_id)
    }
}

/// A credential on its way to the requester: shown once, to them alone, kept nowhere.
pub struct Credential {
    /// How many times one was taken for this grant, from 1; the earlier ones are void where the target can.
    pub n: u32,
    /// What may be recorded of it: for example a certificate's key id or a token's `jti`. Never secret.
    pub public_id: String,
    /// When it stops working by itself.
    pub not_after: DateTime<Utc>,
    /// The parts to show, in order.
    pub parts: Vec<CredentialPart>,
}

/// One part of a credential in a form that can be pasted.
pub struct CredentialPart {
    /// What it is and where to put it: "run this", "save as `prod-host-cert.pub`".
    pub label: String,
    /// The text itself.
    pub text: SecretString,
}

/// Something on a target that bears our mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// As in [`Order::external_id`].
    pub external_id: String,
    /// The end written on the object itself, if it says one.
    pub not_after: Option<DateTime<Utc>>,
}

/// Something that was done with a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub at: DateTime<Utc>,
    /// What, in the target's words: a statement, an API call. Never a secret.
    pub what: String,
}

/// What was done with a grant since somebody last asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Activity {
    /// Oldest first.
    pub deeds: Vec<Deed>,
    /// What to ask with the next time; `None` if there is nothing that it could be asked from.
    pub next: Option<String>,
}

/// A document a provider offers to everybody, for example a JWKS: served under `/providers/<resource>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicDocument {
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// Why a provider did not do what was asked. Messages are for people and carry nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Surely not done; may work later (connection refused, too many connections).
    #[error("{0}")]
    Retry(String),
    /// Surely not done and will not work as it is (the role does not exist, rights are missing).
    #[error("{0}")]
    Permanent(String),
    /// Perhaps done: a timeout, a cut connection, an unreadable answer.
    #[error("{0}")]
    Unknown(String),
}

/// One kind of system with doors, bound to one target.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What it can do.
    fn describe(&self) -> Description;
    /// What would be done, a line each, in words for the approver. No I/O. It stands in a public line of the ledger
    /// before the grant has an id or an end, so it names nobody and no moment: the card says who and for how long.
    fn plan(&self) -> Vec<String>;
    /// Whether credentials and rights are there: an empty list, or what is missing, in words with the way to mend it.
    async fn check(&self) -> Result<Vec<String>, ProviderError>;
    /// Opens the door until [`Order::not_after`], cutting no key. Again with the same id: sets the end anew.
    async fn grant(&self, order: &Order) -> Result<(), ProviderError>;
    /// Cuts the `n`th key for an open door, for the time that remains, and voids the earlier ones where it can.
    async fn credential(&self, order: &Order, n: u32) -> Result<Credential, ProviderError>;
    /// Blocks what is new, ends what is live, removes, and verifies that it is gone. Of what is gone: success.
    async fn revoke(&self, order: &Order) -> Result<(), ProviderError>;
    /// All that bears the mark of this log (`log_tag`, the eight characters in the external id).
    async fn list(&self, log_tag: &str) -> Result<Vec<Item>, ProviderError>;
    /// All that bears a mark of ours, of any log and any resource, as the target alone tells it; each is fit to be
    /// revoked through this target. `None` if the target keeps no such objects: what was given out ends by itself.
    async fn marked(&self) -> Result<Option<Marks>, ProviderError> {
        Ok(None)
    }
    /// What was done with a grant, after the point that an earlier answer named. `None` if it can't tell.
    async fn activity(&self, _order: &Order, _after: Option<&str>) -> Result<Option<Activity>, ProviderError> {
        Ok(None)
    }
    /// A document for everybody, by its name; `None` if there is none of that name.
    async fn public(&self, name: &str) -> Option<PublicDocument>;
}

/// What providers get from outside: where their own files live and how an environment variable is read.
#[derive(Clone)]
pub struct Surroundings {
    /// A folder for keys and lists that belong to targets (a CA key, a revocation list), mode 0700.
    pub dir: PathBuf,
    /// The environment, taken once at start; values are secrets.
    pub env: Arc<BTreeMap<String, SecretString>>,
    /// The one clock.
    pub now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

/// Runs work that blocks (files, signatures) off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProviderError> + Send + 'static,
) -> Result<T, ProviderError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(ProviderError::Unknown("the work was broken off".into())))
}
