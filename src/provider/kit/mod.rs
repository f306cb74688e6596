//! The conformance kit: what every provider promises, asked of it through the protocol, with its real target behind it.
//!
//! It opens doors under a tag that no log has, for a holder who is nobody, repeats, shuts them and looks, kills the
//! plugin in the middle of its work and does not wait for its answer; and it says in words which promise was broken.
//! Nothing that it opened is left, as far as the plugin lets it be shut.

mod ask;
mod calm;
mod faults;

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use super::{
    Credential, Provider, ProviderError, Settings, Surroundings,
    plugin::{Plugin, Reach},
    protocol::Abilities,
    registry,
};
use ask::Run;

/// The name of the holder that the kit opens doors for, if nobody names another.
pub const HOLDER: &str = "countersign-test";

/// Tries what a credential opens.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Whether it works at this moment.
    async fn works(&self, credential: &Credential) -> bool;
}

/// What is tested.
pub struct Subject {
    plugin: Plugin,
    kind: &'static str,
}

/// How it is tested.
pub struct Options {
    /// Whose access the doors are opened for. Some targets want somebody they know.
    pub holder: String,
    /// Tells whether a credential works; without it, that a second one voids the first is not looked at.
    pub probe: Option<Arc<dyn Probe>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { holder: HOLDER.to_owned(), probe: None }
    }
}

/// A promise, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// The promise.
    pub promise: &'static str,
    /// How it was broken, in words; nothing if it was kept.
    pub broken: Vec<String>,
    /// Why it was not looked at, if it wasn't.
    pub skipped: Option<&'static str>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The provider.
    pub provider: &'static str,
    /// What it says it can do, if it could be asked.
    pub description: Option<Abilities>,
    /// What belongs into the settings for that, if anything does.
    pub settings: Option<String>,
    /// How often it was asked something.
    pub asked: u32,
    /// The promises, in the order in which they were looked at.
    pub promises: Vec<Promise>,
}

impl Report {
    /// Every way in which a promise was broken.
    pub fn broken(&self) -> impl Iterator<Item = &str> {
        self.promises.iter().flat_map(|promise| promise.broken.iter().map(String::as_str))
    }

    /// Whether all promises that were looked at were kept.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.broken().next().is_none()
    }
}

impl Subject {
    /// The provider of a target, as it stands in the config. A provider of this binary is asked through the protocol too.
    ///
    /// # Errors
    /// As [`open`](super::open).
    pub fn new(
        name: &str,
        resource: &str,
        settings: &Settings,
        surroundings: &Surroundings,
    ) -> Result<Self, ProviderError> {
        let plugin = registry::plugin(name, resource, settings, surroundings)?;
        let kind = plugin.describe().name;
        Ok(Self { plugin, kind })
    }

    /// What it says it can do, whatever its settings say.
    ///
    /// # Errors
    /// It can't be asked.
    pub async fn abilities(&self) -> Result<Abilities, ProviderError> {
        self.plugin.abilities().await
    }

    /// Looks at every promise. Doors of the target are opened and shut.
    pub async fn examine(&self, options: &Options) -> Report {
        let mut run = match Run::new(&self.plugin, options) {
            Ok(run) => run,
            Err(error) => {
                let promise = Promise { promise: "it can be asked", broken: vec![error.to_string()], skipped: None };
                let (description, settings) = (None, None);
                return Report { provider: self.kind, description, settings, asked: 0, promises: vec![promise] };
            }
        };
        if run.describes().await {
            run.calmly().await;
            match self.plugin.reach() {
                // What breaks by itself breaks in the middle too: that would only hide what is wrong.
                _ if run.has_broken() => {
                    run.skip(faults::KILLED, "something simpler is broken: mend that first");
                    run.skip(faults::LATE, "something simpler is broken: mend that first");
                }
                Reach::Inside => {
                    run.skip(faults::KILLED, "it lives in this process");
                    run.skip(faults::LATE, "it lives in this process");
                }
                Reach::Process => {
                    run.killed().await;
                    run.late().await;
                }
                Reach::Remote => {
                    run.skip(faults::KILLED, "it can't be killed from here");
                    run.late().await;
                }
            }
            run.clean_up().await;
        }
        run.report(self.kind)
    }
}
