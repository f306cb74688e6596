//! Our certificate authority: an Ed25519 key that signs OpenSSH user certificates, as `PROTOCOL.certkeys` fixes them.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use ssh_key::{
    LineEnding, PrivateKey, PublicKey,
    private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData},
    public::{Ed25519PublicKey, KeyData},
};
use zeroize::Zeroizing;

use super::{
    super::{ProviderError, random},
    subject::Subject,
    wire::{string, strings},
};

/// `SSH_CERT_TYPE_USER`.
const USER: u32 = 1;

/// The key certificates are signed with.
pub(super) struct Authority(SigningKey);

/// What a certificate says.
pub(super) struct Statement<'a> {
    pub subject: &'a Subject,
    pub serial: u64,
    pub key_id: &'a str,
    pub principals: &'a [String],
    /// Seconds since 1970; from this moment on.
    pub valid_after: u64,
    /// Seconds since 1970; up to, and not at, this moment.
    pub valid_before: u64,
    pub force_command: Option<&'a str>,
    pub source_addresses: Option<&'a str>,
}

impl Authority {
    pub(super) fn new(signing: SigningKey) -> Self {
        Self(signing)
    }

    /// Reads an OpenSSH private key. The error says what is wrong with it, after the name of the file.
    pub(super) fn from_openssh(pem: &[u8]) -> Result<Self, &'static str> {
        let key = PrivateKey::from_openssh(pem).map_err(|_| "is not a private key in OpenSSH's format")?;
        if key.is_encrypted() {
            return Err("has a passphrase; the service can't type it");
        }
        match key.key_data().ed25519() {
            Some(pair) => Ok(Self(SigningKey::from_bytes(&pair.private.to_bytes()))),
            None => Err("is not an Ed25519 key; make one with `ssh-keygen -t ed25519`"),
        }
    }

    /// The private key in OpenSSH's format.
    pub(super) fn to_openssh(&self, comment: &str) -> Result<Zeroizing<String>, ProviderError> {
        private_text(&self.0, comment)
    }

    /// The public key as `authorized_keys` and `TrustedUserCAKeys` have it.
    pub(super) fn public_line(&self, comment: &str) -> Result<String, ProviderError> {
        PublicKey::new(self.key_data(), comment).to_openssh().map_err(|e| fault(&e))
    }

    fn key_data(&self) -> KeyData {
        KeyData::Ed25519(Ed25519PublicKey(self.0.verifying_key().to_bytes()))
    }

    /// The public key in wire form.
    pub(super) fn public_wire(&self) -> Result<Vec<u8>, ProviderError> {
        PublicKey::from(self.key_data()).to_bytes().map_err(|e| fault(&e))
    }

    /// A certificate that says `statement`, one line without a comment.
    ///
    /// The bytes are written here and not by `ssh-key`, whose builder verifies what it signed in debug builds and for
    /// that wants the older `ed25519-dalek`.
    pub(super) fn sign(&self, statement: &Statement<'_>) -> Result<String, ProviderError> {
        let kind = statement.subject.certificate_kind;
        let mut certificate = Vec::new();
        string(&mut certificate, kind.as_bytes());
        string(&mut certificate, random::bytes::<32>()?.as_slice());
        certificate.extend(statement.subject.fields());
        certificate.extend(statement.serial.to_be_bytes());
        certificate.extend(USER.to_be_bytes());
        string(&mut certificate, statement.key_id.as_bytes());
        strings(&mut certificate, statement.principals.iter().map(String::as_str));
        certificate.extend(statement.valid_after.to_be_bytes());
        certificate.extend(statement.valid_before.to_be_bytes());
        // Options are pairs in lexical order of their names; a value is a string within a string.
        let mut options = Vec::new();
        for (name, value) in
            [("force-command", statement.force_command), ("source-address", statement.source_addresses)]
        {
            if let Some(value) = value {
                string(&mut options, name.as_bytes());
                strings(&mut options, [value]);
            }
        }
        string(&mut certificate, &options);
        // An extension without a value has an empty string.
        strings(&mut certificate, ["permit-pty", ""]);
        string(&mut certificate, b"");
        string(&mut certificate, &self.public_wire()?);
        let mut signature = Vec::new();
        string(&mut signature, b"ssh-ed25519");
        string(&mut signature, &self.0.sign(&certificate).to_bytes());
        string(&mut certificate, &signature);
        Ok(format!("{kind} {}", STANDARD.encode(certificate)))
    }
}

/// A private key in OpenSSH's format.
pub(super) fn private_text(key: &SigningKey, comment: &str) -> Result<Zeroizing<String>, ProviderError> {
    let pair = Ed25519Keypair {
        public: Ed25519PublicKey(key.verifying_key().to_bytes()),
        private: Ed25519PrivateKey::from_bytes(key.as_bytes()),
    };
    PrivateKey::new(KeypairData::Ed25519(pair), comment)
        .and_then(|key| key.to_openssh(LineEnding::LF))
        .map_err(|e| fault(&e))
}

fn fault(error: &ssh_key::Error) -> ProviderError {
    ProviderError::Permanent(format!("the certificate can't be made: {error}"))
}
