//! What the service knows: the fold of the ledger, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
};

use chrono::{DateTime, Utc};

use super::{
    Call, Cause, Chat, Event, Finding, Manner, Notice, Personal, RequestId, Sort, Span, SubjectId, Target, drift::mark,
};

/// Finished requests are kept in memory up to this many; older ones are read from the ledger when somebody asks.
pub const FINISHED_KEPT_MAX: usize = 1_000;
/// How long a message's key is remembered, so that the same message delivered again is answered and not done again.
pub const SEEN_KEPT_SECS: i64 = 15 * 60;

/// An event that is in the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its index.
    pub seq: u64,
    /// Its time.
    pub time: DateTime<Utc>,
    /// Its leaf hash, lowercase hex; `None` while the batch that carries it is not on the disk yet.
    pub leaf: Option<String>,
    /// What happened.
    pub event: Event,
}

/// Where a request is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Waits for decisions.
    Pending,
    /// Quorum is met; the door is not ordered open yet.
    Approved {
        /// When it is to be: at once, or at the start that was asked for.
        due: DateTime<Utc>,
    },
    /// An order is out, or was when the service stopped.
    Ordered {
        /// Which.
        attempt: u32,
        /// The end that was ordered.
        not_after: DateTime<Utc>,
    },
    /// The last order surely was not carried out; the next is due.
    Deferred {
        /// The last order.
        attempt: u32,
        /// When the next is due.
        retry_at: DateTime<Utc>,
    },
    /// The door is open.
    Live {
        /// The end.
        not_after: DateTime<Utc>,
    },
    /// The door is being shut.
    Ending {
        /// Why.
        cause: Cause,
        /// Since when.
        since: DateTime<Utc>,
        /// How often the provider has failed to shut it.
        failures: u32,
        /// When the provider is asked next.
        next_try: DateTime<Utc>,
    },
    /// The door was seen shut.
    Ended {
        /// Why.
        cause: Cause,
    },
    /// Somebody said no.
    Denied,
    /// Withdrawn.
    Cancelled,
    /// Nobody decided in time.
    Lapsed,
    /// Could not be opened, and is not open.
    Failed,
    /// It was for more time, and the access it is about has it.
    Extended,
}

impl Phase {
    /// Whether no door will be opened or shut for it any more.
    #[must_use]
    pub fn finished(&self) -> bool {
        match self {
            Self::Ended { .. } | Self::Denied | Self::Cancelled | Self::Lapsed | Self::Failed | Self::Extended => true,
            Self::Pending
            | Self::Approved { .. }
            | Self::Ordered { .. }
            | Self::Deferred { .. }
            | Self::Live { .. }
            | Self::Ending { .. } => false,
        }
    }
}

/// One person's word on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Who.
    pub by: SubjectId,
    /// When.
    pub at: DateTime<Utc>,
    /// For less time than was asked, if so.
    pub span: Option<Span>,
}

/// What somebody else thinks of a break-glass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Who.
    pub by: SubjectId,
    /// What they found.
    pub finding: Finding,
}

/// What somebody approved ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preapproval {
    /// Who said it.
    pub by: SubjectId,
    /// Who may ask.
    pub person: SubjectId,
    /// For what.
    pub resource: String,
    /// For how long at the most.
    pub span: Span,
    /// Until when it may be asked.
    pub until: DateTime<Utc>,
}

/// What a bulletin is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The rules were loaded, and people may do more than before.
    Rules,
    /// A rule could not be evaluated, and somebody was refused for it.
    BrokenRule,
    /// The clock was set.
    Clock,
    /// A review found something.
    Concern,
    /// A review was not given in time.
    Overdue,
    /// The report of a period.
    Digest,
    /// Something on a target bears our mark, and no door is to be open for it.
    Drift,
}

/// Something that concerns a whole channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulletin {
    /// The entry it tells about.
    pub seq: u64,
    /// What it is about.
    pub topic: Topic,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Where it stands, and the entry that says so.
    pub posted: BTreeMap<Chat, u64>,
}

/// Something on a target that bears our mark, without a door to be open for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Whose target.
    pub resource: String,
    /// Where.
    pub target: Target,
    /// The request that the mark names.
    pub id: RequestId,
    /// Whether the ledger has that request.
    pub known: bool,
    /// The entry that says it is gone; it is remembered for as long as the bulletin about it.
    pub(super) closed: Option<u64>,
}

