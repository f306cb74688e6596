//! The corpus of the fuzz targets, replayed on the stable compiler with a bounded number of mutations of each file.

use std::collections::BTreeSet;

use rand::RngExt as _;

use super::*;
use crate::ledger::verify::Anchor;

type Again = fn(&[u8]) -> Option<Vec<u8>>;

/// The targets in `fuzz/`, and whether what is accepted must be written again as it was.
const TARGETS: [(&str, Again, bool); 9] = [
    ("entry", again::entry, true),
    ("head", again::head, false),
    ("proof", again::proof, true),
    ("bundle", again::bundle, true),
    ("frame", again::frame, false),
    ("payload", again::payload, true),
    ("verifier_key", again::verifier_key, true),
    ("anchor", again::anchor, false),
    ("snapshot", again::snapshot, false),
];

/// Mutations of each file of the corpus.
const MUTATIONS: usize = 500;

fn corpus(target: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn held(target: &str, again: Again, exact: bool, bytes: &[u8]) -> bool {
    let Some(written) = again(bytes) else { return false };
    if exact {
        assert!(written == bytes, "{target} accepts {} and writes {}", bytes.escape_ascii(), written.escape_ascii());
    }
    true
}

fn mutated(bytes: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.insert(at, *b"{}[]\",:0123456789\\u\n +=-\0\xff".get(rng.random_range(0..25)).unwrap()),
            3 => bytes.truncate(at),
            _ => {
                let from = rng.random_range(0..=at);
                let copy = bytes[from..at].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

/// The targets here are those of `fuzz/`, each over the parser of its name, and as strict as it is there.
#[test]
fn the_targets_are_those_of_the_fuzzer() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |folder: &str| {
        let entries = std::fs::read_dir(fuzz.join(folder)).unwrap();
        entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect::<BTreeSet<_>>()
    };
    let here: BTreeSet<String> = TARGETS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!((names("fuzz_targets"), names("corpus")), (here.clone(), here.clone()));
    let manifest: toml::Table = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap().parse().unwrap();
    let built = manifest["bin"].as_array().unwrap().iter().map(|bin| bin["name"].as_str().unwrap().to_owned());
    assert_eq!(built.collect::<BTreeSet<_>>(), here);
    for (name, _, exact) in TARGETS {
        let source = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("again::{name}(bytes)")), "{name}");
        assert_eq!(source.contains("assert_eq!(written, bytes)"), exact, "{name}");
    }
}

/// A snapshot over a tree of zeros, without its signature.
fn snapshot_seed() -> Vec<u8> {
    let signer = again::snapshot_signer();
    let tree = tree::Frontier::from_peaks(12, tree::peaks(&again::Zeros, 12).unwrap()).unwrap();
    let head = Checkpoint { origin: "example.com/fuzz".into(), size: 12, root: tree.root() };
    let header = json!({
        "head": note::sign(&head, [&signer]),
        "place": {"segment": 0, "offset": 32},
        "prev": "0".repeat(64),
        "time_micros": 1,
        "log_id": "07".repeat(32),
        "keys": [[signer.verifier().to_string(), 0, null]],
        "erased": [[subject(3), 9]],
    });
    let header = header.to_string().into_bytes();
    [b"CSSNAP1\n", &u32::try_from(header.len()).unwrap().to_le_bytes()[..], &header, b"the state"].concat()
}

#[test]
fn the_corpus_and_what_is_near_it() {
    let mut rng = StdRng::seed_from_u64(4);
    for (target, again, exact) in TARGETS {
        let mut accepted = 0;
        let mut files: Vec<_> = std::fs::read_dir(corpus(target)).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        for path in &files {
            let bytes = std::fs::read(path).unwrap();
            accepted += usize::from(held(target, again, exact, &bytes));
            for _ in 0..MUTATIONS {
                held(target, again, exact, &mutated(&bytes, &mut rng));
            }
        }
        assert!(accepted > 0, "{target}: nothing of {} files is accepted", files.len());
    }
}

/// Writes the corpus anew from a small ledger, when `UPDATE_CORPUS` is set; otherwise only checks that it would be accepted.
#[tokio::test]
async fn the_corpus_is_of_this_format() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 12).await;
    let mut seeds: Vec<(&str, Vec<u8>)> = vec![
        ("proof", ledger.prove(7).unwrap().into_bytes()),
        ("head", ledger.head().note.as_bytes().to_vec()),
        ("bundle", Vec::new()),
    ];
    seeds.extend([0, 5, 6].map(|index| ("entry", ledger.reader().get(index).unwrap().line)));
    let (key, head) = (ledger.verifier_key().to_string(), ledger.head().note);
    drop(ledger);
    seeds.push(("bundle", std::fs::read(dir.path().join("public/tile/entries/000.p/12")).unwrap()));
    let log = lab::Log::read(dir.path());
    for batch in log.batches.iter().take(3) {
        let frame = frame::encode(batch).unwrap();
        seeds.push(("payload", frame[frame::FRAME_HEADER_BYTES..].to_vec()));
        seeds.push(("frame", frame));
    }
    seeds.push(("verifier_key", key.into_bytes()));
    let line = Anchor::line(&head).unwrap();
    seeds.push(("anchor", format!("ledger head `{line}` at noon").into_bytes()));
    seeds.push(("anchor", head.as_bytes().to_vec()));
    seeds.push(("snapshot", snapshot_seed()));
    for (n, (target, bytes)) in seeds.iter().enumerate() {
        let (_, again, exact) = TARGETS.into_iter().find(|(name, ..)| name == target).unwrap();
        assert!(held(target, again, exact, bytes), "{target} {n}");
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            std::fs::create_dir_all(corpus(target)).unwrap();
            std::fs::write(corpus(target).join(format!("seed-{n}")), bytes).unwrap();
        }
    }
}
