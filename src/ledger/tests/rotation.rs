//! Keys that come and go, and heads that are kept elsewhere.

use super::{lab::Log, *};
use crate::ledger::verify::{Anchor, Freshness};

pub fn signer(seed: u8) -> Signer {
    Signer::new("example.com/test", SigningKey::from_bytes(&[seed; 32]))
}

pub fn classes(report: &verify::Report) -> Vec<Class> {
    let mut found: Vec<Class> = report.found().iter().map(|fault| fault.class).collect();
    found.dedup();
    found
}

/// A log of 30 entries whose key was rotated after 10 to the one of seed 7, and the old signer.
pub async fn rotated(dir: &Path) -> (Log, Signer) {
    let data = dir.join("clean");
    let ledger = filled(&data, 10).await;
    let pem = std::fs::read_to_string(data.join("signing-key.pem")).unwrap();
    let old = <SigningKey as ed25519_dalek::pkcs8::DecodePrivateKey>::from_pkcs8_pem(&pem).unwrap();
    ledger.rotate_key(Zeroizing::new([7; 32]), start() + TimeDelta::hours(1)).await.unwrap();
    for n in 12..30 {
        ledger.append_next(start() + TimeDelta::hours(2), vec![draft(n)]).await.unwrap();
    }
    drop(ledger);
    assert!(report(&data).holds());
    (Log::read(&data), Signer::new("example.com/test", old))
}

fn written(log: &Log) -> verify::Report {
    let dir = tempfile::tempdir().unwrap();
    log.write(dir.path());
    report(dir.path())
}

#[tokio::test]
async fn an_old_key_signs_nothing_after_its_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = rotated(dir.path()).await;
    assert!(written(&log).holds());
    // The heads after the retirement, signed by the retired key over the true entries.
    let mut forged = log.clone();
    forged.resign(20, &[&old]);
    assert_eq!(classes(&written(&forged)), [Class::Key]);
    // With both keys, the head counts: a live one signed it.
    forged.resign(20, &[&old, &signer(7)]);
    assert!(written(&forged).holds());
}

#[tokio::test]
async fn a_key_comes_in_only_with_the_word_of_an_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = rotated(dir.path()).await;
    for signers in [&[&signer(7)][..], &[&old][..]] {
        let mut forged = log.clone();
        let at = forged.batches.iter().position(|batch| batch.first + batch.records.len() as u64 == 11).unwrap();
        let mut tree = tree::Frontier::default();
        for record in forged.batches[..=at].iter().flat_map(|batch| &batch.records) {
            tree.push(leaf_hash(&record.line), |_| ());
        }
        let head = Checkpoint { origin: "example.com/test".into(), size: 11, root: tree.root() };
        forged.batches[at].head = note::sign(&head, signers.iter().copied());
        assert_eq!(classes(&written(&forged)), [Class::Key]);
    }
}

#[tokio::test]
async fn a_stranger_cannot_bring_their_key_in() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = rotated(dir.path()).await;
    // The stranger swaps the key that came in for their own, and signs everything after it.
    let at = 10;
    let (theirs, line) = (signer(66).verifier().to_string(), log.line(at));
    let key = line.split("\"key\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    log.edit(at, &key, &theirs);
    log.rechain(at + 1);
    log.resign(11, &[&signer(66)]);
    assert!(classes(&written(&log)).contains(&Class::Key));
}

pub fn brings(key: &Signer) -> (&'static str, serde_json::Value) {
    (kinds::KEY_ADDED, json!({"key": key.verifier().to_string()}))
}

pub fn retires(key: &Signer) -> (&'static str, serde_json::Value) {
    (kinds::KEY_RETIRED, json!({"key": key.verifier().to_string()}))
}

/// `verify` with the first key pinned finds faults of keys, and the start refuses.
fn refused(log: &Log, first: &Signer) {
    let dir = tempfile::tempdir().unwrap();
    log.write(dir.path());
    let mut options = VerifyOptions::new(knows);
    options.key = Some(first.verifier().clone());
    let found = verify::verify(dir.path(), options).unwrap();
    assert!(classes(&found).contains(&Class::Key), "{found}");
    std::fs::copy(log.from.join("signing-key.pem"), dir.path().join("signing-key.pem")).unwrap();
    let error = Ledger::open(dir.path(), super::options(9)).unwrap_err();
    assert!(matches!(error, OpenError::Broken { .. }), "{error}");
}

