//! What people and machines ask of the core.

use chrono::{DateTime, NaiveDateTime, NaiveTime, Utc};

use super::{Chat, FailureClass, Finding, RequestId, Span, Standing, SubjectId};

/// Something that came out of a chat, parsed by the chat's grammar but not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The platform.
    pub chat: Chat,
    /// The account on it.
    pub account: String,
    /// The channel it was said in.
    pub channel: String,
    /// 32 hex digits that name this very message: delivered twice, it has the same.
    pub key: String,
    /// Typed or pressed.
    pub via: Via,
    /// The words, exactly as they came.
    pub text: String,
    /// What the platform signed, if it signs: when, its signature in hex, and the signed bytes, a line each.
    pub evidence: Option<String>,
    /// What they mean, or why they mean nothing.
    pub action: Result<Action, super::Refusal>,
}

/// When an access is to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The next time that a clock in the resource's zone shows this.
    Clock(NaiveTime),
    /// On this day at this time, in the resource's zone.
    Day(NaiveDateTime),
}

/// How a message was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Typed after `/access`, or filled into its form.
    Line,
    /// Pressed on a card, or sent from the form behind a button.
    Press,
    /// Said in the thread below a card, to people and not to us: it decides nothing.
    Thread,
}

/// What a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Access to a resource.
    Request {
        /// Which.
        resource: String,
        /// How long.
        span: Span,
        /// What for.
        reason: String,
        /// What the provider would do, a line each, for the card: asked of the provider before the core is asked.
        plan: Vec<String>,
        /// When it is to start; at once if nothing is said.
        start: Option<Start>,
    },
    /// Access before anybody has approved.
    BreakGlass {
        /// To what.
        resource: String,
        /// How long.
        span: Span,
        /// What for.
        reason: String,
        /// As in [`Action::Request`].
        plan: Vec<String>,
    },
    /// More time for one's own access.
    Extend {
        /// Which.
        request: RequestId,
        /// How much more.
        span: Span,
        /// What for.
        reason: String,
    },
    /// To approve somebody's request.
    Approve {
        /// Which.
        request: RequestId,
        /// For less time than was asked.
        span: Option<Span>,
        /// A word with it; may be empty.
        comment: String,
    },
    /// To deny it.
    Deny {
        /// Which.
        request: RequestId,
        /// Why.
        reason: String,
    },
    /// To withdraw one's own: a request that is not open yet, one's approval of somebody's, or a pre-approval.
    Cancel {
        /// Which.
        request: RequestId,
    },
    /// To give back one's own access.
    Done {
        /// Which.
        request: RequestId,
    },
    /// To end somebody's access.
    Revoke {
        /// Which.
        request: RequestId,
        /// Why; may be empty for a break-glass, which is cut first and talked about later.
        reason: String,
    },
    /// To say what one thinks of somebody's break-glass.
    Review {
        /// Which.
        request: RequestId,
        /// What one found.
        finding: Finding,
        /// What one has to say.
        notes: String,
    },
    /// To approve ahead what somebody may ask for within a time.
    Allow {
        /// Who may ask, by principal name.
        person: String,
        /// For what.
        resource: String,
        /// For how long at the most.
        span: Span,
        /// How long they may ask for it.
        window: Span,
        /// What for.
        reason: String,
    },
    /// To be shown the credential of one's own access.
    Show {
        /// Which.
        request: RequestId,
    },
    /// To search the ledger, as far as one may read it.
    Log {
        /// What for: entries that have all of these words.
        words: Vec<String>,
    },
    /// To read about one request.
    Read {
        /// Which.
        request: RequestId,
    },
    /// To see what one holds and has asked for.
    Mine,
    /// To see what is pending or live.
    List,
    /// To check the ledger.
    Verify,
    /// To be told the words.
    Help,
}

