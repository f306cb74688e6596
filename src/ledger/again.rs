//! Each parser with its writer behind it: what it accepts is written again, so that fuzzing (`fuzz/`) can hold it to its
//! promise that there is one text for one thing. Not for use by the service.

use std::io;

use ed25519_dalek::SigningKey;

use super::{
    canon, frame,
    hash::{HASH_BYTES, Hash},
    line::{Line, Standing, build},
    note,
    note::{Checkpoint, SignedNote, Signer, VerifierKey},
    proof::{self, Proof},
    snapshot, tiles,
    tree::Nodes,
    verify::Anchor,
};

/// An entry's line.
#[must_use]
pub fn entry(bytes: &[u8]) -> Option<Vec<u8>> {
    let line = Line::read(bytes).ok()?;
    let mut body = Vec::new();
    canon::write(&serde_json::from_slice(line.body).ok()?, &mut body).ok()?;
    let digests: Vec<String> = line.each_digest().map(|one| String::from_utf8_lossy(one).into_owned()).collect();
    let time = line.time.text()?;
    Some(build(&digests, &body, line.kind, Standing { prev: &line.prev, seq: line.seq, time: &time }))
}

/// The text of a signed head, without its signatures.
#[must_use]
pub fn head(bytes: &[u8]) -> Option<Vec<u8>> {
    let note = SignedNote::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    let head = Checkpoint::parse(&note.text).ok()?;
    Some(head.text().into_bytes())
}

/// A verifier key.
#[must_use]
pub fn verifier_key(bytes: &[u8]) -> Option<Vec<u8>> {
    let key = VerifierKey::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    Some(key.to_string().into_bytes())
}

/// The head that an anchor speaks of, found among whatever words.
#[must_use]
pub fn anchor(bytes: &[u8]) -> Option<Vec<u8>> {
    let anchor = Anchor::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    Some(anchor.head.text().into_bytes())
}

/// A proof with an `extra` line.
#[must_use]
pub fn proof(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let proof = Proof::parse(text).ok()?;
    let (_, note) = text.split_once("\n\n")?;
    Some(proof::write(proof.index, &proof.path, &proof.extra?, note).into_bytes())
}

/// A bundle of as many entries as it holds.
#[must_use]
pub fn bundle(bytes: &[u8]) -> Option<Vec<u8>> {
    let lines = (0..=tiles::TILE_WIDTH).find_map(|count| tiles::entries(bytes, count))?;
    tiles::bundle(lines.into_iter())
}

/// A journal frame.
#[must_use]
pub fn frame(bytes: &[u8]) -> Option<Vec<u8>> {
    let raw = frame::Raw::at(bytes).filter(frame::Raw::intact)?;
    frame::encode(&raw.decode()?.to_batch())
}

/// A frame whose checksum was made right first: a fuzzer does not guess one.
#[must_use]
pub fn payload(bytes: &[u8]) -> Option<Vec<u8>> {
    let batch = frame::decode_payload(bytes)?.to_batch();
    Some(frame::encode(&batch)?.split_off(frame::FRAME_HEADER_BYTES))
}

/// Who signs the snapshots that are fuzzed: nobody else's are read any further.
pub(super) fn snapshot_signer() -> Signer {
    Signer::new("example.com/fuzz", SigningKey::from_bytes(&[1; 32]))
}

/// A tree in which every node is zero.
#[derive(Debug)]
pub(super) struct Zeros;

impl Nodes for Zeros {
    type Error = io::Error;

    fn node(&self, _level: u32, _n: u64) -> io::Result<Hash> {
        Ok([0; HASH_BYTES])
    }
}

/// A snapshot without its signature, which is made first: a fuzzer does not guess one.
#[must_use]
pub fn snapshot(bytes: &[u8]) -> Option<Vec<u8>> {
    let signer = snapshot_signer();
    let read = snapshot::decode(&snapshot::signed(bytes, &signer), std::slice::from_ref(&signer), &Zeros)?;
    let head = note::sign(
        &Checkpoint { origin: signer.verifier().name().to_owned(), size: read.tip.size(), root: read.tip.tree.root() },
        [&signer],
    );
    let mut written = snapshot::encode(&read.tip, read.place, &head, &read.state, &signer).ok()?;
    written.truncate(written.len().saturating_sub(snapshot::SIGNATURE_BYTES));
    Some(written)
}