/// A step in a request's life, for its card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// The entry.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub event: Event,
    /// On which platform somebody said it, if somebody did.
    pub chat: Option<Chat>,
}

/// Where a card stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Posted {
    /// On which platform.
    pub chat: Chat,
    /// In which channel.
    pub channel: String,
}

/// The message that a card is, as its platform knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The platform's id of the message.
    pub message: String,
    /// The newest step of the request's history that stands below the card, by its entry's index; 0 if none does.
    pub told: u64,
}

/// One ask and all that became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The leaf hash of its entry, once it is on the disk.
    pub leaf: Option<String>,
    /// Who asks.
    pub requester: SubjectId,
    /// For what.
    pub resource: String,
    /// For how long.
    pub span: Span,
    /// What for.
    pub reason: Personal,
    /// The index of the message that asked for it.
    pub message: u64,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// How it came about.
    pub manner: Manner,
    /// How many different people have to approve.
    pub quorum: u32,
    /// When it lapses.
    pub lapse_at: DateTime<Utc>,
    /// Where the provider finds it.
    pub target: Target,
    /// What the provider would do.
    pub plan: Vec<String>,
    /// The channel of its card.
    pub channel: String,
    /// Where it is in its life.
    pub phase: Phase,
    /// Who approved so far, each person once.
    pub approvals: Vec<Decision>,
    /// Whether a rule or a pre-approval may still approve it by itself.
    pub automatic: bool,
    /// Who was called for it, and why.
    pub called: BTreeMap<Call, Vec<SubjectId>>,
    /// What somebody else thinks of it, if the glass was broken for it.
    pub review: Option<Review>,
    /// Requests for more time for it.
    pub extensions: Vec<RequestId>,
    /// When the access ended that it is to extend.
    pub cut_short: Option<DateTime<Utc>>,
    /// When its door was seen shut.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether its target was seen without it while it was live.
    pub missing: bool,
    /// How many orders went out.
    pub attempts: u32,
    /// Whether an order was left without an answer, so that the door may be open although a later order failed.
    pub unsure: bool,
    /// How many keys were cut or tried.
    pub credentials: u32,
    /// The end of the latest order.
    pub not_after: Option<DateTime<Utc>>,
    /// Its history, oldest first; bounded by its life, retries only count.
    pub history: Vec<Happening>,
    /// The indexes of all entries that are about it, the first its own.
    pub entries: Vec<u64>,
    /// The messages that show it.
    pub cards: BTreeMap<Posted, Standing>,
    /// What was said below them, oldest first; bounded by [`super::TALK_MAX`] and deletions.
    pub talk: Vec<super::Uttered>,
    /// Who was told what.
    pub told: BTreeSet<(Notice, SubjectId)>,
}

/// Somebody, or an account of nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The indexes of the entries that are about it.
    pub entries: Vec<u64>,
    /// Which of the two.
    pub sort: Sort,
    /// The principal's name, or `chat:account`.
    pub name: Personal,
}

/// What became of a message, for when it is delivered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its index.
    pub message: u64,
    /// When it came.
    pub at: DateTime<Utc>,
    /// On which platform.
    pub chat: Chat,
    /// Why it was refused, if it was, and the index of the entry that says so.
    pub refused: Option<(u64, String)>,
    /// Which request it was about.
    pub request: Option<RequestId>,
}

/// The config's files: name and SHA-256, lowercase hex.
pub type Files = Vec<(String, String)>;

