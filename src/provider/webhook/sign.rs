//! Standard Webhooks with Ed25519: `v1a` signatures over `id.timestamp.body`, keys as `whsk_…` and `whpk_…`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// The header with the message's id.
pub const ID: &str = "webhook-id";
/// The header with the moment it was signed, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, each `v1a,<Base64>`, with spaces between them.
pub const SIGNATURE: &str = "webhook-signature";
/// How a signature of this kind begins.
const V1A: &str = "v1a,";
/// How much older or newer than our clock a reply may say it is, in seconds.
const TOLERANCE_SECS: u64 = 300;

/// Reads a public key.
pub fn public_key(text: &str) -> Option<VerifyingKey> {
    let bytes: [u8; 32] = STANDARD.decode(text.strip_prefix("whpk_")?).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak())
}

/// Reads a private key: its seed, or its seed and the public key behind it.
pub fn private_key(text: &SecretString) -> Option<SigningKey> {
    let bytes = Zeroizing::new(STANDARD.decode(text.expose_secret().trim().strip_prefix("whsk_")?).ok()?);
    let (seed, public) = bytes.split_first_chunk::<32>()?;
    let key = SigningKey::from_bytes(seed);
    (public.is_empty() || public == key.verifying_key().as_bytes()).then_some(key)
}

/// The value of [`SIGNATURE`] for a message.
pub fn sign(key: &SigningKey, id: &str, timestamp: i64, body: &[u8]) -> String {
    format!("{V1A}{}", STANDARD.encode(key.sign(&signed(id, &timestamp.to_string(), body)).to_bytes()))
}

/// Whether a message with these headers is `key`'s and of about `now`.
///
/// # Errors
/// Why it is not believed.
pub fn verify(
    key: &VerifyingKey,
    (id, timestamp, signatures): (&str, &str, &str),
    body: &[u8],
    now: i64,
) -> Result<(), &'static str> {
    let moment: i64 = timestamp.parse().map_err(|_| "its reply has no timestamp")?;
    if moment.abs_diff(now) > TOLERANCE_SECS {
        return Err("its reply is more than five minutes off our clock");
    }
    let signed = signed(id, timestamp, body);
    let holds = |text: &str| {
        let bytes: Option<[u8; 64]> =
            text.strip_prefix(V1A).and_then(|text| STANDARD.decode(text).ok()?.try_into().ok());
        bytes.is_some_and(|bytes| key.verify_strict(&signed, &Signature::from_bytes(&bytes)).is_ok())
    };
    if signatures.split(' ').any(holds) { Ok(()) } else { Err("its reply is not signed with the key that is pinned") }
}

fn signed(id: &str, timestamp: &str, body: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat())
}
