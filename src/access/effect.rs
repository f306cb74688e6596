//! What is still to be done outside, read from the state. The same state gives the same effects, so after a crash they
//! come out again; each may be done twice without harm.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Call, Cause, Phase, Request, SubjectId};

/// People are told when a door could not be shut for this long.
const STUCK_TOLD_AFTER_SECS: i64 = 120;

/// Something one person has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// The access lasts longer.
    Extended,
    /// A request waits for them.
    Waiting,
    /// A request has waited so long that they may approve it too.
    Escalated,
    /// Somebody broke the glass.
    BreakGlass,
    /// A break-glass is to be reviewed.
    Review,
    /// Half the time for its review has passed.
    ReviewReminder,
    /// The time for its review is over.
    ReviewOverdue,
    /// Their break-glass was reviewed.
    Reviewed,
    /// The access is live, and the target does not have it.
    Missing,
}

impl Notice {
    /// What people are told when they are called.
    #[must_use]
    pub fn of_call(why: Call) -> Self {
        match why {
            Call::Reminder => Self::Waiting,
            Call::Escalation => Self::Escalated,
            Call::BreakGlass => Self::BreakGlass,
            Call::Review => Self::Review,
            Call::ReviewReminder => Self::ReviewReminder,
            Call::ReviewOverdue => Self::ReviewOverdue,
        }
    }
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
        // What is to be extended and is over is not ordered any more.
        Phase::Ordered { .. } if request.cut_short.is_some() => {}
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
        | Phase::Failed
        | Phase::Extended => {}
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
    let mut notices = of_phase(request, now);
    for (why, people) in &request.called {
        let wanted = match why {
            Call::Reminder | Call::Escalation => request.phase == Phase::Pending,
            Call::BreakGlass => request.review.is_none(),
            Call::Review | Call::ReviewReminder | Call::ReviewOverdue => request.owes_review(),
        };
        if wanted {
            notices.extend(people.iter().map(|person| (Notice::of_call(*why), *person)));
        }
    }
    if request.review.is_some() {
        notices.push((Notice::Reviewed, request.requester));
    }
    notices
}

/// What somebody is to be told because of where the request is in its life.
fn of_phase(request: &Request, now: DateTime<Utc>) -> Vec<(Notice, SubjectId)> {
    let requester = request.requester;
    match &request.phase {
        Phase::Live { .. } => {
            let mut people = vec![(Notice::Live, requester)];
            if request.missing {
                people.extend(answerable(request).map(|person| (Notice::Missing, person)));
            }
            people
        }
        Phase::Denied => vec![(Notice::Denied, requester)],
        Phase::Lapsed => vec![(Notice::Lapsed, requester)],
        Phase::Extended => vec![(Notice::Extended, requester)],
        Phase::Failed => vec![(Notice::Failed, requester)],
        // Whoever gave it back knows.
        Phase::Ended { cause: Cause::Returned } => Vec::new(),
        Phase::Ended { cause: Cause::Unknown } => vec![(Notice::Failed, requester)],
        Phase::Ended { cause: Cause::Expired | Cause::Revoked } => vec![(Notice::Ended, requester)],
        Phase::Ending { since, .. } if now - *since >= TimeDelta::seconds(STUCK_TOLD_AFTER_SECS) => {
            answerable(request).map(|person| (Notice::Stuck, person)).collect()
        }
        Phase::Pending
        | Phase::Approved { .. }
        | Phase::Ordered { .. }
        | Phase::Deferred { .. }
        | Phase::Ending { .. }
        | Phase::Cancelled => Vec::new(),
    }
}

impl Request {
    /// When something is to be done for it that no entry says: its provider is to be asked again to shut the door, or
    /// people are to be told that it can't.
    pub(super) fn next_looks(&self) -> impl Iterator<Item = DateTime<Utc>> + use<> {
        let told_at = match &self.phase {
            Phase::Ending { since, .. } => Some(*since + TimeDelta::seconds(STUCK_TOLD_AFTER_SECS)),
            Phase::Pending
            | Phase::Approved { .. }
            | Phase::Ordered { .. }
            | Phase::Deferred { .. }
            | Phase::Live { .. }
            | Phase::Ended { .. }
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Lapsed
            | Phase::Failed
            | Phase::Extended => None,
        };
        self.next_try().into_iter().chain(told_at)
    }
}

/// Everybody who answered for it, and the holder.
fn answerable(request: &Request) -> impl Iterator<Item = SubjectId> {
    request.approvals.iter().map(|decision| decision.by).chain([request.requester])
}
