//! Chats that keep what is posted in them, for the story to look at.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{
    access::{Chat, Standing as Stands},
    chat::{Adapter, Bulletin, ChatError, Notice, card::Card},
};

/// The chats of a story.
pub const CHATS: [Chat; 3] = [Chat::Playground, Chat::Slack, Chat::Discord];

/// What stands in all the chats, over every restart.
pub struct Walls {
    /// Where goes what is for no channel in particular.
    usual: String,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Cards by where they stand: chat, channel, request.
    cards: BTreeMap<(Chat, String, u64), Card>,
    /// Direct messages, oldest first.
    notices: Vec<Direct>,
    /// Bulletins, oldest first.
    bulletins: Vec<Posted>,
}

/// A bulletin and where it stands.
#[derive(Debug, Clone)]
pub struct Posted {
    /// On which platform.
    pub chat: Chat,
    /// In which channel, without `#`.
    pub channel: String,
    /// Which bulletin it is: the same key is the same message.
    key: String,
    /// What it says.
    pub bulletin: Bulletin,
}

/// A direct message.
#[derive(Debug, Clone)]
pub struct Direct {
    /// On which platform.
    pub chat: Chat,
    /// To which account.
    pub account: String,
    /// Which notice it is: the same key is the same message.
    key: String,
    /// The message.
    pub notice: Notice,
}

/// A card and where it stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// On which platform.
    pub chat: Chat,
    /// In which channel, without `#`.
    pub channel: String,
    /// What it looks like.
    pub card: Card,
}

impl Standing {
    /// The id of the card's message on its platform.
    pub fn message(&self) -> String {
        message(&self.channel, self.card.request.0)
    }
}

fn message(channel: &str, request: u64) -> String {
    format!("card-{channel}-{request}")
}

impl Walls {
    /// Walls with nothing on them. `usual` is the channel for what names none.
    pub fn new(usual: String) -> Arc<Self> {
        Arc::new(Self { usual, inner: Mutex::default() })
    }

    /// An adapter for each chat.
    pub fn adapters(self: &Arc<Self>) -> Vec<Arc<dyn Adapter>> {
        CHATS.into_iter().map(|chat| Arc::new(Recorder { chat, walls: Arc::clone(self) }) as _).collect()
    }

    /// All cards, by chat, channel and request.
    pub fn cards(&self) -> Vec<Standing> {
        let standing = |((chat, channel, _), card): (&(Chat, String, u64), &Card)| Standing {
            chat: *chat,
            channel: channel.clone(),
            card: card.clone(),
        };
        self.inner().cards.iter().map(standing).collect()
    }

    /// All direct messages, oldest first.
    pub fn notices(&self) -> Vec<Direct> {
        self.inner().notices.clone()
    }

    /// All bulletins, oldest first.
    pub fn bulletins(&self) -> Vec<Posted> {
        self.inner().bulletins.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Recorder {
    chat: Chat,
    walls: Arc<Walls>,
}

#[async_trait]
impl Adapter for Recorder {
    fn chat(&self) -> Chat {
        self.chat
    }

    fn forgets(&self) -> bool {
        false
    }

    async fn put_card(&self, channel: &str, _posted: Option<&Stands>, card: &Card) -> Result<Stands, ChatError> {
        let place = (self.chat, channel.trim_start_matches('#').to_owned(), card.request.0);
        let message = message(&place.1, card.request.0);
        self.walls.inner().cards.insert(place, card.clone());
        Ok(Stands { message, told: 0 })
    }

    async fn direct(&self, account: &str, key: &str, notice: &Notice) -> Result<String, ChatError> {
        let direct =
            Direct { chat: self.chat, account: account.to_owned(), key: key.to_owned(), notice: notice.clone() };
        let notices = &mut self.walls.inner().notices;
        let known = notices
            .iter_mut()
            .find(|one| (one.chat, &one.account, &one.key) == (direct.chat, &direct.account, &direct.key));
        match known {
            Some(known) => *known = direct,
            None => notices.push(direct),
        }
        Ok(format!("direct-{key}"))
    }

    async fn post(&self, channel: Option<&str>, key: &str, bulletin: &Bulletin) -> Result<String, ChatError> {
        let channel = channel.unwrap_or(&self.walls.usual).trim_start_matches('#').to_owned();
        let posted = Posted { chat: self.chat, channel, key: key.to_owned(), bulletin: bulletin.clone() };
        let bulletins = &mut self.walls.inner().bulletins;
        if !bulletins.iter().any(|one| (one.chat, &one.key) == (posted.chat, &posted.key)) {
            bulletins.push(posted);
        }
        Ok(format!("post-{key}"))
    }
}
