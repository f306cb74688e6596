//! Signed notes and checkpoints: <https://c2sp.org/signed-note> and <https://c2sp.org/tlog-checkpoint>.
//!
//! Ed25519 (type 0x01) only, checked strictly. Signature lines of keys nobody told us about are ignored, as the
//! specification asks; a bad signature of a known key rejects the whole note.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::hash::{HASH_BYTES, Hash, sha256};

/// Longest signed note that is read.
pub const NOTE_MAX_BYTES: usize = 65_536;

/// Most signature lines in a note that is read.
pub const SIGNATURES_MAX: usize = 64;

/// Longest origin.
pub const ORIGIN_MAX_BYTES: usize = 200;

/// The signature type of Ed25519.
const ED25519: u8 = 1;

/// Why a note, a checkpoint or a verifier key can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not in the form of the specification; the word says which part.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// Larger than [`NOTE_MAX_BYTES`], or with more than [`SIGNATURES_MAX`] signatures.
    #[error("the note is over its limit of {NOTE_MAX_BYTES} bytes and {SIGNATURES_MAX} signatures")]
    TooLarge,
    /// A key that is known signed something else.
    #[error("the signature of key {0} is wrong")]
    BadSignature(String),
}

/// Whether a text can be an origin and so a key name: printable ASCII without spaces and `+`.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    !text.is_empty() && text.len() <= ORIGIN_MAX_BYTES && text.bytes().all(|b| b.is_ascii_graphic() && b != b'+')
}

/// A verifier key: `name+hash+base64(0x01 || key)`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// The verifier key of an Ed25519 key under a name.
    #[must_use]
    pub fn new(name: &str, key: VerifyingKey) -> Self {
        let mut text = name.as_bytes().to_vec();
        text.extend_from_slice(&[b'\n', ED25519]);
        text.extend_from_slice(key.as_bytes());
        let [a, b, c, d, ..] = sha256(&text);
        Self { name: name.to_owned(), id: [a, b, c, d], key }
    }

    /// Reads `name+hash+base64`.
    ///
    /// # Errors
    /// [`NoteError::Malformed`]: another form, another algorithm, a weak key, or a hash that is not the key's.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = || NoteError::Malformed("verifier key");
        let (name, rest) = text.split_once('+').ok_or_else(malformed)?;
        let (id, key) = rest.split_once('+').ok_or_else(malformed)?;
        let bytes = BASE64.decode(key).map_err(|_| malformed())?;
        let Some((&ED25519, key)) = bytes.split_first() else { return Err(malformed()) };
        let key = key.try_into().map_err(|_| malformed())?;
        let key = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak()).ok_or_else(malformed)?;
        let parsed = Self::new(name, key);
        (is_origin(name) && hex::encode(parsed.id) == id).then_some(parsed).ok_or_else(malformed)
    }

    /// The key's name: the origin of the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The four bytes that stand before its signatures.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Whether this key signed the text (strict: no weak keys, no malleable signatures).
    #[must_use]
    pub fn signed(&self, text: &str, signature: &[u8; 64]) -> bool {
        self.key.verify_strict(text.as_bytes(), &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id), BASE64.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// One signature line: `— name base64(id || signature)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: [u8; 4],
    /// What follows the id.
    pub bytes: Vec<u8>,
}

/// A signed note, taken apart but not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    /// What is signed, with its last newline.
    pub text: String,
    /// The signature lines.
    pub signatures: Vec<SignatureLine>,
}

impl SignedNote {
    /// Takes a note apart.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] or [`NoteError::TooLarge`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_MAX_BYTES {
            return Err(NoteError::TooLarge);
        }
        let malformed = || NoteError::Malformed("signed note");
        if note.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(malformed());
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or_else(malformed)?;
        let lines = lines.strip_suffix('\n').ok_or_else(malformed)?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::TooLarge);
            }
            let (name, bytes) = line.strip_prefix("— ").and_then(|line| line.split_once(' ')).ok_or_else(malformed)?;
            let bytes = BASE64.decode(bytes).map_err(|_| malformed())?;
            let (id, bytes) = bytes.split_first_chunk().ok_or_else(malformed)?;
            if name.is_empty() || name.contains('+') || bytes.is_empty() {
                return Err(malformed());
            }
            signatures.push(SignatureLine { name: name.to_owned(), id: *id, bytes: bytes.to_vec() });
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// The signature of a key in this note, if it has one of the right length.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] when the key's line holds something that can't be an Ed25519 signature, or when the
    /// key signs twice.
    pub fn signature_of(&self, key: &VerifierKey) -> Result<Option<[u8; 64]>, NoteError> {
        let mut of_key = self.signatures.iter().filter(|line| line.id == key.id && line.name == key.name);
        let bad = || NoteError::BadSignature(key.to_string());
        match (of_key.next(), of_key.next()) {
            (None, _) => Ok(None),
            (Some(line), None) => Ok(Some(line.bytes.as_slice().try_into().map_err(|_| bad())?)),
            (Some(_), Some(_)) => Err(bad()),
        }
    }

    /// Checks the signatures of the known keys, and says how many of them signed.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] when one of them is wrong.
    pub fn check<'k>(&self, known: impl IntoIterator<Item = &'k VerifierKey>) -> Result<usize, NoteError> {
        let mut good = 0;
        for key in known {
            if let Some(signature) = self.signature_of(key)? {
                if !key.signed(&self.text, &signature) {
                    return Err(NoteError::BadSignature(key.to_string()));
                }
                good += 1;
            }
        }
        Ok(good)
    }
}

/// A tree head: which log, how many entries, which root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// The RFC 6962 root.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// Reads a note's text. Our logs write no extension lines and accept none.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = || NoteError::Malformed("checkpoint");
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed());
        };
        let parsed = Self {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| malformed())?,
            root: decode_hash(root).ok_or_else(malformed)?,
        };
        // One text for one head: no leading zeros, plus signs or loose base64.
        (is_origin(origin) && parsed.text() == text).then_some(parsed).ok_or_else(malformed)
    }
}

/// A hash in standard base64.
pub(crate) fn decode_hash(text: &str) -> Option<Hash> {
    let bytes = BASE64.decode(text).ok()?;
    let hash: [u8; HASH_BYTES] = bytes.try_into().ok()?;
    Some(hash)
}

/// A key that signs heads.
pub struct Signer {
    key: SigningKey,
    verifier: VerifierKey,
}

impl Signer {
    /// A signer for the log of that origin.
    #[must_use]
    pub fn new(origin: &str, key: SigningKey) -> Self {
        let verifier = VerifierKey::new(origin, key.verifying_key());
        Self { key, verifier }
    }

    /// The bare signature over a text that is not a head.
    #[must_use]
    pub fn sign_text(&self, text: &str) -> [u8; 64] {
        self.key.sign(text.as_bytes()).to_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

/// The signed note of a head, with one signature line a signer.
#[must_use]
pub fn sign<'s>(head: &Checkpoint, signers: impl IntoIterator<Item = &'s Signer>) -> String {
    let text = head.text();
    let mut note = format!("{text}\n");
    for signer in signers {
        let mut bytes = signer.verifier.id.to_vec();
        bytes.extend_from_slice(&signer.key.sign(text.as_bytes()).to_bytes());
        for part in ["— ", &signer.verifier.name, " ", &BASE64.encode(bytes), "\n"] {
            note.push_str(part);
        }
    }
    note
}

#[cfg(test)]
mod tests;
