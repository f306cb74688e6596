//! What the playground remembers of its messages, as a platform would: bounded, in memory, gone with the process.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use crate::{
    access::RequestId,
    chat::{
        Bulletin, Notice,
        card::{Card, Status},
    },
};

/// Cards that are kept, over all channels. Finished ones go first, the oldest before the others.
pub const CARDS_MOST: usize = 300;
/// Bulletins that are kept, over all channels; the oldest go first.
pub const BULLETINS_MOST: usize = 100;
/// Direct messages that are kept for one person; the oldest go first.
pub const NOTICES_PER_PERSON_MOST: usize = 100;

/// A card where it was posted.
#[derive(Debug, Clone)]
pub struct PostedCard {
    /// The channel it stands in.
    pub channel: String,
    /// When it was first posted.
    pub at: DateTime<Utc>,
    /// What it shows now.
    pub card: Arc<Card>,
}

/// A direct message.
#[derive(Debug, Clone)]
pub struct PostedNotice {
    /// Its place among all direct messages.
    pub number: u64,
    /// What names it: the same key is the same message.
    key: String,
    /// When it was first sent.
    pub at: DateTime<Utc>,
    /// What it says now.
    pub notice: Arc<Notice>,
}

/// Something that concerns a channel, where it was posted.
#[derive(Debug, Clone)]
pub struct PostedBulletin {
    /// The channel it stands in.
    channel: String,
    /// What names it.
    pub key: String,
    /// When it was first posted.
    pub at: DateTime<Utc>,
    /// What it says.
    pub bulletin: Arc<Bulletin>,
}

/// All messages, in the order they were first posted.
#[derive(Debug, Default)]
pub struct Messages {
    cards: VecDeque<PostedCard>,
    bulletins: VecDeque<PostedBulletin>,
    inboxes: BTreeMap<String, Inbox>,
    sent: u64,
}

/// One person's direct messages.
#[derive(Debug, Default)]
struct Inbox {
    notices: VecDeque<PostedNotice>,
    read_to: u64,
}

impl Messages {
    /// Makes the request's message in the channel look like the card, and returns the message's id. `at` counts only
    /// when it is new.
    pub fn put_card(&mut self, channel: &str, card: &Card, at: DateTime<Utc>) -> String {
        let id = format!("{channel}/{}", card.request.0);
        let shown = Arc::new(card.clone());
        match self.cards.iter_mut().find(|posted| posted.card.request == card.request && posted.channel == channel) {
            Some(posted) => posted.card = shown,
            None => self.cards.push_back(PostedCard { channel: channel.to_owned(), at, card: shown }),
        }
        while self.cards.len() > CARDS_MOST {
            let oldest_finished = self.cards.iter().position(|posted| is_finished(posted.card.status));
            self.cards.remove(oldest_finished.unwrap_or(0));
        }
        id
    }

    /// Sends a person a message, or changes the one that the key names. Returns its id.
    pub fn direct(&mut self, person: &str, key: &str, notice: &Notice, at: DateTime<Utc>) -> String {
        let inbox = self.inboxes.entry(person.to_owned()).or_default();
        let shown = Arc::new(notice.clone());
        let number = if let Some(posted) = inbox.notices.iter_mut().find(|posted| posted.key == key) {
            posted.notice = shown;
            posted.number
        } else {
            self.sent += 1;
            inbox.notices.push_back(PostedNotice { number: self.sent, key: key.to_owned(), at, notice: shown });
            self.sent
        };
        while inbox.notices.len() > NOTICES_PER_PERSON_MOST {
            inbox.notices.pop_front();
        }
        format!("direct/{person}/{number}")
    }

    /// Posts something to a channel, unless what the key names stands there. Returns its id.
    pub fn post(&mut self, channel: &str, key: &str, bulletin: &Bulletin, at: DateTime<Utc>) -> String {
        let id = format!("{channel}/bulletin/{key}");
        let shown = Arc::new(bulletin.clone());
        let same = |posted: &&mut PostedBulletin| posted.key == key && posted.channel == channel;
        if let Some(posted) = self.bulletins.iter_mut().find(same) {
            posted.bulletin = shown;
        } else {
            let (channel, key) = (channel.to_owned(), key.to_owned());
            self.bulletins.push_back(PostedBulletin { channel, key, at, bulletin: shown });
        }
        while self.bulletins.len() > BULLETINS_MOST {
            self.bulletins.pop_front();
        }
        id
    }

    /// What was posted to a channel besides cards, oldest first.
    pub fn bulletins_in(&self, channel: &str) -> Vec<PostedBulletin> {
        self.bulletins.iter().filter(|posted| posted.channel == channel).cloned().collect()
    }

    /// The cards of a channel, oldest first.
    pub fn cards_in(&self, channel: &str) -> Vec<PostedCard> {
        self.cards.iter().filter(|posted| posted.channel == channel).cloned().collect()
    }

    /// Whether anything stands in a channel.
    pub fn any_in(&self, channel: &str) -> bool {
        self.cards.iter().any(|posted| posted.channel == channel)
            || self.bulletins.iter().any(|posted| posted.channel == channel)
    }

    /// How many requests in a channel wait for a decision.
    pub fn waiting_in(&self, channel: &str) -> usize {
        let waits = |posted: &&PostedCard| posted.channel == channel && posted.card.status == Status::Requested;
        self.cards.iter().filter(waits).count()
    }

    /// The title of a request, from any of its cards.
    pub fn title_of(&self, request: RequestId) -> Option<String> {
        self.cards.iter().find(|posted| posted.card.request == request).map(|posted| posted.card.title.clone())
    }

    /// A person's direct messages, oldest first.
    pub fn notices_for(&self, person: &str) -> Vec<PostedNotice> {
        self.inboxes.get(person).map(|inbox| inbox.notices.iter().cloned().collect()).unwrap_or_default()
    }

    /// How many of a person's direct messages have not been looked at.
    pub fn unread_by(&self, person: &str) -> usize {
        self.inboxes
            .get(person)
            .map(|inbox| inbox.notices.iter().filter(|posted| posted.number > inbox.read_to).count())
            .unwrap_or_default()
    }

    /// Notes that a person looks at all there is now.
    pub fn mark_read(&mut self, person: &str) {
        let sent = self.sent;
        if let Some(inbox) = self.inboxes.get_mut(person) {
            inbox.read_to = sent;
        }
    }
}

/// Whether nothing more will happen to a request with this status.
pub fn is_finished(status: Status) -> bool {
    match status {
        Status::Ended | Status::Denied | Status::Cancelled | Status::Lapsed | Status::Failed | Status::Extended => true,
        Status::Requested | Status::Scheduled | Status::Issuing | Status::Live | Status::Ending | Status::Owing => {
            false
        }
    }
}

/// Whether the door of a request with this status was not opened yet, and may be.
pub fn is_ahead(status: Status) -> bool {
    match status {
        Status::Requested | Status::Scheduled | Status::Issuing => true,
        Status::Live
        | Status::Ending
        | Status::Owing
        | Status::Ended
        | Status::Denied
        | Status::Cancelled
        | Status::Lapsed
        | Status::Failed
        | Status::Extended => false,
    }
}

#[cfg(test)]
mod tests;
