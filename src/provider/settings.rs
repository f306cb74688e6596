//! Reading a provider's settings: every mistake at once, never a secret echoed.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::Settings;

/// How alike two words must be for a "did you mean", from 0 to 1 (Jaro-Winkler).
const ALIKE_MIN: f64 = 0.8;
/// Longest text that a setting may have, in bytes.
const TEXT_MAX_BYTES: usize = 1024;
/// Most entries that a list in the settings may have.
const LIST_MAX_ENTRIES: usize = 64;

/// One mistake in the settings of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblem {
    /// The key it is about; `None` if it is about the table as a whole.
    pub key: Option<String>,
    /// What is wrong: lower case, no full stop, never the value itself.
    pub words: String,
    /// One way to mend it.
    pub hint: Option<String>,
}

/// The name among `known` that `word` was probably meant to be.
pub(super) fn did_you_mean<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(word, name), *name))
        .filter(|(likeness, _)| *likeness >= ALIKE_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Takes settings one by one and collects what is wrong with them.
pub(super) struct Reader<'a> {
    settings: &'a Settings,
    known: Vec<&'static str>,
    problems: Vec<SettingsProblem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, known: Vec::new(), problems: Vec::new() }
    }

    /// Notes a problem with `key`.
    pub(super) fn problem(&mut self, key: &str, words: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(SettingsProblem { key: Some(key.into()), words: words.into(), hint: Some(hint.into()) });
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.settings.get(key)
    }

    /// A text that may be left out.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        match value.as_str() {
            Some("") => self.problem(key, "is empty", "give it a value or leave the key out"),
            Some(text) if text.len() > TEXT_MAX_BYTES => {
                self.problem(key, format!("is longer than {TEXT_MAX_BYTES} bytes"), "shorten it");
            }
            Some(text) if text.chars().any(char::is_control) => {
                self.problem(key, "has a control character in it", "remove it");
            }
            Some(text) if holds_secret(text) => self.secret(key),
            Some(text) => return Some(text.to_owned()),
            None => self.wrong_type(key, value, "a text"),
        }
        None
    }

    /// A text that must be there.
    pub(super) fn needed_text(&mut self, key: &'static str, example: &str) -> Option<String> {
        if !self.settings.contains_key(key) {
            self.known.push(key);
            self.problem(key, "is missing", format!("add it, for example `{key} = \"{example}\"`"));
            return None;
        }
        self.text(key)
    }

    /// The name of an environment variable that holds a secret; it must be there.
    pub(super) fn needed_env_name(&mut self, key: &'static str, example: &str) -> Option<String> {
        if let Some(Value::String(text)) = self.settings.get(key)
            && !is_env_name(text)
        {
            self.known.push(key);
            self.problem(
                key,
                "is not the name of an environment variable",
                format!("put the secret into the environment and its name here, for example `{key} = \"{example}\"`"),
            );
            return None;
        }
        self.needed_text(key, example)
    }

    /// Where the admin URL is: the name of an environment variable, empty where it is in the file that comes second.
    pub(super) fn url(&mut self, example: &str) -> (String, Option<String>) {
        let url_file = self.text("url_file");
        if url_file.is_none() {
            return (self.needed_env_name("url_env", example).unwrap_or_default(), None);
        }
        let both = self.text("url_env");
        if both.is_some() {
            self.problem("url_file", "stands beside `url_env`", "keep the one that holds the URL");
        }
        (both.unwrap_or_default(), url_file)
    }

    /// A list of texts that may be left out, but not empty.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let value = self.value(key)?;
        let texts = value.as_array().and_then(|list| {
            list.iter().map(|entry| entry.as_str().map(ToOwned::to_owned)).collect::<Option<Vec<_>>>()
        });
        match texts {
            Some(texts) if texts.is_empty() => self.problem(key, "is empty", "name one or leave the key out"),
            Some(texts) if texts.len() > LIST_MAX_ENTRIES => {
                self.problem(key, format!("has more than {LIST_MAX_ENTRIES} entries"), "shorten it");
            }
            Some(texts) if texts.iter().any(|text| text.is_empty() || text.len() > TEXT_MAX_BYTES) => {
                self.problem(key, "has an entry that is empty or too long", "mend or remove it");
            }
            Some(texts) if texts.iter().any(|text| holds_secret(text)) => self.secret(key),
            Some(texts) => return Some(texts),
            None => self.wrong_type(key, value, "a list of texts"),
        }
        None
    }

    /// A table that may be left out.
    pub(super) fn table(&mut self, key: &'static str) -> Option<&'a Settings> {
        let value = self.value(key)?;
        if value.as_object().is_none() {
            self.wrong_type(key, value, "a table");
        }
        value.as_object()
    }

    /// Notes that a key that has to be there isn't.
    pub(super) fn need(&mut self, key: &'static str, example: &str) {
        if !self.settings.contains_key(key) {
            self.problem(key, "is missing", format!("add it, for example `{key} = {example}`"));
        }
    }

    /// A list of texts that must be there.
    pub(super) fn needed_texts(&mut self, key: &'static str, example: &str) -> Option<Vec<String>> {
        if !self.settings.contains_key(key) {
            self.known.push(key);
            self.problem(key, "is missing", format!("add it, for example `{key} = {example}`"));
            return None;
        }
        self.texts(key)
    }

    /// A yes or no that may be left out.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        if value.as_bool().is_none() {
            self.wrong_type(key, value, "`true` or `false`");
        }
        value.as_bool()
    }

    /// A whole number in `range` that may be left out.
    pub(super) fn number<N>(&mut self, key: &'static str, range: RangeInclusive<N>) -> Option<N>
    where
        N: TryFrom<i64> + PartialOrd + std::fmt::Display,
    {
        let value = self.value(key)?;
        let Some(number) = value.as_i64() else {
            self.wrong_type(key, value, "a whole number");
            return None;
        };
        let number = N::try_from(number).ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.problem(key, "is out of range", format!("choose a number from {least} to {most}"));
        }
        number
    }

    /// All problems, those of unknown keys included. Call it after every key was asked for.
    pub(super) fn finish(mut self) -> Vec<SettingsProblem> {
        for key in self.settings.keys().filter(|key| !self.known.contains(&key.as_str())) {
            let hint = match did_you_mean(key, &self.known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known are {}", listed(&self.known)),
            };
            self.problems.push(SettingsProblem {
                key: Some(key.clone()),
                words: "is not a setting of this provider".into(),
                hint: Some(hint),
            });
        }
        self.problems
    }

    fn wrong_type(&mut self, key: &str, value: &Value, wanted: &str) {
        let found = match value {
            Value::Null => "nothing",
            Value::Bool(_) => "`true` or `false`",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a table",
        };
        self.problem(key, format!("is {found}"), format!("it must be {wanted}"));
    }

    fn secret(&mut self, key: &str) {
        self.problem(
            key,
            "holds a secret",
            "secrets come from the environment or from files only; replace this one, it has been in a file",
        );
    }
}

/// `a`, `b` and so on, for people.
pub(super) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Whether it is a URL with a password in it, or a private key.
pub(super) fn holds_secret(text: &str) -> bool {
    let password_in_url = text
        .split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
        .and_then(|authority| authority.rsplit_once('@'))
        .is_some_and(|(user_info, _)| user_info.contains(':'));
    password_in_url || text.contains("PRIVATE KEY-----")
}

pub(super) fn is_env_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
