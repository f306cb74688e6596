//! From the platform-free cards, notices, bulletins and answers to Discord's messages, each within Discord's limits.

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{
    Mentions, markdown,
    wire::{Component, Embed, Field, Footer, Look, Message, Row},
};
use crate::{
    access::RequestId,
    chat::{
        Bulletin, Notice, Reply, Tone, answer,
        card::{Button, Card, Line, Status, Step},
    },
};

// Lengths are UTF-16 code units; together they stay well under the 6,000 that one message may have.
const TITLE_MAX: usize = 240;
const HEADLINE_MAX: usize = 900;
const FIELD_MAX: usize = 600;
const REASON_MAX: usize = 1_000;
const PLAN_MAX: usize = 900;
const LABEL_MAX: usize = 78;
/// A button's label.
const BUTTON_MAX: usize = 80;
/// One embed's text.
const PAGE_MAX: usize = 3_800;
/// All embeds of one message.
const TOGETHER_MAX: usize = 5_500;
/// One line of an answer.
const LINE_MAX: usize = 1_500;
/// So many messages make an answer at the most.
const PAGES_MAX: usize = 5;
/// A message in a thread.
const HISTORY_MAX: usize = 1_900;
/// A thread's name.
const THREAD_NAME_MAX: usize = 100;
/// What one part of a credential may take within an embed's text.
const SECRET_MAX: usize = 4_000;
/// Buttons in a row.
const ROW_MAX: usize = 5;
/// Rows in a message.
const ROWS_MAX: usize = 5;

const BLURPLE: u32 = 0x0058_65F2;
const GREEN: u32 = 0x0024_8046;
const AMBER: u32 = 0x00F0_B232;
const RED: u32 = 0x00DA_373C;
const GREY: u32 = 0x0080_848E;

/// The button beside "Approve" that asks for a word with it.
pub const APPROVE_WITH_WORD: &str = "approve-note";

/// What a button's id says: the word and the request, never authority.
#[must_use]
pub fn button_id(word: &str, request: RequestId) -> String {
    format!("{word}:{}", request.0)
}

/// The request's card. `ping` is the role that is pinged by it when it is new.
#[must_use]
pub fn card(card: &Card, ping: Option<&str>, mentions: &Mentions) -> Message {
    let mut fields: Vec<Field> = card
        .fields
        .iter()
        .map(|field| {
            let most = if field.label == "Reason" { REASON_MAX } else { FIELD_MAX };
            let value = markdown::line(&field.value, mentions, most);
            labelled(field.label, value, matches!(field.label, "Requester" | "Resource" | "Duration"))
        })
        .collect();
    if !card.plan.is_empty() {
        let plan: Vec<String> = card.plan.iter().map(|step| format!("• {}", markdown::text(step, FIELD_MAX))).collect();
        fields.push(labelled("What will be done", joined(&plan, PLAN_MAX), false));
    }
    let embed = Embed {
        title: format!("{} {}", sign(card), markdown::text(&card.title, TITLE_MAX)),
        description: Zeroizing::new(markdown::line(&card.headline, mentions, HEADLINE_MAX)),
        color: colour(card),
        fields,
        footer: Some(Footer {
            text: format!("{} · entry {} · leaf {}…", card.request, card.request.0, card.proof)
        }),
    };
    let mut message = Message::of(vec![embed], rows(card.request, &card.buttons));
    if let Some(role) = ping {
        message.content = Zeroizing::new(format!("<@&{role}>"));
        message.allowed_mentions.roles = vec![role.to_owned()];
    }
    message
}

fn labelled(name: &str, value: String, inline: bool) -> Field {
    // Discord takes no empty value.
    let value = if value.trim().is_empty() { "—".to_owned() } else { value };
    Field { name: name.to_owned(), value, inline }
}

