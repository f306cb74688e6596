//! A store in memory whose writes can be made to fail, once lost and once kept: the disk's worst manners, for the tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    disclosure::SubjectKey,
    frame::Raw,
    ids::SubjectId,
    replay::Wave,
    store::{Commit, Place, Store, StoreError},
};

/// How a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    /// Nothing of it is there.
    Lost,
    /// All of it is there, and the caller is told that it failed.
    Kept,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub frames: Vec<Vec<u8>>,
    pub size: u64,
    pub keys: BTreeMap<SubjectId, SubjectKey>,
    /// Writes so far.
    pub writes: u64,
    /// Which write fails, and how.
    pub fails: Option<(u64, Failing)>,
}

/// The store. Clones share what is on the "disk", so that it survives a restart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(pub Arc<Mutex<Disk>>);

impl Memory {
    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut Disk)) -> Result<(), StoreError> {
        let mut disk = self.disk();
        let this = disk.writes;
        disk.writes += 1;
        let fails = disk.fails.filter(|(which, _)| *which == this).map(|(_, how)| how);
        if fails != Some(Failing::Lost) {
            change(&mut disk);
        }
        fails.map_or(Ok(()), |_| Err(StoreError::Failed("the disk said no".into())))
    }
}

impl Store for Memory {
    fn replay(&mut self, _from: Place, wave: Wave<'_>) -> Result<(), StoreError> {
        let disk = self.disk();
        let batches: Option<Vec<_>> =
            disk.frames.iter().map(|frame| Raw::at(frame).filter(Raw::intact).and_then(|raw| raw.decode())).collect();
        // Who stops a replay knows why.
        drop(wave(&batches.ok_or_else(|| StoreError::Failed("a frame is torn".into()))?));
        Ok(())
    }

    fn place(&self) -> Place {
        Place::default()
    }

    fn append(&mut self, expected: u64, commit: Commit<'_>) -> Result<(), StoreError> {
        let actual = self.disk().size;
        if expected != actual {
            return Err(StoreError::Conflict { expected, actual });
        }
        self.write(|disk| {
            disk.frames.push(commit.frame.clone());
            disk.size = commit.shape.size();
        })
    }

    fn key(&mut self, subject: SubjectId) -> Result<Option<SubjectKey>, StoreError> {
        Ok(self.disk().keys.get(&subject).cloned())
    }

    fn put_keys(&mut self, keys: &[(SubjectId, SubjectKey)]) -> Result<(), StoreError> {
        self.write(|disk| disk.keys.extend(keys.iter().cloned()))
    }

    fn destroy_key(&mut self, subject: SubjectId) -> Result<(), StoreError> {
        self.write(|disk| drop(disk.keys.remove(&subject)))
    }
}
