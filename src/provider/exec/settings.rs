//! What `exec` can be told.

use std::collections::BTreeMap;

use crate::provider::{
    plugin::{Common, Source, common, sources},
    settings::{Reader, is_env_name},
};

/// Taken for `command` in hints.
const COMMAND: &str = "[\"/usr/local/lib/countersign/sudo-rule\"]";
/// Taken for `sha256` in hints.
const SHA256: &str = "\"<64 hex digits>\"";

/// What can be set.
pub struct ExecSettings {
    /// The program's file.
    pub file: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// SHA-256 of the file.
    pub pin: [u8; 32],
    /// Variables of our environment that it gets.
    pub env: Vec<String>,
    /// Whether it may gain privileges, for example by `sudo`.
    pub new_privileges: bool,
    /// What every plugin has.
    pub common: Common,
    /// Where its secrets come from.
    pub sources: BTreeMap<String, Source>,
}

/// Takes the settings out of `reader`.
pub(in crate::provider) fn read(reader: &mut Reader<'_>) -> ExecSettings {
    reader.need("command", COMMAND);
    let mut command = reader.texts("command").unwrap_or_default().into_iter();
    let file = command.next().unwrap_or_default();
    if !file.is_empty() && !file.starts_with('/') {
        reader.problem("command", "does not begin with an absolute path", format!("write `command = {COMMAND}`"));
    }
    let mut pin = [0; 32];
    reader.need("sha256", SHA256);
    let written = reader.text("sha256");
    if written.is_some_and(|text| hex::decode_to_slice(text, &mut pin).is_err()) {
        reader.problem("sha256", "is not a SHA-256 in hex", "it is what `sha256sum` prints for the program's file");
    }
    let env = reader.texts("env").unwrap_or_default();
    if !env.iter().all(|name| is_env_name(name)) {
        reader.problem("env", "has what is not the name of a variable", "name variables that it may see, no values");
    }
    let new_privileges = reader.flag("new_privileges").unwrap_or(false);
    let common = common(reader);
    let sources = sources(reader);
    let secret = |name: &String| sources.values().any(|source| *source == Source::Env(name.clone()));
    if env.iter().any(secret) {
        reader.problem(
            "env",
            "passes on a variable that holds a secret",
            "take it out: the plugin gets its secrets on standard input",
        );
    }
    ExecSettings { file, arguments: command.collect(), pin, env, new_privileges, common, sources }
}
