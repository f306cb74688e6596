//! What is due because of the time, or because a phase calls for the next step.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::{
    Call, Cause, Event, Moment, Personal, Phase, Question, Request, Right, Sort, State, Verdict, decide::considered,
    moment::Roll,
};

/// So many people are called for one request at the most.
const CALLED_MAX: usize = 16;

/// The events that are due, a step for each request, the longest overdue first; called again until there are none. No
/// further step is taken once there are `room` of them.
#[must_use]
pub fn settle(state: &State, moment: Moment<'_>, room: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let mut steps = Steps { state, moment, roll: Roll::new(state, moment.fresh) };
    for request in state.due(moment.now) {
        if events.len() >= room {
            break;
        }
        steps.step(request, &mut events);
    }
    events
}

struct Steps<'a> {
    state: &'a State,
    moment: Moment<'a>,
    roll: Roll<'a>,
}

impl Steps<'_> {
    fn step(&mut self, request: &Request, events: &mut Vec<Event>) {
        let (now, id) = (self.moment.now, request.id);
        match &request.phase {
            Phase::Pending if request.lapse_at <= now || request.cut_short.is_some() => {
                events.push(Event::RequestLapsed { request: id });
            }
            Phase::Pending => self.wait(request, events),
            Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } if request.cut_short.is_some() => {
                events.push(failed(request, "the access that it was to extend is over"));
            }
            Phase::Approved { due } if *due <= now && request.manner.starts_at.is_some() => {
                events.extend(self.start(request));
            }
            Phase::Approved { due: at } | Phase::Deferred { retry_at: at, .. } if *at <= now => {
                events.extend(order(self.state, request, now));
            }
            Phase::Ordered { not_after, .. } | Phase::Live { not_after }
                if *not_after <= now && request.manner.extends.is_none() =>
            {
                let reason = Personal::Known(String::new());
                events.push(Event::GrantEnding { request: id, cause: Cause::Expired, by: None, message: None, reason });
            }
            Phase::Ended { .. } => match request.next_review_call() {
                Some((at, call)) if at <= now => self.call(request, call, events),
                Some(_) | None => self.alarm(request, events),
            },
            Phase::Approved { .. }
            | Phase::Ordered { .. }
            | Phase::Deferred { .. }
            | Phase::Live { .. }
            | Phase::Ending { .. }
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Lapsed
            | Phase::Failed
            | Phase::Extended => self.alarm(request, events),
        }
    }

    /// What a request that waits calls for.
    fn wait(&mut self, request: &Request, events: &mut Vec<Event>) {
        let due = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at <= self.moment.now);
        if request.automatic {
            events.extend(considered(self.state, self.moment, request));
        } else if due(request.manner.escalate_at) && !request.was_called(Call::Escalation) {
            self.call(request, Call::Escalation, events);
        } else if due(request.manner.remind_at) && !request.was_called(Call::Reminder) {
            self.call(request, Call::Reminder, events);
        }
    }

    /// Starts what was approved for a later time, if its requester may still have it.
    fn start(&self, request: &Request) -> Option<Event> {
        let requester = self.state.name(request.requester);
        let question = self.question(Right::Request, request);
        match self.moment.rules.judge(&Question { who: requester, ..question }) {
            Verdict::Yes(_) => order(self.state, request, self.moment.now),
            Verdict::No { words, .. } | Verdict::Broken { words, .. } => {
                Some(failed(request, &format!("the rules don't allow it any more: {words}")))
            }
        }
    }

    /// Tells people that the glass was broken, once.
    fn alarm(&mut self, request: &Request, events: &mut Vec<Event>) {
        if request.manner.break_glass && !request.was_called(Call::BreakGlass) {
            self.call(request, Call::BreakGlass, events);
        }
    }

    /// Calls those who can do something about a request.
    fn call(&mut self, request: &Request, why: Call, events: &mut Vec<Event>) {
        let ask = |right| self.moment.rules.those_who_may(&self.question(right, request));
        let escalated = Question { escalated: true, ..self.question(Right::Approve, request) };
        let mut names = match why {
            Call::Reminder => ask(Right::Approve),
            Call::Escalation => self.moment.rules.those_who_may(&escalated),
            Call::BreakGlass => ask(Right::Revoke),
            Call::Review | Call::ReviewReminder | Call::ReviewOverdue => ask(Right::Review),
        };
        let signed: Vec<&str> = request.approvals.iter().map(|decision| self.state.name(decision.by)).collect();
        names.retain(|name| !signed.contains(&name.as_str()) && name != self.state.name(request.requester));
        names.truncate(CALLED_MAX);
        let to = names.iter().map(|name| self.roll.subject(Sort::Person, name, events)).collect();
        events.push(Event::PeopleCalled { request: request.id, why, to });
    }

    fn question<'b>(&'b self, right: Right, request: &'b Request) -> Question<'b> {
        Question {
            right,
            who: "",
            resource: &request.resource,
            requester: self.state.name(request.requester),
            span: request.granted_span(),
            reason: request.reason.known().unwrap_or_default(),
            now: self.moment.now,
            chat: None,
            channel: &request.channel,
            approvals: u32::try_from(request.approvals.len()).unwrap_or(u32::MAX),
            escalated: request.was_called(Call::Escalation),
        }
    }
}

fn failed(request: &Request, words: &str) -> Event {
    let words = Personal::Known(words.to_owned());
    Event::GrantFailed { request: request.id, attempt: request.attempts, words }
}

/// The order to open the door, or to hold it open for longer. The clock of a grant starts now: an order that has to be
/// repeated gets a new end, since nobody could use the time before. `None` if what it is to extend is not open.
pub(super) fn order(state: &State, request: &Request, now: DateTime<Utc>) -> Option<Event> {
    let span = request.granted_span().delta();
    let (of, not_after) = if let Some(base) = request.manner.extends {
        match state.request(base)?.phase {
            // What is due to end by now is ended, in the same round.
            Phase::Live { not_after } if not_after > now => (base, not_after + span),
            Phase::Live { .. }
            | Phase::Pending
            | Phase::Approved { .. }
            | Phase::Ordered { .. }
            | Phase::Deferred { .. }
            | Phase::Ending { .. }
            | Phase::Ended { .. }
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Lapsed
            | Phase::Failed
            | Phase::Extended => return None,
        }
    } else {
        // Targets know whole seconds. Rounding down never makes a grant longer than asked, except that a grant of one
        // second would be none at all.
        let end = (now + span).trunc_subsecs(0);
        (request.id, if end <= now { end + TimeDelta::seconds(1) } else { end })
    };
    Some(Event::GrantOrdered {
        request: request.id,
        attempt: request.attempts.saturating_add(1),
        external_id: state.external_id(of),
        not_after,
    })
}
