//! `people.toml`: principals, their accounts, and groups.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    look_alike::LookAlikes,
    name_in,
    problem::nearest,
    reader::{Placed, Reader, Table},
    secrets,
    server::Server,
};
use crate::{
    access::Chat,
    policy::{Facts, Group, Source, Who},
};

/// A principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name in rules, cards and the log; also the account in the playground.
    pub name: String,
    /// For people to reach each other.
    pub email: Option<String>,
    /// The Slack user, `team/user`; without a team where neither the person nor `[slack]` names one.
    pub slack: Option<String>,
    /// The Discord user, `guild/user`; without a guild where neither the person nor `[discord]` names one.
    pub discord: Option<String>,
    /// SSH public keys in OpenSSH form.
    pub ssh_keys: Vec<String>,
    /// Where it stands in the file, a byte offset.
    pub(super) offset: usize,
}

impl Person {
    /// The accounts that are this person.
    pub fn accounts(&self) -> Vec<(Chat, String)> {
        let slack = self.slack.iter().map(|id| (Chat::Slack, id.clone()));
        let discord = self.discord.iter().map(|id| (Chat::Discord, id.clone()));
        slack.chain(discord).chain([(Chat::Playground, self.name.clone())]).collect()
    }
}

/// What the file says.
pub struct Read {
    pub people: BTreeMap<String, Person>,
    pub groups: BTreeMap<String, Group>,
    /// Whether everybody whom a group names is there.
    pub members_whole: bool,
}

/// Reads the file.
pub fn read(reader: &Reader<'_>, server: Option<&Server>) -> Read {
    let parsed = reader.parse();
    secrets::report(reader, &parsed);
    let top = reader.table(&parsed);
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    let mut taken = BTreeMap::new();
    let mut alike = LookAlikes::new("person");
    let tables = top.tables("person");
    let named: BTreeSet<String> = tables.iter().filter_map(|table| table.peek_text("name")).collect();
    for table in tables {
        let Some(person) = person(reader, table, server, &mut taken) else { continue };
        if people.contains_key(&person.name) {
            reader.report(person.offset, format!("there are two people called `{}`", person.name), None);
            continue;
        }
        alike.see(reader, &person.name, person.offset);
        people.insert(person.name.clone(), person);
    }
    let (groups, members_whole) = groups(reader, &top, &Names { people: &people, tried: &named });
    top.finish(&[]);
    Read { people, groups, members_whole }
}

fn person(
    reader: &Reader<'_>,
    table: Table<'_, '_>,
    server: Option<&Server>,
    taken: &mut BTreeMap<(&'static str, String), String>,
) -> Option<Person> {
    let name = table.need("name", table.text("name"), "name = \"ana\"");
    let name = name.and_then(|text| name_in(reader, "name", text));
    let email = table.text("email");
    let team = server.and_then(|server| server.slack.team_id.clone());
    let guild = server.and_then(|server| server.discord.guild_id.clone());
    let slack = table.text("slack").map(|id| account(reader, "slack", "T…/U…", id, team));
    let discord = table.text("discord").map(|id| account(reader, "discord", "<guild>/<user>", id, guild));
    let ssh_keys = table.texts("ssh_keys").unwrap_or_default();
    let owner = name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
    for (kind, account) in [("email", &email), ("slack", &slack), ("discord", &discord)] {
        unique(reader, taken, kind, account.as_ref(), &owner);
    }
    for key in &ssh_keys {
        if !key.value.starts_with("ssh-") && !key.value.starts_with("ecdsa-") && !key.value.starts_with("sk-") {
            let hint = "the one line of `~/.ssh/id_ed25519.pub`";
            reader.report(key.offset, "no SSH public key in OpenSSH form", Some(hint.into()));
        }
    }
    table.finish(&[]);
    let name = name?;
    let text = |text: Option<Placed<String>>| text.map(|text| text.value);
    Some(Person {
        offset: name.offset,
        name: name.value,
        email: text(email),
        slack: text(slack),
        discord: text(discord),
        ssh_keys: ssh_keys.into_iter().map(|key| key.value).collect(),
    })
}

/// An account with its team or guild: the same user id may be somebody else elsewhere.
fn account(reader: &Reader<'_>, key: &str, form: &str, id: Placed<String>, place: Option<String>) -> Placed<String> {
    let Placed { value, offset } = id;
    let fit = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    match value.split_once('/') {
        _ if value.trim().is_empty() => {}
        Some((team, user)) if fit(team) && fit(user) => {}
        None if fit(&value) => {
            let value = place.map_or_else(|| value.clone(), |place| format!("{place}/{value}"));
            return Placed { value, offset };
        }
        Some(_) | None => {
            let hint = format!("the user's id, or `{form}`; ids are letters and digits");
            reader.report(offset, format!("`{key}` is no id: {value:?}"), Some(hint));
        }
    }
    Placed { value, offset }
}

/// The people whom a group can name, and those whose entry is wrong and was reported.
struct Names<'a> {
    people: &'a BTreeMap<String, Person>,
    tried: &'a BTreeSet<String>,
}

