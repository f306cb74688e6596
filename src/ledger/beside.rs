//! The signed heads that lie beside a journal: they show that it ends too early, or is another history.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    check::Tip,
    disk::{DiskStore, Layout},
    files,
    frame::BatchRef,
    hash::sha256,
    note::{Checkpoint, NOTE_MAX_BYTES, SignedNote},
    notice::Notice,
    open::{OpenError, root_at},
    snapshot,
    store::StoreError,
};

/// What a signed head beside a journal says against it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A head was signed over more entries than there are: the tail is gone.
    #[error("the ledger has {size} entries, but a head over {signed} was signed ({place}): its tail is gone")]
    Behind {
        /// Entries in the journal.
        size: u64,
        /// Entries under the head.
        signed: u64,
        /// Where the head is kept.
        place: &'static str,
    },
    /// A head was signed over another history.
    #[error(
        "the first {signed} entries are not those over which a head was signed ({place}): the history was rewritten"
    )]
    Diverged {
        /// Entries under the head.
        signed: u64,
        /// Where the head is kept.
        place: &'static str,
    },
    /// The `head` file is none that this log signed. No crash and no power cut leaves one: it is whole on the disk before it
    /// gets its name.
    #[error(
        "{} is no head of this ledger ({why}): it was damaged or tampered with, and would hide that the journal is cut; run \
         `verify` with an anchor, and when nothing is missing, move the file away and start again",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What a kept note is to a log.
enum Says {
    /// A head, signed by a key that was live at its size.
    Head(Checkpoint),
    /// A head, signed by a key of the log that may not sign at its size: who found an old key is not to stop the service
    /// with it.
    OldKey,
    /// None of this log's, and why.
    Nothing(String),
}

impl Says {
    /// Reads a note. Of a log whose entry 0 is gone nothing is left to check it with: then any head counts.
    fn of(note: &[u8], tip: &Tip) -> Self {
        if note.is_empty() {
            return Self::Nothing("it is empty".into());
        }
        let parsed = str::from_utf8(note).map_err(|error| error.to_string()).and_then(|text| {
            let note = SignedNote::parse(text).map_err(|error| error.to_string())?;
            let head = Checkpoint::parse(&note.text).map_err(|error| error.to_string())?;
            Ok((note, head))
        });
        let (note, head) = match parsed {
            Ok(parsed) => parsed,
            Err(why) => return Self::Nothing(why),
        };
        if tip.size() == 0 {
            return Self::Head(head);
        }
        match tip.keys.signed(&note, head.size) {
            Ok(true) => Self::Head(head),
            Ok(false) if tip.keys.iter().any(|known| note.check([&*known.key]).is_ok_and(|signed| signed > 0)) => {
                Self::OldKey
            }
            Ok(false) => Self::Nothing("no key of this ledger signed it".into()),
            Err(error) => Self::Nothing(error.to_string()),
        }
    }
}

/// Where heads are kept.
const HEAD: &str = "head";
const CHECKPOINT: &str = "public/checkpoint";
const SNAPSHOT: &str = "snapshot";

/// The notes that are kept in files; nothing where there is no file.
fn kept(layout: &Layout) -> [(&'static str, Option<io::Result<Vec<u8>>>); 3] {
    let file = |path: &Path| match files::read(path, NOTE_MAX_BYTES as u64) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        read => Some(read),
    };
    let folded = snapshot::head(&layout.snapshot()).map(|note| Ok(note.into_bytes()));
    [(HEAD, file(&layout.head())), (CHECKPOINT, file(&layout.public().join("checkpoint"))), (SNAPSHOT, folded)]
}

/// A file that is no head of this log's and does not stop the start: it is moved out of the way, not written over.
pub(super) struct Untrusted {
    place: &'static str,
    path: PathBuf,
    why: String,
    /// What tells it from others that were moved away before.
    mark: String,
}

impl Untrusted {
    fn new(layout: &Layout, place: &'static str, read: &io::Result<Vec<u8>>, why: String) -> Self {
        let mark = read.as_ref().map(|bytes| hex::encode(sha256(bytes).first_chunk::<4>().unwrap_or(&[0; 4])));
        Self { place, path: layout.root().join(place), why, mark: mark.unwrap_or_else(|_| "unread".into()) }
    }

