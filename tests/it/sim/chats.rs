//! The chats: what stands on people's screens, and platforms with all their manners.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use countersign::{
    access::{Chat, Standing},
    chat::{Adapter, Bulletin, ChatError, Notice, card::Card},
};

use super::{
    mutants::Mutant,
    rng::Rng,
    rules::CHATS,
    world::{Inner, SECOND, Shared, Sort},
};

/// What stands on the screens.
#[derive(Default)]
pub struct Chats {
    /// Messages in channels, by platform and id.
    pub posted: BTreeMap<(Chat, String), Card>,
    /// Direct messages, by platform, account and key.
    direct: HashMap<(Chat, String, String), Notice>,
    /// Bulletins, by platform and key.
    pub bulletins: BTreeMap<(Chat, String), Bulletin>,
    messages: u64,
    /// The platforms that the service is on; people have accounts on all of them.
    pub served: Vec<Chat>,
}

impl Chats {
    pub fn of(rng: &mut Rng) -> Self {
        let served = match rng.below(10) {
            0..3 => vec![Chat::Slack],
            3..5 => vec![Chat::Discord],
            5..6 => vec![Chat::Playground],
            6..9 => vec![Chat::Slack, Chat::Playground],
            _ => CHATS.to_vec(),
        };
        Self { served, ..Self::default() }
    }

    /// What a platform forgets when the process ends.
    pub fn forget(&mut self) {
        self.posted.retain(|(chat, _), _| *chat != Chat::Playground);
        self.direct.retain(|(chat, ..), _| *chat != Chat::Playground);
        self.bulletins.retain(|(chat, _), _| *chat != Chat::Playground);
    }
}

/// How a platform takes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Fine,
    Slow,
    /// It is refused.
    Fails,
    /// It stands there, and the answer is lost.
    AnswerLost,
    /// Somebody has deleted the message, and another one takes its place.
    Forgotten,
}

fn manner(world: &mut Inner) -> Manner {
    if !world.fate(100) {
        return Manner::Fine;
    }
    let manner = *world.rng.pick(&[Manner::Slow, Manner::Fails, Manner::AnswerLost, Manner::Forgotten]);
    world.count(&format!("chat {manner:?}"));
    world.in_trouble();
    manner
}

struct SimChat {
    world: Shared,
    chat: Chat,
}

impl SimChat {
    async fn posts<T>(&self, manner: Manner, post: impl FnOnce(&mut Inner) -> T) -> Result<T, ChatError> {
        let slow = self.world.lock().rng.within(1, 60) * SECOND;
        match manner {
            Manner::Slow => self.world.sleeps(Sort::Work, slow).await,
            Manner::Fine | Manner::Fails | Manner::AnswerLost | Manner::Forgotten => {
                self.world.lag(SECOND / 5).await;
            }
        }
        if manner == Manner::Fails {
            return Err(ChatError("rate limited".into()));
        }
        let done = post(&mut self.world.lock());
        self.world.lag(SECOND / 5).await;
        if manner == Manner::AnswerLost {
            return Err(ChatError("the connection was cut".into()));
        }
        Ok(done)
    }
}

#[async_trait]
impl Adapter for SimChat {
    fn chat(&self) -> Chat {
        self.chat
    }

    fn forgets(&self) -> bool {
        self.chat == Chat::Playground
    }

    async fn put_card(&self, channel: &str, posted: Option<&Standing>, card: &Card) -> Result<Standing, ChatError> {
        let (chat, manner) = {
            let mut world = self.world.lock();
            world.is_to_post(self.chat, card);
            let manner = manner(&mut world);
            world.note(|| format!("card {} {:?} in {:?} #{channel}: {manner:?}", card.request, card.status, self.chat));
            (self.chat, manner)
        };
        let own = format!("{channel}/{}", card.request.0);
        let known = posted.map(|posted| posted.message.clone()).filter(|_| manner != Manner::Forgotten);
        let (forgotten, card) = (posted.map(|posted| posted.message.clone()), card.clone());
        // One platform has threads: what happened is written below the card.
        let newest = card.history.last().map_or(0, |step| step.seq);
        let told = if chat == Chat::Slack { newest } else { 0 };
        self.posts(manner, move |world| {
            let id = if chat == Chat::Playground {
                own
            } else {
                known.unwrap_or_else(|| {
                    world.chats.messages += 1;
                    format!("{own}/{}", world.chats.messages)
                })
            };
            if let Some(forgotten) = forgotten.filter(|forgotten| *forgotten != id) {
                world.chats.posted.remove(&(chat, forgotten));
            }
            let old =
                world.mutant == Some(Mutant::ShowsOldCards) && world.chats.posted.contains_key(&(chat, id.clone()));
            if !old {
                world.chats.posted.insert((chat, id.clone()), card);
            }
            Standing { message: id, told }
        })
        .await
    }

    async fn direct(&self, account: &str, key: &str, notice: &Notice) -> Result<String, ChatError> {
        let (chat, manner) = {
            let mut world = self.world.lock();
            world.is_to_tell(self.chat, account, key, notice);
            let manner = manner(&mut world);
            world.note(|| format!("notice {key} to {account} in {:?}: {manner:?}", self.chat));
            (self.chat, manner)
        };
        let (place, notice) = ((chat, account.to_owned(), key.to_owned()), notice.clone());
        let id = key.to_owned();
        self.posts(manner, move |world| {
            world.chats.direct.insert(place, notice);
            id
        })
        .await
    }

    async fn post(&self, channel: Option<&str>, key: &str, bulletin: &Bulletin) -> Result<String, ChatError> {
        let (chat, manner) = {
            let mut world = self.world.lock();
            world.is_to_announce(key, bulletin);
            let manner = manner(&mut world);
            let title = &bulletin.title;
            world.note(|| format!("bulletin {key} `{title}` in {:?} #{channel:?}: {manner:?}", self.chat));
            (self.chat, manner)
        };
        let (id, bulletin) = (key.to_owned(), bulletin.clone());
        self.posts(manner, move |world| {
            world.chats.bulletins.insert((chat, id.clone()), bulletin);
            id
        })
        .await
    }
}

/// The chats of one process.
pub fn adapters(world: &Shared) -> Vec<Arc<dyn Adapter>> {
    let served = world.lock().chats.served.clone();
    let adapter = |chat| Arc::new(SimChat { world: Shared::clone(world), chat }) as Arc<dyn Adapter>;
    served.into_iter().map(adapter).collect()
}
