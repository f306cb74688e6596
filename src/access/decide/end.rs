//! Ending: withdrawing, giving back, revoking; and taking the credential while it lasts.

use super::{
    Desk, allowed,
    words::{reason_of, short},
};
use crate::access::{
    Actor, Cause, Event, Personal, Phase, Question, Refusal, Request, RequestId, Right, state::Preapproval,
};

impl Desk<'_> {
    /// Withdraws what is one's own: a request, an approval, a pre-approval.
    pub(super) fn cancel(self, id: RequestId) -> Result<Vec<Event>, Refusal> {
        if let Some(ahead) = self.state.preapprovals.get(&id.0) {
            if ahead.by == self.actor.subject {
                return Ok(vec![self.preapproval_withdrawn(id)]);
            }
            return Err(Refusal::NotYours { request: id, whom: self.state.name(ahead.by).to_owned() });
        }
        let request = self.find(id)?;
        if !self.owns(request) && request.approvals.iter().any(|decision| decision.by == self.actor.subject) {
            return self.withdraw(request);
        }
        let request = self.own(request)?;
        match request.phase {
            Phase::Pending | Phase::Approved { .. } if !request.manner.break_glass => {
                Ok(vec![Event::RequestCancelled { request: id, message: self.message }])
            }
            Phase::Pending
            | Phase::Approved { .. }
            | Phase::Ordered { .. }
            | Phase::Deferred { .. }
            | Phase::Live { .. }
            | Phase::Ending { .. }
            | Phase::Ended { .. }
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Lapsed
            | Phase::Failed
            | Phase::Extended => Err(self.wrong_phase(request)),
        }
    }

    pub(super) fn done(self, request: &Request) -> Result<Vec<Event>, Refusal> {
        let request = self.own(request)?;
        if !holds(request) {
            return Err(self.wrong_phase(request));
        }
        // Nothing was ordered yet, so there is nothing to shut.
        if matches!(request.phase, Phase::Approved { .. }) {
            return Ok(vec![Event::RequestCancelled { request: request.id, message: self.message }]);
        }
        Ok(vec![ending(request.id, Cause::Returned, self.actor, self.message, "")])
    }

    /// Ends somebody's access, or a pre-approval of somebody's.
    pub(super) fn revoke(self, id: RequestId, reason: &str) -> Result<Vec<Event>, Refusal> {
        if let Some(ahead) = self.state.preapprovals.get(&id.0) {
            self.may_revoke_ahead(ahead)?;
            reason_of(reason, "`/access revoke 17 the migration was called off`")?;
            return Ok(vec![self.preapproval_withdrawn(id)]);
        }
        let request = self.find(id)?;
        if self.owns(request) {
            return Err(Refusal::Words(format!(
                "{0} is your own: `/access done {1}` gives it back",
                request.id, request.id.0
            )));
        }
        let question = Question::of(self.actor, Right::Revoke, "", request.span, self.now());
        let policies = allowed(self.moment.rules.judge(&question.about(self.state, request)))?;
        if !holds(request) {
            return Err(self.wrong_phase(request));
        }
        let reason = if request.manner.break_glass {
            short(reason)?
        } else {
            reason_of(reason, "`/access revoke 17 the incident is over`")?
        };
        if let (Phase::Approved { .. }, Some(terms)) = (&request.phase, request.leaf.clone()) {
            let (request, message, by) = (request.id, self.message, self.actor.subject);
            let reason = Personal::Known(reason);
            return Ok(vec![Event::RequestDenied { request, message, by, terms, policies, reason }]);
        }
        Ok(vec![ending(request.id, Cause::Revoked, self.actor, self.message, &reason)])
    }

    pub(super) fn show(self, request: &Request) -> Result<Vec<Event>, Refusal> {
        let request = self.own(request)?;
        match &request.phase {
            Phase::Live { not_after } if *not_after > self.now() => Ok(vec![Event::CredentialOrdered {
                request: request.id,
                n: request.credentials + 1,
                message: self.message,
            }]),
            Phase::Approved { due } if *due > self.now() => Err(self.wrong_phase(request)),
            Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } => Err(Refusal::Busy(request.id)),
            Phase::Pending
            | Phase::Live { .. }
            | Phase::Ending { .. }
            | Phase::Ended { .. }
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Lapsed
            | Phase::Failed
            | Phase::Extended => Err(self.wrong_phase(request)),
        }
    }

    fn preapproval_withdrawn(self, id: RequestId) -> Event {
        Event::PreapprovalWithdrawn { preapproval: id.0, message: self.message, by: self.actor.subject }
    }

    fn may_revoke_ahead(self, ahead: &Preapproval) -> Result<(), Refusal> {
        if ahead.by == self.actor.subject {
            return Ok(());
        }
        let question = Question::of(self.actor, Right::Revoke, &ahead.resource, ahead.span, self.now());
        allowed(self.moment.rules.judge(&Question { requester: self.state.name(ahead.person), ..question }))?;
        Ok(())
    }
}

fn ending(request: RequestId, cause: Cause, actor: &Actor, message: u64, reason: &str) -> Event {
    let reason = Personal::Known(reason.to_owned());
    Event::GrantEnding { request, cause, by: Some(actor.subject), message: Some(message), reason }
}

/// Whether there is, or may be, a door open for it that is its own. What is to extend another's has none: that one is
/// ended instead.
fn holds(request: &Request) -> bool {
    match request.phase {
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } | Phase::Live { .. } => {
            request.manner.extends.is_none()
        }
        Phase::Pending
        | Phase::Ending { .. }
        | Phase::Ended { .. }
        | Phase::Denied
        | Phase::Cancelled
        | Phase::Lapsed
        | Phase::Failed
        | Phase::Extended => false,
    }
}
