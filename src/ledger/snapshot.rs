//! A snapshot: what the service had folded from the entries up to a signed head, so that a long history doesn't make a slow
//! start. A cache: it may be deleted at any time, and one that does not fit is not used.
//!
//! ```text
//! magic "CSSNAP1\n" | header length u32 | header (JSON) | state | Ed25519 signature over all of it, 64 bytes
//! ```
//!
//! The signature is by the key that signs heads, over the SHA-256 of everything before it after a prefix of its own, so that
//! neither the state nor the keys in the header can be changed by who can only write files.

use std::{
    io::{self, Read as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    check::{Opened, Tip},
    files,
    hash::{Hash, sha256},
    ids::lower_hex,
    keys::{Keys, LogKey},
    note::{Checkpoint, SignedNote, Signer, VerifierKey},
    store::Place,
    time::Micros,
    tree::{self, Frontier, Nodes},
};

const MAGIC: &[u8; 8] = b"CSSNAP1\n";

/// Longest header that is read.
const HEADER_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Length of the signature at the end.
pub const SIGNATURE_BYTES: usize = 64;

#[derive(Serialize, Deserialize)]
struct Header {
    head: String,
    place: Place,
    prev: String,
    time_micros: i64,
    log_id: String,
    keys: Vec<(String, u64, Option<u64>)>,
    erased: Vec<(String, u64)>,
}

/// A snapshot that was read and holds.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The log up to there.
    pub tip: Tip,
    /// The signed head over it.
    pub head: String,
    /// Where the journal goes on.
    pub place: Place,
    /// What the service had folded.
    pub state: Vec<u8>,
}

/// The text that is signed for a snapshot: it can't be taken for the text of a head.
fn signed_text(bytes: &[u8]) -> String {
    format!("countersign snapshot\n{}\n", hex::encode(sha256(bytes)))
}

/// The bytes of a snapshot.
///
/// # Errors
/// When a key waits for the head that takes it in, which is never so between commits: that it waits would be forgotten.
pub fn encode(tip: &Tip, place: Place, head: &str, state: &[u8], signer: &Signer) -> io::Result<Vec<u8>> {
    if tip.waits() {
        return Err(io::Error::other("a key waits for its head"));
    }
    let header = Header {
        head: head.to_owned(),
        place,
        prev: hex::encode(tip.prev),
        time_micros: tip.time.0,
        log_id: tip.opened.as_ref().map(|opened| hex::encode(opened.log_id)).unwrap_or_default(),
        keys: tip.keys.iter().map(|known| (known.key.to_string(), known.added, known.retired)).collect(),
        erased: tip.erased.iter().map(|(subject, index)| (subject.to_string(), *index)).collect(),
    };
    let header = serde_json::to_vec(&header)?;
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    Ok(signed(&[&MAGIC[..], &length.to_le_bytes(), &header, state].concat(), signer))
}

/// The bytes with their signature.
pub(super) fn signed(bytes: &[u8], signer: &Signer) -> Vec<u8> {
    [bytes, &signer.sign_text(&signed_text(bytes))].concat()
}

/// The signed head in a snapshot, whatever else of it can be used: who compares it must check its signature.
#[must_use]
pub fn head(path: &Path) -> Option<String> {
    let mut start = [0; 12];
    let mut file = files::open(path).ok()?;
    file.read_exact(&mut start).ok()?;
    let length = u64::from(u32::from_le_bytes(*start.strip_prefix(MAGIC)?.first_chunk()?));
    let mut header = Vec::new();
    file.take(length.min(HEADER_MAX_BYTES as u64)).read_to_end(&mut header).ok()?;
    serde_json::from_slice::<Header>(&header).ok().map(|header| header.head)
}

/// Reads a snapshot that one of these keys signed and whose head the node file agrees with.
pub fn decode(bytes: &[u8], signers: &[Signer], nodes: &impl Nodes<Error = io::Error>) -> Option<Snapshot> {
    let (signed, signature) = bytes.split_last_chunk::<SIGNATURE_BYTES>()?;
    let text = signed_text(signed);
    let verifier = signers.iter().map(Signer::verifier).find(|key| key.signed(&text, signature))?;
    let (length, rest) = signed.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= HEADER_MAX_BYTES)?;
    let (header, state) = rest.split_at_checked(length)?;
    let header: Header = serde_json::from_slice(header).ok()?;
    let note = SignedNote::parse(&header.head).ok()?;
    let head = Checkpoint::parse(&note.text).ok()?;
    let keys: Keys = header.keys.iter().map(log_key).collect::<Option<Vec<LogKey>>>()?.into();
    let known = keys.live().any(|key| key == verifier);
    let tree = Frontier::from_peaks(head.size, tree::peaks(nodes, head.size).ok()?)?;
    let prev: Hash = lower_hex(&header.prev)?;
    let last = nodes.node(0, head.size.checked_sub(1)?).ok()?;
    if !known || note.check([verifier]) != Ok(1) || tree.root() != head.root || last != prev {
        return None;
    }
    let opened = Opened {
        origin: head.origin,
        key: keys.iter().next()?.key.as_ref().clone(),
        log_id: lower_hex(&header.log_id)?,
    };
    let erased =
        header.erased.iter().map(|(subject, index)| Some((subject.parse().ok()?, *index))).collect::<Option<_>>()?;
    let tip = Tip::at(tree, prev, Micros(header.time_micros), opened, keys, erased);
    Some(Snapshot { tip, head: header.head, place: header.place, state: state.to_vec() })
}

fn log_key((key, added, retired): &(String, u64, Option<u64>)) -> Option<LogKey> {
    Some(LogKey { key: VerifierKey::parse(key).ok()?.into(), added: *added, retired: *retired })
}

/// Replaces the snapshot in a file, durably.
///
/// # Errors
/// What the disk says.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    super::vault::write_secret(path, bytes)
}
