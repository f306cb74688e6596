//! The doors: what is open outside, whoever thinks what of it, and providers with all their manners.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use countersign::{
    engine::doors::{Doors, Opener},
    provider::{
        Credential, CredentialPart, Description, Holder, Item, NativeExpiry, Order, Provider, ProviderError,
        PublicDocument, SessionEnd,
    },
};

use super::{
    disk::LOG_TAG,
    mutants::Mutant,
    world::{Inner, SECOND, Shared, Sort},
};

/// How every credential starts, so that it is found wherever it shouldn't be.
pub const SECRET_MARK: &str = "hunter2-";

/// All targets: at `team-…` one person's grants share one object, and `blind-…` can't be looked at.
pub const DOORS: [&str; 7] = ["db-0", "db-1", "blind-0", "blind-1", "team-0", "team-1", "vault-0"];

/// Something open on a target.
#[derive(Debug, Clone)]
pub struct Door {
    pub target: String,
    pub holder: String,
    /// The marks it bears: more than one where grants share it.
    pub marks: BTreeSet<String>,
    pub not_after: DateTime<Utc>,
    /// Whether it came about, or stayed, when nobody expected it any more.
    pub stray: bool,
}

/// Something that happens on a target when nobody waits for it any more.
#[derive(Debug, Clone)]
pub struct Late {
    target: String,
    order: Order,
}

/// What is open outside.
#[derive(Default)]
pub struct Outside {
    pub open: Vec<Door>,
    /// What is on the targets and not ours.
    pub foreign: BTreeSet<(String, String)>,
    /// What providers do next, whatever chance says.
    pub planned: Vec<Manner>,
    /// Calls under way, by what they are about.
    under_way: BTreeSet<String>,
    /// Until when a target is away.
    away_until: BTreeMap<String, u64>,
    /// Keys that were cut, with their secret: by mark and number.
    pub keys: BTreeMap<(String, u32), String>,
}

impl Outside {
    /// What bears a mark on a target.
    pub fn with(&self, target: &str, mark: &str) -> Option<&Door> {
        self.open.iter().find(|door| door.target == target && door.marks.contains(mark))
    }
}

pub fn is_shared(target: &str) -> bool {
    target.starts_with("team")
}

pub fn is_blind(target: &str) -> bool {
    target.starts_with("blind")
}

/// Whose an order is, if anybody can say: those who were erased have no name, and nobody knows whose a stray is.
fn holder_of(order: &Order) -> Option<&String> {
    Some(&order.holder.name).filter(|name| !name.is_empty() && !name.starts_with('('))
}

/// What a provider does this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Fine,
    /// It takes long, but is done before anybody loses patience.
    Slow,
    /// It answers never; it may have done it at once.
    Hangs {
        done: bool,
    },
    /// It answers never, and does it when nobody waits any more.
    Late,
    /// It says that it is done, and it isn't.
    Lies,
    /// An answer that means nothing.
    Garbage {
        done: bool,
    },
    Retry,
    Permanent,
    /// It breaks off.
    Panics {
        done: bool,
    },
}

const BAD_MANNERS: [Manner; 12] = [
    Manner::Slow,
    Manner::Hangs { done: false },
    Manner::Hangs { done: true },
    Manner::Late,
    Manner::Lies,
    Manner::Garbage { done: false },
    Manner::Garbage { done: true },
    Manner::Retry,
    Manner::Retry,
    Manner::Permanent,
    Manner::Panics { done: false },
    Manner::Panics { done: true },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Grant,
    Revoke,
    Key(u32),
}

struct SimProvider {
    world: Shared,
    target: String,
}

/// A call under way, as long as somebody waits for it.
struct UnderWay(Shared, String);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().doors.under_way.remove(&self.1);
    }
}

impl Inner {
    fn manner(&mut self, target: &str, what: What) -> Manner {
        if let Some(manner) = self.doors.planned.pop() {
            return manner;
        }
        if self.mutant == Some(Mutant::LyingDoors) && what == What::Revoke {
            return Manner::Lies;
        }
        if self.calm {
            return Manner::Fine;
        }
        if self.is_away(target) {
            return Manner::Retry;
        }
        if self.rng.permille(750) {
            return Manner::Fine;
        }
        self.in_trouble();
        let mut manner = *self.rng.pick(&BAD_MANNERS);
        if manner == Manner::Lies && what == What::Revoke && is_blind(target) {
            // Nobody can look again at a door that is said to be shut there, so that a lie would stay.
            manner = Manner::Retry;
        } else if manner == Manner::Late && (what != What::Grant || is_blind(target)) {
            // Whoever can't look can't find what came late; and what is shut late is shut.
            manner = Manner::Hangs { done: false };
        }
        self.count(&format!("provider {what:?} {manner:?}").replace(|c: char| c.is_ascii_digit(), "n"));
        manner
    }