/// A log of ten entries and its only key.
pub async fn plain(dir: &Path) -> (Log, Signer) {
    let data = dir.join("plain");
    drop(filled(&data, 10).await);
    let pem = std::fs::read_to_string(data.join("signing-key.pem")).unwrap();
    let key = <SigningKey as ed25519_dalek::pkcs8::DecodePrivateKey>::from_pkcs8_pem(&pem).unwrap();
    (Log::read(&data), Signer::new("example.com/test", key))
}

#[tokio::test]
async fn two_strangers_cannot_vouch_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (log, first) = plain(dir.path()).await;
    let (one, two) = (signer(66), signer(67));
    let mut forged = log.clone();
    forged.append(&[brings(&one), brings(&two)], &[&one, &two]);
    refused(&forged, &first);
    // From there on one of them alone, who retires the first key.
    forged.append(&[retires(&first)], &[&one]);
    forged.append(&[("test.happened", json!({"n": 1}))], &[&one]);
    refused(&forged, &first);
    // Of two keys that come in together, the log's own must vouch for both, and both must sign.
    for signers in [&[&first, &one][..], &[&first, &two], &[&one, &two]] {
        let mut forged = log.clone();
        forged.append(&[brings(&one), brings(&two)], signers);
        refused(&forged, &first);
    }
    let mut sound = log.clone();
    sound.append(&[brings(&one), brings(&two)], &[&first, &one, &two]);
    sound.append(&[("test.happened", json!({"n": 1}))], &[&two]);
    assert!(written(&sound).holds(), "{}", written(&sound));
}

#[tokio::test]
async fn strangers_beside_the_first_entry_do_not_own_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (log, first) = plain(dir.path()).await;
    let (one, two) = (signer(66), signer(67));
    for strangers in [&[&one][..], &[&one, &two]] {
        let mut forged = log.clone();
        assert_eq!(forged.batches[0].records.len(), 1);
        for stranger in strangers {
            let (kind, body) = brings(stranger);
            forged.insert(0, kind, &body);
        }
        forged.rechain(1);
        forged.resign(0, strangers);
        refused(&forged, &first);
        // With the first key's word for them, it is a sound beginning.
        let all: Vec<&Signer> = [&first].into_iter().chain(strangers.iter().copied()).collect();
        forged.resign(0, &all);
        let report = written(&forged);
        assert!(!classes(&report).contains(&Class::Key), "{report}");
    }
}

#[tokio::test]
async fn a_key_is_vouched_for_by_one_that_is_live_under_the_same_head() {
    let dir = tempfile::tempdir().unwrap();
    let (log, first) = plain(dir.path()).await;
    let (one, two) = (signer(66), signer(67));
    // The older key goes in the batch in which the new one comes, in both orders.
    for entries in [[brings(&one), retires(&first)], [retires(&first), brings(&one)]] {
        let mut forged = log.clone();
        forged.append(&entries, &[&first, &one]);
        refused(&forged, &first);
    }
    // A key that comes and goes under one head.
    for signers in [&[&first][..], &[&first, &one]] {
        let mut forged = log.clone();
        forged.append(&[brings(&one), retires(&one)], signers);
        refused(&forged, &first);
    }
    // Of two older ones the one that stays vouches, and not the one that goes.
    let mut log = log;
    log.append(&[brings(&one)], &[&first, &one]);
    let batch = [brings(&two), retires(&one)];
    let (mut sound, mut forged) = (log.clone(), log);
    sound.append(&batch, &[&first, &two]);
    assert!(written(&sound).holds(), "{}", written(&sound));
    forged.append(&batch, &[&one, &two]);
    refused(&forged, &first);
}

#[tokio::test]
async fn a_pinned_key_must_be_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("log");
    drop(filled(&data, 3).await);
    let mut options = VerifyOptions::new(knows);
    options.key = Some(signer(66).verifier().clone());
    assert_eq!(classes(&verify::verify(&data, options).unwrap()), [Class::Key]);
}

