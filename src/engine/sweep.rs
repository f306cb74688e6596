//! The sweep: at start and every minute, every target is held against the ledger. What bears our mark and should not be
//! there is recorded and removed; a door that should be open and is not there is recorded and told; what is not ours is
//! left alone.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Semaphore;

use super::{
    doors::{self, Call, PROVIDER_DEADLINE},
    follow::Lane,
    ground::{Log, blocking},
    job::Job,
    recovery,
    writer::{Batch, Writer},
};
use crate::{
    access::{Command, FailureClass, Look, Request, RequestId, SubjectId, Target, marked},
    provider::{Item, Order},
};

/// So many targets are listed at once.
const LISTINGS_AT_ONCE: usize = 8;
/// And so many of those that could not be listed the last time, so that they hold nobody else up.
const AWAY_AT_ONCE: usize = 2;
/// The longest pause before a target that can't be listed is asked again, in seconds; it doubles from one sweep each time.
const AWAY_LONGEST_SECS: i64 = 300;
/// A target that lists more than this is not believed.
const LISTED_MAX: usize = 10_000;
/// So many requests that are out of memory are looked up for one listing; the rest waits for the next.
const LOOKED_UP_MAX: usize = 16;

/// What the sweep remembers between two of them; losing it does no harm.
pub struct Sweeps {
    /// When the next one is due.
    due: DateTime<Utc>,
    /// Targets that could not be listed the last time.
    away: HashMap<String, Away>,
    /// What is extra and is to be removed once it is recorded: by the entry that says so.
    to_shut: Vec<(u64, Order, Lane)>,
    places: Arc<Semaphore>,
    places_of_away: Arc<Semaphore>,
}

/// A target that could not be listed.
struct Away {
    /// How often in a row.
    failures: u32,
    /// When it is asked again.
    again: DateTime<Utc>,
}

impl Sweeps {
    /// The first one is due at `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        let places = |many| Arc::new(Semaphore::new(many));
        let (away, to_shut) = (HashMap::new(), Vec::new());
        Self { due: now, away, to_shut, places: places(LISTINGS_AT_ONCE), places_of_away: places(AWAY_AT_ONCE) }
    }

    /// Whether a target is to be asked at `now`.
    fn asks(&self, name: &str, now: DateTime<Utc>) -> bool {
        self.away.get(name).is_none_or(|away| away.again <= now)
    }

    /// Where a target waits for its turn.
    fn places(&self, name: &str) -> Arc<Semaphore> {
        Arc::clone(if self.away.contains_key(name) { &self.places_of_away } else { &self.places })
    }

    /// A target could not be listed. Whether it could before.
    fn missed(&mut self, name: String, now: DateTime<Utc>, every: TimeDelta) -> bool {
        let away = self.away.entry(name).or_insert(Away { failures: 0, again: now });
        away.failures = away.failures.saturating_add(1);
        let doublings = away.failures.saturating_sub(1).min(16);
        let longest = TimeDelta::seconds(AWAY_LONGEST_SECS).max(every);
        let pause = every.checked_mul(1 << doublings).unwrap_or(longest).min(longest);
        // The sweep that is due by then asks it.
        away.again = now.checked_add_signed(pause - every / 2).unwrap_or(DateTime::<Utc>::MAX_UTC);
        away.failures == 1
    }

    /// When the next one is due.
    pub fn due(&self) -> DateTime<Utc> {
        self.due
    }
}

/// What a target was asked, and what came of it.
pub struct Listed {
    resource: String,
    target: Target,
    /// How many entries the ledger had when it was asked.
    asked: u64,
    result: Result<Option<Seen>, (FailureClass, String)>,
}

/// What bears our mark on a target.
struct Seen {
    /// By the request that the mark names.
    items: BTreeMap<RequestId, Item>,
    /// What the provider listed although it does not bear our mark.
    foreign: usize,
    /// Those of the requests that are out of memory.
    old: HashMap<RequestId, Request>,
    /// Requests that were not looked up.
    unread: BTreeSet<RequestId>,
}

