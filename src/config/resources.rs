//! `resources.toml`: what is protected, and who decides over it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::{
    channel_in,
    look_alike::LookAlikes,
    name_in,
    people::Person,
    problem::nearest,
    reader::{Placed, Reader, Table},
    secrets,
    server::{Limits, Server, span, zone},
};
use crate::{
    access::{Resource, Span, Target},
    policy::{Group, Guarded, Who},
    provider,
};

/// More approvals than this are a slip of the pen.
const QUORUM_MAX: i64 = 20;

/// What the other files say, for checking references.
pub struct Known<'a> {
    /// Principals.
    pub people: &'a BTreeMap<String, Person>,
    /// Groups.
    pub groups: &'a BTreeMap<String, Group>,
    /// Whether `people.toml` could be read at all: if not, that somebody is not in it is no mistake.
    pub whole: bool,
    /// `countersign.toml`, if it could be read.
    pub server: Option<&'a Server>,
}

/// A resource, and where in the file it says what.
pub struct Read {
    pub guarded: Guarded,
    /// Where the table starts.
    pub offset: usize,
    /// Where the quorum stands, or the table if it doesn't.
    pub quorum: usize,
    /// Where `approvers` stand.
    pub approvers: usize,
    /// Where `channel` stands, if it does.
    pub channel: Option<usize>,
    /// Where `break_glass` stands, if it does.
    pub break_glass: Option<usize>,
    /// Where `escalate_to` stands, if it does.
    pub escalate_to: Option<usize>,
    /// Where `remind_after` stands, if it does.
    pub remind_after: Option<usize>,
    /// Whether all that `approvers` names is there.
    pub approvers_whole: bool,
}

/// Reads the file.
pub fn read(reader: &Reader<'_>, known: &Known<'_>) -> Vec<Read> {
    let parsed = reader.parse();
    secrets::report(reader, &parsed);
    let top = reader.table(&parsed);
    let mut resources: Vec<Read> = Vec::new();
    let mut alike = LookAlikes::new("resource");
    let tables = top.tables("resource");
    if tables.is_empty() && parsed.get_ref().get("resource").is_none() {
        let hint = "a resource is a `[[resource]]` table with a name, a provider and approvers";
        reader.report(0, "there is no resource", Some(hint.into()));
    }
    for table in tables {
        let offset = table.offset();
        let Some(read) = resource(reader, table, known) else { continue };
        let name = &read.guarded.resource.name;
        if resources.iter().any(|other| other.guarded.resource.name == *name) {
            reader.report(offset, format!("there are two resources called `{name}`"), None);
            continue;
        }
        alike.see(reader, name, offset);
        resources.push(read);
    }
    top.finish(&[]);
    resources
}

