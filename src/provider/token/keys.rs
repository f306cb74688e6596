//! The keys that tokens are signed with: one that signs, one that is next, and those before, whose public halves are
//! published until the last token they signed is over.
//!
//! The next one is published from the beginning, so that a service which keeps the key set for a while knows it before
//! the first token that it signs. A key of the operator's own is theirs to replace: the one before is remembered here.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    super::{
        ProviderError,
        files::{self, Folder, Lock},
        random,
    },
    jwt::Key,
};

const SIGNING: &str = "jwt_key.pem";
const NEXT: &str = "jwt_next.pem";
const KNOWN: &str = "jwt_keys.json";
/// For how long a key stays published after the last token that it signed, in seconds: the clocks of services differ.
const KEEP_SECS: i64 = 60;

/// What is known of the keys that have signed, by their ids.
type Known = BTreeMap<String, About>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    /// The public half, as in a key set.
    x: String,
    /// Since when it signs, in seconds since 1970.
    since: i64,
    /// When the last token that it signed is over, in seconds since 1970; 0 if it has signed none.
    last: i64,
}

/// The keys of one resource.
pub(super) struct Keys {
    pub(super) folder: Folder,
    /// The operator's own key, instead of ours.
    pub(super) file: Option<String>,
    /// After how many days another key signs.
    pub(super) rotate_days: u16,
}

impl Keys {
    /// The key that signs now; another one if it is time. The first time, it is made.
    pub(super) fn signing(&self, now: DateTime<Utc>, held: &Lock) -> Result<Key, ProviderError> {
        let mut known = self.known()?;
        let mut key = self.present(held)?;
        if self.file.is_none() {
            let due = |about: &About| {
                let since = DateTime::from_timestamp(about.since, 0);
                since.is_some_and(|since| now - since >= TimeDelta::days(i64::from(self.rotate_days)))
            };
            let next = self.ours(NEXT, held)?;
            if known.get(key.id()).is_some_and(due) {
                // What has signed is known already: whatever happens from here, it stays published.
                self.folder.rename(NEXT, SIGNING, held)?;
                key = next;
                self.ours(NEXT, held)?;
            }
        }
        if !known.contains_key(key.id()) {
            let about = About { x: key.public(), since: now.timestamp(), last: 0 };
            known.insert(key.id().to_owned(), about);
            self.folder.write_json(KNOWN, &known, held)?;
        }
        Ok(key)
    }

    /// Notes that a key signs a token which ends then. Call it before the token is given out.
    pub(super) fn signs(&self, key: &Key, until: i64, now: DateTime<Utc>, held: &Lock) -> Result<(), ProviderError> {
        let mut known = self.known()?;
        known.retain(|id, about| id == key.id() || about.last.saturating_add(KEEP_SECS) >= now.timestamp());
        if let Some(about) = known.get_mut(key.id()) {
            about.last = about.last.max(until);
        }
        self.folder.write_json(KNOWN, &known, held)
    }

    /// The key set (RFC 7517 section 5): the key that signs, the next one, and those whose tokens are not over yet.
    pub(super) fn published(&self, now: DateTime<Utc>, held: &Lock) -> Result<Value, ProviderError> {
        let signing = self.signing(now, held)?;
        let mut keys = vec![(signing.id().to_owned(), signing.public())];
        if self.file.is_none() {
            let next = self.ours(NEXT, held)?;
            keys.push((next.id().to_owned(), next.public()));
        }
        for (id, about) in self.known()? {
            let needed = about.last.saturating_add(KEEP_SECS) >= now.timestamp();
            if needed && keys.iter().all(|(published, _)| *published != id) {
                keys.push((id, about.x));
            }
        }
        let entry = |(id, x): (String, String)| json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig", "alg": "EdDSA" });
        Ok(json!({ "keys": keys.into_iter().map(entry).collect::<Vec<_>>() }))
    }

    fn known(&self) -> Result<Known, ProviderError> {
        self.folder.read_json(KNOWN)
    }

    /// The key that is to sign, whether it is time for another or not.
    fn present(&self, held: &Lock) -> Result<Key, ProviderError> {
        let Some(file) = &self.file else { return self.ours(SIGNING, held) };
        let found = files::read(file.as_ref()).ok().flatten();
        let pem = found.ok_or_else(|| ProviderError::Permanent("`token.key_file` can't be read".into()))?;
        Key::from_pem(&pem)
            .ok_or_else(|| ProviderError::Permanent("`token.key_file` is not an Ed25519 key in PKCS#8 PEM".into()))
    }

    /// One of our own keys; the first time it is needed, it is made.
    fn ours(&self, name: &str, held: &Lock) -> Result<Key, ProviderError> {
        if let Some(pem) = self.folder.read(name)? {
            return Key::from_pem(&pem).ok_or_else(|| {
                ProviderError::Permanent(format!("`{}` is damaged: bring it back from a copy", self.folder.shown(name)))
            });
        }
        let key = Key::new(random::signing_key()?);
        let pem = key.to_pem().ok_or_else(|| ProviderError::Permanent("a key can't be written as PEM".into()))?;
        self.folder.write(name, pem.as_bytes(), held)?;
        Ok(key)
    }
}
