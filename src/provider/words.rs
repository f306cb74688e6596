//! What a provider can do, in words.

use super::{Description, NativeExpiry, SessionEnd};

impl Description {
    /// What ends an access besides us, and what becomes of sessions that are open then.
    #[must_use]
    pub fn lock(&self) -> String {
        let sessions = match self.ends_sessions {
            SessionEnd::No => "sessions that are open then live on",
            SessionEnd::Yes => "sessions are cut",
            SessionEnd::AtNotAfter => "sessions are cut when the time is up, not earlier",
        };
        let lock = match self.native_expiry {
            NativeExpiry::None => "no second lock: nothing but our revocation ends it".to_owned(),
            NativeExpiry::Exact => "the target itself refuses when the time is up".to_owned(),
            NativeExpiry::Floor(secs) => format!("the target itself ends it, but not before {secs} s have passed"),
        };
        format!("{lock}; {sessions}")
    }

    /// All of it, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.lock()];
        if !self.lists {
            lines.push("it can't list what it has opened: that a door is shut, it has to be believed".to_owned());
        }
        if self.shared {
            lines.push("one person's grants share one object, which goes with the last of them".to_owned());
        }
        if self.activity {
            lines.push("it tells what was done with a grant".to_owned());
        }
        lines.extend(self.max_ttl_secs.map(|secs| format!("it takes no grant that is longer than {secs} s")));
        lines
    }
}
