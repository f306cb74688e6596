//! The outgoing side: messages that look like cards, direct messages, bulletins. Each is desired state, done again without
//! harm.

use std::sync::PoisonError;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Discord, POST_MAX, Place, render, rest::RestError, wire};
use crate::{
    access::{Chat, Standing},
    chat::{Adapter, Bulletin, ChatError, Notice, card::Card},
};

/// There is no such message any more.
const UNKNOWN_MESSAGE: u64 = 10_008;
/// There is no such channel, or thread, any more.
const UNKNOWN_CHANNEL: u64 = 10_003;
/// There is no such user.
const UNKNOWN_USER: u64 = 10_013;
/// The user takes no messages from us.
const NO_MESSAGES_TO_USER: u64 = 50_007;
/// The user is in no guild with us.
const NO_MUTUAL_GUILD: u64 = 50_278;
/// The message has its thread already.
const THREAD_EXISTS: u64 = 160_004;
/// Minutes after which a quiet thread is folded away.
const THREAD_QUIET_MINS: u32 = 4_320;
/// Digits of a hash in a nonce.
const NONCE_DIGITS: usize = 22;

#[async_trait]
impl Adapter for Discord {
    fn chat(&self) -> Chat {
        Chat::Discord
    }

    fn forgets(&self) -> bool {
        false
    }

    fn channel(&self, name: &str) -> String {
        self.settings.channels.id(name).to_owned()
    }

    async fn put_card(&self, channel: &str, posted: Option<&Standing>, card: &Card) -> Result<Standing, ChatError> {
        let id = self.channel(channel);
        let recorded = posted.and_then(|standing| {
            let (channel, message) = standing.message.split_once(':')?;
            Some(Place { channel: channel.to_owned(), message: message.to_owned(), told: standing.told })
        });
        // What this process knows may be ahead of what was recorded.
        let place = recorded.as_ref().map_or(&id, |place| &place.channel);
        let known = self.places().get(&(card.request, place.clone())).cloned();
        let known = match (known, recorded) {
            (Some(known), Some(recorded)) if known.message == recorded.message => {
                Some(Place { told: known.told.max(recorded.told), ..known })
            }
            (known, recorded) => recorded.or(known),
        };
        let message = render::card(card, self.settings.ping.as_deref(), &self.settings.mentions);
        let gone = known.as_ref().map(|place| place.message.clone());
        let edited = match &known {
            Some(place) => self.edit(place, message.clone()).await.map_err(words)?,
            None => false,
        };
        let mut place = if let Some(place) = known.filter(|_| edited) {
            place
        } else {
            // What stood there before and is gone is another message, whatever Discord remembers of it.
            let gone = gone.as_deref().unwrap_or_default();
            let nonce = nonce(&["card", &id, &card.request.0.to_string(), gone]);
            let message = self.create(&id, message.once(nonce)).await.map_err(words)?;
            Place { channel: id, message, told: 0 }
        };
        self.remember(card.request, place.clone());
        self.tell(card, &mut place).await.map_err(words)?;
        Ok(Standing { message: format!("{}:{}", place.channel, place.message), told: place.told })
    }

    async fn direct(&self, account: &str, key: &str, notice: &Notice) -> Result<String, ChatError> {
        let user = account.strip_prefix(&self.settings.guild).and_then(|rest| rest.strip_prefix('/'));
        let Some(user) = user.filter(|user| super::is_snowflake(user)) else {
            tracing::warn!(account, "an account of another guild, or of none, can't be told anything");
            return Ok(String::new());
        };
        let message = render::notice(notice, self.card_url(notice.request), &self.settings.mentions);
        let nonce = nonce(&["notice", account, key]);
        let sent = self.direct_message(user, message.once(nonce)).await;
        match sent {
            // Whoever takes no messages, or is gone, can't be told; that is no reason to go on trying.
            Err(error)
                if [UNKNOWN_USER, NO_MESSAGES_TO_USER, NO_MUTUAL_GUILD].iter().any(|code| error.is_code(*code)) =>
            {
                tracing::warn!(%error, request = notice.request.0, "somebody takes no direct messages from us");
                Ok(String::new())
            }
            sent => sent.map_err(words),
        }
    }

    async fn post(&self, channel: Option<&str>, key: &str, bulletin: &Bulletin) -> Result<String, ChatError> {
        let id = self.channel(channel.unwrap_or_default());
        let message = render::bulletin(bulletin, &self.settings.mentions).once(nonce(&["bulletin", &id, key]));
        let posted = self.create(&id, message).await.map_err(words)?;
        Ok(format!("{id}:{posted}"))
    }
}

impl Discord {
    /// Posts a message, once. Its id.
    async fn create(&self, channel: &str, message: wire::Message) -> Result<String, RestError> {
        let route = "POST message";
        let path = format!("/channels/{channel}/messages");
        let body = wire::json(&message).unwrap_or_default();
        let answer = self.send(route, (Method::POST, path), channel, body, POST_MAX).await?;
        let id = answer.get("id").and_then(Value::as_str).filter(|id| super::is_snowflake(id));
        id.map(str::to_owned).ok_or(RestError::Unreachable { why: "the answer names no message", route })
    }

