//! What the chats ask of the engine.

use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::{Setup, Shared, job::Job};
use crate::{
    access::{Action, Chat, Message, RequestId, Talk, Turn, Via},
    chat::{
        self, Inbound, Input, LedgerView, Offer, Overview, Reply, Service, Tone, answer, card::Card, grammar, text,
    },
};

/// Messages are recorded whole up to this length.
const TEXT_RECORDED_BYTES_MAX: usize = 128 * 1024;
/// What is said in a thread is recorded whole up to this length: it is nobody's command, and there is more of it.
const TALK_RECORDED_BYTES_MAX: usize = 16 * 1024;
/// A message's key: the first digits of a SHA-256.
const KEY_HEX_DIGITS: usize = 32;

/// A handle on the running engine.
pub struct Handle {
    pub(super) setup: Arc<Setup>,
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: mpsc::Sender<Job>,
}

impl Handle {
    pub(super) fn new(setup: Arc<Setup>, shared: Arc<Shared>, jobs: mpsc::Sender<Job>) -> Self {
        Self { setup, shared, jobs }
    }

    /// A window on the ledger.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The message as the core takes it.
    fn message(&self, inbound: Inbound) -> Message {
        let Inbound { chat, account, channel, message, input, evidence } = inbound;
        let (via, text) = (via(&input), input.words());
        let input = match input {
            Input::Line(line) => Input::Line(text::tidy(&line).into_owned()),
            Input::Form(mut form) => {
                for value in form.fields.values_mut() {
                    *value = text::tidy(value).into_owned();
                }
                Input::Form(form)
            }
            Input::Press { request, button, text } => {
                Input::Press { request, button, text: text.map(|text| text::tidy(&text).into_owned()) }
            }
        };
        let mut action = grammar::read(&input);
        if let Ok(Action::Request { resource, plan, .. } | Action::BreakGlass { resource, plan, .. }) = &mut action
            && let Some(known) = self.setup.book.rules().resource(resource)
        {
            *plan = self.setup.doors.plan(resource, &known.target);
        }
        let key = message_key(chat, &account, &message);
        let evidence = evidence.map(|signed| format!("{}\n{}\n{}", signed.timestamp, signed.signature, signed.body));
        Message { chat, account, channel, key, via, text: recorded_words(text), evidence, action }
    }
}

/// What names a message in the ledger.
#[must_use]
pub fn message_key(chat: Chat, account: &str, message: &str) -> String {
    let mut hash = Sha256::new();
    for part in [chat.word(), account, message] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize()).chars().take(KEY_HEX_DIGITS).collect()
}

/// Typed or pressed.
#[must_use]
pub fn via(input: &Input) -> Via {
    match input {
        Input::Line(_) => Via::Line,
        Input::Form(form) => form.behind.map_or(Via::Line, |_| Via::Press),
        Input::Press { .. } => Via::Press,
    }
}

/// The words as they are recorded: whole, unless they are longer than anything a person would write; then their start,
/// their length and their hash, so that the rest can still be held against it.
#[must_use]
pub fn recorded_words(text: String) -> String {
    shortened(text, TEXT_RECORDED_BYTES_MAX)
}

fn shortened(text: String, most_bytes: usize) -> String {
    if text.len() <= most_bytes {
        return text;
    }
    let mut start = text.clone();
    start.truncate(text.floor_char_boundary(most_bytes));
    format!("{start}… ({} bytes in all, SHA-256 {})", text.len(), hex::encode(Sha256::digest(&text)))
}

/// What was said in a thread, as the core takes it.
fn talk(talk: chat::Talk) -> Talk {
    let chat::Talk { chat, account, card, message, turn } = talk;
    // No message of anybody's is named like this: two parts of an id of ours, and no id of a platform's has a line feed.
    let key = |version: &str| message_key(chat, &account, &format!("thread\n{card}\n{message}\n{version}"));
    let said = key("");
    let (turn, key, of, text) = match turn {
        chat::Turn::Said(text) => (Turn::Said, said, None, text),
        chat::Turn::Changed { version, text } => (Turn::Changed, key(&format!("changed\n{version}")), Some(said), text),
        chat::Turn::Deleted => (Turn::Deleted, key("deleted"), Some(said), String::new()),
    };
    Talk { chat, account, card, key, of, turn, text: shortened(text, TALK_RECORDED_BYTES_MAX) }
}

#[async_trait]
impl Service for Handle {
    async fn submit(&self, inbound: Inbound) -> Reply {
        let errand = self.shared.errand();
        self.setup.book.rules().refresh(self.setup.clock.now()).await;
        let (reply, answered) = oneshot::channel();
        let message = Box::new(self.message(inbound));
        let queued = self.jobs.try_send(Job::Message { message, reply });
        drop(errand);
        match queued {
            Ok(()) => answered.await.unwrap_or_else(|_| answer::stopped()),
            Err(mpsc::error::TrySendError::Full(_)) => answer::busy(),
            Err(mpsc::error::TrySendError::Closed(_)) => answer::stopping(),
        }
    }

    async fn overheard(&self, overheard: chat::Talk) -> bool {
        // Who is in which group does not matter to it: nobody's source is asked, and nothing waits for one.
        let errand = self.shared.errand();
        let (reply, answered) = oneshot::channel();
        let queued = self.jobs.try_send(Job::Talk { talk: Box::new(talk(overheard)), reply });
        drop(errand);
        // Whatever is in the way is told as a fault, as it would be to somebody who waits for an answer.
        queued.is_ok() && answered.await.is_ok_and(|reply| reply.tone != Tone::Fault)
    }

    async fn offers(&self, chat: Chat, account: &str) -> Vec<Offer> {
        self.offered(chat, account).await
    }

    async fn overview(&self, chat: Chat, account: &str) -> Overview {
        self.overviewed(chat, account).await
    }

    async fn card(&self, chat: Chat, account: &str, request: RequestId) -> Option<Card> {
        self.card_of(chat, account, request).await
    }

    async fn ledger(&self, most: usize) -> LedgerView {
        self.shared.view(most).await
    }

    async fn verify(&self) -> (bool, Vec<String>) {
        self.shared.verify().await
    }
}
