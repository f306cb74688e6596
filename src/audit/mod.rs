//! Reports over the ledger: what happened in a period, in numbers and in words.

mod digest;

pub use digest::{Digest, LATE_SECS, Lived};
