//! The names of things.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A request's id: the index of its `access.requested` entry in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A person in the ledger: 128 random bits, lowercase hex. Who it is stands in a sealed disclosure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectId(pub [u8; 16]);

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectId({self})")
    }
}

/// The text is not 32 lowercase hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subject id is 32 lowercase hex digits")]
pub struct NotASubjectId;

impl FromStr for SubjectId {
    type Err = NotASubjectId;

    fn from_str(text: &str) -> Result<Self, NotASubjectId> {
        let mut id = [0; 16];
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(NotASubjectId);
        }
        hex::decode_to_slice(text, &mut id).map_err(|_| NotASubjectId)?;
        Ok(Self(id))
    }
}

impl Serialize for SubjectId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SubjectId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A chat platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chat {
    /// Slack; accounts are `team/user`.
    Slack,
    /// Discord; accounts are `guild/user`.
    Discord,
    /// The page on loopback that plays a chat; accounts are principals' names.
    Playground,
}

impl Chat {
    /// The word for it in entries and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Playground => "playground",
        }
    }
}
