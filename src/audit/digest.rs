//! The digest: what happened in a period, for a channel.

use std::{collections::BTreeMap, fmt::Write as _};

use chrono::{DateTime, TimeDelta, Utc};

use crate::access::{Cause, Drift, Event, Finding, Request, RequestId, State, Stored};

/// An end that was seen later than this after its time is late, in seconds.
pub const LATE_SECS: i64 = 60;
/// So many of a kind are named; the rest are counted.
const NAMED_MAX: usize = 10;

/// What is to be known of a request of which only a part lies in the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lived {
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// When it was approved the last time.
    pub approved_at: Option<DateTime<Utc>>,
    /// Its end, as last ordered or extended.
    pub not_after: Option<DateTime<Utc>>,
}

impl Lived {
    /// As the state has it.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let approved_at = request.approvals.last().map(|decision| decision.at);
        Self { asked_at: request.asked_at, approved_at, not_after: request.not_after }
    }
}

/// What happened in a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digest {
    /// Asked in the usual way, extensions with them.
    pub requests: u32,
    /// Approved by people or rules.
    pub approved: u32,
    /// Of these, by a rule.
    pub by_rule: u32,
    /// Denied by an approver.
    pub denied: u32,
    /// Withdrawn by who asked.
    pub withdrawn: u32,
    /// Nobody decided in time.
    pub lapsed: u32,
    /// Doors that were opened.
    pub opened: u32,
    /// Doors that could not be opened.
    pub failed: u32,
    /// Asked by break-glass.
    pub break_glass: Vec<RequestId>,
    /// Reviews that were given, and how many of them with a concern.
    pub reviews: (u32, u32),
    /// What was found on targets that should not be there, and what was not found.
    pub drift: (u32, u32),
    /// From the request to its decision, sorted.
    pub waits: Vec<TimeDelta>,
    /// Doors that were seen shut late, and by how much.
    pub late: Vec<(RequestId, TimeDelta)>,
}

impl Digest {
    /// Counts the entries of a period. `lived` tells of a request that was asked before the period.
    pub fn of(entries: impl IntoIterator<Item = Stored>, lived: impl Fn(RequestId) -> Option<Lived>) -> Self {
        let mut digest = Self::default();
        let mut known: BTreeMap<RequestId, Lived> = BTreeMap::new();
        for Stored { seq, time, event, .. } in entries {
            if let Some(id) = event.request()
                && !known.contains_key(&id)
                && let Some(before) = lived(id)
            {
                known.insert(id, before);
            }
            digest.count(&mut known, seq, time, &event);
        }
        digest.waits.sort_unstable();
        digest
    }

    fn count(&mut self, known: &mut BTreeMap<RequestId, Lived>, seq: u64, time: DateTime<Utc>, event: &Event) {
        match event {
            Event::AccessRequested { manner, .. } => {
                known.insert(RequestId(seq), Lived { asked_at: time, approved_at: None, not_after: None });
                if manner.break_glass {
                    self.break_glass.push(RequestId(seq));
                } else {
                    self.requests += 1;
                }
            }
            Event::RequestAutoapproved { request, .. } | Event::RequestApproved { request, .. } => {
                self.by_rule += u32::from(matches!(event, Event::RequestAutoapproved { .. }));
                known.entry(*request).and_modify(|lived| lived.approved_at = Some(time));
            }
            // The approval that met the quorum is the last one before the order.
            Event::GrantOrdered { request, attempt, not_after, .. } => {
                known.entry(*request).and_modify(|lived| lived.not_after = Some(*not_after));
                let approved_at = known.get(request).and_then(|lived| lived.approved_at);
                if let (1, Some(approved_at)) = (*attempt, approved_at) {
                    self.approved += 1;
                    self.decided(known, *request, approved_at);
                }
            }
            Event::GrantExtended { base, not_after, .. } => {
                known.entry(*base).and_modify(|lived| lived.not_after = Some(*not_after));
            }
            Event::RequestDenied { request, .. } => {
                self.denied += 1;
                self.decided(known, *request, time);
            }
            Event::RequestCancelled { .. } => self.withdrawn += 1,
            Event::RequestLapsed { .. } => self.lapsed += 1,
            Event::GrantIssued { .. } => self.opened += 1,
            Event::GrantFailed { .. } => self.failed += 1,
            Event::GrantEnded { request, cause, .. } => {
                let over = known.get(request).and_then(|lived| lived.not_after);
                let late = over.map(|over| time - over).filter(|late| *late > TimeDelta::seconds(LATE_SECS));
                if let (Some(late), Cause::Expired) = (late, cause) {
                    self.late.push((*request, late));
                }
            }
            Event::ReviewGiven { finding, .. } => {
                self.reviews.0 += 1;
                self.reviews.1 += u32::from(*finding == Finding::Concern);
            }
            Event::DriftFound { what: Drift::Extra, .. } => self.drift.0 += 1,
            Event::DriftFound { what: Drift::Missing, .. } => self.drift.1 += 1,
            Event::Ledger(_)
            | Event::SubjectErased { .. }
            | Event::Heartbeat {}
            | Event::ClockStepped { .. }
            | Event::ClockJumped { .. }
            | Event::ServiceStarted { .. }
            | Event::SubjectEnrolled { .. }
            | Event::MessageReceived { .. }
            | Event::MessageRefused { .. }
            | Event::RequestReconsidered { .. }
            | Event::ApprovalWithdrawn { .. }
            | Event::PeopleCalled { .. }
            | Event::GrantDeferred { .. }
            | Event::CredentialOrdered { .. }
            | Event::CredentialTaken { .. }
            | Event::CredentialFailed { .. }
            | Event::GrantEnding { .. }
            | Event::GrantStuck { .. }
            | Event::PreapprovalGiven { .. }
            | Event::PreapprovalWithdrawn { .. }
            | Event::RulesLoaded { .. }
            | Event::DigestMade { .. }
            | Event::DriftClosed { .. }
            | Event::LogRead { .. }
            | Event::BulletinPosted { .. }
            | Event::CardPosted { .. }
            | Event::NoticeSent { .. } => {}
        }
    }

