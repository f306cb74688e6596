//! The complete nodes of the tree in a flat file, in the order of their completion: what proofs are read from.
//!
//! A cache: never synced, compared with the journal at the start, written again where it differs.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use super::{
    hash::{HASH_BYTES, Hash},
    tree::{Nodes, stored_index},
};

/// The file. Clones share it.
#[derive(Debug, Clone)]
pub struct NodeFile {
    file: Arc<File>,
}

impl NodeFile {
    /// Opens or makes it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file: Arc::new(file) })
    }

    /// Writes nodes from a stored index on.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&self, from: u64, nodes: &[Hash]) -> io::Result<()> {
        self.file.write_all_at(nodes.as_flattened(), from * HASH_BYTES as u64)
    }

    /// Makes the file hold these nodes there, and writes only when it does not.
    ///
    /// # Errors
    /// What the disk says.
    pub fn ensure(&self, from: u64, nodes: &[Hash]) -> io::Result<()> {
        let wanted = nodes.as_flattened();
        let mut held = vec![0; wanted.len()];
        match self.file.read_exact_at(&mut held, from * HASH_BYTES as u64) {
            Ok(()) if held == wanted => Ok(()),
            Ok(()) | Err(_) => self.write(from, nodes),
        }
    }
}

impl Nodes for NodeFile {
    type Error = io::Error;

    fn node(&self, level: u32, n: u64) -> io::Result<Hash> {
        let mut hash = [0; HASH_BYTES];
        self.file.read_exact_at(&mut hash, stored_index(level, n) * HASH_BYTES as u64)?;
        Ok(hash)
    }
}
