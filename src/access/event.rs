//! What happened: the entries of the ledger, as the core reads them. The body of each kind is described here.
//!
//! Personal data never stands in a body: it is a [`Personal`] field, which travels beside the body as a sealed
//! disclosure and comes back as [`Personal::Erased`] when its subject was erased.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Call, Cause, Chat, Drift, FailureClass, Finding, Manner, Notice, Personal, PolicyId, RequestId, Sort, Span,
    SubjectId, Target, Thread, Via,
};

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
    /// The clock went further than time did: it was set forward, or the machine slept. What is due is done at once.
    #[serde(rename = "clock.jumped")]
    ClockJumped {
        /// How much further, seconds.
        ahead_secs: u64,
    },
    /// The service started with these rules.
    #[serde(rename = "service.started")]
    ServiceStarted {
        /// The program's version.
        version: String,
        /// The config's files: name and SHA-256, lowercase hex.
        files: Vec<(String, String)>,
        /// In how many ways people may do more than by the rules that were loaded last.
        #[serde(default, skip_serializing_if = "is_zero")]
        widened: u32,
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
        /// Typed, pressed, or said in a thread.
        via: Via,
        /// Names the message: SHA-256 over platform and the platform's id, the first 32 hex digits.
        key: String,
        /// If it was said in a thread: below whose card, and what became of it. Nothing follows from it then. Of what was
        /// deleted, `from` is whose words they were.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread: Option<Thread>,
        /// The words, exactly as they came.
        #[serde(skip)]
        text: Personal,
        /// What the platform signed, if it signs: when, its signature in hex, and the signed bytes, a line each.
        #[serde(skip)]
        evidence: Option<Personal>,
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
        /// How it came about; left out where there is nothing to say.
        #[serde(default, skip_serializing_if = "Manner::is_plain")]
        manner: Box<Manner>,
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
        /// For less time than was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_secs: Option<Span>,
        /// The pre-approval that said it ahead, by its index; the message is then the requester's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preapproval: Option<u64>,
        /// A word with it; may be empty.
        #[serde(skip)]
        comment: Personal,
    },
    /// A rule approved it; nobody had to.
    #[serde(rename = "request.autoapproved")]
    RequestAutoapproved {
        /// Which.
        request: RequestId,
        /// The leaf hash of the request's entry, lowercase hex.
        terms: String,
        /// The rules that did.
        policies: Vec<PolicyId>,
    },
    /// It looked as if a rule or a pre-approval would approve it, and on a second look none does: it waits for people.
    #[serde(rename = "request.reconsidered")]
    RequestReconsidered {
        /// Which.
        request: RequestId,
    },
    /// Somebody took their approval back.
    #[serde(rename = "approval.withdrawn")]
    ApprovalWithdrawn {
        /// Of which request.
        request: RequestId,
        /// The message's index.
        message: u64,
        /// Who.
        by: SubjectId,
    },
    /// People are told about a request that needs them.
    #[serde(rename = "people.called")]
    PeopleCalled {
        /// Which.
        request: RequestId,
        /// Why.
        why: Call,
        /// Whom.
        to: Vec<SubjectId>,
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
        /// The other grant of the same person that needs what they share, if it is still there for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept_for: Option<RequestId>,
    },
    /// A live access was given more time.
    #[serde(rename = "grant.extended")]
    GrantExtended {
        /// The request for more time.
        request: RequestId,
        /// The access that has it.
        base: RequestId,
        /// Which order was carried out.
        attempt: u32,
        /// Its new end.
        not_after: DateTime<Utc>,
    },
    /// Somebody else looked back at a break-glass.
    #[serde(rename = "review.given")]
    ReviewGiven {
        /// Of which request.
        request: RequestId,
        /// The message's index.
        message: u64,
        /// Who.
        by: SubjectId,
        /// What they found.
        finding: Finding,
        /// The rules that let them.
        policies: Vec<PolicyId>,
        /// What they have to say.
        #[serde(skip)]
        notes: Personal,
    },
    /// Somebody approved ahead what somebody else may ask for within a time. This entry's index is its id.
    #[serde(rename = "preapproval.given")]
    PreapprovalGiven {
        /// Who.
        by: SubjectId,
        /// The message's index.
        message: u64,
        /// For whom.
        person: SubjectId,
        /// For what.
        resource: String,
        /// For how long at the most.
        duration_secs: Span,
        /// Until when it may be asked.
        until: DateTime<Utc>,
        /// The rules that let them.
        policies: Vec<PolicyId>,
        /// What for.
        #[serde(skip)]
        reason: Personal,
    },
    /// A pre-approval holds no longer.
    #[serde(rename = "preapproval.withdrawn")]
    PreapprovalWithdrawn {
        /// Which, by its index.
        preapproval: u64,
        /// The message's index.
        message: u64,
        /// Who.
        by: SubjectId,
    },
    /// Other rules hold from now on.
    #[serde(rename = "rules.loaded")]
    RulesLoaded {
        /// The config's files: name and SHA-256, lowercase hex.
        files: Vec<(String, String)>,
        /// In how many ways people may do more than before.
        widened: u32,
    },
    /// A period is over and its report is due.
    #[serde(rename = "digest.made")]
    DigestMade {
        /// The first entry of the period.
        from: u64,
        /// The entry after its last.
        to: u64,
        /// When it was due.
        due: DateTime<Utc>,
    },
    /// A target was looked at, and what bears our mark there is not what the ledger says.
    #[serde(rename = "drift.found")]
    DriftFound {
        /// Whose target.
        resource: String,
        /// Where it is: what is extra is shut there, whatever becomes of the config.
        target: Target,
        /// The mark on the target.
        external_id: String,
        /// What is wrong.
        what: Drift,
        /// The request it was made for, if the ledger has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<RequestId>,
    },
    /// What was extra is gone.
    #[serde(rename = "drift.closed")]
    DriftClosed {
        /// The index of the entry that says it was found.
        drift: u64,
        /// Whose target.
        resource: String,
        /// The mark on the target.
        external_id: String,
        /// The request it was made for, if the ledger has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<RequestId>,
    },
    /// Somebody searches the ledger.
    #[serde(rename = "log.read")]
    LogRead {
        /// The message's index; what is looked for stands there.
        message: u64,
        /// Who.
        by: SubjectId,
        /// Whether they may read all of it, or only what concerns them.
        whole: bool,
    },
    /// Something that concerns a whole channel stands there.
    #[serde(rename = "bulletin.posted")]
    BulletinPosted {
        /// The index of the entry it tells about.
        bulletin: u64,
        /// On which platform.
        chat: Chat,
        /// The platform's id of the message.
        message: String,
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
        /// The newest step of its history that stands below it, by its entry's index.
        #[serde(default, skip_serializing_if = "is_none_yet")]
        told: u64,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn is_none_yet(index: &u64) -> bool {
    *index == 0
}
