//! The index over the journal, in sled: what the service reads. It can be thrown away and built again at any time.
//!
//! One tree, written by one thread, in order, the head of a batch last: sled recovers a prefix of what was written, so a head
//! that is there stands for all before it. `apply_batch` would roll sled's buffer twice and wake all its threads each time,
//! which cost more than all else in a commit together. Keys have a fixed width after their first letter:
//!
//! | key | value |
//! |---|---|
//! | `e` seq part | a piece of a group of lines, the first of which has that index |
//! | `s` seq ordinal part | a piece of a sealed disclosure, its subject before it |
//! | `u` subject seq | nothing: where a person's disclosures are |
//! | `h` size | the signed head of that size: the mark of what is indexed |

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use super::{
    frame::{Batch, Record, Sealed},
    hash::{Hash, NO_PREV, leaf_hash},
    ids::SubjectId,
};

/// Largest value: larger ones go to files of their own in sled, which are never synced.
const PIECE_MAX_BYTES: usize = 7_000;

/// Memory that sled may use for pages.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// The index can't be used; the words are sled's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the index: {0}")]
pub struct IndexError(pub String);

impl From<sled::Error> for IndexError {
    fn from(error: sled::Error) -> Self {
        Self(error.to_string())
    }
}

/// The index. Clones share it.
#[derive(Debug, Clone)]
pub struct Index {
    db: sled::Db,
}

fn key(letter: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![letter];
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

fn insert(db: &sled::Db, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
    guarded(|| db.insert(key, value)).map(drop)
}

/// Splits a value into pieces; the first begins with their number.
fn put(db: &sled::Db, letter: u8, at: &[u8], value: &[u8]) -> Result<(), IndexError> {
    let pieces = value.chunks(PIECE_MAX_BYTES).len().max(1);
    let count = u8::try_from(pieces).map_err(|_| IndexError("a value is too long".into()))?;
    let (first, rest) = value.split_at(value.len().min(PIECE_MAX_BYTES));
    let mut whole = vec![count];
    whole.extend_from_slice(first);
    insert(db, &key(letter, &[at, &[0]]), &whole)?;
    for (n, piece) in rest.chunks(PIECE_MAX_BYTES).enumerate() {
        let n = u8::try_from(n + 1).unwrap_or(u8::MAX);
        insert(db, &key(letter, &[at, &[n]]), piece)?;
    }
    Ok(())
}

/// Puts pieces together again, in key order; yields `(key without letter and part, value)`.
struct Pieces {
    range: sled::Iter,
}

impl Iterator for Pieces {
    type Item = Result<(Vec<u8>, Vec<u8>), IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (key, first) = match self.range.next()? {
            Ok(found) => found,
            Err(error) => return Some(Err(error.into())),
        };
        let torn = || Some(Err(IndexError("a value is torn".into())));
        let (Some((0, at)), Some((count, value))) = (key.split_last(), first.split_first()) else { return torn() };
        let at = at.get(1..).unwrap_or_default().to_vec();
        let mut value = value.to_vec();
        for _ in 1..*count {
            match self.range.next() {
                Some(Ok((_, piece))) => value.extend_from_slice(&piece),
                Some(Err(error)) => return Some(Err(error.into())),
                None => return torn(),
            }
        }
        Some(Ok((at, value)))
    }
}