fn resource(reader: &Reader<'_>, table: Table<'_, '_>, known: &Known<'_>) -> Option<Read> {
    let offset = table.offset();
    let name = table.need("name", table.text("name"), "name = \"prod-db\"");
    let name = name.and_then(|text| name_in(reader, "name", text));
    let description = table.text("description").map_or_else(String::new, |text| text.value);
    let requesters = table.texts("requesters").map(|list| whos(reader, &list, known));
    let approvers = table.need("approvers", table.texts("approvers"), "approvers = [\"group:dba\"]");
    let approvers = approvers.map(|list| {
        let whos = whos(reader, &list, known);
        (whos.len() == list.len(), whos)
    });
    let approvers_offset = table.value("approvers").map_or(offset, |value| value.span().start);
    let tags = tags(reader, table.texts("tags").unwrap_or_default());
    let stands = |key| table.value(key).map(|value| value.span().start);
    let (break_glass_offset, escalate_offset, remind_offset) =
        (stands("break_glass"), stands("escalate_to"), stands("remind_after"));
    let list = |key| table.texts(key).map(|list| whos(reader, &list, known)).unwrap_or_default();
    let (escalate_to, revokers) = (list("escalate_to"), list("revokers"));
    let (break_glass, reviewers) = (list("break_glass"), list("reviewers"));
    let (quorum_offset, quorum) = quorum(reader, &table);
    let max_duration = table.need("max_duration", span(&table, "max_duration"), "max_duration = \"2h\"");
    let break_glass_max = span(&table, "break_glass_max");
    let limits = known.server.map(|server| server.limits);
    let span_or = |key, limit: fn(&Limits) -> Span| span(&table, key).or_else(|| limits.as_ref().map(limit));
    let lapse_after = span_or("lapse_after", |limits| limits.lapse_after);
    let remind_after = span_or("remind_after", |limits| limits.remind_after);
    let escalate_after = span_or("escalate_after", |limits| limits.escalate_after);
    let review_within = span_or("review_within", |limits| limits.review_within);
    let zone = zone(&table, "timezone").or_else(|| limits.map(|limits| limits.zone));
    let channel = table.text("channel").and_then(|text| channel_in(reader, text));
    let channel_offset = channel.as_ref().map(|text| text.offset);
    let channel = channel.map(|text| text.value);
    let channel = channel.or_else(|| known.server.and_then(|server| server.playground_channel.clone()));
    let target = target(reader, &table);
    table.finish(&provider::NAMES);
    let usual = Resource::new(name?.value, target?, quorum?, max_duration?);
    let (approvers_whole, approvers) = approvers?;
    let guarded = Guarded {
        resource: Resource {
            description,
            break_glass_max: break_glass_max.unwrap_or(usual.max_duration),
            lapse_after: lapse_after.unwrap_or(usual.lapse_after),
            remind_after,
            escalate_after: escalate_after.filter(|_| !escalate_to.is_empty()),
            review_within: review_within.unwrap_or(usual.review_within),
            channel: channel.unwrap_or_else(|| usual.channel.clone()),
            zone: zone.unwrap_or(usual.zone),
            ..usual
        },
        tags,
        requesters,
        approvers,
        escalate_to,
        revokers,
        break_glass,
        reviewers,
    };
    Some(Read {
        guarded,
        offset,
        approvers: approvers_offset,
        quorum: quorum_offset,
        channel: channel_offset,
        break_glass: break_glass_offset,
        escalate_to: escalate_offset,
        remind_after: remind_offset,
        approvers_whole,
    })
}

/// Words for policies, each once.
fn tags(reader: &Reader<'_>, list: Vec<Placed<String>>) -> BTreeSet<String> {
    list.into_iter().filter_map(|tag| name_in(reader, "tags", tag)).map(|tag| tag.value).collect()
}

fn quorum(reader: &Reader<'_>, table: &Table<'_, '_>) -> (usize, Option<u32>) {
    let placed = table.integer("quorum");
    if placed.is_none() && table.value("quorum").is_some() {
        return (table.offset(), None);
    }
    let quorum = placed.as_ref().map_or(1, |quorum| quorum.value);
    let offset = placed.map_or(table.offset(), |quorum| quorum.offset);
    if !(1..=QUORUM_MAX).contains(&quorum) {
        let hint = "so many different people have to approve: 1 is usual, 2 for what is dear";
        reader.report(offset, format!("`quorum` is to be from 1 to {QUORUM_MAX}"), Some(hint.into()));
        return (offset, None);
    }
    (offset, u32::try_from(quorum).ok())
}

/// The people and groups of a list, as far as they exist.
pub fn whos(reader: &Reader<'_>, list: &[Placed<String>], known: &Known<'_>) -> Vec<Who> {
    list.iter().filter_map(|entry| who(reader, entry, known)).collect()
}

