//! What a decision depends on besides the state and the command: the rules of the day, the time, and randomness.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{Event, Personal, Rules, Sort, State, SubjectId};

/// 128 fresh random bits, never used twice and never written down: the ids of those who are new to the ledger come from
/// them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fresh(pub [u8; 16]);

impl Fresh {
    /// The id of somebody new. Without the random bits nobody can tell whose it is.
    fn subject(self, name: &str) -> SubjectId {
        let hash: [u8; 32] = Sha256::new().chain_update(self.0).chain_update(name).finalize().into();
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(hash) {
            *to = from;
        }
        SubjectId(id)
    }
}

/// The moment of a decision.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The rules of the day.
    pub rules: &'a dyn Rules,
    /// The time.
    pub now: DateTime<Utc>,
    /// For those who are new to the ledger.
    pub fresh: Fresh,
}

/// Who is who in the ledger, while events that name them are being made.
pub struct Roll<'a> {
    state: &'a State,
    fresh: Fresh,
    new: BTreeMap<String, SubjectId>,
}

impl<'a> Roll<'a> {
    /// Nobody is new yet.
    pub fn new(state: &'a State, fresh: Fresh) -> Self {
        Self { state, fresh, new: BTreeMap::new() }
    }

    /// The id of somebody; if they are new to the ledger, the event that enrols them goes to `events`.
    pub fn subject(&mut self, sort: Sort, name: &str, events: &mut Vec<Event>) -> SubjectId {
        if let Some(known) = self.state.subject(name).or_else(|| self.new.get(name).copied()) {
            return known;
        }
        let subject = self.fresh.subject(name);
        self.new.insert(name.to_owned(), subject);
        events.push(Event::SubjectEnrolled { subject, sort, name: Personal::Known(name.to_owned()) });
        subject
    }
}
