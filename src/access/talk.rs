//! What people say to each other in the thread below a request's card. It is recorded with the request and decides
//! nothing: there is no way from here to [`super::decide`].

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Chat, Event, Moment, Personal, Request, RequestId, Sort, State, Stored, SubjectId, Via, moment::Roll};

/// So much of one person's talk is recorded with one request: what they say and what they change, each counts.
pub const TALK_EACH_MAX: usize = 100;
/// So much talk of everybody is recorded with one request. Deletions of what was recorded come on top.
pub const TALK_MAX: usize = 500;
/// So much of each is kept in memory, to be shown; the ledger has all of it.
const SHOWN_CHARS_MAX: usize = 300;

/// What became of something that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// It was said.
    Said,
    /// It was given other words.
    Changed,
    /// It was deleted.
    Deleted,
}

/// What an entry says of a message that stands in a request's thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    /// Whose card it stands below.
    pub request: RequestId,
    /// Said, changed or deleted.
    pub turn: Turn,
    /// The entry that has what was said first, if it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<u64>,
    /// Whether this reached a limit: nothing more of this person, or of anybody, is recorded with this request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
}

/// Something said, changed or deleted in a thread, as it comes out of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    /// The platform.
    pub chat: Chat,
    /// The account whose words they are.
    pub account: String,
    /// The platform's id of the message that the thread is below, as in [`super::Standing`].
    pub card: String,
    /// 32 hex digits that name what was said, or this very change of it: delivered twice, it has the same.
    pub key: String,
    /// The key of what was said first, if this changes or deletes it.
    pub of: Option<String>,
    /// Said, changed or deleted.
    pub turn: Turn,
    /// The words; empty if they were deleted.
    pub text: String,
}

/// Something that was said below a request's card, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uttered {
    /// The entry.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// Whose words.
    pub from: SubjectId,
    /// On which platform.
    pub chat: Chat,
    /// Said, changed or deleted.
    pub turn: Turn,
    /// The entry that has what was said first.
    pub earlier: Option<u64>,
    /// Whether nothing more is recorded after it.
    pub last: bool,
    /// How the words begin, and `…` if there are more.
    pub text: Personal,
    key: String,
}

/// What is to be recorded of something said in a thread: nothing if the thread is below no card of ours, if it was
/// delivered before, or if there is more of it than is recorded.
#[must_use]
pub fn overhear(state: &State, moment: Moment<'_>, talk: &Talk) -> Vec<Event> {
    let Some(request) = state.below(talk.chat, &talk.card) else { return Vec::new() };
    let recorded = |key: &str| request.talk.iter().find(|uttered| uttered.key == key);
    if recorded(&talk.key).is_some() {
        return Vec::new();
    }
    let earlier = talk.of.as_deref().and_then(recorded).map(|uttered| uttered.seq);
    // That something is gone which was never recorded is no news.
    if talk.turn == Turn::Deleted && earlier.is_none() {
        return Vec::new();
    }
    let (sort, name) = talk.chat.whose(moment.rules, &talk.account);
    let known = state.subject(&name);
    let counted = request.talk.iter().filter(|uttered| uttered.turn != Turn::Deleted);
    let (all, theirs) = counted
        .fold((0, 0), |(all, theirs), uttered| (all + 1_usize, theirs + usize::from(Some(uttered.from) == known)));
    let counts = talk.turn != Turn::Deleted;
    if counts && (all >= TALK_MAX || theirs >= TALK_EACH_MAX) {
        return Vec::new();
    }
    let last = counts && (all + 1 == TALK_MAX || theirs + 1 == TALK_EACH_MAX);
    let mut events = Vec::new();
    let from = Roll::new(state, moment.fresh).subject(sort, &name, &mut events);
    events.push(Event::MessageReceived {
        from,
        chat: talk.chat,
        via: Via::Thread,
        key: talk.key.clone(),
        thread: Some(Thread { request: request.id, turn: talk.turn, earlier, last }),
        text: Personal::Known(talk.text.clone()),
        evidence: None,
    });
    events
}

impl Chat {
    /// Who is behind an account: a person of the config, or only the account.
    pub(super) fn whose(self, rules: &dyn super::Rules, account: &str) -> (Sort, String) {
        match rules.principal(self, account) {
            Some(name) => (Sort::Person, name),
            // A colon is not part of any principal's name, so the two can't be mistaken for each other.
            None => (Sort::Account, format!("{}:{account}", self.word())),
        }
    }
}

impl State {
    /// The request whose card this message is, if it is one that is remembered.
    #[must_use]
    pub fn below(&self, chat: Chat, card: &str) -> Option<&Request> {
        self.by_card.get(&chat)?.get(card).and_then(|id| self.requests.get(id))
    }

    /// A request's card stands elsewhere from now on, or for the first time.
    pub(super) fn note_card(&mut self, stored: &Stored) {
        let Event::CardPosted { request: id, chat, channel, message, .. } = &stored.event else { return };
        let Some(request) = self.requests.get(id) else { return };
        let cards = self.by_card.entry(*chat).or_default();
        let place = super::Posted { chat: *chat, channel: channel.clone() };
        if let Some(before) = request.cards.get(&place) {
            cards.remove(&before.message);
        }
        cards.insert(message.clone(), *id);
    }

    /// A request is not remembered any more, and neither are its cards.
    pub(super) fn drop_cards(&mut self, request: &Request) {
        for (place, standing) in &request.cards {
            if let Some(cards) = self.by_card.get_mut(&place.chat) {
                cards.remove(&standing.message);
                if cards.is_empty() {
                    self.by_card.remove(&place.chat);
                }
            }
        }
    }
}

impl Request {
    /// Remembers what was said below its card.
    pub(super) fn overheard(&mut self, stored: &Stored) {
        let Event::MessageReceived { from, chat, key, thread: Some(thread), text, .. } = &stored.event else { return };
        let text = match text {
            Personal::Known(text) => {
                let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
                if shown.len() < text.len() {
                    shown.push('…');
                }
                Personal::Known(shown)
            }
            unreadable @ (Personal::Erased | Personal::Locked) => unreadable.clone(),
        };
        self.talk.push(Uttered {
            seq: stored.seq,
            at: stored.time,
            from: *from,
            chat: *chat,
            turn: thread.turn,
            earlier: thread.earlier,
            last: thread.last,
            text,
            key: key.clone(),
        });
    }
}
