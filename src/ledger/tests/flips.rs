//! One flipped bit anywhere in a ledger of 1,000 entries is found.

use std::path::PathBuf;

use super::*;

/// Bits tried in the journal: every byte would take hours, and the places are spread over the whole file.
const FLIPS_IN_JOURNAL: usize = 250;
/// Bits tried in each of the other files. How many tiles there are depends on how far the public copy was behind.
const FLIPS_PER_FILE: usize = 16;

pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test]
async fn verify_finds_one_flipped_bit() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 1_000).await);
    let clean = report(dir.path());
    assert!(clean.holds(), "{clean}");
    let covered = ["journal", "public", "keys", "head"];
    let mut tried = 0;
    for path in files(dir.path()) {
        let name = path.strip_prefix(dir.path()).unwrap().display().to_string();
        // The segment in reserve holds nothing yet.
        if !covered.iter().any(|part| name.starts_with(part)) || name.ends_with("next.part") {
            continue;
        }
        let whole = std::fs::read(&path).unwrap();
        let flips = if name.starts_with("journal") { FLIPS_IN_JOURNAL } else { FLIPS_PER_FILE };
        for n in 0..flips.min(whole.len()) {
            // The first and last bytes, and a golden-ratio walk between them.
            let at = match n {
                0 => 0,
                1 => whole.len() - 1,
                n => n * 61_803_398 % whole.len(),
            };
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (n % 8);
            std::fs::write(&path, &flipped).unwrap();
            let found = report(dir.path());
            assert!(!found.holds(), "byte {at} bit {} of {name}", n % 8);
            tried += 1;
        }
        std::fs::write(&path, &whole).unwrap();
    }
    assert!(tried > 200, "{tried}");
    assert!(report(dir.path()).holds());
}

#[tokio::test]
async fn every_bit_of_one_entry_and_of_its_neighbours_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 4).await);
    let path = dir.path().join("journal/00000000.seg");
    let whole = std::fs::read(&path).unwrap();
    let used = whole.iter().rposition(|b| *b != 0).unwrap() + 1;
    for at in 0..used + 16 {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, &flipped).unwrap();
        assert!(!report(dir.path()).holds(), "byte {at}");
    }
}
