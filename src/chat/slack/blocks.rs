//! Lines as Block Kit: `rich_text` throughout, in which Slack reads no markup, so nothing in a person's words can become
//! a mention or a link.

use serde_json::{Value, json};

use super::{
    limit,
    text::{cut, fallback, pieces, plain, put},
};
use crate::{
    access::RequestId,
    chat::{
        Mentions,
        card::{Button, Card, Line, Span},
        draw,
        text::tidy,
    },
};

/// How Slack shows a moment in its reader's own clock.
const DATE_FORMAT: &str = "{date_short_pretty} at {time}";

/// A message's content: what notifications and screen readers get, and what is seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The whole message in a plain text, escaped.
    pub text: String,
    /// Its blocks.
    pub blocks: Vec<Value>,
}

/// Whether the moment in UTC stands beside the one in the reader's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// Both, for what somebody may have to agree upon with others.
    Both,
    /// Only the reader's, with UTC where Slack can't show it.
    Own,
}

/// The elements of a line.
#[must_use]
pub fn elements(line: &Line, mentions: &Mentions, clocks: Clocks) -> Vec<Value> {
    let mut elements = Vec::new();
    for span in line {
        match span {
            Span::Text(text) => push_text(&mut elements, text, None),
            Span::Code(text) => push_text(&mut elements, text, Some("code")),
            Span::Strong(text) => push_text(&mut elements, text, Some("bold")),
            Span::Time(at) => {
                let utc = draw::utc(*at);
                elements.push(json!({
                    "type": "date", "timestamp": at.timestamp(), "format": DATE_FORMAT, "fallback": utc,
                }));
                if clocks == Clocks::Both {
                    push_text(&mut elements, &format!(" ({utc})"), None);
                }
            }
            Span::Person(name) => match mentions(name).as_deref().and_then(|account| account.rsplit('/').next()) {
                Some(user) if is_user(user) => elements.push(json!({ "type": "user", "user_id": user })),
                Some(_) | None => push_text(&mut elements, name, Some("bold")),
            },
        }
    }
    elements
}

