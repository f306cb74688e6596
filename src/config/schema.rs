//! What the TOML files may say, as JSON Schemas. One table of keys; a test holds it against what the readers ask for.

use serde_json::{Map, Value, json};

use crate::provider;

/// One TOML file.
#[derive(Debug)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    what: &'static str,
    keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug)]
struct Key {
    name: &'static str,
    /// Whether it has to be there.
    needed: bool,
    kind: Kind,
    what: &'static str,
}

/// What stands behind a key.
#[derive(Debug)]
enum Kind {
    Text,
    /// A principal, a group, a resource, a channel or a tag.
    Name,
    /// A channel: a name, or a platform's own id.
    Channel,
    /// A duration like `30m`.
    Span,
    Url,
    Flag,
    /// A whole number from 1 to this.
    Number(u32),
    Texts,
    /// Texts by names that are chosen freely.
    Named,
    /// `group:<name>` or `person:<name>`.
    Whos,
    Table(&'static [Key]),
    Tables(&'static [Key]),
    /// The name of a provider.
    Provider,
}

const fn key(name: &'static str, kind: Kind, what: &'static str) -> Key {
    Key { name, needed: false, kind, what }
}

const fn need(name: &'static str, kind: Kind, what: &'static str) -> Key {
    Key { name, needed: true, kind, what }
}

/// The files.
pub const FILES: &[File] = &[
    File {
        name: "countersign.toml",
        what: "The service itself: the ledger, the HTTP server, the chats, the limits",
        keys: &[
            need("ledger", Kind::Table(LEDGER), "The signed chain"),
            key("http", Kind::Table(HTTP), "The HTTP server"),
            key("playground", Kind::Table(PLAYGROUND), "A page on loopback that plays the chat"),
            key("limits", Kind::Table(LIMITS), "What holds for every resource that doesn't say otherwise"),
            key("security", Kind::Table(SECURITY), "Who answers for security"),
            key("digest", Kind::Table(DIGEST), "When a report is posted to every chat"),
            key("slack", Kind::Table(SLACK), "Slack"),
            key("discord", Kind::Table(DISCORD), "Discord"),
            key("pagerduty", Kind::Table(PAGERDUTY), "Where on-call schedules are asked"),
        ],
    },
    File {
        name: "resources.toml",
        what: "What is protected, and who decides over it",
        keys: &[need("resource", Kind::Tables(RESOURCE), "Something that is protected")],
    },
    File {
        name: "people.toml",
        what: "Principals and groups",
        keys: &[
            key("person", Kind::Tables(PERSON), "A person with all their accounts"),
            key("group", Kind::Tables(GROUP), "People who are named together"),
        ],
    },
];

const LEDGER: &[Key] = &[
    need("path", Kind::Text, "The ledger's folder; a relative one is taken from where the command is called"),
    need("origin", Kind::Text, "The log's name in every signed head; choose it once"),
    key("signing_key_file", Kind::Text, "A file with the signing key, when it is not kept in the ledger's folder"),
];
const HTTP: &[Key] = &[key("listen", Kind::Text, "Address and port, for example 127.0.0.1:7070")];
const PLAYGROUND: &[Key] = &[key("channel", Kind::Name, "The channel of its cards")];
const LIMITS: &[Key] = &[
    key("lapse_after", Kind::Span, "How long a request waits for its decision"),
    key("remind_after", Kind::Span, "After how long its approvers are reminded"),
    key("escalate_after", Kind::Span, "After how long others may approve it too"),
    key("review_within", Kind::Span, "How long after its end a break-glass is to be reviewed"),
    key("timezone", Kind::Text, "The zone that times of day are meant in, for example Europe/Berlin"),
    key("ticket_pattern", Kind::Text, "A regular expression for tickets in reasons"),
    key("group_cache", Kind::Span, "For how long a source's word on who is in a group is good"),
];
const SECURITY: &[Key] =
    &[key("channel", Kind::Name, "Where they are told what concerns them"), key("people", Kind::Whos, "Who they are")];
const DIGEST: &[Key] = &[
    need("cron", Kind::Text, "When: seconds, minutes, hours, day of the month, month, day of the week"),
    key("timezone", Kind::Text, "The zone that it is meant in, for example Europe/Berlin"),
];
const SLACK: &[Key] = &[
    key("mode", Kind::Text, "How it reaches us: socket (usual) or http"),
    key("team_id", Kind::Text, "The workspace that ids without a team are of"),
    key("channel", Kind::Text, "Where cards go unless a resource says otherwise, by its id"),
    key("channels", Kind::Named, "The ids of channels by our names"),
    key("api_url", Kind::Url, "The base of the Web API"),
    key("bot_token_file", Kind::Text, "A file with the bot's token, in place of SLACK_BOT_TOKEN"),
    key("app_token_file", Kind::Text, "A file with the app's token, in place of SLACK_APP_TOKEN"),
    key("signing_secret_file", Kind::Text, "A file with the signing secret, in place of SLACK_SIGNING_SECRET"),
];
const DISCORD: &[Key] = &[
    key("mode", Kind::Text, "How it reaches us: gateway (usual) or http"),
    key("guild_id", Kind::Text, "The guild that ids without one are of"),
    key("application_id", Kind::Text, "The application that the bot belongs to"),
    key("public_key", Kind::Text, "The application's public key, 64 hex digits"),
    key("channel", Kind::Text, "Where cards go unless a resource says otherwise, by its id"),
    key("channels", Kind::Named, "The ids of channels by our names"),
    key("ping_role", Kind::Text, "The role that is mentioned with every new card, by its id"),
    key("api_url", Kind::Url, "The base of the API"),
    key("bot_token_file", Kind::Text, "A file with the bot's token, in place of DISCORD_BOT_TOKEN"),
];
const PAGERDUTY: &[Key] = &[
    key("api_url", Kind::Url, "The base of the REST API, for example https://api.eu.pagerduty.com"),
    key("token_file", Kind::Text, "A file with the token, in place of PAGERDUTY_TOKEN"),
];
const RESOURCE: &[Key] = &[
    need("name", Kind::Name, "What people type"),
    key("description", Kind::Text, "What it is, for cards"),
    need("provider", Kind::Provider, "What opens it"),
    key("tags", Kind::Texts, "Words that policies may ask for"),
    key("requesters", Kind::Whos, "Who may ask; everybody without it"),
    need("approvers", Kind::Whos, "Who may approve and deny"),
    key("quorum", Kind::Number(20), "How many different people have to approve"),
    need("max_duration", Kind::Span, "The longest access anybody gets"),
    key("escalate_to", Kind::Whos, "Who may approve too once it has waited for long"),
    key("revokers", Kind::Whos, "Who may end an access besides the approvers"),
    key("break_glass", Kind::Whos, "Who may get in before anybody has approved"),
    key("reviewers", Kind::Whos, "Who may review a break-glass besides the approvers"),
    key("break_glass_max", Kind::Span, "The longest access by break-glass"),
    key("lapse_after", Kind::Span, "How long a request waits for its decision"),
    key("remind_after", Kind::Span, "After how long its approvers are reminded"),
    key("escalate_after", Kind::Span, "After how long others may approve it too"),
    key("review_within", Kind::Span, "How long after its end a break-glass is to be reviewed"),
    key("timezone", Kind::Text, "The zone that times of day are meant in"),
    key("channel", Kind::Channel, "The channel its cards go to: a name, or a platform's own id"),
];
const PERSON: &[Key] = &[
    need("name", Kind::Name, "The name in rules, cards and the log"),
    key("email", Kind::Text, "For people to reach each other"),
    key("slack", Kind::Text, "The Slack user id, with its team (T…/U…) or without"),
    key("discord", Kind::Text, "The Discord user id, with its guild or without"),
    key("ssh_keys", Kind::Texts, "SSH public keys in OpenSSH form"),
];
const GROUP: &[Key] = &[
    need("name", Kind::Name, "What lists call it"),
    key("members", Kind::Texts, "People by name, and groups as group:<name>"),
    key("slack_usergroup", Kind::Text, "A Slack user group that says who is in it"),
    key("discord_role", Kind::Text, "A Discord role that says who is in it"),
    key("pagerduty_schedule", Kind::Text, "A PagerDuty schedule that says who is in it now"),
    key("command", Kind::Texts, "A program and its arguments; it prints a name, email or account a line"),
    key("url", Kind::Url, "An address that answers with a JSON list of names, emails or accounts"),
    key("on_call", Kind::Flag, "Whether its people are on call, for policies that ask"),
];

/// The JSON Schema of a file.
#[must_use]
pub fn of(file: &File) -> Value {
    let mut schema = table(file.keys);
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".into(), json!(file.name));
        schema.insert("description".into(), json!(file.what));
    }
    schema
}

fn table(keys: &[Key]) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let mut property = kind(&key.kind);
        if let Value::Object(property) = &mut property {
            property.insert("description".into(), json!(key.what));
        }
        properties.insert(key.name.into(), property);
        if let Kind::Provider = key.kind {
            // The tables of the providers, which the providers read themselves.
            properties.extend(provider::NAMES.iter().map(|name| ((*name).to_owned(), json!({"type": "object"}))));
        }
    }
    let needed: Vec<&str> = keys.iter().filter(|key| key.needed).map(|key| key.name).collect();
    json!({"type": "object", "properties": properties, "required": needed, "additionalProperties": false})
}

