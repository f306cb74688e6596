//! Where everything arrives that people do in Slack, whichever way it came: it is handed to the service, and the answer
//! goes back with the acknowledgement, or after it where the service takes longer than Slack waits.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::timeout};

use super::{
    api::{Fault, Method, Shared},
    backoff::Chance,
    blocks::Content,
    direct, home, message, modal,
    payload::{Direct, Form, Heard, Place, Stranger, What, read},
    post,
    talk::Said,
    text::put,
};
use crate::{
    access::{Chat, RequestId},
    chat::{Channels, Inbound, Input, Mentions, Reply, Service, Talk, Tone, card::Button, draw, form::field, grammar},
};

pub use super::payload::Kind;

/// Slack waits three seconds for an acknowledgement; this leaves it the way there and back.
const ACK_WITHIN: Duration = Duration::from_millis(2_400);
/// A form shows what it is about if that is known within this.
const GLANCE_MAX: Duration = Duration::from_millis(400);
/// Finished forms that are remembered, so that one that comes again is answered again.
const FINISHED_MAX: usize = 1_000;

/// What goes back with an acknowledgement.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// What it carries, where it may carry something.
    pub payload: Option<Value>,
    /// Whom to tell otherwise, if the payload is a message that can't go with it.
    place: Option<Place>,
    /// It could not be recorded: it is not to be acknowledged, so that Slack delivers it again.
    pub again: bool,
}

/// What all of them need.
pub struct Desk {
    /// The Web API.
    pub api: Shared,
    /// Random numbers.
    pub chance: Chance,
    /// The workspace.
    pub team: String,
    /// Our names for its channels.
    pub channels: Channels,
    /// Whom to mention.
    pub mentions: Mentions,
    /// Who decides.
    pub service: Arc<dyn Service>,
    /// Forms that are done with, and how they were answered: by view and version.
    pub finished: Mutex<VecDeque<(String, Value)>>,
    /// What was posted.
    pub(super) memory: Arc<Mutex<post::Memory>>,
}

impl Desk {
    /// Takes what Slack delivered and says what is to go back with the acknowledgement: within Slack's time, and also if
    /// something of ours breaks. `delivery` names it where nothing better does.
    pub async fn take(desk: &Arc<Self>, kind: Kind, payload: Value, delivery: &str) -> Answer {
        let heard = match read(kind, &payload, &desk.team, delivery) {
            Ok(heard) => heard,
            Err(stranger) => return refused(kind, stranger),
        };
        if let What::Talk(said) = heard.what {
            return Self::overhear(desk, *said).await;
        }
        let place = heard.place.clone();
        let is_command = kind == Kind::Command;
        let mut work = tokio::spawn(Arc::clone(desk).hear(heard));
        match timeout(ACK_WITHIN, &mut work).await {
            Ok(Ok(payload)) => Answer { payload, place: is_command.then_some(place), again: false },
            Ok(Err(_)) => {
                tracing::error!("something broke while Slack was being answered");
                let words = "Something broke in Countersign, and it may or may not have been done. `/access mine` shows \
                             what there is now.";
                if is_command {
                    let payload = Some(ephemeral(&message::words(words)));
                    return Answer { payload, place: Some(place), again: false };
                }
                desk.whisper(&place, &message::words(words)).await;
                Answer::default()
            }
            Err(_) => {
                // It goes on: what comes of it is told when it is there.
                tokio::spawn(Arc::clone(desk).afterwards(work, place.clone(), is_command));
                let payload = is_command.then(|| ephemeral(&message::words("Working on it…")));
                Answer { payload, place: is_command.then_some(place), again: false }
            }
        }
    }

