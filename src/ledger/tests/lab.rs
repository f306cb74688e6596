//! The attacker's workshop: a clean log taken apart, changed, and put together again as well as its tools allow.

use std::{fmt::Write as _, path::PathBuf};

use super::*;
use crate::ledger::{
    frame::{Batch, Raw, Record, encode},
    journal::{Journal, Piece, pieces, segment_name},
    line::{Line, Standing, build},
    note::sign,
    publish::{put_rotation, put_tile},
    tiles::{TILE_HEIGHT, TILE_WIDTH, Tile, bundle, tiles_between},
    tree::{Frontier, Nodes as _},
    verify::AllNodes,
};

/// A log taken apart.
#[derive(Clone)]
pub struct Log {
    pub batches: Vec<Batch>,
    /// The folder it came from: its keys are copied from there.
    pub from: PathBuf,
}

impl Log {
    pub fn read(dir: &Path) -> Self {
        let mut batches = Vec::new();
        for (number, path) in journal::segments(&dir.join("journal")).unwrap() {
            let bytes = std::fs::read(path).unwrap();
            for piece in pieces(&bytes, number).unwrap().1 {
                let Piece::Frame(raw) = piece else { panic!("{piece:?}") };
                batches.push(raw.decode().unwrap().to_batch());
            }
        }
        Self { batches, from: dir.to_owned() }
    }

    pub fn size(&self) -> usize {
        self.batches.iter().map(|batch| batch.records.len()).sum()
    }

    pub fn record(&mut self, index: usize) -> &mut Record {
        self.batches.iter_mut().flat_map(|batch| &mut batch.records).nth(index).unwrap()
    }

    pub fn line(&mut self, index: usize) -> String {
        String::from_utf8(self.record(index).line.clone()).unwrap()
    }

    /// Replaces a piece of a line.
    pub fn edit(&mut self, index: usize, from: &str, to: &str) {
        let line = self.line(index);
        assert!(line.contains(from), "{line} has no {from}");
        self.record(index).line = line.replacen(from, to, 1).into_bytes();
    }

    /// Removes or adds entries, wherever batches begin and end.
    pub fn change(&mut self, change: impl FnOnce(&mut Vec<(usize, Record)>)) {
        let mut all: Vec<(usize, Record)> = self
            .batches
            .iter_mut()
            .enumerate()
            .flat_map(|(n, batch)| batch.records.drain(..).map(move |record| (n, record)))
            .collect();
        change(&mut all);
        for (n, record) in all {
            self.batches[n].records.push(record);
        }
        let mut first = 0;
        for batch in &mut self.batches {
            batch.first = first;
            first += batch.records.len() as u64;
        }
    }

    /// Chains all entries from one on anew: each hash and index right, as anybody can.
    pub fn rechain(&mut self, from: usize) {
        let (mut prev, mut seq) = (hash::NO_PREV, 0);
        for record in self.batches.iter_mut().flat_map(|batch| &mut batch.records) {
            if seq >= from as u64
                && let Ok(line) = Line::read(&record.line)
            {
                let digests: Vec<String> =
                    line.each_digest().map(|one| String::from_utf8(one.to_vec()).unwrap()).collect();
                let time = line.time.text().unwrap();
                record.line = build(&digests, line.body, line.kind, Standing { prev: &prev, seq, time: &time });
            }
            prev = leaf_hash(&record.line);
            seq += 1;
        }
    }

    /// Appends a batch of entries of such kinds and bodies, well chained, under a head that these keys sign.
    pub fn append(&mut self, entries: &[(&str, serde_json::Value)], signers: &[&Signer]) {
        let size = self.size();
        self.batches.push(Batch { first: size as u64, records: Vec::new(), head: String::new() });
        for (kind, body) in entries {
            let batch = self.batches.len() - 1;
            self.insert(batch, kind, body);
        }
        self.rechain(size);
        self.resign(size as u64 + 1, signers);
    }

    /// Adds an entry at the end of a batch, not chained.
    pub fn insert(&mut self, batch: usize, kind: &str, body: &serde_json::Value) {
        let before = self.batches[..=batch].iter().rev().find_map(|batch| batch.records.last()).unwrap();
        let time = Line::read(&before.line).unwrap().time.text().unwrap();
        let body = body.to_string().into_bytes();
        let line = build(&[], &body, kind, Standing { prev: &hash::NO_PREV, seq: 0, time: &time });
        self.batches[batch].records.push(Record { line, sealed: Vec::new() });
        for later in &mut self.batches[batch + 1..] {
            later.first += 1;
        }
    }

    /// The heads of the batches that bring a key in, by the index of the entry that does.
    pub fn rotations(&self) -> Vec<(u64, String)> {
        let heads =
            self.batches.iter().flat_map(|batch| (batch.first..).zip(&batch.records).map(|one| (one, &batch.head)));
        let brings = |line: &[u8]| Line::read(line).is_ok_and(|line| line.kind == kinds::KEY_ADDED);
        heads.filter(|((_, record), _)| brings(&record.line)).map(|((seq, _), head)| (seq, head.clone())).collect()
    }

    /// Signs the heads of all batches from one size on with these keys: what only a thief of the key can.
    pub fn resign(&mut self, from: u64, signers: &[&Signer]) {
        self.resign_as("example.com/test", from, signers);
    }

    /// The same under a name.
    pub fn resign_as(&mut self, origin: &str, from: u64, signers: &[&Signer]) {
        let mut tree = Frontier::default();
        for batch in &mut self.batches {
            for record in &batch.records {
                tree.push(leaf_hash(&record.line), |_| ());
            }
            if tree.size() >= from {
                let head = Checkpoint { origin: origin.into(), size: tree.size(), root: tree.root() };
                batch.head = sign(&head, signers.iter().copied());
            }
        }
    }

