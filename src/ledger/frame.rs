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

use super::ids::SubjectId;

/// What a frame begins with.
pub const FRAME_MAGIC: [u8; 4] = *b"CSF1";

/// Magic, length and checksum.
pub const FRAME_HEADER_BYTES: usize = 12;

/// Largest payload.
pub const FRAME_MAX_BYTES: usize = 16 * 1024 * 1024;

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

impl Batch {
    /// The size of the log with this batch.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.first + self.records.len() as u64
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
        let record = |record: &RecordRef<'_>| Record {
            line: record.line.to_vec(),
            sealed: record
                .sealed
                .iter()
                .map(|(subject, bytes)| Sealed { subject: *subject, bytes: bytes.to_vec() })
                .collect(),
        };
        Batch { first: self.first, records: self.records.iter().map(record).collect(), head: self.head.to_owned() }
    }
}

/// The bytes of a frame, header and payload; `None` when it is over [`FRAME_MAX_BYTES`].
#[must_use]
pub fn encode(batch: &Batch) -> Option<Vec<u8>> {
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    let length = |frame: &mut Vec<u8>, n: usize| {
        frame.extend_from_slice(&u32::try_from(n).ok()?.to_le_bytes());
        Some(())
    };
    frame.extend_from_slice(&batch.first.to_le_bytes());
    length(&mut frame, batch.records.len())?;
    for record in &batch.records {
        length(&mut frame, record.line.len())?;
        frame.extend_from_slice(&record.line);
        length(&mut frame, record.sealed.len())?;
        for sealed in &record.sealed {
            frame.extend_from_slice(&sealed.subject.0);
            length(&mut frame, sealed.bytes.len())?;
            frame.extend_from_slice(&sealed.bytes);
        }
    }
    length(&mut frame, batch.head.len())?;
    frame.extend_from_slice(batch.head.as_bytes());
    let (header, payload) = frame.split_first_chunk_mut::<FRAME_HEADER_BYTES>()?;
    if payload.len() > FRAME_MAX_BYTES {
        return None;
    }
    let size = u32::try_from(payload.len()).ok()?.to_le_bytes();
    let crc = checksum(size, payload).to_le_bytes();
    for (to, from) in header.iter_mut().zip([FRAME_MAGIC, size, crc].as_flattened()) {
        *to = *from;
    }
    Some(frame)
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
        let line = rest.sized()?;
        let count = rest.length()?;
        let mut sealed = Vec::with_capacity(count.min(payload.len() / 20));
        for _ in 0..count {
            let subject = SubjectId(*rest.take(16)?.first_chunk()?);
            sealed.push((subject, rest.sized()?));
        }
        records.push(RecordRef { line, sealed });
    }
    let head = std::str::from_utf8(rest.sized()?).ok()?;
    rest.0.is_empty().then_some(BatchRef { first, records, head })
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
        assert_eq!(raw.decode().unwrap().to_batch(), batch);
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
    fn a_payload_that_promises_too_much_is_refused() {
        let mut payload = 0u64.to_le_bytes().to_vec();
        payload.extend_from_slice(&u32::MAX.to_le_bytes());
        let raw = Raw { size: [0; 4], crc: 0, payload: &payload };
        assert!(raw.decode().is_none());
    }
}
