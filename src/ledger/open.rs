//! The start: lock, keys, the walk over the journal, the comparison with everything that remembers a head, and the index.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes, spki::der::pem::LineEnding},
};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    beside::{self, HeadError},
    check::{Knows, Tip, Walk},
    core::Core,
    disk::{CatchUp, DiskStore, Layout, RESERVE_BYTES, free_reserve_if_low, keep_reserve},
    draft::AppendError,
    fault::{Class, Fault},
    files,
    frame::Raw,
    hash::{Hash, leaf_hash},
    journal::{Sizes, sync_dir},
    note::{Signer, is_origin},
    notice::{Notice, OnNotice},
    replay::Replay,
    snapshot::{self, Snapshot},
    store::{Place, Stopped, Store as _, StoreError},
    time::Micros,
    tree::{self, Frontier, Nodes},
    vault,
};

/// How far a long check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes checked.
    pub done_bytes: u64,
    /// Bytes in all. Estimated for a public copy; at a start, with what is reserved for entries to come.
    pub total_bytes: u64,
    /// Entries checked.
    pub entries: u64,
}

/// Who is told.
pub type OnProgress<'a> = Box<dyn FnMut(Progress) + Send + 'a>;

/// How a ledger is opened.
pub struct Options {
    /// The log's name in every signed head, printable ASCII without spaces and `+`.
    pub origin: String,
    /// Whether a kind is known to the program, beside the ledger's own ones.
    pub knows: Knows,
    /// The time now: that of the entries which the start itself may have to write.
    pub now: DateTime<Utc>,
    /// Salts, sealing keys, nonces and the signing key come from here.
    pub rng: Box<dyn CryptoRng + Send>,
    /// The signing key as PKCS#8 PEM, when it does not lie in the folder.
    pub signing_key: Option<Zeroizing<String>>,
    /// Told now and then while the journal is walked.
    pub progress: OnProgress<'static>,
    /// Told of what the start found and did not refuse; the usual options write it to the program's own log. Also called
    /// from another thread, after the start.
    pub on_notice: OnNotice,
    /// How large the journal's segments are, in bytes.
    pub segments: Sizes,
    /// Spare space for a full disk, in bytes; 0 for none.
    pub reserve_bytes: u64,
    /// How many threads check.
    pub threads: usize,
}

impl Options {
    /// The usual options.
    #[must_use]
    pub fn new(origin: &str, knows: Knows, now: DateTime<Utc>, rng: Box<dyn CryptoRng + Send>) -> Self {
        Self {
            origin: origin.to_owned(),
            knows,
            now,
            rng,
            signing_key: None,
            progress: Box::new(|_| ()),
            on_notice: Notice::to_log(),
            segments: Sizes::default(),
            reserve_bytes: RESERVE_BYTES,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Why a ledger can't be opened. No entry was changed or lost. What may have been done: what is derived from the journal is
/// rebuilt, the reserve is given up on a full disk, a frame that nobody was told of is cut off, a rotation that was
/// interrupted is carried on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a name that heads can carry.
    #[error("`{0}` can't be an origin: it takes printable ASCII without spaces and `+`")]
    Origin(String),
    /// The ledger there has another name.
    #[error("the ledger there is of `{found}`, not of `{wanted}`")]
    OtherOrigin {
        /// The name in entry 0.
        found: String,
        /// The one asked for.
        wanted: String,
    },
    /// Another process has it open.
    #[error("another process is using the ledger in {0}")]
    InUse(PathBuf),
    /// There is a log, and no key to go on signing it.
    #[error("there is a ledger but no signing key: {0} is gone, and none was given")]
    KeyMissing(PathBuf),
    /// The key can't be read.
    #[error("the signing key is not an Ed25519 key in PKCS#8 PEM")]
    KeyUnreadable,
    /// The log does not know the key as one that may sign.
    #[error("the signing key is not one that may sign this ledger now")]
    KeyNotLive,
    /// The log is damaged or was tampered with.
    #[error("the ledger does not verify: entry {index} {words}")]
    Broken {
        /// Index of the first entry that is wrong.
        index: u64,
        /// What is wrong with it.
        words: String,
    },
    /// A kind or format version that this program does not know: a newer one wrote it.
    #[error("entry {index}: {words}; a newer version of this program is needed")]
    Unknown {
        /// Index of the entry.
        index: u64,
        /// What is unknown.
        words: String,
    },
    /// A signed head that lies beside the journal says that this is not the log it was.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The disk is full, and so is the reserve.
    #[error("the disk is full")]
    DiskFull,
    /// Anything else that reading or writing ended in.
    #[error("the ledger can't be read or written: {0}")]
    Io(String),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull { Self::DiskFull } else { Self::Io(error.to_string()) }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(_) => Self::DiskFull,
            StoreError::Conflict { .. } | StoreError::Failed(_) => Self::Io(error.to_string()),
        }
    }
}