#[tokio::test]
async fn an_anchor_is_signed_by_a_key_that_was_live_at_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = rotated(dir.path()).await;
    let with = |size: u64, by: &Signer| {
        let head = Checkpoint { origin: "example.com/test".into(), size, root: [3; 32] };
        let mut options = VerifyOptions::new(knows);
        options.anchors = vec![Anchor::parse(&note::sign(&head, [by])).unwrap()];
        classes(&verify::verify(&log.from, options).unwrap())
    };
    // The old key signed heads over at most eleven entries, the new one over at least as many.
    assert_eq!(with(9, &old), [Class::Fork]);
    assert_eq!(with(11, &signer(7)), [Class::Fork]);
    assert_eq!(with(25, &old), [Class::Signature], "a thief of the old key can't cry fork");
    assert_eq!(with(40, &old), [Class::Signature]);
    assert_eq!(with(9, &signer(7)), [Class::Signature]);
    assert_eq!(with(40, &signer(7)), [Class::Behind]);
}

#[tokio::test]
async fn a_snapshot_is_only_made_between_commits() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = rotated(dir.path()).await;
    let mut tip = check::Tip::default();
    let (mut faults, mut nodes) = (fault::Faults::default(), Vec::new());
    for batch in &log.batches {
        for record in &batch.records {
            tip.take(&check::see(&record.line, knows), &mut faults, &mut nodes);
        }
        // After the line of a new key, and before the head that takes it in.
        let waits = batch.first == 10;
        assert_eq!(snapshot::encode(&tip, store::Place::default(), &batch.head, b"", &old).is_err(), waits);
        tip.head(&batch.head).unwrap();
        snapshot::encode(&tip, store::Place::default(), &batch.head, b"", &old).unwrap();
    }
    assert!(faults.is_empty());
}

#[tokio::test]
async fn anchors_of_all_shapes() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("log");
    let ledger = filled(&data, 20).await;
    let half = ledger.reader().head_from(10).unwrap().unwrap();
    let head = ledger.head().note;
    drop(ledger);
    let with = |texts: &[&str]| {
        let mut options = VerifyOptions::new(knows);
        options.anchors = texts.iter().map(|text| Anchor::parse(text).unwrap()).collect();
        verify::verify(&data, options).unwrap()
    };
    assert_eq!(with(&[]).freshness, Freshness::Unproven);
    assert_eq!(with(&[&head]).freshness, Freshness::Anchored { size: 20, after: 0 });
    assert_eq!(with(&[&half.1]).freshness, Freshness::Anchored { size: half.0, after: 20 - half.0 });
    assert_eq!(with(&[&half.1, &head]).freshness, Freshness::Anchored { size: 20, after: 0 });
    // The line in the chat, among other words, with and without its signature.
    let line = Anchor::line(&head).unwrap();
    assert_eq!(with(&[&format!("ledger head `{line}` at noon")]).freshness, Freshness::Anchored { size: 20, after: 0 });
    let (bare, _) = line.rsplit_once(' ').unwrap();
    assert_eq!(with(&[bare]).freshness, Freshness::Anchored { size: 20, after: 0 });
    // One that speaks of another log, one that nobody signed, one of a longer log, two that contradict each other.
    let root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (texts, class) in [
        (vec![format!("example.com/other 20 {root}")], Class::Origin),
        (vec![line.replace("example.com/test 20", "example.com/test 19")], Class::Signature),
        (
            vec![note::sign(&Checkpoint { origin: "example.com/test".into(), size: 20, root: [0; 32] }, [&signer(66)])],
            Class::Signature,
        ),
        (vec![format!("example.com/test 21 {root}")], Class::Behind),
        (vec![format!("example.com/test 20 {root}")], Class::Fork),
        (vec![bare.to_owned(), format!("example.com/test 20 {root}")], Class::Fork),
        // Only these two contradict each other: the log says nothing of so many entries.
        (vec![bare.replace("test 20", "test 25"), format!("example.com/test 25 {root}")], Class::Fork),
    ] {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = with(&texts);
        assert!(classes(&found).contains(&class), "{found}");
        assert_eq!(found.freshness, Freshness::Contradicted);
    }
    assert!(Anchor::parse("nothing of the kind").is_err());
    // A line whose signature was damaged is no line that nobody signed.
    assert!(Anchor::parse(&format!("{}!", line.trim_end_matches('='))).is_err());
    assert_eq!(classes(&with(&[&format!("{bare} {}", "A".repeat(92))])), [Class::Signature]);
    let json = serde_json::to_value(with(&[&head])).unwrap();
    assert_eq!(
        (&json["holds"], &json["freshness"]["state"], &json["size"]),
        (&json!(true), &json!("anchored"), &json!(20))
    );
}

