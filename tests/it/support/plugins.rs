//! Plugins: files of the repository, and scripts that a test writes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use countersign::provider::{Credential, kit::Probe};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub const SUDO_RULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/plugins/sudo-rule");
pub const PASSWORD_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/plugins/password-file");
pub const BROKEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/plugins/broken");

/// What `sha256sum` prints for a file.
pub fn pin(file: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(file).unwrap()))
}

/// Settings of `exec` for a file, and more of them.
pub fn exec(file: impl AsRef<Path>, more: &Value) -> Value {
    let file = file.as_ref();
    let mut settings = json!({ "command": [file], "sha256": pin(file) });
    let table = settings.as_object_mut().unwrap();
    table.extend(more.as_object().unwrap().clone());
    settings
}

/// Writes a plugin whose language its first line says.
pub fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let file = dir.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// The beginning of a plugin in shell: `$verb`, `ok` and `say`, and a plan and a description that are as usual.
pub const SHELL: &str = r#"#!/bin/sh
request=$(cat)
id=$(printf %s "$request" | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/')
verb=$(printf %s "$request" | sed 's/.*"verb":"\([a-z]*\)".*/\1/')
say() { printf '{"v":"countersign.provider/v1","id":"%s",%s}\n' "$id" "$1"; }
ok() { say "\"status\":\"ok\"$1"; }
case $verb in
describe) ok ',"description":{}'; exit ;;
plan) ok ',"plan":["do as the test says"]'; exit ;;
esac
"#;

/// Tries a credential by a function.
pub struct Works<F>(pub F);

#[async_trait]
impl<F: Fn(&Credential) -> bool + Send + Sync> Probe for Works<F> {
    async fn works(&self, credential: &Credential) -> bool {
        (self.0)(credential)
    }
}
