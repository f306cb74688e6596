//! The clock of a story: it stands still until the story moves it.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use crate::engine::clock::{Clock, Pause};

/// Nobody sets this clock but the story, so it is looked at only for what happens once an hour.
const LOOK_EVERY: Duration = Duration::from_hours(1);

/// A clock that is moved from pause to pause. It is made for a runtime with one thread: there, whoever was woken by it
/// has queued what follows by the time it is [heard](StoryClock::heard).
pub struct StoryClock {
    inner: Arc<Inner>,
}

struct Inner {
    hands: Mutex<Hands>,
    /// Counts pauses that were noticed or given up.
    heard: watch::Sender<u64>,
    /// Counts pauses that were made.
    made: watch::Sender<u64>,
}

struct Hands {
    now: DateTime<Utc>,
    /// When the story began.
    began: DateTime<Utc>,
    /// How far the machine's clock is behind.
    behind: TimeDelta,
    /// How much of the time until now has not passed, but was the machine's clock that was set forward.
    jumped: TimeDelta,
    next: u64,
    /// Pauses that nobody has noticed the end of, by their end, with whom to wake.
    pauses: BTreeMap<(DateTime<Utc>, u64), Option<Waker>>,
}

struct StoryPause {
    inner: Arc<Inner>,
    key: (DateTime<Utc>, u64),
}

impl StoryClock {
    /// A clock that stands at `now`.
    pub fn new(now: DateTime<Utc>) -> Arc<Self> {
        let (behind, jumped) = (TimeDelta::zero(), TimeDelta::zero());
        let hands = Mutex::new(Hands { now, began: now, behind, jumped, next: 0, pauses: BTreeMap::new() });
        let (heard, made) = (watch::Sender::new(0), watch::Sender::new(0));
        Arc::new(Self { inner: Arc::new(Inner { hands, heard, made }) })
    }

    /// When the next pause ends that is not over yet.
    pub fn next_end(&self) -> Option<DateTime<Utc>> {
        let hands = self.inner.hands();
        hands.pauses.keys().map(|(end, _)| *end).find(|end| *end > hands.now)
    }

    /// Moves the clock, never back, and wakes whoever waited for no longer than that.
    pub fn move_to(&self, moment: DateTime<Utc>) {
        let mut hands = self.inner.hands();
        hands.now = hands.now.max(moment);
        let now = hands.now;
        let over = hands.pauses.iter_mut().take_while(|((end, _), _)| *end <= now);
        let wake: Vec<Waker> = over.filter_map(|(_, waker)| waker.take()).collect();
        drop(hands);
        wake.into_iter().for_each(Waker::wake);
    }

    /// The machine's clock is set: from now on it is so far ahead of the true time, or behind it if that is negative. The
    /// time to act by goes with it, but never back.
    pub fn set(&self, ahead: TimeDelta) {
        let mut hands = self.inner.hands();
        let shown = hands.now - hands.jumped + ahead;
        let forward = (shown - hands.now).max(TimeDelta::zero());
        hands.behind = (hands.now - shown).max(TimeDelta::zero());
        hands.jumped += forward;
        let moment = hands.now + forward;
        drop(hands);
        self.move_to(moment);
    }

    /// Waits until everybody has noticed that their pause is over.
    pub async fn heard(&self) {
        let mut heard = self.inner.heard.subscribe();
        loop {
            heard.borrow_and_update();
            let all = {
                let hands = self.inner.hands();
                hands.pauses.keys().all(|(end, _)| *end > hands.now)
            };
            if all || heard.changed().await.is_err() {
                return;
            }
        }
    }

    /// Word of every pause that is made.
    pub fn made(&self) -> watch::Receiver<u64> {
        self.inner.made.subscribe()
    }
}

impl Inner {
    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for StoryClock {
    fn now(&self) -> DateTime<Utc> {
        self.inner.hands().now
    }

    fn wall(&self) -> DateTime<Utc> {
        let hands = self.inner.hands();
        hands.now.checked_sub_signed(hands.behind).unwrap_or(hands.now)
    }

    fn passed(&self) -> Option<Duration> {
        let hands = self.inner.hands();
        (hands.now - hands.jumped - hands.began).to_std().ok()
    }

    fn not_before(&self, floor: DateTime<Utc>) {
        self.move_to(floor);
    }

    fn pause(&self, span: Duration) -> Pause {
        let mut hands = self.inner.hands();
        let end = TimeDelta::from_std(span).ok().and_then(|span| hands.now.checked_add_signed(span));
        let key = (end.unwrap_or(DateTime::<Utc>::MAX_UTC), hands.next);
        hands.next += 1;
        hands.pauses.insert(key, None);
        drop(hands);
        self.inner.made.send_modify(|made| *made += 1);
        Box::pin(StoryPause { inner: Arc::clone(&self.inner), key })
    }

    fn look_every(&self) -> Duration {
        LOOK_EVERY
    }

    /// Nobody but the service touches the targets of a story.
    fn sweep_every(&self) -> Duration {
        LOOK_EVERY
    }
}

impl Future for StoryPause {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut hands = self.inner.hands();
        if self.key.0 > hands.now {
            hands.pauses.insert(self.key, Some(context.waker().clone()));
            return Poll::Pending;
        }
        hands.pauses.remove(&self.key);
        drop(hands);
        self.inner.heard.send_modify(|heard| *heard += 1);
        Poll::Ready(())
    }
}

impl Drop for StoryPause {
    fn drop(&mut self) {
        if self.inner.hands().pauses.remove(&self.key).is_some() {
            self.inner.heard.send_modify(|heard| *heard += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    #[tokio::test]
    async fn a_pause_runs_from_when_it_is_made_and_ends_when_the_clock_is_there() {
        let clock = StoryClock::new(start());
        let pause = clock.pause(Duration::from_mins(1));
        clock.move_to(start() + TimeDelta::seconds(59));
        assert_eq!(clock.next_end(), Some(start() + TimeDelta::seconds(60)));
        let waiting = tokio::spawn(pause);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.move_to(start() + TimeDelta::seconds(60));
        clock.heard().await;
        waiting.await.unwrap();
        assert_eq!(clock.next_end(), None);
    }

    #[test]
    fn a_clock_that_is_set_shows_something_else_and_time_is_time() {
        let clock = StoryClock::new(start());
        let (hour, minute) = (TimeDelta::hours(1), TimeDelta::minutes(1));
        let shows = |now, wall, passed| {
            assert_eq!((clock.now() - start(), clock.wall() - start()), (now, wall));
            assert_eq!(clock.passed().unwrap(), Duration::from_secs(passed));
        };
        clock.set(-hour);
        clock.move_to(start() + minute);
        shows(minute, minute - hour, 60);
        clock.set(hour);
        shows(minute + hour, minute + hour, 60);
        clock.set(hour * 3);
        shows(minute + hour * 3, minute + hour * 3, 60);
        // The time to act by never goes back.
        clock.set(TimeDelta::zero());
        shows(minute + hour * 3, minute, 60);
    }

    #[tokio::test]
    async fn a_pause_that_is_given_up_is_not_waited_for() {
        let clock = StoryClock::new(start());
        let pause = clock.pause(Duration::from_secs(1));
        clock.move_to(start() + TimeDelta::seconds(5));
        drop(pause);
        clock.heard().await;
        clock.move_to(start());
        assert_eq!(clock.now(), start() + TimeDelta::seconds(5), "it never goes back");
    }
}
