//! Text made fit for Slack. What people wrote goes into `plain_text` and `rich_text` elements, in which Slack reads no
//! markup; where a text is read as markup (the fallback of a message), [`escaped`] takes its meaning away.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::chat::text::{one_line, tidy};

/// A text as it may stand where Slack reads `mrkdwn`: no mention, no link, nothing hidden.
#[must_use]
pub fn escaped(text: &str) -> String {
    tidy(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// At most `most` UTF-16 units of a text, with `…` at the end if something is left out.
#[must_use]
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.encode_utf16().count() <= most {
        return Cow::Borrowed(text);
    }
    let mut left = most.saturating_sub(1);
    let fits = |c: &char| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        fits
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.push('…');
    Cow::Owned(short)
}

/// An escaped text of at most `most` units, never cut within an entity.
#[must_use]
pub fn fallback(text: &str, most: usize) -> String {
    let whole = escaped(text);
    if whole.encode_utf16().count() <= most {
        return whole;
    }
    let (mut short, mut left) = (String::new(), most.saturating_sub(1));
    for c in tidy(text).chars() {
        let piece = match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            c => c.to_string(),
        };
        let Some(rest) = left.checked_sub(piece.encode_utf16().count()) else { break };
        left = rest;
        short.push_str(&piece);
    }
    short.push('…');
    short
}

/// A `plain_text` object. Emoji names (`:fire:`) in it are not replaced by pictures.
#[must_use]
pub fn plain(text: &str, most: usize) -> Value {
    let text = one_line(text);
    // Slack refuses an empty one.
    let text = if text.trim().is_empty() { Cow::Borrowed("…") } else { cut(&text, most) };
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// Puts something into an object.
pub fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// A text in pieces of at most `most` units.
pub fn pieces(text: &str, most: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut room = most;
    for c in text.chars() {
        if c.len_utf16() > room {
            pieces.push(String::new());
            room = most;
        }
        room = room.saturating_sub(c.len_utf16());
        if let Some(last) = pieces.last_mut() {
            last.push(c);
        }
    }
    pieces
}

#[cfg(test)]
mod tests;
