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
    /// The ledger can't be read, or does not verify: an export would launder it.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
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
/// [`ExportError`]; what was written so far is left.
pub fn export(dir: &Path, to: &Path, with_disclosures: bool, knows: Knows) -> Result<Exported, ExportError> {
    let layout = Layout::new(dir);
    if journal::segments(&layout.journal())?.is_empty() {
        return Err(HistoryError::NoLedger(dir.to_owned()).into());
    }
    std::fs::create_dir_all(to)?;
    if std::fs::read_dir(to)?.next().is_some() {
        return Err(ExportError::NotEmpty(to.to_owned()));
    }
    // Personal data is its reader's alone from the first byte on.
    let secret = || File::options().write(true).create_new(true).mode(0o600).open(to.join(CLEAR_FILE));
    let clear = || Ok::<_, io::Error>((BufWriter::new(secret()?), People::at(&layout)));
    let mut export = Export {
        to,
        lines: BufWriter::new(File::create(to.join("log.jsonl"))?),
        disclosures: with_disclosures.then(clear).transpose()?,
        bundle: Vec::new(),
        nodes: AllNodes::default(),
        head: String::new(),
        rotations: Vec::new(),
        done: Exported::default(),
    };
    history::walk(&layout, dir, knows, |batches, walk| {
        export.nodes.0.extend_from_slice(&walk.nodes);
        let first = batches.first().map_or(u64::MAX, |batch| batch.first);
        let rotations: Vec<u64> = walk.tip.keys.rotations().filter(|index| *index >= first).collect();
        batches.iter().try_for_each(|batch| export.take(batch, &rotations)).map_err(ExportError::from)
    })?;
    export.finish()
}

impl Export<'_> {
    fn take(&mut self, batch: &BatchRef<'_>, rotations: &[u64]) -> io::Result<()> {
        let inside = batch.first..batch.first + batch.records.len() as u64;
        let brought = rotations.iter().filter(|index| inside.contains(index));
        self.rotations.extend(brought.map(|index| (*index, batch.head.to_owned())));
        for (seq, record) in (batch.first..).zip(&batch.records) {
            self.lines.write_all(record.line)?;
            self.lines.write_all(b"\n")?;
            self.bundle.push(record.line.to_vec());
            self.done.entries += 1;
            if self.bundle.len() as u64 == TILE_WIDTH {
                self.put_bundle()?;
            }
            let (Some((clear, people)), Ok(line)) = (&mut self.disclosures, Line::read(record.line)) else { continue };
            for (ordinal, (subject, sealed)) in (0..).zip(&record.sealed) {
                match people.open(&line, ordinal, *subject, sealed)? {
                    Looked::Open(open) => {
                        writeln!(clear, "{}", json!({"disclosure": open.encoded, "seq": seq, "subject": subject}))?;
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

    fn finish(mut self) -> Result<Exported, ExportError> {
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
        std::fs::write(self.to.join("checkpoint"), &self.head)?;
        Ok(self.done)
    }
}
