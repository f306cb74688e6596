//! Personal data: salted disclosures as in RFC 9901 section 4.2.1, and how they are sealed at rest.
//!
//! The line carries only `b64url(SHA-256(ascii(disclosure)))`. The disclosure itself is sealed with ChaCha20-Poly1305 under
//! its subject's own key; who destroys that key has erased the person, in every backup of the sealed bytes too.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use rand::CryptoRng;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{canon, hash::sha256, ids::SubjectId};

/// Longest value of one disclosure.
pub const DISCLOSURE_MAX_BYTES: usize = 262_144;

/// Most disclosures of one entry: their digests must fit into the line.
pub const DISCLOSURES_MAX: usize = 256;

/// Length of a salt.
const SALT_BYTES: usize = 16;

/// Length of a subject's key.
pub const SUBJECT_KEY_BYTES: usize = 32;

/// Length of the nonce that stands before the sealed bytes.
const NONCE_BYTES: usize = 12;

/// A subject's sealing key; wiped from memory when it is dropped.
pub type SubjectKey = Zeroizing<[u8; SUBJECT_KEY_BYTES]>;

/// One piece of personal data: whose, what it is, and the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disclosure {
    /// Whose key seals it.
    pub subject: SubjectId,
    /// What it is: `reason`, `email`.
    pub name: String,
    /// The text, at most [`DISCLOSURE_MAX_BYTES`].
    pub value: String,
}

/// What is left of a disclosure when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disclosed {
    /// The key is there, and the text hashes to a digest in the line.
    Open(Disclosure),
    /// Its subject was erased, and the key with them.
    Erased {
        /// Whose it was.
        subject: SubjectId,
    },
    /// It can't be opened, and nothing says that its subject was erased.
    Locked {
        /// Whose it is.
        subject: SubjectId,
        /// Why.
        why: Locked,
    },
}

/// Why a disclosure can't be opened whose subject nobody erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Locked {
    /// There is no key.
    #[error("its key is missing")]
    KeyMissing,
    /// There is one that does not open it to what its entry has a digest of.
    #[error("its key is not the one it was sealed with")]
    KeyWrong,
}

/// Encodes a disclosure with a fresh salt: `b64url(JSON [salt, name, value])`.
pub fn encode(name: &str, value: &str, rng: &mut dyn CryptoRng) -> String {
    let mut salt = [0; SALT_BYTES];
    rng.fill_bytes(&mut salt);
    let mut json = b"[".to_vec();
    canon::string(&BASE64URL.encode(salt), &mut json);
    json.push(b',');
    canon::string(name, &mut json);
    json.push(b',');
    canon::string(value, &mut json);
    json.push(b']');
    BASE64URL.encode(json)
}

/// The digest that stands in the line.
#[must_use]
pub fn digest(encoded: &str) -> String {
    BASE64URL.encode(sha256(encoded.as_bytes()))
}

/// The name and value of an encoded disclosure.
#[must_use]
pub fn decode(encoded: &str) -> Option<(String, String)> {
    let json = BASE64URL.decode(encoded).ok()?;
    let (_salt, name, value): (String, String, String) = serde_json::from_slice(&json).ok()?;
    Some((name, value))
}

/// Where a disclosure stands: sealed bytes moved to another place don't open.
fn place(seq: u64, ordinal: u32) -> [u8; 12] {
    let mut place = [0; 12];
    for (to, from) in place.iter_mut().zip(seq.to_be_bytes().into_iter().chain(ordinal.to_be_bytes())) {
        *to = from;
    }
    place
}

/// Seals an encoded disclosure. `None` only when it is longer than the cipher can take, which the limits rule out.
pub fn seal(key: &SubjectKey, seq: u64, ordinal: u32, encoded: &str, rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let payload = Payload { msg: encoded.as_bytes(), aad: &place(seq, ordinal) };
    let sealed = ChaCha20Poly1305::new((&**key).into()).encrypt(&nonce.into(), payload).ok()?;
    let mut bytes = nonce.to_vec();
    bytes.extend_from_slice(&sealed);
    Some(bytes)
}

/// Opens sealed bytes; `None` when they are not what was sealed there with that key.
#[must_use]
pub fn open(key: &SubjectKey, seq: u64, ordinal: u32, sealed: &[u8]) -> Option<String> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg: sealed, aad: &place(seq, ordinal) };
    let text = ChaCha20Poly1305::new((&**key).into()).decrypt(nonce.into(), payload).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    /// The example of RFC 9901 section 4.2.1.
    #[test]
    fn the_example_of_the_rfc() {
        let encoded = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0";
        assert_eq!(decode(encoded), Some(("family_name".into(), "Möbius".into())));
        assert_eq!(digest(encoded), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
    }

    #[test]
    fn what_is_sealed_opens_only_there_and_unchanged() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = SubjectKey::new([7; 32]);
        let encoded = encode("reason", "fixing \"INC-42\"\n", &mut rng);
        assert_eq!(decode(&encoded), Some(("reason".into(), "fixing \"INC-42\"\n".into())));
        let sealed = seal(&key, 3, 1, &encoded, &mut rng).unwrap();
        assert_eq!(open(&key, 3, 1, &sealed).as_deref(), Some(&*encoded));
        assert_eq!(open(&key, 3, 0, &sealed), None);
        assert_eq!(open(&key, 4, 1, &sealed), None);
        assert_eq!(open(&SubjectKey::new([8; 32]), 3, 1, &sealed), None);
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(open(&key, 3, 1, &flipped), None, "{at}");
        }
        assert_eq!(open(&key, 3, 1, b"short"), None);
    }
}
