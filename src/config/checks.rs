//! What no single line shows: whether anybody can decide, be reached or asked in time, or break the glass.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Person, Problem, Server,
    chats::{is_discord_id, is_slack_id},
    problem::Source,
    resources::Read,
};
use crate::{
    access::{Chat, Right, Span},
    policy::{Book, Facts, Policies},
};

/// The facts that are looked at.
pub struct Checks<'a> {
    pub facts: &'a Facts,
    pub people: &'a BTreeMap<String, Person>,
    pub server: &'a Server,
}

fn warning(source: &Source<'_>, offset: usize, words: String, hint: &str) -> Problem {
    Problem { warning: true, ..source.problem(offset, words, Some(hint.into())) }
}

/// What is to be done with a request that waits, and never is: it lapses first.
fn too_late(source: &Source<'_>, read: &Read) -> Vec<Problem> {
    let resource = &read.guarded.resource;
    let late = |offset: Option<usize>, after: Option<Span>, what: &str| {
        let (offset, after) = (offset?, after.filter(|after| *after >= resource.lapse_after)?);
        let words = format!("{what} after {after}, and a request lapses after {}", resource.lapse_after);
        Some(warning(source, offset, words, "so it never happens; make it shorter than `lapse_after`"))
    };
    let escalated = late(read.escalate_to, resource.escalate_after, "others are asked");
    let reminded = late(read.remind_after, resource.remind_after, "approvers are reminded");
    escalated.into_iter().chain(reminded).collect()
}

impl Checks<'_> {
    /// People in no group.
    pub fn of_people(&self, source: &Source<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let flat = self.facts.flat(&BTreeMap::new());
        let from_elsewhere = self.facts.groups().values().any(|group| group.source.is_some());
        for person in self.people.values() {
            let in_one = flat.values().any(|people| people.contains(&person.name));
            // A source may put anybody into its group.
            if !in_one && !from_elsewhere && !flat.is_empty() {
                let words = format!("`{}` is in no group", person.name);
                problems.push(warning(source, person.offset, words, "put them into one, so that a list can mean them"));
            }
        }
        problems
    }

    /// Resources that nobody can approve, approvers whom nobody can reach, a break-glass for nobody or for everybody.
    pub fn of_resources(&self, source: &Source<'_>, resources: &[Read], draft: Option<&Book>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let rules = draft.and_then(|book| Policies::new(self.facts.clone(), book.clone()).ok());
        let mut told: BTreeSet<String> = BTreeSet::new();
        for read in resources {
            problems.extend(self.unknown_channel(source, read));
            problems.extend(too_late(source, read));
            if let Some(rules) = &rules {
                problems.extend(Self::decidable(source, read, rules));
                problems.extend(self.breakable(source, read, rules));
            }
            let flat = self.facts.flat(&BTreeMap::new());
            for name in self.facts.people_in(&read.guarded.approvers, &flat) {
                if !self.reachable(&name) && told.insert(name.clone()) {
                    let resource = &read.guarded.resource.name;
                    let words = format!("`{name}` approves `{resource}` but has no account on any chat that is set up");
                    problems.push(warning(
                        source,
                        read.approvers,
                        words,
                        "add their Slack or Discord id to `people.toml`",
                    ));
                }
            }
        }
        problems
    }

    /// Channels that a resource names and a chat that is set up doesn't know.
    fn unknown_channel(&self, source: &Source<'_>, read: &Read) -> Vec<Problem> {
        let Some(offset) = read.channel else { return Vec::new() };
        let channel = &read.guarded.resource.channel;
        let (slack, discord) = (&self.server.slack.channels, &self.server.discord.channels);
        let chats = [("Slack", "slack", slack), ("Discord", "discord", discord)];
        // An id of one platform is nothing that the other could know.
        let somewhere = is_slack_id(channel) || is_discord_id(channel);
        let unknown = chats.into_iter().filter_map(|(chat, table, channels)| {
            let channels = channels.as_ref().filter(|channels| !somewhere && !channels.named.contains_key(channel))?;
            let words = format!("{chat} has no channel for `{channel}`, so its cards go to `{}`", channels.usual);
            let hint = format!("name it in `[{table}]`: `channels = {{ {channel} = \"…\" }}`");
            Some(warning(source, offset, words, &hint))
        });
        unknown.collect()
    }

    fn reachable(&self, name: &str) -> bool {
        let on = [
            (Chat::Playground, self.server.playground_channel.is_some()),
            (Chat::Slack, self.server.slack.on),
            (Chat::Discord, self.server.discord.on),
        ];
        let mut on = on.into_iter().filter(|(_, on)| *on).peekable();
        let accounts = self.people.get(name).map(Person::accounts).unwrap_or_default();
        on.peek().is_none() || on.any(|(chat, _)| accounts.iter().any(|(of, _)| *of == chat))
    }

    /// Whether enough people can approve, for at least one who may ask.
    fn decidable(source: &Source<'_>, read: &Read, rules: &Policies) -> Option<Problem> {
        let resource = &read.guarded.resource;
        // A name that is not there has been reported; what follows from it is no mistake of its own.
        if !read.approvers_whole {
            return None;
        }
        let approvers = rules.at_most(Right::Approve, &resource.name)?;
        let askers = rules.at_most(Right::Request, &resource.name);
        let others_ask = askers.is_none_or(|askers| askers.iter().any(|who| !approvers.contains(who)));
        let left = if others_ask { approvers.len() } else { approvers.len().saturating_sub(1) };
        let quorum = usize::try_from(resource.quorum).unwrap_or(usize::MAX);
        if left >= quorum {
            return None;
        }
        let people = match approvers.len() {
            1 => "there is 1 approver".to_owned(),
            many => format!("there are {many} approvers"),
        };
        let but =
            if left < approvers.len() && approvers.len() >= quorum { ", of whom one has always asked" } else { "" };
        let words = format!("nobody can ever approve this: `quorum` is {quorum} and {people}{but}");
        Some(source.problem(read.quorum, words, Some("add approvers, or people to their groups".into())))
    }

    fn breakable(&self, source: &Source<'_>, read: &Read, rules: &Policies) -> Option<Problem> {
        let name = &read.guarded.resource.name;
        let may = rules.at_most(Right::BreakGlass, name);
        match (read.break_glass, may) {
            (Some(offset), Some(people)) if people.is_empty() => {
                let words = format!("nobody may break the glass for `{name}`: its `break_glass` names nobody");
                Some(warning(source, offset, words, "add people to its groups, or leave the key out"))
            }
            (offset, _) if self.people.len() > 1 && rules.everybody_may(Right::BreakGlass, name) => {
                let words = format!("everybody may break the glass for `{name}`");
                let hint = "break-glass goes without approval; name those who are on call";
                Some(warning(source, offset.unwrap_or(read.offset), words, hint))
            }
            (Some(_) | None, Some(_) | None) => None,
        }
    }
}
