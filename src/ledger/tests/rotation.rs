//! Keys that come and go, and heads that are kept elsewhere.

use super::{
    lab::{self, Log},
    *,
};
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

fn brings(key: &Signer) -> (&'static str, serde_json::Value) {
    (kinds::KEY_ADDED, json!({"key": key.verifier().to_string()}))
}

fn retires(key: &Signer) -> (&'static str, serde_json::Value) {
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
async fn plain(dir: &Path) -> (Log, Signer) {
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

/// `verify` of a public copy with the first key pinned.
fn public(copy: &Path, first: &Signer) -> verify::Report {
    let mut options = VerifyOptions::new(knows);
    options.key = Some(first.verifier().clone());
    verify::verify(copy, options).unwrap()
}

#[tokio::test]
async fn a_public_copy_takes_no_key_from_a_stranger() {
    let dir = tempfile::tempdir().unwrap();
    let (log, first) = plain(dir.path()).await;
    let one = signer(66);
    // The genuine lines, or only the first of them, and then the stranger's.
    for keep in [1, log.batches.len()] {
        let mut forged = log.clone();
        forged.batches.truncate(keep);
        let at = forged.size() as u64;
        forged.append(&[brings(&one), retires(&first)], &[&one]);
        forged.append(&[("test.happened", json!({"n": 1}))], &[&one]);
        let to = tempfile::tempdir().unwrap();
        forged.write(to.path());
        let copy = to.path().join("public");
        for missing in [false, true] {
            if missing {
                std::fs::remove_dir_all(copy.join("rotation")).unwrap();
            }
            let found = public(&copy, &first);
            let keys: Vec<_> = found.found().iter().filter(|fault| fault.class == Class::Key).collect();
            assert_eq!(keys[0].index, Some(at), "{found}");
            assert!(keys.iter().any(|fault| fault.words.starts_with("the checkpoint is not signed by")), "{found}");
            assert_eq!((found.head.clone(), found.subject), (None, verify::Subject::Public));
            let verified = verify::verify_public(&verify::DirFetch::new(&copy), VerifyOptions::new(knows));
            assert!(classes(&verified).contains(&Class::Key), "{verified}");
        }
    }
}

#[tokio::test]
async fn a_public_copy_shows_who_vouched_for_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = rotated(dir.path()).await;
    let data = log.from.clone();
    let (copy, exported) = (data.join("public"), dir.path().join("exported"));
    export::export(&data, &exported, true, knows).unwrap();
    let head = &log.rotations()[0];
    assert_eq!(head.0, 10);
    for copy in [&copy, &exported] {
        assert_eq!(std::fs::read_to_string(copy.join("rotation/10")).unwrap(), head.1);
        let found = public(copy, &old);
        assert!(found.holds() && found.heads == 2, "{found}");
        let found = verify::verify_public(&verify::DirFetch::new(copy), VerifyOptions::new(knows));
        assert!(found.holds() && found.heads == 2, "{found}");
    }
    // Taken away, edited, of another size, of another log, signed by one of the two, by none of them, no note at all.
    let signed = |origin: &str, size: u64, root: Hash, signers: &[&Signer]| {
        note::sign(&Checkpoint { origin: origin.into(), size, root }, signers.iter().copied())
    };
    let root = Checkpoint::parse(&SignedNote::parse(&head.1).unwrap().text).unwrap().root;
    let (new, other) = (signer(7), Signer::new("example.com/other", SigningKey::from_bytes(&[7; 32])));
    let mut wrong = vec![
        None,
        Some(head.1.replacen("\n11\n", "\n12\n", 1)),
        Some(log.batches.last().unwrap().head.clone()),
        Some(log.batches[3].head.clone()),
        Some(signed("example.com/test", 11, [9; 32], &[&old, &new])),
        Some(signed("example.com/test", 12, root, &[&old, &new])),
        Some(signed("example.com/test", 1_000, root, &[&old, &new])),
        Some(signed("example.com/other", 11, root, &[&other])),
        Some(String::new()),
        Some("x".repeat(100_000)),
    ];
    wrong.extend([&[&old][..], &[&new], &[&new, &signer(66)]].map(|by| Some(signed("example.com/test", 11, root, by))));
    for wrong in wrong {
        match &wrong {
            None => std::fs::remove_file(copy.join("rotation/10")).unwrap(),
            Some(text) => std::fs::write(copy.join("rotation/10"), text).unwrap(),
        }
        let found = public(&copy, &old);
        let first = found.found().first().map(|fault| (fault.index, fault.class));
        assert_eq!(first, Some((Some(10), Class::Key)), "{wrong:?}: {found}");
        // Beside the journal too.
        let found = report(&data);
        assert_eq!(
            found.found().iter().map(|fault| (fault.index, fault.class)).collect::<Vec<_>>(),
            [(Some(10), Class::Key)],
            "{wrong:?}: {found}"
        );
    }
    // Any one bit of it.
    for at in 0..head.1.len() {
        let mut flipped = head.1.clone().into_bytes();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(copy.join("rotation/10"), flipped).unwrap();
        assert!(!public(&copy, &old).holds(), "byte {at}");
    }
    std::fs::remove_file(copy.join("rotation/10")).unwrap();
    std::fs::create_dir(copy.join("rotation/10")).unwrap();
    assert_eq!(public(&copy, &old).found()[0].class, Class::Io);
}

#[tokio::test]
async fn lines_alone_name_no_live_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = plain(dir.path()).await;
    log.append(&[brings(&signer(66))], &[&signer(66)]);
    let to = tempfile::tempdir().unwrap();
    log.write(to.path());
    let found = report(&to.path().join("public/log.jsonl"));
    assert!(found.holds() && found.keys.is_empty(), "{found}");
    assert!(found.remarks.iter().any(|remark| remark.contains("who vouched for the keys")), "{found}");
}

