//! The fold: what an entry changes. It believes the ledger, and checks nothing that [`super::decide`] has checked.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Cause, Decision, Event, Happening, Personal, Phase, Posted, Request, RequestId, State, Stored,
    state::{FINISHED_KEPT_MAX, SEEN_KEPT_SECS, Seen, Subject},
};

impl State {
    /// Folds one entry in.
    pub fn evolve(&mut self, stored: &Stored) {
        let Stored { seq, time, .. } = stored;
        self.size = seq + 1;
        self.last_time = Some(*time);
        if let Some(id) = stored.event.request() {
            self.touch(id, stored);
            return;
        }
        match &stored.event {
            Event::SubjectEnrolled { subject, sort, name } => {
                if let Some(name) = name.known() {
                    self.by_name.insert(name.to_owned(), *subject);
                }
                self.subjects.insert(*subject, Subject { entries: vec![*seq], sort: *sort, name: name.clone() });
            }
            Event::SubjectErased { subject } => self.forget(*subject, *seq),
            Event::MessageReceived { key, .. } => self.remember(key, *seq, *time),
            Event::MessageRefused { message, words, .. } => {
                self.note_seen(*message, |seen| seen.refused = Some((*seq, words.text().to_owned())));
            }
            Event::AccessRequested { .. } => self.add_request(stored),
            Event::Ledger(_) | Event::Heartbeat {} | Event::ClockStepped { .. } | Event::ServiceStarted { .. } => {}
            // Those are about a request that exists, and were handled above.
            Event::RequestApproved { .. }
            | Event::RequestDenied { .. }
            | Event::RequestCancelled { .. }
            | Event::RequestLapsed { .. }
            | Event::GrantOrdered { .. }
            | Event::GrantIssued { .. }
            | Event::GrantDeferred { .. }
            | Event::GrantFailed { .. }
            | Event::CredentialOrdered { .. }
            | Event::CredentialTaken { .. }
            | Event::CredentialFailed { .. }
            | Event::GrantEnding { .. }
            | Event::GrantStuck { .. }
            | Event::GrantEnded { .. }
            | Event::CardPosted { .. }
            | Event::NoticeSent { .. } => {}
        }
    }

    fn add_request(&mut self, stored: &Stored) {
        let Event::AccessRequested {
            requester,
            message,
            resource,
            duration_secs,
            quorum,
            lapse_at,
            target,
            plan,
            channel,
            reason,
            ..
        } = &stored.event
        else {
            return;
        };
        let id = RequestId(stored.seq);
        self.note_seen(*message, |seen| seen.request = Some(id));
        self.requests.insert(
            id,
            Request {
                id,
                leaf: stored.leaf.clone(),
                requester: *requester,
                resource: resource.clone(),
                span: *duration_secs,
                reason: reason.clone(),
                quorum: *quorum,
                lapse_at: *lapse_at,
                target: target.clone(),
                plan: plan.clone(),
                channel: channel.clone(),
                phase: Phase::Pending,
                approvals: Vec::new(),
                attempts: 0,
                unsure: false,
                credentials: 0,
                not_after: None,
                entries: vec![stored.seq],
                history: vec![Happening { seq: stored.seq, at: stored.time, event: stored.event.clone() }],
                cards: std::collections::BTreeMap::new(),
                told: std::collections::BTreeSet::new(),
            },
        );
        self.open.insert(id);
        self.schedule(id);
    }

    /// Folds an entry into the request it is about.
    fn touch(&mut self, id: RequestId, stored: &Stored) {
        if let Some(message) = message_of(&stored.event) {
            self.note_seen(message, |seen| seen.request = Some(id));
        }
        self.unschedule(id);
        if let Some(request) = self.requests.get_mut(&id) {
            request.entries.push(stored.seq);
            request.step(stored);
        }
        self.schedule(id);
        if self.requests.get(&id).is_some_and(|request| request.phase.finished()) && self.open.remove(&id) {
            self.finished.insert((stored.seq, id));
            while self.finished.len() > FINISHED_KEPT_MAX {
                let Some((_, oldest)) = self.finished.pop_first() else { break };
                self.requests.remove(&oldest);
            }
        }
    }

    fn schedule(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else { return };
        if let Some(at) = request.deadline() {
            self.deadlines.insert((at, id));
        }
        if let Some(at) = request.next_try() {
            self.tries.insert((at, id));
        }
    }

    fn unschedule(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else { return };
        if let Some(at) = request.deadline() {
            self.deadlines.remove(&(at, id));
        }
        if let Some(at) = request.next_try() {
            self.tries.remove(&(at, id));
        }
    }

    fn remember(&mut self, key: &str, message: u64, at: DateTime<Utc>) {
        self.seen.insert(key.to_owned(), Seen { message, at, refused: None, request: None });
        self.seen_by_time.insert((at, key.to_owned()));
        self.forget_seen(at);
    }

