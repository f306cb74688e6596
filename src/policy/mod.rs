//! Who may ask, approve and end: the plain facts of the config, answered as [`Rules`].
//!
//! Names are compared whole: no prefix, no pattern, no case folding. What is not allowed is refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Chat, Resource, Rules, Span, Verdict};

/// A person or a group in a list of approvers, requesters or revokers.
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
    /// Who may ask; `None` is everybody the config knows.
    pub requesters: Option<Vec<Who>>,
    /// Who may approve and deny.
    pub approvers: Vec<Who>,
    /// Who may end somebody's access, besides the approvers.
    pub revokers: Vec<Who>,
}

/// The facts of the day.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    accounts: BTreeMap<(Chat, String), String>,
    people: BTreeSet<String>,
    groups: BTreeMap<String, BTreeSet<String>>,
    resources: BTreeMap<String, Guarded>,
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

    /// Adds a group.
    pub fn add_group(&mut self, name: &str, members: impl IntoIterator<Item = String>) {
        self.groups.insert(name.to_owned(), members.into_iter().collect());
    }

    /// Adds a resource.
    pub fn add_resource(&mut self, guarded: Guarded) {
        self.resources.insert(guarded.resource.name.clone(), guarded);
    }

    /// Everybody in a list, by name, each once.
    pub fn people_in(&self, list: &[Who]) -> BTreeSet<String> {
        let mut people = BTreeSet::new();
        for who in list {
            match who {
                Who::Person(name) => {
                    people.insert(name.clone());
                }
                Who::Group(group) => people.extend(self.groups.get(group).into_iter().flatten().cloned()),
            }
        }
        people
    }

    fn is_in(&self, who: &str, list: &[Who]) -> bool {
        self.people.contains(who)
            && list.iter().any(|entry| match entry {
                Who::Person(name) => name == who,
                Who::Group(group) => self.groups.get(group).is_some_and(|members| members.contains(who)),
            })
    }

    fn guarded(&self, resource: &str) -> Result<&Guarded, Verdict> {
        self.resources.get(resource).ok_or_else(|| Verdict::No {
            policies: Vec::new(),
            words: format!("there is no resource `{resource}` any more"),
        })
    }
}

fn yes(resource: &str, list: &str) -> Verdict {
    Verdict::Yes(vec![format!("{resource}.{list}")])
}

fn no(words: String) -> Verdict {
    Verdict::No { policies: Vec::new(), words }
}

impl Rules for Facts {
    fn principal(&self, chat: Chat, account: &str) -> Option<String> {
        self.accounts.get(&(chat, account.to_owned())).cloned()
    }

    fn account(&self, chat: Chat, who: &str) -> Option<String> {
        let mut on_chat = self.accounts.iter().filter(|((on, _), _)| *on == chat);
        on_chat.find(|(_, name)| *name == who).map(|((_, account), _)| account.clone())
    }

    fn resource(&self, name: &str) -> Option<Resource> {
        self.resources.get(name).map(|guarded| guarded.resource.clone())
    }

    fn resource_names(&self) -> Vec<String> {
        self.resources.keys().cloned().collect()
    }

    fn may_request(&self, who: &str, resource: &str, _span: Span) -> Verdict {
        let guarded = match self.guarded(resource) {
            Ok(guarded) => guarded,
            Err(no) => return no,
        };
        match &guarded.requesters {
            None if self.people.contains(who) => yes(resource, "anybody"),
            Some(list) if self.is_in(who, list) => yes(resource, "requesters"),
            None | Some(_) => no(format!(
                "you may not ask for `{resource}`: its `requesters` don't name you. Whoever looks after `resources.toml` \
                 can add you"
            )),
        }
    }

    fn may_approve(&self, who: &str, requester: &str, resource: &str, _span: Span) -> Verdict {
        let guarded = match self.guarded(resource) {
            Ok(guarded) => guarded,
            Err(no) => return no,
        };
        if who == requester {
            return Verdict::No {
                policies: vec!["no-self-approval".into()],
                words: "nobody approves their own request".into(),
            };
        }
        if self.is_in(who, &guarded.approvers) {
            return yes(resource, "approvers");
        }
        no(format!("you are no approver of `{resource}`. {}", whom(&self.approvers(resource), requester)))
    }

    fn may_revoke(&self, who: &str, _holder: &str, resource: &str) -> Verdict {
        let guarded = match self.guarded(resource) {
            Ok(guarded) => guarded,
            Err(no) => return no,
        };
        if self.is_in(who, &guarded.approvers) {
            return yes(resource, "approvers");
        }
        if self.is_in(who, &guarded.revokers) {
            return yes(resource, "revokers");
        }
        no(format!("you may not end access to `{resource}`. {}", whom(&self.approvers(resource), who)))
    }

    fn approvers(&self, resource: &str) -> Vec<String> {
        let list = self.resources.get(resource).map(|guarded| guarded.approvers.as_slice()).unwrap_or_default();
        self.people_in(list).into_iter().collect()
    }
}

/// Whom to ask instead.
fn whom(approvers: &[String], but: &str) -> String {
    const NAMED_MAX: usize = 10;
    let names: Vec<&str> = approvers.iter().map(String::as_str).filter(|name| *name != but).take(NAMED_MAX).collect();
    match names.split_last() {
        None => "Nobody else may either: ask whoever looks after the config".into(),
        Some((only, [])) => format!("Ask {only}"),
        Some((last, others)) => format!("Ask {} or {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests;
