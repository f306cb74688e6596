use ed25519_dalek::SigningKey;

use super::*;
use crate::ledger::{
    note::{Signer, sign},
    tree::Frontier,
};

fn proof() -> (String, VerifierKey) {
    let signer = Signer::new("example.com/log", SigningKey::from_bytes(&[1; 32]));
    let (one, two) = (leaf_hash(b"one"), leaf_hash(b"two"));
    let mut tree = Frontier::default();
    tree.push(one, |_| ());
    tree.push(two, |_| ());
    let head = Checkpoint { origin: "example.com/log".into(), size: 2, root: tree.root() };
    (write(1, &[one], b"two", &sign(&head, [&signer])), signer.verifier().clone())
}

#[test]
fn golden() {
    let (text, key) = proof();
    insta::assert_snapshot!(text, @"
    c2sp.org/tlog-proof@v1
    extra dHdv
    index 1
    0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=

    example.com/log
    2
    T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=

    — example.com/log m+XTxoVcwCINVsfjuLXTvM+wJyYJUNHAttA9WS2Kk1P8o3cBvChSAC8TMgYF2SYksESmCSfkqlFMBo/uLM89o+AmWAk=
    ");
    let proof = Proof::parse(&text).unwrap();
    assert_eq!(proof.extra.as_deref(), Some(&b"two"[..]));
    proof.check(b"two", &[key]).unwrap();
}

#[test]
fn what_it_does_not_prove() {
    let (text, key) = proof();
    let proof = Proof::parse(&text).unwrap();
    assert_eq!(proof.check(b"one", std::slice::from_ref(&key)), Err(ProofError::NotIncluded(1)));
    let other = Signer::new("example.com/log", SigningKey::from_bytes(&[2; 32]));
    assert_eq!(
        proof.check(b"two", &[other.verifier().clone()]),
        Err(ProofError::NotSigned(format!("the key `{}`", hex::encode(key.id()))))
    );
    for (from, to) in [
        ("index 1", "index 01"),
        ("index 1", "index x"),
        ("proof@v1", "proof@v2"),
        ("extra dHdv", "extra *"),
        ("\n\nexample", "\nexample"),
    ] {
        assert!(Proof::parse(&text.replacen(from, to, 1)).is_err(), "{from} to {to}");
    }
    let moved = Proof::parse(&text.replacen("index 1", "index 0", 1)).unwrap();
    assert_eq!(moved.check(b"two", &[key]), Err(ProofError::NotIncluded(0)));
}