#[tokio::test]
async fn a_head_that_covers_more_than_its_key_vouches_from_there_on() {
    let dir = tempfile::tempdir().unwrap();
    let (log, first) = plain(dir.path()).await;
    let (one, two) = (signer(66), signer(67));
    // Two keys under one head, with other entries between and behind them.
    let mut sound = log.clone();
    let at = log.size() as u64;
    let happened = || ("test.happened", json!({"n": 1}));
    sound.append(&[brings(&one), happened(), brings(&two), happened()], &[&first, &one, &two]);
    sound.append(&[retires(&first)], &[&one]);
    let to = tempfile::tempdir().unwrap();
    sound.write(to.path());
    for path in [to.path(), &to.path().join("public")] {
        let found = public(path, &first);
        assert!(found.holds() && found.keys.len() == 2, "{found}");
    }
    // It is over more entries than the copy has.
    let lines: Vec<Vec<u8>> = (0..sound.size() - 3).map(|n| sound.line(n).into_bytes()).collect();
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let mut tree = tree::Frontier::default();
    for line in &lines {
        tree.push(leaf_hash(line), |_| ());
    }
    let head = Checkpoint { origin: "example.com/test".into(), size: tree.size(), root: tree.root() };
    let cut = tempfile::tempdir().unwrap();
    lab::write_public(cut.path(), &lines, &note::sign(&head, [&first]));
    publish::put_rotation(cut.path(), at, &sound.rotations()[0].1).unwrap();
    let found = public(cut.path(), &first);
    let faults: Vec<_> = found.found().iter().map(|fault| (fault.index, fault.class)).collect();
    assert_eq!(faults, [(Some(at), Class::Key)], "{found}");
    assert!(found.found()[0].words.contains("and there are fewer"), "{found}");
}

#[tokio::test]
async fn heads_that_vouched_for_keys_are_published_when_they_are_missing_at_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = rotated(dir.path()).await;
    let copy = log.from.join("public");
    let damages: [fn(&Path); 2] =
        [|path| std::fs::remove_dir_all(path).unwrap(), |path| std::fs::write(path.join("10"), "").unwrap()];
    for damage in damages {
        damage(&copy.join("rotation"));
        assert!(!public(&copy, &old).holds());
        drop(Ledger::open(&log.from, super::options(9)).unwrap());
        let found = public(&copy, &old);
        assert!(found.holds(), "{found}");
        assert!(report(&log.from).holds());
    }
}

#[tokio::test]
async fn keys_come_in_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("log");
    let ledger = filled(&data, 10).await;
    let first = ledger.verifier_key().clone();
    for seed in 1..6 {
        ledger.rotate_key(Zeroizing::new([seed; 32]), start() + TimeDelta::hours(1)).await.unwrap();
        ledger.append_next(start() + TimeDelta::hours(1), vec![draft(1)]).await.unwrap();
    }
    let size = ledger.size();
    // What the service keeps for its next start knows them too.
    ledger.save_snapshot(size, b"folded".to_vec()).await.unwrap();
    drop(ledger);
    let ledger = Ledger::open(&data, super::options(9)).unwrap();
    assert_eq!(ledger.snapshot().map(|(size, _)| size), Some(size));
    ledger.history_check().unwrap().run(1, &mut |_| ()).unwrap();
    drop(ledger);
    let exported = dir.path().join("exported");
    export::export(&data, &exported, false, knows).unwrap();
    for path in [&data, &data.join("public"), &exported] {
        let mut options = VerifyOptions::new(knows);
        options.key = Some(first.clone());
        let found = verify::verify(path, options).unwrap();
        assert!(found.holds(), "{found}");
    }
}

