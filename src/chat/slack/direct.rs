//! Direct messages with buttons: they say what has become of their request once the buttons mean nothing any more.
//!
//! What this process has sent it remembers. What one before it has sent is known again when somebody presses a button on
//! it: Slack shows us the message then.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    Method,
    api::Api,
    blocks::{Clocks, Content, rich},
    message,
    post::Spot,
};
use crate::{
    access::RequestId,
    chat::{
        Mentions, Notice,
        card::{Button, Card, Line, Span, Status, Step},
        draw::flat,
    },
};

/// Requests whose direct messages are remembered.
const TOLD_MAX: usize = 5_000;

/// A direct message as it was sent.
#[derive(Debug, Clone)]
enum Sent {
    /// By this process.
    Notice(Notice),
    /// By one before it: its text and its blocks.
    Seen(String, Vec<Value>),
}

impl Sent {
    fn buttons(&self) -> Vec<Button> {
        match self {
            Self::Notice(notice) => notice.buttons.iter().map(|(button, _)| *button).collect(),
            Self::Seen(_, blocks) => {
                let elements = blocks.iter().filter_map(|block| block.get("elements")?.as_array()).flatten();
                let words = elements.filter_map(|element| element.get("action_id")?.as_str());
                words.filter_map(Button::from_word).collect()
            }
        }
    }

    /// As it is to look from now on.
    fn retired(&self, since: &Line, mentions: &Mentions) -> Content {
        match self {
            Self::Notice(notice) => message::notice(notice, mentions, Some(since)),
            Self::Seen(text, blocks) => {
                let mut blocks: Vec<Value> =
                    blocks.iter().filter(|block| block.get("type") != Some(&json!("actions"))).cloned().collect();
                let line = message::since(since);
                blocks.extend(rich(std::slice::from_ref(&line), mentions, Clocks::Both, 1));
                Content { text: format!("{text}\n{}", super::text::escaped(&flat(&line))), blocks }
            }
        }
    }
}

/// Direct messages whose buttons may still mean something, by request.
#[derive(Default)]
pub(super) struct Directs(HashMap<RequestId, Vec<(Spot, Sent)>>);

impl Directs {
    /// One was sent.
    pub fn sent(&mut self, spot: Spot, notice: &Notice) {
        self.note(notice.request, spot, Sent::Notice(notice.clone()));
    }

    /// A button was pressed on one that may be older than this process.
    pub fn seen(&mut self, request: RequestId, spot: Spot, text: String, blocks: Vec<Value>) {
        let known = self.0.get(&request).is_some_and(|sent| sent.iter().any(|(known, _)| *known == spot));
        if !known {
            self.note(request, spot, Sent::Seen(text, blocks));
        }
    }

    fn note(&mut self, request: RequestId, spot: Spot, sent: Sent) {
        if self.0.len() >= TOLD_MAX {
            self.0.clear();
        }
        self.0.entry(request).or_default().push((spot, sent));
    }

    /// Takes those out whose buttons mean nothing any more, as they are to look.
    fn retire(&mut self, card: &Card, mentions: &Mentions) -> Vec<(Spot, Content)> {
        let Some(sent) = self.0.remove(&card.request) else { return Vec::new() };
        let means = |sent: &Sent| sent.buttons().iter().any(|one| card.buttons.iter().any(|(known, _)| known == one));
        let (kept, over): (Vec<_>, Vec<_>) = sent.into_iter().partition(|(_, sent)| means(sent));
        if !kept.is_empty() {
            self.0.insert(card.request, kept);
        }
        let since = became(card);
        over.into_iter().map(|(spot, sent)| (spot, sent.retired(&since, mentions))).collect()
    }
}

/// What has become of a request, and who decided it.
fn became(card: &Card) -> Line {
    let mut line = card.headline.clone();
    if let Some(by) = decided(card).filter(|_| !line.iter().any(|span| matches!(span, Span::Person(_)))) {
        line.push(Span::Text("; ".into()));
        line.extend(by);
    }
    line
}

/// The newest decision about a request, in words: by whom. Nobody decided what lapsed.
pub(super) fn decided(card: &Card) -> Option<Line> {
    // A sentence that begins with a person is no decision: somebody took a credential, or took their approval back.
    let by = |step: &&Step| step.line.iter().position(|span| matches!(span, Span::Person(_))).is_some_and(|at| at > 0);
    // The first step says who asked.
    let newest = card.history.iter().skip(1).rfind(by);
    newest.filter(|_| card.status != Status::Lapsed).map(|step| step.line.clone())
}

/// Direct messages of a request whose buttons mean nothing any more say what has become of it.
pub(super) async fn retire(
    api: &Api,
    memory: &std::sync::Mutex<super::post::Memory>,
    card: &Card,
    mentions: &Mentions,
) {
    let over = super::post::locked(memory).directs.retire(card, mentions);
    for (spot, content) in over {
        let body = json!({ "channel": spot.channel, "ts": spot.ts, "text": content.text, "blocks": content.blocks });
        if let Err(fault) = api.call(Method::Update, &spot.channel, &body).await {
            tracing::debug!(%fault, "a direct message keeps its buttons, which do nothing");
        }
    }
}
