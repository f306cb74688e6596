//! The one clock. Everything else is told the time.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// How often a clock is looked at that may be set at any time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often all targets are held against the ledger.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// A pause that a clock measures.
pub type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the time comes from, and what every pause of the engine is measured by.
pub trait Clock: Send + Sync {
    /// The time to act by, in whole microseconds, as the ledger keeps them. It never goes back and never stands still,
    /// whatever the wall clock does.
    fn now(&self) -> DateTime<Utc>;
    /// What the wall clock says.
    fn wall(&self) -> DateTime<Utc>;
    /// How much time has passed, whatever the wall clock says; `None` where nothing but the clock knows.
    fn passed(&self) -> Option<Duration> {
        None
    }
    /// From now on the time is at least `floor`, and goes on from there: the newest entry of the ledger was written then.
    fn not_before(&self, floor: DateTime<Utc>);
    /// A pause of this length, from now on, whether it is waited for yet or not.
    fn pause(&self, span: Duration) -> Pause;
    /// A pause may go by unnoticed on a clock that somebody sets, so it is looked at again at least so often.
    fn look_every(&self) -> Duration {
        LOOK_EVERY
    }
    /// How often all targets are held against the ledger.
    fn sweep_every(&self) -> Duration {
        SWEEP_EVERY
    }
}

/// What the wall clock said at a look, and how much time had passed by then.
pub type Look = (DateTime<Utc>, Duration);

/// How much further the wall clock went between two looks than time did; negative if it was set back.
pub fn ahead((then, before): Look, (wall, passed): Look) -> TimeDelta {
    let real = TimeDelta::from_std(passed.saturating_sub(before)).unwrap_or(TimeDelta::MAX);
    (wall - then) - real
}

/// The system's clocks: the wall clock, held up by the monotonic one.
///
/// A wall clock that was set forward and back again, or that a restart finds behind the ledger, doesn't lengthen a grant:
/// the time goes on from the latest that was ever acted by, as fast as real time passes.
pub struct SystemClock {
    started: std::time::Instant,
    held: Mutex<Held>,
}

/// The latest time that was acted by, and when that was on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    time: DateTime<Utc>,
    at: Duration,
}

impl Held {
    /// The time when the wall clock says `wall` and the monotonic one `mono`; it is held from then on.
    fn advance(&mut self, wall: DateTime<Utc>, mono: Duration) -> DateTime<Utc> {
        let passed = TimeDelta::from_std(mono.saturating_sub(self.at)).unwrap_or(TimeDelta::MAX);
        let held_up = self.time.checked_add_signed(passed).unwrap_or(self.time);
        *self = Self { time: wall.max(held_up), at: mono };
        self.time
    }
}

impl SystemClock {
    /// Starts the clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock for everybody else")]
    pub fn start() -> Arc<Self> {
        let held = Mutex::new(Held { time: Utc::now(), at: Duration::ZERO });
        Arc::new(Self { started: std::time::Instant::now(), held })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.advance(self.wall(), self.started.elapsed()).trunc_subsecs(6)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock for everybody else")]
    fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn not_before(&self, floor: DateTime<Utc>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.advance(floor, self.started.elapsed());
    }

    fn passed(&self) -> Option<Duration> {
        Some(self.started.elapsed())
    }

    fn pause(&self, span: Duration) -> Pause {
        Box::pin(tokio::time::sleep(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(secs)
    }

    fn mono(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_clock_that_goes_right_is_the_wall_clock() {
        let mut held = Held { time: at(1000), at: mono(0) };
        assert_eq!(held.advance(at(1010), mono(10)), at(1010));
        assert_eq!(held.advance(at(1025), mono(20)), at(1025), "it was set forward a little");
    }

    #[test]
    fn a_clock_that_was_set_back_goes_on_as_fast_as_before() {
        let mut held = Held { time: at(1000), at: mono(0) };
        assert_eq!(held.advance(at(400), mono(60)), at(1060));
        assert_eq!(held.advance(at(460), mono(120)), at(1120));
    }

    #[test]
    fn a_clock_that_was_set_forward_and_back_does_not_stand_still() {
        let mut held = Held { time: at(1000), at: mono(0) };
        assert_eq!(held.advance(at(90_000), mono(1)), at(90_000));
        assert_eq!(held.advance(at(1002), mono(2)), at(90_001));
        assert_eq!(held.advance(at(1602), mono(602)), at(90_601), "ten minutes are ten minutes");
    }

    #[test]
    fn a_clock_that_was_set_is_ahead_or_behind_of_what_passed() {
        assert_eq!(ahead((at(1000), mono(5)), (at(1010), mono(15))), TimeDelta::zero());
        assert_eq!(ahead((at(1000), mono(5)), (at(4610), mono(15))), TimeDelta::hours(1));
        assert_eq!(ahead((at(1000), mono(5)), (at(900), mono(15))), TimeDelta::seconds(-110));
    }

    #[test]
    fn a_start_behind_the_ledger_goes_on_from_its_newest_entry() {
        let clock = SystemClock::start();
        let future = clock.wall() + TimeDelta::days(1);
        clock.not_before(future);
        let first = clock.now();
        assert!(first >= future.trunc_subsecs(6));
        assert!(clock.now() >= first);
    }
}
