//! What events are made of.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{PolicyId, RequestId, Span};

/// Something personal, as far as it can still be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Personal {
    /// The text.
    Known(String),
    /// Its subject was erased; nobody can read it any more.
    #[default]
    Erased,
    /// Its key is missing or not the right one, though its subject was not erased.
    Locked,
}

impl Personal {
    /// The text, or a word that says why there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Known(text) => text,
            Self::Erased => "(erased)",
            Self::Locked => "(its key is lost)",
        }
    }

    /// The text if it is there.
    #[must_use]
    pub fn known(&self) -> Option<&str> {
        match self {
            Self::Known(text) => Some(text),
            Self::Erased | Self::Locked => None,
        }
    }
}

impl From<String> for Personal {
    fn from(text: String) -> Self {
        Self::Known(text)
    }
}

/// What a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// A principal of the config, by name.
    Person,
    /// An account on a platform that belongs to no principal.
    Account,
}

/// Where a provider finds what it opens: the provider's name and its settings, which name secrets but hold none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// For example `postgres`.
    pub provider: String,
    /// The provider's own table of the config.
    pub settings: Map<String, Value>,
}

/// Why a grant ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its time was up.
    Expired,
    /// Its holder gave it back.
    Returned,
    /// Somebody ended it.
    Revoked,
    /// Nobody knows whether it was ever opened: it is shut to be sure.
    Unknown,
}

/// What a provider's failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// Surely not done; may work later.
    Retry,
    /// Surely not done, and won't be as things are.
    Permanent,
    /// Perhaps done.
    Unknown,
}

/// How a target differs from the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drift {
    /// It bears our mark, and no door is to be open for it.
    Extra,
    /// Its door is open by the ledger, and the target does not have it.
    Missing,
}

/// Why people were called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// A request has waited for a while.
    Reminder,
    /// It has waited so long that others may approve it too.
    Escalation,
    /// Somebody broke the glass.
    BreakGlass,
    /// A break-glass is over and is to be reviewed.
    Review,
    /// Half the time for its review has passed.
    ReviewReminder,
    /// The time for its review is over.
    ReviewOverdue,
}

/// What a review found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It was as it should be.
    Ok,
    /// It was not, or it is not clear.
    Concern,
}

impl Finding {
    /// Its word in commands.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Concern => "concern",
        }
    }
}

/// How a request came about, beyond that somebody asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Manner {
    /// The glass was broken: access before approval, and a review owed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// More time for an access that is live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<RequestId>,
    /// A rule or somebody's pre-approval may approve it without anybody pressing a button now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// Rules that approve by themselves and don't approve this: they name who asks, or a `forbid` is in the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub declined: Vec<PolicyId>,
    /// When the access is to start, if not at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<DateTime<Utc>>,
    /// When its approvers are reminded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remind_at: Option<DateTime<Utc>>,
    /// When others may approve it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalate_at: Option<DateTime<Utc>>,
    /// How long after its end a break-glass is to be reviewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_within_secs: Option<Span>,
    /// The channels of its card besides its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

impl Manner {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_plain(manner: &Self) -> bool {
        *manner == Self::default()
    }
}