impl From<AppendError> for OpenError {
    fn from(error: AppendError) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        let (index, words) = (fault.index.unwrap_or_default(), fault.words);
        if fault.class == Class::Unknown { Self::Unknown { index, words } } else { Self::Broken { index, words } }
    }
}

/// Encodes a signing key as `openssl genpkey -algorithm ed25519` does.
///
/// # Errors
/// [`OpenError::KeyUnreadable`], which does not happen.
pub fn signing_key_pem(key: &SigningKey) -> Result<Zeroizing<String>, OpenError> {
    let pair = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    pair.to_pkcs8_pem(LineEnding::LF).map_err(|_| OpenError::KeyUnreadable)
}

pub(crate) fn read_key(pem: &str) -> Result<SigningKey, OpenError> {
    SigningKey::from_pkcs8_pem(pem).map_err(|_| OpenError::KeyUnreadable)
}

/// The key in a file; nothing when there is none, or when it is wiped and only not removed yet.
fn read_key_file(path: &Path) -> Result<Option<SigningKey>, OpenError> {
    match std::fs::read_to_string(path).map(Zeroizing::new) {
        Ok(pem) if !pem.is_empty() && pem.bytes().all(|byte| byte == 0) => Ok(None),
        Ok(pem) => read_key(&pem).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(OpenError::KeyUnreadable),
        Err(error) => Err(error.into()),
    }
}

/// An opened ledger, before its threads are started.
pub(crate) struct Opening {
    pub core: Core<DiskStore>,
    pub layout: Layout,
    /// Held as long as the ledger is in use.
    pub lock: File,
    pub knows: Knows,
    pub restored: Option<Restored>,
}

/// What a ledger was opened from instead of its whole history.
#[derive(Debug, Clone)]
pub(crate) struct Restored {
    pub tip: Tip,
    pub state: Vec<u8>,
}

/// Largest snapshot that is read: of a larger state the start would read the whole journal instead.
const SNAPSHOT_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Whether a process has this ledger open.
#[must_use]
pub fn in_use(dir: &Path) -> bool {
    let Ok(file) = File::open(Layout::new(dir).lock()) else { return false };
    // Shared, so that nobody who looks is taken for somebody who uses it.
    matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))
}

/// How often the lock of a folder is tried, and how long each time is waited in between: about a second in all. Who only
/// looks whether it is taken has it for a moment.
const LOCK_TRIES: usize = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Takes the lock of a folder.
fn lock(layout: &Layout) -> Result<File, OpenError> {
    let file = File::options().create(true).truncate(false).write(true).open(layout.lock())?;
    let (_open, pause) = mpsc::channel::<()>();
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
            // Nobody sends: it is a rest.
            Err(std::fs::TryLockError::WouldBlock) => drop(pause.recv_timeout(LOCK_PAUSE)),
        }
    }
    Err(OpenError::InUse(layout.root().to_owned()))
}

pub(crate) fn open(dir: &Path, mut options: Options) -> Result<Opening, OpenError> {
    if !is_origin(&options.origin) {
        return Err(OpenError::Origin(options.origin));
    }
    std::fs::create_dir_all(dir)?;
    let layout = Layout::new(dir);
    let lock = lock(&layout)?;
    free_reserve_if_low(&layout)?;
    let mut store = DiskStore::open(layout.clone(), options.segments)?;
    let candidates = candidates(&layout, &options)?;
    let mut snapshot = usable_snapshot(&store, &layout, &candidates);
    let mut walked = walk(&mut store, &mut options, snapshot.as_ref());
    if snapshot.is_some() && !matches!(walked, Ok((_, true))) {
        // What is wrong is said by the walk over everything.
        snapshot = None;
        walked = walk(&mut store, &mut options, None);
    }
    let (mut tip, agreed) = walked?;
    let untrusted = beside::remembered(&store, &layout, &tip)?;
    if !agreed {
        store = store.reset_index()?;
        (tip, _) = walk(&mut store, &mut options, None)?;
    }
    let signers = signers(&layout, &tip, candidates, &mut options)?;
    if let Some(opened) = tip.opened.as_ref().filter(|opened| opened.origin != options.origin) {
        return Err(OpenError::OtherOrigin { found: opened.origin.clone(), wanted: options.origin });
    }
    let cut = store.torn();
    store.resume()?;
    // Each of these is told once it is done, and done only when nothing is refused any more.
    for notice in cut.into_iter().chain(untrusted.into_iter().map(|one| one.set_aside(&layout))) {
        (options.on_notice)(&notice);
    }
    // Without a reserve the ledger still runs: it is the first thing to go on a full disk, and the last to come back.
    drop(keep_reserve(&layout, options.reserve_bytes));
    store.reserved(options.reserve_bytes);
    let now = Micros::from_utc(options.now);
    let mut core = Core::new(store, tip, signers, options.knows, options.rng);
    if core.tip.size() == 0 {
        core.begin(&options.origin, now)?;
    }
    finish_rotation(&mut core, &layout, now)?;
    core.store.vault.note_erased(core.tip.erased.keys().copied());
    for subject in core.store.vault.subjects()? {
        if core.tip.erased.contains_key(&subject) {
            core.store.vault.destroy(subject)?;
        }
    }
    let restored = snapshot.map(|snapshot| Restored { tip: snapshot.tip, state: snapshot.state });
    Ok(Opening { core, layout, lock, knows: options.knows, restored })
}

