//! Names and bytes of the C2SP tlog-tiles layout: <https://c2sp.org/tlog-tiles>.

use super::hash::Hash;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Levels of the tree in one level of tiles.
pub const TILE_HEIGHT: u32 = 8;

/// The number in a path: groups of three digits, all but the last marked with `x`.
fn number(n: u64) -> String {
    let mut path = format!("{:03}", n % 1_000);
    let mut rest = n / 1_000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    path
}

/// A tile or bundle: `level` is `None` for a bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Its level, or none for entries.
    pub level: Option<u32>,
    /// Its number within the level.
    pub n: u64,
    /// How many hashes or entries, 1 to [`TILE_WIDTH`].
    pub width: u64,
}

impl Tile {
    /// The path of the full tile.
    #[must_use]
    pub fn full_path(&self) -> String {
        let level = self.level.map_or_else(|| "entries".to_owned(), |level| level.to_string());
        format!("tile/{level}/{}", number(self.n))
    }

    /// Its path below the log's address: a partial one ends in `.p/W`.
    #[must_use]
    pub fn path(&self) -> String {
        let full = self.full_path();
        if self.width == TILE_WIDTH { full } else { format!("{full}.p/{}", self.width) }
    }
}

/// The tiles of a tree that hold something beyond the tree of `old` leaves: per level and for the entries.
pub fn tiles_between(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let levels = (0..u64::BITS / TILE_HEIGHT).take_while(move |level| new >> (level * TILE_HEIGHT) > 0);
    std::iter::once(None).chain(levels.map(Some)).flat_map(move |level| {
        let shift = level.unwrap_or_default() * TILE_HEIGHT;
        let (from, to) = (old >> shift, new >> shift);
        // A tile that was full is not written again; one that has grown is.
        let tiles = if from == to { 0..0 } else { from / TILE_WIDTH..to.div_ceil(TILE_WIDTH) };
        tiles.map(move |n| Tile { level, n, width: (to - n * TILE_WIDTH).min(TILE_WIDTH) })
    })
}

/// The bytes of a bundle of entries: each with its length in two bytes before it. `None` when one is too long.
#[must_use]
pub fn bundle<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(&u16::try_from(line.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(line);
    }
    Some(bytes)
}

/// The entries of a bundle; `None` when it does not hold exactly `count`.
#[must_use]
pub fn entries(mut bundle: &[u8], count: u64) -> Option<Vec<&[u8]>> {
    let mut lines = Vec::new();
    for _ in 0..count {
        let (length, rest) = bundle.split_first_chunk::<2>()?;
        let (line, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        lines.push(line);
        bundle = rest;
    }
    bundle.is_empty().then_some(lines)
}

/// The hashes of a tile; `None` when it does not hold exactly `count`.
#[must_use]
pub fn hashes(tile: &[u8], count: u64) -> Option<&[Hash]> {
    let (hashes, rest) = tile.as_chunks();
    (rest.is_empty() && hashes.len() as u64 == count).then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (n, width, path) in [
            (0, 256, "tile/0/000"),
            (0, 1, "tile/0/000.p/1"),
            (999, 256, "tile/0/999"),
            (1_000, 256, "tile/0/x001/000"),
            (1_234_067, 255, "tile/0/x001/x234/067.p/255"),
        ] {
            assert_eq!(Tile { level: Some(0), n, width }.path(), path);
        }
        assert_eq!(Tile { level: None, n: 5, width: 256 }.path(), "tile/entries/005");
    }

    #[test]
    fn what_a_grown_tree_needs() {
        let paths = |old, new| tiles_between(old, new).map(|tile| tile.path()).collect::<Vec<_>>();
        assert_eq!(paths(0, 0), [""; 0]);
        assert_eq!(paths(0, 1), ["tile/entries/000.p/1", "tile/0/000.p/1"]);
        assert_eq!(
            paths(255, 257),
            ["tile/entries/000", "tile/entries/001.p/1", "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]
        );
        assert_eq!(paths(256, 256), [""; 0]);
        assert_eq!(paths(256, 257), ["tile/entries/001.p/1", "tile/0/001.p/1"]);
        assert_eq!(tiles_between(0, 65_537).count(), 257 + 257 + 2 - 1 + 1);
    }

    #[test]
    fn a_bundle_is_read_back() {
        let bytes = bundle([&b"one"[..], b""].into_iter()).unwrap();
        assert_eq!(entries(&bytes, 2).unwrap(), [&b"one"[..], b""]);
        assert_eq!(entries(&bytes, 1), None);
        assert_eq!(entries(&bytes, 3), None);
        assert_eq!(bundle([&vec![0; 65_536][..]].into_iter()), None);
    }
}