impl Writer {
    /// Has every target listed, if a sweep is due: those of the config, those of grants that are not finished, and those
    /// with something extra on them.
    pub(super) fn sweep(&mut self) {
        let now = self.now();
        let Some(ledger) = self.ledger.clone().filter(|_| now >= self.sweeps.due && self.stopping.is_none()) else {
            return;
        };
        self.sweeps.due = now.checked_add_signed(self.sweep_every()).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let rules = self.setup.book.rules();
        let configured = rules.resource_names().into_iter().filter_map(|name| {
            let target = rules.resource(&name)?.target;
            Some((name, target))
        });
        let granted = self.state.open().map(|request| (request.resource.clone(), request.target.clone()));
        let strays = self.state.strays().map(|(_, stray)| (stray.resource.clone(), stray.target.clone()));
        let all: BTreeMap<String, (String, Target)> =
            configured.chain(granted).chain(strays).map(|target| (name(&target.0, &target.1), target)).collect();
        let known: Arc<BTreeSet<RequestId>> = Arc::new(self.state.requests().map(|request| request.id).collect());
        self.sweeps.away.retain(|name, _| all.contains_key(name));
        for (name, (resource, target)) in all {
            if self.sweeps.asks(&name, now) && self.lanes.listing(&name) {
                self.list(&name, (resource, target), (Arc::clone(&ledger), Arc::clone(&known)));
            }
        }
    }

    fn sweep_every(&self) -> TimeDelta {
        TimeDelta::from_std(self.setup.clock.sweep_every()).unwrap_or(TimeDelta::MAX)
    }