    /// Whether a target is away now, or goes away.
    fn is_away(&mut self, target: &str) -> bool {
        if self.doors.away_until.get(target).is_some_and(|until| *until > self.mono) {
            self.in_trouble();
            return !self.calm;
        }
        if !self.fate(15) {
            return false;
        }
        let until = self.mono + self.rng.within(1, 3600) * SECOND;
        self.note(|| format!("`{target}` is away until {}", until / SECOND));
        self.count("provider away");
        self.doors.away_until.insert(target.to_owned(), until);
        self.in_trouble();
        true
    }

    fn does(&mut self, target: &str, order: &Order, what: What) {
        self.note(|| format!("done outside: {what:?} {} at `{target}`", order.external_id));
        let mark = &order.external_id;
        let holder = holder_of(order);
        let same = |door: &Door| {
            let own = door.marks.contains(mark);
            door.target == target && (own || is_shared(target) && holder == Some(&door.holder))
        };
        match what {
            What::Grant => {
                if let Some(door) = self.doors.open.iter_mut().find(|door| same(door)) {
                    door.marks.insert(mark.clone());
                    // A shared object has no end but the last of those that need it.
                    door.not_after =
                        if is_shared(target) { door.not_after.max(order.not_after) } else { order.not_after };
                } else {
                    self.doors.open.push(Door {
                        target: target.to_owned(),
                        holder: order.holder.name.clone(),
                        marks: BTreeSet::from([mark.clone()]),
                        not_after: order.not_after,
                        stray: false,
                    });
                }
            }
            What::Revoke => self.doors.open.retain(|door| !same(door)),
            What::Key(_) => {}
        }
    }

    /// Something happens outside by itself.
    pub fn happens(&mut self, late: Late) {
        if self.calm {
            return;
        }
        let Late { target, order } = late;
        self.in_trouble();
        self.count("outside late");
        self.does(&target, &order, What::Grant);
        let mark = &order.external_id;
        if let Some(door) = self.doors.open.iter_mut().find(|door| door.target == target && door.marks.contains(mark)) {
            door.stray = true;
        }
    }

    /// Somebody else is at work on the targets.
    pub fn meddles(&mut self) {
        self.in_trouble();
        let target = *self.rng.pick(&DOORS);
        match self.rng.below(3) {
            0 if !self.doors.open.is_empty() => {
                let at = usize::try_from(self.rng.below(self.doors.open.len() as u64)).unwrap();
                let door = self.doors.open.remove(at);
                self.count("outside vanishes");
                self.note(|| format!("somebody removes {:?} from `{}`", door.marks, door.target));
            }
            1 if !is_blind(target) => {
                let any = self.rng.below(self.disk.size() + 200);
                let known: Vec<u64> = self.checks.asks.keys().copied().collect();
                let id = if known.is_empty() || self.rng.permille(400) { any } else { *self.rng.pick(&known) };
                let mark = format!("cs_{LOG_TAG}_{id}");
                if self.doors.open.iter().any(|door| door.marks.contains(&mark)) {
                    return;
                }
                self.count("outside stray");
                self.note(|| format!("somebody puts {mark} on `{target}`"));
                let (holder, not_after) = (format!("stray-{id}"), self.now);
                let marks = BTreeSet::from([mark]);
                self.doors.open.push(Door { target: target.to_owned(), holder, marks, not_after, stray: true });
            }
            _ => {
                let foreign = ["admin", "cs_bbbbbbbb_7", "cs_aaaaaaaa_07", "cs_aaaaaaaa_", "cs_aaaaaaaa_7x"];
                let name = (*self.rng.pick(&foreign)).to_owned();
                self.count("outside foreign");
                self.note(|| format!("somebody puts {name} on `{target}`"));
                self.doors.foreign.insert((target.to_owned(), name));
            }
        }
    }

    /// What a provider lists.
    fn listed(&mut self, target: &str) -> Vec<Item> {
        let hidden = match self.mutant {
            Some(Mutant::LyingDoors) => |door: &Door| !door.stray,
            Some(Mutant::HiddenStrays) => |door: &Door| door.stray,
            _ => |_: &Door| false,
        };
        let there = self.doors.open.iter().filter(|door| door.target == target && !hidden(door));
        let ours = there.flat_map(|door| door.marks.iter().map(|mark| (mark, Some(door.not_after))));
        let foreign = self.doors.foreign.iter().filter(|(at, _)| at == target).map(|(_, name)| (name, None));
        ours.chain(foreign).map(|(mark, not_after)| Item { external_id: mark.clone(), not_after }).collect()
    }
}

