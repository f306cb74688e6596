//! Discord's signature over an interaction: Ed25519 over the timestamp and the raw body, by the application's key. What was
//! signed is kept, so that others can check that Discord delivered this very click.

use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

use super::{
    deed::{self, Deed},
    heard,
};
use crate::chat::{Evidence, Input};

/// A request that was signed longer ago than this, or further ahead, is not taken.
pub const AGE_SECS_MAX: i64 = 5 * 60;

/// The key of an application.
#[derive(Debug, Clone)]
pub struct Key(VerifyingKey);

/// Why evidence proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The signature is not of this key over these bytes.
    #[error("its signature is not Discord's over what was kept")]
    Signature,
    /// It was signed at another time than the entry's.
    #[error("Discord signed it more than five minutes from the entry's time")]
    Time,
    /// It is a true click, but not the one that the entry is about.
    #[error("Discord signed it, but it says something else than the entry")]
    Content,
}

/// What a signed interaction says: whose it is, its id, and what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// `guild/user`.
    pub account: String,
    /// The interaction's id.
    pub message: String,
    /// What was done.
    pub input: Input,
}

impl Key {
    /// The key with these bytes, if they are one.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak()).map(Self)
    }

    /// Checks the signature, over exactly these bytes, and that it is not older than five minutes at `now`.
    ///
    /// # Errors
    /// [`Unproven`].
    pub fn check(&self, evidence: &Evidence, now: DateTime<Utc>) -> Result<(), Unproven> {
        let mut signature = [0; 64];
        hex::decode_to_slice(&evidence.signature, &mut signature).map_err(|_| Unproven::Signature)?;
        let signed = [evidence.timestamp.as_bytes(), evidence.body.as_bytes()].concat();
        self.0.verify_strict(&signed, &Signature::from_bytes(&signature)).map_err(|_| Unproven::Signature)?;
        let at: i64 = evidence.timestamp.parse().map_err(|_| Unproven::Time)?;
        if at.abs_diff(now.timestamp()) > AGE_SECS_MAX.unsigned_abs() {
            return Err(Unproven::Time);
        }
        Ok(())
    }
}

/// What a signed body says, read as it was when it came.
#[must_use]
pub fn said(body: &str) -> Option<Said> {
    let value: Value = serde_json::from_str(body).ok()?;
    let heard = heard::read(&value)?;
    let (guild, user) = (heard.guild.clone()?, heard.user.clone()?);
    let application = heard.application.clone().unwrap_or_default();
    match deed::of(&heard, &guild, &application) {
        Deed::Submit(input, _) => Some(Said { account: format!("{guild}/{user}"), message: heard.id, input }),
        Deed::Answer(_) | Deed::Suggest => None,
    }
}
