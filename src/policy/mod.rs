//! Who may ask, approve and end: the plain facts of the config, answered as [`Rules`].
//!
//! Names are compared whole: no prefix, no pattern, no case folding. What is not allowed is refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Chat, Question, Resource, Right, Rules, Verdict};

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
        Self { resource, requesters: None, approvers, escalate_to, revokers, break_glass, reviewers }
    }
}

/// The facts of the day.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    accounts: BTreeMap<(Chat, String), String>,
    people: BTreeSet<String>,
    groups: BTreeMap<String, BTreeSet<String>>,
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

    /// Adds a group.
    pub fn add_group(&mut self, name: &str, members: impl IntoIterator<Item = String>) {
        self.groups.insert(name.to_owned(), members.into_iter().collect());
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

    /// The lists that give a right on a resource, each with its name; `None` in place of a list is everybody.
    fn lists<'a>(&'a self, guarded: &'a Guarded, question: &Question<'_>) -> Vec<(&'static str, Option<&'a [Who]>)> {
        let approvers = ("approvers", Some(guarded.approvers.as_slice()));
        let security = ("security", Some(self.security.as_slice()));
        match question.right {
            Right::Request => match &guarded.requesters {
                None => vec![("anybody", None)],
                Some(list) => vec![("requesters", Some(list))],
            },
            Right::Approve if question.escalated => vec![approvers, ("escalate_to", Some(&guarded.escalate_to))],
            Right::Approve => vec![approvers],
            Right::AutoApprove => Vec::new(),
            Right::BreakGlass => vec![("break_glass", Some(&guarded.break_glass))],
            Right::Revoke => vec![approvers, ("revokers", Some(&guarded.revokers)), security],
            Right::Review => vec![approvers, ("reviewers", Some(&guarded.reviewers)), security],
            Right::ReadLog | Right::Administer => vec![security],
        }
    }
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

    fn knows(&self, who: &str) -> bool {
        self.people.contains(who)
    }

    fn resource(&self, name: &str) -> Option<Resource> {
        self.resources.get(name).map(|guarded| guarded.resource.clone())
    }

    fn resource_names(&self) -> Vec<String> {
        self.resources.keys().cloned().collect()
    }

    fn security_channel(&self) -> Option<String> {
        self.security_channel.clone()
    }

    fn judge(&self, question: &Question<'_>) -> Verdict {
        let Question { right, who, resource, requester, .. } = *question;
        if who == requester && matches!(right, Right::Approve | Right::Review) {
            let policies = vec!["no-self-approval".into()];
            return Verdict::No { policies, words: "nobody approves or reviews what they asked for themselves".into() };
        }
        let Some(guarded) = self.resources.get(resource) else {
            return no(format!("there is no resource `{resource}` any more"));
        };
        let lists = self.lists(guarded, question);
        let named = lists.iter().find(|(_, list)| match list {
            Some(list) => self.is_in(who, list),
            None => self.people.contains(who),
        });
        if let Some((name, _)) = named {
            return Verdict::Yes(vec![format!("{resource}.{name}")]);
        }
        let ask = || whom(&self.those_who_may(question), who);
        no(match right {
            Right::Request => format!(
                "you may not ask for `{resource}`: its `requesters` don't name you. Whoever looks after `resources.toml` \
                 can add you"
            ),
            Right::Approve => format!("you are no approver of `{resource}`. {}", ask()),
            Right::AutoApprove => format!("no rule approves `{resource}` for you by itself"),
            Right::BreakGlass => {
                format!(
                    "you may not break the glass for `{resource}`. Ask for it in the usual way: `/access {resource} 30m <reason>`"
                )
            }
            Right::Revoke => format!("you may not end access to `{resource}`. {}", ask()),
            Right::Review => format!("you may not review a break-glass of `{resource}`. {}", ask()),
            Right::ReadLog | Right::Administer => "only those who answer for security may do that".to_owned(),
        })
    }

    fn those_who_may(&self, question: &Question<'_>) -> Vec<String> {
        let Some(guarded) = self.resources.get(question.resource) else { return Vec::new() };
        let lists = self.lists(guarded, question);
        let mut people: BTreeSet<String> =
            lists.iter().filter_map(|(_, list)| *list).flat_map(|list| self.people_in(list)).collect();
        if lists.iter().any(|(_, list)| list.is_none()) {
            people.extend(self.people.iter().cloned());
        }
        people.remove(question.requester);
        people.into_iter().filter(|name| self.people.contains(name)).collect()
    }
}

/// What people may do by the new rules that they may not do by the old ones, a line each.
#[must_use]
pub fn widened(_old: &Facts, _new: &Facts) -> Vec<String> {
    Vec::new()
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
