//! What becomes of something done in Discord, whichever way it came: refused, a form, a choice, or handed to the service
//! and answered; at once if the answer is quick, else deferred and answered when it is there.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use super::{
    CALL_MAX, Discord, commands, forms,
    forms::Pressed,
    heard::{Heard, What},
    render,
    rest::{Call, RestError},
    suggest, wire,
    wire::{Callback, Message},
};
use crate::{
    access::Chat,
    chat::{Evidence, Inbound, Input, Reply, Service, Tone, card::Button},
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

/// What is to be done about something that was done.
enum Deed {
    /// Say this, and nothing else.
    Answer(Callback),
    /// Offer what may be chosen.
    Suggest,
    /// Ask the service; and what was written, to be given back if it is refused.
    Submit(Input, Option<String>),
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
        let (input, wrote) = match self.deed(&heard) {
            Deed::Answer(callback) => {
                // Whoever does not wait any more needs no answer.
                let _ = first.send(callback);
                return;
            }
            Deed::Suggest => {
                let choices = timeout(DEFER_AFTER, self.choices(&heard)).await.unwrap_or_default();
                let _ = first.send(Callback::Choices(choices));
                return;
            }
            Deed::Submit(input, wrote) => (input, wrote),
        };
        let settings = &self.discord.settings;
        let user = heard.user.clone().unwrap_or_default();
        let inbound = Inbound {
            chat: Chat::Discord,
            account: format!("{}/{user}", settings.guild),
            channel: (settings.channel_name)(&heard.channel),
            message: heard.id.clone(),
            input,
            evidence,
        };
        let submitted = self.service.submit(inbound);
        tokio::pin!(submitted);
        let quick = timeout(DEFER_AFTER, &mut submitted).await.ok();
        let deferred = quick.is_none();
        let (reply, delivered) = match quick {
            Some(reply) => {
                let mut messages = render::reply(&reply, wrote.as_deref(), &settings.mentions).into_iter();
                let Some(message) = messages.next() else { return };
                let _ = first.send(Callback::Say(Box::new(message)));
                // A sender that is gone tells nothing: try.
                (reply, delivered.await.unwrap_or(true))
            }
            None => {
                let _ = first.send(Callback::Defer);
                let delivered = delivered.await.unwrap_or(true);
                (submitted.await, delivered)
            }
        };
        let mut messages = render::reply(&reply, wrote.as_deref(), &settings.mentions);
        if !deferred && delivered {
            // The first of them was the answer itself.
            messages = messages.into_iter().skip(1).collect();
        }
        let sent = match (delivered && came.elapsed() < TOKEN_GOOD_FOR, deferred) {
            (true, deferred) => self.follow_up(&heard, messages, deferred).await,
            (false, _) => Err(RestError::Unreachable { why: "its token is not good any more", route: "POST follow-up" }),
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
            Some(render::word(Tone::Fault, "Your credential came too late to be shown. Press Show credential once more."))
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

    fn deed(&self, heard: &Heard) -> Deed {
        let settings = &self.discord.settings;
        let refuse = |words: &str| Deed::Answer(Callback::Say(Box::new(render::word(Tone::Refused, words))));
        if heard.what == What::Ping {
            return Deed::Answer(Callback::Pong);
        }
        let here = heard.guild.as_deref() == Some(settings.guild.as_str());
        let ours = heard.application.as_ref().is_none_or(|application| *application == settings.application);
        let is_typing = matches!(heard.what, What::Typing { .. });
        if is_typing && !(here && ours && heard.is_member) {
            return Deed::Answer(Callback::Choices(Vec::new()));
        }
        match heard.guild {
            _ if !ours => return refuse("This is for another application. Nothing was done."),
            None => {
                return refuse("A direct message carries no authority, so nothing was done. Do it in a channel of the server.");
            }
            Some(_) if !here => return refuse("Countersign serves another server. Nothing was done."),
            Some(_) if !heard.is_member || heard.user.is_none() => {
                return refuse("Discord does not say that you are a member of this server. Nothing was done.");
            }
            Some(_) => {}
        }
        match &heard.what {
            What::Ping => Deed::Answer(Callback::Pong),
            What::Typing { .. } => Deed::Suggest,
            What::Command { name, .. } if name != commands::ACCESS => refuse("Countersign has no such command. Try `/access help`."),
            What::Command { word, options, .. } => {
                let word = word.as_deref().unwrap_or("help");
                let of = |name: &str| options.get(name).map(|text| text.trim()).unwrap_or_default();
                let glass = word == "break-glass";
                if (glass || word == "request") && [commands::RESOURCE, commands::DURATION, commands::REASON].iter().any(|name| of(name).is_empty()) {
                    let reason = match of("from") {
                        "" => of(commands::REASON).to_owned(),
                        from => format!("from {from} {}", of(commands::REASON)),
                    };
                    return Deed::Answer(Callback::Form(forms::ask(glass, of(commands::RESOURCE), of(commands::DURATION), &reason)));
                }
                let line = commands::line(word, options);
                Deed::Submit(Input::Line(line.clone()), Some(line))
            }
            What::Press(id) => match forms::pressed(id) {
                Some(pressed) => match (forms::form(pressed), pressed) {
                    (Some(form), _) => Deed::Answer(Callback::Form(form)),
                    (None, Pressed::Button(button, request)) => {
                        Deed::Submit(Input::Press { request, button, text: None }, None)
                    }
                    (None, Pressed::ApproveWithWord(request)) => {
                        Deed::Submit(Input::Press { request, button: Button::Approve, text: None }, None)
                    }
                },
                None => refuse("Countersign does not know this button. Nothing was done."),
            },
            What::Form(id, fields) if id == forms::ASK || id == forms::ASK_GLASS => {
                let line = forms::asked(id == forms::ASK_GLASS, fields);
                Deed::Submit(Input::Line(line.clone()), Some(line))
            }
            What::Form(id, fields) => {
                let text = Some(forms::text_of(fields)).filter(|text| !text.is_empty());
                let (button, request) = match forms::pressed(id) {
                    Some(Pressed::Button(button, request)) => (button, request),
                    Some(Pressed::ApproveWithWord(request)) => (Button::Approve, request),
                    None => return refuse("Countersign does not know this form. Nothing was done."),
                };
                Deed::Submit(Input::Press { request, button, text: text.clone() }, text)
            }
            What::Other => {
                tracing::error!("an interaction came that we can't read; whoever did it was told so");
                refuse("Countersign can't read what Discord sent for this. Nothing was done; type the command instead.")
            }
        }
    }

    /// What somebody did, as the service would be asked: for holding a signed interaction against its entry.
    pub fn input_of(value: &Value) -> Option<Input> {
        let _ = value;
        None
    }
}
