//! What becomes of something done in Discord, whichever way it came: refused, a form, a choice, or handed to the service
//! and answered; at once if the answer is quick, else deferred and answered when it is there.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use secrecy::ExposeSecret as _;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use super::{
    CALL_MAX, Discord,
    deed::{self, Deed},
    heard::{Heard, What},
    render,
    rest::{Call, RestError},
    suggest, wire,
    wire::{Callback, Message},
};
use crate::{
    access::Chat,
    chat::{Evidence, Inbound, Reply, Service, Tone},
};

/// Discord waits three seconds for the first answer: after this long it is told that one will come.
const DEFER_AFTER: Duration = Duration::from_millis(1_900);
/// What is left of the three seconds for telling so.
const CALLBACK_MAX: Duration = Duration::from_millis(2_900);
/// A token is good for fifteen minutes; near its end we don't rely on it.
const TOKEN_GOOD_FOR: Duration = Duration::from_mins(14);
/// Discord may still be taking the first answer in when the second comes.
const UNKNOWN_WEBHOOK: u64 = 10_015;
/// So often an answer is tried again for that reason.
const ANSWER_TRIES: u32 = 6;
/// And after so long each.
const ANSWER_PAUSE: Duration = Duration::from_millis(300);
/// Somebody has answered this interaction already: we, when it came to us twice.
const ACKNOWLEDGED: u64 = 40_060;

/// Where what was done is taken.
pub struct Desk {
    discord: Arc<Discord>,
    service: Arc<dyn Service>,
}

/// An answer that is being made.
pub struct Answering {
    /// The first answer. It fails only if we broke off over it.
    pub first: oneshot::Receiver<Callback>,
    /// To be told whether Discord took the first answer.
    pub delivered: oneshot::Sender<bool>,
}

impl Desk {
    pub fn new(discord: Arc<Discord>, service: Arc<dyn Service>) -> Arc<Self> {
        Arc::new(Self { discord, service })
    }

    pub fn discord(&self) -> &Arc<Discord> {
        &self.discord
    }

    /// Takes something that was done. `evidence` is Discord's signature over it, if it came with one.
    pub fn take(self: &Arc<Self>, heard: Heard, evidence: Option<Evidence>) -> Answering {
        let (first, answered) = oneshot::channel();
        let (delivered, was_delivered) = oneshot::channel();
        let desk = Arc::clone(self);
        self.discord.tasks.spawn(async move { desk.work(heard, evidence, first, was_delivered).await });
        Answering { first: answered, delivered }
    }

    /// Takes something that came without a way to answer it at once, and answers it over the REST API.
    pub async fn take_and_answer(self: &Arc<Self>, heard: Heard) {
        let started = Instant::now();
        let (id, token) = (heard.id.clone(), heard.token.clone());
        let Answering { first, delivered } = self.take(heard, None);
        // A task that panicked sends nothing; the person is answered all the same.
        let callback = first.await.unwrap_or_else(|_| {
            let words = "Countersign broke off over this. Look at `/access mine` whether it was done.";
            Callback::Say(Box::new(render::word(Tone::Fault, words)))
        });
        let call = Call {
            route: "POST callback",
            method: Method::POST,
            path: format!("/interactions/{id}/{}/callback", token.expose_secret()),
            body: wire::json(&callback).ok().map(Arc::new),
            bucket: format!("interaction {id}"),
            is_answer: true,
            is_idempotent: true,
            within: CALLBACK_MAX.saturating_sub(started.elapsed()).max(Duration::from_millis(500)),
        };
        let took = match self.discord.rest.call(&call).await {
            Ok(_) => true,
            Err(error) if error.is_code(ACKNOWLEDGED) => !matches!(callback, Callback::Say(_)),
            Err(error) => {
                tracing::warn!(%error, "Discord did not take our answer to an interaction");
                false
            }
        };
        // Nobody waits for this where nothing follows.
        let _ = delivered.send(took);
    }

