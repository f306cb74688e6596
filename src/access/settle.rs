//! What is due because of the time, or because a phase calls for the next step.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::{Cause, Event, Personal, Phase, Request, State};

/// The events that are due at `now`, a step for each request, the longest overdue first; called again until it is empty.
pub fn settle(state: &State, now: DateTime<Utc>) -> impl Iterator<Item = Event> {
    state.due(now).filter_map(move |request| step(state, request, now))
}

fn step(state: &State, request: &Request, now: DateTime<Utc>) -> Option<Event> {
    match &request.phase {
        Phase::Pending => Some(Event::RequestLapsed { request: request.id }),
        Phase::Approved { .. } | Phase::Deferred { .. } => Some(order(state, request, now)),
        Phase::Ordered { .. } | Phase::Live { .. } => Some(Event::GrantEnding {
            request: request.id,
            cause: Cause::Expired,
            by: None,
            message: None,
            reason: Personal::Known(String::new()),
        }),
        Phase::Ending { .. }
        | Phase::Ended { .. }
        | Phase::Denied
        | Phase::Cancelled
        | Phase::Lapsed
        | Phase::Failed => None,
    }
}

/// The order to open the door. Its clock starts now: an order that has to be repeated gets a new end, since nobody
/// could use the time before.
pub(super) fn order(state: &State, request: &Request, now: DateTime<Utc>) -> Event {
    // Targets know whole seconds. Rounding down never makes a grant longer than asked, except that a grant of one
    // second would be none at all.
    let end = (now + request.span.delta()).trunc_subsecs(0);
    let not_after = if end <= now { end + TimeDelta::seconds(1) } else { end };
    Event::GrantOrdered {
        request: request.id,
        attempt: request.attempts.saturating_add(1),
        external_id: state.external_id(request.id),
        not_after,
    }
}
