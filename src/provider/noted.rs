//! Names of what we made on a target: one is ours though its mark is gone.

use std::collections::BTreeSet;

use super::{ProviderError, blocking, files::Folder};

/// The file that they are in.
const REGISTER: &str = "users.json";

/// External ids.
pub(super) type Made = BTreeSet<String>;

/// The register of one resource.
pub(super) struct Noted(Folder);

impl Noted {
    pub(super) fn new(folder: Folder) -> Self {
        Self(folder)
    }

    /// All of them.
    pub(super) async fn all(&self) -> Result<Made, ProviderError> {
        let folder = self.0.clone();
        blocking(move || folder.read_json(REGISTER)).await
    }

    /// All of them, as far as they can be read: a damaged register must not keep a door open.
    pub(super) async fn readable(&self) -> Made {
        self.all().await.unwrap_or_default()
    }

    /// Notes a name that was made. If it can't be noted, the object is there all the same.
    pub(super) async fn add(&self, id: String) -> Result<(), ProviderError> {
        let noted = self.change(move |made| made.insert(id)).await;
        noted.map_err(|e| ProviderError::Unknown(format!("the user is made, but {e}")))
    }

    /// Forgets a name that is gone. A note that stays does no harm: it is no user.
    pub(super) async fn remove(&self, id: String) {
        drop(self.change(move |made| made.remove(&id)).await);
    }

    async fn change(&self, how: impl FnOnce(&mut Made) -> bool + Send + 'static) -> Result<(), ProviderError> {
        let folder = self.0.clone();
        blocking(move || {
            let held = folder.lock()?;
            let mut made: Made = folder.read_json(REGISTER)?;
            if how(&mut made) { folder.write_json(REGISTER, &made, &held) } else { Ok(()) }
        })
        .await
    }
}