    async fn work(
        self: Arc<Self>,
        heard: Heard,
        evidence: Option<Evidence>,
        first: oneshot::Sender<Callback>,
        delivered: oneshot::Receiver<bool>,
    ) {
        let came = Instant::now();
        let settings = &self.discord.settings;
        let (input, wrote) = match deed::of(&heard, &settings.guild, &settings.application) {
            Deed::Answer(callback) => {
                if heard.what == What::Other {
                    tracing::error!("an interaction came that we can't read; whoever did it was told so");
                }
                // Whoever does not wait any more needs no answer.
                let _ = first.send(*callback);
                return;
            }
            Deed::Suggest => {
                let choices = timeout(DEFER_AFTER, self.choices(&heard)).await.unwrap_or_default();
                let _ = first.send(Callback::Choices(choices));
                return;
            }
            Deed::Submit(input, wrote) => (input, wrote),
        };
        let user = heard.user.clone().unwrap_or_default();
        let inbound = Inbound {
            chat: Chat::Discord,
            account: format!("{}/{user}", settings.guild),
            channel: settings.channel_name(&heard.channel),
            message: heard.id.clone(),
            input,
            evidence,
        };
        let submitted = self.service.submit(inbound);
        tokio::pin!(submitted);
        let quick = timeout(DEFER_AFTER, &mut submitted).await.ok();
        let deferred = quick.is_none();
        let rendered = |reply: &Reply| render::reply(reply, wrote.as_deref(), &settings.mentions);
        // A sender that is gone tells nothing: try.
        let (reply, messages, delivered) = if let Some(reply) = quick {
            let mut messages = rendered(&reply).into_iter();
            let Some(message) = messages.next() else { return };
            let _ = first.send(Callback::Say(Box::new(message)));
            let delivered = delivered.await.unwrap_or(true);
            (reply, messages.collect(), delivered)
        } else {
            let _ = first.send(Callback::Defer);
            let delivered = delivered.await.unwrap_or(true);
            let reply = submitted.await;
            let messages: Vec<Message> = rendered(&reply);
            (reply, messages, delivered)
        };
        let sent = if delivered && came.elapsed() < TOKEN_GOOD_FOR {
            self.follow_up(&heard, messages, deferred).await
        } else {
            Err(RestError::Unreachable { why: "its token is not good any more", route: "POST follow-up" })
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "an answer could not be given where it was asked for; it goes as a direct message");
            self.tell_directly(&user, &reply).await;
        }
    }

    /// Sends what follows the first answer; it replaces the first if that only said that something will come.
    async fn follow_up(&self, heard: &Heard, messages: Vec<Message>, replace: bool) -> Result<(), RestError> {
        let base = format!("/webhooks/{}/{}", self.discord.settings.application, heard.token.expose_secret());
        for (at, message) in messages.into_iter().enumerate() {
            let (method, path, message) = if replace && at == 0 {
                (Method::PATCH, format!("{base}/messages/@original"), message.edit())
            } else {
                (Method::POST, base.clone(), message)
            };
            let call = Call {
                route: if replace && at == 0 { "PATCH answer" } else { "POST follow-up" },
                is_idempotent: method == Method::PATCH,
                method,
                path,
                body: wire::json(&message).ok().map(Arc::new),
                bucket: format!("interaction {}", heard.id),
                is_answer: true,
                within: CALL_MAX,
            };
            let mut tries = 0;
            while let Err(error) = self.discord.rest.call(&call).await {
                tries += 1;
                if !error.is_code(UNKNOWN_WEBHOOK) || tries >= ANSWER_TRIES {
                    return Err(error);
                }
                sleep(ANSWER_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Tells somebody what came of it where that is still possible. A credential stays unsaid: a direct message stays.
    async fn tell_directly(&self, user: &str, reply: &Reply) {
        let message = if reply.secret.is_empty() {
            render::reply(reply, None, &self.discord.settings.mentions).into_iter().next()
        } else {
            Some(render::word(
                Tone::Fault,
                "Your credential came too late to be shown. Press Show credential once more.",
            ))
        };
        let Some(message) = message else { return };
        if let Err(error) = self.discord.direct_message(user, Message { flags: None, ..message }).await {
            tracing::warn!(%error, "nor could it be sent as a direct message");
        }
    }

    async fn choices(&self, heard: &Heard) -> Vec<wire::Choice> {
        let (What::Typing { word, options, focused }, Some(user)) = (&heard.what, &heard.user) else {
            return Vec::new();
        };
        let account = format!("{}/{user}", self.discord.settings.guild);
        let word = word.as_deref().unwrap_or_default();
        let typing = suggest::Typing { account: &account, word, options };
        suggest::choices(self.service.as_ref(), &typing, focused.as_deref().unwrap_or_default()).await
    }
}
