//! One request's life: what an entry about it changes, and when it goes on by itself.

use chrono::{DateTime, Utc};

use super::{
    Call, Decision, Drift, Event, Happening, Personal, Phase, Posted, Request, RequestId, Span, Standing, Stored,
    SubjectId, state::Review,
};

impl Request {
    /// When it goes on by itself, if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<DateTime<Utc>> {
        let own = match &self.phase {
            Phase::Pending => {
                let automatic = self.automatic.then_some(self.asked_at);
                let reminder = self.manner.remind_at.filter(|_| !self.was_called(Call::Reminder));
                let escalation = self.manner.escalate_at.filter(|_| !self.was_called(Call::Escalation));
                [automatic, reminder, escalation, Some(self.lapse_at)].into_iter().flatten().min()
            }
            Phase::Approved { due } => Some(*due),
            // What is being extended has an end of its own.
            Phase::Ordered { .. } if self.manner.extends.is_some() => None,
            Phase::Ordered { not_after, .. } | Phase::Live { not_after } => Some(*not_after),
            Phase::Deferred { retry_at, .. } => Some(*retry_at),
            Phase::Ended { .. } => self.next_review_call().map(|(at, _)| at),
            Phase::Ending { .. }
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Lapsed
            | Phase::Failed
            | Phase::Extended => None,
        };
        let cut_short = self.cut_short.filter(|_| !self.phase.finished());
        let alarm = (self.manner.break_glass && !self.was_called(Call::BreakGlass)).then_some(self.asked_at);
        [own, cut_short, alarm].into_iter().flatten().min()
    }

    /// When people are called next for the review it owes, and which call it is.
    #[must_use]
    pub fn next_review_call(&self) -> Option<(DateTime<Utc>, Call)> {
        let (ended_at, due) = (self.ended_at.filter(|_| self.owes_review())?, self.review_due()?);
        let half = ended_at + (due - ended_at) / 2;
        [(ended_at, Call::Review), (half, Call::ReviewReminder), (due, Call::ReviewOverdue)]
            .into_iter()
            .find(|(_, call)| !self.was_called(*call))
    }

    /// When its review is due, if it owes or owed one.
    #[must_use]
    pub fn review_due(&self) -> Option<DateTime<Utc>> {
        Some(self.ended_at? + self.manner.review_within_secs?.delta())
    }

    /// Whether it is a break-glass that may owe a review, now or when it is over.
    #[must_use]
    pub fn may_owe_review(&self) -> bool {
        self.manner.break_glass && self.review.is_none() && self.phase != Phase::Failed
    }

    /// Whether it owes a review now: it is over, and nobody has looked back.
    #[must_use]
    pub fn owes_review(&self) -> bool {
        self.may_owe_review() && self.phase.finished()
    }

    /// Whether nothing will happen to it any more.
    #[must_use]
    pub fn over(&self) -> bool {
        self.phase.finished() && !self.owes_review()
    }

    /// Whether its door is open.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live { .. })
    }

    /// Whether people were called for this.
    #[must_use]
    pub fn was_called(&self, why: Call) -> bool {
        self.called.contains_key(&why)
    }

    /// For how long it is granted, as approved so far: what was asked, or the least that somebody approved.
    #[must_use]
    pub fn granted_span(&self) -> Span {
        self.approvals.iter().filter_map(|decision| decision.span).chain([self.span]).min().unwrap_or(self.span)
    }

    /// When its provider is asked to shut the door, if it is to be shut.
    #[must_use]
    pub fn next_try(&self) -> Option<DateTime<Utc>> {
        match &self.phase {
            Phase::Ending { next_try, .. } => Some(*next_try),
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
        }
    }

    pub(super) fn step(&mut self, stored: &Stored) {
        let Stored { seq, time, event, .. } = stored;
        let telling = match event {
            Event::RequestApproved { by, duration_secs, .. } => {
                self.approvals.push(Decision { by: *by, at: *time, span: *duration_secs });
                let met = usize::try_from(self.quorum).is_ok_and(|quorum| self.approvals.len() >= quorum);
                if met {
                    self.approve(*time);
                }
                true
            }
            Event::RequestAutoapproved { .. } => {
                self.approve(*time);
                true
            }
            Event::RequestReconsidered { .. } => {
                self.automatic = false;
                false
            }
            Event::ApprovalWithdrawn { by, .. } => {
                self.approvals.retain(|decision| decision.by != *by);
                true
            }
            Event::PeopleCalled { why, to, .. } => {
                self.called.insert(*why, to.clone());
                matches!(why, Call::Escalation | Call::ReviewOverdue)
            }
            Event::RequestDenied { .. } => self.enter(Phase::Denied),
            Event::RequestCancelled { .. } => self.enter(Phase::Cancelled),
            Event::RequestLapsed { .. } => self.enter(Phase::Lapsed),
            Event::GrantOrdered { attempt, not_after, .. } => {
                self.unsure |= matches!(self.phase, Phase::Ordered { .. });
                self.attempts = *attempt;
                self.not_after = Some(*not_after);
                self.phase = Phase::Ordered { attempt: *attempt, not_after: *not_after };
                *attempt == 1
            }
            Event::GrantIssued { not_after, .. } => self.enter(Phase::Live { not_after: *not_after }),
            Event::GrantExtended { base, not_after, .. } => self.extended(*base, *not_after),
            Event::GrantDeferred { attempt, retry_at, .. } => {
                self.phase = Phase::Deferred { attempt: *attempt, retry_at: *retry_at };
                *attempt == 1
            }
            Event::GrantFailed { .. } => self.enter(Phase::Failed),
            Event::CredentialOrdered { n, .. } => {
                self.credentials = *n;
                false
            }
            Event::CredentialTaken { .. } => true,
            Event::GrantEnding { cause, .. } => {
                self.enter(Phase::Ending { cause: *cause, since: *time, failures: 0, next_try: *time })
            }
            Event::GrantStuck { failures, retry_at, .. } => {
                if let Phase::Ending { failures: count, next_try, .. } = &mut self.phase {
                    *count = *failures;
                    *next_try = *retry_at;
                }
                *failures == 1
            }
            Event::GrantEnded { cause, .. } => {
                self.ended_at = Some(*time);
                self.enter(Phase::Ended { cause: *cause })
            }
            Event::ReviewGiven { by, finding, .. } => {
                self.review = Some(Review { by: *by, finding: *finding });
                true
            }
            Event::DriftFound { .. } | Event::DriftClosed { .. } => self.drifted(event),
            Event::CardPosted { chat, channel, message, told, .. } => {
                let standing = Standing { message: message.clone(), told: *told };
                self.cards.insert(Posted { chat: *chat, channel: channel.clone() }, standing);
                false
            }
            Event::NoticeSent { notice, to, .. } => {
                self.told.insert((*notice, *to));
                false
            }
            Event::MessageReceived { .. } => {
                self.overheard(stored);
                false
            }
            Event::CredentialFailed { .. }
            | Event::Ledger(_)
            | Event::SubjectErased { .. }
            | Event::Heartbeat {}
            | Event::ClockStepped { .. }
            | Event::ClockJumped { .. }
            | Event::ServiceStarted { .. }
            | Event::SubjectEnrolled { .. }
            | Event::MessageRefused { .. }
            | Event::PreapprovalGiven { .. }
            | Event::PreapprovalWithdrawn { .. }
            | Event::RulesLoaded { .. }
            | Event::DigestMade { .. }
            | Event::LogRead { .. }
            | Event::BulletinPosted { .. }
            | Event::AccessRequested { .. } => false,
        };
        if telling {
            self.history.push(Happening { seq: *seq, at: *time, event: event.clone(), chat: None });
        }
    }

    fn approve(&mut self, now: DateTime<Utc>) {
        if self.phase == Phase::Pending {
            self.phase = Phase::Approved { due: self.manner.starts_at.map_or(now, |start| start.max(now)) };
        }
    }

    /// An access was given more time, this one or the one that this was asked for.
    fn extended(&mut self, base: RequestId, not_after: DateTime<Utc>) -> bool {
        if base != self.id {
            return self.enter(Phase::Extended);
        }
        let live = self.is_live();
        if live {
            self.not_after = Some(not_after);
            self.enter(Phase::Live { not_after });
        }
        live
    }

    /// Its target was not as it should be; true, because that is worth telling.
    fn drifted(&mut self, event: &Event) -> bool {
        self.missing |= matches!(event, Event::DriftFound { what: Drift::Missing, .. });
        true
    }

    /// Enters a phase; true, because every new phase is worth telling.
    fn enter(&mut self, phase: Phase) -> bool {
        self.phase = phase;
        true
    }

    /// Makes unreadable what belongs to somebody who was erased.
    pub(super) fn forget(&mut self, subject: SubjectId) {
        let own = self.requester == subject;
        if own {
            self.reason = Personal::Erased;
        }
        for uttered in self.talk.iter_mut().filter(|uttered| uttered.from == subject) {
            uttered.text = Personal::Erased;
        }
        for happening in &mut self.history {
            happening.event.forget(subject, own);
        }
    }
}
