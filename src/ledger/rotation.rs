//! The heads that took new keys in, as they stand beside the tiles of a public copy: `rotation/<index of the key.added>`.
//!
//! A public copy has only its newest checkpoint. Without these, who verifies one could not know that a key which came
//! later was brought in by those who had the log, and not by a stranger.

use super::{
    fault::{Class, Fault},
    hash::Hash,
    keys::{Keys, LogKey},
    note::{Checkpoint, SignedNote},
};

/// Their folder, below the log's address.
pub const ROTATION_DIR: &str = "rotation";

/// Where the head is that took in the key of the entry at `index`.
#[must_use]
pub fn rotation_path(index: u64) -> String {
    format!("{ROTATION_DIR}/{index}")
}

/// A head that is to vouch for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    note: SignedNote,
    head: Checkpoint,
}

impl Rotation {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, to be said after its path.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let malformed = |error: &dyn std::fmt::Display| format!("can't be used: {error}");
        let text = str::from_utf8(text).map_err(|error| malformed(&error))?;
        let note = SignedNote::parse(text).map_err(|error| malformed(&error))?;
        let head = Checkpoint::parse(&note.text).map_err(|error| malformed(&error))?;
        Ok(Self { note, head })
    }

    /// How many entries it is over.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head.size
    }

    /// Compares it with the log whose first [`Rotation::size`] entries have that root, if there are so many.
    ///
    /// # Errors
    /// Why it does not vouch for the key, to be said after its path.
    pub fn vouches(&self, keys: &Keys, new: &LogKey, root: Option<Hash>) -> Result<(), String> {
        let Checkpoint { origin, size, .. } = &self.head;
        if origin != new.key.name() {
            return Err(format!("is of another log, `{origin}`"));
        }
        if *size <= new.added {
            return Err(format!("is over {size} entries, and so not over this one"));
        }
        match root {
            None => return Err(format!("is over {size} entries, and there are fewer")),
            Some(root) if root != self.head.root => {
                return Err(format!("has another root than the first {size} entries"));
            }
            Some(_) => {}
        }
        match keys.vouch(&self.note, *size, [new]) {
            Ok(true) => Ok(()),
            Ok(false) => Err("is not signed by both an older live key and the new one".into()),
            Err(error) => Err(format!("can't be used: {error}")),
        }
    }
}

/// The fault of an entry that brings in a key for which nobody is seen to vouch.
#[must_use]
pub fn unvouched(index: u64, class: Class, why: &str) -> Fault {
    let words = format!(
        "brings in a key, and `{}`, the head that an older key signed with it, {why}: what that key signs counts for nothing; \
         the next start of the service writes it, and so does an export",
        rotation_path(index)
    );
    Fault::at(index, class, words)
}
