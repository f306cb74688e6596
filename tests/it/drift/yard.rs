//! Targets of the test's own, and providers that treat them well or badly.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use countersign::{
    engine::doors::Opener,
    provider::{
        Credential, Description, Item, NativeExpiry, Order, Provider, ProviderError, PublicDocument, SessionEnd,
    },
};
use tokio::sync::watch;

/// How a target's provider behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    #[default]
    Well,
    /// Nothing can be reached.
    Away,
    /// It does what it is told and does not answer.
    Hangs,
    /// It says that it has shut the door, and has not.
    Lies,
    /// Its answers can't be read, and it lists what nobody has made.
    Garbage,
    /// It never answers an order, and opens the door when the answer is not waited for any more.
    Late,
    /// It shuts what it is told to, and can't list.
    Blind,
}

#[derive(Default)]
pub struct Inner {
    /// By target: the marks there, and what else its provider lists.
    pub there: BTreeMap<String, BTreeSet<String>>,
    pub moods: BTreeMap<String, Mood>,
    /// Calls that change something, oldest first.
    pub calls: Vec<String>,
    /// The orders behind the calls.
    pub orders: Vec<Order>,
    /// How often each target was listed.
    pub listings: BTreeMap<String, usize>,
    /// Whether new listings answer at once although others are held.
    let_pass: bool,
}

pub struct Yard {
    inner: Mutex<Inner>,
    hanging: watch::Sender<usize>,
    /// Listings look first and answer when this is open.
    gate: watch::Sender<bool>,
    shared: bool,
}

impl Yard {
    pub fn new(shared: bool) -> Arc<Self> {
        let (hanging, gate) = (watch::Sender::new(0), watch::Sender::new(true));
        Arc::new(Self { inner: Mutex::default(), hanging, gate, shared })
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn is(&self, target: &str, mood: Mood) {
        self.inner().moods.insert(target.into(), mood);
    }

    pub fn put(&self, target: &str, mark: &str) {
        self.inner().there.entry(target.into()).or_default().insert(mark.into());
    }

    pub fn take(&self, target: &str, mark: &str) -> bool {
        self.inner().there.entry(target.into()).or_default().remove(mark)
    }

    pub fn there(&self, target: &str) -> Vec<String> {
        self.inner().there.get(target).into_iter().flatten().cloned().collect()
    }

    pub fn calls(&self) -> Vec<String> {
        self.inner().calls.clone()
    }

    pub fn hanging(&self) -> watch::Receiver<usize> {
        self.hanging.subscribe()
    }

    pub fn hold_listings(&self, hold: bool) {
        self.inner().let_pass = false;
        self.gate.send_replace(!hold);
    }

    /// Those that are held stay so, and the next ones answer at once.
    pub fn hold_no_more(&self) {
        self.inner().let_pass = true;
    }

    pub fn opener(self: &Arc<Self>) -> Opener {
        let yard = Arc::clone(self);
        Arc::new(move |_, _, settings| {
            let target = settings.get("target").and_then(|target| target.as_str()).unwrap().to_owned();
            Ok(Arc::new(Keeper { yard: Arc::clone(&yard), target }))
        })
    }
}

struct Keeper {
    yard: Arc<Yard>,
    target: String,
}

struct Hanging<'a>(&'a Yard);

impl<'a> Hanging<'a> {
    fn new(yard: &'a Yard) -> Self {
        yard.hanging.send_modify(|count| *count += 1);
        Self(yard)
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.hanging.send_modify(|count| *count -= 1);
    }
}

/// Puts a mark down when nobody waits any more.
struct PutLate<'a>(&'a Yard, &'a str, &'a str);

impl Drop for PutLate<'_> {
    fn drop(&mut self) {
        self.0.put(self.1, self.2);
    }
}

impl Keeper {
    fn mood(&self) -> Mood {
        self.yard.inner().moods.get(&self.target).copied().unwrap_or_default()
    }

    async fn act(&self, what: &str, order: &Order, does: bool) -> Result<(), ProviderError> {
        let mood = self.mood();
        if mood == Mood::Away {
            return Err(ProviderError::Retry("connection refused".into()));
        }
        self.yard.inner().calls.push(format!("{what} {} {}", order.request, self.target));
        self.yard.inner().orders.push(order.clone());
        let mark = order.external_id.clone();
        if mood == Mood::Late && does {
            let _late = PutLate(&self.yard, &self.target, &mark);
            let _hanging = Hanging::new(&self.yard);
            std::future::pending::<()>().await;
        }
        if does {
            self.yard.put(&self.target, &mark);
        } else if mood != Mood::Lies {
            self.yard.take(&self.target, &mark);
        }
        match mood {
            Mood::Hangs => {
                let _hanging = Hanging::new(&self.yard);
                std::future::pending().await
            }
            Mood::Garbage => Err(ProviderError::Unknown("{\"ok\": tru".into())),
            Mood::Well | Mood::Away | Mood::Lies | Mood::Late | Mood::Blind => Ok(()),
        }
    }
}

#[async_trait]
impl Provider for Keeper {
    fn describe(&self) -> Description {
        Description {
            name: "yard",
            native_expiry: NativeExpiry::None,
            ends_sessions: SessionEnd::Yes,
            lists: true,
            shared: self.yard.shared,
            activity: false,
            max_ttl_secs: None,
        }
    }

    fn plan(&self) -> Vec<String> {
        Vec::new()
    }

    async fn check(&self) -> Result<Vec<String>, ProviderError> {
        Ok(Vec::new())
    }

    async fn grant(&self, order: &Order) -> Result<(), ProviderError> {
        self.act("grant", order, true).await
    }

    async fn credential(&self, _: &Order, _: u32) -> Result<Credential, ProviderError> {
        Err(ProviderError::Permanent("no keys here".into()))
    }

    async fn revoke(&self, order: &Order) -> Result<(), ProviderError> {
        self.act("revoke", order, false).await
    }

    async fn list(&self, _: &str) -> Result<Vec<Item>, ProviderError> {
        *self.yard.inner().listings.entry(self.target.clone()).or_default() += 1;
        let seen = self.yard.there(&self.target);
        let mood = self.mood();
        let passes = self.yard.inner().let_pass || *self.yard.gate.borrow();
        if !passes {
            let _hanging = Hanging::new(&self.yard);
            self.yard.gate.subscribe().wait_for(|open| *open).await.unwrap();
        }
        let item = |external_id: String| Item { external_id, not_after: None };
        match mood {
            Mood::Away => Err(ProviderError::Retry("connection refused".into())),
            Mood::Blind => Err(ProviderError::Permanent("it may not list".into())),
            Mood::Hangs => {
                let _hanging = Hanging::new(&self.yard);
                std::future::pending().await
            }
            Mood::Garbage => {
                let junk = ["", "cs_", "cs__", "cs_aaaaaaaa_7", "cs_aaaaaaaa_-1", "💥", "' OR 1=1 --"];
                Ok(junk.into_iter().map(str::to_owned).chain(seen).map(item).collect())
            }
            Mood::Well | Mood::Lies | Mood::Late => Ok(seen.into_iter().map(item).collect()),
        }
    }

    async fn public(&self, _: &str) -> Option<PublicDocument> {
        None
    }
}
