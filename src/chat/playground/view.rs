//! Which part of the chat a page shows.

use super::Cast;

/// The view that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// A channel, by name.
    Channel(String),
    /// The direct messages.
    Direct,
    /// The ledger; it matters on narrow screens only, where it is not beside the chat.
    Ledger,
}

impl View {
    /// The view with this path, if the playground has it.
    pub fn from_path(path: &str, cast: &Cast) -> Option<Self> {
        match path {
            "direct" => Some(Self::Direct),
            "ledger" => Some(Self::Ledger),
            other => {
                let name = other.strip_prefix("c/")?;
                cast.channels.iter().find(|known| *known == name).map(|known| Self::Channel(known.clone()))
            }
        }
    }

    /// The first channel.
    pub fn home(cast: &Cast) -> Self {
        cast.channels.first().map_or(Self::Direct, |name| Self::Channel(name.clone()))
    }

    /// Its path below `/as/<person>/`, and its value in a form.
    pub fn path(&self) -> String {
        match self {
            Self::Channel(name) => format!("c/{name}"),
            Self::Direct => "direct".to_owned(),
            Self::Ledger => "ledger".to_owned(),
        }
    }

    /// The kind of view, for the style sheet.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Channel(_) => "channel",
            Self::Direct => "direct",
            Self::Ledger => "ledger",
        }
    }

    /// The channel in which something is done that is done in this view.
    pub fn channel(&self, cast: &Cast) -> String {
        match self {
            Self::Channel(name) => name.clone(),
            Self::Direct => "direct".to_owned(),
            Self::Ledger => cast.channels.first().cloned().unwrap_or_default(),
        }
    }
}
