//! The bytes, against the examples of the RFCs.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use serde_json::json;

use super::{jwt::Key, variable};

/// The key of RFC 8037, appendix A.1.
fn key() -> (Key, VerifyingKey) {
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let signing = SigningKey::from_bytes(&seed.try_into().unwrap());
    let public = signing.verifying_key();
    (Key::new(signing), public)
}

#[test]
fn the_key_set_has_the_thumbprint_of_the_rfc() {
    let (key, _) = key();
    assert_eq!(key.public(), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_token_is_three_parts_and_signs_the_first_two() {
    let (key, public) = key();
    let token = key.sign(&json!({ "sub": "requester" }));
    let (said, signature) = token.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    public.verify_strict(said.as_bytes(), &signature).unwrap();
    let parts: Vec<_> = said.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[1], br#"{"sub":"requester"}"#);
}

#[test]
fn a_key_comes_back_from_its_file() {
    let (key, _) = key();
    let pem = key.to_pem().unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(Key::from_pem(pem.as_bytes()).unwrap().public(), key.public());
    assert!(Key::from_pem(b"").is_none());
    assert!(Key::from_pem(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_none());
}

#[test]
fn a_resource_names_its_variable() {
    assert_eq!(variable("prod-api"), "PROD_API_TOKEN");
    assert_eq!(variable("2nd.api"), "_2ND_API_TOKEN");
}