/// The snapshot, if there is one that fits what is there: the journal must still have the last frame before it.
fn usable_snapshot(store: &DiskStore, layout: &Layout, candidates: &[Signer]) -> Option<Snapshot> {
    let bytes = files::read(&layout.snapshot(), SNAPSHOT_MAX_BYTES).ok()?;
    let snapshot = snapshot::decode(&bytes, candidates, &store.nodes)?;
    let (indexed, _) = store.index.extent().ok()??;
    let frame = store.index.frame(snapshot.tip.size(), snapshot.place).ok()??;
    let raw = Raw::at(&frame).filter(|raw| raw.frame_bytes() == frame.len() && raw.intact())?;
    let last =
        raw.decode().filter(|batch| batch.shape().size() == snapshot.tip.size() && batch.head == snapshot.head)?;
    let prev = leaf_hash(last.records.last()?.line);
    (indexed >= snapshot.tip.size() && prev == snapshot.tip.prev).then_some(snapshot)
}

/// Checks the history before the snapshot from which a ledger was opened, while it is in use.
pub(crate) fn check_history(
    layout: &Layout,
    restored: &Restored,
    knows: Knows,
    threads: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), OpenError> {
    let mut walk = Walk::new(Tip::default(), knows, threads);
    let mut replay = Replay::new(&layout.journal());
    let (target, mut done_bytes) = (restored.tip.size(), 0);
    replay.run(Place::default(), &mut |batches| {
        let before: Vec<_> = batches.iter().filter(|batch| batch.first < target).cloned().collect();
        walk.wave(&before);
        done_bytes +=
            before.iter().flat_map(|batch| &batch.records).map(|record| record.line.len() as u64).sum::<u64>();
        progress(Progress { done_bytes, total_bytes: done_bytes, entries: walk.tip.size() });
        if walk.faults.is_empty() && walk.tip.size() < target { Ok(()) } else { Err(Stopped) }
    })?;
    let differs =
        Fault::at(walk.tip.size().min(target), Class::Chain, "is not the history that the snapshot was made of");
    let damage = replay.damage.filter(|_| walk.tip.size() < target);
    let damage = damage.map(|damage| Fault::at(damage.index, Class::Frame, damage.words));
    match walk.faults.kept.into_iter().next().or(damage) {
        Some(fault) => Err(fault.into()),
        None if walk.tip != restored.tip => Err(differs.into()),
        None => Ok(()),
    }
}

/// Checks the journal from the snapshot on and brings the index along; says whether the index agrees with it.
fn walk(store: &mut DiskStore, options: &mut Options, from: Option<&Snapshot>) -> Result<(Tip, bool), OpenError> {
    let (tip, place) = from.map_or_else(Default::default, |from| (from.tip.clone(), from.place));
    store.starts_at(tip.size());
    let mut walk = Walk::new(tip, options.knows, options.threads);
    let mut catch_up = CatchUp::new(store.index.clone(), (walk.tip.size(), walk.tip.prev)).map_err(StoreError::from)?;
    let nodes = store.nodes.clone();
    let (mut done_bytes, total_bytes) = (0, store.journal_bytes()?);
    let mut stopped: Option<OpenError> = None;
    let progress = &mut options.progress;
    store.replay(place, &mut |batches| {
        let stored = tree::stored_count(walk.tip.size());
        walk.wave(batches);
        let derived = nodes
            .ensure(stored, &walk.nodes)
            .map_err(OpenError::from)
            .and_then(|()| catch_up.take(batches).map_err(|error| OpenError::from(StoreError::from(error))));
        done_bytes +=
            batches.iter().flat_map(|batch| &batch.records).map(|record| record.line.len() as u64).sum::<u64>();
        progress(Progress { done_bytes, total_bytes: total_bytes.max(done_bytes), entries: walk.tip.size() });
        let fault = walk.faults.kept.first().cloned();
        stopped = fault.map(OpenError::from).or(derived.err());
        if stopped.is_some() { Err(Stopped) } else { Ok(()) }
    })?;
    if let Some(error) = stopped {
        return Err(error);
    }
    if let Some(damage) = store.damage.take() {
        return Err(OpenError::Broken { index: damage.index, words: format!("and after: {}", damage.words) });
    }
    let all = total_bytes.max(done_bytes);
    (options.progress)(Progress { done_bytes: all, total_bytes: all, entries: walk.tip.size() });
    Ok((walk.tip, catch_up.agrees()))
}

