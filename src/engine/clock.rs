//! The one clock. Everything else is told the time.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The time to act by, in whole microseconds, as the ledger keeps them. Within one run it never goes back, whatever
    /// the wall clock does.
    fn now(&self) -> DateTime<Utc>;
    /// What the wall clock says.
    fn wall(&self) -> DateTime<Utc>;
}

/// The system's clocks: the wall clock, held up by the monotonic one, so that setting the wall clock back doesn't
/// lengthen a grant.
pub struct SystemClock {
    started_wall: DateTime<Utc>,
    started: std::time::Instant,
}

impl SystemClock {
    /// Starts the clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock for everybody else")]
    pub fn start() -> Arc<Self> {
        Arc::new(Self { started_wall: Utc::now(), started: std::time::Instant::now() })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        let run: Duration = self.started.elapsed();
        let held_up = TimeDelta::from_std(run).ok().and_then(|run| self.started_wall.checked_add_signed(run));
        self.wall().max(held_up.unwrap_or(self.started_wall)).trunc_subsecs(6)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock for everybody else")]
    fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
