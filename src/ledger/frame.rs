//! One journal frame: what one commit makes durable, as bytes.
//!
//! ```text
//! magic "CSF1" | payload length u32 | CRC-32C of length and payload u32 | payload
//! payload: first index u64 | entries u32 | entry… | head length u32 | head (a signed note)
//! entry:   line length u32 | line | disclosures u32 | disclosure…
//! disclosure: subject 16 bytes | length u32 | sealed bytes
//! ```
//!
//! Numbers are little-endian. The checksum is only for torn writes: tampering is what the chain and the signature are for.

use std::ops::Range;

use super::{ids::SubjectId, store::Place};

/// What a frame begins with.
pub const FRAME_MAGIC: [u8; 4] = *b"CSF1";

/// Magic, length and checksum.
pub const FRAME_HEADER_BYTES: usize = 12;

/// Largest payload.
pub const FRAME_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Where the entries begin in a frame: after the header, the first index and their number.
pub const ENTRIES_AT: usize = FRAME_HEADER_BYTES + 12;

/// A sealed disclosure of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Whose key opens it.
    pub subject: SubjectId,
    /// Nonce and ciphertext.
    pub bytes: Vec<u8>,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The line.
    pub line: Vec<u8>,
    /// Its disclosures, in the order in which they were given.
    pub sealed: Vec<Sealed>,
}

/// What one commit makes durable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// Index of the first entry.
    pub first: u64,
    /// The entries.
    pub records: Vec<Record>,
    /// The signed head over all entries up to the last of these.
    pub head: String,
}

/// Where the entries of a frame stand, and whose disclosures they hold: what the index keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// Index of the first entry.
    pub first: u64,
    /// Where each entry ends, in bytes after [`ENTRIES_AT`].
    pub ends: Vec<u32>,
    /// Which entry holds something of whom.
    pub subjects: Vec<(u64, SubjectId)>,
}

impl Shape {
    /// The size of the log with these entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.first + self.ends.len() as u64
    }
}

/// An entry inside a frame's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// The line.
    pub line: &'a [u8],
    /// Subject and sealed bytes of each disclosure.
    pub sealed: Vec<(SubjectId, &'a [u8])>,
}

/// A frame's payload, taken apart without copying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRef<'a> {
    /// Where its frame begins; nowhere when it was not read from a journal's segment.
    pub place: Place,
    /// Index of the first entry.
    pub first: u64,
    /// The entries.
    pub records: Vec<RecordRef<'a>>,
    /// The signed head.
    pub head: &'a str,
}

impl BatchRef<'_> {
    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_batch(&self) -> Batch {
        let records = self.records.iter().map(RecordRef::to_record).collect();
        Batch { first: self.first, records, head: self.head.to_owned() }
    }

    /// Where its entries stand.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let mut shape = Shape { first: self.first, ..Shape::default() };
        let mut end = 0;
        for (seq, record) in (self.first..).zip(&self.records) {
            end += record.bytes();
            shape.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
            shape.subjects.extend(record.sealed.iter().map(|(subject, _)| (seq, *subject)));
        }
        shape
    }
}

impl RecordRef<'_> {
    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_record(&self) -> Record {
        let owned = |(subject, bytes): &(SubjectId, &[u8])| Sealed { subject: *subject, bytes: bytes.to_vec() };
        Record { line: self.line.to_vec(), sealed: self.sealed.iter().map(owned).collect() }
    }

    /// How long it is in a frame.
    fn bytes(&self) -> usize {
        8 + self.line.len() + self.sealed.iter().map(|(_, bytes)| 20 + bytes.len()).sum::<usize>()
    }
}

/// A frame in the making: each entry is written once, where it will stand.
#[derive(Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    shape: Shape,
}

/// How far a frame in the making was, to go back to.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    bytes: usize,
    entries: usize,
    subjects: usize,
}

impl Builder {
    /// A frame whose first entry will have that index. It is written into `bytes`, of which only the room is used.
    #[must_use]
    pub fn new(first: u64, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.resize(FRAME_HEADER_BYTES, 0);
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        Self { bytes, shape: Shape { first, ..Shape::default() } }
    }