/// The state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// Names this log in external ids: eight characters, `[a-z2-7]`.
    pub(super) log_tag: String,
    /// How many entries are folded in.
    pub(super) size: u64,
    /// The time of the newest entry.
    pub(super) last_time: Option<DateTime<Utc>>,
    pub(super) subjects: BTreeMap<SubjectId, Subject>,
    pub(super) by_name: BTreeMap<String, SubjectId>,
    pub(super) requests: BTreeMap<RequestId, Request>,
    /// The requests in memory by their cards' messages.
    pub(super) by_card: BTreeMap<Chat, HashMap<String, RequestId>>,
    /// What was approved ahead and holds, by index.
    pub(super) preapprovals: BTreeMap<u64, Preapproval>,
    /// What is or was to be told to channels, the newest.
    pub(super) bulletins: BTreeMap<u64, Bulletin>,
    /// What was found on targets that should not be there, by the entry that says so.
    pub(super) strays: BTreeMap<u64, Stray>,
    /// The files of the rules that were loaded last, and before, and the entries that say so.
    pub(super) loaded: Vec<(u64, Files)>,
    /// The newest report: its entry, when it was due, and the entry after its last.
    pub(super) digest: Option<(u64, DateTime<Utc>, u64)>,
    /// When the log was opened.
    pub(super) opened_at: Option<DateTime<Utc>>,
    /// Requests that are not finished, or owe a review.
    pub(super) open: BTreeSet<RequestId>,
    /// When a request leaves its phase by itself, by time.
    pub(super) deadlines: BTreeSet<(DateTime<Utc>, RequestId)>,
    /// When a provider is asked again to shut a door, and when people are told that it can't, by time.
    pub(super) tries: BTreeSet<(DateTime<Utc>, RequestId)>,
    /// Finished requests, oldest first, by the entry that finished them.
    pub(super) finished: BTreeSet<(u64, RequestId)>,
    pub(super) seen: HashMap<String, Seen>,
    /// The same keys by time, so that the old ones are found.
    pub(super) seen_by_time: BTreeSet<(DateTime<Utc>, String)>,
}

impl State {
    /// The state of an empty ledger. `log_tag` names the log in external ids.
    #[must_use]
    pub fn new(log_tag: impl Into<String>) -> Self {
        Self { log_tag: log_tag.into(), ..Self::default() }
    }

    /// How many entries are folded in: the index of the next one.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The time of the newest entry.
    #[must_use]
    pub fn last_time(&self) -> Option<DateTime<Utc>> {
        self.last_time
    }

    /// The name of the log in external ids.
    #[must_use]
    pub fn log_tag(&self) -> &str {
        &self.log_tag
    }

    /// One request, unless it is unknown or finished so long ago that only the ledger has it.
    #[must_use]
    pub fn request(&self, id: RequestId) -> Option<&Request> {
        self.requests.get(&id)
    }