    /// Has what was said in a thread recorded. Nobody is answered: whoever said it did not speak to us.
    async fn overhear(desk: &Arc<Self>, said: Said) -> Answer {
        let Said { user, card, message, turn } = said;
        let talk = Talk { chat: Chat::Slack, account: desk.account(&user), card, message, turn };
        let service = Arc::clone(&desk.service);
        // What takes too long goes on, and is known when Slack delivers it again.
        let work = tokio::spawn(async move { service.overheard(talk).await });
        let taken = matches!(timeout(ACK_WITHIN, work).await, Ok(Ok(true)));
        if !taken {
            tracing::warn!("what was said in a thread could not be recorded in time; Slack is to deliver it again");
        }
        Answer { again: !taken, ..Answer::default() }
    }

    async fn afterwards(self: Arc<Self>, work: JoinHandle<Option<Value>>, place: Place, is_command: bool) {
        match work.await {
            Ok(Some(payload)) if is_command => self.respond(&place, payload).await,
            Ok(_) => {}
            Err(_) => {
                tracing::error!("something broke while Slack was being answered");
                self.whisper(
                    &place,
                    &message::words("Something broke in Countersign. `/access mine` shows what there is now."),
                )
                .await;
            }
        }
    }

    /// Sends a message that was to go with an acknowledgement another way.
    pub async fn say_otherwise(&self, answer: Answer) {
        if let (Some(payload), Some(place)) = (answer.payload, answer.place) {
            self.respond(&place, payload).await;
        }
    }

    /// What somebody did, done; what goes back to them with the acknowledgement.
    async fn hear(self: Arc<Self>, heard: Heard) -> Option<Value> {
        let Heard { place, trigger, key, what } = heard;
        match what {
            What::Line(line) => {
                if let (Some(draft), Some(trigger)) = (grammar::draft(&line), &trigger) {
                    let asking = modal::Asking::of(draft, &place.channel);
                    tokio::spawn(Arc::clone(&self).form(place, trigger.clone(), asking));
                    return None;
                }
                let reply = self.submit(&place, key, Input::Line(line)).await;
                Some(ephemeral(&message::answer(&reply, &self.mentions)))
            }
            What::Press { request, button, home, direct } => {
                if let Some(direct) = direct {
                    self.met(&place, request, *direct);
                }
                let press = Press { request, button, home, key };
                Box::pin(self.press(place, trigger, press)).await;
                None
            }
            What::Ask => {
                let asking = modal::Asking::default();
                tokio::spawn(Arc::clone(&self).form(place, trigger?, asking));
                None
            }
            What::Refresh | What::Home => {
                self.home(&place.user).await;
                None
            }
            What::Chosen(form) => {
                self.chosen(&place, &form).await;
                None
            }
            What::Sent(form) => Some(self.sent(place, key, form).await),
            What::Search { query, glass } => {
                let offers = self.service.offers(Chat::Slack, &self.account(&place.user)).await;
                Some(modal::suggestions(&offers, glass, &query))
            }
            // Taken before it comes here.
            What::Talk(_) | What::Nothing => None,
        }
    }

    fn account(&self, user: &str) -> String {
        format!("{}/{user}", self.team)
    }

    async fn submit(&self, place: &Place, key: String, input: Input) -> Reply {
        let known = self.channels.named.iter().find(|(_, id)| **id == place.channel);
        let channel = known.map_or(&place.channel, |(name, _)| name).clone();
        let account = self.account(&place.user);
        self.service.submit(Inbound { chat: Chat::Slack, account, channel, message: key, input, evidence: None }).await
    }

    /// Opens a modal that says to wait, while its trigger lives; its id.
    async fn loading(&self, place: &Place, trigger: &str) -> Option<String> {
        let view = self.open(trigger, &modal::loading()).await;
        match view {
            Ok(view) => Some(view),
            // The same click delivered twice: its modal is open already.
            Err(fault) if fault.is("exchanged_trigger_id") => None,
            Err(fault) => {
                tracing::warn!(%fault, "a modal could not be opened");
                let words = "Slack did not open the window in time, and nothing was done. Please try again.";
                self.whisper(place, &message::words(words)).await;
                None
            }
        }
    }

