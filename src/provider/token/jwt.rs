//! The bytes of a token and of its key: compact JWS (RFC 7515) with Ed25519 (RFC 8037).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{
    Signer, SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes, spki::der::pem::LineEnding},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The key tokens are signed with.
pub(super) struct Key {
    signing: SigningKey,
    /// Its thumbprint (RFC 7638).
    kid: String,
}

impl Key {
    pub(super) fn new(signing: SigningKey) -> Self {
        // RFC 7638 section 3: the required members only, in lexical order, no white space.
        let x = URL_SAFE_NO_PAD.encode(signing.verifying_key().as_bytes());
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(canonical));
        Self { signing, kid }
    }

    /// Reads PKCS#8 PEM; `None` if it is anything else than an Ed25519 key in it.
    pub(super) fn from_pem(pem: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(pem).ok()?;
        SigningKey::from_pkcs8_pem(text.trim_start()).ok().map(Self::new)
    }

    /// The key as PKCS#8 PEM.
    pub(super) fn to_pem(&self) -> Option<Zeroizing<String>> {
        // Without the public half, as RFC 8410 allows: OpenSSL 3.0 can't read a key that has it.
        KeypairBytes { secret_key: self.signing.to_bytes(), public_key: None }.to_pkcs8_pem(LineEnding::LF).ok()
    }

    /// Its name in a key set: the thumbprint.
    pub(super) fn id(&self) -> &str {
        &self.kid
    }

    /// The public half, as in a key set.
    pub(super) fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.signing.verifying_key().as_bytes())
    }

    /// A token that says `claims`.
    pub(super) fn sign(&self, claims: &Value) -> Zeroizing<String> {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.kid });
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let said = format!("{}.{}", encoded(&header), encoded(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.signing.sign(said.as_bytes()).to_bytes());
        Zeroizing::new(format!("{said}.{signature}"))
    }
}
