//! The kinds of entries that the ledger itself writes and understands. All others belong to who uses it.

/// Entry 0: `origin`, `key` (the first verifier key), `log_id` (32 random bytes in hex).
pub const LOG_OPENED: &str = "log.opened";
/// A verifier key that may sign from here on: `key`.
pub const KEY_ADDED: &str = "key.added";
/// A verifier key that signs no more: `key`.
pub const KEY_RETIRED: &str = "key.retired";
/// A person appears: `subject`; a disclosure says who it is.
pub const SUBJECT_ENROLLED: &str = "subject.enrolled";
/// A person's key is destroyed: `subject`.
pub const SUBJECT_ERASED: &str = "subject.erased";
/// Nothing happened, and this is signed. The body is free.
pub const LOG_HEARTBEAT: &str = "log.heartbeat";
/// The clock went back, and entries keep the old time until it has caught up. The body is free.
pub const CLOCK_STEPPED: &str = "clock.stepped";

/// All of them.
pub const OWN: [&str; 7] =
    [LOG_OPENED, KEY_ADDED, KEY_RETIRED, SUBJECT_ENROLLED, SUBJECT_ERASED, LOG_HEARTBEAT, CLOCK_STEPPED];

/// Those that only the ledger may write: they come about by opening it and by rotating its key.
pub const RESERVED: [&str; 3] = [LOG_OPENED, KEY_ADDED, KEY_RETIRED];