/// A rotation of a key that is given from outside, which broke off after the new key was in the log: the same call ends it,
/// whichever of the two keys is given by then.
#[tokio::test]
async fn a_rotation_of_a_given_key_is_carried_to_its_end_by_saying_it_again() {
    let pem = |seed: u8| open::signing_key_pem(&SigningKey::from_bytes(&[seed; 32])).unwrap();
    let given = |seed: u8| Options { signing_key: Some(pem(seed)), ..options(u64::from(seed)) };
    for by in [5, 7] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let ledger = Ledger::open(&data, given(5)).unwrap();
        ledger.append_next(start(), vec![draft(1)]).await.unwrap();
        ledger.rotate_to(&pem(7), start() + TimeDelta::hours(1)).await.unwrap();
        drop(ledger);
        // Without the last frame, which retires the old key.
        let mut log = Log::read(&data);
        log.batches.pop();
        let half = dir.path().join("half");
        log.write(&half);

        let ledger = Ledger::open(&half, given(by)).unwrap();
        assert_eq!(ledger.size(), 3, "the old key is not retired");
        let done = ledger.rotate_to(&pem(7), start() + TimeDelta::hours(2)).await.unwrap();
        assert_eq!(done.size, 4);
        let again = ledger.rotate_to(&pem(5), start() + TimeDelta::hours(3)).await.unwrap_err().to_string();
        assert!(again.ends_with("that key was retired and can't come back: make a new one"), "{again}");
        drop(ledger);
        assert!(report(&half).holds(), "{}", report(&half));
        assert!(Ledger::open(&half, given(5)).is_err());
        assert_eq!(Ledger::open(&half, given(7)).unwrap().size(), 4);
    }
}

/// A thousand damaged lines are kept with their words. The proof of a fork is among what is told all the same.
#[test]
fn a_fork_does_not_vanish_behind_many_faults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.jsonl");
    std::fs::write(&path, "{}\n".repeat(3_000)).unwrap();
    let anchor = |size: u64, root: char| {
        let root = format!("{}=", root.to_string().repeat(43));
        Anchor::parse(&format!("example.com/test {size} {root}")).unwrap()
    };
    let mut options = VerifyOptions::new(knows);
    options.anchors = vec![anchor(5_000, 'A'), anchor(5_000, 'E')];
    let found = verify::verify(&path, options).unwrap();
    assert!(classes(&found).contains(&Class::Fork) && classes(&found).contains(&Class::Behind), "{found}");
    assert_eq!(found.freshness, Freshness::Contradicted);
    assert!(found.faults.count() > 3_000 && found.found().len() < 1_100, "{}", found.faults.count());
}

/// Who has an old key and the disk leaves a head there that claims more entries, or others: it says nothing.
#[tokio::test]
async fn a_head_of_a_retired_key_stops_no_start() {
    let dir = tempfile::tempdir().unwrap();
    let (_, old) = rotated(dir.path()).await;
    let data = dir.path().join("clean");
    let claims = |size: u64, signer: &Signer| {
        let head = Checkpoint { origin: "example.com/test".into(), size, root: [7; 32] };
        for place in ["head", "public/checkpoint"] {
            std::fs::write(data.join(place), note::sign(&head, [signer])).unwrap();
        }
        Ledger::open(&data, options(3)).map(|ledger| ledger.size())
    };
    assert_eq!(claims(40, &old).unwrap(), 30);
    assert_eq!(claims(25, &old).unwrap(), 30);
    // The key that is live, and the old one while it was, are believed.
    assert!(claims(40, &signer(7)).unwrap_err().to_string().contains("its tail is gone"));
    assert!(claims(5, &old).unwrap_err().to_string().contains("the history was rewritten"));
}