    async fn open(&self, trigger: &str, view: &Value) -> Result<String, Fault> {
        let body = json!({ "trigger_id": trigger, "view": view });
        let answer = self.api.call(Method::OpenView, "", &body).await?;
        let id = answer.pointer("/view/id").and_then(Value::as_str).unwrap_or_default();
        Ok(id.to_owned())
    }

    async fn update(&self, view: &str, hash: Option<&str>, content: &Value) {
        let mut body = json!({ "view_id": view, "view": content });
        if let Some(hash) = hash.filter(|hash| !hash.is_empty()) {
            put(&mut body, "hash", json!(hash));
        }
        // Whoever has closed it does not want to see it.
        if let Err(fault) = self.api.call(Method::UpdateView, "", &body).await
            && !fault.is("not_found")
            && !fault.is("hash_conflict")
        {
            tracing::warn!(%fault, "a modal could not be filled in");
        }
    }

    /// The form to ask with: the window first, since its trigger dies, and then what is in it.
    async fn form(self: Arc<Self>, place: Place, trigger: String, asking: modal::Asking) {
        let Some(view) = self.loading(&place, &trigger).await else { return };
        let offers = self.service.offers(Chat::Slack, &self.account(&place.user)).await;
        self.update(&view, None, &modal::request(&asking, &offers)).await;
    }

    /// Another resource was chosen: other durations.
    async fn chosen(&self, place: &Place, form: &Form) {
        let offers = self.service.offers(Chat::Slack, &self.account(&place.user)).await;
        let value = |element| form.value(element).to_owned();
        let asking = modal::Asking {
            glass: form.glass(),
            resource: value(modal::input::RESOURCE),
            duration: value(modal::input::DURATION),
            reason: value(modal::input::REASON),
            channel: form.note("channel").to_owned(),
        };
        self.update(&form.view, Some(&form.hash), &modal::request(&asking, &offers)).await;
    }

    /// App Home as it is now.
    async fn home(&self, user: &str) {
        let overview = self.service.overview(Chat::Slack, &self.account(user)).await;
        let body = json!({ "user_id": user, "view": home::view(&overview, &self.mentions) });
        if let Err(fault) = self.api.call(Method::PublishView, user, &body).await {
            tracing::warn!(%fault, "App Home could not be drawn");
        }
    }

    /// Answers one person where they are: at the address that came with what they did, or else in the channel.
    pub async fn whisper(&self, place: &Place, content: &Content) {
        self.respond(place, ephemeral(content)).await;
    }

    async fn respond(&self, place: &Place, mut payload: Value) {
        if let Some(url) = &place.response_url {
            match self.api.respond(url, &payload).await {
                Ok(()) => return,
                Err(fault) => tracing::debug!(%fault, "an answer goes another way"),
            }
        }
        if let Some(object) = payload.as_object_mut() {
            object.remove("response_type");
            object.remove("replace_original");
            object.insert("user".into(), json!(place.user));
        }
        // Without a channel there is only the direct message.
        let method = if place.channel.is_empty() { Method::PostMessage } else { Method::PostEphemeral };
        let channel = if place.channel.is_empty() { &place.user } else { &place.channel };
        put(&mut payload, "channel", json!(channel));
        if let Err(fault) = self.api.call(method, channel, &payload).await {
            tracing::warn!(%fault, "somebody could not be answered");
        }
    }
}

/// A button that was pressed.
struct Press {
    request: RequestId,
    button: Button,
    home: bool,
    key: String,
}

