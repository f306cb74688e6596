//! Exporting a ledger: the C2SP layout, `log.jsonl`, and with the right the disclosures that can still be opened.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    check::Knows,
    disk::Layout,
    frame::BatchRef,
    history::{self, HistoryError, Looked, People},
    journal,
    line::Line,
    publish::{put_rotation, put_tile},
    tiles::{TILE_HEIGHT, TILE_WIDTH, bundle, tiles_between},
    tree::Nodes as _,
    verify::{AllNodes, CLEAR_FILE},
};

/// The entries, a line each.
const LINES_FILE: &str = "log.jsonl";
/// The head over them: written last, so that nothing without it is taken for an export.
const CHECKPOINT_FILE: &str = "checkpoint";

/// What was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Entries.
    pub entries: u64,
    /// Disclosures, written in clear.
    pub disclosures: u64,
    /// Disclosures left out, as whom they are of was erased.
    pub erased: u64,
    /// Disclosures left out that can't be opened, though whom they are of was not erased. `verify` says whose they are.
    pub locked: u64,
}

/// Why nothing, or not all, was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The target is there and not empty.
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    /// The target is in the folder of the ledger: what is there is the ledger's, and copies of it would not be.
    #[error("{0} is in the ledger's own folder")]
    Inside(PathBuf),
    /// The target can't be written.
    #[error("{} can't be written: {error}", .to.display())]
    Target {
        /// The target.
        to: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// An export broke off, and what it had written can't be removed.
    #[error("{broke_off}; and what is left in {} can't be removed: {error}", .to.display())]
    Left {
        /// The target.
        to: PathBuf,
        /// Why it broke off.
        broke_off: Box<ExportError>,
        /// Why it can't be removed.
        error: io::Error,
    },
    /// The ledger can't be read, or does not verify: an export would launder it.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The key of a person can't be read.
    #[error("the keys can't be read: {0}")]
    Keys(io::Error),
}

struct Export<'a> {
    to: &'a Path,
    lines: BufWriter<File>,
    disclosures: Option<(BufWriter<File>, People)>,
    bundle: Vec<Vec<u8>>,
    nodes: AllNodes,
    head: String,
    /// The heads that took keys in, by the entries that brought them.
    rotations: Vec<(u64, String)>,
    done: Exported,
}

/// Exports the ledger in `dir` to the folder `to`, which must be empty or not there. With `with_disclosures`, personal
/// data is written in clear to `disclosures.jsonl`, mode 0600. The service may be running. Blocks.
///
/// # Errors
/// [`ExportError`]; what was written so far is removed again.
pub fn export(dir: &Path, to: &Path, with_disclosures: bool, knows: Knows) -> Result<Exported, ExportError> {
    let layout = Layout::new(dir);
    if journal::segments(&layout.journal()).map_err(HistoryError::from)?.is_empty() {
        return Err(HistoryError::NoLedger(dir.to_owned()).into());
    }
    if is_inside(to, dir) {
        return Err(ExportError::Inside(to.to_owned()));
    }
    let refused = |error| ExportError::Target { to: to.to_owned(), error };
    let ours = !to.exists();
    std::fs::create_dir_all(to).map_err(refused)?;
    if std::fs::read_dir(to).map_err(refused)?.next().is_some() {
        return Err(ExportError::NotEmpty(to.to_owned()));
    }
    write(&layout, dir, to, with_disclosures, knows).map_err(|broke_off| match remove(to, ours) {
        Ok(()) => broke_off,
        Err(error) => ExportError::Left { to: to.to_owned(), broke_off: Box::new(broke_off), error },
    })
}

/// Whether a folder that may not be there yet would be in another, by whatever name.
fn is_inside(to: &Path, dir: &Path) -> bool {
    let (Ok(to), Ok(dir)) = (std::path::absolute(to), dir.canonicalize()) else { return false };
    to.ancestors().find_map(|above| above.canonicalize().ok()).is_some_and(|above| above.starts_with(dir))
}

/// Removes what an export writes, and the folder if that is `ours`.
fn remove(to: &Path, ours: bool) -> io::Result<()> {
    let gone = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    for file in [CLEAR_FILE, LINES_FILE, CHECKPOINT_FILE] {
        gone(std::fs::remove_file(to.join(file)))?;
    }
    for folder in ["tile", "rotation"] {
        gone(std::fs::remove_dir_all(to.join(folder)))?;
    }
    if ours { std::fs::remove_dir(to) } else { Ok(()) }
}

