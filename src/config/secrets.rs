//! Secrets don't belong in the config: a key or a value that looks like one is a mistake.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::reader::Reader;

/// Keys that would hold a secret; the same with `_env` or `_file` behind it names where the secret is.
const SECRET_KEYS: [&str; 9] =
    ["password", "passwd", "secret", "token", "bot_token", "app_token", "signing_secret", "signing_key", "private_key"];
/// How secrets of the platforms start.
const SECRET_STARTS: [&str; 6] = ["xoxb-", "xoxp-", "xapp-", "xoxe", "-----BEGIN", "ghp_"];

/// Reports every secret in a file.
pub fn report(reader: &Reader<'_>, table: &Spanned<DeTable<'_>>) {
    in_table(reader, table.get_ref());
}

fn in_table(reader: &Reader<'_>, table: &DeTable<'_>) {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if SECRET_KEYS.contains(&name) && !matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_)) {
            // Tokens of platforms have a variable of their own, and so has the key of the ledger.
            let hint = if name.contains("token") || name.starts_with("signing_") {
                format!("set it in the environment, or name a file that holds it: `{name}_file = \"/run/secrets/…\"`")
            } else {
                format!("write `{name}_env = \"NAME\"` and set NAME in the environment")
            };
            reader.report_secret(key.span().start, format!("`{name}` would be a secret in a file"), hint);
            continue;
        }
        in_value(reader, name, value);
    }
}

fn in_value(reader: &Reader<'_>, key: &str, value: &Spanned<DeValue<'_>>) {
    match value.get_ref() {
        DeValue::String(text) if looks_secret(text) => {
            let hint = "take it out of the file, consider it leaked, and put the new one into the environment";
            reader.report_secret(value.span().start, format!("the value of `{key}` looks like a secret"), hint.into());
        }
        DeValue::Array(items) => items.iter().for_each(|item| in_value(reader, key, item)),
        DeValue::Table(table) => in_table(reader, table),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

fn looks_secret(text: &str) -> bool {
    let url_with_password = || {
        let (_, rest) = text.split_once("://")?;
        let (credentials, _) = rest.split('/').next()?.rsplit_once('@')?;
        let (_, password) = credentials.split_once(':')?;
        Some(!password.is_empty())
    };
    SECRET_STARTS.iter().any(|start| text.starts_with(start)) || url_with_password().unwrap_or(false)
}
