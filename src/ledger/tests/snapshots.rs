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

/// A closed ledger of several small segments with a snapshot at its very end, and its size. `older` is told when it is half
/// as large.
async fn kept_at_the_end(older: impl FnOnce(&Path)) -> (tempfile::TempDir, u64) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), small_options(1)).unwrap();
    append_until(&ledger, 4).await;
    older(dir.path());
    append_until(&ledger, 8).await;
    ledger.save_snapshot(ledger.size(), b"folded".to_vec()).await.unwrap();
    let size = ledger.size();
    drop(ledger);
    let ledger = Ledger::open(dir.path(), small_options(2)).unwrap();
    assert_eq!(ledger.snapshot(), Some((size, &b"folded"[..])), "clean, it is used");
    drop(ledger);
    (dir, size)
}

fn small_options(seed: u64) -> Options {
    Options { segments: Sizes { first: 16 * 1024, others: 16 * 1024 }, ..options(seed) }
}

/// Appends until the journal has so many segments, and a little more.
async fn append_until(ledger: &Ledger, segments: usize) {
    let mut more = 3;
    while more > 0 {
        let mut pad = draft(ledger.size());
        pad.body.insert("pad".into(), json!("x".repeat(1_000)));
        ledger.append_next(start(), vec![pad]).await.unwrap();
        more -= usize::from(journal::segments(&ledger.layout.journal()).unwrap().len() >= segments);
    }
}

fn contents(dir: &Path) -> Vec<(u64, Vec<u8>)> {
    let all = journal::segments(&dir.join("journal")).unwrap();
    all.into_iter().map(|(number, path)| (number, std::fs::read(path).unwrap())).collect()
}

/// What is left of the journal is refused in the same words with the snapshot and without, and not touched.
fn refused(dir: &Path, words: &str) {
    let before = contents(dir);
    let refusal = || Ledger::open(dir, small_options(9)).map_or_else(|error| error.to_string(), |_| "it opens".into());
    assert_eq!(refusal(), words);
    assert!(contents(dir) == before, "a segment was written to");
    assert_eq!(refusal(), words, "a second time");
    std::fs::remove_file(dir.join("snapshot")).unwrap();
    assert_eq!(refusal(), words, "without the snapshot");
    assert!(contents(dir) == before, "a segment was written to");
}

#[tokio::test]
async fn a_last_segment_that_is_gone_shows_with_it_too() {
    let (dir, size) = kept_at_the_end(|_| ()).await;
    let (last, path) = journal::segments(&dir.path().join("journal")).unwrap().pop().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let first = journal::first_of(&bytes, last).unwrap();
    let words = |left: u64| {
        format!("the ledger has {left} entries, but a head over {size} was signed (head): its tail is gone")
    };
    std::fs::remove_file(&path).unwrap();
    refused(dir.path(), &words(first));
}

#[tokio::test]
async fn a_tail_that_was_cut_or_zeroed_before_it_shows() {
    let (dir, size) = kept_at_the_end(|_| ()).await;
    let (last, path) = journal::segments(&dir.path().join("journal")).unwrap().pop().unwrap();
    let (whole, snapshot) = (std::fs::read(&path).unwrap(), std::fs::read(dir.path().join("snapshot")).unwrap());
    let end = journal::pieces(&whole, last).unwrap().2;
    let words =
        format!("the ledger has {} entries, but a head over {size} was signed (head): its tail is gone", size - 1);
    let mut zeroed = whole.clone();
    zeroed[end.last.unwrap()..].fill(0);
    let damaged = [zeroed, whole[..end.last.unwrap()].to_vec(), whole[..end.at - 7].to_vec()];
    for bytes in damaged {
        std::fs::write(&path, bytes).unwrap();
        std::fs::write(dir.path().join("snapshot"), &snapshot).unwrap();
        refused(dir.path(), &words);
    }
    std::fs::write(&path, whole).unwrap();
    drop(Ledger::open(dir.path(), small_options(3)).unwrap());
}

#[tokio::test]
async fn an_only_segment_that_is_gone_shows() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 10).await;
    ledger.save_snapshot(10, b"folded".to_vec()).await.unwrap();
    drop(ledger);
    std::fs::remove_file(dir.path().join("journal/00000000.seg")).unwrap();
    refused(dir.path(), "the ledger has 0 entries, but a head over 10 was signed (head): its tail is gone");
}