fn write(
    layout: &Layout,
    dir: &Path,
    to: &Path,
    with_disclosures: bool,
    knows: Knows,
) -> Result<Exported, ExportError> {
    let refused = |error| ExportError::Target { to: to.to_owned(), error };
    // Personal data is its reader's alone from the first byte on.
    let secret = || File::options().write(true).create_new(true).mode(0o600).open(to.join(CLEAR_FILE));
    let clear = || Ok::<_, io::Error>((BufWriter::new(secret()?), People::at(layout)));
    let mut export = Export {
        to,
        lines: BufWriter::new(File::create(to.join(LINES_FILE)).map_err(refused)?),
        disclosures: with_disclosures.then(clear).transpose().map_err(refused)?,
        bundle: Vec::new(),
        nodes: AllNodes::default(),
        head: String::new(),
        rotations: Vec::new(),
        done: Exported::default(),
    };
    history::walk(layout, dir, knows, |batches, walk| {
        export.nodes.0.extend_from_slice(&walk.nodes);
        let first = batches.first().map_or(u64::MAX, |batch| batch.first);
        let rotations: Vec<u64> = walk.tip.keys.rotations().filter(|index| *index >= first).collect();
        batches.iter().try_for_each(|batch| export.take(batch, &rotations))
    })?;
    export.finish().map_err(refused)
}

impl Export<'_> {
    fn take(&mut self, batch: &BatchRef<'_>, rotations: &[u64]) -> Result<(), ExportError> {
        let refused = |error| ExportError::Target { to: self.to.to_owned(), error };
        let inside = batch.first..batch.first + batch.records.len() as u64;
        let brought = rotations.iter().filter(|index| inside.contains(index));
        self.rotations.extend(brought.map(|index| (*index, batch.head.to_owned())));
        for (seq, record) in (batch.first..).zip(&batch.records) {
            self.lines.write_all(record.line).and_then(|()| self.lines.write_all(b"\n")).map_err(refused)?;
            self.bundle.push(record.line.to_vec());
            self.done.entries += 1;
            if self.bundle.len() as u64 == TILE_WIDTH {
                self.put_bundle().map_err(refused)?;
            }
            let (Some((clear, people)), Ok(line)) = (&mut self.disclosures, Line::read(record.line)) else { continue };
            for (ordinal, (subject, sealed)) in (0..).zip(&record.sealed) {
                match people.open(&line, ordinal, *subject, sealed).map_err(ExportError::Keys)? {
                    Looked::Open(open) => {
                        let disclosure = json!({"disclosure": open.encoded, "seq": seq, "subject": subject});
                        writeln!(clear, "{disclosure}").map_err(refused)?;
                        self.done.disclosures += 1;
                    }
                    Looked::Erased => self.done.erased += 1,
                    Looked::Locked(_) => self.done.locked += 1,
                }
            }
        }
        batch.head.clone_into(&mut self.head);
        Ok(())
    }

    fn put_bundle(&mut self) -> io::Result<()> {
        let first = self.done.entries - self.bundle.len() as u64;
        let tile = super::tiles::Tile { level: None, n: first / TILE_WIDTH, width: self.bundle.len() as u64 };
        let bytes =
            bundle(self.bundle.iter().map(Vec::as_slice)).ok_or_else(|| io::Error::other("a line is too long"))?;
        put_tile(self.to, tile, &bytes)?;
        self.bundle.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Exported> {
        if !self.bundle.is_empty() {
            self.put_bundle()?;
        }
        for tile in tiles_between(0, self.done.entries) {
            let Some(level) = tile.level else { continue };
            let first = tile.n * TILE_WIDTH;
            let hashes: io::Result<Vec<_>> =
                (first..first + tile.width).map(|n| self.nodes.node(level * TILE_HEIGHT, n)).collect();
            put_tile(self.to, tile, hashes?.as_flattened())?;
        }
        self.lines.flush()?;
        if let Some((clear, _)) = &mut self.disclosures {
            clear.flush()?;
        }
        for (index, head) in &self.rotations {
            put_rotation(self.to, *index, head)?;
        }
        std::fs::write(self.to.join(CHECKPOINT_FILE), &self.head)?;
        Ok(self.done)
    }
}
