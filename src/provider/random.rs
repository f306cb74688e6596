//! Secrets from the operating system's generator. A provider is the edge: what it cuts here is kept nowhere, so there
//! is no replay that would want the same numbers again.

use ed25519_dalek::SigningKey;
use rand::{TryRng, rngs::SysRng};
use zeroize::Zeroizing;

use super::ProviderError;

/// The alphabet of passwords: nothing in it needs quoting in a shell, a URL or SQL.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `N` random bytes.
pub(super) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, ProviderError> {
    let mut bytes = Zeroizing::new([0; N]);
    SysRng
        .try_fill_bytes(bytes.as_mut_slice())
        .map_err(|e| ProviderError::Retry(format!("the system gives no random numbers: {e}")))?;
    Ok(bytes)
}

/// A random text of `length` base62 characters, 5.95 bits each.
pub(super) fn base62(length: usize) -> Result<Zeroizing<String>, ProviderError> {
    let mut text = Zeroizing::new(String::with_capacity(length));
    while text.len() < length {
        for byte in bytes::<64>()?.iter() {
            // Six bits each; 62 and 63 are thrown away, so that all characters are equally likely.
            if let Some(character) = BASE62.get(usize::from(byte & 0x3f))
                && text.len() < length
            {
                text.push(char::from(*character));
            }
        }
    }
    Ok(text)
}

/// A new Ed25519 key.
pub(super) fn signing_key() -> Result<SigningKey, ProviderError> {
    Ok(SigningKey::from_bytes(&*bytes::<32>()?))
}
