//! Where a plugin's secrets come from: the settings name environment variables and files, the values go onto the wire.

use std::{collections::BTreeMap, fs, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::provider::{ProviderError, protocol::SecretText};

/// A secret that is shorter can't be told from ordinary words in what a plugin says, in bytes.
const SECRET_BYTES_MIN: usize = 8;

/// One source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A variable of our own environment.
    Env(String),
    /// A file, read anew each time.
    File(String),
}

/// The sources by the names that the plugin knows the secrets by.
#[derive(Clone)]
pub struct Sources {
    by_name: BTreeMap<String, Source>,
    env: Arc<BTreeMap<String, SecretString>>,
}

impl Sources {
    /// Sources in this environment.
    pub(in crate::provider) fn new(
        by_name: BTreeMap<String, Source>,
        env: Arc<BTreeMap<String, SecretString>>,
    ) -> Self {
        Self { by_name, env }
    }

    /// The secrets as they are now.
    pub(super) fn read(&self) -> Result<BTreeMap<String, SecretText>, ProviderError> {
        self.by_name
            .iter()
            .map(|(name, source)| {
                let permanent = |words: String| ProviderError::Permanent(format!("the secret `{name}`: {words}"));
                let value = source.read(&self.env).map_err(permanent)?;
                if value.expose_secret().len() < SECRET_BYTES_MIN {
                    return Err(permanent(format!(
                        "is shorter than {SECRET_BYTES_MIN} bytes: it could not be kept out of messages"
                    )));
                }
                Ok((name.clone(), SecretText(value)))
            })
            .collect()
    }
}

impl Source {
    /// The secret as it is now.
    pub(in crate::provider) fn read(&self, env: &BTreeMap<String, SecretString>) -> Result<SecretString, String> {
        match self {
            Self::Env(name) => {
                let value = env.get(name).filter(|value| !value.expose_secret().is_empty());
                value.cloned().ok_or_else(|| format!("the environment variable `{name}` is not set"))
            }
            Self::File(file) => {
                let text = fs::read_to_string(file).map(Zeroizing::new);
                let text = text.map_err(|error| format!("{file} can't be read: {}", error.kind()))?;
                Ok(text.trim().to_owned().into())
            }
        }
    }
}
