//! What says who is in a group: a chat's own groups, an on-call schedule, a program, a URL.

mod command;
mod discord;
mod http;
mod pagerduty;
mod slack;
#[cfg(test)]
mod tests;
mod url;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;

use super::{Facts, Lookup};

/// A source of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A Slack user group, by its id (`S…`).
    SlackUsergroup(String),
    /// A Discord role, by its id.
    DiscordRole(String),
    /// Who is on call by a `PagerDuty` schedule, by its id.
    PagerdutySchedule(String),
    /// A program that prints one name, email or account a line.
    Command(Vec<String>),
    /// A URL that answers with a JSON list of names, emails or accounts.
    Url(String),
}

/// Where a platform is asked, and with what right; without a token it says why there is none.
#[derive(Debug, Clone)]
pub struct Platform {
    /// The base of its API, without a slash at the end.
    pub api_url: String,
    /// The token, or why there is none.
    pub token: Result<SecretString, String>,
    /// The Slack team or the Discord guild that the accounts are of.
    pub place: Option<String>,
}

/// The platforms that groups come from.
#[derive(Debug, Clone)]
pub struct Platforms {
    /// Slack's Web API, by default `https://slack.com/api`.
    pub slack: Platform,
    /// Discord, by default `https://discord.com`.
    pub discord: Platform,
    /// `PagerDuty`'s REST API, by default `https://api.pagerduty.com`.
    pub pagerduty: Platform,
}

/// A lookup for every group that has a source.
pub fn lookups(facts: &Facts, platforms: &Platforms) -> BTreeMap<String, Arc<dyn Lookup>> {
    let sourced = facts.groups().iter().filter_map(|(name, group)| Some((name.clone(), group.source.as_ref()?)));
    sourced.map(|(name, source)| (name, lookup(source, platforms))).collect()
}

fn lookup(source: &Source, platforms: &Platforms) -> Arc<dyn Lookup> {
    match source {
        Source::SlackUsergroup(id) => {
            Arc::new(Blocking(Arc::new(slack::Usergroup { platform: platforms.slack.clone(), id: id.clone() })))
        }
        Source::DiscordRole(id) => {
            Arc::new(Blocking(Arc::new(discord::Role { platform: platforms.discord.clone(), id: id.clone() })))
        }
        Source::PagerdutySchedule(id) => {
            Arc::new(Blocking(Arc::new(pagerduty::Schedule { platform: platforms.pagerduty.clone(), id: id.clone() })))
        }
        Source::Command(words) => Arc::new(command::Program(words.clone())),
        Source::Url(url) => Arc::new(Blocking(Arc::new(url::List(url.clone())))),
    }
}

/// A source that is asked by a call that waits.
trait Ask: Send + Sync + 'static {
    fn ask(&self) -> Result<Vec<String>, String>;
}

/// The same, off the threads that must not wait.
struct Blocking<A>(Arc<A>);

#[async_trait]
impl<A: Ask> Lookup for Blocking<A> {
    async fn members(&self) -> Result<Vec<String>, String> {
        let asked = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || asked.ask()).await.unwrap_or_else(|_| Err("the lookup broke off".into()))
    }
}

/// An account as `people.toml` has it.
fn account(place: Option<&str>, user: &str) -> String {
    place.map_or_else(|| user.to_owned(), |place| format!("{place}/{user}"))
}
