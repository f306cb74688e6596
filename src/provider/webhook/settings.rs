//! What `webhook` can be told.

use ed25519_dalek::VerifyingKey;
use reqwest::Url;

use super::sign;
use crate::provider::{
    plugin::{Common, Source, common},
    settings::{Reader, is_env_name},
};

/// Taken for `url` in hints.
const URL: &str = "https://doors.example.com/countersign";
/// Taken for `public_key` in hints.
const PUBLIC_KEY: &str = "whpk_…";

/// What can be set.
pub struct WebhookSettings {
    /// Where requests are posted.
    pub url: Option<Url>,
    /// Who signs replies.
    pub public_key: Option<VerifyingKey>,
    /// Where our own key is.
    pub key: Source,
    /// A file with certificates that are trusted in place of the usual ones.
    pub ca_file: Option<String>,
    /// What every plugin has.
    pub common: Common,
}

/// Takes the settings out of `reader`.
pub(in crate::provider) fn read(reader: &mut Reader<'_>) -> WebhookSettings {
    let url = reader.needed_text("url", URL).and_then(|text| {
        let url = Url::parse(&text).ok().filter(is_safe);
        if url.is_none() {
            reader.problem(
                "url",
                "is not an `https` address",
                format!("write `url = \"{URL}\"`; `http` is for loopback only"),
            );
        }
        url
    });
    let public_key = reader.needed_text("public_key", PUBLIC_KEY).and_then(|text| {
        let key = sign::public_key(&text);
        if key.is_none() {
            let hint = "it is `whpk_` and the 32 bytes of the receiver's Ed25519 key in Base64";
            reader.problem("public_key", "is not a public key", hint);
        }
        key
    });
    let key = match (reader.text("key_file"), reader.text("key_env")) {
        (Some(file), None) => Source::File(file),
        (None, Some(name)) if is_env_name(&name) => Source::Env(name),
        (None, Some(_)) => {
            let hint = "put `whsk_…` into the environment and the variable's name here";
            reader.problem("key_env", "is not the name of an environment variable", hint);
            Source::Env(String::new())
        }
        (None, None) => {
            reader.problem(
                "key_env",
                "is missing",
                "add it, for example `key_env = \"DOORS_KEY\"`, or `key_file`: our own private key, `whsk_…`",
            );
            Source::Env(String::new())
        }
        (Some(file), Some(_)) => {
            reader.problem("key_file", "stands beside `key_env`", "keep the one that holds the key");
            Source::File(file)
        }
    };
    WebhookSettings { url, public_key, key, ca_file: reader.text("ca_file"), common: common(reader) }
}

/// Whether what is sent there can't be read on the way.
fn is_safe(url: &Url) -> bool {
    let private = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
    private && url.username().is_empty() && url.password().is_none()
}

/// Whether it is on this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
