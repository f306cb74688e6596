//! Providers that only plan: what they say is the real providers' word, what they do is done in a model.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::{
    engine::doors::Opener,
    provider::{
        self, Credential, CredentialPart, Description, Item, Order, Provider, ProviderError, PublicDocument,
        Surroundings,
    },
};

/// How the provider of a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// It does what it is told.
    #[default]
    Well,
    /// It can't be reached: nothing is done, and it says so.
    Fails,
    /// It does what it is told, and never answers.
    Hangs,
}

impl Mood {
    /// Each with the words of a story for it.
    pub const WORDS: [(&'static str, Self); 3] =
        [("fails", Self::Fails), ("hangs", Self::Hangs), ("is back", Self::Well)];
}

/// All the doors there are in a story, over every restart.
pub struct World {
    doors: Mutex<Doors>,
    hanging: watch::Sender<usize>,
    /// How often the service has ended, and with it its calls.
    ends: watch::Sender<u64>,
}

#[derive(Default)]
struct Doors {
    moods: BTreeMap<String, Mood>,
    /// Open doors by external id.
    open: BTreeMap<String, Door>,
}

struct Door {
    resource: String,
    request: u64,
    not_after: DateTime<Utc>,
}

impl World {
    /// A world without an open door.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { doors: Mutex::default(), hanging: watch::Sender::new(0), ends: watch::Sender::new(0) })
    }

    /// From now on the provider of `resource` is like this.
    pub fn set_mood(&self, resource: &str, mood: Mood) {
        self.doors().moods.insert(resource.to_owned(), mood);
    }

    /// Whether a door is open for a request, and until when it was told to be.
    pub fn open_for(&self, request: u64) -> Option<DateTime<Utc>> {
        self.doors().open.values().find(|door| door.request == request).map(|door| door.not_after)
    }

    /// How many calls hang.
    pub fn hanging(&self) -> watch::Receiver<usize> {
        self.hanging.subscribe()
    }

    /// The service has ended: so do the calls that hang. Waits until they have.
    pub async fn end_calls(&self) {
        self.ends.send_modify(|ends| *ends += 1);
        // The other end of it is in this very struct.
        let _ = self.hanging().wait_for(|count| *count == 0).await;
    }

    /// Opens the real provider behind a model of its target.
    pub fn opener(self: &Arc<Self>, surroundings: Surroundings) -> Opener {
        let world = Arc::clone(self);
        Arc::new(move |name, resource, settings| {
            let real = provider::open(name, resource, settings, &surroundings)?;
            Ok(Arc::new(Planned { real, resource: resource.to_owned(), world: Arc::clone(&world) }))
        })
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mood(&self, resource: &str) -> Mood {
        self.doors().moods.get(resource).copied().unwrap_or_default()
    }
}

/// A provider that plans like the real one, over a model of its target.
struct Planned {
    real: Arc<dyn Provider>,
    resource: String,
    world: Arc<World>,
}

/// A call that hangs, as long as it does.
struct Hanging<'a>(&'a World);

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.hanging.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Planned {
    /// Does something to the target, as far as the provider's mood lets it.
    async fn act<T: Send>(&self, deed: impl FnOnce(&mut Doors) -> T + Send) -> Result<T, ProviderError> {
        match self.world.mood(&self.resource) {
            Mood::Well => Ok(deed(&mut self.world.doors())),
            Mood::Fails => Err(ProviderError::Retry("the story has its provider fail".into())),
            Mood::Hangs => {
                deed(&mut self.world.doors());
                self.world.hanging.send_modify(|count| *count = count.saturating_add(1));
                let _hanging = Hanging(&self.world);
                let _ = self.world.ends.subscribe().changed().await;
                Err(ProviderError::Unknown("the service has ended".into()))
            }
        }
    }
}

#[async_trait]
impl Provider for Planned {
    fn describe(&self) -> Description {
        self.real.describe()
    }

    fn plan(&self) -> Vec<String> {
        self.real.plan()
    }

    async fn check(&self) -> Result<Vec<String>, ProviderError> {
        self.act(|_| Vec::new()).await
    }

    async fn grant(&self, order: &Order) -> Result<(), ProviderError> {
        let door = Door { resource: self.resource.clone(), request: order.request, not_after: order.not_after };
        let id = order.external_id.clone();
        self.act(|doors| drop(doors.open.insert(id, door))).await
    }

    async fn credential(&self, order: &Order, n: u32) -> Result<Credential, ProviderError> {
        self.act(|_| ()).await?;
        let text = "a rehearsal cuts no key".to_owned();
        let parts = vec![CredentialPart { label: "rehearsal".into(), text: text.into() }];
        Ok(Credential { n, public_id: format!("rehearsal-{n}"), not_after: order.not_after, parts })
    }

    async fn revoke(&self, order: &Order) -> Result<(), ProviderError> {
        self.act(|doors| drop(doors.open.remove(&order.external_id))).await
    }

    async fn list(&self, log_tag: &str) -> Result<Vec<Item>, ProviderError> {
        let mark = format!("cs_{log_tag}_");
        let items = |doors: &mut Doors| {
            let ours = doors.open.iter().filter(|(id, door)| door.resource == self.resource && id.starts_with(&mark));
            ours.map(|(id, door)| Item { external_id: id.clone(), not_after: Some(door.not_after) }).collect()
        };
        self.act(items).await
    }

    async fn public(&self, _name: &str) -> Option<PublicDocument> {
        None
    }
}
