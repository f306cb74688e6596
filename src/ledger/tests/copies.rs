//! What `verify` says of folders that are not what they seem: empty journals, planted ones, exports with personal data.

use std::os::unix::fs::PermissionsExt as _;

use super::{everywhere::in_subject, *};

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

/// An export with personal data in clear, of a log in which somebody was erased.
async fn clear_export(dir: &Path) -> std::path::PathBuf {
    let ledger = filled(&dir.join("log"), 300).await;
    let two = Draft {
        disclosures: [personal(1, subject(1), "one"), personal(1, subject(2), "two")]
            .map(|one| one.disclosures[0].clone())
            .to_vec(),
        ..draft(300)
    };
    ledger.append(300, start(), vec![two, erased(subject(3))]).await.unwrap();
    drop(ledger);
    let to = dir.join("export");
    export::export(&dir.join("log"), &to, true, knows).unwrap();
    to
}

#[tokio::test]
async fn every_byte_of_the_disclosures_in_clear_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let export = clear_export(dir.path()).await;
    assert!(report(&export).holds(), "{}", report(&export));
    let path = export.join("disclosures.jsonl");
    let whole = std::fs::read(&path).unwrap();
    let mut tried = 0;
    // The first and the last lines, whole; between them every 29th byte.
    for at in (0..whole.len()).filter(|at| at % 29 == 0 || *at < 200 || at + 200 > whole.len()) {
        if in_subject(&whole, at) {
            continue;
        }
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, &flipped).unwrap();
        let found = report(&export);
        assert!(found.found().iter().any(|fault| fault.class == Class::Disclosure), "byte {at}: {found}");
        tried += 1;
    }
    assert!(tried > 350, "{tried}");
}

