//! The rules, pure: no I/O, no clock, no randomness.

mod ids;

pub use ids::{Chat, RequestId, SubjectId};