fn kind(kind: &Kind) -> Value {
    const NAME: &str = "^[a-z0-9][a-z0-9._-]{0,63}$";
    match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Name => json!({"type": "string", "pattern": NAME}),
        Kind::Channel => json!({"type": "string", "pattern": format!("{NAME}|^[A-Z][A-Z0-9]{{1,31}}$")}),
        Kind::Span => {
            json!({"type": "string", "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$", "minLength": 2})
        }
        Kind::Url => json!({"type": "string", "format": "uri"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Number(most) => json!({"type": "integer", "minimum": 1, "maximum": most}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Named => {
            json!({"type": "object", "propertyNames": {"pattern": NAME}, "additionalProperties": {"type": "string"}})
        }
        Kind::Whos => json!({"type": "array", "items": {"type": "string", "pattern": "^(group|person):[a-z0-9]"}}),
        Kind::Table(keys) => table(keys),
        Kind::Tables(keys) => json!({"type": "array", "items": table(keys)}),
        Kind::Provider => json!({"enum": provider::NAMES}),
    }
}

/// Every table and key that the schemas have, as the readers call them.
#[cfg(test)]
pub(super) fn known() -> std::collections::BTreeSet<(String, String)> {
    fn gather(path: &str, keys: &[Key], known: &mut std::collections::BTreeSet<(String, String)>) {
        for key in keys {
            known.insert((path.to_owned(), key.name.to_owned()));
            if let Kind::Table(inner) | Kind::Tables(inner) = &key.kind {
                gather(&format!("{path}/{}", key.name), inner, known);
            }
            if let Kind::Provider = key.kind {
                known.extend(provider::NAMES.iter().map(|name| (path.to_owned(), (*name).to_owned())));
            }
        }
    }
    let mut known = std::collections::BTreeSet::new();
    for file in FILES {
        gather(file.name, file.keys, &mut known);
    }
    known
}
