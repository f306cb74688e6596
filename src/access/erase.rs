//! Making unreadable what belonged to somebody who was erased.

use super::{Event, Personal, SubjectId};

impl Event {
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
