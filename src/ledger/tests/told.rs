//! What `verify` says of one missing or damaged piece: its cause, and no more than is known.

use std::os::unix::fs::symlink;

use super::{lab::Log, rotation::rotated, *};
use crate::ledger::verify::{Anchor, Freshness};

fn words(dir: &Path) -> Vec<String> {
    report(dir).found().iter().map(|fault| fault.words.clone()).collect()
}

fn json(report: &verify::Report) -> serde_json::Value {
    serde_json::to_value(report).unwrap()
}

/// A link to itself can't be read by anybody, not even by root.
fn unreadable(path: &Path) {
    std::fs::rename(path, path.with_extension("aside")).unwrap();
    symlink(path, path).unwrap();
}

fn readable(path: &Path) {
    std::fs::remove_file(path).unwrap();
    std::fs::rename(path.with_extension("aside"), path).unwrap();
}

fn with_anchor(path: &Path, anchor: &str) -> verify::Report {
    let mut options = VerifyOptions::new(knows);
    options.anchors = vec![Anchor::parse(anchor).unwrap()];
    verify::verify(path, options).unwrap()
}

#[tokio::test]
async fn what_can_not_be_read_is_not_said_to_be_no_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("log");
    drop(filled(&data, 20).await);
    let copy = data.join("public");
    let proof = dir.path().join("3.tlog-proof");
    std::fs::write(&proof, history::prove(&data, 3, knows).unwrap()).unwrap();
    let cases = [
        (&data, data.clone()),
        (&data, data.join("journal")),
        (&copy, copy.join("checkpoint")),
        (&proof, proof.clone()),
    ];
    for (path, which) in cases {
        unreadable(&which);
        let found = report(path);
        readable(&which);
        assert!(found.unchecked(), "{found}");
        let text = found.to_string();
        assert!(text.contains("could not be read") && text.ends_with("COULD NOT BE CHECKED"), "{text}");
        assert_eq!(json(&found)["unchecked"], json!(true));
    }
    // What is not there can't be checked by trying again.
    let missing = dir.path().join("none");
    let error = verify::verify(&missing, VerifyOptions::new(knows)).unwrap_err().to_string();
    assert!(error.contains(&*missing.to_string_lossy()), "{error}");
}

#[tokio::test]
async fn a_folder_without_its_journal_is_a_ledger_that_lost_it() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20).await);
    std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
    for left in ["head", "public", "keys"] {
        let found = report(dir.path());
        assert!(!found.holds() && !found.unchecked(), "{left}: {found}");
        assert!(found.to_string().contains("there is no `journal/`"), "{left}: {found}");
        let path = dir.path().join(left);
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }
}

#[tokio::test]
async fn without_the_folder_of_keys_the_log_is_checked_and_no_disclosure_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 40).await;
    ledger.append(40, start(), vec![erased(subject(3))]).await.unwrap();
    drop(ledger);
    let whole = report(dir.path());
    assert!(whole.holds() && whole.disclosures.erased > 0, "{whole}");
    let keys = dir.path().join("keys");
    let told = |why: &str| {
        let found = report(dir.path());
        assert!(found.holds(), "{found}");
        let counts = &json(&found)["disclosures"];
        assert_eq!(counts["not_opened"], json!(whole.disclosures.opened), "{counts}");
        assert_eq!((counts["opened"].clone(), counts["without_key"].clone()), (json!(0), json!(0)), "{counts}");
        assert_eq!(counts["erased"], json!(whole.disclosures.erased));
        let text = found.to_string();
        assert!(text.contains("disclosures were not opened") && text.contains(why), "{text}");
    };
    unreadable(&keys);
    told("`keys/` could not be read");
    std::fs::remove_file(&keys).unwrap();
    told("there is no `keys/`");
    // One that is there, and empty, has lost each of them.
    std::fs::create_dir(&keys).unwrap();
    assert!(report(dir.path()).found().iter().all(|fault| fault.class == Class::Disclosure));
    assert!(!report(dir.path()).holds());
    std::fs::remove_dir(&keys).unwrap();
    std::fs::rename(keys.with_extension("aside"), &keys).unwrap();
    std::fs::remove_file(keys.join(subject(1).to_string())).unwrap();
    assert_eq!(
        words(dir.path()),
        [format!("the key of {} is gone, and nothing says that they were erased", subject(1))]
    );
}

