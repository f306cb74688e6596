//! Reads one line of a story from left to right, and knows where it is.

use crate::{
    access::Chat,
    config::{Problem, Source, nearest},
};

use super::{cast::Cast, story::Who};

/// A line that is being read.
pub struct Scan<'a> {
    source: &'a Source<'a>,
    /// Where the line starts in the source, bytes.
    base: usize,
    line: &'a str,
    /// How far it was read, bytes.
    at: usize,
}

/// A word and where it starts in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// The word.
    pub text: &'a str,
    /// Its first byte within the line.
    pub at: usize,
}

impl<'a> Scan<'a> {
    /// Reads `line`, which starts at byte `base` of the source.
    pub fn new(source: &'a Source<'a>, base: usize, line: &'a str) -> Self {
        Self { source, base, line, at: 0 }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or_default()
    }

    /// Where the next thing starts.
    pub fn here(&mut self) -> usize {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.at
    }

    /// Reads a text if it is next.
    pub fn eat(&mut self, text: &str) -> bool {
        self.here();
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Reads a word if it is next: followed by space, a colon, or nothing.
    pub fn eat_word(&mut self, text: &str) -> bool {
        let start = self.here();
        let found = self.word().is_some_and(|word| word.text == text);
        if !found {
            self.at = start;
        }
        found
    }

    /// The next word: up to a space, a colon or the end. `None` at the end and before a colon.
    pub fn word(&mut self) -> Option<Word<'a>> {
        let at = self.here();
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || c == ':').unwrap_or(rest.len());
        let text = rest.get(..end).filter(|text| !text.is_empty())?;
        self.at += end;
        Some(Word { text, at })
    }

    /// The next word up to a space: it may have colons in it.
    pub fn long_word(&mut self) -> Option<Word<'a>> {
        let at = self.here();
        let rest = self.rest();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let text = rest.get(..end).filter(|text| !text.is_empty())?;
        self.at += end;
        Some(Word { text, at })
    }

    /// All that is left, without the space around it.
    pub fn all(&mut self) -> Word<'a> {
        let at = self.here();
        let text = self.rest().trim_end();
        self.at = self.line.len();
        Word { text, at }
    }

    /// Nothing may be left.
    pub fn end(&mut self, hint: &str) -> Result<(), Problem> {
        let at = self.here();
        if self.rest().is_empty() { Ok(()) } else { Err(self.problem(at, "this is more than belongs here", hint)) }
    }

    /// What is wrong at a place of the line.
    pub fn problem(&self, at: usize, words: impl Into<String>, hint: impl Into<String>) -> Problem {
        self.source.problem(self.base + at, words, Some(hint.into()))
    }

    /// A word of which there are only some.
    pub fn one_of<T: Copy>(&self, word: Word<'_>, what: &str, known: &[(&str, T)]) -> Result<T, Problem> {
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == word.text) {
            return Ok(*value);
        }
        let names = known.iter().map(|(name, _)| *name);
        let words = format!("`{}` is no {what}", said(word.text));
        Err(self.problem(word.at, words, meant(word.text, names, |names| format!("there are {names}"))))
    }

    /// `#channel`.
    pub fn channel(&mut self, cast: &Cast) -> Result<String, Problem> {
        let at = self.here();
        if !self.eat("#") {
            return Err(self.problem(at, "a channel is missing", "channels are written `#approvals`"));
        }
        let name = self.word().map_or("", |word| word.text);
        if cast.channels.contains(name) {
            return Ok(name.to_owned());
        }
        let known = cast.channels.iter().map(String::as_str);
        let hint = meant(name, known, |names| format!("the config has {names}"));
        Err(self.problem(at, format!("there is no channel `#{}` in the config", said(name)), hint))
    }

    /// `@name`, somebody in the config.
    pub fn person(&mut self, cast: &Cast) -> Result<String, Problem> {
        let at = self.here();
        if !self.eat("@") {
            return Err(self.problem(at, "a person is missing", "people are written `@requester`"));
        }
        let whole = self.word().map_or("", |word| word.text);
        let name = whole.split(',').next().unwrap_or_default();
        self.at -= whole.len() - name.len();
        if cast.people.contains_key(name) {
            return Ok(name.to_owned());
        }
        let known = cast.people.keys().map(String::as_str);
        let hint = meant(name, known, |names| format!("`people.toml` has {names}"));
        Err(self.problem(at, format!("there is no person `{}` in the config", said(name)), hint))
    }

    /// The name of a platform after `on`.
    pub fn chat(&mut self) -> Result<Chat, Problem> {
        let known = super::chats::CHATS.map(|chat| (chat.word(), chat));
        let at = self.here();
        let Some(word) = self.word() else {
            return Err(self.problem(at, "a chat is missing", "there are playground, slack and discord"));
        };
        self.one_of(word, "chat", &known)
    }

    /// `@name`, with `on <chat>` and `in #channel` in any order.
    pub fn who(&mut self, cast: &Cast) -> Result<Who, Problem> {
        let at = self.here();
        let name = self.person(cast)?;
        let mut who = Who { name, chat: Chat::Playground, channel: None };
        loop {
            if self.eat_word("on") {
                who.chat = self.chat()?;
            } else if self.eat_word("in") {
                who.channel = Some(self.channel(cast)?);
            } else {
                break;
            }
        }
        let has = cast.people.get(&who.name).is_some_and(|chats| chats.contains(&who.chat));
        if !has {
            let words = format!("`{}` has no account on {}", who.name, who.chat.word());
            return Err(self.problem(at, words, format!("give them a `{}` id in `people.toml`", who.chat.word())));
        }
        Ok(who)
    }
}

/// "Did you mean", or else what there is.
pub fn meant<'k>(
    word: &str,
    known: impl Iterator<Item = &'k str> + Clone,
    or_else: impl Fn(String) -> String,
) -> String {
    const NAMED_MAX: usize = 12;
    if let Some(near) = nearest(word, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let mut names: Vec<&str> = known.clone().take(NAMED_MAX).collect();
    if known.count() > NAMED_MAX {
        names.push("…");
    }
    or_else(names.join(", "))
}

/// Somebody's word, short enough to be said back.
pub fn said(word: &str) -> String {
    const SAID_BACK_CHARS_MAX: usize = 40;
    let mut said: String = word.chars().filter(|c| *c != '`').take(SAID_BACK_CHARS_MAX).collect();
    if word.chars().count() > SAID_BACK_CHARS_MAX {
        said.push('…');
    }
    said
}
