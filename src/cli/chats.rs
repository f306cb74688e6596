//! The real chats, as the config has them: what goes out to them, and what comes in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::Router;
use secrecy::SecretString;

use super::{Stop, service::Live};
use crate::{
    access::Chat,
    chat::{Adapter, Channels, Mentions, Service},
    config,
};

/// The environment, as secrets.
pub type Env = BTreeMap<String, SecretString>;

/// The platforms that are set up.
pub struct Chats {
    adapters: Vec<Arc<dyn Adapter>>,
}

impl Chats {
    /// As the config says.
    ///
    /// # Errors
    /// A secret that is missing, or a platform that can't be set up so.
    pub fn new(_live: &Live, _env: &Env) -> Result<Self, Stop> {
        Ok(Self { adapters: Vec::new() })
    }

    /// What the engine posts to.
    pub fn adapters(&self) -> Vec<Arc<dyn Adapter>> {
        self.adapters.clone()
    }

    /// Where the platforms call us, for those that do.
    pub fn router(&self, _service: &Arc<dyn Service>) -> Router {
        Router::new()
    }

    /// Starts to listen to those that we call.
    pub fn listen(&self, _service: &Arc<dyn Service>) {}

    /// Stops listening.
    pub async fn stop(&self) {}
}

/// A secret: from a file if the config names one, else from the environment.
///
/// # Errors
/// Why there is none, in words.
pub fn secret(file: Option<&PathBuf>, env: &Env, name: &str) -> Result<SecretString, String> {
    let read = |path: &Path| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    let secret = match file {
        Some(file) => {
            read(file).map_err(|error| format!("the file in place of `{name}` can't be read: {error}"))?.into()
        }
        None => env.get(name).cloned().ok_or_else(|| format!("`{name}` is not set"))?,
    };
    let empty = secrecy::ExposeSecret::expose_secret(&secret).is_empty();
    if empty { Err(format!("`{name}` is empty")) } else { Ok(secret) }
}

/// The channels of a platform, as an adapter takes them.
pub fn channels(of: &config::chats::Channels, is_id: fn(&str) -> bool) -> Channels {
    Channels { usual: of.usual.clone(), named: of.named.clone(), is_id }
}

/// Whom to mention, by the config of the moment.
pub fn mentions(live: &Live, chat: Chat) -> Mentions {
    let live = live.clone();
    Arc::new(move |name| live.now().facts.account(chat, name).map(str::to_owned))
}
