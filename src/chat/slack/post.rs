//! The adapter: messages are made to look like cards, and stay so.

use std::collections::{HashMap, HashSet, VecDeque};

use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Method, Slack, api::Fault, blocks::Content, direct, message, metadata, text::put};
use crate::{
    access::{Chat, RequestId, Standing},
    chat::{
        Adapter, Bulletin, ChatError, Notice,
        card::{Card, Status},
    },
};

/// Messages whose places are remembered; the oldest are forgotten first.
const POSTED_MAX: usize = 20_000;

/// Where a message stands: its channel and its time, which is its id there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) channel: String,
    pub(super) ts: String,
}

impl Spot {
    /// As it is recorded.
    fn id(&self) -> String {
        format!("{}:{}", self.channel, self.ts)
    }

    fn of(id: &str) -> Option<Self> {
        let (channel, ts) = id.split_once(':')?;
        Some(Self { channel: channel.to_owned(), ts: ts.to_owned() })
    }
}

/// What this process has posted. What has to outlive it is in the ledger.
#[derive(Default)]
pub(super) struct Memory {
    /// By what names a message.
    posted: HashMap<String, Spot>,
    order: VecDeque<String>,
    /// Posts of which nobody knows whether they were done.
    doubtful: HashSet<String>,
    /// Whether Slack has said that we may not read channels.
    blind: bool,
    /// Direct messages with buttons.
    pub(super) directs: direct::Directs,
    /// The direct messages' channels, by person.
    direct: HashMap<String, String>,
}

/// The memory, also if somebody broke while they had it.
pub(super) fn locked(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    fn note(&mut self, key: &str, spot: Spot) {
        self.doubtful.remove(key);
        if self.posted.insert(key.to_owned(), spot).is_none() {
            self.order.push_back(key.to_owned());
        }
        while self.order.len() > POSTED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.posted.remove(&oldest);
            }
        }
    }
}

impl From<Fault> for ChatError {
    fn from(fault: Fault) -> Self {
        let hint = match &fault {
            Fault::Refused(code) if code == "not_in_channel" || code == "channel_not_found" => {
                ": is the channel's id right, and is Countersign invited to it?"
            }
            Fault::Refused(_)
            | Fault::Limited(_)
            | Fault::Unsent
            | Fault::Unknown(_)
            | Fault::Dead(_)
            | Fault::Elsewhere(..) => "",
        };
        Self(format!("{fault}{hint}"))
    }
}

/// What is to be posted, and what names it.
struct Letter<'a> {
    key: &'a str,
    request: Option<RequestId>,
    channel: &'a str,
    thread: Option<&'a str>,
    /// Whether it may have been posted before this process started.
    old: bool,
}

impl Slack {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        locked(&self.memory)
    }

    /// Posts a message unless it stands there already, as far as anybody knows.
    async fn post_once(&self, letter: &Letter<'_>, content: &Content) -> Result<Spot, ChatError> {
        self.ready().await?;
        let Letter { key, request, channel, thread, old } = *letter;
        if let Some(spot) = self.memory().posted.get(key) {
            return Ok(spot.clone());
        }
        let doubtful = self.memory().doubtful.contains(key) || (old && thread.is_none());
        if doubtful && let Some(spot) = self.find(key, channel).await {
            self.memory().note(key, spot.clone());
            return Ok(spot);
        }
        let mut body = json!({
            "channel": channel,
            "text": content.text,
            "blocks": content.blocks,
            "metadata": metadata(request, key),
            "unfurl_links": false,
            "unfurl_media": false,
        });
        if let Some(thread) = thread {
            put(&mut body, "thread_ts", json!(thread));
        }
        match self.api.call(Method::PostMessage, channel, &body).await {
            Ok(answer) => {
                let part = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
                let ts = part("ts").ok_or_else(|| ChatError("Slack's answer names no message".into()))?;
                let spot = Spot { channel: part("channel").unwrap_or_else(|| channel.to_owned()), ts };
                self.memory().note(key, spot.clone());
                Ok(spot)
            }
            Err(fault) => {
                if matches!(fault, Fault::Unknown(_)) {
                    self.memory().doubtful.insert(key.to_owned());
                }
                Err(fault.into())
            }
        }
    }

    /// Looks for a message by its metadata, if we may.
    async fn find(&self, key: &str, channel: &str) -> Option<Spot> {
        if self.memory().blind {
            return None;
        }
        let messages = match self.api.newest(channel).await {
            Ok(messages) => messages,
            Err(Fault::Refused(_)) => {
                self.memory().blind = true;
                return None;
            }
            Err(_) => return None,
        };
        let named =
            |message: &&Value| message.pointer("/metadata/event_payload/key").and_then(Value::as_str) == Some(key);
        let ts = messages.iter().find(named)?.get("ts")?.as_str()?.to_owned();
        Some(Spot { channel: channel.to_owned(), ts })
    }

    async fn change(&self, spot: &Spot, content: &Content) -> Result<(), Fault> {
        let body = json!({ "channel": spot.channel, "ts": spot.ts, "text": content.text, "blocks": content.blocks });
        self.api.call(Method::Update, &spot.channel, &body).await.map(drop)
    }

    /// Writes what is new of the history below the card; the newest step that stands there.
    async fn tell_thread(&self, spot: &Spot, told: u64, card: &Card) -> Result<u64, ChatError> {
        // What the first step says, the card says itself.
        let first = card.history.first().map_or(0, |step| step.seq);
        let new: Vec<_> = card.history.iter().filter(|step| step.seq > told.max(first)).cloned().collect();
        let Some(last) = new.last().map(|step| step.seq) else { return Ok(told.max(first)) };
        // The card itself must not wait for its thread: where there is a queue, more is told with the next state, and all of
        // it with the last.
        if !is_last(card.status) && self.api.is_busy(Method::PostMessage, &spot.channel) {
            return Ok(told);
        }
        let key = format!("step-{}-{}-{last}", spot.id(), told);
        let content = message::history(card, &new, &self.settings.mentions);
        let letter = Letter {
            key: &key,
            request: Some(card.request),
            channel: &spot.channel,
            thread: Some(&spot.ts),
            old: false,
        };
        self.post_once(&letter, &content).await?;
        Ok(last)
    }
}