    /// How many entries it has.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.shape.ends.len()
    }

    /// How far it is.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), entries: self.entries(), subjects: self.shape.subjects.len() }
    }

    /// Takes everything back that came after a mark.
    pub fn back_to(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.shape.ends.truncate(mark.entries);
        self.shape.subjects.truncate(mark.subjects);
    }

    /// Adds an entry, whose line is what `write` adds; says where that stands.
    pub fn entry(&mut self, write: impl FnOnce(&mut Vec<u8>), sealed: &[Sealed]) -> Range<usize> {
        let seq = self.shape.size();
        self.bytes.extend_from_slice(&[0; 4]);
        let start = self.bytes.len();
        write(&mut self.bytes);
        let end = self.bytes.len();
        put_length(&mut self.bytes, start - 4, end - start);
        self.length(sealed.len());
        for Sealed { subject, bytes } in sealed {
            self.bytes.extend_from_slice(&subject.0);
            self.length(bytes.len());
            self.bytes.extend_from_slice(bytes);
            self.shape.subjects.push((seq, *subject));
        }
        self.shape.ends.push(u32::try_from(self.bytes.len() - ENTRIES_AT).unwrap_or(u32::MAX));
        start..end
    }

    /// The bytes of a place that [`Builder::entry`] gave.
    #[must_use]
    pub fn at(&self, place: Range<usize>) -> &[u8] {
        self.bytes.get(place).unwrap_or_default()
    }

    fn length(&mut self, n: usize) {
        self.bytes.extend_from_slice(&clamped(n));
    }

    /// The bytes of the frame, header and payload, and its shape; `None` when it is over [`FRAME_MAX_BYTES`].
    #[must_use]
    pub fn finish(mut self, head: &str) -> Option<(Vec<u8>, Shape)> {
        let entries = self.entries();
        put_length(&mut self.bytes, ENTRIES_AT - 4, entries);
        self.length(head.len());
        self.bytes.extend_from_slice(head.as_bytes());
        let (header, payload) = self.bytes.split_first_chunk_mut::<FRAME_HEADER_BYTES>()?;
        // Below this, every length in the frame is what it says.
        if payload.len() > FRAME_MAX_BYTES {
            return None;
        }
        let size = u32::try_from(payload.len()).ok()?.to_le_bytes();
        let crc = checksum(size, payload).to_le_bytes();
        for (to, from) in header.iter_mut().zip([FRAME_MAGIC, size, crc].as_flattened()) {
            *to = *from;
        }
        Some((self.bytes, self.shape))
    }
}

fn clamped(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

fn put_length(bytes: &mut [u8], at: usize, n: usize) {
    if let Some(slot) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *slot = clamped(n);
    }
}

/// The bytes of a frame, header and payload; `None` when it is over [`FRAME_MAX_BYTES`].
#[must_use]
pub fn encode(batch: &Batch) -> Option<Vec<u8>> {
    let mut frame = Builder::new(batch.first, Vec::new());
    for record in &batch.records {
        frame.entry(|bytes| bytes.extend_from_slice(&record.line), &record.sealed);
    }
    frame.finish(&batch.head).map(|(bytes, _)| bytes)
}

/// The entries that stand one after the other in some bytes; `None` when they hold anything else.
#[must_use]
pub fn decode_entries(bytes: &[u8]) -> Option<Vec<RecordRef<'_>>> {
    let (mut rest, mut records) = (Rest(bytes), Vec::new());
    while !rest.0.is_empty() {
        records.push(rest.record()?);
    }
    Some(records)
}

fn checksum(size: [u8; 4], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&size), payload)
}

/// A frame that was found in the journal: its checksum is not checked yet.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    size: [u8; 4],
    crc: u32,
    /// The bytes after the header.
    pub payload: &'a [u8],
}

impl<'a> Raw<'a> {
    /// The frame at the start of `bytes`, if there can be one.
    #[must_use]
    pub fn at(bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(&FRAME_MAGIC)?;
        let (size, bytes) = bytes.split_first_chunk::<4>()?;
        let (crc, bytes) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*size)).ok().filter(|n| *n <= FRAME_MAX_BYTES)?;
        Some(Self { size: *size, crc: u32::from_le_bytes(*crc), payload: bytes.get(..length)? })
    }

    /// Length of the whole frame.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.payload.len()
    }

    /// Index of the first entry, without a look at the rest.
    #[cfg(test)]
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.payload.first_chunk().map(|first| u64::from_le_bytes(*first))
    }

    /// Whether the checksum holds.
    #[must_use]
    pub fn intact(&self) -> bool {
        checksum(self.size, self.payload) == self.crc
    }

    /// Takes the payload apart; `None` when it is not a batch.
    #[must_use]
    pub fn decode(&self) -> Option<BatchRef<'a>> {
        decode_payload(self.payload)
    }
}

