//! What a channel takes, and what all take together.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::Calls;

const WINDOW: Duration = Duration::from_secs(5);
/// Calls that all routes but the answers to interactions take in a second.
const GLOBAL: usize = 50;

#[derive(Default)]
pub struct Limits {
    routes: HashMap<String, Calls>,
    all: Calls,
}

/// What a limit says of a call.
pub enum Said {
    /// Taken; so many are left, and all are back after so long.
    Taken { left: usize, after: Duration },
    /// Not taken.
    Refused { after: Duration, global: bool },
}

impl Limits {
    /// A call on a route that takes `most` in five seconds.
    pub fn call(&mut self, route: &str, most: usize) -> Said {
        let now = Instant::now();
        let recent = |calls: &mut Calls, window: Duration| {
            while calls.front().is_some_and(|at| now - *at >= window) {
                calls.pop_front();
            }
        };
        recent(&mut self.all, Duration::from_secs(1));
        if self.all.len() >= GLOBAL {
            return Said::Refused { after: Duration::from_secs(1).saturating_sub(now - self.all[0]), global: true };
        }
        let calls = self.routes.entry(route.to_owned()).or_default();
        recent(calls, WINDOW);
        if calls.len() >= most {
            return Said::Refused { after: WINDOW.saturating_sub(now - calls[0]), global: false };
        }
        calls.push_back(now);
        self.all.push_back(now);
        Said::Taken { left: most - calls.len(), after: WINDOW.saturating_sub(now - calls[0]) }
    }
}