    /// All requests in memory, oldest first.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.requests.values()
    }

    /// Those that are not finished, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Request> {
        self.open.iter().filter_map(|id| self.requests.get(id))
    }

    /// Who somebody is, by name; words in brackets for those who were erased or whose key is lost.
    #[must_use]
    pub fn name(&self, subject: SubjectId) -> &str {
        self.subjects.get(&subject).map_or("(unknown)", |subject| subject.name.text())
    }

    /// All who are in the ledger, by id, with their names.
    pub fn everybody(&self) -> impl Iterator<Item = (SubjectId, &str)> {
        self.subjects.iter().map(|(id, subject)| (*id, subject.name.text()))
    }

    /// The person with this principal name, if they are in the ledger.
    #[must_use]
    pub fn subject(&self, name: &str) -> Option<SubjectId> {
        self.by_name.get(name).copied()
    }

    /// What was approved ahead and has not been withdrawn, oldest first.
    pub fn preapprovals(&self) -> impl Iterator<Item = (u64, &Preapproval)> {
        self.preapprovals.iter().map(|(id, preapproval)| (*id, preapproval))
    }

    /// What is or was to be told to channels, the newest of it, oldest first.
    pub fn bulletins(&self) -> impl Iterator<Item = &Bulletin> {
        self.bulletins.values()
    }

    /// What was found on targets that should not be there, and is not known to be gone, by the entry that says so.
    pub fn strays(&self) -> impl Iterator<Item = (u64, &Stray)> {
        self.strays.iter().filter(|(_, stray)| stray.closed.is_none()).map(|(seq, stray)| (*seq, stray))
    }

    /// What was found by the look that the entry `seq` is the first of: whose target, and the marks.
    #[must_use]
    pub fn found_with(&self, seq: u64) -> Vec<(String, String)> {
        let Some(first) = self.strays.get(&seq) else { return Vec::new() };
        let next = self.bulletins.range(seq + 1..).next().map_or(u64::MAX, |(next, _)| *next);
        // Entries of one look stand in a row.
        let row = (seq..next).zip(self.strays.range(seq..)).take_while(|(at, (found, _))| at == *found);
        let same = row.map(|(_, (_, stray))| stray).take_while(|stray| stray.resource == first.resource);
        same.map(|stray| (stray.resource.clone(), self.external_id(stray.id))).collect()
    }

    /// The files of the rules that were loaded by the entry `by`, and of those before; all that is remembered.
    #[must_use]
    pub fn loaded(&self, by: u64) -> Option<(&Files, Option<&Files>)> {
        let at = self.loaded.iter().position(|(seq, _)| *seq == by)?;
        let before = at.checked_sub(1).and_then(|before| self.loaded.get(before));
        Some((&self.loaded.get(at)?.1, before.map(|(_, files)| files)))
    }

    /// The files of the rules that were loaded last.
    #[must_use]
    pub fn last_loaded(&self) -> Option<&Files> {
        self.loaded.last().map(|(_, files)| files)
    }

    /// The entry that says which rules were loaded last.
    #[must_use]
    pub fn last_loading(&self) -> Option<u64> {
        self.loaded.last().map(|(seq, _)| *seq)
    }

    /// When the newest report was due; when the log was opened, if there was none yet.
    #[must_use]
    pub fn last_digest(&self) -> Option<DateTime<Utc>> {
        self.digest.map(|(_, due, _)| due).or(self.opened_at)
    }

    /// The break-glass of this person that still owes a review, if there is one.
    #[must_use]
    pub fn review_owed_by(&self, who: &str) -> Option<&Request> {
        self.open().find(|request| request.may_owe_review() && self.name(request.requester) == who)
    }

    /// What became of a message that was delivered before.
    #[must_use]
    pub fn seen(&self, key: &str) -> Option<&Seen> {
        self.seen.get(key)
    }

    /// The mark of a request on its target.
    #[must_use]
    pub fn external_id(&self, request: RequestId) -> String {
        mark(&self.log_tag, request)
    }

    /// When something is due next, after `now`, if nothing happens before. What is due by `now` has been settled
    /// ([`super::settle`]) or is being done.
    #[must_use]
    pub fn next_deadline(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let phase = self.deadlines.first().map(|(at, _)| *at);
        let after = (now, RequestId(u64::MAX));
        let again = self.tries.range((Bound::Excluded(after), Bound::Unbounded)).next().map(|(at, _)| *at);
        phase.into_iter().chain(again).min()
    }

    /// Requests that leave their phase by `now`, oldest deadline first.
    pub(super) fn due(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Request> {
        self.deadlines.iter().take_while(move |(at, _)| *at <= now).filter_map(|(_, id)| self.requests.get(id))
    }

    /// Requests whose provider is to be asked again, or whose people are to be told that it can't shut the door, between
    /// two moments, the first excluded.
    pub fn tries(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = RequestId> {
        let from = Bound::Excluded((after, RequestId(u64::MAX)));
        self.tries.range((from, Bound::Included((until, RequestId(u64::MAX))))).map(|(_, id)| *id)
    }

    /// The entries that make this state, in order: folded into an empty one, and no others, they make it again, but for
    /// how many there are ([`State::resume_at`]). They are few where the history is long, and they are indexes only, so
    /// that a snapshot of the state holds nothing personal.
    #[must_use]
    pub fn essence(&self) -> Vec<u64> {
        let seen = self
            .seen
            .values()
            .flat_map(|seen| std::iter::once(seen.message).chain(seen.refused.as_ref().map(|(seq, _)| *seq)));
        let subjects = self.subjects.values().flat_map(|subject| &subject.entries).copied();
        let requests = self.requests.values().flat_map(|request| &request.entries).copied();
        let bulletins = self
            .bulletins
            .values()
            .flat_map(|bulletin| std::iter::once(bulletin.seq).chain(bulletin.posted.values().copied()));
        let strays = self.strays.iter().flat_map(|(seq, stray)| std::iter::once(*seq).chain(stray.closed));
        // The first entry says when the log was opened.
        let rest = self.loaded.iter().map(|(seq, _)| *seq).chain(self.digest.map(|(seq, _, _)| seq)).chain([0]);
        let ahead = self.preapprovals.keys().copied();
        let all: BTreeSet<u64> =
            seen.chain(subjects).chain(requests).chain(bulletins).chain(strays).chain(rest).chain(ahead).collect();
        all.into_iter().collect()
    }

    /// Says how long the ledger is of which the essence was folded, and when its newest entry was written.
    pub fn resume_at(&mut self, size: u64, last_time: DateTime<Utc>) {
        self.size = size;
        self.last_time = Some(last_time);
    }

    /// Tells a request the leaf hash of its entry, once the batch that carries it is on the disk.
    pub fn committed(&mut self, seq: u64, leaf: &str) {
        if let Some(request) = self.requests.get_mut(&RequestId(seq)) {
            request.leaf = Some(leaf.to_owned());
        }
    }
}
