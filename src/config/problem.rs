//! What is wrong with a config: where, what, and what would mend it.

use std::fmt;

/// One mistake, with its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file's name within the folder.
    pub file: String,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong: lower case, no full stop.
    pub words: String,
    /// What would mend it.
    pub hint: Option<String>,
    /// The line's text, for the caret.
    pub source: Option<String>,
    /// Whether the config can be used all the same.
    pub warning: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning: " } else { "" };
        if self.line == 0 {
            write!(f, "{}: {kind}{}", self.file, self.words)?;
        } else {
            write!(f, "{}:{}:{}: {kind}{}", self.file, self.line, self.column, self.words)?;
        }
        if let Some(source) = &self.source {
            let number = self.line.to_string();
            let pad = " ".repeat(number.len());
            let caret = " ".repeat(self.column.saturating_sub(1));
            write!(f, "\n {pad} |\n {number} | {source}\n {pad} | {caret}^")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// The text of one file, which knows where an offset is.
pub struct Source<'a> {
    /// The file's name within the folder.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl Source<'_> {
    /// A problem at a byte offset.
    #[must_use]
    pub fn problem(&self, offset: usize, words: impl Into<String>, hint: Option<String>) -> Problem {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let source = self.text.lines().nth(line - 1).map(shown);
        Problem { file: self.file.into(), line, column, words: words.into(), hint, source, warning: false }
    }
}

/// A config's line, cut where a terminal would be flooded, without anything that moves the cursor.
fn shown(line: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 160;
    line.chars().take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The nearest of some known words, if one is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(candidate, word), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count() / 3 + 1)
        .min()
        .map(|(_, candidate)| candidate)
}
