//! Clean logs of many sizes never raise a false alarm, in whatever form they come.

use super::*;

async fn clean(size: u64) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("log");
    let ledger = Ledger::open(&data, options(1)).unwrap();
    while ledger.size() < size {
        let at = ledger.size();
        let drafts = (at..size.min(at + 256)).map(draft).collect();
        ledger.append(at, start(), drafts).await.unwrap();
    }
    let head = ledger.head();
    drop(ledger);
    let export = dir.path().join("export");
    export::export(&data, &export, false, knows).unwrap();
    for path in [data.clone(), data.join("public"), export.clone(), export.join("log.jsonl")] {
        let report = report(&path);
        assert!(report.holds() && report.size == size, "{}: {report}", path.display());
        assert_eq!(report.root, hex::encode(head.root));
    }
    assert_eq!(Ledger::open(&data, options(2)).unwrap().head(), head);
}

#[tokio::test]
async fn small_ones() {
    for size in [1, 2, 255, 256, 257] {
        clean(size).await;
    }
}

#[tokio::test]
async fn one_of_65536() {
    clean(65_536).await;
}

#[tokio::test]
async fn one_of_65537() {
    clean(65_537).await;
}

/// A start that was stopped before entry 0 leaves a journal without entries: no log yet, and the next start makes it one.
#[test]
fn one_that_was_only_begun() {
    let dir = tempfile::tempdir().unwrap();
    drop(journal::Journal::create(&dir.path().join("journal"), Sizes::default()).unwrap());
    let found = report(dir.path());
    assert!(!found.holds() && found.size == 0, "{found}");
    assert_eq!(Ledger::open(dir.path(), options(1)).unwrap().size(), 1);
    assert!(report(dir.path()).holds());
}

/// Partial tiles go once the full ones stand there: who holds an older checkpoint then reads theirs in the full ones.
#[tokio::test]
async fn an_older_checkpoint_over_tiles_that_have_become_full() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("log");
    let append = async |from: u64, to: u64, seed| {
        let ledger = Ledger::open(&data, options(seed)).unwrap();
        ledger.append(ledger.size(), start(), (from.max(ledger.size())..to).map(draft).collect()).await.unwrap();
    };
    append(0, 205, 1).await;
    let checkpoint = data.join("public/checkpoint");
    let older = std::fs::read(&checkpoint).unwrap();
    append(205, 300, 2).await;
    assert!(!data.join("public/tile/entries/000.p").exists() && data.join("public/tile/entries/000").exists());
    std::fs::write(&checkpoint, older).unwrap();
    for path in [data.join("public"), data.clone()] {
        let report = report(&path);
        assert!(report.holds(), "{}: {report}", path.display());
    }
    assert_eq!(report(&data.join("public")).size, 205);
    // What is in the full one is held against the entries all the same.
    let tile = data.join("public/tile/0/000");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    assert!(!report(&data).holds());
}