#[tokio::test]
async fn a_journal_that_was_restored_from_an_older_copy_shows() {
    let copy = tempfile::tempdir().unwrap();
    let (dir, size) = kept_at_the_end(|dir| {
        std::fs::create_dir(copy.path().join("journal")).unwrap();
        for (_, path) in journal::segments(&dir.join("journal")).unwrap() {
            std::fs::copy(&path, copy.path().join("journal").join(path.file_name().unwrap())).unwrap();
        }
    })
    .await;
    std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
    std::fs::rename(copy.path().join("journal"), dir.path().join("journal")).unwrap();
    let (last, bytes) = contents(dir.path()).pop().unwrap();
    let pieces = journal::pieces(&bytes, last).unwrap().1;
    let Some(journal::Piece::Frame(raw)) = pieces.last() else { panic!("{pieces:?}") };
    let left = raw.decode().unwrap().shape().size();
    let words = format!("the ledger has {left} entries, but a head over {size} was signed (head): its tail is gone");
    refused(dir.path(), &words);
}

#[tokio::test]
async fn a_segment_that_is_missing_before_it_shows() {
    let (dir, _) = kept_at_the_end(|_| ()).await;
    let path = dir.path().join("journal/00000003.seg");
    std::fs::remove_file(&path).unwrap();
    let words = Ledger::open(dir.path(), small_options(9)).unwrap_err().to_string();
    assert!(words.ends_with("and after: segment 3 is missing"), "{words}");
}

/// Whoever waits for a start is told up to its end, whatever of the journal is reserved for later.
#[tokio::test]
async fn a_start_is_told_to_its_end() {
    let (dir, _) = kept().await;
    for with in [true, false] {
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = std::sync::Arc::clone(&told);
        let progress: open::OnProgress<'static> = Box::new(move |progress| seen.lock().unwrap().push(progress));
        let ledger = Ledger::open(dir.path(), Options { progress, ..options(9) }).unwrap();
        assert_eq!(ledger.snapshot().is_some(), with);
        let told = told.lock().unwrap();
        assert!(told.is_sorted_by_key(|progress| (progress.entries, progress.done_bytes)), "{told:?}");
        let last = told.last().unwrap();
        assert!(last.entries == 60 && last.done_bytes == last.total_bytes && last.total_bytes > 0, "{last:?}");
        std::fs::remove_file(dir.path().join("snapshot")).ok();
    }
}

/// A snapshot is made anywhere in the journal, also at the very end of a segment that is left after it.
#[tokio::test]
async fn a_start_goes_on_from_it_wherever_it_was_made() {
    let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = Ledger::open(dir.path(), small_options(1)).unwrap();
    while journal::segments(&dir.path().join("journal")).unwrap().len() < 3 {
        let mut large = draft(ledger.size());
        large.body.insert("pad".into(), json!("x".repeat(2_000)));
        let size = ledger.append_next(start(), vec![large]).await.unwrap().size;
        ledger.save_snapshot(size, b"folded".to_vec()).await.unwrap();
        std::fs::copy(dir.path().join("snapshot"), aside.path().join(size.to_string())).unwrap();
    }
    let end = ledger.size();
    drop(ledger);
    for size in 2..=end {
        std::fs::copy(aside.path().join(size.to_string()), dir.path().join("snapshot")).unwrap();
        let ledger = Ledger::open(dir.path(), small_options(2)).unwrap();
        assert_eq!(ledger.snapshot(), Some((size, &b"folded"[..])));
        assert_eq!(ledger.size(), end);
        ledger.history_check().unwrap().run(1, &mut |_| ()).unwrap();
    }
}

/// What stands behind the last frame of a segment that was left is found, near and far, with a snapshot before it and without.
#[tokio::test]
async fn what_stands_behind_a_segment_that_was_left_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), small_options(1)).unwrap();
    append_until(&ledger, 0).await;
    ledger.save_snapshot(ledger.size(), b"folded".to_vec()).await.unwrap();
    append_until(&ledger, 4).await;
    drop(ledger);
    let snapshot = std::fs::read(dir.path().join("snapshot")).unwrap();
    let mut all = journal::segments(&dir.path().join("journal")).unwrap();
    all.pop();
    for (number, path) in all {
        let whole = std::fs::read(&path).unwrap();
        let end = journal::pieces(&whole, number).unwrap().2.at;
        assert!(end < whole.len());
        for at in [end, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] = 1;
            std::fs::write(&path, &bytes).unwrap();
            let words = format!("{} bytes at the end of segment {number} are no whole frame", at + 1 - end);
            assert!(report(dir.path()).found().iter().any(|fault| fault.words == words), "{words}");
            std::fs::write(dir.path().join("snapshot"), &snapshot).unwrap();
            let words = format!("the segment before segment {} is damaged at its end", number + 1);
            let refusal = Ledger::open(dir.path(), small_options(9)).unwrap_err().to_string();
            assert!(refusal.ends_with(&words), "{refusal}");
            refused(dir.path(), &refusal);
        }
        std::fs::write(&path, &whole).unwrap();
    }
    drop(Ledger::open(dir.path(), small_options(3)).unwrap());
}
