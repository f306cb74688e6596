//! A small folder, byte by byte: whatever bit is flipped in whatever file, it is found, or it is shown to be harmless. And
//! what is public, byte by byte before programs that nobody here wrote.

use super::{driver::Foreign, flips::files, *};

/// Entries of the folder: small, so that it can be gone through whole.
const ENTRIES: u64 = 6;

/// Places tried in sled's own files, each of which costs an opening: they are half a megabyte of cache.
const FLIPS_IN_SLED: usize = 24;

/// Every how manieth byte is flipped of the other files that cost an opening each, unless `COUNTERSIGN_EVERY_BYTE` is set.
const OPENING_STEP: usize = 7;

/// Every how manieth byte the foreign verifiers look at. Coprime to the length of a hash and of a line.
const FOREIGN_STEP: usize = 13;

/// What has to come of a flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// `verify` finds it.
    Found,
    /// `verify` does not read the file; the next start refuses, or the file still says the same.
    Refused,
    /// `verify` does not read the file; the next start makes it right, and nothing else differs.
    Mended,
    /// There is nothing in it.
    Empty,
}

fn fate(name: &str) -> Fate {
    match name.split('/').next().unwrap() {
        "journal" | "public" | "keys" | "head" => Fate::Found,
        "signing-key.pem" => Fate::Refused,
        "nodes" | "sled" | "snapshot" => Fate::Mended,
        "lock" => Fate::Empty,
        other => panic!("nobody has said what a flip in `{other}` does"),
    }
}

fn small(seed: u64) -> Options {
    let mut options = options(seed);
    options.segments = Sizes { first: 6_000, others: 6_000 };
    options
}

/// A folder with everything in it: two people, one of whom is erased, and a snapshot.
async fn folder() -> (tempfile::TempDir, Head, Vec<Entry>) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), small(1)).unwrap();
    ledger.append(1, start(), vec![personal(1, subject(1), "one"), personal(2, subject(2), "two")]).await.unwrap();
    ledger.append(3, start(), vec![erased(subject(2))]).await.unwrap();
    ledger.append(4, start(), vec![draft(4), draft(5)]).await.unwrap();
    ledger.save_snapshot(ENTRIES, b"folded".to_vec()).await.unwrap();
    let entries = ledger.entries(0, ENTRIES).unwrap().map(Result::unwrap).collect();
    let head = ledger.head();
    drop(ledger);
    // The next segment, which may lie ready, is not part of the log.
    drop(std::fs::remove_file(dir.path().join("journal/next.part")));
    (dir, head, entries)
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(path, target).unwrap();
    }
}

/// Reads everything, and compares it with what it was.
fn read(ledger: &Ledger, head: &Head, entries: &[Entry]) -> Result<(), ReadError> {
    assert_eq!(ledger.head(), *head);
    assert_eq!(ledger.entries(0, ENTRIES)?.collect::<Result<Vec<_>, _>>()?, entries);
    (0..ENTRIES).try_for_each(|index| ledger.prove(index).map(drop))
}

/// Opens a copy of a folder, and says what was refused; what opens must be what it was. From a snapshot, damage in what is
/// derived may show only when it is read: then reading refuses, and the start after that makes it right.
fn opened(dir: &Path, head: &Head, entries: &[Entry]) -> Option<String> {
    let copied = tempfile::tempdir().unwrap();
    copy(dir, copied.path());
    for again in [false, true] {
        let ledger = match Ledger::open(copied.path(), small(2)) {
            Ok(ledger) => ledger,
            Err(error) => return Some(error.to_string()),
        };
        match read(&ledger, head, entries) {
            Ok(()) => break,
            Err(error) => assert!(!again && matches!(error, ReadError::Damaged { .. }), "{error}"),
        }
    }
    assert!(report(copied.path()).holds());
    None
}

