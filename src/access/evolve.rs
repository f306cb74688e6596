//! The fold: what an entry changes. It believes the ledger, and checks nothing that [`super::decide`] has checked.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Call, Chat, Drift, Event, Finding, Happening, Personal, Phase, Refusal, Request, RequestId, State, Stored,
    drift::marked,
    state::{Bulletin, FINISHED_KEPT_MAX, Preapproval, SEEN_KEPT_SECS, Seen, Stray, Subject, Topic},
};

/// Bulletins are remembered up to this many, posted or not.
const BULLETINS_KEPT_MAX: usize = 100;
/// So many loads of rules are remembered, for telling what the newest have changed.
const LOADED_KEPT_MAX: usize = 8;

impl State {
    /// Folds one entry in.
    pub fn evolve(&mut self, stored: &Stored) {
        let Stored { seq, time, .. } = stored;
        self.size = seq + 1;
        self.last_time = Some(*time);
        self.drift(stored);
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
            Event::MessageReceived { key, chat, .. } => self.remember(key, *seq, (*time, *chat)),
            Event::MessageRefused { message, words, code, .. } => {
                self.note_seen(*message, |seen| seen.refused = Some((*seq, words.text().to_owned())));
                if code == Refusal::RULES_BROKEN {
                    self.bulletin(stored, Topic::BrokenRule);
                }
            }
            Event::AccessRequested { .. } => self.add_request(stored),
            Event::PreapprovalGiven { by, person, resource, duration_secs, until, .. } => {
                let (resource, span) = (resource.clone(), *duration_secs);
                // Those whose time is over are of no use to anybody any more.
                self.preapprovals.retain(|_, preapproval| preapproval.until > *time);
                let given = Preapproval { by: *by, person: *person, resource, span, until: *until };
                self.preapprovals.insert(*seq, given);
            }
            Event::PreapprovalWithdrawn { preapproval, .. } => {
                self.preapprovals.remove(preapproval);
            }
            Event::ServiceStarted { files, widened, .. } | Event::RulesLoaded { files, widened } => {
                self.loaded.push((*seq, files.clone()));
                let old = self.loaded.len().saturating_sub(LOADED_KEPT_MAX);
                self.loaded.drain(..old);
                if *widened > 0 {
                    self.bulletin(stored, Topic::Rules);
                }
            }
            Event::ClockStepped { .. } | Event::ClockJumped { .. } => self.bulletin(stored, Topic::Clock),
            Event::DigestMade { to, due, .. } => {
                self.digest = Some((*seq, *due, *to));
                self.bulletin(stored, Topic::Digest);
            }
            Event::BulletinPosted { bulletin, chat, .. } => {
                if let Some(bulletin) = self.bulletins.get_mut(bulletin) {
                    bulletin.posted.insert(*chat, *seq);
                }
            }
            Event::Ledger(_) => {
                if *seq == 0 {
                    self.opened_at = Some(*time);
                }
            }
            // Drift that no request is behind was handled above.
            Event::Heartbeat {} | Event::LogRead { .. } | Event::DriftFound { .. } | Event::DriftClosed { .. } => {}
            // Those are about a request that exists, and were handled above.
            Event::RequestApproved { .. }
            | Event::RequestAutoapproved { .. }
            | Event::RequestReconsidered { .. }
            | Event::ApprovalWithdrawn { .. }
            | Event::PeopleCalled { .. }
            | Event::RequestDenied { .. }
            | Event::RequestCancelled { .. }
            | Event::RequestLapsed { .. }
            | Event::GrantOrdered { .. }
            | Event::GrantIssued { .. }
            | Event::GrantExtended { .. }
            | Event::GrantDeferred { .. }
            | Event::GrantFailed { .. }
            | Event::CredentialOrdered { .. }
            | Event::CredentialTaken { .. }
            | Event::CredentialFailed { .. }
            | Event::GrantEnding { .. }
            | Event::GrantStuck { .. }
            | Event::GrantEnded { .. }
            | Event::ReviewGiven { .. }
            | Event::CardPosted { .. }
            | Event::NoticeSent { .. } => {}
        }
    }

    /// Something is to be told to a channel.
    fn bulletin(&mut self, stored: &Stored, topic: Topic) {
        let Stored { seq, time, .. } = stored;
        self.bulletins.insert(*seq, Bulletin { seq: *seq, topic, at: *time, posted: BTreeMap::new() });
        while self.bulletins.len() > BULLETINS_KEPT_MAX {
            let Some((seq, _)) = self.bulletins.pop_first() else { break };
            self.strays.retain(|at, stray| *at != seq || stray.closed.is_none());
        }
    }

    /// What was found on a target, or is gone from it. What was found by one look is told at once.
    fn drift(&mut self, stored: &Stored) {
        if let Event::DriftFound { resource, target, external_id, what: Drift::Extra, request } = &stored.event
            && let Some(id) = marked(&self.log_tag, external_id)
        {
            let last = self.bulletins.last_key_value().filter(|(_, last)| last.at == stored.time);
            let told = last.and_then(|(seq, _)| self.strays.get(seq)).is_some_and(|stray| stray.resource == *resource);
            let (resource, target, known) = (resource.clone(), target.clone(), request.is_some());
            self.strays.insert(stored.seq, Stray { resource, target, id, known, closed: None });
            if !told {
                self.bulletin(stored, Topic::Drift);
            }
        } else if let Event::DriftClosed { drift, .. } = &stored.event {
            if self.bulletins.contains_key(drift) {
                if let Some(stray) = self.strays.get_mut(drift) {
                    stray.closed = Some(stored.seq);
                }
            } else {
                self.strays.remove(drift);
            }
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
            manner,
            reason,
            ..
        } = &stored.event
        else {
            return;
        };
        let id = RequestId(stored.seq);
        let chat = self.note_seen(*message, |seen| {
            seen.request = Some(id);
            seen.chat
        });
        let entries = chat.map(|_| *message).into_iter().chain([stored.seq]).collect();
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
                // Whoever breaks the glass is in before anybody has approved.
                phase: if manner.break_glass { Phase::Approved { due: stored.time } } else { Phase::Pending },
                approvals: Vec::new(),
                message: *message,
                asked_at: stored.time,
                automatic: manner.automatic,
                manner: manner.as_ref().clone(),
                called: BTreeMap::new(),
                review: None,
                extensions: Vec::new(),
                cut_short: None,
                ended_at: None,
                missing: false,
                attempts: 0,
                unsure: false,
                credentials: 0,
                not_after: None,
                entries,
                history: vec![Happening { seq: stored.seq, at: stored.time, event: stored.event.clone(), chat }],
                cards: BTreeMap::new(),
                talk: Vec::new(),
                told: BTreeSet::new(),
            },
        );
        self.open.insert(id);
        self.schedule(id);
        if let Some(base) = manner.extends.and_then(|base| self.requests.get_mut(&base)) {
            base.extensions.push(id);
            base.entries.push(stored.seq);
        }
    }

    /// Folds an entry into the request it is about.
    fn touch(&mut self, id: RequestId, stored: &Stored) {
        let said = message_of(&stored.event).and_then(|message| {
            let noted = self.note_seen(message, |seen| {
                seen.request = Some(id);
                seen.chat
            });
            Some((message, noted?))
        });
        self.note_card(stored);
        self.change(id, stored);
        if let (Some((message, chat)), Some(request)) = (said, self.requests.get_mut(&id))
            && let Some(last) = request.history.last_mut().filter(|last| last.seq == stored.seq)
        {
            last.chat = Some(chat);
            request.entries.push(message);
        }
        if let Event::GrantExtended { base, .. } = &stored.event {
            self.change(*base, stored);
        }
        if matches!(stored.event, Event::GrantEnding { .. }) {
            // What was to give it more time has lost its object.
            let extensions = self.requests.get(&id).map(|request| request.extensions.clone()).unwrap_or_default();
            for extension in extensions {
                self.unschedule(extension);
                if let Some(request) = self.requests.get_mut(&extension) {
                    request.cut_short = Some(stored.time);
                    request.entries.push(stored.seq);
                }
                self.schedule(extension);
            }
        }
        if let Event::ReviewGiven { finding: Finding::Concern, .. } = &stored.event {
            self.bulletin(stored, Topic::Concern);
        }
        if let Event::PeopleCalled { why: Call::ReviewOverdue, .. } = &stored.event {
            self.bulletin(stored, Topic::Overdue);
        }
        if self.requests.get(&id).is_some_and(Request::over) && self.open.remove(&id) {
            self.finished.insert((stored.seq, id));
            while self.finished.len() > FINISHED_KEPT_MAX {
                let Some((_, oldest)) = self.finished.pop_first() else { break };
                if let Some(forgotten) = self.requests.remove(&oldest) {
                    self.drop_cards(&forgotten);
                }
            }
        }
    }

    fn change(&mut self, id: RequestId, stored: &Stored) {
        self.unschedule(id);
        if let Some(request) = self.requests.get_mut(&id) {
            request.entries.push(stored.seq);
            request.step(stored);
        }
        self.schedule(id);
    }

    fn schedule(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else { return };
        if let Some(at) = request.deadline() {
            self.deadlines.insert((at, id));
        }
        for at in request.next_looks() {
            self.tries.insert((at, id));
        }
    }

    fn unschedule(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(&id) else { return };
        if let Some(at) = request.deadline() {
            self.deadlines.remove(&(at, id));
        }
        for at in request.next_looks() {
            self.tries.remove(&(at, id));
        }
    }

    fn remember(&mut self, key: &str, message: u64, (at, chat): (DateTime<Utc>, Chat)) {
        self.seen.insert(key.to_owned(), Seen { message, at, chat, refused: None, request: None });
        self.seen_by_time.insert((at, key.to_owned()));
        self.forget_seen(at);
    }

    /// Forgets the messages that are too old to be delivered again.
    fn forget_seen(&mut self, now: DateTime<Utc>) {
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
    fn note_seen<T>(&mut self, message: u64, note: impl FnOnce(&mut Seen) -> T) -> Option<T> {
        let key = self
            .seen_by_time
            .iter()
            .rev()
            .map(|(_, key)| key)
            .find(|key| self.seen.get(*key).is_some_and(|seen| seen.message == message))
            .cloned();
        key.and_then(|key| self.seen.get_mut(&key)).map(note)
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
        Event::RequestApproved { message, preapproval: None, .. }
        | Event::ApprovalWithdrawn { message, .. }
        | Event::ReviewGiven { message, .. }
        | Event::RequestDenied { message, .. }
        | Event::RequestCancelled { message, .. }
        | Event::CredentialOrdered { message, .. } => Some(*message),
        Event::GrantEnding { message, .. } => *message,
        Event::Ledger(_)
        | Event::SubjectErased { .. }
        | Event::Heartbeat {}
        | Event::ClockStepped { .. }
        | Event::ClockJumped { .. }
        | Event::ServiceStarted { .. }
        | Event::SubjectEnrolled { .. }
        | Event::MessageReceived { .. }
        | Event::MessageRefused { .. }
        | Event::AccessRequested { .. }
        | Event::RequestLapsed { .. }
        | Event::RequestApproved { preapproval: Some(_), .. }
        | Event::RequestAutoapproved { .. }
        | Event::RequestReconsidered { .. }
        | Event::PeopleCalled { .. }
        | Event::GrantExtended { .. }
        | Event::PreapprovalGiven { .. }
        | Event::PreapprovalWithdrawn { .. }
        | Event::RulesLoaded { .. }
        | Event::DigestMade { .. }
        | Event::DriftFound { .. }
        | Event::DriftClosed { .. }
        | Event::LogRead { .. }
        | Event::BulletinPosted { .. }
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
