//! The plain facts of the config: people, their accounts, groups, resources.
//!
//! Names are compared whole: no prefix, no pattern, no case folding.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Source;
use crate::access::{Chat, Resource};

/// A person or a group, in a list or in a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// `person:<name>`.
    Person(String),
    /// `group:<name>`.
    Group(String),
}

/// A resource with the lists that decide over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// What the core needs to know.
    pub resource: Resource,
    /// Words that policies may ask for.
    pub tags: BTreeSet<String>,
    /// Who may ask; `None` is everybody the config knows.
    pub requesters: Option<Vec<Who>>,
    /// Who may approve and deny.
    pub approvers: Vec<Who>,
    /// Who may approve and deny too, once a request has waited long enough.
    pub escalate_to: Vec<Who>,
    /// Who may end somebody's access, besides the approvers.
    pub revokers: Vec<Who>,
    /// Who may break the glass.
    pub break_glass: Vec<Who>,
    /// Who may review a break-glass, besides the approvers.
    pub reviewers: Vec<Who>,
}

impl Guarded {
    /// Anybody may ask, and these may approve.
    #[must_use]
    pub fn new(resource: Resource, approvers: Vec<Who>) -> Self {
        let (escalate_to, revokers, break_glass, reviewers) = Default::default();
        let tags = BTreeSet::new();
        Self { resource, tags, requesters: None, approvers, escalate_to, revokers, break_glass, reviewers }
    }
}

/// A group: a list of people and groups, or a source that says who is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Who is in it by the config; empty where a source says it.
    pub members: Vec<Who>,
    /// What says who is in it.
    pub source: Option<Source>,
    /// Whether its people are on call.
    pub on_call: bool,
}

/// The facts of the day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    accounts: BTreeMap<(Chat, String), String>,
    emails: BTreeMap<String, String>,
    people: BTreeSet<String>,
    groups: BTreeMap<String, Group>,
    resources: BTreeMap<String, Guarded>,
    security_channel: Option<String>,
    security: Vec<Who>,
}

impl Facts {
    /// No facts: nobody may do anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a person. Their account in the playground is their name.
    pub fn add_person(&mut self, name: &str, accounts: impl IntoIterator<Item = (Chat, String)>) {
        self.people.insert(name.to_owned());
        for (chat, account) in accounts {
            self.accounts.insert((chat, account), name.to_owned());
        }
    }

    /// Says what a person's email is, for the sources that name people by it.
    pub fn set_email(&mut self, name: &str, email: &str) {
        self.emails.insert(email.to_lowercase(), name.to_owned());
    }

    /// Adds a group of people.
    pub fn add_group(&mut self, name: &str, members: impl IntoIterator<Item = String>) {
        let members = members.into_iter().map(Who::Person).collect();
        self.put_group(name, Group { members, ..Group::default() });
    }

    /// Adds a group. A group that contains itself, by whatever way, is for the config to refuse.
    pub fn put_group(&mut self, name: &str, group: Group) {
        self.groups.insert(name.to_owned(), group);
    }

    /// Adds a resource.
    pub fn add_resource(&mut self, guarded: Guarded) {
        self.resources.insert(guarded.resource.name.clone(), guarded);
    }

    /// Says who answers for security: they may end any access and review any break-glass, and what concerns them is told
    /// in this channel.
    pub fn set_security(&mut self, channel: Option<String>, people: Vec<Who>) {
        self.security_channel = channel;
        self.security = people;
    }

    /// All people, by name, sorted.
    pub fn people(&self) -> &BTreeSet<String> {
        &self.people
    }

    /// All groups, by name.
    pub fn groups(&self) -> &BTreeMap<String, Group> {
        &self.groups
    }

    /// All resources, by name.
    pub fn resources(&self) -> &BTreeMap<String, Guarded> {
        &self.resources
    }

    /// A resource by its exact name.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.get(name).map(|guarded| &guarded.resource)
    }

    /// Who answers for security.
    pub fn security(&self) -> &[Who] {
        &self.security
    }

    /// Where they are told what concerns them.
    pub fn security_channel(&self) -> Option<&str> {
        self.security_channel.as_deref()
    }

    /// All accounts, and whose they are.
    pub fn accounts(&self) -> impl Iterator<Item = (Chat, &str, &str)> {
        self.accounts.iter().map(|((chat, account), name)| (*chat, account.as_str(), name.as_str()))
    }

    /// The person behind an account.
    pub fn principal(&self, chat: Chat, account: &str) -> Option<&str> {
        self.accounts.get(&(chat, account.to_owned())).map(String::as_str)
    }

    /// The account of a person on a platform.
    pub fn account(&self, chat: Chat, who: &str) -> Option<&str> {
        let mut on_chat = self.accounts.iter().filter(|((on, _), _)| *on == chat);
        on_chat.find(|(_, name)| *name == who).map(|((_, account), _)| account.as_str())
    }

    /// The person whom a source means by a word: a principal's name, an email, or an account with or without its team.
    pub fn meant_by(&self, word: &str) -> Option<&str> {
        if let Some(name) = self.people.get(word) {
            return Some(name);
        }
        if let Some(name) = self.emails.get(&word.to_lowercase()) {
            return Some(name);
        }
        [Chat::Slack, Chat::Discord].into_iter().find_map(|chat| self.principal(chat, word))
    }

    /// Who is in which group, right through: the people of the groups within a group are in it too. `known` says who the
    /// sources say is in theirs.
    pub fn flat(&self, known: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
        self.groups
            .keys()
            .map(|group| {
                let mut people = BTreeSet::new();
                for inner in self.within(group) {
                    people.extend(known.get(inner).into_iter().flatten().cloned());
                    let members = self.groups.get(inner).map(|group| group.members.as_slice()).unwrap_or_default();
                    people.extend(members.iter().filter_map(|who| match who {
                        Who::Person(name) => Some(name.clone()),
                        Who::Group(_) => None,
                    }));
                }
                people.retain(|name| self.people.contains(name));
                (group.clone(), people)
            })
            .collect()
    }

    /// Everybody in a list, each once; `flat` says who is in which group.
    pub fn people_in(&self, list: &[Who], flat: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
        let mut people = BTreeSet::new();
        for who in list {
            match who {
                Who::Person(name) => drop(people.insert(name.clone())),
                Who::Group(group) => people.extend(flat.get(group).into_iter().flatten().cloned()),
            }
        }
        people
    }

    /// A group and all groups within it, right through.
    pub fn within<'a>(&'a self, group: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![group];
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            for who in self.groups.get(name).map(|group| group.members.as_slice()).unwrap_or_default() {
                if let Who::Group(inner) = who {
                    open.push(inner);
                }
            }
        }
        seen
    }

    /// The shortest way from a group back to itself, if there is one.
    pub fn cycle(&self, group: &str) -> Option<Vec<String>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut open = VecDeque::from([self.groups.get_key_value(group)?.0.as_str()]);
        while let Some(at) = open.pop_front() {
            for who in self.groups.get(at).map(|group| group.members.as_slice()).unwrap_or_default() {
                let Who::Group(inner) = who else { continue };
                if inner == group {
                    let mut path = vec![inner.clone()];
                    let mut step = Some(at);
                    while let Some(name) = step {
                        path.push(name.to_owned());
                        step = came_from.get(name).copied();
                    }
                    path.reverse();
                    return Some(path);
                }
                if !came_from.contains_key(inner.as_str()) {
                    came_from.insert(inner, at);
                    open.push_back(inner);
                }
            }
        }
        None
    }
}