impl SimProvider {
    async fn call(&self, order: &Order, what: What) -> Result<(), ProviderError> {
        let (id, target) = (&order.external_id, self.target.as_str());
        let shared = holder_of(order).filter(|_| is_shared(target));
        let lane = shared.map_or_else(|| id.clone(), |holder| format!("{holder} at {target}"));
        let _under_way = UnderWay(Shared::clone(&self.world), lane.clone());
        let manner = {
            let mut world = self.world.lock();
            if !world.doors.under_way.insert(lane.clone()) {
                world.violated("one lane", &format!("two calls for {lane} at the same time"));
            }
            match what {
                What::Grant => world.is_called_to_open(target, order),
                What::Revoke => world.is_called_to_shut(target, order),
                What::Key(n) => world.is_called_for_a_key(order, n),
            }
            let manner = world.manner(target, what);
            world.note(|| format!("called: {what:?} {id} at `{target}`: {manner:?}"));
            manner
        };
        let done = match manner {
            Manner::Fine | Manner::Slow => true,
            Manner::Hangs { done } | Manner::Garbage { done } | Manner::Panics { done } => done,
            Manner::Late | Manner::Lies | Manner::Retry | Manner::Permanent => false,
        };
        let slow = self.world.lock().rng.within(1, 29) * SECOND;
        if manner == Manner::Slow {
            self.world.sleeps(Sort::Work, slow).await;
        } else {
            self.world.lag(SECOND / 2).await;
        }
        if done {
            self.world.lock().does(target, order, what);
        }
        self.world.lag(SECOND / 2).await;
        match manner {
            Manner::Fine | Manner::Slow | Manner::Lies => Ok(()),
            Manner::Late => {
                {
                    let mut world = self.world.lock();
                    let key = (world.mono + world.rng.within(31, 3600) * SECOND, world.rng.next());
                    world.later.insert(key, Late { target: self.target.clone(), order: order.clone() });
                }
                std::future::pending().await
            }
            Manner::Hangs { .. } => std::future::pending().await,
            Manner::Garbage { .. } => Err(ProviderError::Unknown("its answer is not JSON".into())),
            Manner::Retry if self.world.lock().mutant == Some(Mutant::TalkativeProvider) => {
                Err(ProviderError::Retry(format!("wrong password: {SECRET_MARK}x")))
            }
            Manner::Retry => Err(ProviderError::Retry("connection refused".into())),
            Manner::Permanent => Err(ProviderError::Permanent("the role does not exist".into())),
            Manner::Panics { .. } => std::panic::resume_unwind(Box::new("the provider panics")),
        }
    }
}

#[async_trait]
impl Provider for SimProvider {
    fn describe(&self) -> Description {
        Description {
            name: "sim",
            native_expiry: NativeExpiry::None,
            ends_sessions: SessionEnd::Yes,
            lists: !is_blind(&self.target),
            shared: is_shared(&self.target),
            activity: false,
            max_ttl_secs: None,
        }
    }

    fn plan(&self) -> Vec<String> {
        vec![format!("open `{}`", self.target)]
    }

    async fn check(&self) -> Result<Vec<String>, ProviderError> {
        Ok(Vec::new())
    }

    async fn grant(&self, order: &Order) -> Result<(), ProviderError> {
        self.call(order, What::Grant).await
    }

    async fn credential(&self, order: &Order, n: u32) -> Result<Credential, ProviderError> {
        self.call(order, What::Key(n)).await?;
        let secret = {
            let mut world = self.world.lock();
            let secret = format!("{SECRET_MARK}{}-{n}-{:x}", order.request, world.rng.next());
            world.doors.keys.insert((order.external_id.clone(), n), secret.clone());
            secret
        };
        let part = CredentialPart { label: "use this".into(), text: secret.into() };
        let public_id = format!("key-{}-{n}", order.request);
        Ok(Credential { n, public_id, not_after: order.not_after, parts: vec![part] })
    }

    async fn revoke(&self, order: &Order) -> Result<(), ProviderError> {
        self.call(order, What::Revoke).await
    }

    async fn list(&self, log_tag: &str) -> Result<Vec<Item>, ProviderError> {
        assert_eq!(log_tag, LOG_TAG);
        self.world.lag(SECOND).await;
        let hangs = {
            let mut world = self.world.lock();
            if world.is_away(&self.target) || world.fate(30) {
                world.in_trouble();
                world.count("provider list Retry");
                return Err(ProviderError::Retry("connection refused".into()));
            }
            let hangs = world.fate(10);
            if hangs {
                world.in_trouble();
                world.count("provider list Hangs");
            }
            hangs
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        // It is seen now, and told a moment later.
        let listed = self.world.lock().listed(&self.target);
        self.world.lag(SECOND / 2).await;
        Ok(listed)
    }

    async fn public(&self, _name: &str) -> Option<PublicDocument> {
        None
    }
}

/// The doors of one process.
pub fn doors(world: &Shared) -> Arc<Doors> {
    let world = Shared::clone(world);
    let opener: Opener = Arc::new(move |_, _, settings| {
        let target = settings.get("door").and_then(|door| door.as_str()).unwrap().to_owned();
        Ok(Arc::new(SimProvider { world: Shared::clone(&world), target }))
    });
    let holder = |name: &str| Holder { name: name.to_owned(), ssh_keys: Vec::new() };
    Arc::new(Doors::opened_by(opener, Arc::new(holder)))
}
