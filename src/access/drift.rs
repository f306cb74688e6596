//! Targets held against the ledger: what bears our mark without a door to be open for it, and doors that are open by
//! the ledger and not on their target.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Drift, Event, Phase, Request, RequestId, State, Stray, SubjectId, Target};

/// One look records so much drift at the most; the next one, a minute later, goes on.
const FOUND_PER_LOOK_MAX: usize = 16;
/// While so much is extra and can't be shut, no more of it is recorded.
const STRAYS_MAX: usize = 256;
/// A door that closes by itself this soon is not missed: the target's clock may be ahead.
const NEAR_END_SECS: i64 = 60;

/// What a provider listed, with what it takes to tell drift from what was just being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Whose target.
    pub resource: String,
    /// Where.
    pub target: Target,
    /// How many entries the ledger had when the provider was asked.
    pub asked: u64,
    /// Whether one person's grants share one object there.
    pub shared: bool,
    /// What bears the mark of this log, by the request that it names.
    pub listed: BTreeSet<RequestId>,
    /// Requests whose provider was at work for them since it was asked, or just before.
    pub busy: BTreeSet<RequestId>,
    /// Those of the listed requests that are out of memory, with who asked.
    pub old: BTreeMap<RequestId, SubjectId>,
}

impl Look {
    /// Whether nothing has happened to the request since the provider was asked, so that the list is about it as it is.
    fn is_fresh(&self, request: &Request) -> bool {
        !self.busy.contains(&request.id) && request.entries.last().is_none_or(|last| *last < self.asked)
    }

    fn is_at(&self, stray: &Stray) -> bool {
        stray.resource == self.resource && stray.target == self.target
    }

    /// Whether the object listed for a request is one that somebody's live grant shares.
    fn serves_another(&self, state: &State, id: RequestId) -> bool {
        let holder = || state.request(id).map(|request| request.requester).or_else(|| self.old.get(&id).copied());
        self.shared && holder().is_some_and(|holder| state.sharing(holder, &self.target, id).next().is_some())
    }
}

impl State {
    /// The grants of this person on this target that are live, other than the one of `but`: where a target's grants
    /// share one object, it is there for them. Whoever was erased and came again is somebody else.
    pub fn sharing<'a>(
        &'a self,
        holder: SubjectId,
        target: &'a Target,
        but: RequestId,
    ) -> impl Iterator<Item = &'a Request> {
        self.open().filter(move |request| {
            request.is_live() && request.id != but && request.target == *target && request.requester == holder
        })
    }

    /// Whether the mark of a request may be found on a target.
    #[must_use]
    pub fn door_may_be_open(&self, id: RequestId) -> bool {
        self.request(id).is_some_and(|request| match request.phase {
            Phase::Ordered { .. } | Phase::Deferred { .. } | Phase::Live { .. } | Phase::Ending { .. } => true,
            Phase::Pending
            | Phase::Approved { .. }
            | Phase::Ended { .. }
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Lapsed
            | Phase::Failed
            | Phase::Extended => false,
        })
    }
}

/// The mark of a log's request on its target.
pub(super) fn mark(log_tag: &str, id: RequestId) -> String {
    format!("cs_{log_tag}_{}", id.0)
}

/// The request that a mark names, if it is a mark of this log.
#[must_use]
pub fn marked(log_tag: &str, external_id: &str) -> Option<RequestId> {
    let (_, number) = external_id.rsplit_once('_')?;
    let id = RequestId(number.parse().ok()?);
    // Only the one way in which we write it.
    (mark(log_tag, id) == external_id).then_some(id)
}

/// What follows from a look.
pub(super) fn looked(state: &State, look: &Look, now: DateTime<Utc>) -> Vec<Event> {
    let mut events = Vec::new();
    let found = |id: RequestId, what: Drift, request: Option<RequestId>| Event::DriftFound {
        resource: look.resource.clone(),
        target: look.target.clone(),
        external_id: state.external_id(id),
        what,
        request,
    };
    let mut room = STRAYS_MAX.saturating_sub(state.strays().count());
    for id in &look.listed {
        let known = state.request(*id);
        let recorded = state.strays().any(|(_, stray)| look.is_at(stray) && stray.id == *id);
        let changing = look.busy.contains(id) || known.is_some_and(|request| !look.is_fresh(request));
        if changing || recorded || room == 0 || state.door_may_be_open(*id) || look.serves_another(state, *id) {
            continue;
        }
        room -= 1;
        let request = (known.is_some() || look.old.contains_key(id)).then_some(*id);
        events.push(found(*id, Drift::Extra, request));
    }
    let near_end = now + TimeDelta::seconds(NEAR_END_SECS);
    for request in state.open().filter(|request| request.resource == look.resource && request.target == look.target) {
        let open = matches!(request.phase, Phase::Live { not_after } if not_after > near_end);
        let there = look.listed.contains(&request.id) || listed_for(state, look, request);
        if open && !there && !request.missing && look.is_fresh(request) {
            events.push(found(request.id, Drift::Missing, Some(request.id)));
        }
    }
    events.truncate(FOUND_PER_LOOK_MAX);
    let gone = state.strays().filter(|(seq, stray)| {
        *seq < look.asked && look.is_at(stray) && !look.listed.contains(&stray.id) && !look.busy.contains(&stray.id)
    });
    events.extend(gone.take(FOUND_PER_LOOK_MAX).map(|(seq, stray)| closed(state, seq, stray)));
    events
}

/// Whether what another grant of the same person left behind is what this one shares.
fn listed_for(state: &State, look: &Look, request: &Request) -> bool {
    look.shared
        && look.listed.iter().any(|id| {
            let other = state.request(*id).map(|other| other.requester).or_else(|| look.old.get(id).copied());
            other == Some(request.requester)
        })
}

/// What follows when something extra was shut.
pub(super) fn shut(state: &State, drift: u64) -> Vec<Event> {
    let open = state.strays().find(|(seq, _)| *seq == drift);
    open.map(|(seq, stray)| closed(state, seq, stray)).into_iter().collect()
}

fn closed(state: &State, drift: u64, stray: &Stray) -> Event {
    let (resource, external_id) = (stray.resource.clone(), state.external_id(stray.id));
    Event::DriftClosed { drift, resource, external_id, request: stray.known.then_some(stray.id) }
}