/// Takes a payload apart; `None` when it is not a batch.
#[must_use]
pub fn decode_payload(payload: &[u8]) -> Option<BatchRef<'_>> {
    let mut rest = Rest(payload);
    let first = rest.u64()?;
    let entries = rest.length()?;
    // No more than could be there, however large a number says there are.
    let mut records = Vec::with_capacity(entries.min(payload.len() / 8));
    for _ in 0..entries {
        records.push(rest.record()?);
    }
    // Whoever counts from the one to the other, and one further, then needs no care.
    first.checked_add(records.len() as u64 + 1)?;
    let head = std::str::from_utf8(rest.sized()?).ok()?;
    rest.0.is_empty().then_some(BatchRef { place: Place::default(), first, records, head })
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(*self.take(4)?.first_chunk()?)).ok()
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn record(&mut self) -> Option<RecordRef<'a>> {
        let line = self.sized()?;
        let count = self.length()?;
        // No more than could be there, however large a number says there are.
        let mut sealed = Vec::with_capacity(count.min(self.0.len() / 20));
        for _ in 0..count {
            let subject = SubjectId(*self.take(16)?.first_chunk()?);
            sealed.push((subject, self.sized()?));
        }
        Some(RecordRef { line, sealed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_back_and_every_flip_is_seen() {
        let batch = Batch {
            first: 5,
            records: vec![
                Record {
                    line: b"one".to_vec(),
                    sealed: vec![Sealed { subject: SubjectId([1; 16]), bytes: b"sealed".to_vec() }],
                },
                Record { line: b"two".to_vec(), sealed: vec![] },
            ],
            head: "head\n".into(),
        };
        let bytes = encode(&batch).unwrap();
        let raw = Raw::at(&bytes).unwrap();
        assert!(raw.intact());
        assert_eq!((raw.first(), raw.frame_bytes()), (Some(5), bytes.len()));
        let read = raw.decode().unwrap();
        assert_eq!(read.to_batch(), batch);
        let ends = [8 + 3 + 20 + 6, 8 + 3 + 20 + 6 + 8 + 3];
        assert_eq!(read.shape(), Shape { first: 5, ends: ends.to_vec(), subjects: vec![(5, SubjectId([1; 16]))] });
        let entries = &bytes[ENTRIES_AT..];
        assert_eq!(decode_entries(&entries[37..48]).unwrap(), read.records[1..]);
        assert_eq!(decode_entries(&entries[..48]).unwrap(), read.records);
        assert_eq!(decode_entries(&entries[..47]), None);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(!Raw::at(&flipped).is_some_and(|raw| raw.intact()), "{at}");
            }
            assert!(Raw::at(&bytes[..at]).is_none());
        }
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let sealed = [Sealed { subject: SubjectId([1; 16]), bytes: vec![1; 30] }];
        let mut frame = Builder::new(7, b"used before".to_vec());
        frame.entry(|bytes| bytes.extend_from_slice(b"one"), &[]);
        let mark = frame.mark();
        let line = frame.entry(|bytes| bytes.extend_from_slice(b"two"), &sealed);
        assert_eq!((frame.at(line), frame.entries()), (&b"two"[..], 2));
        frame.back_to(mark);
        let (bytes, shape) = frame.finish("head\n").unwrap();
        let batch =
            Batch { first: 7, records: vec![Record { line: b"one".to_vec(), sealed: vec![] }], head: "head\n".into() };
        assert_eq!(bytes, encode(&batch).unwrap());
        assert_eq!(shape, Raw::at(&bytes).unwrap().decode().unwrap().shape());
    }

    #[test]
    fn a_payload_that_promises_too_much_is_refused() {
        let mut payload = 0u64.to_le_bytes().to_vec();
        payload.extend_from_slice(&u32::MAX.to_le_bytes());
        let raw = Raw { size: [0; 4], crc: 0, payload: &payload };
        assert!(raw.decode().is_none());
        // More entries than there are numbers left: found by the fuzzer.
        let one = |first| Batch { first, records: vec![Record::default()], head: "head".into() };
        let payload = |first: u64| {
            let mut payload = encode(&one(0)).unwrap().split_off(FRAME_HEADER_BYTES);
            payload[..8].copy_from_slice(&first.to_le_bytes());
            payload
        };
        assert!(decode_payload(&payload(u64::MAX - 1)).is_none());
        assert!(decode_payload(&payload(u64::MAX - 2)).is_some_and(|batch| batch.shape().size() == u64::MAX - 1));
    }
}
