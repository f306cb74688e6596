//! Making unreadable what belonged to somebody who was erased.

use super::{Event, Personal, Request, State, SubjectId};

impl State {
    /// Whether somebody had an id and was erased; or their key is lost, which comes to the same: nobody can say who it was.
    #[must_use]
    pub fn was_erased(&self, subject: SubjectId) -> bool {
        self.subjects.get(&subject).is_some_and(|subject| subject.name.known().is_none())
    }

    /// Why nobody can say who has an id: what follows "somebody".
    #[must_use]
    pub fn why_nameless(&self, subject: SubjectId) -> &'static str {
        match self.subjects.get(&subject).map(|subject| &subject.name) {
            Some(Personal::Locked) => "whose key is lost",
            Some(Personal::Known(_) | Personal::Erased) | None => "who was erased",
        }
    }

    /// Whether two ids are surely two people's. Whoever was erased has another id when they come again: only who had
    /// an id already when they were erased is surely somebody else.
    #[must_use]
    pub fn surely_differ(&self, one: SubjectId, other: SubjectId) -> bool {
        let entries = |id| self.subjects.get(&id).map(|subject| subject.entries.as_slice()).unwrap_or_default();
        // Whoever is not in the ledger yet comes after everybody.
        let came = |id| entries(id).first().copied().unwrap_or(u64::MAX);
        let gone = |id| entries(id).last().copied().filter(|_| self.was_erased(id));
        let before = |one, other| gone(other).is_none_or(|gone| came(one) < gone);
        one != other && before(one, other) && before(other, one)
    }
}

impl Event {
    /// The same without the words of somebody who was erased: nothing can be sealed for them any more.
    #[must_use]
    pub fn hushed(mut self, state: &State) -> Self {
        let of_request = || self.request().and_then(|id| state.request(id)).map(|request: &Request| request.requester);
        if self.author().or_else(of_request).is_some_and(|whose| state.was_erased(whose)) {
            self.fill(Personal::Known(String::new()));
        }
        self
    }

    /// Makes unreadable what belongs to somebody who was erased. `own` says whether the request is theirs.
    pub(super) fn forget(&mut self, subject: SubjectId, own: bool) {
        match self {
            Self::AccessRequested { requester, reason, .. } if *requester == subject => *reason = Personal::Erased,
            Self::RequestApproved { by, comment, .. } if *by == subject => *comment = Personal::Erased,
            Self::RequestDenied { by, reason, .. } if *by == subject => *reason = Personal::Erased,
            Self::ReviewGiven { by, notes, .. } if *by == subject => *notes = Personal::Erased,
            Self::PreapprovalGiven { by, reason, .. } if *by == subject => *reason = Personal::Erased,
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
            | Self::ClockJumped { .. }
            | Self::ServiceStarted { .. }
            | Self::SubjectEnrolled { .. }
            | Self::MessageReceived { .. }
            | Self::MessageRefused { .. }
            | Self::AccessRequested { .. }
            | Self::RequestApproved { .. }
            | Self::RequestAutoapproved { .. }
            | Self::RequestReconsidered { .. }
            | Self::ApprovalWithdrawn { .. }
            | Self::PeopleCalled { .. }
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
            | Self::GrantExtended { .. }
            | Self::ReviewGiven { .. }
            | Self::PreapprovalGiven { .. }
            | Self::PreapprovalWithdrawn { .. }
            | Self::RulesLoaded { .. }
            | Self::DigestMade { .. }
            | Self::DriftFound { .. }
            | Self::DriftClosed { .. }
            | Self::LogRead { .. }
            | Self::BulletinPosted { .. }
            | Self::CardPosted { .. }
            | Self::NoticeSent { .. } => {}
        }
    }
}
