//! Asking: for access, for access at once, for more time, and saying yes ahead.

use chrono::{DateTime, Days, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::{
    Desk, PENDING_PER_PERSON_MAX, allowed,
    words::{no_resource, phase_words, reason_of, whom},
};
use crate::access::{
    Event, Manner, Personal, Phase, PolicyId, Question, Refusal, Request, Resource, Right, Sort, Span, Start, Verdict,
    moment::Roll,
};

/// An access may be asked for so long ahead.
const START_AHEAD_MAX_DAYS: i64 = 7;
/// A pre-approval may hold for so long.
const WINDOW_MAX_DAYS: i64 = 7;

/// What somebody wants.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    pub resource: &'a str,
    pub span: Span,
    pub reason: &'a str,
    pub plan: &'a [String],
}

impl<'a> Desk<'a> {
    pub(super) fn ask(self, wish: Wish<'_>, start: Option<Start>) -> Result<Vec<Event>, Refusal> {
        let resource = self.resource(wish.resource)?;
        let reason = reason_of(wish.reason, "`/access prod-db 30m fixing INC-42`")?;
        within(&resource, wish.span, resource.max_duration)?;
        let question = self.question(Right::Request, &wish, &reason);
        let policies = allowed(self.moment.rules.judge(&question))?;
        let starts_at = start.map(|start| moment_of(start, resource.zone, self.now())).transpose()?;
        self.room_for(&resource.name, starts_at)?;
        let (automatic, declined) = self.may_pass(&question);
        let manner = Manner { automatic, declined, starts_at, ..self.manner(&resource) };
        let lapse_at = self.now() + resource.lapse_after.delta();
        let lapse_at = starts_at.map_or(lapse_at, |start| start.max(lapse_at));
        Ok(vec![self.requested(resource, wish, (policies, reason), lapse_at, manner)])
    }

    pub(super) fn break_glass(self, wish: Wish<'_>) -> Result<Vec<Event>, Refusal> {
        let resource = self.resource(wish.resource)?;
        let reason = reason_of(wish.reason, "`/access break-glass prod-db 30m the orders are down, INC-42`")?;
        within(&resource, wish.span, resource.break_glass_max)?;
        let question = self.question(Right::BreakGlass, &wish, &reason);
        let policies = allowed(self.moment.rules.judge(&question))?;
        if let Some(owed) = self.state.review_owed_by(&self.actor.name) {
            let reviewers = Question::of(self.actor, Right::Review, "", owed.span, self.now()).about(self.state, owed);
            return Err(Refusal::ReviewOwed {
                request: owed.id,
                resource: owed.resource.clone(),
                whom: whom(self.moment.rules, &reviewers),
            });
        }
        let security = self.moment.rules.security_channel().filter(|channel| *channel != resource.channel);
        let manner = Manner {
            break_glass: true,
            review_within_secs: Some(resource.review_within),
            also: security.into_iter().collect(),
            ..Manner::default()
        };
        let resource = Resource { quorum: 0, ..resource };
        Ok(vec![self.requested(resource, wish, (policies, reason), self.now(), manner)])
    }

    pub(super) fn extend(self, base: &Request, span: Span, reason: &str) -> Result<Vec<Event>, Refusal> {
        let base = self.own(base)?;
        let Phase::Live { not_after } = base.phase else { return Err(self.wrong_phase(base)) };
        let resource = self.resource(&base.resource)?;
        let reason = reason_of(reason, "`/access extend 17 30m the fix needs another deploy`")?;
        longer(&resource, not_after, span, self.now())?;
        let wish = Wish { resource: &base.resource, span, reason: &reason, plan: &base.plan };
        let question = self.question(Right::Request, &wish, &reason);
        let policies = allowed(self.moment.rules.judge(&question))?;
        self.room_for_more(base)?;
        let (automatic, declined) = self.may_pass(&question);
        let manner = Manner { extends: Some(base.id), automatic, declined, ..self.manner(&resource) };
        // After its end there is nothing left to be extended.
        let lapse_at = not_after.min(self.now() + resource.lapse_after.delta());
        // The door that is open is the one that is held open, whatever the config says of it by now.
        let resource = Resource { target: base.target.clone(), ..resource };
        Ok(vec![self.requested(resource, wish, (policies, reason.clone()), lapse_at, manner)])
    }

