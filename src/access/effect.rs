//! What is still to be done outside, read from the state. The same state gives the same effects, so after a crash they
//! come out again; each may be done twice without harm.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Cause, Phase, Request, SubjectId};

/// People are told when a door could not be shut for this long.
const STUCK_TOLD_AFTER_SECS: i64 = 120;

/// Something one person has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Notice {
    /// The door is open.
    Live,
    /// The request was denied.
    Denied,
    /// Nobody decided in time.
    Lapsed,
    /// The door could not be opened.
    Failed,
    /// The access is over.
    Ended,
    /// The door can't be shut, and we go on trying.
    Stuck,
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Have the provider open the door.
    Issue {
        /// Which order.
        attempt: u32,
        /// The end.
        not_after: DateTime<Utc>,
    },
    /// Have the provider shut the door.
    Close,
    /// Tell somebody.
    Tell {
        /// What.
        notice: Notice,
        /// Whom.
        to: SubjectId,
    },
}

/// What is to be done for a request at `now`. That its card is to look like its state goes without saying.
#[must_use]
pub fn effects_of(request: &Request, now: DateTime<Utc>) -> Vec<Effect> {
    let mut effects = Vec::new();
    match &request.phase {
        Phase::Ordered { attempt, not_after } => {
            effects.push(Effect::Issue { attempt: *attempt, not_after: *not_after });
        }
        Phase::Ending { next_try, .. } if *next_try <= now => effects.push(Effect::Close),
        Phase::Pending
        | Phase::Approved { .. }
        | Phase::Deferred { .. }
        | Phase::Live { .. }
        | Phase::Ending { .. }
        | Phase::Ended { .. }
        | Phase::Denied
        | Phase::Cancelled
        | Phase::Lapsed
        | Phase::Failed => {}
    }
    for (notice, to) in notices(request, now) {
        if !request.told.contains(&(notice, to)) {
            effects.push(Effect::Tell { notice, to });
        }
    }
    effects
}

/// What somebody is to be told about a request at `now`, whether they were or not.
#[must_use]
pub fn notices(request: &Request, now: DateTime<Utc>) -> Vec<(Notice, SubjectId)> {
    let requester = request.requester;
    match &request.phase {
        Phase::Live { .. } => vec![(Notice::Live, requester)],
        Phase::Denied => vec![(Notice::Denied, requester)],
        Phase::Lapsed => vec![(Notice::Lapsed, requester)],
        Phase::Failed => vec![(Notice::Failed, requester)],
        // Whoever gave it back knows.
        Phase::Ended { cause: Cause::Returned } => Vec::new(),
        Phase::Ended { cause: Cause::Unknown } => vec![(Notice::Failed, requester)],
        Phase::Ended { cause: Cause::Expired | Cause::Revoked } => vec![(Notice::Ended, requester)],
        Phase::Ending { since, .. } if now - *since >= TimeDelta::seconds(STUCK_TOLD_AFTER_SECS) => {
            // The holder, and everybody who answered for it.
            let mut people: Vec<_> = request.approvals.iter().map(|decision| (Notice::Stuck, decision.by)).collect();
            people.push((Notice::Stuck, requester));
            people
        }
        Phase::Pending
        | Phase::Approved { .. }
        | Phase::Ordered { .. }
        | Phase::Deferred { .. }
        | Phase::Ending { .. }
        | Phase::Cancelled => Vec::new(),
    }
}