/// Whether nothing more is expected to happen to a request.
fn is_last(status: Status) -> bool {
    match status {
        Status::Ended | Status::Denied | Status::Cancelled | Status::Lapsed | Status::Failed | Status::Extended => true,
        Status::Requested | Status::Scheduled | Status::Issuing | Status::Live | Status::Ending | Status::Owing => {
            false
        }
    }
}

#[async_trait]
impl Adapter for Slack {
    fn chat(&self) -> Chat {
        Chat::Slack
    }

    fn forgets(&self) -> bool {
        false
    }

    fn channel(&self, name: &str) -> String {
        self.settings.channels.id(name).to_owned()
    }

    async fn put_card(&self, channel: &str, posted: Option<&Standing>, card: &Card) -> Result<Standing, ChatError> {
        self.ready().await?;
        let channel = self.settings.channels.id(channel).to_owned();
        let content = message::card(card, &self.settings.mentions);
        let key = format!("card-{}-{channel}", card.request.0);
        let known = posted.and_then(|standing| Spot::of(&standing.message));
        let known = known.or_else(|| self.memory().posted.get(&key).cloned());
        let (mut spot, mut stands) = (known, false);
        if let Some(spot) = &spot {
            match self.change(spot, &content).await {
                Ok(()) => stands = true,
                // Somebody deleted it: it is posted anew.
                Err(Fault::Refused(code)) if code == "message_not_found" || code == "cant_update_message" => {
                    self.memory().posted.remove(&key);
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        let mut told = posted.map_or(0, |standing| standing.told);
        if !stands {
            let old = card.history.first().is_some_and(|step| step.at < self.started);
            let letter = Letter { key: &key, request: Some(card.request), channel: &channel, thread: None, old };
            spot = Some(self.post_once(&letter, &content).await?);
            told = 0;
        }
        let Some(spot) = spot else { return Err(ChatError("there is no message".into())) };
        let told = self.tell_thread(&spot, told, card).await?;
        direct::retire(&self.api, &self.memory, card, &self.settings.mentions).await;
        Ok(Standing { message: spot.id(), told })
    }

    async fn direct(&self, account: &str, key: &str, notice: &Notice) -> Result<String, ChatError> {
        self.ready().await?;
        let (team, user) = account.split_once('/').unwrap_or((&self.settings.team, account));
        if team != self.settings.team {
            return Err(ChatError(format!("`{account}` is of another workspace")));
        }
        let known = self.memory().direct.get(user).cloned();
        let channel = if let Some(channel) = known {
            channel
        } else {
            let answer = self.api.call(Method::OpenConversation, user, &json!({ "users": user })).await?;
            let channel = answer.pointer("/channel/id").and_then(Value::as_str).unwrap_or(user).to_owned();
            self.memory().direct.insert(user.to_owned(), channel.clone());
            channel
        };
        let key = format!("direct-{user}-{key}");
        let content = message::notice(notice, &self.settings.mentions, None);
        let letter = Letter { key: &key, request: Some(notice.request), channel: &channel, thread: None, old: false };
        let fresh = !self.memory().posted.contains_key(&key);
        let spot = self.post_once(&letter, &content).await?;
        if fresh && !notice.buttons.is_empty() {
            self.memory().directs.sent(spot.clone(), notice);
        }
        Ok(spot.id())
    }

    async fn post(&self, channel: Option<&str>, key: &str, bulletin: &Bulletin) -> Result<String, ChatError> {
        let channel = channel.map_or(self.settings.channels.usual.as_str(), |name| self.settings.channels.id(name));
        let key = format!("bulletin-{key}-{channel}");
        let content = message::bulletin(bulletin, &self.settings.mentions);
        let letter = Letter { key: &key, request: None, channel, thread: None, old: false };
        Ok(self.post_once(&letter, &content).await?.id())
    }
}
