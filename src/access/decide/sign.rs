//! Signing: approving, denying, taking an approval back, reviewing, and what rules and pre-approvals sign by themselves.

use std::collections::BTreeSet;

use super::{
    Desk, allowed,
    ask::longer,
    words::{no_resource, reason_of, short, whom},
};
use crate::access::{
    Event, Finding, Moment, Personal, Phase, Question, Refusal, Request, Right, Span, State, SubjectId, Verdict,
};

impl Desk<'_> {
    pub(super) fn approve(self, request: &Request, span: Option<Span>, comment: &str) -> Result<Vec<Event>, Refusal> {
        let (terms, policies) = self.may_sign(request, span.map_or(request.span, |span| span.min(request.span)))?;
        if let Some(span) = span
            && span > request.span
        {
            return Err(Refusal::Words(format!(
                "{} asks for {}, and {span} is more. An approval can only be for less",
                request.id, request.span
            )));
        }
        if request.approvals.iter().any(|decision| decision.by == self.actor.subject) {
            return Err(Refusal::DecidedAlready(request.id));
        }
        if let Some(decision) = request.approvals.iter().find(|decision| !self.surely_differs(decision.by)) {
            return Err(Refusal::Words(format!(
                "{} was approved by somebody {}, and nobody can tell any more that it was not you. Somebody \
                 who was here before has to approve it",
                request.id,
                self.state.why_nameless(decision.by)
            )));
        }
        Ok(vec![Event::RequestApproved {
            request: request.id,
            message: self.message,
            by: self.actor.subject,
            terms,
            policies,
            duration_secs: span.filter(|span| *span < request.span),
            preapproval: None,
            comment: Personal::Known(short(comment)?),
        }])
    }

    pub(super) fn deny(self, request: &Request, reason: &str) -> Result<Vec<Event>, Refusal> {
        if self.owns(request) {
            return Err(Refusal::Words(format!(
                "{0} is your own: `/access cancel {1}` withdraws it",
                request.id, request.id.0
            )));
        }
        // Whoever approved may still change their mind, until it is decided. A no is possible where a yes is not: what
        // would be too long by now can still be denied.
        let (terms, policies) = self.may_judge(request)?;
        let reason = reason_of(reason, "`/access deny 17 use the replica instead`")?;
        Ok(vec![Event::RequestDenied {
            request: request.id,
            message: self.message,
            by: self.actor.subject,
            terms,
            policies,
            reason: Personal::Known(reason),
        }])
    }

    /// Takes back one's own approval of a request that is not decided yet.
    pub(super) fn withdraw(self, request: &Request) -> Result<Vec<Event>, Refusal> {
        if request.phase != Phase::Pending {
            return Err(self.wrong_phase(request));
        }
        Ok(vec![Event::ApprovalWithdrawn { request: request.id, message: self.message, by: self.actor.subject }])
    }

    pub(super) fn review(self, request: &Request, finding: Finding, notes: &str) -> Result<Vec<Event>, Refusal> {
        let id = request.id;
        if !request.manner.break_glass {
            return Err(Refusal::Words(format!("{id} was no break-glass, so it owes no review")));
        }
        let question = Question::of(self.actor, Right::Review, "", request.span, self.now()).about(self.state, request);
        if self.owns(request) {
            return Err(Refusal::Words(format!(
                "nobody reviews their own break-glass. {}",
                whom(self.moment.rules, &question)
            )));
        }
        if !self.surely_differs(request.requester) {
            return Err(Refusal::Words(format!(
                "{id} was of somebody {}, and nobody can tell any more that it was not you. Somebody who was \
                 here before has to review it",
                self.state.why_nameless(request.requester)
            )));
        }
        let policies = allowed(self.moment.rules.judge(&question))?;
        if let Some(review) = &request.review {
            let by = self.state.name(review.by);
            return Err(Refusal::Words(format!("{id} was reviewed already, by {by}")));
        }
        if !request.owes_review() {
            return Err(Refusal::Words(if request.phase.finished() {
                format!("{id} could not be opened, so there is nothing to review")
            } else {
                format!("{id} is not over yet, and a review looks back. `/access revoke {}` cuts it now", id.0)
            }));
        }
        let notes = reason_of(notes, "`/access review 17 ok the orders were down, one row was mended`")?;
        Ok(vec![Event::ReviewGiven {
            request: id,
            message: self.message,
            by: self.actor.subject,
            finding,
            policies,
            notes: Personal::Known(notes),
        }])
    }

    /// Whether this person may say anything about this request now, under the rules of this moment. The terms and the
    /// rules.
    fn may_judge(self, request: &Request) -> Result<(String, Vec<String>), Refusal> {
        let question =
            Question::of(self.actor, Right::Approve, "", request.span, self.now()).about(self.state, request);
        if self.owns(request) {
            return Err(Refusal::OwnRequest { whom: whom(self.moment.rules, &question) });
        }
        if request.phase != Phase::Pending {
            return Err(self.wrong_phase(request));
        }
        if !self.surely_differs(request.requester) {
            return Err(gone(self.state, request));
        }
        let Some(terms) = request.leaf.clone() else { return Err(Refusal::NoRequest(request.id)) };
        Ok((terms, allowed(self.moment.rules.judge(&question))?))
    }

    /// The same for a yes to so much time: what could not be asked now can't be approved now.
    fn may_sign(self, request: &Request, span: Span) -> Result<(String, Vec<String>), Refusal> {
        let (terms, _) = self.may_judge(request)?;
        let question = Question::of(self.actor, Right::Approve, "", span, self.now()).about(self.state, request);
        let question = Question { span, ..question };
        let policies = allowed(self.moment.rules.judge(&question))?;
        still_allowed(self.state, self.moment, request, &question)?;
        Ok((terms, policies))
    }
}

