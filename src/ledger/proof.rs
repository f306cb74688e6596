//! Offline proofs of one entry: <https://c2sp.org/tlog-proof>.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{
    hash::{Hash, leaf_hash},
    line::LINE_MAX_BYTES,
    note::{Checkpoint, NOTE_MAX_BYTES, NoteError, SignedNote, VerifierKey, decode_hash},
    tree,
};

/// The first line.
pub const PROOF_HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Longest proof that is read.
pub const PROOF_MAX_BYTES: usize = NOTE_MAX_BYTES + 2 * LINE_MAX_BYTES + 8 * 1024;

/// Most hashes in a proof: the depth of the tallest tree.
const HASHES_MAX: usize = 63;

/// A proof, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What the `extra` line holds: in our proofs the entry's line.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry.
    pub index: u64,
    /// The inclusion proof.
    pub path: Vec<Hash>,
    /// The signed head.
    pub note: SignedNote,
    /// What the head says.
    pub head: Checkpoint,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a proof at all; the word says which part.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The head's signature.
    #[error("its head: {0}")]
    Note(#[from] NoteError),
    /// None of the keys signed the head; the words are the ids of those that did.
    #[error(
        "its head is signed by {0}, and not by the key that was given: after a rotation another key signs; verify the log or its \
         public copy with the first key, which lists its live keys, and give the one that signed this head"
    )]
    NotSigned(String),
    /// The entry is not under the head.
    #[error("entry {0} is not in the log of this head")]
    NotIncluded(u64),
}

/// Writes a proof.
#[must_use]
pub fn write(index: u64, path: &[Hash], line: &[u8], note: &str) -> String {
    let hashes: String = path.iter().flat_map(|hash| [BASE64.encode(hash), "\n".into()]).collect();
    format!("{PROOF_HEADER}\nextra {}\nindex {index}\n{hashes}\n{note}", BASE64.encode(line))
}

impl Proof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`ProofError::Malformed`] or [`ProofError::Note`].
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let malformed = ProofError::Malformed;
        if text.len() > PROOF_MAX_BYTES {
            return Err(malformed("proof: it is too long"));
        }
        let (proof, note) = text.split_once("\n\n").ok_or(malformed("proof"))?;
        let mut lines = proof.split('\n');
        if lines.next() != Some(PROOF_HEADER) {
            return Err(malformed("first line"));
        }
        let mut next = lines.next().ok_or(malformed("proof"))?;
        let mut extra = None;
        if let Some(encoded) = next.strip_prefix("extra ") {
            extra = Some(BASE64.decode(encoded).map_err(|_| malformed("extra"))?);
            next = lines.next().ok_or(malformed("proof"))?;
        }
        let digits = next.strip_prefix("index ").ok_or(malformed("index"))?;
        let index: u64 = digits.parse().map_err(|_| malformed("index"))?;
        if index.to_string() != digits {
            return Err(malformed("index"));
        }
        let path: Vec<Hash> = lines.map(decode_hash).collect::<Option<_>>().ok_or(malformed("hash"))?;
        if path.len() > HASHES_MAX {
            return Err(malformed("hash: there are too many"));
        }
        let note = SignedNote::parse(note)?;
        let head = Checkpoint::parse(&note.text)?;
        Ok(Self { extra, index, path, note, head })
    }

    /// The ids of the keys that signed the head, as verifier keys hold them.
    fn signers(&self) -> String {
        let own = self.note.signatures.iter().filter(|line| line.name == self.head.origin);
        let ids: Vec<String> = own.map(|line| format!("the key `{}`", hex::encode(line.id))).collect();
        if ids.is_empty() { "no key of its log".into() } else { ids.join(" and ") }
    }

    /// Whether the proof shows that `line` is the entry, under a head that one of the keys signed.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, line: &[u8], keys: &[VerifierKey]) -> Result<(), ProofError> {
        let named = keys.iter().filter(|key| key.name() == self.head.origin);
        if self.note.check(named)? == 0 {
            return Err(ProofError::NotSigned(self.signers()));
        }
        if tree::included(&leaf_hash(line), self.index, self.head.size, &self.path, &self.head.root) {
            Ok(())
        } else {
            Err(ProofError::NotIncluded(self.index))
        }
    }
}

#[cfg(test)]
mod tests;