    fn list(&self, name: &str, (resource, target): (String, Target), ledger: (Arc<dyn Log>, Arc<BTreeSet<RequestId>>)) {
        let (setup, places, to_self) = (Arc::clone(&self.setup), self.sweeps.places(name), self.to_self.clone());
        let (asked, log_tag, errand) = (self.state.size(), self.state.log_tag().to_owned(), self.shared.errand());
        tokio::spawn(async move {
            let _errand = errand;
            // It is never closed.
            let _place = places.acquire().await;
            let late = setup.clock.pause(PROVIDER_DEADLINE);
            let listed = setup.doors.list((resource.clone(), target.clone()), log_tag.clone(), late).await;
            let result = match listed {
                Ok(Some(items)) if items.len() > LISTED_MAX => {
                    Err((FailureClass::Unknown, format!("the provider lists {} of ours", items.len())))
                }
                Ok(Some(items)) => {
                    let seen = Seen::of(items, &log_tag);
                    let look_up = move || seen.looked_up(ledger.0.as_ref(), &ledger.1, asked);
                    let broken = || (FailureClass::Unknown, "the ledger could not be read".to_owned());
                    blocking(setup.ground.as_ref(), look_up).await.ok_or_else(broken).map(Some)
                }
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            // A writer that is gone sweeps nothing.
            let _ = to_self.send(Job::Listed(Box::new(Listed { resource, target, asked, result }))).await;
        });
    }

    /// A target was listed, or not.
    pub(super) fn listed(&mut self, batch: &mut Batch, listed: Listed) {
        let Listed { resource, target, asked, result } = listed;
        let name = name(&resource, &target);
        let lanes = self.lanes.listed(&name);
        let seen = match result {
            Ok(Some(seen)) => seen,
            // A provider that can't see is asked again: it is another one after a restart of the target, or none.
            Ok(None) => return,
            Err((_, error)) => {
                let every = self.sweep_every();
                if self.sweeps.missed(name, batch.now, every) {
                    tracing::warn!(
                        resource,
                        error,
                        "the target can't be looked at; tried again, every five minutes in the end"
                    );
                }
                return;
            }
        };
        if self.sweeps.away.remove(&name).is_some() {
            tracing::info!(resource, "the target can be looked at again");
        }
        if seen.foreign > 0 {
            let count = seen.foreign;
            tracing::warn!(resource, count, "the provider lists what does not bear our mark; it is left alone");
        }
        let shared = self.setup.doors.shared(&resource, &target);
        let lane = |writer: &Self, id: RequestId| lane_at((&target, shared), id, seen.holder(writer, id));
        let mut busy = seen.unread.clone();
        busy.extend(seen.items.keys().filter(|id| lanes.contains(&lane(self, **id))));
        busy.extend(self.state.open().map(|request| request.id).filter(|id| lanes.contains(&self.lane_of(*id))));
        let look = Look {
            resource: resource.clone(),
            target: target.clone(),
            asked,
            shared,
            listed: seen.items.keys().copied().collect(),
            busy,
            old: seen.old.iter().map(|(id, request)| (*id, request.requester)).collect(),
        };
        self.command(batch, &Command::Looked(Box::new(look)));
        for (seq, stray) in self.state.strays() {
            let Some(item) = seen.items.get(&stray.id).filter(|_| stray.resource == resource && stray.target == target)
            else {
                continue;
            };
            let request = self.state.request(stray.id).or_else(|| seen.old.get(&stray.id));
            let not_after = request.and_then(|request| request.not_after).or(item.not_after).unwrap_or(batch.now);
            let holder = seen.holder(self, stray.id).map_or("", |holder| self.state.name(holder));
            let order = self.setup.doors.order_of_mark(&resource, (stray.id, &item.external_id), holder, not_after);
            self.sweeps.to_shut.push((seq, order, lane(self, stray.id)));
        }
    }

    /// Removes what is extra and recorded as such. What can't be removed now is found again by the next sweep.
    pub(super) fn shut_strays(&mut self) {
        for (seq, order, lane) in std::mem::take(&mut self.sweeps.to_shut) {
            let Some((_, stray)) = self.state.strays().find(|(found, _)| *found == seq) else { continue };
            let shares = match &lane {
                Lane::Shared(_, holder) => self.state.sharing(*holder, &stray.target, stray.id).next().is_some(),
                Lane::Own(_) => false,
            };
            let wanted = self.state.door_may_be_open(stray.id) || shares;
            if wanted || self.lanes.is_busy(&lane) || self.stopping.is_some() {
                continue;
            }
            let target = stray.target.clone();
            self.lanes.occupy(&lane, None, None);
            let doors = Arc::clone(&self.setup.doors);
            let late = self.setup.clock.pause(PROVIDER_DEADLINE);
            let (to_self, errand) = (self.to_self.clone(), self.shared.errand());
            tokio::spawn(async move {
                let _errand = errand;
                let result = doors.call(Call::Revoke, target, order, late).await;
                let _ = to_self.send(Job::StrayShut { drift: seq, lane, result: result.map(drop) }).await;
            });
        }
    }

    /// Something extra was removed, or not.
    pub(super) fn stray_shut(
        &mut self,
        batch: &mut Batch,
        (drift, lane): (u64, &Lane),
        result: Result<(), (FailureClass, String)>,
    ) {
        self.free(batch, lane);
        match result {
            Ok(()) => {
                self.command(batch, &Command::Shut { drift });
            }
            Err((_, error)) => {
                tracing::warn!(error, drift, "what is extra on a target could not be removed; tried again");
            }
        }
    }
}

/// The lane for what bears the mark of a request on a target, wherever that request itself was to be.
fn lane_at((target, shared): (&Target, bool), id: RequestId, holder: Option<SubjectId>) -> Lane {
    match holder.filter(|_| shared) {
        Some(holder) => Lane::Shared(doors::key(target), holder),
        None => Lane::Own(id),
    }
}

impl Seen {
    fn of(listed: Vec<Item>, log_tag: &str) -> Self {
        let (mut items, mut foreign) = (BTreeMap::new(), 0);
        for item in listed {
            match marked(log_tag, &item.external_id) {
                Some(id) => drop(items.insert(id, item)),
                None => foreign += 1,
            }
        }
        Self { items, foreign, old: HashMap::new(), unread: BTreeSet::new() }
    }

    /// The same with the requests that are out of memory. Blocks.
    fn looked_up(mut self, ledger: &dyn Log, known: &BTreeSet<RequestId>, asked: u64) -> Self {
        let unknown = self.items.keys().filter(|id| id.0 < asked && !known.contains(id)).copied();
        for (at, id) in unknown.enumerate() {
            if at >= LOOKED_UP_MAX {
                self.unread.insert(id);
            } else if let Some(request) = recovery::request(ledger, id) {
                self.old.insert(id, request);
            }
        }
        self
    }

    fn holder(&self, writer: &Writer, id: RequestId) -> Option<SubjectId> {
        writer.state.request(id).or_else(|| self.old.get(&id)).map(|request| request.requester)
    }
}

/// Names the target of a resource.
fn name(resource: &str, target: &Target) -> String {
    format!("{resource}\n{}", doors::key(target))
}
