//! What happened: the entries of the ledger, as the core reads them. The body of each kind is described here.
//!
//! Personal data never stands in a body: it is a [`Personal`] field, which travels beside the body as a sealed
//! disclosure and comes back as [`Personal::Erased`] when its subject was erased.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Chat, Notice, PolicyId, RequestId, Span, SubjectId, Via};

/// Something personal, as far as it can still be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Personal {
    /// The text.
    Known(String),
    /// Its subject was erased; nobody can read it any more.
    #[default]
    Erased,
}

impl Personal {
    /// The text, or a word that says why there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Known(text) => text,
            Self::Erased => "(erased)",
        }
    }

    /// The text if it is there.
    #[must_use]
    pub fn known(&self) -> Option<&str> {
        match self {
            Self::Known(text) => Some(text),
            Self::Erased => None,
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

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", deny_unknown_fields)]
pub enum Event {
    /// One of the ledger's own kinds, which mean nothing to access (`log.opened`, `key.added`, …).
    #[serde(skip)]
    Ledger(String),
    /// The key of a subject was destroyed: what was sealed under it can't be read any more.
    #[serde(rename = "subject.erased")]
    SubjectErased {
        /// Whose.
        subject: SubjectId,
    },
    /// An idle hour passed; the head after this entry says so.
    #[serde(rename = "log.heartbeat")]
    Heartbeat {},
    /// The clock was behind the ledger; entries keep the later time until it catches up.
    #[serde(rename = "clock.stepped")]
    ClockStepped {
        /// What the clock said.
        clock: DateTime<Utc>,
    },
    /// The service started with these rules.
    #[serde(rename = "service.started")]
    ServiceStarted {
        /// The program's version.
        version: String,
        /// The config's files: name and SHA-256, lowercase hex.
        files: Vec<(String, String)>,
    },
    /// A person, or an account of nobody, has an id from now on.
    #[serde(rename = "subject.enrolled")]
    SubjectEnrolled {
        /// The id.
        subject: SubjectId,
        /// What it names.
        sort: Sort,
        /// The principal's name, or `chat:account`.
        #[serde(skip)]
        name: Personal,
    },
    /// Somebody said or pressed something.
    #[serde(rename = "message.received")]
    MessageReceived {
        /// Who.
        from: SubjectId,
        /// On which platform.
        chat: Chat,
        /// Typed or pressed.
        via: Via,
        /// Names the message: SHA-256 over platform and the platform's id, the first 32 hex digits.
        key: String,
        /// The words, exactly as they came.
        #[serde(skip)]
        text: Personal,
    },
    /// It was refused, and nothing followed.
    #[serde(rename = "message.refused")]
    MessageRefused {
        /// The message's index.
        message: u64,
        /// Whose message it was.
        from: SubjectId,
        /// Why, in a word.
        code: String,
        /// Why, as it was said.
        #[serde(skip)]
        words: Personal,
    },
    /// Somebody asks for access. This entry's index is the request's id, its leaf hash is what approvers sign.
    #[serde(rename = "access.requested")]
    AccessRequested {
        /// Who asks.
        requester: SubjectId,
        /// The message's index.
        message: u64,
        /// For what.
        resource: String,
        /// For how long, seconds.
        duration_secs: Span,
        /// How many different people have to approve.
        quorum: u32,
        /// When it lapses.
        lapse_at: DateTime<Utc>,
        /// Where the provider finds it.
        target: Target,
        /// What the provider would do.
        plan: Vec<String>,
        /// The channel of its card.
        channel: String,
        /// The rules that let it be asked.
        policies: Vec<PolicyId>,
        /// What for.
        #[serde(skip)]
        reason: Personal,
    },
    /// A person approved.
    #[serde(rename = "request.approved")]
    RequestApproved {
        /// Which.
        request: RequestId,
        /// The message's index.
        message: u64,
        /// Who.
        by: SubjectId,
        /// The leaf hash of the request's entry: the terms that were seen and signed. Lowercase hex.
        terms: String,
        /// The rules that let them.
        policies: Vec<PolicyId>,
        /// A word with it; may be empty.
        #[serde(skip)]
        comment: Personal,
    },
    /// A person said no.
    #[serde(rename = "request.denied")]
    RequestDenied {
        /// Which.
        request: RequestId,
        /// The message's index.
        message: u64,
        /// Who.
        by: SubjectId,
        /// The leaf hash of the request's entry, lowercase hex.
        terms: String,
        /// The rules that let them.
        policies: Vec<PolicyId>,
        /// Why.
        #[serde(skip)]
        reason: Personal,
    },
    /// The requester withdrew it.
    #[serde(rename = "request.cancelled")]
    RequestCancelled {
        /// Which.
        request: RequestId,
        /// The message's index.
        message: u64,
    },
    /// Nobody decided in time.
    #[serde(rename = "request.lapsed")]
    RequestLapsed {
        /// Which.
        request: RequestId,
    },
    /// The intent to open the door, recorded before the provider is called. It schedules the end by itself.
    #[serde(rename = "grant.ordered")]
    GrantOrdered {
        /// Which.
        request: RequestId,
        /// From 1; every order has its own end.
        attempt: u32,
        /// The mark on the target.
        external_id: String,
        /// The end.
        not_after: DateTime<Utc>,
    },
    /// The provider opened the door.
    #[serde(rename = "grant.issued")]
    GrantIssued {
        /// Which.
        request: RequestId,
        /// Which order was carried out.
        attempt: u32,
        /// The end.
        not_after: DateTime<Utc>,
    },
    /// An order surely was not carried out, and another will follow.
    #[serde(rename = "grant.deferred")]
    GrantDeferred {
        /// Which.
        request: RequestId,
        /// Which order.
        attempt: u32,
        /// When it is ordered again.
        retry_at: DateTime<Utc>,
        /// What the provider said.
        #[serde(skip)]
        words: Personal,
    },
    /// The door could not be opened, and surely is not open.
    #[serde(rename = "grant.failed")]
    GrantFailed {
        /// Which.
        request: RequestId,
        /// The last order.
        attempt: u32,
        /// What the provider said.
        #[serde(skip)]
        words: Personal,
    },
    /// The intent to cut a key, recorded before the provider is asked.
    #[serde(rename = "credential.ordered")]
    CredentialOrdered {
        /// Which.
        request: RequestId,
        /// From 1; a later one voids the earlier where the target can.
        n: u32,
        /// The message's index.
        message: u64,
    },
    /// The key was handed to the requester.
    #[serde(rename = "credential.taken")]
    CredentialTaken {
        /// Which.
        request: RequestId,
        /// Which key.
        n: u32,
        /// What the target knows it by, for example a certificate's key id. It may carry the holder's name.
        #[serde(skip)]
        public_id: Personal,
        /// When it stops working by itself.
        not_after: DateTime<Utc>,
    },
    /// No key was handed out.
    #[serde(rename = "credential.failed")]
    CredentialFailed {
        /// Which.
        request: RequestId,
        /// Which key.
        n: u32,
        /// What kind of failure.
        class: FailureClass,
        /// What the provider said.
        #[serde(skip)]
        words: Personal,
    },
    /// The intent to shut the door, recorded before the provider is called, which is then called until it is true.
    #[serde(rename = "grant.ending")]
    GrantEnding {
        /// Which.
        request: RequestId,
        /// Why.
        cause: Cause,
        /// Who, if somebody did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<SubjectId>,
        /// The message's index, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<u64>,
        /// The reason that was given, or what the provider said.
        #[serde(skip)]
        reason: Personal,
    },
    /// The provider could not shut the door this time; it is asked again.
    #[serde(rename = "grant.stuck")]
    GrantStuck {
        /// Which.
        request: RequestId,
        /// How many times it has failed.
        failures: u32,
        /// When it is tried again.
        retry_at: DateTime<Utc>,
        /// What the provider said.
        #[serde(skip)]
        words: Personal,
    },
    /// The door was seen shut.
    #[serde(rename = "grant.ended")]
    GrantEnded {
        /// Which.
        request: RequestId,
        /// Why.
        cause: Cause,
    },
    /// The request's card stands in a channel.
    #[serde(rename = "card.posted")]
    CardPosted {
        /// Which.
        request: RequestId,
        /// On which platform.
        chat: Chat,
        /// In which channel.
        channel: String,
        /// The platform's id of the message.
        message: String,
    },
    /// Somebody was told.
    #[serde(rename = "notice.sent")]
    NoticeSent {
        /// About which request.
        request: RequestId,
        /// What.
        notice: Notice,
        /// Whom.
        to: SubjectId,
    },
}

impl Event {
    /// Makes unreadable what belongs to somebody who was erased. `own` says whether the request is theirs.
    pub(super) fn forget(&mut self, subject: SubjectId, own: bool) {
        match self {
            Self::AccessRequested { requester, reason, .. } if *requester == subject => *reason = Personal::Erased,
            Self::RequestApproved { by, comment, .. } if *by == subject => *comment = Personal::Erased,
            Self::RequestDenied { by, reason, .. } if *by == subject => *reason = Personal::Erased,
            Self::GrantEnding { by, reason, .. } if by.map_or(own, |by| by == subject) => *reason = Personal::Erased,
            Self::GrantDeferred { words, .. }
            | Self::GrantFailed { words, .. }
            | Self::CredentialFailed { words, .. }
            | Self::GrantStuck { words, .. }
                if own =>
            {
                *words = Personal::Erased;
            }
            Self::CredentialTaken { public_id, .. } if own => *public_id = Personal::Erased,
            Self::Ledger(_)
            | Self::SubjectErased { .. }
            | Self::Heartbeat {}
            | Self::ClockStepped { .. }
            | Self::ServiceStarted { .. }
            | Self::SubjectEnrolled { .. }
            | Self::MessageReceived { .. }
            | Self::MessageRefused { .. }
            | Self::AccessRequested { .. }
            | Self::RequestApproved { .. }
            | Self::RequestDenied { .. }
            | Self::RequestCancelled { .. }
            | Self::RequestLapsed { .. }
            | Self::GrantOrdered { .. }
            | Self::GrantIssued { .. }
            | Self::GrantDeferred { .. }
            | Self::GrantFailed { .. }
            | Self::CredentialOrdered { .. }
            | Self::CredentialTaken { .. }
            | Self::CredentialFailed { .. }
            | Self::GrantEnding { .. }
            | Self::GrantStuck { .. }
            | Self::GrantEnded { .. }
            | Self::CardPosted { .. }
            | Self::NoticeSent { .. } => {}
        }
    }
}
