//! The chats: one grammar for commands, one card for a request, and an adapter for each platform.
//!
//! Nothing here decides anything. An adapter hands what was typed or pressed to the [`Service`] and shows the
//! [`Reply`] to that one person; the service hands [`card::Card`]s and notices to the [`Adapter`], which makes the
//! messages look like them.

pub mod answer;
pub mod bulletin;
pub mod card;
mod channels;
pub mod discord;
pub mod draw;
pub mod form;
pub mod grammar;
pub mod notice;
pub mod playground;
pub mod slack;
pub mod text;

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::access::{Chat, RequestId, Span as Duration, Standing};
use card::{Button, Card, Line, Span};
pub use channels::Channels;

/// Something typed or pressed in a chat, before anybody has decided what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Where it came from.
    pub chat: Chat,
    /// The account that did it, in the platform's own id.
    pub account: String,
    /// The channel it was done in.
    pub channel: String,
    /// The platform's id of this very message or click: the same id twice is the same thing delivered twice.
    pub message: String,
    /// What was done.
    pub input: Input,
    /// The platform's signature over it, if it came with one.
    pub evidence: Option<Evidence>,
}

/// What a platform signed, exactly as it came: others can check that it delivered this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// When it was signed, as the platform writes it.
    pub timestamp: String,
    /// The signature, in hex.
    pub signature: String,
    /// The signed bytes, which are text.
    pub body: String,
}

/// What was done in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A line after `/access`, for example `prod-db 30m fixing INC-42`.
    Line(String),
    /// A form, or a command with fields of its own.
    Form(form::Form),
    /// A button, or the form behind it.
    Press {
        /// Whose card it was.
        request: RequestId,
        /// Which button.
        button: Button,
        /// What was written in the form behind the button, if it has one (a deny's reason, a comment).
        text: Option<String>,
    },
}

impl Input {
    /// What was done, in the words that are recorded.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Line(line) => line.clone(),
            Self::Form(form) => form.words(),
            Self::Press { request, button, text: Some(text) } => format!("{} {}: {text}", button.word(), request.0),
            Self::Press { request, button, text: None } => format!("{} {}", button.word(), request.0),
        }
    }
}

/// Something that people said to each other in the thread below a card, and not to us: it is recorded with the request,
/// decides nothing, and is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    /// Where it was said.
    pub chat: Chat,
    /// The account whose words they are, in the platform's own id.
    pub account: String,
    /// The platform's id of the message that the thread is below, as [`Adapter::put_card`] has it.
    pub card: String,
    /// The platform's id of what was said: it keeps it when it is changed.
    pub message: String,
    /// What became of it.
    pub turn: Turn,
}

/// What became of something that was said in a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It was said, in these words.
    Said(String),
    /// It was given other words.
    Changed {
        /// What names this very change, as the platform writes it: a message may be changed often.
        version: String,
        /// The other words.
        text: String,
    },
    /// It was deleted.
    Deleted,
}

/// The answer to the one person who typed or pressed; nobody else sees it.
#[derive(Debug)]
pub struct Reply {
    /// How to show it.
    pub tone: Tone,
    /// The answer, a line each.
    pub lines: Vec<Line>,
    /// A credential's parts (label, text): show once, to this person alone, keep nowhere.
    pub secret: Vec<(String, SecretString)>,
    /// Whether what was typed should stay in the input, so that it can be corrected and sent again.
    pub keep_input: bool,
}

/// How an answer is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It was done.
    Done,
    /// It was only asked about.
    Info,
    /// It was refused, and nothing changed.
    Refused,
    /// It could not be done now: a fault of ours or of the disk.
    Fault,
}

/// A message to one person, for example "your request was approved".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which request it is about.
    pub request: RequestId,
    /// What it says.
    pub lines: Vec<Line>,
    /// The buttons below it, for the same request.
    pub buttons: Vec<(Button, String)>,
}

/// Something that concerns a whole channel: changed rules, a report, a rule that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulletin {
    /// What it is about, in a few words.
    pub title: String,
    /// What it says.
    pub lines: Vec<Line>,
    /// Whether it is to be seen at once.
    pub loud: bool,
}

/// A message could not be posted; it will be tried again. The text is for the log and carries nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChatError(pub String);

