//! Reading a journal from front to back, or from a place on: strictly, for the start. `verify` reads it leniently.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
};

use super::{
    frame::{BatchRef, FRAME_HEADER_BYTES, FRAME_MAX_BYTES, Raw},
    journal::{self, End, Piece, SEGMENT_HEADER_BYTES},
    store::{Place, Stopped},
};

/// How much is read at once where little is expected.
const BLOCK_BYTES: usize = 64 * 1024;

/// How many frames are checked together at the start.
pub const WAVE_FRAMES: usize = 4_096;

/// A damaged journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Index of the entry from which on it is damaged.
    pub index: u64,
    /// One sentence.
    pub words: String,
}

/// What takes the batches, some at a time.
pub type Wave<'a> = &'a mut dyn FnMut(&[BatchRef<'_>]) -> Result<(), Stopped>;

/// One reading of a journal, and what it leaves.
#[derive(Debug)]
pub struct Replay {
    dir: PathBuf,
    /// Entries so far.
    pub size: u64,
    /// The last segment and where it ends, once it is known.
    pub end: Option<(u64, End)>,
    /// What is wrong with it.
    pub damage: Option<Damage>,
}

/// What is left of a segment, up to where more zeros follow than one frame can leave behind: from a snapshot on, the start
/// need not read through what was only reserved. A whole reading, and `verify`, do.
fn until_empty(file: &mut File) -> io::Result<Vec<u8>> {
    let (mut found, mut block, mut zeros) = (Vec::new(), vec![0; BLOCK_BYTES], 0);
    let empty = vec![0; BLOCK_BYTES];
    while zeros <= FRAME_HEADER_BYTES + FRAME_MAX_BYTES {
        let length = file.read(&mut block)?;
        let read = block.get(..length).unwrap_or_default();
        if read.is_empty() {
            break;
        }
        if empty.starts_with(read) {
            zeros += length;
            continue;
        }
        found.resize(found.len() + zeros, 0);
        found.extend_from_slice(read);
        zeros = 0;
    }
    Ok(found)
}

impl Replay {
    /// A reading of the journal in a folder.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), size: 0, end: None, damage: None }
    }

    /// Hands the batches from a place on to `wave`, and stops at the first damage, or when told to.
    ///
    /// # Errors
    /// What the disk says.
    pub fn run(&mut self, from: Place, wave: Wave<'_>) -> io::Result<()> {
        let segments = journal::segments(&self.dir)?;
        let mut last: Option<(u64, End)> = None;
        for (due, (number, path)) in (0..).zip(&segments) {
            if last.is_some_and(|(_, end)| end.torn()) {
                self.damaged(format!("the segment before segment {due} is damaged at its end"));
                return Ok(());
            }
            if *number != due {
                self.damaged(format!("segment {due} is missing"));
                return Ok(());
            }
            if due < from.segment {
                continue;
            }
            // The place before the first commit is before the header of the first segment.
            let offset = if due == from.segment { from.offset } else { 0 };
            let at = offset.max(SEGMENT_HEADER_BYTES as u64);
            let Some(end) = self.segment(*number, path, at, wave)? else { return Ok(()) };
            last = Some((*number, end));
        }
        if from.offset > 0 && last.is_none() {
            self.damaged(format!("segment {} is missing", from.segment));
            return Ok(());
        }
        self.end = last;
        Ok(())
    }

    fn segment(&mut self, number: u64, path: &Path, from: u64, wave: Wave<'_>) -> io::Result<Option<End>> {
        let mut file = File::open(path)?;
        let mut head = Vec::new();
        file.by_ref().take(SEGMENT_HEADER_BYTES as u64).read_to_end(&mut head)?;
        if journal::first_of(&head, number).is_none() {
            self.damaged(format!("segment {number} has a damaged header"));
            return Ok(None);
        }
        if file.metadata()?.len() < from {
            self.damaged(format!("segment {number} is cut off"));
            return Ok(None);
        }
        file.seek(io::SeekFrom::Start(from))?;
        let bytes = if from == SEGMENT_HEADER_BYTES as u64 {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            bytes
        } else {
            until_empty(&mut file)?
        };
        let (pieces, end) = journal::pieces_from(&bytes, usize::try_from(from).unwrap_or(usize::MAX));
        let mut offset = from;
        let good: Vec<(Place, Raw<'_>)> = pieces
            .iter()
            .map_while(|piece| match piece {
                Piece::Frame(raw) => {
                    let place = Place { segment: number, offset };
                    offset += raw.frame_bytes() as u64;
                    Some((place, *raw))
                }
                Piece::Broken(_) | Piece::Gap { .. } => None,
            })
            .collect();
        for raws in good.chunks(WAVE_FRAMES) {
            let batches: Vec<BatchRef<'_>> =
                raws.iter().map_while(|(place, raw)| Some(BatchRef { place: *place, ..raw.decode()? })).collect();
            self.size = batches.last().map_or(self.size, |last| last.first + last.records.len() as u64);
            if wave(&batches).is_err() {
                return Ok(None);
            }
            if batches.len() < raws.len() {
                self.damaged(format!("segment {number} holds a frame that is no batch"));
                return Ok(None);
            }
        }
        if good.len() < pieces.len() || end.beyond_one_frame() {
            self.damaged(format!("segment {number} is damaged between its frames"));
            return Ok(None);
        }
        Ok(Some(end))
    }

    fn damaged(&mut self, words: String) {
        self.damage = Some(Damage { index: self.size, words });
    }
}
