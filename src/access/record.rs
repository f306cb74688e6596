//! How an event becomes an entry and an entry an event.

use serde_json::{Map, Value};

use super::{Event, Personal, RequestId, SubjectId};

/// The name of what a platform signed.
pub const EVIDENCE: &str = "evidence";

/// An event as the ledger takes it: the public body, and the personal fields to be sealed beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// For example `access.requested`.
    pub kind: String,
    /// The public part.
    pub body: Map<String, Value>,
    /// The rest.
    pub personal: Vec<PersonalField>,
    /// Whether a personal field was there and can't be read any more.
    pub erased: bool,
    /// Whether a personal field is there and can't be read for want of its key, though nobody was erased.
    pub locked: bool,
}

/// A personal field of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalField {
    /// Under whose key it is sealed.
    pub subject: SubjectId,
    /// Which field.
    pub name: String,
    /// Its text.
    pub value: String,
}

/// An entry that this program can't read. It never skips one.
#[derive(Debug, thiserror::Error)]
#[error("entry {seq} of kind `{kind}` can't be read: {why}")]
pub struct NotAnEvent {
    /// The entry's index.
    pub seq: u64,
    /// Its kind.
    pub kind: String,
    /// What is wrong.
    pub why: String,
}

impl Event {
    /// The kinds that this module writes and reads, besides the ledger's own.
    pub const KINDS: [&'static str; 36] = [
        "service.started",
        "clock.jumped",
        "subject.enrolled",
        "message.received",
        "message.refused",
        "access.requested",
        "request.approved",
        "request.autoapproved",
        "request.reconsidered",
        "approval.withdrawn",
        "people.called",
        "request.denied",
        "request.cancelled",
        "request.lapsed",
        "grant.ordered",
        "grant.issued",
        "grant.deferred",
        "grant.failed",
        "credential.ordered",
        "credential.taken",
        "credential.failed",
        "grant.ending",
        "grant.stuck",
        "grant.ended",
        "grant.extended",
        "review.given",
        "preapproval.given",
        "preapproval.withdrawn",
        "rules.loaded",
        "digest.made",
        "drift.found",
        "drift.closed",
        "log.read",
        "bulletin.posted",
        "card.posted",
        "notice.sent",
    ];

    /// Whether the core reads this kind.
    #[must_use]
    pub fn knows(kind: &str) -> bool {
        Self::KINDS.contains(&kind)
    }

