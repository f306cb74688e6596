//! A clock that stands still until the test moves it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use countersign::engine::clock::{Clock, Pause};
use tokio::sync::watch;

pub struct StillClock {
    now: watch::Sender<DateTime<Utc>>,
    pauses: Arc<Pauses>,
}

/// The ends of the pauses that are waited for.
struct Pauses {
    ends: Mutex<(u64, BTreeMap<u64, DateTime<Utc>>)>,
    changed: watch::Sender<()>,
}

/// One of them, until somebody has noticed its end or has given it up.
struct Kept(Arc<Pauses>, u64);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.ends.lock().unwrap().1.remove(&self.1);
        self.0.changed.send_replace(());
    }
}

impl StillClock {
    pub fn new(now: DateTime<Utc>) -> Arc<Self> {
        let pauses = Pauses { ends: Mutex::default(), changed: watch::Sender::new(()) };
        Arc::new(Self { now: watch::Sender::new(now), pauses: Arc::new(pauses) })
    }

    /// The next end of a pause that is not over.
    pub fn next_end(&self) -> Option<DateTime<Utc>> {
        let now = *self.now.borrow();
        self.pauses.ends.lock().unwrap().1.values().filter(|end| **end > now).min().copied()
    }

    /// Moves the clock, and waits until everybody has noticed whose pause is over.
    pub async fn move_to(&self, moment: DateTime<Utc>) {
        let mut changed = self.pauses.changed.subscribe();
        self.now.send_modify(|now| *now = moment.max(*now));
        while self.pauses.ends.lock().unwrap().1.values().any(|end| *end <= moment) {
            changed.changed().await.unwrap();
        }
    }
}

impl Clock for StillClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.borrow()
    }

    fn wall(&self) -> DateTime<Utc> {
        self.now()
    }

    fn not_before(&self, floor: DateTime<Utc>) {
        self.now.send_modify(|now| *now = floor.max(*now));
    }

    fn pause(&self, span: Duration) -> Pause {
        let end = TimeDelta::from_std(span).ok().and_then(|span| self.now().checked_add_signed(span));
        let end = end.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let mut now = self.now.subscribe();
        let kept = {
            let mut ends = self.pauses.ends.lock().unwrap();
            ends.0 += 1;
            let number = ends.0;
            ends.1.insert(number, end);
            Kept(Arc::clone(&self.pauses), number)
        };
        Box::pin(async move {
            let _kept = kept;
            let _ = now.wait_for(|now| *now >= end).await;
        })
    }

    fn look_every(&self) -> Duration {
        Duration::from_hours(1)
    }
}