/// Lines of a limited length together; what has no room is counted.
fn joined(lines: &[String], units: usize) -> String {
    /// Room for saying how many are left out.
    const REST_UNITS: usize = 24;
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        let more = text.encode_utf16().count() + line.encode_utf16().count() + 1;
        if more > units.saturating_sub(REST_UNITS) && at > 0 {
            text = format!("{text}\n… and {} more", lines.len() - at);
            break;
        }
        if at > 0 {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

/// A picture of the state, for those who don't see colours.
fn sign(card: &Card) -> &'static str {
    match card.status {
        _ if card.loud => "🚨",
        Status::Requested => "⏳",
        Status::Scheduled => "📅",
        Status::Issuing | Status::Ending => "⚙️",
        Status::Live => "🔓",
        Status::Ended | Status::Extended => "🔒",
        Status::Denied => "❌",
        Status::Cancelled => "↩️",
        Status::Lapsed => "⌛",
        Status::Failed => "⚠️",
        Status::Owing => "🔎",
    }
}

fn colour(card: &Card) -> u32 {
    match card.status {
        _ if card.loud => RED,
        Status::Requested | Status::Scheduled => BLURPLE,
        Status::Issuing | Status::Ending | Status::Owing => AMBER,
        Status::Live => GREEN,
        Status::Denied | Status::Failed => RED,
        Status::Ended | Status::Extended | Status::Cancelled | Status::Lapsed => GREY,
    }
}

/// The buttons of a card, and one more beside "Approve".
fn rows(request: RequestId, buttons: &[(Button, String)]) -> Vec<Row> {
    let mut components = Vec::new();
    for (button, label) in buttons {
        let id = button_id(button.word(), request);
        components.push(Component::button(look(*button), markdown::bare(label, BUTTON_MAX), id));
        if *button == Button::Approve {
            let id = button_id(APPROVE_WITH_WORD, request);
            components.push(Component::button(Look::Secondary, "Approve with a comment…".into(), id));
        }
    }
    components.chunks(ROW_MAX).take(ROWS_MAX).map(|row| Row::of(row.to_vec())).collect()
}

fn look(button: Button) -> Look {
    match button {
        Button::Approve => Look::Success,
        Button::Deny | Button::Revoke | Button::Cut | Button::ReviewConcern => Look::Danger,
        Button::Show | Button::ReviewOk => Look::Primary,
        Button::Cancel | Button::Done | Button::ApproveLess | Button::Extend => Look::Secondary,
    }
}

/// What one person is told about a request. Nothing can be decided from a direct message, so it has no buttons but one
/// that leads to the card, if we know where that is.
#[must_use]
pub fn notice(notice: &Notice, card_url: Option<String>, mentions: &Mentions) -> Message {
    let lines: Vec<String> = notice.lines.iter().map(|line| markdown::line(line, mentions, LINE_MAX)).collect();
    let mut text = joined(&lines, PAGE_MAX);
    let mut components = Vec::new();
    match card_url {
        Some(url) => components.push(Row::of(vec![Component::link(format!("Open {}", notice.request), url)])),
        None if !notice.buttons.is_empty() => {
            let words = "Its card in the server has the buttons, and so has";
            text = format!("{text}\n{words} `/access show id:{}`.", notice.request.0);
        }
        None => {}
    }
    let embed = Embed { description: Zeroizing::new(text), color: BLURPLE, ..Embed::default() };
    Message::of(vec![embed], components)
}

/// Something that concerns a whole channel.
#[must_use]
pub fn bulletin(bulletin: &Bulletin, mentions: &Mentions) -> Message {
    let lines: Vec<String> = bulletin.lines.iter().map(|line| markdown::line(line, mentions, LINE_MAX)).collect();
    let embed = Embed {
        title: markdown::text(&bulletin.title, TITLE_MAX),
        description: Zeroizing::new(joined(&lines, PAGE_MAX)),
        color: if bulletin.loud { RED } else { BLURPLE },
        ..Embed::default()
    };
    Message::of(vec![embed], Vec::new())
}

/// The answer to one person, in as many messages as it takes: the first is the answer, the others follow it. `wrote` is
/// what they had written, given back where it was refused.
#[must_use]
pub fn reply(reply: &Reply, wrote: Option<&str>, mentions: &Mentions) -> Vec<Message> {
    let color = match reply.tone {
        Tone::Done => GREEN,
        Tone::Info => BLURPLE,
        Tone::Refused => AMBER,
        Tone::Fault => RED,
    };
    let mut lines: Vec<String> = reply.lines.iter().map(|line| markdown::line(line, mentions, LINE_MAX)).collect();
    if let (true, Some(wrote)) = (reply.keep_input, wrote.filter(|wrote| !wrote.trim().is_empty())) {
        lines.push(format!("-# You wrote: {}", markdown::text(wrote, LINE_MAX)));
    }
    let mut pages = paged(lines);
    if pages.len() > PAGES_MAX {
        pages.truncate(PAGES_MAX);
        if let Some(last) = pages.last_mut() {
            last.push_str("\n… There is more than fits here. `countersign log` has all of it.");
        }
    }
    let texts = pages.into_iter().map(|page| Embed { description: Zeroizing::new(page), color, ..Embed::default() });
    let secrets = reply.secret.iter().flat_map(|(label, text)| secret(label, text.expose_secret(), color));
    packed(texts.chain(secrets)).into_iter().map(|embeds| Message::of(embeds, Vec::new()).ephemeral()).collect()
}

/// Embeds in as few messages as take them.
fn packed(embeds: impl Iterator<Item = Embed>) -> Vec<Vec<Embed>> {
    let units = |embed: &Embed| embed.title.encode_utf16().count() + embed.description.encode_utf16().count();
    let mut messages: Vec<Vec<Embed>> = Vec::new();
    for embed in embeds {
        match messages.last_mut() {
            Some(message) if message.iter().map(units).sum::<usize>() + units(&embed) <= TOGETHER_MAX => {
                message.push(embed);
            }
            Some(_) | None => messages.push(vec![embed]),
        }
    }
    messages
}

/// Lines in pages.
fn paged(lines: Vec<String>) -> Vec<String> {
    let mut pages: Vec<String> = Vec::new();
    for line in lines {
        match pages.last_mut() {
            Some(page) if page.encode_utf16().count() + line.encode_utf16().count() < PAGE_MAX => {
                page.push('\n');
                page.push_str(&line);
            }
            Some(_) | None => pages.push(line),
        }
    }
    // Discord takes no empty message.
    if pages.iter().all(|page| page.trim().is_empty()) {
        return vec!["Done.".to_owned()];
    }
    pages
}

/// One part of a credential, exactly as it is.
fn secret(label: &str, text: &str, color: u32) -> Vec<Embed> {
    let mut embeds = Vec::new();
    let mut rest = text;
    loop {
        // Escapes can double what is in it, and a character is at most two code units.
        let most = if markdown::fenced(rest).is_some() { SECRET_MAX } else { SECRET_MAX / 2 };
        let at = rest.char_indices().map(|(at, _)| at).nth(most / 2).filter(|_| rest.encode_utf16().count() > most);
        let (piece, more) = rest.split_at(at.unwrap_or(rest.len()));
        let shown = markdown::fenced(piece).unwrap_or_else(|| markdown::literal(piece));
        let title =
            if embeds.is_empty() { markdown::text(label, TITLE_MAX) } else { "… goes on, without a break".into() };
        embeds.push(Embed { title, description: Zeroizing::new(shown), color, ..Embed::default() });
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    embeds
}

/// A plain word to one person.
#[must_use]
pub fn word(tone: Tone, text: &str) -> Message {
    let reply = Reply { tone, lines: vec![answer::marked(text)], secret: Vec::new(), keep_input: false };
    let mentions: Mentions = std::sync::Arc::new(|_| None);
    let first = self::reply(&reply, None, &mentions).into_iter().next();
    first.unwrap_or_else(|| Message::text("Done.".to_owned()).ephemeral())
}

/// The name of a card's thread.
#[must_use]
pub fn thread_name(card: &Card) -> String {
    markdown::bare(&format!("{} {}", card.request, card.title), THREAD_NAME_MAX)
}

/// The steps of a history after `told`, in as few messages as it takes, each with the index of its last step.
#[must_use]
pub fn history(steps: &[Step], told: u64, mentions: &Mentions) -> Vec<(u64, Message)> {
    let mut messages: Vec<(u64, String)> = Vec::new();
    for step in steps.iter().filter(|step| step.seq > told) {
        let what = markdown::line(&step.line, mentions, LINE_MAX);
        if what.is_empty() {
            continue;
        }
        let line = format!("<t:{}:T> {what}", step.at.timestamp());
        match messages.last_mut() {
            Some((last, text)) if text.encode_utf16().count() + line.encode_utf16().count() < HISTORY_MAX => {
                text.push('\n');
                text.push_str(&line);
                *last = step.seq;
            }
            Some(_) | None => messages.push((step.seq, line)),
        }
    }
    messages.into_iter().map(|(last, text)| (last, Message::text(text))).collect()
}

/// A line as a plain word, for choices and titles.
#[must_use]
pub fn label(line: &Line) -> String {
    markdown::bare_line(line, LABEL_MAX)
}
