//! What a story says, a statement a line.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{groups::Roster, world::Mood};
use crate::{
    access::{Chat, Span},
    config::Config,
};

/// A story that can be played.
#[derive(Debug, Clone)]
pub struct Story {
    /// Its file, as it was named.
    pub name: String,
    /// Its statements.
    pub steps: Vec<Step>,
}

/// A statement and where it stands.
#[derive(Debug, Clone)]
pub struct Step {
    /// The line, from 1.
    pub line: usize,
    /// The line's text, without the space around it.
    pub text: String,
    /// What it says.
    pub what: Statement,
}

/// A statement.
#[derive(Debug, Clone)]
pub enum Statement {
    /// `@name: /access …`
    Says {
        /// Who.
        who: Who,
        /// What comes after the colon.
        line: Words,
        /// `=> $name`: what the request is called from now on.
        names: Option<String>,
    },
    /// `@name presses Approve on $request`
    Presses {
        /// Who.
        who: Who,
        /// The button's label or word.
        button: String,
        /// On the card of which request.
        request: String,
        /// What is written in the form behind the button.
        text: Option<Words>,
        /// `=> $name`: what the request that comes of it is called from now on.
        names: Option<String>,
    },
    /// `@name writes below $request: …`: to people, in the thread of its card.
    Writes {
        /// Who.
        who: Who,
        /// Below whose card.
        request: String,
        /// What.
        words: Words,
    },
    /// `@name repeats`: the same message is delivered once more.
    Repeats {
        /// Whose message.
        name: String,
    },
    /// `after 31m`
    After(Span),
    /// `at 2026-11-21 02:00 Europe/Berlin`
    At(DateTime<Utc>, Tz),
    /// `at 02:00`: the next time it is that late.
    AtTime(NaiveTime, Tz),
    /// `restart`, `restart after 2d`: for how long it was away.
    Restart(Option<Span>),
    /// `reload stricter`: other rules hold from now on.
    Reload(Box<Config>),
    /// `clock is 2h behind`, `clock is 2h ahead`, `clock is right`: how far ahead of the truth the machine's clock is.
    Clock(TimeDelta),
    /// `group oncall is @second`: who is in a group whose people are kept elsewhere.
    Group {
        /// Which.
        name: String,
        /// Who is in it from now on.
        roster: Roster,
    },
    /// `provider prod-db fails`
    Provider {
        /// Of which resource.
        resource: String,
        /// How it is from now on.
        mood: Mood,
    },
    /// `expect …`, `expect no …`
    Expect {
        /// Whether it is expected not to be so.
        not: bool,
        /// What.
        what: Expectation,
    },
}

impl Statement {
    /// Whether it only looks.
    pub fn looks(&self) -> bool {
        match self {
            Self::Expect { .. } => true,
            Self::Says { .. }
            | Self::Presses { .. }
            | Self::Writes { .. }
            | Self::Repeats { .. }
            | Self::After(_)
            | Self::At(..)
            | Self::AtTime(..)
            | Self::Restart(_)
            | Self::Reload(_)
            | Self::Clock(_)
            | Self::Group { .. }
            | Self::Provider { .. } => false,
        }
    }
}

/// A person and where they speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The principal's name.
    pub name: String,
    /// On which platform.
    pub chat: Chat,
    /// In which channel; `None` is where cards go.
    pub channel: Option<String>,
}

/// What is to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// A card.
    Card {
        /// Of which request; `None` is any.
        request: Option<String>,
        /// In which channel; `None` is any.
        channel: Option<String>,
        /// On which platform; `None` is each where it stands.
        chat: Option<Chat>,
        /// What is on it.
        fragments: Vec<Words>,
    },
    /// What the last speaker was told.
    Told {
        /// In which tone.
        tone: Told,
        /// In which words.
        words: Words,
    },
    /// Where a grant is in its life.
    Grant {
        /// Of which request.
        request: String,
        /// One of [`super::picture::PHASES`], with its cause if one was named.
        phase: String,
        /// When it ends, in a time zone.
        until: Option<(NaiveTime, Tz)>,
    },
    /// A direct message since the last statement that did something.
    Notice {
        /// To whom.
        to: String,
        /// On which platform; `None` is any.
        chat: Option<Chat>,
        /// In which words; none is any.
        words: Words,
    },
    /// A bulletin since the last statement that did something.
    Bulletin {
        /// In which channel.
        channel: String,
        /// On which platform; `None` is any.
        chat: Option<Chat>,
        /// In which words; none is any.
        words: Words,
    },
    /// An entry of this kind since the last statement that did something.
    Entry(String),
    /// The whole chain verifies.
    Verify,
}

/// How somebody was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// `expect answer`: it was done, or it was only a question.
    Answer,
    /// `expect refusal`
    Refusal,
    /// `expect fault`: it could not be done.
    Fault,
}

impl Told {
    /// Its word in a story.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Refusal => "refusal",
            Self::Fault => "fault",
        }
    }
}

/// Text with the names of requests in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words(pub Vec<Piece>);

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// The id of a request, for example `#4`.
    Name(String),
}