#[tokio::test]
async fn every_byte_of_every_file_of_a_small_folder() {
    let (dir, head, entries) = folder().await;
    assert!(report(dir.path()).holds());
    assert_eq!(opened(dir.path(), &head, &entries), None);
    let mut tried: std::collections::BTreeMap<(Fate, String), usize> = std::collections::BTreeMap::new();
    for path in files(dir.path()) {
        let name = path.strip_prefix(dir.path()).unwrap().display().to_string();
        let whole = std::fs::read(&path).unwrap();
        let step = match fate(&name) {
            Fate::Mended if name.starts_with("sled") => whole.len().div_ceil(FLIPS_IN_SLED).max(1),
            Fate::Refused | Fate::Mended if std::env::var_os("COUNTERSIGN_EVERY_BYTE").is_none() => OPENING_STEP,
            Fate::Found | Fate::Refused | Fate::Mended | Fate::Empty => 1,
        };
        for at in (0..whole.len()).step_by(step) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(&path, &flipped).unwrap();
            let place = format!("byte {at} bit {} of {name}", at % 8);
            let found = !report(dir.path()).holds();
            match fate(&name) {
                Fate::Found => assert!(found, "{place}"),
                // PEM has bytes that say nothing: then the key is the same one, and the log goes on under it.
                Fate::Refused => drop(opened(dir.path(), &head, &entries)),
                Fate::Mended => assert_eq!(opened(dir.path(), &head, &entries), None, "{place}"),
                Fate::Empty => panic!("{place}: it is not empty"),
            }
            assert!(!found || fate(&name) == Fate::Found, "{place}: is found, and was said not to be");
        }
        std::fs::write(&path, &whole).unwrap();
        let part = name.split('/').next().unwrap().to_owned();
        *tried.entry((fate(&name), part)).or_default() += whole.len().div_ceil(step);
    }
    assert!(report(dir.path()).holds());
    let parts: Vec<_> = tried.keys().map(|(fate, part)| (*fate, part.as_str())).collect();
    assert_eq!(
        parts,
        [
            (Fate::Found, "head"),
            (Fate::Found, "journal"),
            (Fate::Found, "keys"),
            (Fate::Found, "public"),
            (Fate::Refused, "signing-key.pem"),
            (Fate::Mended, "nodes"),
            (Fate::Mended, "sled"),
            (Fate::Mended, "snapshot"),
            (Fate::Empty, "lock"),
        ]
    );
    println!("{tried:?}");
}

/// Whether a byte stands in the `subject` of its line, name, value and quotes.
pub fn in_subject(bytes: &[u8], at: usize) -> bool {
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let name = bytes[start..].windows(11).position(|part| part == b",\"subject\":").unwrap();
    let line = bytes[start..].iter().position(|byte| *byte == b'\n').unwrap();
    (start + name..start + line).contains(&at)
}

/// In `disclosures.jsonl` a digest of the line stands for each text, but for nobody whom it is about: `subject` there is a
/// convenience, and no program can find it changed. Everything else is found, by `verify` too.
#[tokio::test]
async fn strangers_find_a_flip_in_any_public_file() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = Foreign::new(dir.path());
    let ledger = filled(&dir.path().join("log"), 12).await;
    let key = ledger.verifier_key().clone();
    drop(ledger);
    let copy = dir.path().join("export");
    export::export(&dir.path().join("log"), &copy, true, knows).unwrap();
    assert!(foreign.go(&copy, &key).is_ok() && Foreign::python(std::slice::from_ref(&copy))[0].is_ok());
    let (mut tried, mut missed) = (0, Vec::new());
    for path in files(&copy) {
        let name = path.strip_prefix(&copy).unwrap().display().to_string();
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(FOREIGN_STEP) {
            if name == "disclosures.jsonl" && in_subject(&whole, at) {
                continue;
            }
            let mut flipped: Vec<u8> = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(&path, &flipped).unwrap();
            let found = if path.extension().is_some_and(|extension| extension == "jsonl") {
                Foreign::python(std::slice::from_ref(&copy))[0].is_err()
            } else {
                foreign.go(&copy, &key).is_err()
            };
            if !found || report(&copy).holds() {
                missed.push(format!("byte {at} of {name}"));
            }
            tried += 1;
        }
        std::fs::write(&path, &whole).unwrap();
    }
    assert!(missed.is_empty(), "{missed:?}");
    assert!(tried > 300, "{tried}");
    println!("{tried} flips, each found by Go or Python");
}
