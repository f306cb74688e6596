//! What a plugin answers.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{SecretText, VERSION, Verb};
use crate::provider::{
    Activity, Credential, CredentialPart, Deed, Description, Item, NativeExpiry, ProviderError, SessionEnd,
};

/// Most parts that a credential has.
const PARTS_MAX: usize = 16;
/// Longest label of a part, and longest public id, in bytes.
const LABEL_BYTES_MAX: usize = 200;
/// A part of a credential that is shorter is no secret that could be told apart from ordinary words, in bytes.
const TELLING_BYTES_MIN: usize = 8;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is done.
    Ok,
    /// It is not, or perhaps not.
    Error,
}

/// What a provider can do, said by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Abilities {
    /// As in [`Description::native_expiry`].
    pub native_expiry: NativeExpiry,
    /// As in [`Description::ends_sessions`].
    pub ends_sessions: SessionEnd,
    /// As in [`Description::lists`].
    pub lists: bool,
    /// As in [`Description::shared`].
    pub shared: bool,
    /// As in [`Description::activity`].
    pub activity: bool,
    /// As in [`Description::max_ttl_secs`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ttl_secs: Option<u32>,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            native_expiry: NativeExpiry::None,
            ends_sessions: SessionEnd::No,
            lists: true,
            shared: false,
            activity: false,
            max_ttl_secs: None,
        }
    }
}

impl Abilities {
    /// As a description of the provider `name`.
    #[must_use]
    pub fn described(&self, name: &'static str) -> Description {
        let Self { native_expiry, ends_sessions, lists, shared, activity, max_ttl_secs } = *self;
        Description { name, native_expiry, ends_sessions, lists, shared, activity, max_ttl_secs }
    }
}

impl Abilities {
    /// What stands in the settings for them, as an inline table of TOML; `None` if they are what is taken for granted.
    #[must_use]
    pub fn written(&self) -> Option<String> {
        let usual = json!(Self::default());
        let said = json!(self);
        let said = said.as_object()?.iter().filter(|(key, value)| usual.get(key) != Some(*value));
        let pairs: Vec<String> = said.map(|(key, value)| format!("{key} = {}", in_toml(value))).collect();
        (!pairs.is_empty()).then(|| format!("{{ {} }}", pairs.join(", ")))
    }
}

fn in_toml(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {}", in_toml(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => value.to_string(),
    }
}

impl From<&Description> for Abilities {
    fn from(description: &Description) -> Self {
        let Description { native_expiry, ends_sessions, lists, shared, activity, max_ttl_secs, name: _ } = *description;
        Self { native_expiry, ends_sessions, lists, shared, activity, max_ttl_secs }
    }
}

/// A credential on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireCredential {
    /// What may be recorded of it; never secret.
    pub public_id: String,
    /// When it stops working by itself.
    pub not_after: DateTime<Utc>,
    /// The parts to show, in order.
    pub parts: Vec<WirePart>,
}

/// A part of a credential on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WirePart {
    /// What it is and where to put it.
    pub label: String,
    /// The text itself.
    pub text: SecretText,
    /// Whether nobody else may see it; a user name or an address is no secret.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub secret: bool,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks in this form")]
const fn is_yes(secret: &bool) -> bool {
    *secret
}

/// Something that bears our mark, on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireItem {
    /// The mark.
    pub external_id: String,
    /// The end written on the object itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<DateTime<Utc>>,
    /// The resource it was made for, if the object says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// Something that was done with a grant, on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireDeed {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub what: String,
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What follows from it.
    pub class: FailureKind,
    /// For people; nothing secret.
    pub message: String,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Surely not done; may work later.
    Retry,
    /// Surely not done, and will not work as it is.
    Permanent,
    /// Perhaps done.
    Unknown,
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        let (class, message) = match error {
            ProviderError::Retry(words) => (FailureKind::Retry, words),
            ProviderError::Permanent(words) => (FailureKind::Permanent, words),
            ProviderError::Unknown(words) => (FailureKind::Unknown, words),
        };
        Self { class, message }
    }
}

impl Failure {
    /// The same with other words.
    pub(in crate::provider) fn told(&self, words: String) -> ProviderError {
        match self.class {
            FailureKind::Retry => ProviderError::Retry(words),
            FailureKind::Permanent => ProviderError::Permanent(words),
            FailureKind::Unknown => ProviderError::Unknown(words),
        }
    }
}

/// One reply. Besides `v`, `id`, `nonce` and `status` it has what its verb asks for and nothing else.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// [`VERSION`].
    pub v: String,
    /// The request's.
    pub id: String,
    /// The request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// How it went.
    pub status: Status,
    /// Of an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Of `describe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Abilities>,
    /// Of `check`: what is missing, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacking: Option<Vec<String>>,
    /// Of `plan`: a line each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<String>>,
    /// Of `credential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<WireCredential>,
    /// Of `list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<WireItem>>,
    /// Of `activity`, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deeds: Option<Vec<WireDeed>>,
    /// Of `activity`: what to ask with the next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A reply that can't be believed: what was done is unknown. Nothing of what was answered is repeated, since it may be
/// a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Garbled(pub String);

