use super::*;

fn signer(seed: u8) -> Signer {
    Signer::new("example.com/log", SigningKey::from_bytes(&[seed; 32]))
}

fn head() -> Checkpoint {
    Checkpoint { origin: "example.com/log".into(), size: 7, root: [9; 32] }
}

#[test]
fn golden() {
    let note = sign(&head(), [&signer(1)]);
    insta::assert_snapshot!(note, @"
    example.com/log
    7
    CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=

    — example.com/log m+XTxkEJCGEYUOaF7si5Qciyef0nB9yQQad72sk5ezUW4FQ2D+01cd95rBycErUgVlIms1bZp9xl7AtkjTpwrzxT7wk=
    ");
    insta::assert_snapshot!(signer(1).verifier(), @"example.com/log+9be5d3c6+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c");
}

#[test]
fn a_verifier_key_is_read_back() {
    let text = signer(1).verifier().to_string();
    assert_eq!(VerifierKey::parse(&text).unwrap(), *signer(1).verifier());
    for bad in [
        text.replacen("example", "exemple", 1),
        text.replace("+A", "+B"),
        "a+b".into(),
        String::new(),
        format!("{text}="),
    ] {
        assert!(VerifierKey::parse(&bad).is_err(), "{bad}");
    }
}

/// The example of Go's `sumdb/note` documentation, so that the key format is not only our own reading.
#[test]
fn the_key_of_the_go_documentation() {
    let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(VerifierKey::parse(text).unwrap().to_string(), text);
    let note = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
                — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let note = SignedNote::parse(note).unwrap();
    assert_eq!(note.check([&VerifierKey::parse(text).unwrap()]), Ok(1));
}

#[test]
fn every_flipped_bit_is_refused() {
    let (note, one) = (sign(&head(), [&signer(1)]), signer(1));
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let good = SignedNote::parse(&text).is_ok_and(|note| {
                note.check([one.verifier()]) == Ok(1) && Checkpoint::parse(&note.text).is_ok_and(|read| read == head())
            });
            assert!(!good, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn strangers_are_ignored_and_friends_must_be_right() {
    let note = SignedNote::parse(&sign(&head(), [&signer(1), &signer(2)])).unwrap();
    assert_eq!(note.check([signer(1).verifier()]), Ok(1));
    assert_eq!(note.check([signer(3).verifier()]), Ok(0));
    assert_eq!(note.check([signer(1).verifier(), signer(2).verifier()]), Ok(2));
    let mut bad = note.clone();
    bad.signatures[1].bytes = bad.signatures[0].bytes.clone();
    assert_eq!(bad.check([signer(1).verifier()]), Ok(1));
    assert!(bad.check([signer(1).verifier(), signer(2).verifier()]).is_err());
    let mut twice = note.clone();
    twice.signatures.push(note.signatures[0].clone());
    assert!(twice.check([signer(1).verifier()]).is_err());
}

#[test]
fn bombs_are_refused_before_they_are_read() {
    let line = format!("— a {}\n", BASE64.encode([1; 68]));
    assert_eq!(SignedNote::parse(&format!("a\n\n{}", line.repeat(SIGNATURES_MAX + 1))), Err(NoteError::TooLarge));
    assert_eq!(SignedNote::parse(&"a".repeat(NOTE_MAX_BYTES + 1)), Err(NoteError::TooLarge));
}

#[test]
fn one_text_for_one_head() {
    let text = head().text();
    assert_eq!(Checkpoint::parse(&text).unwrap(), head());
    for bad in [
        text.replace("\n7\n", "\n07\n"),
        text.replace("\n7\n", "\n+7\n"),
        format!("{text}more\n"),
        text.trim_end().into(),
        text.replace('=', ""),
    ] {
        assert!(Checkpoint::parse(&bad).is_err(), "{bad}");
    }
}
