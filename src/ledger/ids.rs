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

/// The value of a hex digit, and all ones if it is one. Without branches: which digits a hash has can't be foreseen, and
/// every entry that is verified has 64 of them.
fn nibble(byte: u8) -> (u8, u8) {
    let (digit, letter) = (byte.wrapping_sub(b'0'), byte.wrapping_sub(b'a'));
    let is_digit = u8::from(digit < 10).wrapping_neg();
    let is_letter = u8::from(letter < 6).wrapping_neg();
    ((digit & is_digit) | (letter.wrapping_add(10) & is_letter), is_digit | is_letter)
}

/// Exactly `N` bytes in lowercase hex.
pub(crate) fn lower_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (mut bytes, mut good) = ([0; N], u8::MAX);
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    for (to, [high, low]) in bytes.iter_mut().zip(pairs) {
        let ((high, one), (low, two)) = (nibble(*high), nibble(*low));
        *to = high << 4 | low;
        good &= one & two;
    }
    (pairs.len() == N && odd.is_empty() && good == u8::MAX).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_as_everybody_reads_it_but_in_lower_case_only() {
        for byte in 0..=u8::MAX {
            for text in [[byte, b'7'], [b'e', byte]] {
                let Ok(text) = std::str::from_utf8(&text) else { continue };
                let theirs = hex::decode(text).ok().filter(|_| text.to_lowercase() == text);
                assert_eq!(lower_hex::<1>(text).map(|bytes| bytes.to_vec()), theirs, "{text:?}");
            }
        }
        assert_eq!(lower_hex::<2>("0aff"), Some([0x0a, 0xff]));
        for wrong in ["0af", "0aff0", "0aff00", "", "0a"] {
            assert_eq!(lower_hex::<2>(wrong), None, "{wrong}");
        }
    }
}
