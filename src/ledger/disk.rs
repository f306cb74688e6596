//! The store on disk: the journal that is the truth, sled and the node file over it, and the vault beside them.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    blocks::{allocate, free_bytes},
    derive::{Derived, Deriver},
    disclosure::SubjectKey,
    frame::BatchRef,
    hash::{Hash, leaf_hash},
    ids::SubjectId,
    index::{Index, IndexError, Indexed},
    journal::{self, End, Journal, Sizes},
    nodes::NodeFile,
    notice::Notice,
    replay::{Damage, Replay, Wave},
    store::{Commit, Place, Store, StoreError},
    vault::Vault,
};

/// Spare space that is given up on a full disk, so that a break-glass can still be recorded.
pub const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// Where everything is in a ledger's folder.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of a folder.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The journal's segments.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.root.join("sled")
    }

    /// There when the index was found damaged while it was read: the next start builds it again.
    #[must_use]
    pub fn index_damaged(&self) -> PathBuf {
        self.root.join("sled.damaged")
    }

    /// The nodes of the tree.
    #[must_use]
    pub fn nodes(&self) -> PathBuf {
        self.root.join("nodes")
    }

    /// The sealing keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The newest signed head, outside both stores.
    #[must_use]
    pub fn head(&self) -> PathBuf {
        self.root.join("head")
    }

    /// The signing key.
    #[must_use]
    pub fn signing_key(&self) -> PathBuf {
        self.root.join("signing-key.pem")
    }

    /// The signing key that a rotation is bringing in.
    #[must_use]
    pub fn next_signing_key(&self) -> PathBuf {
        self.root.join("signing-key.next.pem")
    }

    /// The signing key that a rotation has taken out, until it is wiped.
    #[must_use]
    pub fn old_signing_key(&self) -> PathBuf {
        self.root.join("signing-key.old.pem")
    }

    /// What the service had folded at its last snapshot.
    #[must_use]
    pub fn snapshot(&self) -> PathBuf {
        self.root.join("snapshot")
    }

    /// The public copy.
    #[must_use]
    pub fn public(&self) -> PathBuf {
        self.root.join("public")
    }

    /// The file whose lock a process holds while it uses the ledger.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The spare space.
    #[must_use]
    pub fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }
}

/// Below this much free space the reserve is given up, in bytes.
const LOW_SPACE_BYTES: u64 = 16 * 1024 * 1024;

/// Gives the reserve up when the disk is nearly full.
///
/// # Errors
/// What the disk says.
pub fn free_reserve_if_low(layout: &Layout) -> io::Result<()> {
    if layout.reserve().exists() && free_bytes(layout.root())? < LOW_SPACE_BYTES {
        std::fs::remove_file(layout.reserve())?;
    }
    Ok(())
}

/// Makes the spare space, if it isn't there and there is room for twice as much.
///
/// # Errors
/// What the disk says.
pub fn keep_reserve(layout: &Layout, bytes: u64) -> io::Result<()> {
    let path = layout.reserve();
    if bytes == 0 || path.exists() || free_bytes(layout.root())? < bytes.saturating_mul(2) {
        return Ok(());
    }
    let part = path.with_extension("part");
    let made = File::create(&part).and_then(|file| allocate(&file, bytes)).and_then(|()| std::fs::rename(&part, &path));
    if made.is_err() {
        std::fs::remove_file(&part)?;
    }
    made
}

/// How much room there is, as it was seen when somebody looked last who may block: with each commit, and when it is asked for.
#[derive(Debug)]
pub struct Room {
    layout: Layout,
    /// How much spare space there should be.
    reserve_bytes: u64,
    scarce: AtomicBool,
}

impl Room {
    fn new(layout: Layout, reserve_bytes: u64) -> Self {
        Self { layout, reserve_bytes, scarce: AtomicBool::new(false) }
    }

    /// Whether the spare space was gone, and less than that was free. Does not block.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.scarce.load(Ordering::Relaxed)
    }

    /// Looks. A disk that can't be asked is taken for one with room: a write that fails is told of anyhow.
    pub fn look(&self) {
        let free = || free_bytes(self.layout.root()).unwrap_or(u64::MAX);
        let scarce = self.reserve_bytes > 0 && !self.layout.reserve().exists() && free() < self.reserve_bytes;
        self.scarce.store(scarce, Ordering::Relaxed);
    }
}

/// The store on disk.
#[derive(Debug)]
pub struct DiskStore {
    layout: Layout,
    sizes: Sizes,
    journal: Option<Journal>,
    deriver: Option<Deriver>,
    /// The last commit, until it is handed to the deriver.
    pending: Option<(Indexed, Vec<Hash>)>,
    size: u64,
    /// The last segment and where it ends, once it is known.
    end: Option<(u64, End)>,
    frugal: bool,
    /// How much room there is.
    pub room: Arc<Room>,
    /// The index.
    pub index: Index,
    /// The node file.
    pub nodes: NodeFile,
    /// The sealing keys.
    pub vault: Vault,
    /// What is wrong with the journal.
    pub damage: Option<Damage>,
}