impl Action {
    /// Whether it is to be recorded even when there is hardly room left: what opens a door in an emergency, and what keeps
    /// one shut or shuts it.
    #[must_use]
    pub fn comes_first(&self) -> bool {
        match self {
            Self::BreakGlass { .. }
            | Self::Deny { .. }
            | Self::Cancel { .. }
            | Self::Done { .. }
            | Self::Revoke { .. }
            | Self::Review { .. }
            | Self::Show { .. } => true,
            Self::Request { .. }
            | Self::Extend { .. }
            | Self::Approve { .. }
            | Self::Allow { .. }
            | Self::Log { .. }
            | Self::Read { .. }
            | Self::Mine
            | Self::List
            | Self::Verify
            | Self::Help => false,
        }
    }
}

/// A person who acts, already told apart from everybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who, in the ledger.
    pub subject: SubjectId,
    /// Who, in the rules.
    pub name: String,
    /// Where they did it.
    pub chat: Chat,
    /// In which channel.
    pub channel: String,
}

/// What a provider answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderOutcome {
    /// Done.
    Done,
    /// Nobody was called: somebody's other grant needs what was to be removed, and it goes with that one.
    Spared {
        /// The grant that needs it for the longest.
        kept_for: RequestId,
    },
    /// Not done, or not known to be done.
    Failed {
        /// What kind of failure.
        class: FailureClass,
        /// In words; nothing secret.
        words: String,
    },
}

/// What the core is asked to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A person wants something.
    Person {
        /// Who.
        actor: Actor,
        /// The message's index in the ledger.
        message: u64,
        /// What.
        action: Action,
    },
    /// The provider answered an order to open the door.
    Issued {
        /// Which request.
        request: RequestId,
        /// Which attempt it answers.
        attempt: u32,
        /// What it said.
        outcome: ProviderOutcome,
    },
    /// The provider answered an order to shut the door.
    Closed {
        /// Which request.
        request: RequestId,
        /// What it said.
        outcome: ProviderOutcome,
    },
    /// The provider cut a key.
    CredentialCut {
        /// Which request.
        request: RequestId,
        /// Which key.
        n: u32,
        /// Its public name and its end, or what went wrong.
        outcome: Result<(String, DateTime<Utc>), (FailureClass, String)>,
    },
    /// A card was posted for the first time, or more of its history was written below it.
    CardPosted {
        /// Which request.
        request: RequestId,
        /// On which platform.
        chat: Chat,
        /// In which channel.
        channel: String,
        /// What stands there.
        standing: Standing,
    },
    /// A notice was sent.
    NoticeSent {
        /// Which request.
        request: RequestId,
        /// Which notice.
        notice: super::Notice,
        /// To whom.
        to: SubjectId,
    },
    /// Other rules are to hold from now on.
    Load {
        /// The config's files, name and SHA-256 in hex.
        files: Vec<(String, String)>,
        /// In how many ways people may do more than before.
        widened: u32,
    },
    /// A period is over.
    Digest {
        /// When its report was due.
        due: DateTime<Utc>,
    },
    /// A provider listed what bears our mark.
    Looked(Box<super::Look>),
    /// What was extra is shut.
    Shut {
        /// The index of the entry that says it was found.
        drift: u64,
    },
    /// A bulletin was posted.
    BulletinPosted {
        /// The index of the entry it tells about.
        bulletin: u64,
        /// On which platform.
        chat: Chat,
        /// The platform's id of the message.
        message: String,
    },
    /// The service started.
    Started {
        /// The program's version.
        version: String,
        /// The config's files, name and SHA-256 in hex.
        files: Vec<(String, String)>,
        /// In how many ways people may do more than by the rules that were loaded last.
        widened: u32,
    },
    /// An order whose answer nobody waits for any more, because the service was stopped in between.
    OrderAnew {
        /// For which request.
        request: RequestId,
    },
    /// The clock went further than time did.
    ClockJumped {
        /// How much further, seconds.
        ahead_secs: u64,
    },
    /// The clock was found behind the ledger.
    ClockStepped {
        /// What the clock said.
        clock: DateTime<Utc>,
    },
    /// Nothing happened for an hour: a head is signed all the same.
    Heartbeat,
}