    /// The request it is about, if it is about one that exists already.
    #[must_use]
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::RequestApproved { request, .. }
            | Self::RequestAutoapproved { request, .. }
            | Self::RequestReconsidered { request }
            | Self::ApprovalWithdrawn { request, .. }
            | Self::PeopleCalled { request, .. }
            | Self::GrantExtended { request, .. }
            | Self::ReviewGiven { request, .. }
            | Self::RequestDenied { request, .. }
            | Self::RequestCancelled { request, .. }
            | Self::RequestLapsed { request }
            | Self::GrantOrdered { request, .. }
            | Self::GrantIssued { request, .. }
            | Self::GrantDeferred { request, .. }
            | Self::GrantFailed { request, .. }
            | Self::CredentialOrdered { request, .. }
            | Self::CredentialTaken { request, .. }
            | Self::CredentialFailed { request, .. }
            | Self::GrantEnding { request, .. }
            | Self::GrantStuck { request, .. }
            | Self::GrantEnded { request, .. }
            | Self::CardPosted { request, .. }
            | Self::NoticeSent { request, .. } => Some(*request),
            Self::DriftFound { request, .. } | Self::DriftClosed { request, .. } => *request,
            Self::MessageReceived { thread, .. } => thread.as_ref().map(|thread| thread.request),
            Self::Ledger(_)
            | Self::SubjectErased { .. }
            | Self::Heartbeat {}
            | Self::ClockStepped { .. }
            | Self::ClockJumped { .. }
            | Self::ServiceStarted { .. }
            | Self::SubjectEnrolled { .. }
            | Self::MessageRefused { .. }
            | Self::PreapprovalGiven { .. }
            | Self::PreapprovalWithdrawn { .. }
            | Self::RulesLoaded { .. }
            | Self::DigestMade { .. }
            | Self::LogRead { .. }
            | Self::BulletinPosted { .. }
            | Self::AccessRequested { .. } => None,
        }
    }

    /// Whether it is about this request, or about one that gave it more time.
    #[must_use]
    pub fn concerns(&self, id: RequestId) -> bool {
        self.request() == Some(id) || matches!(self, Self::GrantExtended { base, .. } if *base == id)
    }

    /// The event as the ledger takes it. `owner` says whose a personal field is that names nobody itself: the
    /// requester of the request it is about.
    ///
    /// # Errors
    /// The ledger's own kinds are not written from here, and neither is a field whose subject nobody knows.
    pub fn to_record(&self, owner: impl Fn(RequestId) -> Option<SubjectId>) -> Result<Record, NotAnEvent> {
        let wrong =
            |why: &str| NotAnEvent { seq: 0, kind: format!("{self:?}").chars().take(40).collect(), why: why.into() };
        let value = serde_json::to_value(self).map_err(|e| wrong(&e.to_string()))?;
        let Value::Object(mut object) = value else { return Err(wrong("not an object")) };
        let (Some(Value::String(kind)), Some(Value::Object(body))) = (object.remove("kind"), object.remove("body"))
        else {
            return Err(wrong("no kind or no body"));
        };
        let mut personal = Vec::new();
        if let Some((name, Personal::Known(value))) = self.clone().personal()
            && !value.is_empty()
        {
            let subject = self
                .author()
                .or_else(|| self.request().and_then(owner))
                .ok_or_else(|| wrong("a personal field belongs to nobody"))?;
            personal.push(PersonalField { subject, name: name.into(), value: value.clone() });
        }
        if let Self::MessageReceived { from, evidence: Some(Personal::Known(value)), .. } = self {
            personal.push(PersonalField { subject: *from, name: EVIDENCE.into(), value: value.clone() });
        }
        Ok(Record { kind, body, personal, erased: false, locked: false })
    }

    /// Reads an event back. `personal` has the fields that can still be opened; `ledger_kind` says which kinds are the
    /// ledger's own and mean nothing here.
    ///
    /// # Errors
    /// An unknown kind or a body that does not fit it.
    pub fn from_record(seq: u64, record: Record, ledger_kind: impl Fn(&str) -> bool) -> Result<Self, NotAnEvent> {
        let kind = record.kind;
        let known = Self::knows(&kind) || ["subject.erased", "log.heartbeat", "clock.stepped"].contains(&kind.as_str());
        if !known {
            return if ledger_kind(&kind) {
                Ok(Self::Ledger(kind))
            } else {
                Err(NotAnEvent {
                    seq,
                    kind,
                    why: "this program is older than the entry, or the entry is not ours".into(),
                })
            };
        }
        let mut object = Map::new();
        object.insert("kind".into(), Value::String(kind.clone()));
        object.insert("body".into(), Value::Object(record.body));
        let mut event: Self = serde_json::from_value(Value::Object(object)).map_err(|e| NotAnEvent {
            seq,
            kind: kind.clone(),
            why: e.to_string(),
        })?;
        let has_own = record.personal.iter().any(|field| field.name != EVIDENCE);
        if !has_own && record.locked {
            event.fill(Personal::Locked);
        } else if !has_own && !record.erased {
            event.fill(Personal::Known(String::new()));
        }
        for field in record.personal {
            if field.name == EVIDENCE
                && let Self::MessageReceived { evidence, .. } = &mut event
            {
                *evidence = Some(Personal::Known(field.value));
            } else if event.personal().is_some_and(|(name, _)| name == field.name) {
                event.fill(Personal::Known(field.value));
            } else {
                return Err(NotAnEvent { seq, kind, why: format!("it has no field `{}`", field.name) });
            }
        }
        Ok(event)
    }

    /// The one personal field of the event and its name, if its kind has one.
    fn personal(&mut self) -> Option<(&'static str, &mut Personal)> {
        match self {
            Self::SubjectEnrolled { name, .. } => Some(("name", name)),
            Self::MessageReceived { text, .. } => Some(("text", text)),
            Self::MessageRefused { words, .. }
            | Self::GrantDeferred { words, .. }
            | Self::GrantFailed { words, .. }
            | Self::CredentialFailed { words, .. }
            | Self::GrantStuck { words, .. } => Some(("words", words)),
            Self::AccessRequested { reason, .. }
            | Self::RequestDenied { reason, .. }
            | Self::PreapprovalGiven { reason, .. }
            | Self::GrantEnding { reason, .. } => Some(("reason", reason)),
            Self::ReviewGiven { notes, .. } => Some(("notes", notes)),
            Self::RequestApproved { comment, .. } => Some(("comment", comment)),
            Self::CredentialTaken { public_id, .. } => Some(("public_id", public_id)),
            Self::Ledger(_)
            | Self::SubjectErased { .. }
            | Self::Heartbeat {}
            | Self::ClockStepped { .. }
            | Self::ClockJumped { .. }
            | Self::ServiceStarted { .. }
            | Self::RequestCancelled { .. }
            | Self::RequestLapsed { .. }
            | Self::GrantOrdered { .. }
            | Self::GrantIssued { .. }
            | Self::CredentialOrdered { .. }
            | Self::GrantEnded { .. }
            | Self::RequestAutoapproved { .. }
            | Self::RequestReconsidered { .. }
            | Self::ApprovalWithdrawn { .. }
            | Self::PeopleCalled { .. }
            | Self::GrantExtended { .. }
            | Self::PreapprovalWithdrawn { .. }
            | Self::RulesLoaded { .. }
            | Self::DigestMade { .. }
            | Self::DriftFound { .. }
            | Self::DriftClosed { .. }
            | Self::LogRead { .. }
            | Self::BulletinPosted { .. }
            | Self::CardPosted { .. }
            | Self::NoticeSent { .. } => None,
        }
    }

    /// Sets the one personal field, if the kind has one.
    pub(super) fn fill(&mut self, value: Personal) {
        if let Some((_, field)) = self.personal() {
            *field = value;
        }
    }

    /// Whose words the personal field is, where the event itself names them. The rest belong to the requester.
    pub(super) fn author(&self) -> Option<SubjectId> {
        match self {
            Self::SubjectEnrolled { subject, .. } => Some(*subject),
            Self::MessageReceived { from, .. } | Self::MessageRefused { from, .. } => Some(*from),
            Self::AccessRequested { requester, .. } => Some(*requester),
            Self::RequestApproved { by, .. }
            | Self::RequestDenied { by, .. }
            | Self::ReviewGiven { by, .. }
            | Self::PreapprovalGiven { by, .. } => Some(*by),
            Self::GrantEnding { by, .. } => *by,
            Self::Ledger(_)
            | Self::SubjectErased { .. }
            | Self::Heartbeat {}
            | Self::ClockStepped { .. }
            | Self::ClockJumped { .. }
            | Self::ServiceStarted { .. }
            | Self::RequestCancelled { .. }
            | Self::RequestLapsed { .. }
            | Self::GrantOrdered { .. }
            | Self::GrantIssued { .. }
            | Self::GrantDeferred { .. }
            | Self::GrantFailed { .. }
            | Self::CredentialOrdered { .. }
            | Self::CredentialTaken { .. }
            | Self::CredentialFailed { .. }
            | Self::GrantStuck { .. }
            | Self::GrantEnded { .. }
            | Self::RequestAutoapproved { .. }
            | Self::RequestReconsidered { .. }
            | Self::ApprovalWithdrawn { .. }
            | Self::PeopleCalled { .. }
            | Self::GrantExtended { .. }
            | Self::PreapprovalWithdrawn { .. }
            | Self::RulesLoaded { .. }
            | Self::DigestMade { .. }
            | Self::DriftFound { .. }
            | Self::DriftClosed { .. }
            | Self::LogRead { .. }
            | Self::BulletinPosted { .. }
            | Self::CardPosted { .. }
            | Self::NoticeSent { .. } => None,
        }
    }
}