fn who(reader: &Reader<'_>, entry: &Placed<String>, known: &Known<'_>) -> Option<Who> {
    let missing = |what: &str, name: &str, near: Option<&str>| {
        if !known.whole {
            return;
        }
        let hint = near.map_or_else(
            || format!("add it to `people.toml` as a `[[{what}]]`"),
            |near| format!("did you mean `{what}:{near}`?"),
        );
        reader.report(entry.offset, format!("there is no {what} `{name}`"), Some(hint));
    };
    match entry.value.split_once(':') {
        Some(("group", name)) if known.groups.contains_key(name) => Some(Who::Group(name.to_owned())),
        Some(("group", name)) => {
            missing("group", name, nearest(name, known.groups.keys().map(String::as_str)));
            None
        }
        Some(("person", name)) if known.people.contains_key(name) => Some(Who::Person(name.to_owned())),
        Some(("person", name)) => {
            missing("person", name, nearest(name, known.people.keys().map(String::as_str)));
            None
        }
        Some(_) | None => {
            let hint = "write `group:<name>` or `person:<name>`";
            reader.report(entry.offset, format!("{:?} names nobody", entry.value), Some(hint.into()));
            None
        }
    }
}

/// The provider and its own table, which the provider itself checks.
fn target(reader: &Reader<'_>, table: &Table<'_, '_>) -> Option<Target> {
    let name = table.need("provider", table.text("provider"), "provider = \"postgres\"")?;
    let Some(known) = provider::NAMES.iter().find(|known| **known == name.value) else {
        let hint = nearest(&name.value, provider::NAMES).map_or_else(
            || format!("there are {}", provider::NAMES.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        reader.report(name.offset, format!("there is no provider `{}`", name.value), Some(hint));
        return None;
    };
    for other in provider::NAMES.iter().filter(|other| *other != known) {
        if let Some(value) = table.value(other) {
            let hint = format!("the provider here is `{known}`");
            reader.report(value.span().start, format!("a table for `{other}` that nobody reads"), Some(hint));
        }
    }
    let (settings, places, offset) = match table.value(known).map(|value| (value.get_ref(), value.span().start)) {
        Some((DeValue::Table(inner), offset)) => (json_table(reader, inner), places(inner), offset),
        Some((_, offset)) => {
            reader.report(offset, format!("`{known}` is to be a table, `[resource.{known}]`"), None);
            return None;
        }
        None => (Map::new(), BTreeMap::new(), name.offset),
    };
    for problem in provider::check_settings(known, &settings) {
        let at = problem.key.as_ref().and_then(|key| places.get(key)).copied().unwrap_or(offset);
        reader.report(at, problem.words, problem.hint);
    }
    Some(Target { provider: (*known).to_owned(), settings })
}

fn places(table: &DeTable<'_>) -> BTreeMap<String, usize> {
    table.iter().map(|(key, _)| (key.get_ref().to_string(), key.span().start)).collect()
}

fn json_table(reader: &Reader<'_>, table: &DeTable<'_>) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, value) in table {
        if let Some(json) = json(reader, value.get_ref(), value.span().start) {
            map.insert(key.get_ref().to_string(), json);
        }
    }
    map
}

/// The settings go into the ledger, so they are what its lines can hold: no floats, no dates.
fn json(reader: &Reader<'_>, value: &DeValue<'_>, offset: usize) -> Option<Value> {
    const INTEGER_MAX: u64 = 1 << 53;
    match value {
        DeValue::String(text) => Some(Value::String(text.clone().into_owned())),
        DeValue::Boolean(yes) => Some(Value::Bool(*yes)),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
            let number = number.filter(|number| number.unsigned_abs() < INTEGER_MAX);
            if number.is_none() {
                reader.report(offset, "a number beyond 2^53", Some("write it as a text".into()));
            }
            number.map(Value::from)
        }
        DeValue::Array(items) => {
            Some(items.iter().filter_map(|item| json(reader, item.get_ref(), item.span().start)).collect())
        }
        DeValue::Table(table) => Some(Value::Object(json_table(reader, table))),
        DeValue::Float(_) | DeValue::Datetime(_) => {
            reader.report(offset, "fractions and dates have no place here", Some("write it as a text".into()));
            None
        }
    }
}