    /// Forgets the messages that are too old to be delivered again.
    pub(super) fn forget_seen(&mut self, now: DateTime<Utc>) {
        let oldest_kept = now - TimeDelta::seconds(SEEN_KEPT_SECS);
        while let Some((first, _)) = self.seen_by_time.first()
            && *first < oldest_kept
        {
            if let Some((at, key)) = self.seen_by_time.pop_first()
                && self.seen.get(&key).is_some_and(|seen| seen.at == at)
            {
                self.seen.remove(&key);
            }
        }
    }

    /// The message an event answers stands shortly before it, so the newest keys are looked at first.
    fn note_seen(&mut self, message: u64, note: impl FnOnce(&mut Seen)) {
        let key = self
            .seen_by_time
            .iter()
            .rev()
            .map(|(_, key)| key)
            .find(|key| self.seen.get(*key).is_some_and(|seen| seen.message == message))
            .cloned();
        if let Some(seen) = key.and_then(|key| self.seen.get_mut(&key)) {
            note(seen);
        }
    }

    fn forget(&mut self, subject: super::SubjectId, seq: u64) {
        if let Some(Subject { name, entries, .. }) = self.subjects.get_mut(&subject) {
            entries.push(seq);
            if let Personal::Known(name) = std::mem::take(name) {
                self.by_name.remove(&name);
            }
        }
        for request in self.requests.values_mut() {
            request.forget(subject);
        }
    }
}

/// The message that an event about a request answers.
fn message_of(event: &Event) -> Option<u64> {
    match event {
        Event::RequestApproved { message, .. }
        | Event::RequestDenied { message, .. }
        | Event::RequestCancelled { message, .. }
        | Event::CredentialOrdered { message, .. } => Some(*message),
        Event::GrantEnding { message, .. } => *message,
        Event::Ledger(_)
        | Event::SubjectErased { .. }
        | Event::Heartbeat {}
        | Event::ClockStepped { .. }
        | Event::ServiceStarted { .. }
        | Event::SubjectEnrolled { .. }
        | Event::MessageReceived { .. }
        | Event::MessageRefused { .. }
        | Event::AccessRequested { .. }
        | Event::RequestLapsed { .. }
        | Event::GrantOrdered { .. }
        | Event::GrantIssued { .. }
        | Event::GrantDeferred { .. }
        | Event::GrantFailed { .. }
        | Event::CredentialTaken { .. }
        | Event::CredentialFailed { .. }
        | Event::GrantStuck { .. }
        | Event::GrantEnded { .. }
        | Event::CardPosted { .. }
        | Event::NoticeSent { .. } => None,
    }
}

impl Request {
    /// When it leaves its phase by itself, if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<DateTime<Utc>> {
        match &self.phase {
            Phase::Pending => Some(self.lapse_at),
            Phase::Approved { since } => Some(*since),
            Phase::Ordered { not_after, .. } | Phase::Live { not_after } => Some(*not_after),
            Phase::Deferred { retry_at, .. } => Some(*retry_at),
            Phase::Ending { .. }
            | Phase::Ended { .. }
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Lapsed
            | Phase::Failed => None,
        }
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
            | Phase::Failed => None,
        }
    }

    fn step(&mut self, stored: &Stored) {
        let Stored { seq, time, event, .. } = stored;
        let telling = match event {
            Event::RequestApproved { by, .. } => {
                self.approvals.push(Decision { by: *by, at: *time });
                let met = usize::try_from(self.quorum).is_ok_and(|quorum| self.approvals.len() >= quorum);
                if met && self.phase == Phase::Pending {
                    self.phase = Phase::Approved { since: *time };
                }
                true
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
            Event::GrantEnded { cause, .. } => self.enter(Phase::Ended { cause: *cause }),
            Event::CardPosted { chat, channel, message, .. } => {
                self.cards.insert(Posted { chat: *chat, channel: channel.clone() }, message.clone());
                false
            }
            Event::NoticeSent { notice, to, .. } => {
                self.told.insert((*notice, *to));
                false
            }
            Event::CredentialFailed { .. }
            | Event::Ledger(_)
            | Event::SubjectErased { .. }
            | Event::Heartbeat {}
            | Event::ClockStepped { .. }
            | Event::ServiceStarted { .. }
            | Event::SubjectEnrolled { .. }
            | Event::MessageReceived { .. }
            | Event::MessageRefused { .. }
            | Event::AccessRequested { .. } => false,
        };
        if telling {
            self.history.push(Happening { seq: *seq, at: *time, event: event.clone() });
        }
    }

    /// Enters a phase; true, because every new phase is worth telling.
    fn enter(&mut self, phase: Phase) -> bool {
        self.phase = phase;
        true
    }

    /// Makes unreadable what belongs to somebody who was erased.
    fn forget(&mut self, subject: super::SubjectId) {
        let own = self.requester == subject;
        if own {
            self.reason = Personal::Erased;
        }
        for happening in &mut self.history {
            happening.event.forget(subject, own);
        }
    }

    /// Why its grant ends or ended, if it does.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        match &self.phase {
            Phase::Ending { cause, .. } | Phase::Ended { cause } => Some(*cause),
            Phase::Pending
            | Phase::Approved { .. }
            | Phase::Ordered { .. }
            | Phase::Deferred { .. }
            | Phase::Live { .. }
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Lapsed
            | Phase::Failed => None,
        }
    }
}