/// The account of a principal on a platform, by the principal's name: for mentions.
pub type Mentions = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// One platform, as the engine sees it: it makes messages look like cards.
#[async_trait]
pub trait Adapter: Send + Sync {
    /// Which platform.
    fn chat(&self) -> Chat;
    /// Whether the platform forgets its messages when this process ends (the playground does): they are then posted
    /// again after a start.
    fn forgets(&self) -> bool;
    /// The platform's own channel behind a name of ours: two names may mean the same one, which then gets one card.
    fn channel(&self, name: &str) -> String {
        name.to_owned()
    }
    /// Makes the request's message in `channel` look like `card`, and writes what is new of its history below it where
    /// the platform has a place for that. `posted` is what stands there already, if anything does. Returns what stands
    /// there now. Idempotent.
    async fn put_card(&self, channel: &str, posted: Option<&Standing>, card: &Card) -> Result<Standing, ChatError>;
    /// Sends a direct message. `key` names this very notice: the same key twice is one message. Returns its id.
    async fn direct(&self, account: &str, key: &str, notice: &Notice) -> Result<String, ChatError>;
    /// Posts to a channel, the usual one if none is named. `key` names this very bulletin: the same key twice is one
    /// message. Returns its id.
    async fn post(&self, channel: Option<&str>, key: &str, bulletin: &Bulletin) -> Result<String, ChatError>;
}

/// What a platform says of us when it is asked, a sentence each. Nothing secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// What is as it should be, or good to know.
    pub found: Vec<String>,
    /// What is not, and what would mend it.
    pub lacking: Vec<String>,
}

/// Something that a person may ask for. It is offered, and not yet promised: what they ask is judged when they ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The resource.
    pub resource: String,
    /// What it is.
    pub description: String,
    /// The longest access, if they may ask for it.
    pub longest: Option<Duration>,
    /// The longest access by break-glass, if they may break the glass for it.
    pub glass: Option<Duration>,
}

/// What concerns one person now, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// What they hold, or what is being opened or shut for them.
    pub held: Vec<Card>,
    /// What waits for their decision or their review.
    pub waiting: Vec<Card>,
    /// What they asked for and nobody has decided yet.
    pub asked: Vec<Card>,
}

/// What an adapter may ask of the service behind it.
#[async_trait]
pub trait Service: Send + Sync {
    /// Does what was typed or pressed, and answers once it is durable.
    async fn submit(&self, inbound: Inbound) -> Reply;
    /// Records what was said in a thread, if that is below a card of ours. Whether all that is to be recorded is durable:
    /// if not, it is to be delivered again.
    async fn overheard(&self, talk: Talk) -> bool;
    /// What an account may ask for, sorted by name; nothing for strangers.
    async fn offers(&self, chat: Chat, account: &str) -> Vec<Offer>;
    /// What concerns the person behind an account; nothing for strangers.
    async fn overview(&self, chat: Chat, account: &str) -> Overview;
    /// The card of a request that is not over for long, if the account is somebody's.
    async fn card(&self, chat: Chat, account: &str, request: RequestId) -> Option<Card>;
    /// The newest entries and the signed head, for a running view. `most` entries at the most, newest last.
    async fn ledger(&self, most: usize) -> LedgerView;
    /// Checks the whole chain and says what was found, in words; the flag is whether all is well.
    async fn verify(&self) -> (bool, Vec<String>);
}

/// What a person sees of the ledger while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerView {
    /// The newest entries, newest last.
    pub entries: Vec<LedgerLine>,
    /// The signed head as a note: `origin\nsize\nroot\n\n— name signature\n`.
    pub head: String,
}

/// One entry in the running view. It carries no personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerLine {
    /// The entry's index.
    pub index: u64,
    /// When, RFC 3339 with microseconds.
    pub time: String,
    /// For example `access.requested`.
    pub kind: String,
    /// The entry's leaf hash, lowercase hex.
    pub leaf: String,
    /// The entry's line, exactly as it is hashed.
    pub line: String,
}

/// A line of one plain text.
#[must_use]
pub fn plain(text: impl Into<String>) -> Line {
    vec![Span::Text(text.into())]
}
