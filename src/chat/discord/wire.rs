//! What is sent to Discord, in its own JSON. Every message closes `allowed_mentions`: nobody is pinged by what somebody
//! wrote.

use serde::Serialize;
use zeroize::Zeroizing;

/// Only who sees it that did something: an ephemeral message.
const FLAG_EPHEMERAL: u64 = 1 << 6;
/// No previews of links.
const FLAG_SUPPRESS_EMBEDS: u64 = 1 << 2;

/// A message, or an edit of one: every member is always there, so that an edit leaves nothing of what was before.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    /// Text above the embeds; empty for most.
    pub content: Zeroizing<String>,
    /// The boxes.
    pub embeds: Vec<Embed>,
    /// Rows of buttons.
    pub components: Vec<Row>,
    /// Who may be pinged by it.
    pub allowed_mentions: AllowedMentions,
    /// How it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<u64>,
    /// The same nonce within a few minutes is the same message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Whether that is so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enforce_nonce: bool,
}

impl Message {
    /// A message of embeds.
    #[must_use]
    pub fn of(embeds: Vec<Embed>, components: Vec<Row>) -> Self {
        Self {
            content: Zeroizing::default(),
            embeds,
            components,
            allowed_mentions: AllowedMentions::default(),
            flags: None,
            nonce: None,
            enforce_nonce: false,
        }
    }

    /// A message of text, in which links have no previews.
    #[must_use]
    pub fn text(content: String) -> Self {
        let content = Zeroizing::new(content);
        Self { content, flags: Some(FLAG_SUPPRESS_EMBEDS), ..Self::of(Vec::new(), Vec::new()) }
    }

    /// The same, seen by one person only.
    #[must_use]
    pub fn ephemeral(self) -> Self {
        Self { flags: Some(FLAG_EPHEMERAL), ..self }
    }

    /// The same, as an edit: how a message is shown was settled when it was sent.
    #[must_use]
    pub fn edit(self) -> Self {
        Self { flags: None, nonce: None, enforce_nonce: false, ..self }
    }

    /// The same, which is one message however often it is sent within a few minutes. At most 25 characters.
    #[must_use]
    pub fn once(self, nonce: String) -> Self {
        Self { nonce: Some(nonce), enforce_nonce: true, ..self }
    }
}

/// Who may be pinged: nobody, unless a role is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AllowedMentions {
    /// Kinds of mentions that ping; always none.
    pub parse: [&'static str; 0],
    /// Roles that are pinged where they are mentioned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

/// A box within a message.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Embed {
    /// Its title; plain text with Markdown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Its text. It may be a credential.
    #[serde(skip_serializing_if = "is_empty")]
    pub description: Zeroizing<String>,
    /// The colour at its side, 0xRRGGBB.
    pub color: u32,
    /// Labelled facts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The small print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<Footer>,
}

fn is_empty(text: &Zeroizing<String>) -> bool {
    text.is_empty()
}

/// A labelled fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// The label.
    pub name: String,
    /// The fact.
    pub value: String,
    /// Whether it may stand beside others.
    pub inline: bool,
}

/// The small print of an embed; plain text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Footer {
    /// What it says.
    pub text: String,
}

/// A row of buttons, or of one input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    #[serde(rename = "type")]
    kind: u8,
    components: Vec<Component>,
}

impl Row {
    /// A row of these; at most five buttons, or one input.
    #[must_use]
    pub fn of(components: Vec<Component>) -> Self {
        Self { kind: 1, components }
    }
}

/// A button or an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Component {
    /// A button that is told to us.
    Button {
        /// Always 2.
        #[serde(rename = "type")]
        kind: u8,
        /// How it looks.
        style: u8,
        /// What it says.
        label: String,
        /// What we are told.
        custom_id: String,
    },
    /// A button that opens an address.
    Link {
        /// Always 2.
        #[serde(rename = "type")]
        kind: u8,
        /// Always 5.
        style: u8,
        /// What it says.
        label: String,
        /// Where it leads.
        url: String,
    },
    /// A field of a form.
    Input(Input),
}