#[tokio::test]
async fn disclosures_in_clear_belong_to_their_entries() {
    let dir = tempfile::tempdir().unwrap();
    let export = clear_export(dir.path()).await;
    let path = export.join("disclosures.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let (first, second, count) = (lines[0], lines[1], lines.len());
    assert!(first.contains("\"seq\":5,") && second.contains("\"seq\":10,"), "{first} {second}");
    let text = |line: &str| line.split('"').nth(3).unwrap().to_owned();
    let rest = lines[2..].join("\n");
    let long = format!("{{\"disclosure\":\"{}\",\"seq\":5}}", "A".repeat(2_000_000));
    let last = lines[count - 1];
    let cases = [
        // Two entries' texts are swapped.
        (
            format!(
                "{}\n{}\n{rest}\n",
                first.replace(&text(first), &text(second)),
                second.replace(&text(second), &text(first))
            ),
            vec![
                (Some(5), "line 1 of `disclosures.jsonl` is not what the entry has a digest of"),
                (Some(10), "line 2 of `disclosures.jsonl` is not what the entry has a digest of"),
            ],
        ),
        (format!("{second}\n{first}\n{rest}\n"), vec![(Some(5), "line 2 of `disclosures.jsonl` is out of order")]),
        (
            format!("{first}\n{first}\n{second}\n{rest}\n"),
            vec![(Some(5), "line 2 of `disclosures.jsonl` stands there twice")],
        ),
        (
            format!("{whole}{}\n", last.replace("\"seq\":300", "\"seq\":302")),
            vec![(Some(302), "line 47 of `disclosures.jsonl` is of an entry that isn't there")],
        ),
        (format!("{whole}\n"), vec![(None, "line 47 of `disclosures.jsonl` is no disclosure")]),
        (format!("{whole}{{\"a\":1}}\n"), vec![(None, "line 47 of `disclosures.jsonl` is no disclosure")]),
        (
            format!("{}\n{second}\n{rest}\n", first.replace(":5,", ": 5,")),
            vec![(None, "line 1 of `disclosures.jsonl` is no disclosure")],
        ),
        (format!("{long}\n{whole}"), vec![(None, "line 1 of `disclosures.jsonl` is no disclosure")]),
        // An entry without any.
        (
            format!("{}\n{second}\n{rest}\n", first.replace(":5,", ":4,")),
            vec![(Some(4), "line 1 of `disclosures.jsonl` is not what the entry has a digest of")],
        ),
    ];
    for (text, wanted) in cases {
        std::fs::write(&path, &text).unwrap();
        let found = report(&export);
        let told: Vec<_> = found.found().iter().map(|fault| (fault.index, fault.words.as_str())).collect();
        let mut wanted = wanted;
        wanted.sort_by_key(|(index, _)| (index.is_none(), *index));
        assert_eq!(told, wanted);
    }
    // What could not be opened is not there, so what was taken away can't be missed.
    std::fs::write(&path, format!("{rest}\n")).unwrap();
    assert!(report(&export).holds());
}

#[tokio::test]
async fn lines_of_an_export_are_those_of_its_bundles() {
    let dir = tempfile::tempdir().unwrap();
    let export = clear_export(dir.path()).await;
    let path = export.join("log.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    for spoilt in
        [whole.replacen("\"n\":7", "\"n\":8", 1), whole.lines().take(200).collect::<Vec<_>>().join("\n"), String::new()]
    {
        std::fs::write(&path, spoilt).unwrap();
        let found = report(&export);
        assert!(found.found().iter().any(|fault| fault.class == Class::Tile), "{found}");
    }
}

#[tokio::test]
async fn personal_data_in_clear_is_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let export = clear_export(dir.path()).await;
    let mode = std::fs::metadata(export.join("disclosures.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// The frame says whose a disclosure is, and nothing that is signed does. What `Core` can't have written is found.
#[tokio::test]
async fn a_disclosure_is_not_passed_off_as_one_of_the_erased() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&dir.path().join("log"), options(1)).unwrap();
    ledger.append(1, start(), vec![personal(1, subject(1), "one"), personal(2, subject(2), "two")]).await.unwrap();
    ledger.append(3, start(), vec![erased(subject(1)), personal(4, subject(2), "three")]).await.unwrap();
    drop(ledger);
    let log = lab::Log::read(&dir.path().join("log"));
    let spoilt = |at: usize| {
        let mut log = log.clone();
        log.record(at).sealed[0] = frame::Sealed { subject: subject(1), bytes: vec![7; 60] };
        let to = tempfile::tempdir().unwrap();
        log.write(to.path());
        report(to.path())
    };
    let found = spoilt(4);
    let told: Vec<_> = found.found().iter().map(|fault| (fault.index, fault.class, fault.words.as_str())).collect();
    let words = format!("a disclosure is said to be of {}, who was erased before, at entry 3", subject(1));
    assert_eq!(told, [(Some(4), Class::Disclosure, words.as_str())]);
    // Before the erasure nothing can tell it from a true one: the number of them is all that can be said.
    let found = spoilt(2);
    assert!(found.holds(), "{found}");
    assert_eq!((found.disclosures.opened, found.disclosures.erased, found.disclosures.without_key), (1, 2, 0));
    let text = serde_json::to_value(&found).unwrap();
    assert_eq!(text["disclosures"], json!({"opened": 1, "erased": 2, "without_key": 0, "not_opened": 0}));
    assert!(found.to_string().contains("note: 2 disclosures can't be opened: their people were erased"), "{found}");
    let found = report(&dir.path().join("log"));
    assert_eq!((found.disclosures.opened, found.disclosures.erased, found.disclosures.without_key), (2, 1, 0));
}

/// With the keys, one disclosure can be sealed where another stood.
#[tokio::test]
async fn two_disclosures_of_an_entry_are_not_one() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&dir.path().join("log"), options(1)).unwrap();
    let two = ["one", "two"].map(|value| personal(1, subject(1), value).disclosures[0].clone());
    ledger.append(1, start(), vec![Draft { disclosures: two.to_vec(), ..draft(1) }]).await.unwrap();
    drop(ledger);
    let mut log = lab::Log::read(&dir.path().join("log"));
    let key = vault::Vault::at(&dir.path().join("log/keys")).get(subject(1)).unwrap().unwrap();
    let first = disclosure::open(&key, 1, 0, &log.record(1).sealed[0].bytes).unwrap();
    log.record(1).sealed[1].bytes = disclosure::seal(&key, 1, 1, &first, &mut StdRng::seed_from_u64(1)).unwrap();
    log.write(&dir.path().join("spoilt"));
    let found = report(&dir.path().join("spoilt"));
    let told: Vec<_> = found.found().iter().map(|fault| (fault.index, fault.class, fault.words.as_str())).collect();
    assert_eq!(told, [(Some(1), Class::Disclosure, "holds the same disclosure twice, so another one is gone")]);
}

#[tokio::test]
async fn a_missing_segment_is_missed_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = options(1);
    small.segments = Sizes { first: 6_000, others: 6_000 };
    let ledger = Ledger::open(dir.path(), small).unwrap();
    fill(&ledger, 100).await;
    drop(ledger);
    let journal = dir.path().join("journal");
    let segments = journal::segments(&journal).unwrap().len();
    assert!(segments > 5, "{segments}");
    let said = |what: &str| {
        let told: Vec<_> = words(dir.path()).into_iter().filter(|words| words.contains("of the journal")).collect();
        assert_eq!(told, [what]);
    };
    std::fs::rename(journal.join("00000001.seg"), dir.path().join("1")).unwrap();
    said("segment 1 of the journal is missing");
    std::fs::rename(journal.join("00000002.seg"), dir.path().join("2")).unwrap();
    said("segments 1 to 2 of the journal are missing");
    for name in ["1", "2"] {
        std::fs::rename(dir.path().join(name), journal.join(format!("0000000{name}.seg"))).unwrap();
    }
    // Another name for the same number.
    std::fs::copy(journal.join("00000001.seg"), journal.join("1.seg")).unwrap();
    said("there is more than one segment 1 of the journal");
}
