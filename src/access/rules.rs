//! The questions the core asks about who may do what, without knowing who answers them.

use std::pin::Pin;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{Actor, Call, Chat, Request, Span, State, Target};

/// The name of a rule that took part in a decision.
pub type PolicyId = String;

/// What the rules say, and which of them said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, by these rules.
    Yes(Vec<PolicyId>),
    /// No, by these rules; the words are for the person: lower case, no full stop.
    No {
        /// The rules that said no, or none where no rule said yes.
        policies: Vec<PolicyId>,
        /// Why, with what would help.
        words: String,
    },
    /// No, because the rules themselves failed: one of them could not be evaluated. Somebody has to look at it.
    Broken {
        /// The rules that failed.
        policies: Vec<PolicyId>,
        /// Why, for the person and for whoever looks after the rules.
        words: String,
    },
}

/// What a person may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// To ask for access.
    Request,
    /// To approve or deny somebody's request.
    Approve,
    /// To get what they ask for without anybody's approval.
    AutoApprove,
    /// To get in before anybody has approved, loudly.
    BreakGlass,
    /// To end somebody's access.
    Revoke,
    /// To review somebody's break-glass.
    Review,
    /// To read the ledger.
    ReadLog,
    /// To look after the service.
    Administer,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 8] = [
        Self::Request,
        Self::Approve,
        Self::AutoApprove,
        Self::BreakGlass,
        Self::Revoke,
        Self::Review,
        Self::ReadLog,
        Self::Administer,
    ];

    /// Its name in policies.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Approve => "approve",
            Self::AutoApprove => "autoApprove",
            Self::BreakGlass => "breakGlass",
            Self::Revoke => "revoke",
            Self::Review => "review",
            Self::ReadLog => "readLog",
            Self::Administer => "administer",
        }
    }
}

/// Whether somebody may do something, with all that the answer may depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'a> {
    /// What they want to do.
    pub right: Right,
    /// Who wants to, by principal name.
    pub who: &'a str,
    /// To which resource, by name; empty for [`Right::ReadLog`] and [`Right::Administer`].
    pub resource: &'a str,
    /// Whose request or access it is; for [`Right::Request`] the asker's own name, for what is nobody's an empty one.
    pub requester: &'a str,
    /// For how long it was asked.
    pub span: Span,
    /// The reason that was given for the request.
    pub reason: &'a str,
    /// When.
    pub now: DateTime<Utc>,
    /// On which platform; `None` where nobody said anything (a timer, the command line).
    pub chat: Option<Chat>,
    /// In which channel; may be empty.
    pub channel: &'a str,
    /// How many have approved so far.
    pub approvals: u32,
    /// Whether it has waited so long that others may approve too.
    pub escalated: bool,
}

impl<'a> Question<'a> {
    /// Whether somebody may do something to what is their own, or nobody's, and about which nothing else is known.
    #[must_use]
    pub fn of(actor: &'a Actor, right: Right, resource: &'a str, span: Span, now: DateTime<Utc>) -> Self {
        Self {
            right,
            who: &actor.name,
            resource,
            requester: &actor.name,
            span,
            reason: "",
            now,
            chat: Some(actor.chat),
            channel: &actor.channel,
            approvals: 0,
            escalated: false,
        }
    }

    /// The same about a request that is there already.
    #[must_use]
    pub fn about(self, state: &'a State, request: &'a Request) -> Self {
        Self {
            resource: &request.resource,
            requester: state.name(request.requester),
            span: request.span,
            reason: request.reason.known().unwrap_or_default(),
            approvals: u32::try_from(request.approvals.len()).unwrap_or(u32::MAX),
            escalated: request.was_called(Call::Escalation),
            ..self
        }
    }
}

/// A resource as the rules know it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// What it is, for cards.
    pub description: String,
    /// Where the provider finds it: copied into every request, so that a later edit can't strand a grant.
    pub target: Target,
    /// How many different people have to approve.
    pub quorum: u32,
    /// The longest access anybody gets.
    pub max_duration: Span,
    /// The longest access by break-glass.
    pub break_glass_max: Span,
    /// How long a request waits for its decision before it lapses.
    pub lapse_after: Span,
    /// After how long the approvers are reminded, if they are.
    pub remind_after: Option<Span>,
    /// After how long others may approve too, if they may.
    pub escalate_after: Option<Span>,
    /// How long after its end a break-glass is to be reviewed.
    pub review_within: Span,
    /// The channel its cards go to.
    pub channel: String,
    /// The time zone that times of day are meant in, in commands and in rules.
    pub zone: Tz,
}

impl Resource {
    /// A resource with what is usual: the longest break-glass is the longest access, a request lapses after eight hours,
    /// a review is due within a day, nobody is reminded, cards go to `approvals`, times of day are UTC.
    #[must_use]
    pub fn new(name: impl Into<String>, target: Target, quorum: u32, max_duration: Span) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            target,
            quorum,
            max_duration,
            break_glass_max: max_duration,
            lapse_after: Span::hours(8),
            remind_after: None,
            escalate_after: None,
            review_within: Span::hours(24),
            channel: "approvals".to_owned(),
            zone: Tz::UTC,
        }
    }
}

/// Rules that are looking up what they need to know.
pub type Refreshing<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The rules of the day. Asked anew at every click; answers are never kept.
pub trait Rules: Send + Sync {
    /// The person behind an account, by principal name.
    fn principal(&self, chat: Chat, account: &str) -> Option<String>;
    /// The account of a person on a platform, by principal name: where they can be told something.
    fn account(&self, chat: Chat, who: &str) -> Option<String>;
    /// Whether there is such a person, by principal name.
    fn knows(&self, who: &str) -> bool;
    /// A resource by its exact name.
    fn resource(&self, name: &str) -> Option<Resource>;
    /// The names of all resources, sorted.
    fn resource_names(&self) -> Vec<String>;
    /// The channel where those who answer for security are told what concerns them, if there is one.
    fn security_channel(&self) -> Option<String>;
    /// Whether somebody may do something. Never asked whether one may approve or review one's own: that is code.
    fn judge(&self, question: &Question<'_>) -> Verdict;
    /// [`Rules::judge`] without the words.
    fn allows(&self, question: &Question<'_>) -> bool {
        matches!(self.judge(question), Verdict::Yes(_))
    }
    /// Whether somebody might be allowed it, with the right words at the right time. For what is offered to them, never
    /// for deciding.
    fn might(&self, _right: Right, who: &str, resource: &str) -> bool {
        self.knows(who) && self.resource(resource).is_some()
    }
    /// Who may do it, by name, sorted: `question.who` is not looked at, and `question.requester` is never one of them.
    /// For telling people whom to ask.
    fn those_who_may(&self, question: &Question<'_>) -> Vec<String>;
    /// Looks up what the answers depend on and is kept elsewhere, such as who is on call now. To be awaited before a
    /// question is asked, for [`Rules::judge`] itself waits for nobody.
    fn refresh(&self, _now: DateTime<Utc>) -> Refreshing<'_> {
        Box::pin(std::future::ready(()))
    }
}
