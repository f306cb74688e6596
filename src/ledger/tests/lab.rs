//! The attacker's workshop: a clean log taken apart, changed, and put together again as well as its tools allow. And the
//! verifiers that nobody here wrote.

use std::{fmt::Write as _, path::PathBuf, process::Command as Program};

use super::*;
use crate::ledger::{
    frame::{Batch, Raw, Record, encode},
    journal::{Journal, Piece, pieces, segment_name},
    line::{Line, Parts, build},
    note::sign,
    publish::{put_rotation, put_tile},
    tiles::{TILE_HEIGHT, TILE_WIDTH, bundle, tiles_between},
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
                record.line =
                    build(Parts { digests: &digests, body: line.body, kind: line.kind, prev: &prev, seq, time: &time });
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
        let line = build(Parts { digests: &[], body: &body, kind, prev: &hash::NO_PREV, seq: 0, time: &time });
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
        let mut tree = Frontier::default();
        for batch in &mut self.batches {
            for record in &batch.records {
                tree.push(leaf_hash(&record.line), |_| ());
            }
            if tree.size() >= from {
                let head = Checkpoint { origin: "example.com/test".into(), size: tree.size(), root: tree.root() };
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

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/ledger_foreign").join(name)
}

/// Where `tests/it/ledger_foreign/install` puts things.
pub fn installed(name: &str) -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let path = target.join("foreign").join(name);
    assert!(path.exists(), "{} is missing: run tests/it/ledger_foreign/install", path.display());
    path
}

/// The verifiers that nobody here wrote.
pub struct Foreign {
    go: PathBuf,
}

impl Foreign {
    /// Builds what has to be built, into `dir`.
    pub fn new(dir: &Path) -> Self {
        let go = dir.join("check");
        let built = Program::new("go")
            .args(["build", "-o"])
            .arg(&go)
            .arg(here("check.go"))
            .env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .output()
            .expect("go is missing: install golang-go and golang-golang-x-mod-dev");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Self { go }
    }

    /// coreutils over `log.jsonl`.
    pub fn coreutils(copy: &Path) -> Result<String, String> {
        run(Program::new("sh").arg(here("walk.sh")).arg(copy.join("log.jsonl")))
    }

    /// Go's sumdb packages over a public copy.
    pub fn go(&self, copy: &Path, key: &VerifierKey, older: Option<&Path>) -> Result<String, String> {
        run(Program::new(&self.go).arg(copy).arg(key.to_string()).args(older))
    }

    /// Python's standard library and pymerkle over an export.
    pub fn python(copy: &Path) -> Result<String, String> {
        run(Program::new(installed("venv/bin/python")).arg(here("check.py")).arg(copy))
    }

    /// @sigstore/verify over proofs.
    pub fn sigstore(key: &VerifierKey, proofs: &[PathBuf]) -> Result<String, String> {
        let modules = installed("node_modules").parent().unwrap().to_owned();
        run(Program::new("node")
            .arg(here("check.mjs"))
            .arg(key.to_string())
            .args(proofs)
            .env("FOREIGN_MODULES", modules))
    }
}

fn run(program: &mut Program) -> Result<String, String> {
    let done = program.output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}
