//! App Home: what one holds, what waits for one, what one has asked for.

use serde_json::{Value, json};

use super::{
    blocks::{Clocks, about, buttons, rich, small},
    limit,
    text::{plain, put},
};
use crate::chat::{
    Mentions, Overview,
    card::{Button, Card, Line, Span},
};

/// So many requests of each kind are shown; Slack allows 100 blocks, and a request takes two.
const SHOWN: usize = 14;

/// The whole tab.
#[must_use]
pub fn view(overview: &Overview, mentions: &Mentions) -> Value {
    let held = [Button::Show, Button::Extend, Button::Done];
    let waiting = [Button::Approve, Button::ApproveLess, Button::Deny, Button::ReviewOk, Button::ReviewConcern];
    let asked = [Button::Cancel];
    let mut blocks = vec![json!({ "type": "actions", "block_id": "home", "elements": [
        {
            "type": "button", "action_id": "ask", "value": "ask", "style": "primary",
            "text": plain("Ask for access…", limit::BUTTON), "accessibility_label": "Ask for access: opens a form",
        },
        {
            "type": "button", "action_id": "refresh", "value": "refresh", "text": plain("Refresh", limit::BUTTON),
            "accessibility_label": "Show this page as it is now",
        },
    ] })];
    let parts = [
        Part { name: "held", title: "What you hold", none: "Nothing now.", cards: &overview.held, meant: &held },
        Part {
            name: "waiting",
            title: "What waits for you",
            none: "Nothing now.",
            cards: &overview.waiting,
            meant: &waiting,
        },
        Part {
            name: "asked",
            title: "What you have asked for",
            none: "Nothing that is still undecided.",
            cards: &overview.asked,
            meant: &asked,
        },
    ];
    for part in parts {
        part.draw(&mut blocks, mentions);
    }
    json!({ "type": "home", "blocks": blocks })
}

/// One of the three lists.
struct Part<'a> {
    /// Its name in the blocks' ids: the same request may stand in two lists.
    name: &'static str,
    title: &'static str,
    none: &'static str,
    cards: &'a [Card],
    /// The buttons that belong here.
    meant: &'a [Button],
}

impl Part<'_> {
    fn draw(&self, blocks: &mut Vec<Value>, mentions: &Mentions) {
        blocks.push(json!({ "type": "header", "text": plain(self.title, limit::HEADER) }));
        if self.cards.is_empty() {
            blocks.push(small(self.none));
        }
        for card in self.cards.iter().take(SHOWN) {
            blocks.extend(rich(&lines(card), mentions, Clocks::Both, 1));
            let mine: Vec<_> = card.buttons.iter().filter(|(button, _)| self.meant.contains(button)).cloned().collect();
            if let Some(mut row) = buttons(card.request, &about(card), &mine, card.loud) {
                put(&mut row, "block_id", json!(format!("{}:{}", self.name, card.request.0)));
                blocks.push(row);
            }
        }
        if let more @ 1.. = self.cards.len().saturating_sub(SHOWN) {
            blocks.push(small(&format!("… and {more} more: `/access list` shows them.")));
        }
    }
}

fn lines(card: &Card) -> Vec<Line> {
    let id = Span::Code(card.request.to_string());
    let mut lines = vec![vec![id, Span::Text(" ".into()), Span::Strong(card.title.clone())], card.headline.clone()];
    lines.extend(card.fields.iter().filter(|field| ["Requester", "Reason"].contains(&field.label)).map(|field| {
        let mut line = vec![Span::Text(format!("{}: ", field.label))];
        line.extend(field.value.iter().cloned());
        line
    }));
    lines
}
