//! The bytes, against the documents that fix them. What OpenSSH itself makes of them, `tests/it/provider_ssh.rs` asks.

use chrono::DateTime;

use super::{fit_for_logs, krl::Revoked, session, subject::Subject, wire::take_string};

#[test]
fn a_revocation_list_is_as_its_document_says() {
    let list = Revoked {
        serials: vec![9, 0, 5, 9],
        key_ids: vec!["b".into(), "a".into()],
        fingerprints: vec![[0xbb; 32], [0xaa; 32]],
    };
    let bytes = list.encode(b"CA", 3, DateTime::from_timestamp(1_790_000_000, 0).unwrap());
    let expected = [
        // Magic, format 1, edition 3, date, flags, reserved, comment.
        "5353484b524c0a00 00000001 0000000000000003 000000006ab13b80 0000000000000000 00000000",
        "0000000b 636f756e7465727369676e",
        // Certificates: the CA and a reserved field.
        "01 0000002e 00000002 4341 00000000",
        // Serials 5 and 9; 0 would make the list unreadable.
        "20 00000010 0000000000000005 0000000000000009",
        // Key ids.
        "23 0000000a 00000001 61 00000001 62",
        // Hashes in order.
        "05 00000048 00000020",
    ]
    .concat()
        + &"aa".repeat(32)
        + "00000020"
        + &"bb".repeat(32);
    assert_eq!(hex::encode(bytes), expected.replace(' ', ""));
}

#[test]
fn an_empty_list_is_a_header() {
    let bytes = Revoked::default().encode(b"CA", 1, DateTime::UNIX_EPOCH);
    assert_eq!(bytes.len(), 8 + 4 + 8 + 8 + 8 + 4 + 4 + 11);
}

#[test]
fn the_forced_command_is_one_word_for_any_shell() {
    let command = session::until(1_790_000_000);
    let script = command.strip_prefix("exec /bin/sh -c '").unwrap().strip_suffix('\'').unwrap();
    assert!(!script.contains(['\'', '!', '\n']), "{script}");
    assert!(script.starts_with("left=$((1790000000-1-$(date +%s))) || exit 1; "), "{script}");
}

#[test]
fn only_whole_public_keys_are_certified() {
    let good = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP//////////////////////////////////////////";
    let subject = Subject::from_line(good).unwrap();
    assert_eq!(subject.certificate_kind, "ssh-ed25519-cert-v01@openssh.com");
    assert_eq!(take_string(subject.fields()), Some((&[0xff; 32][..], &[][..])));
    for bad in [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-dss AAAAB3NzaC1kc3MAAAAA",
        // Says another kind inside.
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIP//////////////////////////////////////////",
        // Cut off in the middle, and with something after the end.
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP////////////////////////////8=",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP//////////////////////////////////////////AAAA",
        // A certificate is no key.
        "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ] {
        assert!(Subject::from_line(bad).is_none(), "{bad}");
    }
}

#[test]
fn names_are_fit_for_logs() {
    assert_eq!(fit_for_logs("ana.b-c_d@example.com"), "ana.b-c_d@example.com");
    assert_eq!(fit_for_logs("'; DROP ROLE\n"), "___DROP_ROLE_");
    assert_eq!(fit_for_logs(&"é".repeat(100)), "_".repeat(64));
}
