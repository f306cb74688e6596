//! The signed heads that lie beside a journal: they show that it ends too early, or is another history.

use std::io::Read as _;

use super::{
    check::Tip,
    disk::Layout,
    files,
    frame::BatchRef,
    history::HistoryError,
    note::{Checkpoint, NOTE_MAX_BYTES, SignedNote},
    open::trusted,
};

/// The heads, read before the journal: while a service writes, that only grows longer than they say.
pub(super) struct Beside(Vec<Kept>);

struct Kept {
    place: &'static str,
    note: String,
    /// What it says, whoever signed it.
    says: Checkpoint,
    /// What the journal says of as many entries.
    own: Option<Checkpoint>,
}

impl Beside {
    /// Reads them. One that can't be read says nothing; `verify` tells of it.
    pub(super) fn read(layout: &Layout) -> Self {
        let places = [("head", layout.head()), ("public/checkpoint", layout.public().join("checkpoint"))];
        let kept = places.into_iter().filter_map(|(place, path)| {
            let mut note = String::new();
            files::open(&path).ok()?.take(NOTE_MAX_BYTES as u64 + 1).read_to_string(&mut note).ok()?;
            let says = head_of(&note)?;
            Some(Kept { place, note, says, own: None })
        });
        Self(kept.collect())
    }

    /// Takes the next batch of the journal, whose head was compared with its entries.
    pub(super) fn take(&mut self, batch: &BatchRef<'_>) {
        let size = batch.first + batch.records.len() as u64;
        for kept in &mut self.0 {
            if kept.says.size == size {
                kept.own = head_of(batch.head);
            }
        }
    }

    /// What they say of a journal that was read to its end.
    ///
    /// # Errors
    /// [`HistoryError::Behind`], [`HistoryError::Diverged`].
    pub(super) fn compare(self, tip: &Tip) -> Result<(), HistoryError> {
        for Kept { place, note, own, .. } in self.0 {
            let Some(head) = trusted(&note, tip) else { continue };
            if head.size > tip.size() {
                return Err(HistoryError::Behind { size: tip.size(), signed: head.size, place });
            }
            if own.as_ref() != Some(&head) {
                return Err(HistoryError::Diverged { signed: head.size, place });
            }
        }
        Ok(())
    }
}

fn head_of(note: &str) -> Option<Checkpoint> {
    Checkpoint::parse(&SignedNote::parse(note).ok()?.text).ok()
}