/// Who was erased before is known without keys.
#[tokio::test]
async fn without_keys_a_disclosure_of_who_was_erased_is_still_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 20).await;
    ledger.append(20, start(), vec![erased(subject(3))]).await.unwrap();
    ledger.append(21, start(), vec![personal(21, subject(1), "after it")]).await.unwrap();
    drop(ledger);
    let mut log = Log::read(dir.path());
    log.record(21).sealed[0].subject = subject(3);
    let to = tempfile::tempdir().unwrap();
    log.write(to.path());
    std::fs::remove_dir_all(to.path().join("keys")).unwrap();
    let found = report(to.path());
    assert!(found.to_string().contains("who was erased before, at entry 20"), "{found}");
}

#[tokio::test]
async fn the_report_of_a_proof_is_of_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("log");
    let ledger = filled(&data, 20).await;
    let (key, head) = (ledger.verifier_key().clone(), ledger.head().note);
    drop(ledger);
    let path = dir.path().join("3.tlog-proof");
    let proof = history::prove(&data, 3, knows).unwrap();
    let said = |proof: &str, anchored: bool| {
        std::fs::write(&path, proof).unwrap();
        let mut options = VerifyOptions::new(knows);
        options.key = Some(key.clone());
        options.anchors = anchored.then(|| Anchor::parse(&head).unwrap()).into_iter().collect();
        verify::verify(&path, options).unwrap()
    };
    for anchored in [false, true] {
        let found = said(&proof, anchored);
        let text = found.to_string();
        assert!(found.holds() && text.contains("entry 3 (test.happened, 2026-11-21T"), "{text}");
        assert!(text.contains(") is in the log of 20 entries") && !text.contains("verified"), "{text}");
        assert_eq!(text.contains("freshness unproven"), !anchored, "{text}");
        assert_eq!(json(&found)["index"], json!(3));
    }
    // The entry is not what the head is over.
    let found = said(&proof.replacen("\nindex 3\n", "\nindex 4\n", 1), false);
    assert!(found.to_string().contains("entry 4 is not in the log of this head"), "{found}");
    assert!(found.to_string().ends_with("DOES NOT VERIFY"), "{found}");
    // Other programs write proofs without the entry: that shows nothing of any.
    let bare: Vec<&str> = proof.split('\n').filter(|line| !line.starts_with("extra ")).collect();
    let found = said(&bare.join("\n"), false);
    assert!(found.unchecked() && found.to_string().contains("carries no entry"), "{found}");
    let forged = bare.join("\n").replacen("\n20\n", "\n21\n", 1);
    assert!(!said(&forged, false).unchecked(), "whoever signed it is still checked");
    let error = verify::verify(&path, VerifyOptions::new(knows)).unwrap_err().to_string();
    assert!(error.contains("`--key"), "{error}");
}

#[tokio::test]
async fn a_missing_bundle_is_all_that_is_said_to_be_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("log");
    let ledger = filled(&data, 300).await;
    let head = ledger.head().note;
    drop(ledger);
    let copy = dir.path().join("export");
    export::export(&data, &copy, false, knows).unwrap();
    std::fs::remove_file(copy.join("log.jsonl")).unwrap();
    for tile in ["tile/entries/000", "tile/entries/001.p/44"] {
        let (path, bytes) = (copy.join(tile), std::fs::read(copy.join(tile)).unwrap());
        for empty in [false, true] {
            if empty {
                std::fs::write(&path, "").unwrap();
            } else {
                std::fs::remove_file(&path).unwrap();
            }
            let found = with_anchor(&copy, &head);
            let told: Vec<&str> = found.found().iter().map(|fault| &*fault.words).collect();
            assert!(told.len() == 1 && told[0].starts_with(tile), "{found}");
            assert!(!found.holds() && found.head.is_none() && found.freshness == Freshness::Unproven, "{found}");
            assert!(found.remarks.iter().any(|remark| remark.contains("not compared")), "{found}");
            std::fs::write(&path, &bytes).unwrap();
        }
    }
    assert!(report(&copy).holds());
}