fn gone(state: &State, request: &Request) -> Refusal {
    let why = state.why_nameless(request.requester);
    Refusal::Rules(format!("{} can't be decided any more: it is of somebody {why}", request.id))
}

/// Whether the request could still be asked by whom it was, for the span of the question, under the rules of this
/// moment.
fn still_allowed(state: &State, moment: Moment<'_>, request: &Request, question: &Question<'_>) -> Result<(), Refusal> {
    let name = state.subjects.get(&request.requester).and_then(|subject| subject.name.known());
    let requester = name.ok_or_else(|| gone(state, request))?;
    let resource =
        moment.rules.resource(&request.resource).ok_or_else(|| no_resource(moment.rules, &request.resource))?;
    if question.span > resource.max_duration {
        return Err(Refusal::TooLong { resource: resource.name, asked: question.span, most: resource.max_duration });
    }
    if resource.quorum > request.quorum {
        return Err(Refusal::Rules(format!(
            "the rules have changed: `{}` needs {} approvals now, and {} was asked for under {}. Have it asked again",
            resource.name, resource.quorum, request.id, request.quorum
        )));
    }
    if let Some(base) = request.manner.extends {
        match state.request(base).map(|base| &base.phase) {
            Some(Phase::Live { not_after }) if *not_after > moment.now => {
                longer(&resource, *not_after, question.span, moment.now)?;
            }
            Some(_) | None => {
                return Err(Refusal::Words(format!(
                    "{base} is not live any more, so there is nothing left to extend. Have it asked for anew"
                )));
            }
        }
    }
    allowed(moment.rules.judge(&Question { right: Right::Request, who: requester, ..question.clone() }))?;
    Ok(())
}

/// What rules and pre-approvals say of a request that is on the disk, by the rules of this moment.
pub(in crate::access) fn considered(state: &State, moment: Moment<'_>, request: &Request) -> Vec<Event> {
    let Some(terms) = request.leaf.clone() else { return Vec::new() };
    let requester = state.name(request.requester);
    let question = Question {
        right: Right::AutoApprove,
        who: requester,
        resource: &request.resource,
        requester,
        span: request.span,
        reason: request.reason.known().unwrap_or_default(),
        now: moment.now,
        chat: None,
        channel: &request.channel,
        approvals: 0,
        escalated: false,
    };
    let mut events = Vec::new();
    if still_allowed(state, moment, request, &question).is_ok() {
        if let Verdict::Yes(policies) = moment.rules.judge(&question) {
            return vec![Event::RequestAutoapproved { request: request.id, terms, policies }];
        }
        let mut signed: BTreeSet<SubjectId> = request.approvals.iter().map(|decision| decision.by).collect();
        let missing = usize::try_from(request.quorum).unwrap_or(usize::MAX).saturating_sub(signed.len());
        for (id, ahead) in state.preapprovals() {
            let giver = state.name(ahead.by);
            let fits = ahead.person == request.requester
                && ahead.resource == request.resource
                && request.span <= ahead.span
                && request.asked_at < ahead.until
                && giver != requester;
            let may = |giver| moment.rules.judge(&Question { right: Right::Approve, who: giver, ..question.clone() });
            if events.len() < missing
                && fits
                && !signed.contains(&ahead.by)
                && let Verdict::Yes(policies) = may(giver)
            {
                signed.insert(ahead.by);
                events.push(Event::RequestApproved {
                    request: request.id,
                    message: request.message,
                    by: ahead.by,
                    terms: terms.clone(),
                    policies,
                    duration_secs: None,
                    preapproval: Some(id),
                    comment: Personal::Known(String::new()),
                });
            }
        }
        if missing > 0 && events.len() == missing {
            return events;
        }
    }
    events.push(Event::RequestReconsidered { request: request.id });
    events
}
