//! Ledgers that the library wrote, checked by programs that nobody here wrote.

use super::{driver::Foreign, *};

#[tokio::test]
async fn strangers_agree_on_logs_of_many_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = Foreign::new(dir.path());
    for size in [1, 2, 3, 255, 256, 257, 600] {
        let data = dir.path().join(format!("log-{size}"));
        let ledger = filled(&data, size).await;
        let older = dir.path().join("older");
        std::fs::write(&older, ledger.reader().head_from(size.div_ceil(2)).unwrap().unwrap().1).unwrap();
        let proofs: Vec<_> = [0, size / 3, size / 2, size - 1]
            .map(|index| {
                let path = dir.path().join(format!("{size}-{index}.tlog-proof"));
                std::fs::write(&path, ledger.prove(index).unwrap()).unwrap();
                path
            })
            .to_vec();
        let (key, head) = (ledger.verifier_key().clone(), ledger.head());
        let last = ledger.reader().get(size - 1).unwrap().leaf;
        drop(ledger);
        let export = dir.path().join(format!("export-{size}"));
        export::export(&data, &export, true, knows).unwrap();
        let root = {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(head.root)
        };
        assert_eq!(Foreign::coreutils(&export).unwrap().trim(), format!("{size} {}", hex::encode(last)));
        assert_eq!(foreign.go_since(&export, &key, &older, &key).unwrap().trim(), format!("{size} {root}"));
        assert_eq!(
            foreign.go_since(&data.join("public"), &key, &older, &key).unwrap().trim(),
            format!("{size} {root}")
        );
        assert_eq!(Foreign::python(&[export]), [Ok(format!("{size} {root}"))]);
        assert_eq!(Foreign::sigstore(&key, &proofs), vec![Ok(format!("1 of {size}")); proofs.len()]);
    }
}

/// Tiles of tiles of tiles: the third level begins where the second is full.
#[tokio::test]
async fn go_agrees_on_a_log_with_tiles_of_level_two() {
    let dir = tempfile::tempdir().unwrap();
    let (data, foreign) = (dir.path().join("log"), Foreign::new(dir.path()));
    let (older, mut before) = (dir.path().join("older"), None);
    for size in [65_536, 65_537] {
        let ledger = Ledger::open(&data, options(size)).unwrap();
        while ledger.size() < size {
            let at = ledger.size();
            ledger.append(at, start(), (at..size.min(at + 256)).map(draft).collect()).await.unwrap();
        }
        let (key, head) = (ledger.verifier_key().clone(), ledger.head());
        drop(ledger);
        let public = data.join("public");
        let said = match before.replace(head.note.clone()) {
            None => foreign.go(&public, &key),
            Some(note) => {
                std::fs::write(&older, &*note).unwrap();
                foreign.go_since(&public, &key, &older, &key)
            }
        };
        assert!(said.as_ref().is_ok_and(|said| said.starts_with(&format!("{size} "))), "{said:?}");
        assert!(public.join("tile/1/000").exists() && public.join("tile/2/000.p/1").exists());
        // The third level is looked at: with one bit of it changed, the copy is refused.
        let tile = public.join("tile/2/000.p/1");
        let whole = std::fs::read(&tile).unwrap();
        let mut bytes = whole.clone();
        bytes[7] ^= 1;
        std::fs::write(&tile, bytes).unwrap();
        assert!(foreign.go(&public, &key).is_err());
        std::fs::write(&tile, whole).unwrap();
    }
}

#[tokio::test]
async fn sigstore_refuses_a_proof_of_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(&dir.path().join("log"), 9).await;
    let proof = ledger.prove(4).unwrap();
    let path = dir.path().join("proof");
    let sigstore = |key: &VerifierKey| Foreign::sigstore(key, std::slice::from_ref(&path)).remove(0);
    for (from, to) in [("index 4", "index 5"), ("extra eyJ", "extra eyK"), ("\n9\n", "\n8\n")] {
        let changed = proof.replacen(from, to, 1);
        assert_ne!(changed, proof);
        std::fs::write(&path, changed).unwrap();
        assert!(sigstore(ledger.verifier_key()).is_err(), "{from} to {to}");
    }
    let other = Signer::new("example.com/test", SigningKey::from_bytes(&[9; 32]));
    std::fs::write(&path, proof).unwrap();
    assert!(sigstore(other.verifier()).is_err());
    assert_eq!(sigstore(ledger.verifier_key()), Ok("1 of 9".into()));
}