    fn decided(&mut self, known: &BTreeMap<RequestId, Lived>, request: RequestId, time: DateTime<Utc>) {
        self.waits.extend(known.get(&request).map(|lived| time - lived.asked_at));
    }

    /// The wait that so many of a hundred did not exceed; `None` if nothing was decided.
    #[must_use]
    pub fn wait(&self, percent: usize) -> Option<TimeDelta> {
        // The nearest rank: the smallest wait with at least so many of a hundred at or below it.
        let rank = (self.waits.len() * percent).div_ceil(100).max(1);
        self.waits.get(rank - 1).copied()
    }

    /// The digest in words, a line each, with what is live and owed in `state` now.
    #[must_use]
    pub fn words(&self, state: &State) -> Vec<String> {
        let mut lines = vec![format!(
            "{}: {} approved ({} by a rule), {} denied, {} lapsed, {} withdrawn. {} opened, {} could not be",
            many(self.requests, "request"),
            self.approved,
            self.by_rule,
            self.denied,
            self.lapsed,
            self.withdrawn,
            self.opened,
            self.failed,
        )];
        lines.push(match (self.wait(50), self.wait(95)) {
            (Some(median), Some(most)) => {
                format!("From request to decision: p50 {}, p95 {}", duration(median), duration(most))
            }
            (_, _) => "From request to decision: nothing was decided".to_owned(),
        });
        let glass = self.break_glass.iter().map(|id| match state.request(*id) {
            Some(request) => format!("{id} {} by {}", request.resource, state.name(request.requester)),
            None => id.to_string(),
        });
        lines.push(listed("Break-glass", glass));
        let (given, concerns) = self.reviews;
        lines.push(format!("Reviews: {given} given, {concerns} with a concern"));
        let owing = state.open().filter(|request| request.owes_review()).map(|request| {
            let due = request.review_due().map_or_else(String::new, |due| format!(", due {}", utc(due)));
            format!("{} of {}{due}", request.id, state.name(request.requester))
        });
        lines.push(listed("Reviews owed", owing));
        let live = state.open().filter(|request| request.is_live()).map(|request| {
            let until = request.not_after.map_or_else(String::new, |end| format!(" until {}", utc(end)));
            format!("{} {} for {}{until}", request.id, request.resource, state.name(request.requester))
        });
        lines.push(listed("Live now", live));
        lines.push(listed(
            "Late endings",
            self.late.iter().map(|(id, late)| format!("{id}, {} after its time", duration(*late))),
        ));
        let (extra, missing) = self.drift;
        if extra + missing > 0 {
            lines.push(format!("Drift: {extra} on targets that should not be there, {missing} missing from theirs"));
        }
        lines
    }
}

fn many(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn listed(what: &str, items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        return format!("{what}: none");
    }
    let mut words = items.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    if let Some(more) = items.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        // Writing to a text never fails.
        let _ = write!(words, "; and {more} more");
    }
    format!("{what}: {} ({words})", items.len())
}

fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// A duration as people say it: its two largest units.
fn duration(span: TimeDelta) -> String {
    let secs = span.num_seconds().max(0);
    match secs {
        secs if secs >= 86_400 => format!("{}d {}h", secs / 86_400, secs % 86_400 / 3600),
        secs if secs >= 3600 => format!("{}h {}m", secs / 3600, secs % 3600 / 60),
        secs if secs >= 60 => format!("{}m {}s", secs / 60, secs % 60),
        secs => format!("{secs}s"),
    }
}

#[cfg(test)]
mod tests;
