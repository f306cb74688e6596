//! Who and what a story may name: the people, channels and resources of its config.

use std::collections::{BTreeMap, BTreeSet};

use crate::{access::Chat, config::Config};

/// What a config knows.
#[derive(Debug, Clone, Default)]
pub struct Cast {
    /// Principals, with the platforms they have an account on.
    pub people: BTreeMap<String, BTreeSet<Chat>>,
    /// Channels, without `#`.
    pub channels: BTreeSet<String>,
    /// Resources.
    pub resources: BTreeSet<String>,
    /// Groups whose people are kept elsewhere.
    pub sourced: BTreeSet<String>,
}

impl Cast {
    /// Everybody and everything in a config.
    pub fn of(config: &Config) -> Self {
        let people = config.people.values().map(|person| {
            let chats = person.accounts().into_iter().map(|(chat, _)| chat).collect();
            (person.name.clone(), chats)
        });
        let of_resources = config.resources.iter().filter_map(|name| config.facts.resource(name));
        let own = [&config.server.playground_channel, &config.server.security_channel].into_iter().flatten().cloned();
        let channels = of_resources.map(|resource| resource.channel.clone()).chain(own);
        Self {
            people: people.collect(),
            channels: channels.map(|channel| channel.trim_start_matches('#').to_owned()).collect(),
            resources: config.resources.iter().cloned().collect(),
            sourced: super::groups::sourced(config).collect(),
        }
    }

    /// Adds whom and what another config knows.
    pub fn add(&mut self, other: Self) {
        for (name, chats) in other.people {
            self.people.entry(name).or_default().extend(chats);
        }
        self.channels.extend(other.channels);
        self.resources.extend(other.resources);
        self.sourced.extend(other.sourced);
    }
}
