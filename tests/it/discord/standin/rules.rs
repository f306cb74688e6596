//! What Discord takes, as far as its schemas can't say it: lengths together, ids that are there once, rows, empty messages,
//! who may be pinged.

use std::collections::BTreeSet;

use serde_json::Value;

const EMBEDS_CHARS_MAX: usize = 6_000;

fn chars(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.encode_utf16().count())
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What is wrong with a message; `is_edit` for one that changes another.
pub fn message(body: &Value, is_edit: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |what: String| wrong.push(what);
    let content = chars(&body["content"]);
    if content > 2_000 {
        say(format!("content of {content}"));
    }
    let embeds = list(body, "embeds");
    if !is_edit && content == 0 && embeds.is_empty() && list(body, "components").is_empty() {
        say("an empty message (50006)".into());
    }
    if embeds.len() > 10 {
        say(format!("{} embeds", embeds.len()));
    }
    let mut together = 0;
    for embed in embeds {
        let fields = list(embed, "fields");
        let limits = [("title", 256), ("description", 4_096)];
        for (key, most) in limits {
            if chars(&embed[key]) > most {
                say(format!("{key} of {}", chars(&embed[key])));
            }
        }
        if chars(&embed["footer"]["text"]) > 2_048 || fields.len() > 25 {
            say("a footer or fields over their limit".into());
        }
        for field in fields {
            let (name, value) = (chars(&field["name"]), chars(&field["value"]));
            if name == 0 || name > 256 || value == 0 || value > 1_024 {
                say(format!("a field of {name} and {value}: {field}"));
            }
            together += name + value;
        }
        let own = chars(&embed["title"]) + chars(&embed["description"]) + chars(&embed["footer"]["text"]);
        if own == 0 && fields.is_empty() {
            say("an empty embed".into());
        }
        together += own;
    }
    if together > EMBEDS_CHARS_MAX {
        say(format!("embeds of {together} together"));
    }
    wrong.extend(components(body));
    wrong.extend(mentions(body));
    if body["enforce_nonce"] == true && !(1..=25).contains(&chars(&body["nonce"])) {
        wrong.push("enforce_nonce without a nonce".into());
    }
    wrong
}

/// Who may be pinged is always said, and never everybody.
fn mentions(body: &Value) -> Option<String> {
    let allowed = &body["allowed_mentions"];
    let parse = allowed["parse"].as_array();
    if parse.is_none_or(|parse| !parse.is_empty()) || allowed.get("users").is_some() {
        return Some(format!("mentions are not closed: {allowed}"));
    }
    let roles = list(allowed, "roles");
    let named = |role: &&Value| {
        let text = body["content"].as_str().unwrap_or_default();
        text.contains(&format!("<@&{}>", role.as_str().unwrap_or_default()))
    };
    (roles.iter().filter(named).count() != roles.len()).then(|| "a role may be pinged that is not named".to_owned())
}

fn components(body: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let rows = list(body, "components");
    if rows.len() > 5 {
        wrong.push(format!("{} rows", rows.len()));
    }
    let mut ids = BTreeSet::new();
    for row in rows {
        let inside = list(row, "components");
        if row["type"] != 1 || inside.is_empty() || inside.len() > 5 {
            wrong.push(format!("a row of {}", inside.len()));
        }
        for component in inside {
            let label = chars(&component["label"]);
            if component["type"] == 2 && (label == 0 || label > 80) {
                wrong.push(format!("a label of {label}"));
            }
            if component["style"] == 5 && component["type"] == 2 {
                if chars(&component["url"]) == 0 || component.get("custom_id").is_some() {
                    wrong.push("a link without an address, or with an id".into());
                }
                continue;
            }
            let id = component["custom_id"].as_str().unwrap_or_default();
            if id.is_empty() || id.chars().count() > 100 || !ids.insert(id.to_owned()) {
                wrong.push(format!("a custom_id that is not good, or there twice: {id:?}"));
            }
        }
    }
    wrong
}

/// What is wrong with a form.
pub fn modal(body: &Value) -> Vec<String> {
    let mut wrong = components(body);
    let rows = list(body, "components");
    let title = chars(&body["title"]);
    if title == 0 || title > 45 || rows.is_empty() {
        wrong.push(format!("a form with a title of {title} and {} rows", rows.len()));
    }
    for row in rows {
        let inside = list(row, "components");
        for input in inside {
            let (label, value) = (chars(&input["label"]), chars(&input["value"]));
            let most = usize::try_from(input["max_length"].as_u64().unwrap_or(4_000)).unwrap();
            if inside.len() != 1 || input["type"] != 4 || label == 0 || label > 45 {
                wrong.push(format!("an input that Discord does not take: {input}"));
            }
            if value > most || most > 4_000 || chars(&input["placeholder"]) > 100 {
                wrong.push(format!("an input over its limits: {input}"));
            }
        }
    }
    wrong
}

/// Names of commands and options are lowercase, and short.
fn is_name(value: &Value) -> bool {
    let text = value["name"].as_str().unwrap_or_default();
    !text.is_empty()
        && text.len() <= 32
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

fn options(of: &Value, depth: usize, total: &mut usize, wrong: &mut Vec<String>) {
    let inside = list(of, "options");
    let (mut seen_optional, mut names) = (false, BTreeSet::new());
    if inside.len() > 25 {
        wrong.push(format!("{} options", inside.len()));
    }
    for option in inside {
        let what = chars(&option["description"]);
        *total += chars(&option["name"]) + what;
        if !is_name(option) || what == 0 || what > 100 || !names.insert(option["name"].to_string()) {
            wrong.push(format!("an option that Discord does not take: {option}"));
        }
        let required = option["required"] == true;
        if required && seen_optional {
            wrong.push(format!("a required option after one that is not: {option}"));
        }
        seen_optional |= option["type"] != 1 && !required;
        if option["autocomplete"] == true && option.get("choices").is_some() {
            wrong.push("choices and autocomplete".into());
        }
        if option["type"] == 1 && depth > 0 {
            wrong.push("a subcommand within one".into());
        }
        options(option, depth + 1, total, wrong);
    }
}

/// What is wrong with commands to be registered.
pub fn commands(body: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for command in body.as_array().map(Vec::as_slice).unwrap_or_default() {
        let mut total = chars(&command["name"]) + chars(&command["description"]);
        if !is_name(command) || chars(&command["description"]) == 0 || chars(&command["description"]) > 100 {
            wrong.push(format!("a command that Discord does not take: {}", command["name"]));
        }
        options(command, 0, &mut total, &mut wrong);
        if total > 8_000 {
            wrong.push(format!("a command of {total} together"));
        }
    }
    wrong
}

/// What is wrong with choices.
pub fn choices(body: &Value) -> Vec<String> {
    let inside = list(body, "choices");
    let fits = |choice: &&Value| {
        let value_fits = choice["value"].as_str().is_none_or(|text| (1..=100).contains(&text.chars().count()));
        (1..=100).contains(&chars(&choice["name"])) && value_fits && !choice["value"].is_null()
    };
    let mut wrong = Vec::new();
    if inside.len() > 25 || inside.iter().filter(fits).count() != inside.len() {
        wrong.push(format!("choices that Discord does not take: {body}"));
    }
    wrong
}