fn proved(proof: &Path, key: &Signer, anchors: &[String]) -> verify::Report {
    let mut options = VerifyOptions::new(knows);
    options.key = Some(key.verifier().clone());
    options.anchors = anchors.iter().map(|text| Anchor::parse(text).unwrap()).collect();
    verify::verify(proof, options).unwrap()
}

#[tokio::test]
async fn a_proof_is_checked_with_the_key_that_signed_its_head() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = rotated(dir.path()).await;
    let new = signer(7);
    let path = dir.path().join("5.tlog-proof");
    std::fs::write(&path, history::prove(&log.from, 5, knows).unwrap()).unwrap();
    let found = proved(&path, &new, &[]);
    assert!(found.holds() && found.heads == 1, "{found}");
    // The first key is not the one that signed: it says so, and where to find the right one.
    let found = proved(&path, &old, &[]);
    assert_eq!(classes(&found), [Class::Key]);
    let words = &found.found()[0].words;
    assert!(words.contains(&format!("`{}`", hex::encode(new.verifier().id()))), "{words}");
    assert!(words.contains("verify the log or its public copy with the first key"), "{words}");
    // There it is.
    let listed = report(&log.from);
    assert_eq!(listed.keys, [new.verifier().to_string()]);
    assert!(listed.to_string().contains(&format!("live key: {}\n", new.verifier())), "{listed}");
    assert_eq!(serde_json::to_value(&listed).unwrap()["keys"], json!([new.verifier().to_string()]));
    assert_eq!(public(&log.from.join("public"), &old).keys, listed.keys);
    // Who signed nothing has no key to be named.
    std::fs::write(&path, "c2sp.org/tlog-proof@v1\nrubbish").unwrap();
    let found = proved(&path, &new, &[]);
    assert_eq!((classes(&found), found.heads), (vec![Class::Signature], 0));
}

#[tokio::test]
async fn a_proof_is_compared_with_anchors() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = rotated(dir.path()).await;
    let key = signer(7);
    let path = dir.path().join("5.tlog-proof");
    std::fs::write(&path, history::prove(&log.from, 5, knows).unwrap()).unwrap();
    let head = log.batches.last().unwrap().head.clone();
    let forged = |origin: &str, size: u64, by: &Signer| {
        note::sign(&Checkpoint { origin: origin.into(), size, root: [3; 32] }, [by])
    };
    let same = proved(&path, &key, std::slice::from_ref(&head));
    let size = same.size;
    assert_eq!((same.holds(), same.freshness), (true, Freshness::Anchored { size, after: 0 }));
    let bare = head.lines().take(3).collect::<Vec<_>>().join(" ");
    assert_eq!(proved(&path, &key, &[bare]).freshness, Freshness::Anchored { size, after: 0 });
    for (anchors, class) in [
        (vec![forged("example.com/test", size, &key)], Class::Fork),
        (vec![forged("example.com/test", size, &key).lines().take(3).collect::<Vec<_>>().join(" ")], Class::Fork),
        (vec![head.clone(), forged("example.com/test", size, &signer(9))], Class::Fork),
        (vec![forged("example.com/test", 3, &key), log.batches[1].head.clone()], Class::Fork),
        (vec![forged("example.com/other", size, &key)], Class::Origin),
        (vec![head.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size + 1), 1)], Class::Signature),
    ] {
        let found = proved(&path, &key, &anchors);
        assert_eq!((classes(&found), found.freshness.clone()), (vec![class], Freshness::Contradicted), "{found}");
    }
    // Of another size: nothing can be said, and that is said.
    let found = proved(&path, &key, &[log.batches[2].head.clone()]);
    assert!(found.holds() && found.freshness == Freshness::Unproven, "{found}");
    assert!(found.remarks[0].contains("a proof alone can't be compared with it"), "{found}");
}

#[tokio::test]
async fn a_copy_without_a_checkpoint_has_no_signed_head() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = plain(dir.path()).await;
    let copy = log.from.join("public");
    std::fs::remove_file(copy.join("checkpoint")).unwrap();
    let found = verify::verify_public(&verify::DirFetch::new(&copy), VerifyOptions::new(knows));
    assert_eq!((found.heads, found.size, found.holds()), (0, 0, false));
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
