//! Who and what a story may name: the people, channels and resources of its config.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    access::{Chat, Rules},
    config::Config,
};

/// What a config knows.
#[derive(Debug, Clone, Default)]
pub struct Cast {
    /// Principals, with the platforms they have an account on.
    pub people: BTreeMap<String, BTreeSet<Chat>>,
    /// Channels, without `#`.
    pub channels: BTreeSet<String>,
    /// Resources.
    pub resources: BTreeSet<String>,
}

impl Cast {
    /// Everybody and everything in a config.
    pub fn of(config: &Config) -> Self {
        let people = config.people.values().map(|person| {
            let chats = person.accounts().into_iter().map(|(chat, _)| chat).collect();
            (person.name.clone(), chats)
        });
        let of_resources = config.resources.iter().filter_map(|name| config.facts.resource(name));
        let channels = of_resources.map(|resource| resource.channel).chain(config.server.playground_channel.clone());
        Self {
            people: people.collect(),
            channels: channels.map(|channel| channel.trim_start_matches('#').to_owned()).collect(),
            resources: config.resources.iter().cloned().collect(),
        }
    }
}
