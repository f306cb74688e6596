//! What the writer does when there is nothing to do: it waits, and says so to whoever moves the clock.

use super::{job::Job, writer::Writer};

impl Writer {
    /// The next job, or nothing when a deadline or a look at the clock is due.
    pub(super) async fn wait(&mut self) -> Option<Job> {
        let now = self.now();
        let look = self.setup.clock.look_every();
        let report = self.setup.book.now().digest.as_ref().and_then(|due| due(now, now + look));
        let next = self.state.next_deadline(now).into_iter().chain(report).chain([self.sweeps.due()]).min();
        let until = next.map_or(look, |at| (at - now).to_std().unwrap_or_default()).min(look);
        let pause = self.setup.clock.pause(until);
        // What is under way is counted first: whoever is done has queued the result before.
        let under_way = self.shared.under_way_now();
        if !until.is_zero() && self.jobs.is_empty() {
            for asked in self.asked_for_rest.drain(..) {
                // Whoever asked may have gone away.
                let _ = asked.send(under_way);
            }
        }
        tokio::select! {
            biased;
            job = self.jobs.recv() => job,
            () = pause => None,
        }
    }
}
