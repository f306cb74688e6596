//! What a start finds that is no reason to refuse, but must not go by without a word.

use std::{path::PathBuf, sync::Arc};

/// Who is told; from any thread.
pub type OnNotice = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Something that was found, and what was done about it. Each is one plain sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// What stood behind the last frame of the journal was cut off.
    #[error(
        "{bytes} bytes at the end of segment {segment} of the journal were no whole frame and are cut off: a write that a \
         crash broke off leaves such an end, and nobody was told of what was in it; if nothing crashed, somebody changed the file"
    )]
    Cut {
        /// Which segment.
        segment: u64,
        /// From the end of the last frame to the last byte that was not zero.
        bytes: u64,
    },
    /// A head that can't be trusted was moved away.
    #[error(
        "`{place}` was no head to be trusted ({why}): it was damaged or tampered with; it is kept as {}, and a new one is written",
        to.display()
    )]
    SetAside {
        /// Which file of the ledger's folder.
        place: &'static str,
        /// What was wrong with it.
        why: String,
        /// Where it is now.
        to: PathBuf,
    },
    /// A head that can't be trusted could not be moved away.
    #[error("`{place}` is no head to be trusted ({why}), could not be kept ({error}), and is written over")]
    NotSetAside {
        /// Which file of the ledger's folder.
        place: &'static str,
        /// What is wrong with it.
        why: String,
        /// Why it is where it was.
        error: String,
    },
    /// What is sealed for people can't be opened, though nobody erased them.
    #[error(
        "what is sealed for {count} people who were not erased can't be opened, and they can't be told by name: {}; put the \
         files back from the backup of `keys/` and start again, or erase them by the names of the files",
        first.join(", ")
    )]
    Locked {
        /// How many.
        count: usize,
        /// The first of them: the file of the key, and what is wrong with it.
        first: Vec<String>,
    },
    /// Files of the public copy were not what the log says, and are made again.
    #[error(
        "files of the public copy ({count}) were missing or not what the ledger says, and are made again: {}; a power cut \
         leaves unfinished tiles so, anything else is damage or somebody's doing",
        first.join(", ")
    )]
    Mended {
        /// How many.
        count: usize,
        /// The first of them, as paths below the public copy.
        first: Vec<String>,
    },
}

impl Notice {
    /// Writes notices to the program's own log.
    #[must_use]
    pub fn to_log() -> OnNotice {
        Arc::new(|notice| tracing::warn!("{notice}"))
    }
}
