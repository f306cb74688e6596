//! Keys that come and go, and heads that are kept elsewhere.

use super::{lab::Log, *};
use crate::ledger::verify::{Anchor, Freshness};

fn signer(seed: u8) -> Signer {
    Signer::new("example.com/test", SigningKey::from_bytes(&[seed; 32]))
}

fn classes(report: &verify::Report) -> Vec<Class> {
    let mut found: Vec<Class> = report.found().iter().map(|fault| fault.class).collect();
    found.dedup();
    found
}

/// A log of 30 entries whose key was rotated after 10 to the one of seed 7, and the old signer.
async fn rotated(dir: &Path) -> (Log, Signer) {
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
