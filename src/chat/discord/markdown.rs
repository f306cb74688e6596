//! Lines as Discord's Markdown. What people wrote is escaped: it is shown as it is, and formats, links and pings nothing.

use super::Mentions;
use crate::chat::{
    card::{Line, Span},
    draw,
    text::{one_line, tidy},
};

/// Stands for what was cut off.
const CUT: char = '…';

/// Text of a limited length, in UTF-16 code units: whatever Discord counts, it is not more.
struct Room {
    out: String,
    left: usize,
    full: bool,
}

impl Room {
    fn new(units: usize) -> Self {
        // The sign of a cut has its place.
        Self { out: String::new(), left: units.saturating_sub(1), full: false }
    }

    /// All of it, or the sign that something was cut.
    fn whole(&mut self, piece: &str) -> bool {
        let units = piece.encode_utf16().count();
        if self.full {
            return false;
        }
        if units > self.left {
            self.full = true;
            self.out.push(CUT);
            return false;
        }
        self.left -= units;
        self.out.push_str(piece);
        true
    }
}

/// A line, at most so many UTF-16 code units long; a longer one ends with `…`.
#[must_use]
pub fn line(line: &Line, mentions: &Mentions, units: usize) -> String {
    let mut room = Room::new(units);
    for span in line {
        match span {
            Span::Text(text) => escaped(&mut room, text, ""),
            Span::Strong(text) if !text.trim().is_empty() => bold(&mut room, text),
            Span::Strong(text) => escaped(&mut room, text, ""),
            Span::Code(text) => code(&mut room, text),
            Span::Time(at) => {
                let unix = at.timestamp();
                room.whole(&format!("<t:{unix}:f> (<t:{unix}:R>)"));
            }
            Span::Person(name) => match mentions(name).as_deref().and_then(user_of) {
                Some(user) => {
                    room.whole(&format!("<@{user}>"));
                }
                None => bold(&mut room, name),
            },
        }
    }
    room.out
}

/// A line without dress, for places without Markdown.
#[must_use]
pub fn bare(text: &str, units: usize) -> String {
    let mut room = Room::new(units);
    for c in one_line(text).chars() {
        if !room.whole(c.encode_utf8(&mut [0; 4])) {
            break;
        }
    }
    room.out
}

/// A line without dress where it was a line of spans.
#[must_use]
pub fn bare_line(line: &Line, units: usize) -> String {
    bare(&draw::flat(line), units)
}

/// Escaped text of a limited length.
#[must_use]
pub fn text(text: &str, units: usize) -> String {
    let mut room = Room::new(units);
    escaped(&mut room, text, "");
    room.out
}

/// The user's id in an account of ours.
fn user_of(account: &str) -> Option<&str> {
    let user = account.split_once('/').map_or(account, |(_, user)| user);
    (!user.is_empty() && user.bytes().all(|b| b.is_ascii_digit())).then_some(user)
}

fn bold(room: &mut Room, text: &str) {
    // Markdown wants no space at the inner side of the stars.
    let inner = text.trim();
    let (before, after) = text.split_once(inner).unwrap_or_default();
    escaped(room, before, "");
    escaped(room, inner, "**");
    escaped(room, after, "");
}

/// Escapes as it goes, so that a cut never falls into an escape; `dress` stands around it, cut or not.
fn escaped(room: &mut Room, text: &str, dress: &str) {
    if text.is_empty() || !room.whole(dress) {
        return;
    }
    // What closes the dress has its place, even if the text is cut.
    let kept = dress.encode_utf16().count();
    room.left = room.left.saturating_sub(kept);
    let mut at_start = room.out.is_empty() || room.out.ends_with('\n');
    for c in tidy(text).chars() {
        let special = matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '[' | ']' | '(' | ')' | '<' | '>');
        // What makes a heading, a list or a quotation does so at the start of a line only.
        let starts = at_start && matches!(c, '#' | '-' | '+' | '.');
        at_start = c == '\n' || (at_start && (c == ' ' || c.is_ascii_digit()));
        let mut both = [0; 5];
        let written = c.encode_utf8(&mut both).len();
        let piece = both.get(..written).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        let fits = if special || starts { room.whole(&format!("\\{piece}")) } else { room.whole(piece) };
        if !fits {
            break;
        }
    }
    room.left += kept;
    if room.full {
        room.out.push_str(dress);
    } else {
        room.whole(dress);
    }
}

/// Something to copy, on one line between backticks; a backtick within becomes one that ends nothing.
fn code(room: &mut Room, text: &str) {
    let shown = one_line(text).replace('`', "\u{02CB}");
    if shown.is_empty() || !room.whole("`") {
        return;
    }
    room.left = room.left.saturating_sub(1);
    for c in shown.chars() {
        if !room.whole(c.encode_utf8(&mut [0; 4])) {
            break;
        }
    }
    room.left += 1;
    if room.full {
        room.out.push('`');
    } else {
        room.whole("`");
    }
}

/// What is to be copied exactly, over several lines: a credential. `None` where a fence can't hold it.
#[must_use]
pub fn fenced(text: &str) -> Option<String> {
    (!text.contains("``")).then(|| format!("```\n{text}\n```"))
}

/// The same where a fence can't hold it: every mark is escaped, so that what is copied is what is meant.
#[must_use]
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
