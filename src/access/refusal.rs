//! Why somebody's wish was not done: for people, lower case, no full stop, literals in backticks, one hint.

use super::{RequestId, Span};

/// A refusal. Nothing changed, and the words say what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The account belongs to nobody we know.
    #[error("i don't know this account. Ask whoever looks after `people.toml` to add it")]
    Stranger,
    /// The line does not mean anything.
    #[error("{0}")]
    Words(String),
    /// There is no such resource.
    #[error("there is no resource `{name}`{hint}")]
    NoResource {
        /// What was asked for.
        name: String,
        /// ", did you mean …" or the list.
        hint: String,
    },
    /// There is no such request.
    #[error("there is no request `{0}`. `/access list` shows what is pending or live")]
    NoRequest(RequestId),
    /// No reason was given.
    #[error("a reason is needed, for the people concerned and for the log, for example {0}")]
    NoReason(&'static str),
    /// The reason is too long for a card.
    #[error("the reason has {chars} characters and a card has room for {most}. Shorten it, or link to a ticket")]
    ReasonTooLong {
        /// How long it is.
        chars: usize,
        /// How long it may be.
        most: usize,
    },
    /// More time than anybody gets.
    #[error("`{resource}` is given for {most} at most, and this asks for {asked}. Ask for `{most}`")]
    TooLong {
        /// Which resource.
        resource: String,
        /// What was asked.
        asked: Span,
        /// What is given.
        most: Span,
    },
    /// The rules say no.
    #[error("{0}")]
    Rules(String),
    /// The rules can't be evaluated, so the answer is no.
    #[error("{0}")]
    RulesBroken(String),
    /// One's last break-glass has not been reviewed.
    #[error(
        "your last break-glass, {request} for `{resource}`, has not been reviewed yet, and until it is you can't break the glass again. {whom}"
    )]
    ReviewOwed {
        /// Which.
        request: RequestId,
        /// For what.
        resource: String,
        /// Who can review it.
        whom: String,
    },
    /// One's own request.
    #[error("people can't approve their own request, from any account. {whom}")]
    OwnRequest {
        /// Whom to ask.
        whom: String,
    },
    /// One decided already.
    #[error("you have already approved {0}. It waits for somebody else")]
    DecidedAlready(RequestId),
    /// It is over, or it is not there yet.
    #[error("{request} {state}")]
    WrongPhase {
        /// Which.
        request: RequestId,
        /// What it is, with what to do instead.
        state: String,
    },
    /// Somebody else's.
    #[error("{request} is not yours: only {whom} can do that")]
    NotYours {
        /// Which.
        request: RequestId,
        /// Who can.
        whom: String,
    },
    /// One has the same thing pending or live.
    #[error("you already have {request} for `{resource}`, which {state}")]
    AlreadyHeld {
        /// Which.
        request: RequestId,
        /// For what.
        resource: String,
        /// What it is.
        state: String,
    },
    /// Too much at once.
    #[error("{0}")]
    TooMany(String),
    /// It is being done right now.
    #[error("{0} is being worked on this very moment. Press again in a few seconds")]
    Busy(RequestId),
}

impl Refusal {
    /// The code of [`Refusal::RulesBroken`]: somebody has to look at the rules.
    pub const RULES_BROKEN: &'static str = "rules_broken";

    /// A word for entries and scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Words(_) => "words",
            Self::NoResource { .. } => "no_resource",
            Self::NoRequest(_) => "no_request",
            Self::NoReason(_) => "no_reason",
            Self::ReasonTooLong { .. } => "reason_too_long",
            Self::TooLong { .. } => "too_long",
            Self::Rules(_) => "rules",
            Self::RulesBroken(_) => Self::RULES_BROKEN,
            Self::ReviewOwed { .. } => "review_owed",
            Self::OwnRequest { .. } => "own_request",
            Self::DecidedAlready(_) => "decided_already",
            Self::WrongPhase { .. } => "wrong_phase",
            Self::NotYours { .. } => "not_yours",
            Self::AlreadyHeld { .. } => "already_held",
            Self::TooMany(_) => "too_many",
            Self::Busy(_) => "busy",
        }
    }
}