impl Desk {
    async fn press(self: Arc<Self>, place: Place, trigger: Option<String>, press: Press) {
        let Press { request, button, home, key } = press;
        let input = Input::Press { request, button, text: None };
        if button.form().is_some() {
            let Some(trigger) = trigger else { return self.type_instead(&place, button, request).await };
            let account = self.account(&place.user);
            let card = timeout(GLANCE_MAX, self.service.card(Chat::Slack, &account, request)).await.ok().flatten();
            let Some(view) = modal::press(request, button, card.as_ref(), &place.channel, &self.mentions) else {
                return;
            };
            if let Err(fault) = self.open(&trigger, &view).await
                && !fault.is("exchanged_trigger_id")
            {
                tracing::warn!(%fault, "a form could not be opened");
                self.type_instead(&place, button, request).await;
            }
            if let Some(card) = card {
                tokio::spawn(async move { direct::retire(&self.api, &self.memory, &card, &self.mentions).await });
            }
            return;
        }
        // A credential is for a modal alone, which Slack does not keep; App Home has no other place for an answer.
        if button == Button::Show || home {
            let Some(trigger) = trigger else { return self.type_instead(&place, button, request).await };
            let Some(view) = self.loading(&place, &trigger).await else { return };
            let reply = self.submit(&place, key, input).await;
            self.update(&view, None, &modal::answer(&reply, &self.mentions)).await;
            if home {
                self.home(&place.user).await;
            }
            return;
        }
        let reply = self.submit(&place, key, input).await;
        // The click is done and may be acknowledged; who pressed is told a moment later.
        tokio::spawn(async move { self.told(&place, (request, button), reply).await });
    }

    /// Tells whoever pressed what came of it; if it came too late, also who was before them.
    async fn told(&self, place: &Place, (request, button): (RequestId, Button), mut reply: Reply) {
        let card = self.service.card(Chat::Slack, &self.account(&place.user), request).await;
        let late = card.as_ref().filter(|card| !card.buttons.iter().any(|(known, _)| *known == button));
        if reply.tone == Tone::Refused {
            reply.lines.extend(late.and_then(direct::decided));
        }
        self.whisper(place, &message::answer(&reply, &self.mentions)).await;
        if let Some(card) = card {
            direct::retire(&self.api, &self.memory, &card, &self.mentions).await;
        }
    }

    /// A button on a direct message was pressed, which a process before this one may have sent.
    fn met(&self, place: &Place, request: RequestId, direct: Direct) {
        let Direct { ts, text, blocks } = direct;
        let spot = post::Spot { channel: place.channel.clone(), ts };
        post::locked(&self.memory).directs.seen(request, spot, text, blocks);
    }

    /// Without a window there is still the command.
    async fn type_instead(&self, place: &Place, button: Button, request: RequestId) {
        let typed = typed(button, request);
        let words = format!("Slack did not open the window in time. Press again, or type `/access {typed}`.");
        self.whisper(place, &message::words(&words)).await;
    }

    /// A form was sent; what Slack is to do with it.
    async fn sent(self: Arc<Self>, mut place: Place, key: String, form: Form) -> Value {
        let once = format!("{}/{}", form.view, form.hash);
        let finished = || self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = finished().iter().find(|(known, _)| *known == once) {
            return answer.clone();
        }
        form.note("channel").clone_into(&mut place.channel);
        let (input, block) = match (form.callback.as_str(), form.press()) {
            (modal::REQUEST, _) => match asked(&form) {
                Ok(asked) => (Input::Form(asked), form.block(modal::input::REASON).to_owned()),
                Err((element, words)) => return errors(form.block(element), words),
            },
            (modal::PRESS, Some((request, button))) => {
                let words = form.value(modal::input::WORDS).trim();
                let text = (!words.is_empty()).then(|| words.to_owned());
                (Input::Press { request, button, text }, form.block(modal::input::WORDS).to_owned())
            }
            _ => return json!({ "response_action": "clear" }),
        };
        let desk = Arc::clone(&self);
        let view = form.view.clone();
        let mut work = tokio::spawn(async move { desk.submit(&place, key, input).await });
        match timeout(ACK_WITHIN.saturating_sub(Duration::from_millis(200)), &mut work).await {
            Ok(Ok(reply)) => match reply.tone {
                Tone::Refused | Tone::Fault => {
                    let words: Vec<String> = reply.lines.iter().map(draw::flat).collect();
                    errors(&block, &words.join(" "))
                }
                Tone::Done | Tone::Info => {
                    let answer = json!({ "response_action": "update", "view": modal::answer(&reply, &self.mentions) });
                    let mut finished = finished();
                    finished.push_back((once, answer.clone()));
                    if finished.len() > FINISHED_MAX {
                        finished.pop_front();
                    }
                    answer
                }
            },
            // The task that spawned this one says what broke.
            Ok(Err(_)) => {
                json!({ "response_action": "update", "view": modal::words("Something broke in Countersign. `/access mine` shows what there is now.") })
            }
            Err(_) => {
                tokio::spawn(async move {
                    let content = match work.await {
                        Ok(reply) => modal::answer(&reply, &self.mentions),
                        Err(_) => {
                            modal::words("Something broke in Countersign. `/access mine` shows what there is now.")
                        }
                    };
                    self.update(&view, None, &content).await;
                });
                json!({ "response_action": "update", "view": modal::words("Working on it…") })
            }
        }
    }
}

