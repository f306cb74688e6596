//! Who vouched for a key, as those see it who have only a public copy, an export, lines or a proof.

use super::{
    lab,
    rotation::{brings, classes, plain, retires, rotated, signer},
    *,
};
use crate::ledger::verify::{Anchor, Freshness};

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
            // Whether a head that is gone took the key in nobody knows: one that is there and did not is a forgery.
            let accused = keys.iter().any(|fault| fault.words.starts_with("the checkpoint is not signed by"));
            let unknown =
                found.remarks.iter().any(|remark| remark.contains("who signed the checkpoint was not checked"));
            assert_eq!((accused, unknown), (!missing, missing), "{found}");
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
