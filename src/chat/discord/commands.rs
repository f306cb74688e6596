//! `/access` with a subcommand for each word of the grammar. Its options are the fields of [`form::field`].

use serde_json::{Value, json};

use crate::chat::{form::field, grammar::WORDS};

/// A description of a command or an option.
const DESCRIPTION_MAX: usize = 100;
/// A reason in an option; a longer one goes into the form.
const REASON_MAX: u32 = 4_000;
/// The longest word of a duration or a time.
const WORD_MAX: u32 = 30;
/// The longest name of a resource or a person.
const NAME_MAX: u32 = 100;
/// A subcommand.
const SUBCOMMAND: u8 = 1;
/// Text.
const STRING: u8 = 3;
/// A whole number.
const INTEGER: u8 = 4;

/// The name of the command.
pub const ACCESS: &str = "access";
pub use field::{DURATION, ID, REASON, RESOURCE};

/// All we register: one command, in the guild alone, and not in direct messages.
#[must_use]
pub fn all() -> Value {
    let options: Vec<Value> = WORDS.iter().map(|(word, _, what)| subcommand(word, what)).collect();
    json!([{
        "type": 1,
        "name": ACCESS,
        "description": "Ask for access, decide, and see what is open",
        "options": options,
        "contexts": [0],
        "integration_types": [0],
    }])
}

fn subcommand(word: &str, what: &str) -> Value {
    let mut text = what.replace('`', "");
    if let Some((before, _)) = text.split_once(", for example") {
        text = before.to_owned();
    }
    let description: String = text.chars().take(DESCRIPTION_MAX).collect();
    json!({ "type": SUBCOMMAND, "name": word, "description": description, "options": options(word) })
}

fn options(word: &str) -> Vec<Value> {
    let reason = |needed: bool| string(REASON, "Why", needed, REASON_MAX);
    match word {
        "request" => vec![
            resource(),
            duration(true),
            string(REASON, "What for; leave it out to write more in a form", false, REASON_MAX),
            string(field::FROM, "When it is to start, if not now: 02:00, or 2026-11-22T02:00", false, WORD_MAX),
        ],
        "break-glass" => vec![
            resource(),
            duration(true),
            string(REASON, "What for; leave it out to write more in a form", false, REASON_MAX),
        ],
        "extend" => vec![id(), duration(true), reason(true)],
        "show" | "done" | "cancel" => vec![id()],
        "approve" => vec![
            id(),
            string(field::FOR, "For less time than was asked: 15m", false, WORD_MAX),
            string(field::COMMENT, "A comment", false, REASON_MAX),
        ],
        "deny" | "revoke" => vec![id(), reason(true)],
        "review" => {
            let choices = json!([{ "name": "ok", "value": "ok" }, { "name": "concern", "value": "concern" }]);
            let mut finding = string(field::FINDING, "What you found", true, WORD_MAX);
            if let Some(option) = finding.as_object_mut() {
                option.remove("max_length");
                option.insert("choices".into(), choices);
            }
            vec![id(), finding, string(field::NOTES, "What happened", true, REASON_MAX)]
        }
        "allow" => vec![
            string(field::PERSON, "Who may ask, by name", true, NAME_MAX),
            resource(),
            duration(true),
            reason(true),
            string(field::WITHIN, "How long they may ask for it: 8h if you say nothing", false, WORD_MAX),
        ],
        "log" => vec![string(
            field::WORDS,
            "Words that all have to be in an entry; the newest if you say nothing",
            false,
            REASON_MAX,
        )],
        // `mine`, `list`, `verify`, `help`, and whatever word comes without a thing to say about it.
        _ => Vec::new(),
    }
}

fn string(name: &str, what: &str, required: bool, max_length: u32) -> Value {
    json!({ "type": STRING, "name": name, "description": what, "required": required, "max_length": max_length })
}

fn suggested(mut option: Value) -> Value {
    if let Some(option) = option.as_object_mut() {
        option.insert("autocomplete".into(), true.into());
    }
    option
}

fn resource() -> Value {
    suggested(string(RESOURCE, "Which resource", true, NAME_MAX))
}

fn duration(required: bool) -> Value {
    suggested(string(DURATION, "For how long: 30m, 1h30m, 1d", required, WORD_MAX))
}

fn id() -> Value {
    suggested(
        json!({ "type": INTEGER, "name": ID, "description": "Which request, by its number", "required": true, "min_value": 0 }),
    )
}

/// Whether what is registered does what we want: everything we say is there and the same. What Discord adds (ids, what
/// is usual) does not count, and neither does the order of members.
#[must_use]
pub fn same(wanted: &Value, registered: &Value) -> bool {
    match (wanted, registered) {
        (Value::Array(wanted), Value::Array(registered)) => {
            wanted.len() == registered.len() && wanted.iter().zip(registered).all(|(a, b)| same(a, b))
        }
        (Value::Object(wanted), Value::Object(registered)) => {
            let kept = wanted.iter().all(|(key, value)| {
                registered.get(key).map_or_else(|| is_usual(value), |registered| same(value, registered))
            });
            // An option that was taken away is still registered.
            let left = ["options", "choices", "autocomplete", "required", "max_length", "min_value"];
            kept && left.iter().all(|key| wanted.contains_key(*key) || registered.get(*key).is_none_or(is_usual))
        }
        (Value::Number(wanted), Value::Number(registered)) => wanted.as_f64() == registered.as_f64(),
        (wanted, registered) => wanted == registered,
    }
}

/// What Discord leaves out because it is so without being said.
fn is_usual(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
    }
}
