//! What the settings of all plugins have in common.

use std::collections::BTreeMap;

use serde_json::Value;

use super::secrets::Source;
use crate::provider::{
    Settings,
    protocol::Abilities,
    settings::{Reader, holds_secret, is_env_name},
};

/// How long an answer is waited for, in seconds, if the settings don't say.
const TIMEOUT_SECS: u64 = 10;
/// And the longest that they may say: a plugin that is late has to be gone before its caller gives up.
const TIMEOUT_SECS_MAX: u64 = 25;

/// What every plugin has.
pub struct Common {
    /// Its own settings.
    pub settings: Settings,
    /// What it can do.
    pub declared: Abilities,
    /// How long its answer is waited for, in seconds.
    pub timeout_secs: u64,
}

impl Default for Common {
    fn default() -> Self {
        Self { settings: Settings::new(), declared: Abilities::default(), timeout_secs: TIMEOUT_SECS }
    }
}

/// Takes them out of `reader`.
pub fn common(reader: &mut Reader<'_>) -> Common {
    let settings = reader.table("settings").cloned().unwrap_or_default();
    if any_secret(&Value::Object(settings.clone())) {
        let hint = "name its source under `secrets`, for example `token = { env = \"NAME\" }`";
        reader.problem("settings", "holds a secret", hint);
    }
    let declared = match reader.table("description").map(|table| {
        let table = Value::Object(table.clone());
        serde_json::from_value::<Abilities>(table)
    }) {
        None => Abilities::default(),
        Some(Ok(abilities)) => abilities,
        Some(Err(_)) => {
            let hint = "`countersign providers test` prints the line that belongs here, for example `description = { \
                        native_expiry = \"exact\", ends_sessions = \"yes\" }`";
            reader.problem("description", "is not what a plugin can say of itself", hint);
            Abilities::default()
        }
    };
    let timeout_secs = reader.number("timeout_secs", 1..=TIMEOUT_SECS_MAX).unwrap_or(TIMEOUT_SECS);
    Common { settings, declared, timeout_secs }
}

/// Takes the sources of secrets out of `reader`.
pub fn sources(reader: &mut Reader<'_>) -> BTreeMap<String, Source> {
    let mut sources = BTreeMap::new();
    for (name, value) in reader.table("secrets").cloned().unwrap_or_default() {
        match source(&value) {
            Some(source) => drop(sources.insert(name, source)),
            None => reader.problem(
                "secrets",
                format!("`{name}` names no source"),
                format!("write `{name} = {{ env = \"NAME\" }}` or `{name} = {{ file = \"/run/secrets/…\" }}`"),
            ),
        }
    }
    sources
}

fn source(value: &Value) -> Option<Source> {
    let table = value.as_object().filter(|table| table.len() == 1)?;
    let (key, text) = table.iter().next()?;
    let text = text.as_str().filter(|text| !text.is_empty())?;
    match key.as_str() {
        "env" if is_env_name(text) => Some(Source::Env(text.to_owned())),
        "file" if text.starts_with('/') => Some(Source::File(text.to_owned())),
        _ => None,
    }
}

fn any_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => holds_secret(text),
        Value::Array(items) => items.iter().any(any_secret),
        Value::Object(table) => table.values().any(any_secret),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
