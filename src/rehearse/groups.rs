//! Groups whose people are kept elsewhere: in a story, the story says who is in them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{config::Config, policy::Lookup};

/// A lookup for each group that has a source.
pub type Lookups = BTreeMap<String, Arc<dyn Lookup>>;

/// Who is in a group that has a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roster {
    /// These people.
    People(Vec<String>),
    /// Its source can't be reached.
    Away,
}

/// All such groups of a story. Nobody is in one of which it has not spoken.
#[derive(Default)]
pub struct Groups(Mutex<BTreeMap<String, Roster>>);

impl Groups {
    /// From now on these are in a group.
    pub fn set(&self, group: &str, roster: Roster) {
        self.rosters().insert(group.to_owned(), roster);
    }

    /// A lookup for each group of a config that has a source.
    pub fn lookups(self: &Arc<Self>, config: &Config) -> Lookups {
        sourced(config)
            .map(|group| (group.clone(), Arc::new(Asked { group, groups: Arc::clone(self) }) as Arc<dyn Lookup>))
            .collect()
    }

    fn rosters(&self) -> MutexGuard<'_, BTreeMap<String, Roster>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The groups of a config that have a source.
pub fn sourced(config: &Config) -> impl Iterator<Item = String> {
    config.facts.groups().iter().filter(|(_, group)| group.source.is_some()).map(|(name, _)| name.clone())
}

struct Asked {
    group: String,
    groups: Arc<Groups>,
}

#[async_trait]
impl Lookup for Asked {
    async fn members(&self) -> Result<Vec<String>, String> {
        match self.groups.rosters().get(&self.group) {
            Some(Roster::People(people)) => Ok(people.clone()),
            Some(Roster::Away) => Err("the story has its source away".to_owned()),
            None => Ok(Vec::new()),
        }
    }
}
