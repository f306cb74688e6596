//! `people.toml`: principals, their accounts, and groups.

use std::collections::BTreeMap;

use super::{
    name_in,
    problem::nearest,
    reader::{Placed, Reader},
    secrets,
};
use crate::access::Chat;

/// A principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name in rules, cards and the log; also the account in the playground.
    pub name: String,
    /// For people to reach each other.
    pub email: Option<String>,
    /// The Slack user id.
    pub slack: Option<String>,
    /// The Discord user id.
    pub discord: Option<String>,
    /// SSH public keys in OpenSSH form.
    pub ssh_keys: Vec<String>,
}

impl Person {
    /// The accounts that are this person.
    pub fn accounts(&self) -> Vec<(Chat, String)> {
        let slack = self.slack.iter().map(|id| (Chat::Slack, id.clone()));
        let discord = self.discord.iter().map(|id| (Chat::Discord, id.clone()));
        slack.chain(discord).chain([(Chat::Playground, self.name.clone())]).collect()
    }
}

/// Reads the file.
pub fn read(reader: &Reader<'_>) -> (BTreeMap<String, Person>, BTreeMap<String, Vec<String>>) {
    let parsed = reader.parse();
    secrets::report(reader, &parsed);
    let top = reader.table(&parsed);
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    let mut taken = BTreeMap::new();
    for table in top.tables("person") {
        let name = table.need("name", table.text("name"), "name = \"ana\"");
        let name = name.and_then(|text| name_in(reader, "name", text));
        let email = table.text("email");
        let slack = table.text("slack");
        let discord = table.text("discord");
        let ssh_keys = table.texts("ssh_keys").unwrap_or_default();
        let owner = name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
        for (kind, account) in [("email", &email), ("slack", &slack), ("discord", &discord)] {
            unique(reader, &mut taken, kind, account.as_ref(), &owner);
        }
        for key in &ssh_keys {
            if !key.value.starts_with("ssh-") && !key.value.starts_with("ecdsa-") && !key.value.starts_with("sk-") {
                let hint = "the one line of `~/.ssh/id_ed25519.pub`";
                reader.report(key.offset, "no SSH public key in OpenSSH form", Some(hint.into()));
            }
        }
        table.finish(&[]);
        let Some(name) = name else { continue };
        if people.contains_key(&name.value) {
            reader.report(name.offset, format!("there are two people called `{}`", name.value), None);
            continue;
        }
        let text = |text: Option<Placed<String>>| text.map(|text| text.value);
        let ssh_keys = ssh_keys.into_iter().map(|key| key.value).collect();
        let (email, slack, discord) = (text(email), text(slack), text(discord));
        people.insert(name.value.clone(), Person { name: name.value, email, slack, discord, ssh_keys });
    }
    let groups = groups(reader, &top, &people);
    top.finish(&[]);
    (people, groups)
}

fn groups(
    reader: &Reader<'_>,
    top: &super::reader::Table<'_, '_>,
    people: &BTreeMap<String, Person>,
) -> BTreeMap<String, Vec<String>> {
    let mut groups = BTreeMap::new();
    for table in top.tables("group") {
        let name = table.need("name", table.text("name"), "name = \"dba\"");
        let name = name.and_then(|text| name_in(reader, "name", text));
        let members = table.need("members", table.texts("members"), "members = [\"ana\"]").unwrap_or_default();
        table.finish(&[]);
        for member in &members {
            if !people.contains_key(&member.value) {
                let near = nearest(&member.value, people.keys().map(String::as_str));
                let hint = near.map_or_else(
                    || "add a `[[person]]` with this name".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                reader.report(member.offset, format!("there is no person `{}`", member.value), Some(hint));
            }
        }
        let Some(name) = name else { continue };
        let members = members.into_iter().map(|member| member.value).collect();
        if groups.insert(name.value.clone(), members).is_some() {
            reader.report(name.offset, format!("there are two groups called `{}`", name.value), None);
        }
    }
    groups
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
