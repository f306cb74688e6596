//! `countersign.provider/v1`: the contract of a provider as lines of JSON, for those who are not in this binary.
//!
//! One request is one line, and so is its one reply; `docs/plugins.md` is the page for those who write one. What travels is
//! the same whether a program is started for it (`exec`) or it is posted as a signed webhook (`webhook`). Whatever
//! is not a reply to the request that was made, in time and in this form, leaves open what was done: it is
//! [`ProviderError::Unknown`](super::ProviderError::Unknown).

mod redact;
mod reply;
mod request;

#[cfg(test)]
mod tests;

pub use redact::Redactor;
pub use reply::{
    Abilities, Failure, FailureKind, Garbled, Reply, Status, WireCredential, WireDeed, WireItem, WirePart,
};
pub use request::{Grant, Request, SecretText, Verb};

/// The version that both sides speak, in `v` of each line.
pub const VERSION: &str = "countersign.provider/v1";
/// The longest reply, in bytes. Whatever is longer is not read.
pub const REPLY_BYTES_MAX: usize = 1024 * 1024;
/// So much of what a plugin says beside its reply is kept, in bytes.
pub const ASIDE_BYTES_MAX: usize = 8 * 1024;
