//! What `verify` says of folders that are not what they seem: empty journals, planted ones, exports with personal data.

use super::*;

fn words(dir: &Path) -> Vec<String> {
    report(dir).found().iter().map(|fault| fault.words.clone()).collect()
}

/// A journal in which nothing was ever written, or from which all was taken.
fn empty_journal(dir: &Path) {
    drop(journal::Journal::create(&dir.join("journal"), Sizes { first: 64, others: 64 }).unwrap());
}

#[test]
fn an_empty_journal_is_not_a_clean_log() {
    let dir = tempfile::tempdir().unwrap();
    empty_journal(dir.path());
    let told = words(dir.path());
    assert_eq!(told, ["there is no entry 0: either nothing was ever written here, or all of it is gone"]);
    assert!(!report(dir.path()).to_string().contains("consistent"));
    // No segment at all, and no sign that there ever was one: not a ledger, as an empty folder is none.
    std::fs::remove_file(dir.path().join("journal/00000000.seg")).unwrap();
    let none = verify::verify(dir.path(), VerifyOptions::new(knows));
    assert!(matches!(none, Err(verify::VerifyError::NotALedger(_))), "{none:?}");
}

#[tokio::test]
async fn a_journal_that_lost_everything_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20).await);
    std::fs::remove_file(dir.path().join("journal/00000000.seg")).unwrap();
    for left in ["head", "public", "keys"] {
        let told = words(dir.path());
        assert!(told.iter().any(|words| words.starts_with("there is no entry 0")), "{left}: {told:?}");
        let path = dir.path().join(left);
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }
}

#[tokio::test]
async fn nothing_is_read_from_an_empty_journal() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    empty_journal(&log);
    let to = dir.path().join("export");
    let done = export::export(&log, &to, false, knows);
    assert!(matches!(done, Err(export::ExportError::History(history::HistoryError::NoLedger(_)))), "{done:?}");
    assert!(matches!(history::prove(&log, 0, knows), Err(history::HistoryError::NoLedger(_))));
    assert!(matches!(history::entries(&log, knows, |_| ()), Err(history::HistoryError::NoLedger(_))));
}

/// A `journal/` beside the checkpoint of an export would be verified in its place.
#[tokio::test]
async fn a_journal_planted_in_a_copy_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(&dir.path().join("log"), 20).await);
    let export = dir.path().join("export");
    export::export(&dir.path().join("log"), &export, false, knows).unwrap();
    for copy in [export, dir.path().join("log/public")] {
        assert!(report(&copy).holds());
        empty_journal(&copy);
        let error = verify::verify(&copy, VerifyOptions::new(knows)).unwrap_err().to_string();
        let copy_path = copy.display();
        assert_eq!(
            error,
            format!(
                "{copy_path} holds both a `journal/` and a `checkpoint`, and nothing that we write does: verify the one \
                 that belongs there, without the other"
            )
        );
        std::fs::remove_dir_all(copy.join("journal")).unwrap();
        // An empty folder of that name says nothing about the copy either.
        std::fs::create_dir(copy.join("journal")).unwrap();
        assert!(verify::verify(&copy, VerifyOptions::new(knows)).is_err());
    }
    // The other way round: a ledger's folder that lost its journal is no export because a checkpoint was put there.
    let log = dir.path().join("log");
    std::fs::copy(dir.path().join("export/checkpoint"), log.join("checkpoint")).unwrap();
    assert!(verify::verify(&log, VerifyOptions::new(knows)).is_err());
}

/// A head over nothing is no log either, whoever signed it.
#[tokio::test]
async fn a_signed_head_over_nothing_is_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    let signer = Signer::new("example.com/test", SigningKey::from_bytes(&[7; 32]));
    let head = Checkpoint { origin: "example.com/test".into(), size: 0, root: tree::Frontier::default().root() };
    std::fs::write(dir.path().join("checkpoint"), note::sign(&head, [&signer])).unwrap();
    let mut options = VerifyOptions::new(knows);
    options.key = Some(signer.verifier().clone());
    let found = verify::verify(dir.path(), options).unwrap();
    assert!(found.found().iter().any(|fault| fault.words.starts_with("there is no entry 0")), "{found}");
}