/// What a button's form would be typed as.
fn typed(button: Button, request: RequestId) -> String {
    let id = request.0;
    match button {
        Button::Deny => format!("deny {id} <reason>"),
        Button::Revoke | Button::Cut => format!("revoke {id} <reason>"),
        Button::ApproveLess => format!("approve {id} for 15m"),
        Button::Extend => format!("extend {id} 30m <reason>"),
        Button::ReviewOk => format!("review {id} ok <notes>"),
        Button::ReviewConcern => format!("review {id} concern <notes>"),
        Button::Approve => format!("approve {id}"),
        Button::Cancel => format!("cancel {id}"),
        Button::Done => format!("done {id}"),
        Button::Show => format!("show {id}"),
    }
}

/// A finished form as what it asks for, field by field.
fn asked(form: &Form) -> Result<crate::chat::form::Form, (&'static str, &'static str)> {
    use modal::input::{DURATION, REASON, RESOURCE, TICKET};
    let [resource, duration, reason, ticket] = [RESOURCE, DURATION, REASON, TICKET].map(|name| form.value(name).trim());
    if resource.is_empty() {
        return Err((RESOURCE, "Choose what you need."));
    }
    if duration.is_empty() {
        return Err((DURATION, "Choose for how long."));
    }
    if reason.is_empty() {
        return Err((REASON, "Say why."));
    }
    let word = if form.glass() { "break-glass" } else { "request" };
    let mut why = reason.to_owned();
    if !ticket.is_empty() && !reason.contains(ticket) {
        why.extend([" ", ticket]);
    }
    let fields = [(field::RESOURCE, resource.to_owned()), (field::DURATION, duration.to_owned()), (field::REASON, why)];
    Ok(crate::chat::form::Form::new(word, fields))
}

fn errors(block: &str, words: &str) -> Value {
    let words = super::text::cut(words, super::limit::INPUT_ERROR);
    json!({ "response_action": "errors", "errors": { (block): words } })
}

fn ephemeral(content: &Content) -> Value {
    json!({
        "response_type": "ephemeral",
        "replace_original": false,
        "text": content.text,
        "blocks": content.blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Who is no business of ours is told so, where Slack lets us, and nothing is done.
fn refused(kind: Kind, stranger: Stranger) -> Answer {
    // In a channel that is shared with others, they talk all day.
    if kind == Kind::Event {
        tracing::debug!(why = %stranger, "an event from Slack is none of ours");
    } else {
        tracing::warn!(why = %stranger, "something from Slack was refused");
    }
    let words = match stranger {
        Stranger::Team | Stranger::Enterprise => "Countersign does not serve this workspace.",
        Stranger::Outsider => "Countersign serves the people of its own workspace only.",
        Stranger::Nobody => "Slack does not say who you are, so nothing was done.",
    };
    let payload = (kind == Kind::Command).then(|| ephemeral(&message::words(words)));
    Answer { payload, place: None, again: false }
}