    /// Puts everything in place: journal, `head`, keys, public copy with `log.jsonl` and the disclosures in clear.
    pub fn write(&self, dir: &Path) {
        let journal = dir.join("journal");
        // Only the header is made by the journal: a sync for each frame would take its time.
        drop(Journal::create(&journal, Sizes { first: 64, others: 64 }).unwrap());
        let mut bytes = std::fs::read(segment(dir)).unwrap();
        bytes.truncate(journal::SEGMENT_HEADER_BYTES);
        bytes.extend(self.batches.iter().flat_map(|batch| encode(batch).unwrap()));
        bytes.resize(1 << 20, 0);
        std::fs::write(segment(dir), bytes).unwrap();
        let head = self.batches.last().map(|batch| batch.head.clone()).unwrap_or_default();
        std::fs::write(dir.join("head"), &head).unwrap();
        std::fs::create_dir(dir.join("keys")).unwrap();
        for entry in std::fs::read_dir(self.from.join("keys")).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, dir.join("keys").join(path.file_name().unwrap())).unwrap();
        }
        let lines: Vec<&[u8]> =
            self.batches.iter().flat_map(|batch| &batch.records).map(|record| &*record.line).collect();
        write_public(&dir.join("public"), &lines, &head);
        for (index, head) in self.rotations() {
            put_rotation(&dir.join("public"), index, &head).unwrap();
        }
        self.write_clear(&dir.join("public/disclosures.jsonl"));
    }

    fn write_clear(&self, path: &Path) {
        let vault = vault::Vault::at(&self.from.join("keys"));
        let mut clear = String::new();
        for (seq, record) in (0..).zip(self.batches.iter().flat_map(|batch| &batch.records)) {
            for (ordinal, sealed) in (0..).zip(&record.sealed) {
                let open = vault
                    .get(sealed.subject)
                    .unwrap()
                    .and_then(|key| disclosure::open(&key, seq, ordinal, &sealed.bytes));
                if let Some(disclosure) = open {
                    let one = json!({"disclosure": disclosure, "seq": seq, "subject": sealed.subject});
                    writeln!(clear, "{one}").unwrap();
                }
            }
        }
        std::fs::write(path, clear).unwrap();
    }
}

/// A public copy that is right for these lines.
pub fn write_public(public: &Path, lines: &[&[u8]], head: &str) {
    let (mut tree, mut nodes) = (Frontier::default(), AllNodes::default());
    for line in lines {
        tree.push(leaf_hash(line), |node| nodes.0.push(node));
    }
    std::fs::create_dir_all(public).unwrap();
    for tile in tiles_between(0, lines.len() as u64) {
        let range = tile.n * TILE_WIDTH..tile.n * TILE_WIDTH + tile.width;
        let bytes = match tile.level {
            None => bundle(range.map(|n| lines[usize::try_from(n).unwrap()])).unwrap(),
            Some(level) => {
                range.map(|n| nodes.node(level * TILE_HEIGHT, n).unwrap()).collect::<Vec<_>>().as_flattened().to_vec()
            }
        };
        put_tile(public, tile, &bytes).unwrap();
    }
    std::fs::write(public.join("checkpoint"), head).unwrap();
    let text: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]]).flatten().copied().collect();
    std::fs::write(public.join("log.jsonl"), text).unwrap();
}

/// A proof of each entry, as a server makes them out of a public copy, whatever is in it; all in one file beside it.
pub fn proofs(public: &Path) -> PathBuf {
    let note = std::fs::read_to_string(public.join("checkpoint")).unwrap_or_default();
    let (mut tree, mut nodes, mut lines) = (Frontier::default(), AllNodes::default(), Vec::new());
    for n in 0.. {
        let read = |level| {
            let whole = Tile { level, n, width: TILE_WIDTH };
            let part = |path: PathBuf| std::fs::read_dir(path).ok()?.next()?.ok().map(|file| file.path());
            let path = public.join(whole.full_path());
            std::fs::read(&path).ok().or_else(|| std::fs::read(part(path.with_extension("p"))?).ok())
        };
        let (Some(hashes), Some(mut bundle)) = (read(Some(0)), read(None)) else { break };
        for leaf in hashes.as_chunks::<32>().0 {
            tree.push(*leaf, |node| nodes.0.push(node));
        }
        while let Some((length, rest)) = bundle.split_first_chunk::<2>() {
            let length = rest.len().min(usize::from(u16::from_be_bytes(*length)));
            lines.push(rest[..length].to_vec());
            bundle = rest[length..].to_vec();
        }
    }
    let mut text = String::new();
    for (index, line) in (0..tree.size()).zip(&lines) {
        text += &proof::write(index, &tree::inclusion(&nodes, index, tree.size()).unwrap(), line, &note);
    }
    let path = public.with_extension("proofs");
    std::fs::write(&path, text).unwrap();
    path
}

/// The last frame of the first segment, for damage below the level of entries.
pub fn segment(dir: &Path) -> PathBuf {
    dir.join("journal").join(segment_name(0))
}

/// How many bytes of a segment are in use.
pub fn used(path: &Path) -> usize {
    let bytes = std::fs::read(path).unwrap();
    let mut at = journal::SEGMENT_HEADER_BYTES;
    while let Some(raw) = Raw::at(&bytes[at..]) {
        at += raw.frame_bytes();
    }
    at
}