    pub(super) fn allow(self, person: &str, wish: Wish<'_>, window: Span) -> Result<Vec<Event>, Refusal> {
        let rules = self.moment.rules;
        let resource = self.resource(wish.resource)?;
        let reason = reason_of(wish.reason, "`/access allow ana prod-db 30m the migration of tonight`")?;
        within(&resource, wish.span, resource.max_duration)?;
        if person == self.actor.name {
            let question = self.question(Right::Approve, &wish, &reason);
            return Err(Refusal::OwnRequest { whom: whom(rules, &question) });
        }
        if !rules.knows(person) {
            return Err(Refusal::Words(format!(
                "there is nobody called `{}`. `/access allow ana prod-db 30m <reason>` names them as in `people.toml`",
                person.chars().filter(|c| *c != '`').take(80).collect::<String>()
            )));
        }
        if window.delta() > TimeDelta::days(WINDOW_MAX_DAYS) {
            return Err(Refusal::Words(format!("a pre-approval holds for {WINDOW_MAX_DAYS} days at most")));
        }
        let asks = Question {
            right: Right::Request,
            who: person,
            requester: person,
            ..self.question(Right::Request, &wish, &reason)
        };
        let approves = Question { right: Right::Approve, who: &self.actor.name, ..asks.clone() };
        let policies = allowed(rules.judge(&approves))?;
        if let Verdict::No { words, .. } | Verdict::Broken { words, .. } = rules.judge(&asks) {
            return Err(Refusal::Rules(format!("`{person}` may not ask for it: {words}")));
        }
        let mut events = Vec::new();
        let person = Roll::new(self.state, self.moment.fresh).subject(Sort::Person, person, &mut events);
        events.push(Event::PreapprovalGiven {
            by: self.actor.subject,
            message: self.message,
            person,
            resource: wish.resource.to_owned(),
            duration_secs: wish.span,
            until: self.now() + window.delta(),
            policies,
            reason: Personal::Known(reason),
        });
        Ok(events)
    }

    fn resource(self, name: &str) -> Result<Resource, Refusal> {
        self.moment.rules.resource(name).ok_or_else(|| no_resource(self.moment.rules, name))
    }

    fn question<'b>(self, right: Right, wish: &Wish<'b>, reason: &'b str) -> Question<'b>
    where
        'a: 'b,
    {
        Question { reason, ..Question::of(self.actor, right, wish.resource, wish.span, self.now()) }
    }

    fn requested(
        self,
        resource: Resource,
        wish: Wish<'_>,
        (policies, reason): (Vec<String>, String),
        lapse_at: DateTime<Utc>,
        manner: Manner,
    ) -> Event {
        Event::AccessRequested {
            requester: self.actor.subject,
            message: self.message,
            resource: resource.name,
            duration_secs: wish.span,
            quorum: resource.quorum,
            lapse_at,
            target: resource.target,
            plan: wish.plan.to_vec(),
            channel: resource.channel,
            policies,
            manner: Box::new(manner),
            reason: Personal::Known(reason),
        }
    }

    /// When people are called for a request that waits.
    fn manner(self, resource: &Resource) -> Manner {
        let after = |span: Option<Span>| span.map(|span| self.now() + span.delta());
        Manner {
            remind_at: after(resource.remind_after),
            escalate_at: after(resource.escalate_after),
            ..Manner::default()
        }
    }