    /// Makes a message look different. False if it is not there any more.
    async fn edit(&self, place: &Place, message: wire::Message) -> Result<bool, RestError> {
        let mut message = message.edit();
        // Whom it pinged, it has pinged.
        message.allowed_mentions.roles.clear();
        let path = format!("/channels/{}/messages/{}", place.channel, place.message);
        let body = wire::json(&message).unwrap_or_default();
        match self.send("PATCH message", (Method::PATCH, path), &place.channel, body, POST_MAX).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_code(UNKNOWN_MESSAGE) || error.is_code(UNKNOWN_CHANNEL) => {
                tracing::warn!(%error, "a card is gone from Discord; it is posted again");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Brings the card's thread up to date. Where we may not make threads, there is none.
    async fn tell(&self, card: &Card, place: &mut Place) -> Result<(), RestError> {
        let news = render::history(&card.history, place.told, &self.settings.mentions);
        if news.is_empty() {
            return Ok(());
        }
        if place.told == 0 && !self.open_thread(card, place).await? {
            place.told = news.last().map_or(place.told, |(seq, _)| *seq);
            self.remember(card.request, place.clone());
            return Ok(());
        }
        for (seq, message) in news {
            let nonce = nonce(&["thread", &place.message, &place.told.to_string(), &seq.to_string()]);
            let message = message.once(nonce);
            match self.create(&place.message, message.clone()).await {
                Ok(_) => {}
                // Somebody deleted the thread: it is opened again, for what comes.
                Err(error) if error.is_code(UNKNOWN_CHANNEL) => {
                    if self.open_thread(card, place).await? {
                        self.create(&place.message, message).await?;
                    }
                }
                Err(error) if error.is_final() => {
                    tracing::warn!(%error, request = card.request.0, "a card's thread can't be written");
                }
                Err(error) => return Err(error),
            }
            place.told = seq;
            self.remember(card.request, place.clone());
        }
        Ok(())
    }

    /// Opens the thread below a card; it has the message's own id. False if we may not.
    async fn open_thread(&self, card: &Card, place: &Place) -> Result<bool, RestError> {
        let path = format!("/channels/{}/messages/{}/threads", place.channel, place.message);
        let body = json!({ "name": render::thread_name(card), "auto_archive_duration": THREAD_QUIET_MINS });
        let body = wire::json(&body).unwrap_or_default();
        match self.send("POST thread", (Method::POST, path), &place.channel, body, POST_MAX).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_code(THREAD_EXISTS) => Ok(true),
            Err(error) if error.is_final() => {
                tracing::warn!(%error, request = card.request.0, "no thread can be opened below a card");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a direct message. Its id.
    pub(super) async fn direct_message(&self, user: &str, message: wire::Message) -> Result<String, RestError> {
        let channel = self.direct_channel(user).await?;
        let id = self.create(&channel, message).await?;
        Ok(format!("{channel}:{id}"))
    }

    /// The channel of direct messages to a user.
    async fn direct_channel(&self, user: &str) -> Result<String, RestError> {
        let known = self.direct.lock().unwrap_or_else(PoisonError::into_inner).get(user).cloned();
        if let Some(channel) = known {
            return Ok(channel);
        }
        let route = "POST direct channel";
        let body = wire::json(&json!({ "recipient_id": user })).unwrap_or_default();
        let answer = self.send(route, (Method::POST, "/users/@me/channels".to_owned()), "", body, POST_MAX).await?;
        let id = answer.get("id").and_then(Value::as_str).filter(|id| super::is_snowflake(id));
        let id = id.ok_or(RestError::Unreachable { why: "the answer names no channel", route })?.to_owned();
        self.direct.lock().unwrap_or_else(PoisonError::into_inner).insert(user.to_owned(), id.clone());
        Ok(id)
    }
}

/// Names a message, within the 25 characters that Discord takes.
fn nonce(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize()).chars().take(NONCE_DIGITS).collect()
}

/// An error for the log, with what would help.
#[expect(clippy::needless_pass_by_value, reason = "it stands behind `map_err`")]
fn words(error: RestError) -> ChatError {
    let hint = match &error {
        RestError::Refused { code: 50_001 | 50_013, .. } => {
            "; give the bot View Channel, Send Messages, Embed Links, Create Public Threads and Send Messages in \
             Threads there"
        }
        RestError::Refused { code: UNKNOWN_CHANNEL, .. } => {
            "; `discord.channel` or `[discord.channels]` names no channel"
        }
        RestError::Refused { status: 401, .. } => "; `DISCORD_BOT_TOKEN` is not the bot's token",
        RestError::Refused { .. } | RestError::Unreachable { .. } => "",
    };
    ChatError(format!("{error}{hint}"))
}
