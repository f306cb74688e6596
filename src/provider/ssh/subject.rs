//! The public key that a certificate is about: one that we made, or one that a person has.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

use super::wire::{string, take_string};

/// Kinds of keys and the kinds of their certificates (`PROTOCOL.certkeys`, and `PROTOCOL.u2f` for those in hardware).
const KINDS: [(&str, &str); 7] = [
    ("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"),
    ("sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com"),
    ("sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com"),
    ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com"),
    ("ssh-rsa", "ssh-rsa-cert-v01@openssh.com"),
];
/// Longest public key, in bytes: RSA with 16,384 bits has 2 kB.
const KEY_MAX_BYTES: usize = 4096;

/// A public key in wire form.
pub(super) struct Subject {
    /// The kind of a certificate about it.
    pub(super) certificate_kind: &'static str,
    wire: Vec<u8>,
}

impl Subject {
    /// A key of ours.
    pub(super) fn ours(key: &VerifyingKey) -> Self {
        let mut wire = Vec::new();
        string(&mut wire, b"ssh-ed25519");
        string(&mut wire, key.as_bytes());
        Self { certificate_kind: "ssh-ed25519-cert-v01@openssh.com", wire }
    }

    /// A line as in `authorized_keys`, without options; `None` if it is no key that can be certified.
    pub(super) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let (_, certificate_kind) = KINDS.iter().find(|(kind, _)| *kind == name)?;
        let wire = STANDARD.decode(words.next()?).ok().filter(|wire| wire.len() <= KEY_MAX_BYTES)?;
        let (kind, mut fields) = take_string(&wire)?;
        if kind != name.as_bytes() || fields.is_empty() {
            return None;
        }
        // Whole strings to the last byte, so that nothing of it can be read as another field of the certificate.
        while !fields.is_empty() {
            (_, fields) = take_string(fields)?;
        }
        Some(Self { certificate_kind, wire })
    }

    /// The key's own fields, which a certificate repeats: all but the kind.
    pub(super) fn fields(&self) -> &[u8] {
        take_string(&self.wire).map_or(&[], |(_, fields)| fields)
    }

    /// SHA-256 of the wire form, lowercase hex.
    pub(super) fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.wire))
    }
}
