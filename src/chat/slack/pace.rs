//! How fast Slack lets each method be called, kept to before Slack has to say so.
//!
//! Who waits first goes first, and nobody is dropped: a burst of cards takes as long as it takes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::api::Method;

/// Beyond so many lanes (a direct message has one of its own) those that nobody waits in are forgotten.
const LANES_MAX: usize = 4_096;

/// How often something may be done: so many at once, and then one after each pause.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// What may be done at once after a quiet time.
    pub burst: u32,
    /// The pause that one call takes, in the long run.
    pub each: Duration,
}

/// A lane: one method, in one place where Slack counts by place.
#[derive(Debug)]
struct Lane {
    /// Held by whoever is next; the lock lets people in by the order in which they came.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<Gap>,
}

#[derive(Debug)]
struct Gap {
    /// The moment at which all that was done has been paid for.
    paid: Instant,
    /// Slack said to wait until then.
    held: Instant,
}

/// All lanes.
#[derive(Debug, Default)]
pub struct Pace {
    lanes: Mutex<HashMap<(Method, String), Arc<Lane>>>,
}

impl Pace {
    /// Waits for one's turn.
    pub async fn turn(&self, method: Method, place: &str) {
        let Some(rate) = method.rate() else { return };
        let lane = self.lane(method, place);
        let _turn = lane.turn.lock().await;
        loop {
            let now = Instant::now();
            let free = {
                let mut gap = lane.state.lock().unwrap_or_else(PoisonError::into_inner);
                let credit = rate.each.saturating_mul(rate.burst.saturating_sub(1));
                let from = gap.paid.checked_sub(credit).unwrap_or(gap.paid).max(gap.held);
                if from <= now {
                    gap.paid = gap.paid.max(now) + rate.each;
                    return;
                }
                from
            };
            sleep_until(free).await;
        }
    }

    /// Whether somebody is waiting in a lane already, or Slack wants a pause.
    pub fn is_busy(&self, method: Method, place: &str) -> bool {
        let lane = self.lane(method, place);
        let held = lane.state.lock().unwrap_or_else(PoisonError::into_inner).held;
        held > Instant::now() || lane.turn.try_lock().is_err()
    }

    /// Slack wants a pause: everybody in the lane waits.
    pub fn hold(&self, method: Method, place: &str, pause: Duration) {
        let lane = self.lane(method, place);
        let mut gap = lane.state.lock().unwrap_or_else(PoisonError::into_inner);
        gap.held = gap.held.max(Instant::now() + pause);
    }

    fn lane(&self, method: Method, place: &str) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() > LANES_MAX {
            let now = Instant::now();
            lanes.retain(|_, lane| {
                let gap = lane.state.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::strong_count(lane) > 1 || gap.paid > now || gap.held > now
            });
        }
        let now = Instant::now();
        let fresh =
            || Arc::new(Lane { turn: tokio::sync::Mutex::default(), state: Mutex::new(Gap { paid: now, held: now }) });
        let place = if method.is_counted_by_place() { place.to_owned() } else { String::new() };
        Arc::clone(lanes.entry((method, place)).or_insert_with(fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long it took until it was one's turn.
    async fn waited(pace: &Pace, method: Method, channel: &str) -> Duration {
        let since = Instant::now();
        pace.turn(method, channel).await;
        since.elapsed()
    }

    #[tokio::test]
    async fn one_message_a_second_in_a_channel() {
        let pace = Pace::default();
        waited(&pace, Method::PostMessage, "C1").await;
        let (second, other) =
            tokio::join!(waited(&pace, Method::PostMessage, "C1"), waited(&pace, Method::PostMessage, "C2"));
        assert!(second > Duration::from_millis(900), "{second:?}");
        assert!(other < second, "a channel does not wait for another: {other:?}");
    }

    #[tokio::test]
    async fn a_pause_that_slack_wants_holds_everybody() {
        let pace = Pace::default();
        pace.hold(Method::PostMessage, "C1", Duration::from_millis(300));
        assert!(pace.is_busy(Method::PostMessage, "C1") && !pace.is_busy(Method::PostMessage, "C2"));
        let pause = waited(&pace, Method::PostMessage, "C1").await;
        assert!(pause >= Duration::from_millis(300), "{pause:?}");
    }

    #[tokio::test]
    async fn who_waits_first_goes_first() {
        let pace = Arc::new(Pace::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for n in 0..12 {
            let (pace, order) = (Arc::clone(&pace), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                pace.turn(Method::Update, "C1").await;
                order.lock().unwrap().push(n);
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..12).collect::<Vec<_>>());
    }
}