/// How a button looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Blurple.
    Primary,
    /// Grey.
    Secondary,
    /// Green.
    Success,
    /// Red.
    Danger,
}

impl Component {
    /// A button that is told to us by its id.
    #[must_use]
    pub fn button(look: Look, label: String, custom_id: String) -> Self {
        let style = match look {
            Look::Primary => 1,
            Look::Secondary => 2,
            Look::Success => 3,
            Look::Danger => 4,
        };
        Self::Button { kind: 2, style, label, custom_id }
    }

    /// A button that opens an address.
    #[must_use]
    pub fn link(label: String, url: String) -> Self {
        Self::Link { kind: 2, style: 5, label, url }
    }
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    #[serde(rename = "type")]
    kind: u8,
    custom_id: &'static str,
    style: u8,
    label: String,
    required: bool,
    max_length: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    placeholder: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
}

impl Input {
    /// A line.
    #[must_use]
    pub fn line(custom_id: &'static str, label: &str, max_length: u16) -> Self {
        Self::new(custom_id, label, 1, max_length)
    }

    /// Several lines.
    #[must_use]
    pub fn text(custom_id: &'static str, label: &str, max_length: u16) -> Self {
        Self::new(custom_id, label, 2, max_length)
    }

    fn new(custom_id: &'static str, label: &str, style: u8, max_length: u16) -> Self {
        let (label, placeholder, value) = (label.to_owned(), String::new(), String::new());
        Self { kind: 4, custom_id, style, label, required: true, max_length, placeholder, value }
    }

    /// The same with a word of help in it while it is empty.
    #[must_use]
    pub fn hint(self, placeholder: String) -> Self {
        Self { placeholder, ..self }
    }

    /// The same, which may stay empty.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    /// The same, filled in.
    #[must_use]
    pub fn filled(self, value: String) -> Self {
        Self { value, ..self }
    }
}

/// A form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Modal {
    /// What we are told when it is sent.
    pub custom_id: String,
    /// Its title; plain text.
    pub title: String,
    /// Its fields, a row each.
    pub components: Vec<Row>,
}

/// Something to choose while typing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What is shown.
    pub name: String,
    /// What is chosen.
    pub value: serde_json::Value,
}

/// The first answer to an interaction.
#[derive(Debug, Clone)]
pub enum Callback {
    /// To Discord's own question whether we are there.
    Pong,
    /// A message to the one person.
    Say(Box<Message>),
    /// A message will follow, to the one person.
    Defer,
    /// What may be chosen.
    Choices(Vec<Choice>),
    /// A form to fill in.
    Form(Modal),
}

impl Serialize for Callback {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<D> {
            r#type: u8,
            data: D,
        }
        #[derive(Serialize)]
        struct Bare {
            r#type: u8,
        }
        #[derive(Serialize)]
        struct Flags {
            flags: u64,
        }
        #[derive(Serialize)]
        struct Choices<'a> {
            choices: &'a [Choice],
        }
        match self {
            Self::Pong => Bare { r#type: 1 }.serialize(serializer),
            Self::Say(message) => Whole { r#type: 4, data: message }.serialize(serializer),
            Self::Defer => Whole { r#type: 5, data: Flags { flags: FLAG_EPHEMERAL } }.serialize(serializer),
            Self::Choices(choices) => Whole { r#type: 8, data: Choices { choices } }.serialize(serializer),
            Self::Form(modal) => Whole { r#type: 9, data: modal }.serialize(serializer),
        }
    }
}

/// JSON in memory that is wiped when it is dropped: there may be a credential in it.
///
/// # Errors
/// What can't be written, which is a fault of ours.
pub fn json(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    /// Room from the start, so that no part is left in room that became too small.
    const BYTES_USUAL: usize = 32 * 1024;
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_USUAL));
    serde_json::to_writer(&mut *bytes, value)?;
    Ok(bytes)
}
