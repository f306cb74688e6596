//! The two hashes of RFC 6962 section 2.1, and the words they are written in.

use sha2::{Digest, Sha256};

/// A SHA-256 value: a leaf, a node or a root.
pub type Hash = [u8; HASH_BYTES];

/// Length of a hash.
pub const HASH_BYTES: usize = 32;

/// What `prev` holds in entry 0.
pub const NO_PREV: Hash = [0; HASH_BYTES];

/// The RFC 6962 leaf hash of an entry: `SHA-256(0x00 || line)`. It is the chain link and the Merkle leaf at once.
#[must_use]
pub fn leaf_hash(line: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(line).finalize().into()
}

/// The RFC 6962 node hash: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The plain SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}