#[tokio::test]
async fn what_stands_behind_a_damaged_header_is_read() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 40).await);
    let path = lab::segment(dir.path());
    let whole = std::fs::read(&path).unwrap();
    for at in 0..journal::SEGMENT_HEADER_BYTES {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let found = report(dir.path());
        let told: Vec<&str> = found.found().iter().map(|fault| &*fault.words).collect();
        assert!(told.len() == 1 && told[0].starts_with("segment 0 has a damaged header"), "{found}");
        assert_eq!((found.size, found.head.is_some()), (40, true));
    }
    // Nothing of it is left.
    for bytes in [&whole[..10], &vec![0; whole.len()]] {
        std::fs::write(&path, bytes).unwrap();
        let told = words(dir.path());
        assert!(told.iter().any(|words| words.starts_with("segment 0 has a damaged header")), "{told:?}");
        assert!(told.iter().any(|words| words == "the `head` file is over 40 entries, and there are none"), "{told:?}");
        assert!(!told.iter().any(|words| words.contains("not signed by")), "{told:?}");
    }
}

#[tokio::test]
async fn an_emptied_journal_does_not_make_its_heads_forged() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 40).await);
    std::fs::remove_file(lab::segment(dir.path())).unwrap();
    let told = words(dir.path());
    assert!(told.iter().any(|words| words.starts_with("there is no entry 0")), "{told:?}");
    for place in ["the `head` file", "the public checkpoint"] {
        assert!(told.contains(&format!("{place} is over 40 entries, and there are none")), "{told:?}");
    }
    assert!(!told.iter().any(|words| words.contains("not signed by")), "{told:?}");
}

/// What comes after a segment that is gone can't be placed: neither its entries nor the heads over them are said to be wrong.
#[tokio::test]
async fn a_missing_segment_is_all_that_is_said_to_be_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = options(1);
    small.segments = Sizes { first: 6_000, others: 6_000 };
    let ledger = Ledger::open(dir.path(), small).unwrap();
    fill(&ledger, 60).await;
    drop(ledger);
    let segments = journal::segments(&dir.path().join("journal")).unwrap();
    assert!(segments.len() > 3, "{segments:?}");
    for (number, path) in &segments[..segments.len() - 1] {
        let aside = path.with_extension("aside");
        std::fs::rename(path, &aside).unwrap();
        let found = report(dir.path());
        let told: Vec<&str> = found.found().iter().map(|fault| &*fault.words).collect();
        assert_eq!(told, [format!("segment {number} of the journal is missing")], "{found}");
        assert!(found.remarks.iter().any(|remark| remark.contains("not compared")), "{found}");
        // Something else in its place is no better.
        std::fs::create_dir(path).unwrap();
        let told = words(dir.path());
        assert_eq!(told, [format!("segment {number} can't be read: it is not a file")]);
        std::fs::remove_dir(path).unwrap();
        std::fs::rename(&aside, path).unwrap();
    }
}

#[tokio::test]
async fn a_missing_rotation_is_all_that_is_said_to_be_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = rotated(dir.path()).await;
    let copy = dir.path().join("export");
    export::export(&log.from, &copy, false, knows).unwrap();
    let checkpoint = std::fs::read_to_string(copy.join("checkpoint")).unwrap();
    std::fs::remove_file(copy.join("rotation/10")).unwrap();
    let found = with_anchor(&copy, &checkpoint);
    let told: Vec<_> = found.found().iter().map(|fault| (fault.index, fault.class)).collect();
    assert_eq!(told, [(Some(10), Class::Key)], "{found}");
    assert!(found.found()[0].words.contains("`rotation/10`") && found.keys.is_empty(), "{found}");
    assert!(found.remarks.iter().any(|remark| remark.contains("who signed the checkpoint was not checked")), "{found}");
    assert_eq!(found.head, None, "nobody is known to have signed it");
    // What can be told without the key still is.
    let head = Checkpoint { origin: "example.com/test".into(), size: 30, root: [3; 32] };
    std::fs::write(copy.join("checkpoint"), note::sign(&head, [&rotation::signer(7)])).unwrap();
    let found = report(&copy);
    assert!(found.found().iter().any(|fault| fault.class == Class::Root), "{found}");
}

