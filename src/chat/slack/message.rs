//! Cards, notices, bulletins and answers as messages of Slack. A picture of a state, and nothing else: no call is made
//! here, and the same card is always the same JSON.

use serde_json::{Value, json};

use super::{
    blocks::{Clocks, Content, about, buttons, elements, flat, rich, small},
    limit,
    text::{fallback, plain},
};
use crate::chat::{
    Bulletin, Mentions, Notice, Reply, Tone,
    card::{Card, Line, Span, Status, Step},
};

/// A request's card.
#[must_use]
pub fn card(card: &Card, mentions: &Mentions) -> Content {
    let mut blocks = vec![header(&format!("{} {}", mark(card), card.title))];
    blocks.push(facts(card, mentions));
    blocks.extend(plan(card));
    blocks.extend(buttons(card.request, &about(card), &card.buttons, card.loud));
    blocks.push(proof(card));
    Content { text: fallback(&card.summary, limit::MESSAGE_TEXT), blocks }
}

fn header(text: &str) -> Value {
    json!({ "type": "header", "text": plain(text, limit::HEADER) })
}

/// The state in a sentence, and the facts below it.
fn facts(card: &Card, mentions: &Mentions) -> Value {
    let mut sections = vec![section(&card.headline, mentions)];
    for field in &card.fields {
        let mut line: Line = vec![Span::Strong(format!("{}: ", field.label))];
        line.extend(field.value.iter().cloned());
        sections.push(section(&line, mentions));
    }
    // Sections of one block are run together.
    let mut elements: Vec<Value> = Vec::new();
    for (at, section) in sections.into_iter().enumerate() {
        if at > 0 {
            elements.push(json!({ "type": "text", "text": if at == 1 { "\n\n" } else { "\n" } }));
        }
        elements.extend(section);
    }
    json!({ "type": "rich_text", "elements": [{ "type": "rich_text_section", "elements": elements }] })
}

fn section(line: &Line, mentions: &Mentions) -> Vec<Value> {
    elements(line, mentions, Clocks::Both)
}

/// What exactly will be done, by the provider's own plan.
fn plan(card: &Card) -> Option<Value> {
    let nobody: Mentions = std::sync::Arc::new(|_| None);
    let item = |step: &String| json!({ "type": "rich_text_section", "elements": elements(&vec![Span::Text(step.clone())], &nobody, Clocks::Own) });
    let items: Vec<Value> = card.plan.iter().filter(|step| !step.trim().is_empty()).map(item).collect();
    let title = match card.status {
        Status::Requested | Status::Scheduled | Status::Issuing => "What exactly will be granted:",
        Status::Live | Status::Ending => "What exactly is granted:",
        Status::Ended | Status::Owing | Status::Extended => "What exactly was granted:",
        Status::Denied | Status::Cancelled | Status::Lapsed | Status::Failed => "What exactly was asked for:",
    };
    let block = json!({ "type": "rich_text", "elements": [
        { "type": "rich_text_section", "elements": [{ "type": "text", "text": title, "style": { "bold": true } }] },
        { "type": "rich_text_list", "style": "bullet", "elements": items },
    ] });
    (!items.is_empty()).then_some(block)
}

/// Where it stands in the ledger, and how anybody looks it up.
fn proof(card: &Card) -> Value {
    let id = card.request.0;
    let leaf: String = card.proof.chars().filter(char::is_ascii_hexdigit).collect();
    let leaf = if leaf.is_empty() { String::new() } else { format!(" · leaf `{leaf}`") };
    small(&format!("*#{id}* · ledger entry {id}{leaf} · `/access show {id}`"))
}

/// The picture before a card's title; its headline says the same in words.
fn mark(card: &Card) -> &'static str {
    match card.status {
        _ if card.loud => "🚨",
        Status::Requested => "⏳",
        Status::Scheduled => "📅",
        Status::Issuing => "⚙️",
        Status::Live => "🟢",
        Status::Ending => "🟠",
        Status::Ended => "⚪",
        Status::Denied => "⛔",
        Status::Cancelled => "↩️",
        Status::Lapsed => "⌛",
        Status::Failed => "🔴",
        Status::Owing => "🔎",
        Status::Extended => "➕",
    }
}

/// Steps of a request's history, for the thread of its card.
#[must_use]
pub fn history(card: &Card, steps: &[Step], mentions: &Mentions) -> Content {
    let said = |step: &Step| {
        let mut line: Line = vec![Span::Time(step.at), Span::Text(" ".into())];
        line.extend(step.line.iter().cloned());
        line.push(Span::Text(format!(" (entry {})", step.seq)));
        line
    };
    let lines: Vec<Line> = steps.iter().map(said).collect();
    let blocks = rich(&lines, mentions, Clocks::Own, limit::TEXT_BLOCKS);
    let mut text = vec![vec![Span::Text(format!("{}:", card.request))]];
    text.extend(lines);
    Content { text: flat(&text), blocks }
}

/// A direct message. `since` is what has become of it, if its buttons mean nothing any more.
#[must_use]
pub fn notice(notice: &Notice, mentions: &Mentions, since: Option<&Line>) -> Content {
    let mut lines = notice.lines.clone();
    lines.extend(since.map(self::since));
    let mut blocks = rich(&lines, mentions, Clocks::Both, limit::TEXT_BLOCKS);
    if since.is_none() {
        let about = notice.lines.first().map(crate::chat::draw::flat).unwrap_or_default();
        blocks.extend(buttons(notice.request, &about, &notice.buttons, false));
    }
    Content { text: flat(&lines), blocks }
}

/// What has become of something since a message was sent.
#[must_use]
pub fn since(since: &Line) -> Line {
    let mut line: Line = vec![Span::Strong("Since then: ".into())];
    line.extend(since.iter().cloned());
    line
}

/// Something that concerns a whole channel.
#[must_use]
pub fn bulletin(bulletin: &Bulletin, mentions: &Mentions) -> Content {
    let title = if bulletin.loud { format!("⚠️ {}", bulletin.title) } else { bulletin.title.clone() };
    let mut blocks = vec![header(&title)];
    blocks.extend(rich(&bulletin.lines, mentions, Clocks::Both, limit::TEXT_BLOCKS));
    let mut lines = vec![vec![Span::Text(title)]];
    lines.extend(bulletin.lines.iter().cloned());
    Content { text: flat(&lines), blocks }
}

/// An answer to one person. What is secret in it is left out: that is for a modal alone.
#[must_use]
pub fn answer(reply: &Reply, mentions: &Mentions) -> Content {
    let mut lines = reply.lines.clone();
    let mark = match reply.tone {
        Tone::Done => Some("✅ "),
        Tone::Info => None,
        Tone::Refused => Some("⛔ "),
        Tone::Fault => Some("⚠️ "),
    };
    if let (Some(mark), Some(first)) = (mark, lines.first_mut()) {
        first.insert(0, Span::Text(mark.to_owned()));
    }
    if lines.is_empty() {
        lines.push(vec![Span::Text("Done.".into())]);
    }
    Content { text: flat(&lines), blocks: rich(&lines, mentions, Clocks::Own, limit::TEXT_BLOCKS) }
}

/// A few words of ours to one person.
#[must_use]
pub fn words(words: &str) -> Content {
    let lines = [vec![Span::Text(words.to_owned())]];
    let nobody: Mentions = std::sync::Arc::new(|_| None);
    Content { text: flat(&lines), blocks: rich(&lines, &nobody, Clocks::Own, 1) }
}
