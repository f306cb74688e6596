//! Text that people wrote, made fit to be shown: what can't be seen, or changes what is seen, becomes visible.
//!
//! Every chat shows user text through [`tidy`] or [`one_line`]. Nothing is removed, so that a reader sees that there
//! was something; nothing grows by more than two bytes a character, so that a limit still holds.

use std::borrow::Cow;

/// Stands for a character that has no picture of its own.
const STAND_IN: char = '\u{FFFD}';

/// Neutralises control, direction and zero-width characters; line feeds and tabs stay.
///
/// A C0 control becomes its control picture (`␛`), everything else that is invisible becomes `�`. `\r\n` is one line
/// feed.
#[must_use]
pub fn tidy(text: &str) -> Cow<'_, str> {
    rewrite(text, |c| matches!(c, '\n' | '\t'))
}

/// Like [`tidy`], for places that have one line: line feeds and tabs become pictures too (`␊`).
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    rewrite(text, |_| false)
}

fn rewrite(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(|c| keep(c) || !is_hidden(c)) {
        return Cow::Borrowed(text);
    }
    let mut fit = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\r' && chars.peek() == Some(&'\n') {
            continue;
        }
        fit.push(if keep(c) || !is_hidden(c) { c } else { picture(c) });
    }
    Cow::Owned(fit)
}

/// The visible stand-in for a hidden character.
fn picture(c: char) -> char {
    match u32::from(c) {
        code @ 0..=0x1F => char::from_u32(0x2400 + code).unwrap_or(STAND_IN),
        0x7F => '\u{2421}',
        _ => STAND_IN,
    }
}

/// Whether a character can't be seen, or changes how its neighbours are seen. Emoji presentation selectors
/// (U+FE00–U+FE0F) are let through: they only choose a picture.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers, Khmer inherent vowels.
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            // Mongolian selectors and separator.
            | '\u{180B}'..='\u{180F}'
            // Zero width, marks and line separators, embeddings and overrides, joiners, isolates.
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            // Hangul filler, byte order mark, halfwidth filler, interlinear annotations.
            | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            // Musical format controls, tags and supplementary selectors.
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests;
