//! What a plugin is asked.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, SubsecRound as _, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::VERSION;
use crate::provider::{Holder, Order, Settings};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// What it can do.
    Describe,
    /// Whether credentials and rights are there.
    Check,
    /// What would be done, in words for the approver.
    Plan,
    /// Open the door.
    Grant,
    /// Cut a key for an open door.
    Credential,
    /// Shut the door.
    Revoke,
    /// All that bears our mark.
    List,
    /// What was done with a grant.
    Activity,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Describe,
        Self::Check,
        Self::Plan,
        Self::Grant,
        Self::Credential,
        Self::Revoke,
        Self::List,
        Self::Activity,
    ];

    /// As it stands in a request.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Check => "check",
            Self::Plan => "plan",
            Self::Grant => "grant",
            Self::Credential => "credential",
            Self::Revoke => "revoke",
            Self::List => "list",
            Self::Activity => "activity",
        }
    }
}

/// A secret in a request: it is written onto the wire and nowhere else.
#[derive(Debug, Clone)]
pub struct SecretText(pub SecretString);

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.into()))
    }
}

/// Whose access it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The request's id in the ledger.
    pub request: u64,
    /// The principal's name.
    pub holder: String,
    /// Their SSH public keys in OpenSSH form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
}

/// One request. What a verb has no use for is left out.
#[derive(Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`].
    pub v: String,
    /// Another one each time, also when the same thing is asked again; the reply repeats it.
    pub id: String,
    /// To be repeated too, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What is asked for.
    pub verb: Verb,
    /// The resource's name.
    pub resource: String,
    /// When the answer is not waited for any more.
    pub deadline: DateTime<Utc>,
    /// The plugin's own settings.
    #[serde(default)]
    pub settings: Settings,
    /// Secrets by name.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretText>,
    /// The same for the same thing, however often it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op_key: Option<String>,
    /// The mark: as in [`Order::external_id`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// When the access ends at the latest, a whole second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<DateTime<Utc>>,
    /// Whose access it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
    /// Which key to cut, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Which log's marks to list; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_tag: Option<String>,
    /// Where the last account of activity ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, verb, resource, external_id, .. } = self;
        write!(f, "Request {{ {verb:?} {id} {resource} {external_id:?}, .. }}")
    }
}

impl Request {
    /// A request without an order.
    #[must_use]
    pub fn new(verb: Verb, id: String, resource: &str, deadline: DateTime<Utc>) -> Self {
        Self {
            v: VERSION.to_owned(),
            id,
            nonce: None,
            verb,
            resource: resource.to_owned(),
            deadline: deadline.trunc_subsecs(0),
            settings: Settings::new(),
            secrets: BTreeMap::new(),
            op_key: None,
            external_id: None,
            not_after: None,
            grant: None,
            n: None,
            log_tag: None,
            after: None,
        }
    }

    /// The same about an order. Its end is cut to the second: it is never later than the grant's.
    #[must_use]
    pub fn about(mut self, order: &Order, n: Option<u32>) -> Self {
        let what = n.map_or_else(|| self.verb.word().to_owned(), |n| format!("{} {n}", self.verb.word()));
        self.op_key = Some(hex::encode(Sha256::digest(format!("{}|{what}", order.external_id))));
        self.external_id = Some(order.external_id.clone());
        self.not_after = Some(order.not_after.trunc_subsecs(0));
        self.grant = Some(Grant {
            request: order.request,
            holder: order.holder.name.clone(),
            ssh_keys: order.holder.ssh_keys.clone(),
        });
        self.n = n;
        self
    }

    /// The order it is about; what is missing, by its key.
    ///
    /// # Errors
    /// The key that isn't there.
    pub fn order(&self) -> Result<Order, &'static str> {
        let grant = self.grant.as_ref().ok_or("grant")?;
        Ok(Order {
            external_id: self.external_id.clone().ok_or("external_id")?,
            request: grant.request,
            resource: self.resource.clone(),
            holder: Holder { name: grant.holder.clone(), ssh_keys: grant.ssh_keys.clone() },
            not_after: self.not_after.ok_or("not_after")?,
        })
    }

    /// The line, without its end.
    ///
    /// # Errors
    /// It can't be written as JSON, which nothing that a request can hold brings about.
    pub fn line(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        serde_json::to_vec(self).map(Zeroizing::new)
    }
}
