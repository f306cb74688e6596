//! Tokens as `PyJWT` sees them: a library we did not write.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use countersign::provider::Credential;
use serde_json::{Value, json};

use super::{door::part, process::find_program, process::said};

/// Verifies a token with the keys of a JWKS, as a careful service would, and prints its header and its claims.
const VERIFY: &str = r#"
import json, sys
import jwt
said = json.load(sys.stdin)
header = jwt.get_unverified_header(said["token"])
keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(json.loads(said["jwks"])).keys}
claims = jwt.decode(said["token"], keys[header["kid"]].key, algorithms=["EdDSA"],
                    audience=said["audience"], issuer=said["issuer"],
                    options={"require": ["exp", "iat", "nbf", "iss", "aud", "sub", "jti"]})
print(json.dumps({"header": header, "claims": claims}))
"#;

/// The token in a credential.
pub fn of(credential: &Credential) -> String {
    let line = part(credential, "shell");
    line.split_once('=').expect("an export line").1.to_owned()
}

/// Header and claims, or why the token is not believed.
pub fn believed(token: &str, jwks: &str, audience: &str, issuer: &str) -> Result<Value, String> {
    // The distribution's Python: its packages are what the tests install.
    let python = find_program(&["/usr/bin/python3"], "python3, python3-jwt and python3-cryptography");
    let mut child = Command::new(python)
        .args(["-c", VERIFY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said_to = json!({ "token": token, "jwks": jwks, "audience": audience, "issuer": issuer }).to_string();
    child.stdin.take().unwrap().write_all(said_to.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let words = said(&output);
    assert!(!words.contains("ModuleNotFoundError"), "install python3-jwt and python3-cryptography: {words}");
    if output.status.success() { Ok(serde_json::from_slice(&output.stdout).unwrap()) } else { Err(words) }
}
