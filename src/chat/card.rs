//! The card of a request, in no platform's words: always a picture of the request's present state.

use chrono::{DateTime, Utc};

use crate::access::RequestId;

/// A run of text within a line. User text is only ever in `Text` or `Code`, and adapters escape both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Span {
    /// Plain text.
    Text(String),
    /// Something to copy: an id, a command.
    Code(String),
    /// A moment, shown in the reader's own clock with a UTC fallback.
    Time(DateTime<Utc>),
    /// A person, by principal name.
    Person(String),
    /// Stress.
    Strong(String),
}

/// A line of text.
pub type Line = Vec<Span>;

/// Where a request is in its life, as the card shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waits for decisions.
    Requested,
    /// Approved; the provider is at work.
    Issuing,
    /// The door is open.
    Live,
    /// The door is being shut.
    Ending,
    /// Over: expired, given back or revoked.
    Ended,
    /// Refused by an approver.
    Denied,
    /// Withdrawn by the requester.
    Cancelled,
    /// Nobody answered in time.
    Lapsed,
    /// The provider could not do it; nothing is open.
    Failed,
    /// Approved, and waits for its start.
    Scheduled,
    /// A break-glass that is over and owes a review.
    Owing,
    /// It made another access longer.
    Extended,
}

/// A button. Its payload on any platform is the word and the request's id, never authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Button {
    /// Approve the request.
    Approve,
    /// Deny it; opens a form for the reason.
    Deny,
    /// Withdraw one's own pending request.
    Cancel,
    /// Show the credential, to the holder alone.
    Show,
    /// Give the access back early.
    Done,
    /// End somebody's access; opens a form for the reason.
    Revoke,
    /// Approve for less time than was asked; opens a form.
    ApproveLess,
    /// Ask for more time for one's own access; opens a form.
    Extend,
    /// End somebody's break-glass at once; reasons can wait.
    Cut,
    /// Review a break-glass: it was as it should be. Opens a form for the notes.
    ReviewOk,
    /// Review a break-glass: it was not. Opens a form for the notes.
    ReviewConcern,
}

/// The form behind a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// What the text is: "Reason".
    pub label: &'static str,
    /// A word of help below it.
    pub hint: &'static str,
}

impl Button {
    /// All buttons.
    pub const ALL: [Self; 11] = [
        Self::Approve,
        Self::Deny,
        Self::Cancel,
        Self::Show,
        Self::Done,
        Self::Revoke,
        Self::ApproveLess,
        Self::Extend,
        Self::Cut,
        Self::ReviewOk,
        Self::ReviewConcern,
    ];

    /// Its word in payloads and commands.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Cancel => "cancel",
            Self::Show => "show",
            Self::Done => "done",
            Self::Revoke => "revoke",
            Self::ApproveLess => "approve-less",
            Self::Extend => "extend",
            Self::Cut => "cut",
            Self::ReviewOk => "review-ok",
            Self::ReviewConcern => "review-concern",
        }
    }

    /// The button with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|button| button.word() == word)
    }

    /// The form it opens, if any.
    #[must_use]
    pub fn form(self) -> Option<Form> {
        match self {
            Self::Deny => Some(Form { label: "Why not?", hint: "The requester and the log get this reason." }),
            Self::Revoke => Some(Form { label: "Why end it now?", hint: "The holder and the log get this reason." }),
            Self::ApproveLess => Some(Form {
                label: "For how long?",
                hint: "A shorter time, and a word if you like: 15m only the one row",
            }),
            Self::Extend => {
                Some(Form { label: "How much more, and why?", hint: "For example: 30m the fix needs a deploy" })
            }
            Self::ReviewOk => Some(Form { label: "What happened?", hint: "The holder and the log get these notes." }),
            Self::ReviewConcern => {
                Some(Form { label: "What is the concern?", hint: "The holder, security and the log get these notes." })
            }
            Self::Approve | Self::Cancel | Self::Show | Self::Done | Self::Cut => None,
        }
    }
}

/// One labelled fact on a card.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// "Requester", "Reason".
    pub label: &'static str,
    /// Its value.
    pub value: Line,
}

/// Something that happened to a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Step {
    /// The index of its entry in the ledger.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What, in words.
    pub line: Line,
}

/// The message that shows a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Card {
    /// Which request.
    pub request: RequestId,
    /// Where it is in its life.
    pub status: Status,
    /// Whether it is to be seen by everybody at once: somebody broke the glass.
    pub loud: bool,
    /// "prod-db for 30m".
    pub title: String,
    /// The state in a sentence: "Waiting for approval, 0 of 1".
    pub headline: Line,
    /// The facts: requester, resource, duration, reason.
    pub fields: Vec<Field>,
    /// What exactly will be done, a line each: the provider's plan.
    pub plan: Vec<String>,
    /// What has happened so far, oldest first.
    pub history: Vec<Step>,
    /// The buttons that mean something now, with their labels.
    pub buttons: Vec<(Button, String)>,
    /// The first eight hex digits of the leaf hash of the request's entry.
    pub proof: String,
    /// SHA-256 of the terms that an approver sees and signs, lowercase hex.
    pub terms: String,
    /// The card in one plain line, for notifications and screen readers.
    pub summary: String,
}
