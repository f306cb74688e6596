//! An interaction, read from its JSON by what we need of it and nothing else: a member that Discord adds, leaves out or
//! sends as `null` is no reason to leave somebody without an answer.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::Value;

/// Options or fields by name.
pub type Options = BTreeMap<String, String>;

/// Discord's tokens have about 200 characters.
const TOKEN_BYTES_MAX: usize = 1_024;
/// Components are nested, but never as deep as this.
const DEPTH_MAX: usize = 4;

/// Something done in Discord.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The interaction's id: names this very click.
    pub id: String,
    /// What it is answered with, for fifteen minutes; as part of an address.
    pub token: SecretString,
    /// Whose application it is for.
    pub application: Option<String>,
    /// The guild it was done in; none in a direct message.
    pub guild: Option<String>,
    /// The channel it was done in.
    pub channel: String,
    /// Who did it.
    pub user: Option<String>,
    /// Whether Discord says that they are a member of the guild.
    pub is_member: bool,
    /// What was done.
    pub what: What,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Discord asks whether we are there.
    Ping,
    /// A finished command.
    Command {
        /// The command.
        name: String,
        /// Its subcommand.
        word: Option<String>,
        /// What was filled in.
        options: Options,
    },
    /// A command that is being typed.
    Typing {
        /// Its subcommand.
        word: Option<String>,
        /// What is filled in so far.
        options: Options,
        /// The option that is being typed.
        focused: Option<String>,
    },
    /// A button, by its id.
    Press(String),
    /// A form that was sent, by its id, with its fields.
    Form(String, Options),
    /// Something else, or something that can't be read.
    Other,
}

/// Reads an interaction. `None` where not even an answer is possible: no id or no token.
#[must_use]
pub fn read(value: &Value) -> Option<Heard> {
    let text = |pointer: &str| value.pointer(pointer).and_then(text_of);
    let member = text("/member/user/id");
    Some(Heard {
        id: text("/id").filter(|id| id.bytes().all(|b| b.is_ascii_digit()))?,
        token: text("/token")
            .filter(|token| (1..=TOKEN_BYTES_MAX).contains(&token.len()))
            .map(|token| in_path(&token))?
            .into(),
        application: text("/application_id"),
        guild: text("/guild_id"),
        channel: text("/channel_id").or_else(|| text("/channel/id")).unwrap_or_default(),
        is_member: member.is_some(),
        user: member.or_else(|| text("/user/id")),
        what: what(value),
    })
}

/// A token becomes part of an address: what could end that part is escaped.
fn in_path(token: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b);
    token.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn what(value: &Value) -> What {
    let custom_id = || value.pointer("/data/custom_id").and_then(Value::as_str).map(str::to_owned);
    let command = || {
        let (word, list) = match value.pointer("/data/options/0") {
            Some(first) if first.get("type").and_then(Value::as_u64) == Some(1) => {
                (first.get("name").and_then(text_of), first.get("options"))
            }
            Some(_) | None => (None, value.pointer("/data/options")),
        };
        let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named = |option: &Value| option.get("name").and_then(text_of);
        let options: Options =
            list.iter().filter_map(|option| Some((named(option)?, option.get("value").and_then(text_of)?))).collect();
        let focused = list.iter().find(|option| option.get("focused") == Some(&Value::Bool(true)));
        (word, options, focused.and_then(named))
    };
    match value.get("type").and_then(Value::as_u64) {
        Some(1) => What::Ping,
        Some(2) => value.pointer("/data/name").and_then(text_of).map_or(What::Other, |name| {
            let (word, options, _) = command();
            What::Command { name, word, options }
        }),
        Some(3) => custom_id().map_or(What::Other, What::Press),
        Some(4) => {
            let (word, options, focused) = command();
            What::Typing { word, options, focused }
        }
        Some(5) => custom_id().map_or(What::Other, |id| {
            let mut fields = Options::new();
            if let Some(components) = value.pointer("/data/components") {
                gather(components, &mut fields, DEPTH_MAX);
            }
            What::Form(id, fields)
        }),
        Some(_) | None => What::Other,
    }
}

/// The fields of a form, in rows or in labels.
fn gather(components: &Value, fields: &mut Options, depth: usize) {
    let Some(deeper) = depth.checked_sub(1) else { return };
    let list = components.as_array().map_or_else(|| std::slice::from_ref(components), Vec::as_slice);
    for component in list {
        if let (Some(id), Some(value)) =
            (component.get("custom_id").and_then(text_of), component.get("value").and_then(text_of))
        {
            fields.insert(id, value);
        }
        for key in ["components", "component"] {
            if let Some(inner) = component.get(key) {
                gather(inner, fields, deeper);
            }
        }
    }
}

/// Ids are text or, in some libraries, numbers; values of options are either.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