/// Whether a text is a Slack user's id.
#[must_use]
pub fn is_user(text: &str) -> bool {
    let rest = text.strip_prefix(['U', 'W']).unwrap_or_default();
    rest.len() >= 2 && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn push_text(elements: &mut Vec<Value>, text: &str, style: Option<&str>) {
    for piece in pieces(&tidy(text), limit::RICH_TEXT).into_iter().filter(|piece| !piece.is_empty()) {
        elements.push(match style {
            Some(style) => json!({ "type": "text", "text": piece, "style": { (style): true } }),
            None => json!({ "type": "text", "text": piece }),
        });
    }
}

fn length(element: &Value) -> usize {
    /// About what a mention or a date takes.
    const OTHER: usize = 30;
    element.get("text").and_then(Value::as_str).map_or(OTHER, |text| text.encode_utf16().count())
}

/// Lines as `rich_text` blocks, at most `most` of them; what does not fit is said to be missing.
#[must_use]
pub fn rich(lines: &[Line], mentions: &Mentions, clocks: Clocks, most: usize) -> Vec<Value> {
    let mut sections: Vec<Vec<Value>> = vec![Vec::new()];
    let mut room = limit::RICH_BLOCK;
    let mut taken = 0;
    'lines: for line in lines {
        let mut fresh = true;
        for element in elements(line, mentions, clocks) {
            let needed = length(&element);
            if needed > room && sections.last().is_some_and(|section| !section.is_empty()) {
                if sections.len() == most {
                    break 'lines;
                }
                sections.push(Vec::new());
                room = limit::RICH_BLOCK;
                fresh = true;
            }
            let Some(section) = sections.last_mut() else { break 'lines };
            if fresh && !section.is_empty() {
                section.push(json!({ "type": "text", "text": "\n" }));
            }
            fresh = false;
            section.push(element);
            room = room.saturating_sub(needed);
        }
        taken += 1;
    }
    if let (Some(section), more @ 1..) = (sections.last_mut(), lines.len().saturating_sub(taken)) {
        section.push(
            json!({ "type": "text", "text": format!("\n… and {more} more lines, which Slack has no room for.") }),
        );
    }
    sections.retain(|section| !section.is_empty());
    sections
        .into_iter()
        .map(|section| json!({ "type": "rich_text", "elements": [{ "type": "rich_text_section", "elements": section }] }))
        .collect()
}

/// Lines in one plain, escaped text.
#[must_use]
pub fn flat(lines: &[Line]) -> String {
    let all: Vec<String> = lines.iter().map(draw::flat).collect();
    fallback(&all.join("\n"), limit::MESSAGE_TEXT)
}

/// A line of small print. The words are ours: they hold nothing that a person wrote.
#[must_use]
pub fn small(words: &str) -> Value {
    json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": words, "verbatim": true }] })
}

/// A row of buttons of a request, or nothing if there are none. `about` is what it is for, in plain words.
#[must_use]
pub fn buttons(request: RequestId, about: &str, buttons: &[(Button, String)], loud: bool) -> Option<Value> {
    let elements: Vec<Value> =
        buttons.iter().map(|(which, label)| button(request, about, *which, label, loud)).collect();
    let block = json!({ "type": "actions", "block_id": format!("request:{}", request.0), "elements": elements });
    (!buttons.is_empty()).then_some(block)
}

fn button(request: RequestId, about: &str, which: Button, label: &str, loud: bool) -> Value {
    let said = cut(label.trim_end_matches('…'), limit::BUTTON).into_owned();
    let mut button = json!({
        "type": "button",
        "action_id": which.word(),
        // Only which request: who may do what is looked up at the click.
        "value": request.0.to_string(),
        "text": plain(label, limit::BUTTON),
        "accessibility_label": cut(&format!("{said}: {request}, {}", tidy(about)), limit::ACCESSIBILITY),
    });
    if let Some(style) = style(which) {
        put(&mut button, "style", json!(style));
    }
    if let Some((title, words, yes)) = doubt(which, loud) {
        let about = format!("{request}, {about}. {words}");
        let confirm = json!({
            "title": plain(title, limit::CONFIRM_TITLE),
            "text": plain(&about, limit::CONFIRM_TEXT),
            "confirm": plain(yes, limit::BUTTON),
            "deny": plain("Go back", limit::BUTTON),
            "style": if which == Button::Approve { "primary" } else { "danger" },
        });
        put(&mut button, "confirm", confirm);
    }
    button
}

fn style(which: Button) -> Option<&'static str> {
    match which {
        Button::Approve | Button::Show => Some("primary"),
        Button::Deny | Button::Revoke | Button::Cut => Some("danger"),
        Button::Cancel
        | Button::Done
        | Button::ApproveLess
        | Button::Extend
        | Button::ReviewOk
        | Button::ReviewConcern => None,
    }
}

/// What is asked once more before it is done: title, words, and the label of yes.
fn doubt(which: Button, loud: bool) -> Option<(&'static str, &'static str, &'static str)> {
    match which {
        Button::Cut => Some((
            "Cut this access now?",
            "Whoever holds it is thrown out at once, in the middle of what they do.",
            "Cut it",
        )),
        Button::Revoke => {
            Some(("End this access now?", "Whoever holds it is thrown out at once. You say why next.", "End it"))
        }
        Button::Approve if loud => {
            Some(("Approve this emergency access?", "It was opened before anybody approved it.", "Approve"))
        }
        Button::Done if loud => {
            Some(("Give this access back?", "It is closed at once, and still owes its review.", "Give it back"))
        }
        Button::Approve
        | Button::Deny
        | Button::Cancel
        | Button::Show
        | Button::Done
        | Button::ApproveLess
        | Button::Extend
        | Button::ReviewOk
        | Button::ReviewConcern => None,
    }
}

/// What a card is about, in a few plain words.
#[must_use]
pub fn about(card: &Card) -> String {
    tidy(&card.title).into_owned()
}