    /// Moves it into the ledger's folder, under a name that says so.
    pub(super) fn set_aside(self, layout: &Layout) -> Notice {
        let Self { place, path, why, mark } = self;
        let name = place.rsplit('/').next().unwrap_or(place);
        let to = layout.root().join(format!("{name}.set-aside-{mark}"));
        match std::fs::rename(path, &to) {
            Ok(()) => Notice::SetAside { place, why, to },
            Err(error) => Notice::NotSetAside { place, why, error: error.to_string() },
        }
    }
}

/// Compares the journal with every place that remembers a signed head, and says which of them are to be moved away.
///
/// # Errors
/// [`HeadError`]; also what the disk says.
pub(super) fn remembered(store: &DiskStore, layout: &Layout, tip: &Tip) -> Result<Vec<Untrusted>, OpenError> {
    let mut untrusted = Vec::new();
    let newest = store.index.newest_head().map_err(StoreError::from)?;
    let sled = ("sled", newest.map(|note| Ok(note.into_bytes())));
    for (place, read) in kept(layout).into_iter().chain([sled]) {
        let Some(read) = read else { continue };
        let says = match &read {
            Ok(note) => Says::of(note, tip),
            Err(error) if place == HEAD && !files::wrong(error) => {
                return Err(OpenError::Io(format!("{}: {error}", layout.head().display())));
            }
            Err(error) => Says::Nothing(error.to_string()),
        };
        match says {
            Says::Head(head) if head.size > tip.size() => {
                return Err(HeadError::Behind { size: tip.size(), signed: head.size, place }.into());
            }
            Says::Head(head) if root_at(&store.nodes, head.size)? != head.root => {
                return Err(HeadError::Diverged { signed: head.size, place }.into());
            }
            Says::Head(_) => {}
            Says::Nothing(why) if place == HEAD => {
                return Err(HeadError::Unusable { path: layout.head(), why }.into());
            }
            Says::OldKey if [HEAD, CHECKPOINT].contains(&place) => {
                let why = "a key of this ledger signed it that may not sign at its size";
                untrusted.push(Untrusted::new(layout, place, &read, why.into()));
            }
            Says::Nothing(why) if place == CHECKPOINT => untrusted.push(Untrusted::new(layout, place, &read, why)),
            // Caches: they are made again.
            Says::OldKey | Says::Nothing(_) => {}
        }
    }
    Ok(untrusted)
}

/// The heads, read before the journal: while a service writes, that only grows longer than they say.
pub(super) struct Beside {
    head: PathBuf,
    kept: Vec<Kept>,
}

struct Kept {
    place: &'static str,
    note: Vec<u8>,
    /// How many entries it says, whoever signed it.
    size: Option<u64>,
    /// What the journal says of as many entries.
    own: Option<Checkpoint>,
}

impl Beside {
    /// Reads them. One that may not be read says nothing; `verify` tells of it.
    pub(super) fn read(layout: &Layout) -> Self {
        let kept = kept(layout).into_iter().filter_map(|(place, read)| {
            let note = match read? {
                Ok(note) => note,
                Err(error) if files::wrong(&error) => Vec::new(),
                Err(_) => return None,
            };
            let size = str::from_utf8(&note).ok().and_then(head_of).map(|head| head.size);
            Some(Kept { place, note, size, own: None })
        });
        Self { head: layout.head(), kept: kept.collect() }
    }

    /// Takes the next batch of the journal, whose head was compared with its entries.
    pub(super) fn take(&mut self, batch: &BatchRef<'_>) {
        let size = batch.first + batch.records.len() as u64;
        for kept in &mut self.kept {
            if kept.size == Some(size) {
                kept.own = head_of(batch.head);
            }
        }
    }

    /// What they say of a journal that was read to its end.
    ///
    /// # Errors
    /// [`HeadError`].
    pub(super) fn compare(self, tip: &Tip) -> Result<(), HeadError> {
        for Kept { place, note, own, .. } in self.kept {
            match Says::of(&note, tip) {
                Says::Head(head) if head.size > tip.size() => {
                    return Err(HeadError::Behind { size: tip.size(), signed: head.size, place });
                }
                Says::Head(head) if own.as_ref() != Some(&head) => {
                    return Err(HeadError::Diverged { signed: head.size, place });
                }
                Says::Nothing(why) if place == HEAD => return Err(HeadError::Unusable { path: self.head, why }),
                Says::Head(_) | Says::OldKey | Says::Nothing(_) => {}
            }
        }
        Ok(())
    }
}

fn head_of(note: &str) -> Option<Checkpoint> {
    Checkpoint::parse(&SignedNote::parse(note).ok()?.text).ok()
}
