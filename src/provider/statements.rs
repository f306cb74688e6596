//! Statements that the operator gives, with places for values in them: the convention that Vault's users know.
//!
//! What is put in can't end a word it stands in: a name is of `[a-z0-9_]`, a moment has digits, `-`, `:`, `+` and
//! spaces, and a password is base62 or a `SCRAM` verifier, in which there is no quote either.

use chrono::{DateTime, Utc};

use super::{ProviderError, settings::Reader};

/// What may stand between `{{` and `}}`; the second name of the name is from Vault's older days.
const PLACES: [&str; 4] = ["name", "username", "password", "expiration"];

/// One list of statements.
#[derive(Debug, Clone, Default)]
pub(super) struct Statements(Vec<String>);

/// What is put into the places.
pub(super) struct Values<'a> {
    pub(super) name: &'a str,
    pub(super) password: &'a str,
    pub(super) expiration: &'a str,
}

/// A moment as Vault's users know it, to the second.
pub(super) fn expiration(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%d %H:%M:%S+0000").to_string()
}

/// A statement of the operator's that failed, by its number from 1.
pub(super) fn about(key: &str, number: usize, error: ProviderError) -> ProviderError {
    let words = |words: String| format!("statement {number} of `{key}`: {words}");
    match error {
        ProviderError::Retry(text) => ProviderError::Retry(words(text)),
        ProviderError::Permanent(text) => ProviderError::Permanent(words(text)),
        ProviderError::Unknown(text) => ProviderError::Unknown(words(text)),
    }
}

/// Takes a list of statements out of `reader`; empty if the settings have none.
pub(super) fn read(reader: &mut Reader<'_>, key: &'static str) -> Statements {
    let list = reader.texts(key).unwrap_or_default();
    for text in &list {
        if let Some(unknown) = places(text).find(|place| !PLACES.contains(place)) {
            let shown: String = unknown.chars().filter(|c| !c.is_control()).take(32).collect();
            reader.problem(
                key,
                format!("has a place `{{{{{shown}}}}}` that nothing is known for"),
                "known are `{{name}}`, `{{password}}` and `{{expiration}}`",
            );
        }
    }
    let names = list.iter().flat_map(|text| places(text)).any(|place| place == "name" || place == "username");
    if !list.is_empty() && !names {
        reader.problem(key, "never names whom it is about", "put `{{name}}` where the name of the login belongs");
    }
    Statements(list)
}

/// What stands between `{{` and `}}`.
fn places(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).map(|rest| rest.split_once("}}").map_or(rest, |(place, _)| place).trim())
}

impl Statements {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The statements with the values in their places, in order.
    pub(super) fn filled(&self, values: &Values<'_>) -> Result<Vec<String>, ProviderError> {
        let harmless = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b" -:+_$/=".contains(&b));
        if ![values.name, values.password, values.expiration].into_iter().all(harmless) {
            return Err(ProviderError::Permanent("a value is not fit to stand in a statement".into()));
        }
        Ok(self.0.iter().map(|text| fill(text, values)).collect())
    }
}

/// One pass from left to right: what was put in is not looked at again.
fn fill(text: &str, values: &Values<'_>) -> String {
    let mut parts = text.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (place, rest) = part.split_once("}}").unwrap_or((part, ""));
        filled.push_str(match place.trim() {
            "name" | "username" => values.name,
            "password" => values.password,
            "expiration" => values.expiration,
            // Settings with any other place are refused.
            _ => "",
        });
        filled.push_str(rest);
    }
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(list: &serde_json::Value) -> Vec<String> {
        let settings = json!({ "s": list });
        let mut reader = Reader::new(settings.as_object().unwrap());
        read(&mut reader, "s");
        reader.finish().into_iter().map(|problem| problem.words).collect()
    }

    #[test]
    fn places_are_filled_once_and_only_known_ones_are_taken() {
        let statements = Statements(vec![
            "CREATE ROLE \"{{name}}\" PASSWORD '{{ password }}' VALID UNTIL '{{expiration}}'".into(),
            "x{{username}}{{name}}y".into(),
        ]);
        let values = Values { name: "cs_a_1", password: "pw", expiration: "2026-01-01 00:00:00+0000" };
        assert_eq!(
            statements.filled(&values).unwrap(),
            ["CREATE ROLE \"cs_a_1\" PASSWORD 'pw' VALID UNTIL '2026-01-01 00:00:00+0000'", "xcs_a_1cs_a_1y"]
        );
        for bad in ["a'b", "a\"b", "a;b", "a\\b", "a\nb", "{{name}}", "é"] {
            assert!(statements.filled(&Values { password: bad, ..values }).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_are_held_to_the_convention() {
        assert_eq!(problems(&json!(["CREATE ROLE \"{{name}}\""])), Vec::<String>::new());
        assert_eq!(problems(&json!(["CREATE ROLE x"])), ["never names whom it is about"]);
        assert_eq!(
            problems(&json!(["A {{name}} {{role}}", "B {{pass word}} {{"])),
            [
                "has a place `{{role}}` that nothing is known for",
                "has a place `{{pass word}}` that nothing is known for",
            ]
        );
    }
}
