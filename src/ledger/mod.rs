//! The signed hash chain (format 1): entries, tree, notes, the journal with sled over it, verification, proofs, export.
//!
//! This module knows nothing of access requests. It is handed [`Draft`]s, makes them canonical lines, chains them,
//! signs the head of the batch, and answers when the batch is on the disk.