fn groups(reader: &Reader<'_>, top: &Table<'_, '_>, people: &Names<'_>) -> (BTreeMap<String, Group>, bool) {
    let tables = top.tables("group");
    let named: BTreeSet<String> = tables.iter().filter_map(|table| table.peek_text("name")).collect();
    let mut alike = LookAlikes::new("group");
    let (mut groups, mut places, mut whole) = (BTreeMap::new(), BTreeMap::new(), true);
    for table in tables {
        let offset = table.offset();
        let Some((name, group, members_whole)) = group(reader, table, people, &named) else {
            whole = false;
            continue;
        };
        whole &= members_whole;
        if groups.contains_key(&name.value) {
            reader.report(name.offset, format!("there are two groups called `{}`", name.value), None);
            continue;
        }
        alike.see(reader, &name.value, name.offset);
        places.insert(name.value.clone(), offset);
        groups.insert(name.value, group);
    }
    cycles(reader, &mut groups, &places);
    (groups, whole)
}

fn group(
    reader: &Reader<'_>,
    table: Table<'_, '_>,
    people: &Names<'_>,
    named: &BTreeSet<String>,
) -> Option<(Placed<String>, Group, bool)> {
    let name = table.need("name", table.text("name"), "name = \"dba\"");
    let name = name.and_then(|text| name_in(reader, "name", text));
    let members = table.texts("members");
    let source = |key, of: fn(String) -> Source| table.text(key).map(|text| (text.offset, of(text.value)));
    let command = table.texts("command").map(|words| {
        let offset = words.first().map_or(table.offset(), |word| word.offset);
        if words.is_empty() {
            reader.report(offset, "`command` is empty", Some("a program and its arguments".into()));
        }
        (offset, Source::Command(words.into_iter().map(|word| word.value).collect()))
    });
    let sources: Vec<(usize, Source)> = [
        source("slack_usergroup", Source::SlackUsergroup),
        source("discord_role", Source::DiscordRole),
        source("pagerduty_schedule", Source::PagerdutySchedule),
        command,
        source("url", Source::Url),
    ]
    .into_iter()
    .flatten()
    .collect();
    let on_call = table.flag("on_call");
    let offset = table.offset();
    let described = table.value("members").is_some() || !sources.is_empty();
    table.finish(&[]);
    let hint = "`members`, or one of `slack_usergroup`, `discord_role`, `pagerduty_schedule`, `command` and `url`";
    if !described {
        reader.report(offset, "nothing says who is in this group", Some(hint.into()));
    }
    if let [first, second, ..] = sources.as_slice() {
        reader.report(first.0.max(second.0), "a group has one source", Some(format!("keep one: {hint}")));
    } else if let ([(offset, _)], Some(_)) = (sources.as_slice(), &members) {
        let hint =
            "put the list into a group of its own, and both into a third: `members = [\"group:a\", \"group:b\"]`";
        reader.report(*offset, "a group has `members` or a source, not both", Some(hint.into()));
    }
    let source = sources.into_iter().next().map(|(offset, source)| {
        if let Source::Url(url) = &source
            && !is_https_or_loopback(url)
        {
            let hint = "who is asked over plain HTTP can be anybody; only loopback may do without TLS";
            reader.report(offset, "`url` is to be an `https://` address", Some(hint.into()));
        }
        source
    });
    let members = members.unwrap_or_default();
    let found: Vec<Who> = members.iter().filter_map(|entry| member(reader, entry, people, named)).collect();
    let whole = found.len() == members.len();
    let on_call = on_call.map_or(matches!(source, Some(Source::PagerdutySchedule(_))), |flag| flag.value);
    Some((name?, Group { members: found, source, on_call }, whole))
}

