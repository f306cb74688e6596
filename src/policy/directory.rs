//! Who is in the groups that have a source: asked at the click, kept for a short while.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::{sync::MutexGuard, task::JoinSet};

use super::Facts;

/// How long a source may take. Somebody waits for it with a finger on a button.
pub const DEADLINE_MILLIS: u64 = 2_000;
/// How soon a source that was down is asked again, if the cache's time is longer.
const DOWN_RETRY_SECS: i64 = 5;

/// Something that says who is in a group.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The people: principals' names, emails or accounts. What names nobody of the config is left out.
    ///
    /// # Errors
    /// Why nobody can be named, for people: lower case, no full stop, no secret.
    async fn members(&self) -> Result<Vec<String>, String>;
}

/// What a source said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    pub at: DateTime<Utc>,
    pub people: Result<BTreeSet<String>, String>,
}

/// The sources.
#[derive(Default)]
pub struct Directory {
    lookups: BTreeMap<String, Arc<dyn Lookup>>,
    cache_secs: i64,
    gate: tokio::sync::Mutex<()>,
}

impl Directory {
    pub fn new(lookups: BTreeMap<String, Arc<dyn Lookup>>, cache_secs: u64) -> Self {
        let cache_secs = i64::try_from(cache_secs).unwrap_or(i64::MAX);
        Self { lookups, cache_secs, gate: tokio::sync::Mutex::default() }
    }

    /// Whoever holds it asks the sources; the others wait and find the answers.
    pub async fn gate(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().await
    }

    /// The groups whose source is to be asked now, if there are any.
    pub fn due(&self, looked: &BTreeMap<String, Looked>, now: DateTime<Utc>) -> Option<Vec<String>> {
        let due = self.lookups.keys().filter(|group| {
            looked.get(*group).is_none_or(|looked| {
                let good = if looked.people.is_ok() { self.cache_secs } else { self.cache_secs.min(DOWN_RETRY_SECS) };
                now - looked.at >= TimeDelta::seconds(good)
            })
        });
        let due: Vec<String> = due.cloned().collect();
        (!due.is_empty()).then_some(due)
    }

    /// Asks these sources, all at once.
    pub async fn ask(&self, groups: Vec<String>, facts: &Facts, now: DateTime<Utc>) -> Vec<(String, Looked)> {
        let deadline = Duration::from_millis(DEADLINE_MILLIS);
        let mut asking = JoinSet::new();
        for group in groups {
            let Some(lookup) = self.lookups.get(&group).cloned() else { continue };
            asking.spawn(async move {
                let answer = tokio::time::timeout(deadline, lookup.members()).await;
                (group, answer.unwrap_or_else(|_| Err(format!("no answer within {} s", DEADLINE_MILLIS / 1_000))))
            });
        }
        let mut answers = Vec::new();
        // A lookup that broke off has said nothing; its group stays in doubt.
        while let Some(answer) = asking.join_next().await {
            let Ok((group, answer)) = answer else { continue };
            let people = answer
                .map(|words| words.iter().filter_map(|word| facts.meant_by(word.trim())).map(str::to_owned).collect());
            answers.push((group, Looked { at: now, people }));
        }
        answers
    }

    /// The groups of which nobody can say now who is in them, each with why.
    pub fn doubtful(
        &self,
        looked: &BTreeMap<String, Looked>,
        now: DateTime<Utc>,
        grace: TimeDelta,
    ) -> Vec<(String, String)> {
        let oldest = TimeDelta::seconds(self.cache_secs) + grace;
        let why = |group: &String| match looked.get(group) {
            None => Some("its source was not asked yet".to_owned()),
            Some(Looked { people: Err(why), .. }) => Some(why.clone()),
            Some(Looked { at, .. }) if now - *at > oldest => Some("its source was not asked for long".to_owned()),
            Some(_) => None,
        };
        self.lookups.keys().filter_map(|group| Some((group.clone(), why(group)?))).collect()
    }
}