impl Index {
    /// Opens or makes it. A half-written snapshot of sled, which it would stumble over, is removed first.
    ///
    /// # Errors
    /// When sled can't open it, or panics over it.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(".generating") {
                std::fs::remove_file(entry.path()).map_err(|error| IndexError(error.to_string()))?;
            }
        }
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
        let db = guarded(|| config.open())?;
        Ok(Self { db })
    }

    /// Size and last leaf of what is indexed; nothing when it is empty. What can't be read has no leaf that anything else has.
    ///
    /// # Errors
    /// What sled says.
    pub fn extent(&self) -> Result<Option<(u64, Hash)>, IndexError> {
        let Some((size, _)) = self.newest()? else { return Ok(None) };
        let last = self.records(size.saturating_sub(1), size).next().transpose()?;
        Ok(Some((size, last.map_or(NO_PREV, |(_, record)| leaf_hash(&record.line)))))
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// What sled says.
    pub fn apply(&self, batch: &Batch) -> Result<(), IndexError> {
        for (first, group) in groups(batch) {
            put(&self.db, b'e', &first.to_be_bytes(), &group)?;
        }
        for (seq, record) in (batch.first..).zip(&batch.records) {
            let seq = seq.to_be_bytes();
            for (ordinal, sealed) in (0u32..).zip(&record.sealed) {
                let at = [&seq[..], &ordinal.to_be_bytes()].concat();
                put(&self.db, b's', &at, &[&sealed.subject.0[..], &sealed.bytes].concat())?;
                insert(&self.db, &key(b'u', &[&sealed.subject.0, &seq]), &[])?;
            }
        }
        insert(&self.db, &key(b'h', &[&batch.size().to_be_bytes()]), batch.head.as_bytes())
    }

    /// The records of a range, in order. What is missing is simply not there.
    pub fn records(&self, from: u64, to: u64) -> impl Iterator<Item = Result<(u64, Record), IndexError>> + use<> {
        let bound = |letter, seq: u64| key(letter, &[&seq.to_be_bytes()]);
        let pieces = |range| Pieces { range: self.db.range::<Vec<u8>, _>(range) };
        let to = to.max(from);
        let mut sealed = pieces(bound(b's', from)..bound(b's', to)).peekable();
        let start = self.group_of(from);
        let groups = start.map(|start| pieces(bound(b'e', start)..bound(b'e', to)));
        let (groups, error) = groups.map_or_else(|error| (None, Some(Err(error))), |groups| (Some(groups), None));
        let lines = groups.into_iter().flatten().flat_map(ungroup);
        let wanted = lines.filter(move |line| line.as_ref().map_or(true, |(seq, _)| (from..to).contains(seq)));
        error.into_iter().chain(wanted).map(move |found| {
            let (seq, line) = found?;
            let mut record = Record { line, sealed: Vec::new() };
            while let Some(next) =
                sealed.next_if(|next| next.as_ref().is_ok_and(|(at, _)| at.starts_with(&seq.to_be_bytes())))
            {
                let (_, value) = next?;
                let (subject, bytes) =
                    value.split_first_chunk().ok_or_else(|| IndexError("a disclosure is torn".into()))?;
                record.sealed.push(Sealed { subject: SubjectId(*subject), bytes: bytes.to_vec() });
            }
            Ok((seq, record))
        })
    }

    /// Where the group begins that holds an entry.
    fn group_of(&self, seq: u64) -> Result<u64, IndexError> {
        let (from, to) = (key(b'e', &[]), key(b'e', &[&seq.to_be_bytes(), &[u8::MAX]]));
        let Some((key, _)) = guarded(|| self.db.range(from..=to).next_back().transpose())? else { return Ok(seq) };
        number(key.get(1..9).unwrap_or_default())
    }

    /// The indexes of the entries that hold disclosures of a person.
    pub fn of_subject(&self, subject: SubjectId) -> impl Iterator<Item = Result<u64, IndexError>> + use<> {
        let (from, to) = (key(b'u', &[&subject.0]), key(b'u', &[&subject.0, &[u8::MAX; 9]]));
        self.db.range(from..to).map(|found| number(found?.0.get(17..).unwrap_or_default()))
    }

    /// The smallest signed head over at least `size` entries.
    ///
    /// # Errors
    /// What sled says.
    pub fn head_from(&self, size: u64) -> Result<Option<String>, IndexError> {
        let (from, to) = (key(b'h', &[&size.to_be_bytes()]), key(b'h', &[&[u8::MAX; 9]]));
        let Some(found) = self.db.range(from..to).next() else { return Ok(None) };
        String::from_utf8(found?.1.to_vec()).map(Some).map_err(|_| IndexError("a head is torn".into()))
    }

    /// The signed head over the most entries; nothing when it is not text.
    ///
    /// # Errors
    /// What sled says.
    pub fn newest_head(&self) -> Result<Option<String>, IndexError> {
        Ok(self.newest()?.and_then(|(_, note)| String::from_utf8(note).ok()))
    }

    fn newest(&self) -> Result<Option<(u64, Vec<u8>)>, IndexError> {
        let (from, to) = (key(b'h', &[]), key(b'h', &[&[u8::MAX; 9]]));
        let Some((key, note)) = guarded(|| self.db.range(from..to).next_back().transpose())? else { return Ok(None) };
        Ok(Some((number(key.get(1..).unwrap_or_default())?, note.to_vec())))
    }
}

/// The lines of a batch in groups that fit into one piece each, or are one long line: fewer records in sled are less memory,
/// less disk and less work. Each line has its length in four bytes before it.
fn groups(batch: &Batch) -> Vec<(u64, Vec<u8>)> {
    let mut groups: Vec<(u64, Vec<u8>)> = Vec::new();
    for (seq, record) in (batch.first..).zip(&batch.records) {
        let length = u32::try_from(record.line.len()).unwrap_or(u32::MAX).to_le_bytes();
        match groups.last_mut().filter(|(_, group)| group.len() + length.len() + record.line.len() <= PIECE_MAX_BYTES) {
            Some((_, group)) => group.extend_from_slice(&length),
            None => groups.push((seq, length.to_vec())),
        }
        if let Some((_, group)) = groups.last_mut() {
            group.extend_from_slice(&record.line);
        }
    }
    groups
}

type Numbered = Result<(u64, Vec<u8>), IndexError>;

/// The lines of a group, with their indexes.
fn ungroup(group: Result<(Vec<u8>, Vec<u8>), IndexError>) -> Vec<Numbered> {
    let torn = || vec![Err(IndexError("a group is torn".into()))];
    let (first, group) = match group.and_then(|(at, group)| Ok((number(&at)?, group))) {
        Ok(read) => read,
        Err(error) => return vec![Err(error)],
    };
    let (mut lines, mut rest) = (Vec::new(), group.as_slice());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((line, after)) = after.split_at_checked(length) else { return torn() };
        lines.push(Ok((first + lines.len() as u64, line.to_vec())));
        rest = after;
    }
    if rest.is_empty() { lines } else { torn() }
}

fn number(bytes: &[u8]) -> Result<u64, IndexError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| IndexError("a key is torn".into()))
}

/// Runs a call into sled; a panic of its is one more way to be damaged.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => Ok(result?),
        Err(_) => Err(IndexError("sled panicked over it".into())),
    }
}

#[cfg(test)]
mod tests;