/// Whether somebody in between could not answer in its place.
pub fn is_https_or_loopback(url: &str) -> bool {
    let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let ends = |rest: &str| rest.is_empty() || rest.starts_with([':', '/']);
    url.starts_with("https://") || loopback.iter().any(|start| url.strip_prefix(start).is_some_and(ends))
}

fn member(reader: &Reader<'_>, entry: &Placed<String>, people: &Names<'_>, named: &BTreeSet<String>) -> Option<Who> {
    if let Some(group) = entry.value.strip_prefix("group:") {
        if !named.contains(group) {
            let near = nearest(group, named.iter().map(String::as_str));
            let hint = near.map_or_else(
                || "add a `[[group]]` with this name".to_owned(),
                |near| format!("did you mean `group:{near}`?"),
            );
            reader.report(entry.offset, format!("there is no group `{group}`"), Some(hint));
            return None;
        }
        return Some(Who::Group(group.to_owned()));
    }
    let name = entry.value.strip_prefix("person:").unwrap_or(&entry.value);
    if people.people.contains_key(name) {
        return Some(Who::Person(name.to_owned()));
    }
    if people.tried.contains(name) {
        return None;
    }
    let near = nearest(name, people.people.keys().map(String::as_str));
    let hint = match near {
        _ if named.contains(name) => format!("a group within a group is written `group:{name}`"),
        None => "add a `[[person]]` with this name".to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
    };
    reader.report(entry.offset, format!("there is no person `{name}`"), Some(hint));
    None
}

/// A group that is in itself, by whatever way, is reported once, and taken apart so that the rest can be looked at.
fn cycles(reader: &Reader<'_>, groups: &mut BTreeMap<String, Group>, places: &BTreeMap<String, usize>) {
    let mut facts = Facts::new();
    for (name, group) in groups.iter() {
        facts.put_group(name, group.clone());
    }
    let mut told: BTreeSet<String> = BTreeSet::new();
    for (name, offset) in places {
        if told.contains(name) {
            continue;
        }
        if let Some(path) = facts.cycle(name) {
            let hint = "take one of them out of the next";
            reader.report(*offset, format!("the group is in itself: {}", path.join(" > ")), Some(hint.into()));
            told.extend(path);
        }
    }
    for (_, group) in groups.iter_mut().filter(|(name, _)| told.contains(*name)) {
        group.members.retain(|who| matches!(who, Who::Person(_)));
    }
}

/// One account is one person: two people with the same would be able to countersign themselves.
fn unique(
    reader: &Reader<'_>,
    taken: &mut BTreeMap<(&'static str, String), String>,
    kind: &'static str,
    account: Option<&Placed<String>>,
    owner: &str,
) {
    let Some(account) = account else { return };
    if account.value.trim().is_empty() {
        reader.report(account.offset, format!("`{kind}` is empty"), Some("leave the key out".into()));
        return;
    }
    if let Some(other) = taken.insert((kind, account.value.to_lowercase()), owner.to_owned()) {
        reader.report(account.offset, format!("`{kind}` belongs to `{other}` already"), None);
    }
}