    /// Whether it looks as if a rule or a pre-approval will approve it. They are asked again once its entry is on the
    /// disk, because what they sign is that entry. With it the rules that would, and may not.
    fn may_pass(self, question: &Question<'_>) -> (bool, Vec<PolicyId>) {
        let verdict = self.moment.rules.judge(&Question { right: Right::AutoApprove, ..question.clone() });
        let (by_rule, declined) = match verdict {
            Verdict::Yes(_) => (true, Vec::new()),
            Verdict::No { policies, .. } | Verdict::Broken { policies, .. } => (false, policies),
        };
        let automatic = by_rule
            || self.state.preapprovals().any(|(_, ahead)| {
                ahead.person == self.actor.subject
                    && ahead.resource == question.resource
                    && question.span <= ahead.span
                    && self.now() < ahead.until
            });
        (automatic, declined)
    }

    /// Whether there is room for one more request of theirs, and none for the same thing.
    fn room_for(self, resource: &str, starts_at: Option<DateTime<Utc>>) -> Result<(), Refusal> {
        let same = |other: &&Request| {
            other.resource == resource && other.manner.extends.is_none() && other.manner.starts_at == starts_at
        };
        if let Some(same) = self.pending().find(same) {
            return Err(held_already(same));
        }
        room(self.pending().count())
    }

    fn room_for_more(self, base: &Request) -> Result<(), Refusal> {
        if let Some(same) = self.pending().find(|other| other.manner.extends == Some(base.id)) {
            return Err(held_already(same));
        }
        room(self.pending().count())
    }

    fn pending(self) -> impl Iterator<Item = &'a Request> {
        let mine = move |request: &&Request| request.requester == self.actor.subject;
        self.state.open().filter(mine).filter(|request| request.phase == Phase::Pending)
    }
}

fn held_already(same: &Request) -> Refusal {
    Refusal::AlreadyHeld {
        request: same.id,
        resource: same.resource.clone(),
        state: format!("{}. `/access cancel {}` withdraws it", phase_words(same), same.id.0),
    }
}

fn room(waiting: usize) -> Result<(), Refusal> {
    if waiting >= PENDING_PER_PERSON_MAX {
        return Err(Refusal::TooMany(format!(
            "{waiting} of your requests wait already. Cancel some, or wait for their decision"
        )));
    }
    Ok(())
}

fn within(resource: &Resource, asked: Span, most: Span) -> Result<(), Refusal> {
    if asked > most {
        return Err(Refusal::TooLong { resource: resource.name.clone(), asked, most });
    }
    Ok(())
}

/// Whether an access may be given so much more time: what is left of it then is never more than anybody gets at once.
pub(super) fn longer(resource: &Resource, end: DateTime<Utc>, more: Span, now: DateTime<Utc>) -> Result<(), Refusal> {
    within(resource, more, resource.max_duration)?;
    if end + more.delta() - now > resource.max_duration.delta() {
        return Err(Refusal::Words(format!(
            "with {more} more it would be live for longer than the {} that `{}` is given for. Ask for less, or later",
            resource.max_duration, resource.name
        )));
    }
    Ok(())
}

/// The moment that is meant, on the clocks of the resource's zone.
fn moment_of(start: Start, zone: Tz, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    let here = now.with_timezone(&zone);
    let missing = || Refusal::Words(format!("there is no such time in {zone} on that day: the clocks are set then"));
    let at = match start {
        Start::Day(day) => zone.from_local_datetime(&day).earliest().ok_or_else(missing)?,
        Start::Clock(time) => {
            let today = here.date_naive();
            let tomorrow = today.checked_add_days(Days::new(1)).unwrap_or(today);
            let on = |day: chrono::NaiveDate| zone.from_local_datetime(&day.and_time(time)).earliest();
            on(today).filter(|at| *at > here).or_else(|| on(tomorrow)).ok_or_else(missing)?
        }
    };
    let at = at.with_timezone(&Utc);
    if at <= now {
        return Err(Refusal::Words("that start is over. Leave it out to start at once".to_owned()));
    }
    if at - now > TimeDelta::days(START_AHEAD_MAX_DAYS) {
        return Err(Refusal::Words(format!("an access may start {START_AHEAD_MAX_DAYS} days ahead at most")));
    }
    Ok(at)
}
