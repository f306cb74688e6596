//! The name a person has in the ledger.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// A person in the ledger: 128 random bits, 32 lowercase hex digits in bodies and file names. Who it is stands in a
/// sealed disclosure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectId(pub [u8; 16]);

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectId({self})")
    }
}

impl Serialize for SubjectId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The text is not 32 lowercase hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subject id is 32 lowercase hex digits")]
pub struct NotASubjectId;

impl FromStr for SubjectId {
    type Err = NotASubjectId;

    fn from_str(text: &str) -> Result<Self, NotASubjectId> {
        lower_hex(text).map(Self).ok_or(NotASubjectId)
    }
}

/// Exactly `N` bytes in lowercase hex.
pub(crate) fn lower_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
