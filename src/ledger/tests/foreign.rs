//! Ledgers that the service wrote, checked by programs that nobody here wrote.

use super::{lab::Foreign, *};

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
        assert_eq!(foreign.go(&export, &key, Some(&older)).unwrap().trim(), format!("{size} {root}"));
        assert_eq!(foreign.go(&data.join("public"), &key, Some(&older)).unwrap().trim(), format!("{size} {root}"));
        assert_eq!(Foreign::python(&export).unwrap().trim(), format!("{size} {root}"));
        let seen = Foreign::sigstore(&key, &proofs).unwrap();
        assert!(seen.lines().count() == 4 && seen.lines().all(|line| line.ends_with(&format!(" {size}"))), "{seen}");
    }
}

#[tokio::test]
async fn sigstore_refuses_a_proof_of_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(&dir.path().join("log"), 9).await;
    let proof = ledger.prove(4).unwrap();
    let path = dir.path().join("proof");
    for (from, to) in [("index 4", "index 5"), ("extra eyJ", "extra eyK"), ("\n9\n", "\n8\n")] {
        let changed = proof.replacen(from, to, 1);
        assert_ne!(changed, proof);
        std::fs::write(&path, changed).unwrap();
        assert!(Foreign::sigstore(ledger.verifier_key(), std::slice::from_ref(&path)).is_err(), "{from} to {to}");
    }
    let other = Signer::new("example.com/test", SigningKey::from_bytes(&[9; 32]));
    std::fs::write(&path, proof).unwrap();
    assert!(Foreign::sigstore(other.verifier(), std::slice::from_ref(&path)).is_err());
    assert!(Foreign::sigstore(ledger.verifier_key(), &[path]).is_ok());
}