fn failed(what: &str) -> impl Fn(io::Error) -> StoreError {
    move |error| {
        let words = format!("{what}: {error}");
        if error.kind() == io::ErrorKind::StorageFull { StoreError::Full(words) } else { StoreError::Failed(words) }
    }
}

impl From<IndexError> for StoreError {
    fn from(error: IndexError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl DiskStore {
    /// Opens what is there; the journal is opened for writing at the end of [`Store::replay`].
    ///
    /// # Errors
    /// What the disk says. An index that can't be opened is removed and made anew.
    pub fn open(layout: Layout, sizes: Sizes) -> Result<Self, StoreError> {
        if layout.index_damaged().exists() {
            Self::drop_index(&layout)?;
        }
        let open = || Index::open(&layout.index(), &layout.journal());
        let index = open().or_else(|_| {
            Self::drop_index(&layout)?;
            open().map_err(StoreError::from)
        })?;
        let nodes = NodeFile::open(&layout.nodes()).map_err(failed("the node file"))?;
        let vault = Vault::open(&layout.keys()).map_err(failed("the folder of keys"))?;
        Ok(Self {
            room: Arc::new(Room::new(layout.clone(), 0)),
            layout,
            sizes,
            journal: None,
            deriver: None,
            pending: None,
            size: 0,
            end: None,
            frugal: false,
            index,
            nodes,
            vault,
            damage: None,
        })
    }

    /// Size of the journal's files.
    ///
    /// # Errors
    /// What the disk says.
    pub fn journal_bytes(&self) -> Result<u64, StoreError> {
        let segments = journal::segments(&self.layout.journal()).map_err(failed("the journal"))?;
        Ok(segments.iter().filter_map(|(_, path)| path.metadata().ok()).map(|found| found.len()).sum())
    }

    fn drop_index(layout: &Layout) -> Result<(), StoreError> {
        for removed in [std::fs::remove_dir_all(layout.index()), std::fs::remove_file(layout.index_damaged())] {
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("the index")(error)),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Throws the index away and starts an empty one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn reset_index(self) -> Result<Self, StoreError> {
        let (layout, sizes) = (self.layout.clone(), self.sizes);
        drop(self);
        Self::drop_index(&layout)?;
        Self::open(layout, sizes)
    }

    /// Says how many entries there are before the place from which the next replay starts.
    pub fn starts_at(&mut self, size: u64) {
        self.size = size;
    }

    /// Opens the journal for writing after a replay that found no damage, and cuts a torn frame off its end. Only call it
    /// when nothing else says that there should be more.
    ///
    /// # Errors
    /// What the disk says.
    pub fn resume(&mut self) -> Result<(), StoreError> {
        let dir = self.layout.journal();
        let resumed = || match self.end {
            None if self.size > 0 => Err(io::Error::new(io::ErrorKind::NotFound, "its segments are gone")),
            None => Journal::create(&dir, self.sizes),
            Some((number, end)) => {
                let last = self.last_frame(number, end)?;
                Journal::resume(&dir, self.sizes, number, End { last, ..end })
            }
        };
        let journal = resumed().or_else(|error| self.spare(error).and_then(|()| resumed()));
        self.journal = Some(journal.map_err(failed("the journal"))?);
        let deriver = Deriver::start(self.size, self.index.clone(), self.nodes.clone());
        self.deriver = Some(deriver.map_err(failed("the index"))?);
        Ok(())
    }

    /// What [`DiskStore::resume`] is going to cut off.
    #[must_use]
    pub fn torn(&self) -> Option<Notice> {
        let (segment, end) = self.end.filter(|(_, end)| end.torn())?;
        Some(Notice::Cut { segment, bytes: end.until.saturating_sub(end.at) as u64 })
    }

    /// Where the last frame of a segment begins that ends so. A replay that started behind it has not seen it.
    fn last_frame(&self, number: u64, end: End) -> io::Result<Option<usize>> {
        if end.last.is_some() {
            return Ok(end.last);
        }
        let place = self.index.place(self.size).map_err(io::Error::other)?;
        let offset = place.filter(|place| place.segment == number).map(|place| usize::try_from(place.offset));
        offset.transpose().map_err(io::Error::other)
    }

    /// Gives the reserve up when the disk is full; any other error stays what it is.
    fn spare(&self, error: io::Error) -> io::Result<()> {
        if error.kind() == io::ErrorKind::StorageFull && self.layout.reserve().exists() {
            std::fs::remove_file(self.layout.reserve())
        } else {
            Err(error)
        }
    }

    fn write(&mut self, frame: &mut Vec<u8>, first: u64) -> Result<Place, StoreError> {
        let not_open = || StoreError::Failed("the journal is not open".into());
        if self.frugal && self.layout.reserve().exists() {
            self.frugal(false);
        }
        match self.journal.as_mut().ok_or_else(not_open)?.append(frame, first) {
            Ok(place) => Ok(place),
            // Segments are preallocated: a full disk is only met while one is made, before anything of the frame is written.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // A segment as large as the usual ones would take all of the reserve, and leave the index nothing.
                self.frugal(true);
                // Without a reserve, a small segment may still find room.
                drop(self.spare(error));
                self.journal.as_mut().ok_or_else(not_open)?.append(frame, first).map_err(failed("the journal"))
            }
            Err(error) => Err(failed("the journal")(error)),
        }
    }

    /// Says how much spare space there should be, once it was tried to make it.
    pub fn reserved(&mut self, reserve_bytes: u64) {
        self.room = Arc::new(Room::new(self.layout.clone(), reserve_bytes));
        self.room.look();
        self.frugal(reserve_bytes > 0 && !self.layout.reserve().exists());
    }

    /// Says whether the reserve is gone, so that what is left of it must last.
    fn frugal(&mut self, frugal: bool) {
        self.frugal = frugal;
        if let Some(journal) = &mut self.journal {
            journal.be_frugal(frugal);
        }
    }

    fn deriver(&self) -> Result<&Deriver, StoreError> {
        self.deriver.as_ref().ok_or_else(|| StoreError::Failed("the index is not open".into()))
    }

    /// How far the derived is, once the journal is open for writing.
    ///
    /// # Errors
    /// When it isn't.
    pub fn derived(&self) -> Result<Derived, StoreError> {
        self.deriver().map(Deriver::derived)
    }
}

impl Store for DiskStore {
    fn replay(&mut self, from: Place, wave: Wave<'_>) -> Result<(), StoreError> {
        let mut replay = Replay::new(&self.layout.journal());
        replay.run(from, wave).map_err(failed("the journal"))?;
        self.size = self.size.max(replay.size);
        (self.end, self.damage) = (replay.end, replay.damage);
        Ok(())
    }

    fn place(&self) -> Place {
        self.journal.as_ref().map(Journal::place).unwrap_or_default()
    }

    fn append(&mut self, expected: u64, commit: Commit<'_>) -> Result<(), StoreError> {
        if expected != self.size {
            return Err(StoreError::Conflict { expected, actual: self.size });
        }
        self.follow()?;
        if let Some(fault) = self.derived()?.fault() {
            return Err(StoreError::Failed(fault));
        }
        let Commit { frame, shape, head, last, nodes } = commit;
        let place = self.write(frame, shape.first)?;
        self.size = shape.size();
        self.pending = Some((Indexed { place, shape, last, head }, nodes));
        Ok(())
    }

    fn follow(&mut self) -> Result<(), StoreError> {
        match self.pending.take() {
            Some((indexed, nodes)) => {
                // Those who wait for this commit have their answers by now.
                if let Some(journal) = &self.journal {
                    journal.follow();
                }
                self.room.look();
                self.deriver()?.take(indexed, nodes).map_err(StoreError::Failed)
            }
            None => Ok(()),
        }
    }

    fn key(&mut self, subject: SubjectId) -> Result<Option<SubjectKey>, StoreError> {
        self.vault.get(subject).map_err(failed("a sealing key"))
    }

    fn put_keys(&mut self, keys: &[(SubjectId, SubjectKey)]) -> Result<(), StoreError> {
        let put = self.vault.put(keys).or_else(|error| self.spare(error).and_then(|()| self.vault.put(keys)));
        put.map_err(failed("a sealing key"))
    }

    fn destroy_key(&mut self, subject: SubjectId) -> Result<(), StoreError> {
        self.vault.destroy(subject).map_err(failed("a sealing key"))
    }
}

/// Brings the index up to the journal while it is replayed.
#[derive(Debug)]
pub struct CatchUp {
    index: Index,
    extent: Option<(u64, Hash)>,
    /// Whether the index holds another history, or a longer one, than the journal.
    contradicted: bool,
}

impl CatchUp {
    /// Looks at what is indexed, for a walk that starts after `from`: so many entries, with that last leaf.
    ///
    /// # Errors
    /// What sled says.
    pub fn new(index: Index, from: (u64, Hash)) -> Result<Self, IndexError> {
        let extent = index.extent()?;
        // Until the walk has come to the place where the index ends, it may hold anything.
        let contradicted = extent.is_some_and(|extent| extent != from);
        Ok(Self { index, extent, contradicted })
    }

    /// Takes the next batches, those of them that the index does not have.
    ///
    /// # Errors
    /// What sled says.
    pub fn take(&mut self, batches: &[BatchRef<'_>]) -> Result<(), IndexError> {
        let mut due = Vec::new();
        for batch in batches {
            let Some(last) = batch.records.last() else { continue };
            let end = batch.first + batch.records.len() as u64;
            match self.extent {
                Some((size, _)) if end < size => {}
                Some((size, leaf)) if end == size => self.contradicted = leaf_hash(last.line) != leaf,
                Some(_) | None if self.contradicted => {}
                Some(_) | None => due.push(Indexed {
                    place: batch.place,
                    shape: batch.shape(),
                    last: leaf_hash(last.line),
                    head: batch.head.into(),
                }),
            }
        }
        self.index.apply(&due)
    }

    /// Whether the index now has what the journal has.
    #[must_use]
    pub fn agrees(&self) -> bool {
        !self.contradicted
    }
}
