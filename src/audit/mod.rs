//! Reports over the ledger: what happened in a period, in numbers and in words.

mod digest;
mod search;

pub use digest::{Digest, LATE_SECS, Lived};
pub use search::{Names, Search, told};