/// The root of the first `size` entries.
pub(crate) fn root_at(nodes: &impl Nodes<Error = io::Error>, size: u64) -> io::Result<Hash> {
    Ok(Frontier::from_peaks(size, tree::peaks(nodes, size)?).unwrap_or_default().root())
}

/// The keys that are at hand.
fn candidates(layout: &Layout, options: &Options) -> Result<Vec<Signer>, OpenError> {
    let keys = if let Some(pem) = options.signing_key.as_deref() {
        vec![read_key(pem)?]
    } else {
        let (this, next) = (read_key_file(&layout.signing_key())?, read_key_file(&layout.next_signing_key())?);
        this.into_iter().chain(next).collect()
    };
    Ok(keys.into_iter().map(|key| Signer::new(&options.origin, key)).collect())
}

/// Picks the keys that may sign, or makes the first one of a new log.
fn signers(
    layout: &Layout,
    tip: &Tip,
    candidates: Vec<Signer>,
    options: &mut Options,
) -> Result<Vec<Signer>, OpenError> {
    if tip.size() > 0 {
        if candidates.is_empty() {
            return Err(OpenError::KeyMissing(layout.signing_key()));
        }
        let other_origin = tip.opened.as_ref().is_some_and(|opened| opened.origin != options.origin);
        let live: Vec<_> = candidates
            .into_iter()
            .filter(|signer| other_origin || tip.live().any(|key| key == signer.verifier()))
            .collect();
        return if live.is_empty() { Err(OpenError::KeyNotLive) } else { Ok(live) };
    }
    if let Some(first) = candidates.into_iter().next() {
        return Ok(vec![first]);
    }
    let mut secret = Zeroizing::new([0; 32]);
    options.rng.fill_bytes(&mut *secret);
    let key = SigningKey::from_bytes(&secret);
    vault::write_secret(&layout.signing_key(), signing_key_pem(&key)?.as_bytes())?;
    Ok(vec![Signer::new(&options.origin, key)])
}

/// Carries a rotation to its end that was begun before the last stop.
fn finish_rotation(core: &mut Core<DiskStore>, layout: &Layout, now: Micros) -> Result<(), OpenError> {
    let origin = core.tip.opened.as_ref().map(|opened| opened.origin.clone()).unwrap_or_default();
    // A stop came while one of them was written: under these names nothing is read.
    for key in [layout.signing_key(), layout.next_signing_key()] {
        vault::wipe(&key.with_extension("part"))?;
    }
    let live = |core: &Core<DiskStore>, key| {
        let signer = Signer::new(&origin, key);
        core.tip.live().any(|key| key == signer.verifier())
    };
    if let Some(next) = read_key_file(&layout.next_signing_key())?
        && live(core, next)
    {
        if core.tip.live().count() > 1 {
            core.finish_rotation(now)?;
        }
        return Ok(promote(layout)?);
    }
    // It never came into the log: the rotation did not begin.
    vault::wipe(&layout.next_signing_key())?;
    let old = read_key_file(&layout.old_signing_key());
    // Whatever lies there under that name, a key that may still sign stays.
    if !old.ok().flatten().is_some_and(|old| live(core, old)) {
        vault::wipe(&layout.old_signing_key())?;
    }
    Ok(sync_dir(layout.root())?)
}

/// How the next signing key takes the place of the old one, which is wiped. After each step the start finds a key that may
/// sign, and goes on.
pub(crate) const PROMOTION: [fn(&Layout) -> io::Result<()>; 6] = [
    |layout| vault::wipe(&layout.old_signing_key()),
    |layout| match std::fs::rename(layout.signing_key(), layout.old_signing_key()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    },
    |layout| std::fs::rename(layout.next_signing_key(), layout.signing_key()),
    // Before the old secret goes, the names are where they belong.
    |layout| sync_dir(layout.root()),
    |layout| vault::wipe(&layout.old_signing_key()),
    |layout| sync_dir(layout.root()),
];

/// Puts the next signing key in the place of the old one.
pub(crate) fn promote(layout: &Layout) -> io::Result<()> {
    PROMOTION.iter().try_for_each(|step| step(layout))
}
