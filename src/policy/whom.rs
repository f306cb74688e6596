//! Who may do a thing: the questions asked of several people, for telling others whom to ask.

use std::collections::BTreeSet;

use cedar_policy::Effect;
use chrono::DateTime;

use super::{
    Guarded, Policies, Who,
    book::Scope,
    policies::{Outcome, Snapshot},
};
use crate::access::{Chat, Question, Right, Span};

/// People named in the hint of a refusal, which has to be quick.
const NAMED_MAX: usize = 3;
/// People asked after for it: those whom the lists name, one by one, until enough are found.
const HINTED_MAX: usize = 3;

impl Policies {
    /// Whether one of several people may do it, for telling others.
    pub(super) fn may(&self, snapshot: &Snapshot, question: &Question<'_>, who: &str) -> bool {
        let own = matches!(question.right, Right::Request | Right::AutoApprove | Right::BreakGlass);
        let requester = if own { who } else { question.requester };
        matches!(self.outcome(snapshot, &Question { who, requester, ..question.clone() }, false), Outcome::Yes(_))
    }

    /// A few people who may do it instead of the one who asks.
    pub(super) fn hinted<'a>(&'a self, snapshot: &'a Snapshot, question: &Question<'_>) -> Vec<&'a str> {
        let guarded = self.facts().resources().get(question.resource);
        let lists = self.lists(guarded, question.right, question.escalated).into_iter().flatten();
        let listed = lists.flat_map(|who| -> Box<dyn Iterator<Item = &'a str> + 'a> {
            match who {
                Who::Person(name) => Box::new(std::iter::once(name.as_str())),
                Who::Group(group) => Box::new(snapshot.world.flat.get(group).into_iter().flatten().map(String::as_str)),
            }
        });
        let mut tried: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        for name in listed.filter(|name| *name != question.requester && *name != question.who) {
            if tried.contains(&name) {
                continue;
            }
            if tried.len() == HINTED_MAX || found.len() == NAMED_MAX {
                break;
            }
            tried.push(name);
            if self.may(snapshot, question, name) {
                found.push(name);
            }
        }
        found
    }

    /// Everybody whom some policy could permit it, those that the lists name first.
    pub(super) fn candidates<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        right: Right,
        resource: &str,
        escalated: bool,
    ) -> Vec<&'a str> {
        let mut people: Vec<&str> = Vec::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let known = |name: &str| self.facts().people().get(name).map(String::as_str);
        let mut add = |names: &mut dyn Iterator<Item = &'a str>| {
            for name in names {
                if let Some(name) = known(name)
                    && seen.insert(name)
                {
                    people.push(name);
                }
            }
        };
        let guarded = self.facts().resources().get(resource);
        for list in self.lists(guarded, right, escalated) {
            for who in list {
                match who {
                    Who::Person(name) => add(&mut std::iter::once(name.as_str())),
                    Who::Group(group) => {
                        add(&mut snapshot.world.flat.get(group).into_iter().flatten().map(String::as_str));
                    }
                }
            }
        }
        for (_, known) in self.book().known_about(right) {
            let elsewhere = known.only_resource.as_ref().is_some_and(|only| only != resource);
            if known.shipped || known.effect != Effect::Permit || elsewhere {
                continue;
            }
            match &known.scope {
                Scope::Person(name) => add(&mut std::iter::once(name.as_str())),
                Scope::Group(group) => {
                    add(&mut snapshot.world.flat.get(group).into_iter().flatten().map(String::as_str));
                }
                Scope::Anybody => add(&mut self.facts().people().iter().map(String::as_str)),
            }
        }
        let everybody = right == Right::Request && guarded.is_some_and(|guarded| guarded.requesters.is_none());
        if everybody {
            add(&mut self.facts().people().iter().map(String::as_str));
        }
        people
    }

    /// Whether everybody may do it for a minute, at noon of a working day, for a reason with a ticket.
    pub fn everybody_may(&self, right: Right, resource: &str) -> bool {
        const USUAL_SECS: i64 = 1_795_003_200;
        let Some(guarded) = self.facts().resources().get(resource) else { return false };
        let Ok(span) = Span::from_secs(60) else { return false };
        let snapshot = self.snapshot();
        self.facts().people().iter().all(|who| {
            let question = Question {
                right,
                who,
                resource,
                requester: who,
                span,
                reason: "fixing INC-42",
                now: DateTime::from_timestamp(USUAL_SECS, 0).unwrap_or_default(),
                chat: Some(Chat::Slack),
                channel: &guarded.resource.channel,
                approvals: 0,
                escalated: false,
            };
            matches!(self.outcome(&snapshot, &question, false), Outcome::Yes(_))
        })
    }

    /// Everybody whom the lists or some policy could permit it, whatever the moment; `None` where a source decides who
    /// that is.
    pub fn at_most(&self, right: Right, resource: &str) -> Option<BTreeSet<String>> {
        let snapshot = self.snapshot();
        let guarded = self.facts().resources().get(resource);
        let policies = self.book().known_about(right).filter(|(_, known)| known.effect == Effect::Permit);
        let groups = policies.flat_map(|(_, known)| known.groups.iter().map(String::as_str));
        let lists = self.lists(guarded, right, true).into_iter().flatten().filter_map(|who| match who {
            Who::Group(group) => Some(group.as_str()),
            Who::Person(_) => None,
        });
        let sourced = |group: &str| self.facts().groups().get(group).is_some_and(|group| group.source.is_some());
        if groups.chain(lists).any(|group| self.facts().within(group).into_iter().any(sourced)) {
            return None;
        }
        Some(self.candidates(&snapshot, right, resource, true).into_iter().map(str::to_owned).collect())
    }

    /// The lists that give a right on a resource by the shipped policies.
    pub(super) fn lists<'a>(&'a self, guarded: Option<&'a Guarded>, right: Right, escalated: bool) -> Vec<&'a [Who]> {
        let security = self.facts().security();
        let Some(guarded) = guarded else {
            return match right {
                Right::ReadLog | Right::Administer => vec![security],
                Right::Request
                | Right::Approve
                | Right::AutoApprove
                | Right::BreakGlass
                | Right::Revoke
                | Right::Review => Vec::new(),
            };
        };
        match right {
            Right::Request => guarded.requesters.iter().map(Vec::as_slice).collect(),
            Right::Approve if escalated => vec![&guarded.approvers, &guarded.escalate_to],
            Right::Approve => vec![&guarded.approvers],
            Right::AutoApprove => Vec::new(),
            Right::BreakGlass => vec![&guarded.break_glass],
            Right::Revoke => vec![&guarded.approvers, &guarded.revokers, security],
            Right::Review => vec![&guarded.approvers, &guarded.reviewers, security],
            Right::ReadLog | Right::Administer => vec![security],
        }
    }
}
