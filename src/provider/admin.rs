//! The URL of our own login on a target: in the environment or in a file.

use secrecy::{ExposeSecret, SecretString};

use super::{ProviderError, Surroundings};

/// Where the URL is, and what it is if it was in the environment at start.
pub(super) struct AdminUrl {
    env: String,
    file: Option<String>,
    value: Option<SecretString>,
}

impl AdminUrl {
    pub(super) fn new(env: &str, file: Option<&String>, surroundings: &Surroundings) -> Self {
        let value = surroundings.env.get(env).filter(|url| !url.expose_secret().is_empty()).cloned();
        Self { env: env.to_owned(), file: file.cloned(), value }
    }

    /// What names it in messages, and the URL. A file is read anew each time: whoever puts another password into it need
    /// not restart anything.
    pub(super) fn get(&self) -> Result<(&str, SecretString), ProviderError> {
        if let Some(file) = &self.file {
            let url = std::fs::read_to_string(file)
                .map_err(|error| ProviderError::Permanent(format!("`url_file` {file} can't be read: {error}")))?;
            return Ok(("url_file", url.trim().to_owned().into()));
        }
        let env = &self.env;
        let url = self.value.clone().ok_or_else(|| {
            ProviderError::Permanent(format!("the environment variable `{env}` is not set: put the admin URL into it"))
        })?;
        Ok((env, url))
    }
}
