//! The clock of one process: as the real one, over a wall clock that chance sets.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use countersign::engine::clock::{Clock, Pause};

use super::world::{Shared, Sort};

pub struct SimClock {
    world: Shared,
    /// The latest time that was acted by, and when that was.
    held: Mutex<(DateTime<Utc>, u64)>,
}

impl SimClock {
    pub fn start(world: &Shared) -> Self {
        let inner = world.lock();
        let held = Mutex::new((inner.wall(), inner.mono));
        drop(inner);
        Self { world: Shared::clone(world), held }
    }

    fn advance(&self, at_least: DateTime<Utc>, mono: u64) -> DateTime<Utc> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held_up = held.0 + TimeDelta::microseconds(i64::try_from(mono - held.1).unwrap());
        *held = (held_up.max(at_least), mono);
        held.0
    }
}

impl Clock for SimClock {
    fn now(&self) -> DateTime<Utc> {
        let mut inner = self.world.lock();
        inner.now = self.advance(inner.wall(), inner.mono);
        inner.now
    }

    fn wall(&self) -> DateTime<Utc> {
        self.world.lock().wall()
    }

    fn passed(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.world.lock().mono))
    }

    fn not_before(&self, floor: DateTime<Utc>) {
        let mono = self.world.lock().mono;
        self.advance(floor, mono);
    }

    fn pause(&self, span: Duration) -> Pause {
        let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX / 2);
        Box::pin(self.world.sleeps(Sort::Pause, span))
    }
}
