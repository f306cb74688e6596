//! Starts from a snapshot: used when it fits, never believed.

use super::*;

/// A ledger of 60 entries with a snapshot at 40, and its last head.
async fn kept() -> (tempfile::TempDir, Head) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 40).await;
    ledger.append(40, start() + TimeDelta::hours(1), vec![erased(subject(1))]).await.unwrap();
    assert_eq!(
        ledger.save_snapshot(40, b"old".to_vec()).await,
        Err(AppendError::Conflict { expected: 40, actual: 41 })
    );
    ledger.save_snapshot(41, b"folded".to_vec()).await.unwrap();
    for n in 41..60 {
        ledger.append_next(start() + TimeDelta::hours(1), vec![draft(n)]).await.unwrap();
    }
    let head = ledger.head();
    drop(ledger);
    (dir, head)
}

fn opened(dir: &Path, head: &Head) -> Ledger {
    let ledger = Ledger::open(dir, options(9)).unwrap();
    assert_eq!(ledger.head(), *head);
    assert_eq!(ledger.entries(0, 60).unwrap().map(Result::unwrap).count(), 60);
    ledger
}

#[tokio::test]
async fn a_start_goes_on_from_it() {
    let (dir, head) = kept().await;
    let ledger = opened(dir.path(), &head);
    assert_eq!(ledger.snapshot(), Some((41, &b"folded"[..])));
    let mut told = 0;
    ledger.history_check().unwrap().run(2, &mut |progress| told = progress.entries).unwrap();
    assert!(told >= 41);
    let again = ledger.append_next(start(), vec![personal(1, subject(1), "x")]).await.unwrap_err();
    assert!(again.to_string().ends_with("was erased"), "what was before it is known: {again}");
    ledger.append_next(start() + TimeDelta::hours(1), vec![draft(60)]).await.unwrap();
    for index in [0, 40, 41, 60] {
        ledger.prove(index).unwrap();
    }
    drop(ledger);
    let report = report(dir.path());
    assert!(report.holds(), "{report}");
}

#[tokio::test]
async fn one_that_does_not_fit_is_not_used() {
    let (dir, head) = kept().await;
    let path = dir.path().join("snapshot");
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_eq!(opened(dir.path(), &head).snapshot(), None, "byte {at}");
    }
    std::fs::write(&path, &whole).unwrap();
    // The nodes that it is bound to are gone.
    std::fs::remove_file(dir.path().join("nodes")).unwrap();
    assert_eq!(opened(dir.path(), &head).snapshot(), None);
    assert!(opened(dir.path(), &head).snapshot().is_some());
    // The index is behind it.
    std::fs::remove_dir_all(dir.path().join("sled")).unwrap();
    assert_eq!(opened(dir.path(), &head).snapshot(), None);
    // Another key signed it.
    let ledger = opened(dir.path(), &head);
    ledger.rotate_key(Zeroizing::new([7; 32]), start() + TimeDelta::hours(2)).await.unwrap();
    drop(ledger);
    assert!(Ledger::open(dir.path(), options(9)).unwrap().snapshot().is_none());
}

#[tokio::test]
async fn damage_before_it_is_found_in_the_background() {
    let (dir, head) = kept().await;
    let segment = dir.path().join("journal/00000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(11).position(|w| w == b"\"seq\":12,\"t").unwrap();
    bytes[at + 6] = b'9';
    std::fs::write(&segment, bytes).unwrap();
    let ledger = Ledger::open(dir.path(), options(9)).unwrap();
    assert_eq!(ledger.head(), head);
    let words = ledger.history_check().unwrap().run(2, &mut |_| ()).unwrap_err().to_string();
    assert!(words.starts_with("the ledger does not verify: entry 1"), "{words}");
    drop(ledger);
    let words = Ledger::open(dir.path(), options(9)).unwrap_err().to_string();
    assert!(words.starts_with("the ledger does not verify: entry 1"), "{words}");
}

#[tokio::test]
async fn a_cut_tail_shows_with_it_too() {
    let (dir, _) = kept().await;
    let segment = dir.path().join("journal/00000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let end = journal::pieces(&bytes, 0).unwrap().2.at;
    bytes[end - 1] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert_eq!(
        Ledger::open(dir.path(), options(9)).unwrap_err().to_string(),
        "the ledger has 59 entries, but a head over 60 was signed (head): its tail is gone"
    );
}
