//! Opening providers and ordering from them.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use countersign::provider::{self, Credential, Holder, Order, Provider, Settings, Surroundings};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

/// The tag of the log in these tests.
pub const TAG: &str = "abcdefgh";

/// A place where providers live.
pub struct Place {
    /// Their folder.
    pub dir: TempDir,
    env: BTreeMap<String, SecretString>,
}

impl Place {
    /// An empty place with these environment variables.
    pub fn new(env: &[(&str, &str)]) -> Self {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        Self { dir: tempfile::tempdir().unwrap(), env }
    }

    /// What a provider gets from outside; the clock is the real one, since real servers have no other.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings { dir: self.dir.path().to_owned(), env: Arc::new(self.env.clone()), now: Arc::new(now) }
    }

    /// Opens a provider.
    #[track_caller]
    pub fn open(&self, name: &str, resource: &str, settings: &serde_json::Value) -> Arc<dyn Provider> {
        provider::open(name, resource, &map(settings), &self.surroundings()).unwrap()
    }
}

/// Settings from JSON.
pub fn map(settings: &serde_json::Value) -> Settings {
    settings.as_object().unwrap().clone()
}

/// An order of half an hour for `requester`.
pub fn order(resource: &str, request: u64) -> Order {
    Order {
        external_id: format!("cs_{TAG}_{request}"),
        request,
        resource: resource.into(),
        holder: Holder { name: "requester".into(), ssh_keys: Vec::new() },
        not_after: now() + TimeDelta::minutes(30),
    }
}

/// The same order with another end: a whole second, so many from now.
pub fn ending_in(order: &Order, seconds: i64) -> Order {
    let whole = DateTime::from_timestamp(now().timestamp() + seconds, 0).unwrap();
    Order { not_after: whole, ..order.clone() }
}

/// The present moment. Tests against real servers live in real time.
#[expect(clippy::disallowed_methods, reason = "a real server has its own clock; this is the test's edge")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// The text of the part whose label has `word` in it.
#[track_caller]
pub fn part(credential: &Credential, word: &str) -> String {
    let found = credential.parts.iter().find(|part| part.label.contains(word));
    let labels: Vec<_> = credential.parts.iter().map(|part| &part.label).collect();
    found.unwrap_or_else(|| panic!("no part about {word:?} in {labels:?}")).text.expose_secret().to_owned()
}
