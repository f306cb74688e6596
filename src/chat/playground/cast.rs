//! Who there is to be, and where they talk: what the config says of the chat.

use super::after_the_slash;

/// Where cards go if no channel was named.
const CHANNEL_DEFAULT: &str = "approvals";

/// Somebody to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persona {
    /// The principal's name, which is the account here.
    pub name: String,
    /// Who that is, in a line: "Database on-call, in dba".
    pub title: String,
}

/// The people and the places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    pub(super) people: Vec<Persona>,
    pub(super) channels: Vec<String>,
    pub(super) examples: Vec<String>,
}

impl Cast {
    /// These people and channels (without `#`; none is `approvals`). `examples` are lines to try after `/access`: the
    /// first is the placeholder, all are offered below the input.
    #[must_use]
    pub fn new(people: Vec<Persona>, channels: Vec<String>, examples: Vec<String>) -> Self {
        let mut channels: Vec<_> = channels.into_iter().map(|name| name.trim_start_matches('#').to_owned()).collect();
        if channels.is_empty() {
            channels.push(CHANNEL_DEFAULT.to_owned());
        }
        let examples = examples.into_iter().map(|line| after_the_slash(&line).to_owned()).collect();
        Self { people, channels, examples }
    }

    pub(super) fn has_channel(&self, name: &str) -> bool {
        self.channels.iter().any(|known| known == name)
    }

    /// Where things go that name no channel.
    pub(super) fn usual_channel(&self) -> &str {
        self.channels.first().map_or(CHANNEL_DEFAULT, String::as_str)
    }
}