impl Reply {
    /// A reply to the request `id` that has only this status.
    #[must_use]
    pub fn new(id: String, nonce: Option<String>, status: Status) -> Self {
        Self {
            v: VERSION.to_owned(),
            id,
            nonce,
            status,
            error: None,
            description: None,
            lacking: None,
            plan: None,
            credential: None,
            items: None,
            deeds: None,
            next: None,
        }
    }

    /// Reads the one line that was answered to the request with this id.
    ///
    /// # Errors
    /// In what way it isn't one.
    pub fn read(bytes: &[u8], verb: Verb, id: &str, nonce: Option<&str>) -> Result<Self, Garbled> {
        let garbled = |words: &str| Err(Garbled(words.to_owned()));
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if line.iter().all(u8::is_ascii_whitespace) {
            return garbled("it answered nothing");
        }
        if line.contains(&b'\n') {
            let mut lines = line.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace));
            let all_json = lines.all(|line| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok());
            return garbled(if all_json { "it answered twice" } else { "it answered more than one line" });
        }
        if serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err() {
            return garbled("its answer is not one JSON object");
        }
        let reply: Self = serde_json::from_slice(line)
            .map_err(|error| Garbled(format!("its answer is not of this form (column {})", error.column())))?;
        if reply.v != VERSION {
            return garbled("its answer is of another version");
        }
        if reply.id != id {
            return garbled("it answered another request than the one it was asked");
        }
        if reply.nonce.as_deref() != nonce {
            return garbled("its answer does not repeat the nonce");
        }
        reply.is_to(verb)?;
        Ok(reply)
    }

    /// Whether it has what the verb asks for, and nothing else.
    fn is_to(&self, verb: Verb) -> Result<(), Garbled> {
        let there = [
            ("error", self.error.is_some()),
            ("description", self.description.is_some()),
            ("lacking", self.lacking.is_some()),
            ("plan", self.plan.is_some()),
            ("credential", self.credential.is_some()),
            ("items", self.items.is_some()),
            ("deeds", self.deeds.is_some()),
        ];
        let needed = match (self.status, verb) {
            (Status::Error, _) => Some("error"),
            (Status::Ok, Verb::Describe) => Some("description"),
            (Status::Ok, Verb::Check) => Some("lacking"),
            (Status::Ok, Verb::Plan) => Some("plan"),
            (Status::Ok, Verb::Grant | Verb::Revoke) => None,
            (Status::Ok, Verb::Credential) => Some("credential"),
            (Status::Ok, Verb::List) => Some("items"),
            (Status::Ok, Verb::Activity) => Some("deeds"),
        };
        let verb = verb.word();
        if let Some(missing) = needed.filter(|needed| there.iter().any(|(key, is)| key == needed && !is)) {
            return Err(Garbled(format!("its answer to `{verb}` has no `{missing}`")));
        }
        match there.iter().find(|(key, is)| *is && Some(*key) != needed) {
            Some((key, _)) => Err(Garbled(format!("its answer to `{verb}` has a `{key}` that belongs elsewhere"))),
            None => Ok(()),
        }
    }
}

impl WireCredential {
    /// The credential, if it is fit to be shown and lives no longer than the grant.
    ///
    /// # Errors
    /// Why it is not.
    pub fn taken(self, n: u32, not_after: DateTime<Utc>) -> Result<Credential, Garbled> {
        let garbled = |words: &str| Err(Garbled(words.to_owned()));
        let Self { public_id, not_after: end, parts } = self;
        let plain = |text: &str| (1..=LABEL_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if end > not_after {
            return garbled("it cut a key that lives longer than the grant");
        }
        if !(1..=PARTS_MAX).contains(&parts.len()) || !parts.iter().all(|part| plain(&part.label)) || !plain(&public_id)
        {
            return garbled("it cut a key that can't be shown");
        }
        let tells = |part: &WirePart| {
            let text = part.text.0.expose_secret().trim();
            part.secret && text.len() >= TELLING_BYTES_MIN && public_id.contains(text)
        };
        if parts.iter().any(tells) {
            return garbled("it put a part of the key into its public id");
        }
        let parts = parts.into_iter().map(|part| CredentialPart { label: part.label, text: part.text.0 }).collect();
        Ok(Credential { n, public_id, not_after: end, parts })
    }
}

impl From<&Credential> for WireCredential {
    fn from(credential: &Credential) -> Self {
        let part = |part: &CredentialPart| WirePart {
            label: part.label.clone(),
            text: SecretText(part.text.clone()),
            secret: true,
        };
        Self {
            public_id: credential.public_id.clone(),
            not_after: credential.not_after,
            parts: credential.parts.iter().map(part).collect(),
        }
    }
}

impl From<WireItem> for Item {
    fn from(item: WireItem) -> Self {
        Self { external_id: item.external_id, not_after: item.not_after }
    }
}

impl From<Item> for WireItem {
    fn from(item: Item) -> Self {
        Self { external_id: item.external_id, not_after: item.not_after, resource: None }
    }
}

impl From<Deed> for WireDeed {
    fn from(Deed { at, what }: Deed) -> Self {
        Self { at, what }
    }
}

impl Reply {
    /// The account of activity in it.
    #[must_use]
    pub fn activity(self) -> Activity {
        let deeds = self.deeds.unwrap_or_default().into_iter();
        Activity { deeds: deeds.map(|WireDeed { at, what }| Deed { at, what }).collect(), next: self.next }
    }
}