#[tokio::test]
async fn a_copy_without_a_checkpoint_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20).await);
    let copy = dir.path().join("public");
    for text in [None, Some(""), Some("<html>please log in</html>")] {
        let path = copy.join("checkpoint");
        text.map_or_else(|| std::fs::remove_file(&path), |text| std::fs::write(&path, text)).unwrap();
        let told = words(&copy);
        assert_eq!(told.len(), 1, "{told:?}");
        let wanted = if text.is_none() { "there is no `checkpoint`" } else { "the `checkpoint` is none" };
        assert!(told[0].starts_with(wanted), "{told:?}");
        std::fs::write(&path, "").unwrap();
    }
}

#[tokio::test]
async fn an_anchor_is_worth_what_it_pins() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("log");
    let ledger = filled(&data, 20).await;
    let head = ledger.head();
    let line = Anchor::line(&head.note).unwrap();
    fill(&ledger, 25).await;
    drop(ledger);
    // Over nothing.
    let found = with_anchor(&data, "example.com/test 0 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert!(found.holds() && found.freshness == Freshness::Unproven, "{found}");
    assert!(found.to_string().contains("an anchor over 0 entries pins nothing"), "{found}");
    // That nobody signed.
    let anchored = Freshness::Anchored { size: 20, after: 5 };
    let unsigned = line.rsplit_once(' ').unwrap().0;
    for (text, signed) in [(&*line, true), (unsigned, false)] {
        let found = with_anchor(&data, text);
        assert!(found.holds() && found.freshness == anchored, "{found}");
        assert_eq!(found.to_string().contains("is as good as the place where it was kept"), !signed, "{found}");
    }
    // Of another log.
    let found = with_anchor(&data, &unsigned.replace("example.com/test", "example.com/other"));
    let text = found.to_string();
    assert!(!found.holds() && text.contains("this anchor is of another log, `example.com/other`"), "{text}");
    assert!(!text.contains("DOES NOT VERIFY") && text.contains("AN ANCHOR IS OF ANOTHER LOG"), "{text}");
    std::fs::write(data.join("head"), "no head").unwrap();
    let found = with_anchor(&data, &unsigned.replace("example.com/test", "example.com/other"));
    assert!(found.to_string().ends_with("DOES NOT VERIFY"), "{found}");
}

#[tokio::test]
async fn a_copy_may_be_older_than_its_anchor() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("log");
    let ledger = filled(&data, 20).await;
    let copy = dir.path().join("export");
    export::export(&data, &copy, false, knows).unwrap();
    fill(&ledger, 25).await;
    let head = ledger.head().note;
    drop(ledger);
    for path in [&copy, &copy.join("log.jsonl")] {
        let found = with_anchor(path, &head);
        let told: Vec<&str> = found.found().iter().map(|fault| &*fault.words).collect();
        let words =
            "an anchor is over 25 entries and there are 20: the tail is gone, or this copy is older than the anchor";
        assert_eq!((told, found.freshness.clone()), (vec![words], Freshness::Contradicted), "{found}");
    }
}

#[tokio::test]
async fn the_first_key_is_named_to_who_pinned_a_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = rotated(dir.path()).await;
    let mut options = VerifyOptions::new(knows);
    let (first, later) = (old.verifier().to_string(), rotation::signer(7).verifier().clone());
    options.key = Some(later.clone());
    let found = verify::verify(&log.from, options).unwrap();
    let words =
        format!("the log begins with the key {first}, and not with the pinned one, {later}, which came in at entry 10");
    assert_eq!(found.found().iter().map(|fault| &*fault.words).collect::<Vec<_>>(), [words]);
    assert_eq!(json(&found)["first_key"], json!(first));
}

#[tokio::test]
async fn what_is_beside_a_ledger_is_named_for_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("ledger");
    drop(filled(&data, 20).await);
    let copy = dir.path().join("export");
    export::export(&data, &copy, true, knows).unwrap();
    let said = |path: &Path| verify::verify(path, VerifyOptions::new(knows)).unwrap_err().to_string();
    let words = said(&copy.join("disclosures.jsonl"));
    assert!(words.contains("is not a list of entries"), "{words}");
    let words = said(dir.path());
    assert!(words.contains(&format!("`{}`", data.display())), "{words}");
    // A line that was spoiled is still one of a list.
    let lines = std::fs::read_to_string(copy.join("log.jsonl")).unwrap();
    std::fs::write(copy.join("log.jsonl"), lines.replacen("\"prev\"", "\"perv\"", 1)).unwrap();
    assert!(!report(&copy.join("log.jsonl")).holds());
}
