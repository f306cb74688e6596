//! What is promised when something goes wrong in the middle.

use tokio::time::Instant;

use super::ask::{Got, Run};
use crate::provider::{Order, plugin::Reach, protocol::Verb};

/// A kill in the middle.
pub const KILLED: &str = "a kill in the middle leaves nothing behind";
/// No patience.
pub const LATE: &str = "an answer that comes too late changes nothing";
/// So often it is killed, at moments spread over the time that it takes.
const KILLS: u32 = 6;

impl Run<'_> {
    /// Kills it at several moments of a grant and of a revocation. It has to be possible each time to see what is there, to
    /// shut it, and to open it again.
    pub async fn killed(&mut self) {
        self.looks_at(KILLED);
        let whole = self.order();
        let before = Instant::now();
        let opened = self.about(Verb::Grant, &whole).await;
        let takes = before.elapsed();
        if !matches!(opened, Got::Done(_)) {
            return;
        }
        for verb in [Verb::Grant, Verb::Revoke] {
            for part in 0..KILLS {
                if self.is_over() {
                    return;
                }
                let order = self.order();
                if verb == Verb::Revoke && !matches!(self.about(Verb::Grant, &order).await, Got::Done(_)) {
                    self.broken(KILLED, "after a kill, the next `grant` is not done any more");
                    return;
                }
                let Some(request) = self.request(KILLED, verb) else { return };
                let request = request.about(&order, None);
                // When nobody waits for it any more, its process group is killed.
                self.ask_for(&request, takes.mul_f64(f64::from(part) / f64::from(KILLS))).await;
                if !self.recovers(KILLED, &order, &format!("a kill in the middle of `{}`", verb.word())).await {
                    return;
                }
            }
        }
    }

    /// Does not wait for its answer.
    pub async fn late(&mut self) {
        self.looks_at(LATE);
        let whole = self.order();
        let before = Instant::now();
        if !matches!(self.about(Verb::Grant, &whole).await, Got::Done(_)) {
            return;
        }
        let half = before.elapsed() / 2;
        let order = self.order();
        let Some(request) = self.request(LATE, Verb::Grant) else { return };
        let request = request.about(&order, None);
        let heard = self.plugin.speak_within(&request, half).await;
        if heard.is_err() && self.plugin.reach() == Reach::Remote {
            // It goes on without us: the same once more ends when that has.
            self.about(Verb::Grant, &order).await;
        }
        self.recovers(LATE, &order, "a `grant` whose answer nobody waited for").await;
    }

    /// Looks, shuts, looks, opens and shuts again. Whether all of that could be done.
    async fn recovers(&mut self, promise: &'static str, order: &Order, after: &str) -> bool {
        self.listed(promise).await;
        if let Got::Refused(failure) = self.about(Verb::Revoke, order).await {
            let words = self.words(&failure);
            self.broken(promise, format!("after {after}, `revoke` fails: {words}"));
            return false;
        }
        if self.listed(promise).await.is_some_and(|ids| ids.contains(&order.external_id)) {
            self.broken(promise, format!("after {after}, the door is still listed when `revoke` has said it is shut"));
            return false;
        }
        if let Got::Refused(failure) = self.about(Verb::Grant, order).await {
            let words = self.words(&failure);
            self.broken(
                promise,
                format!("after {after}, something half-made is in the way of the next `grant`: {words}"),
            );
            return false;
        }
        if let Got::Refused(failure) = self.about(Verb::Revoke, order).await {
            let words = self.words(&failure);
            self.broken(promise, format!("after {after}, the next `revoke` fails: {words}"));
            return false;
        }
        !self.is_over()
    }
}
