//! The disk: a log in memory with a disk's manners. A write may fail, be there or not when it failed, be torn, take its
//! time, and be the last thing a process did.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use countersign::{
    access::{Event, State},
    engine::ground::{Entries, Ground, HistoryCheck, Log, Work},
    ledger::{
        AppendError, Committed, DRAFTS_MAX, Disclosed, Draft, Entry, Hash, Head, OpenError, ReadError, Refused,
        SubjectId, kinds, leaf_hash,
    },
};
use serde_json::{Value, json};

use super::{
    checks,
    mutants::Mutant,
    world::{Inner, SECOND, Shared, Sort, World, epoch},
};

/// The name of the log in external ids, which follows from a log id of zeros.
pub const LOG_TAG: &str = "aaaaaaaa";

/// What is on the disk.
#[derive(Default)]
pub struct DiskState {
    pub entries: Vec<Entry>,
    /// Part of a batch whose write was never finished: it is cut off when the log is opened.
    torn: Vec<Entry>,
    /// A state that was kept, and the number of entries it was made of.
    snapshot: Option<(u64, Vec<u8>)>,
    /// Whether the process that runs began from a kept state, and the entries before it were not checked yet.
    unchecked: bool,
    pub erased: BTreeSet<SubjectId>,
    /// So many times more it can't be opened.
    shut: u64,
    /// What is to happen to the next write of a kind, whatever chance says.
    pub planned: Vec<(&'static str, Fate)>,
}

impl DiskState {
    pub fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    fn time(&self) -> DateTime<Utc> {
        self.entries.last().map_or_else(epoch, |entry| entry.time)
    }

    /// The entries that drafts would be.
    fn staged(&self, time: DateTime<Utc>, drafts: &[Draft]) -> Vec<Entry> {
        let time = time.max(self.time());
        (self.size()..).zip(drafts).map(|(seq, draft)| entry(seq, time, draft)).collect()
    }

    /// What of an entry can still be read.
    pub fn readable(&self, seq: u64) -> Option<Entry> {
        let mut entry = self.entries.get(usize::try_from(seq).ok()?)?.clone();
        for one in &mut entry.disclosed {
            if let Disclosed::Open(open) = one
                && self.erased.contains(&open.subject)
            {
                *one = Disclosed::Erased { subject: open.subject };
            }
        }
        Some(entry)
    }

    fn head(&self) -> Head {
        let size = self.size();
        let root = self.entries.last().map(|entry| entry.leaf).unwrap_or_default();
        Head { size, root, note: format!("example.com/sim\n{size}\n").into(), time: self.time() }
    }
}

fn entry(seq: u64, time: DateTime<Utc>, draft: &Draft) -> Entry {
    let body = serde_json::to_string(&draft.body).unwrap();
    let line = format!("{seq} {} {} {body}", time.timestamp_micros(), draft.kind).into_bytes();
    let disclosed = draft.disclosures.iter().cloned().map(Disclosed::Open).collect();
    let (kind, body) = (draft.kind.clone(), draft.body.clone());
    Entry { seq, time, kind, body, leaf: leaf_hash(&line), line, disclosed }
}

impl Inner {
    /// Entries are on the disk, and everybody who watches is shown them.
    fn write(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.note(|| format!("entry {} {} {}", entry.seq, entry.kind, Value::Object(entry.body.clone())));
            self.count(&format!("entry {}", entry.kind));
        }
        self.disk.entries.extend(entries.iter().cloned());
        self.watch(entries);
    }

    /// What an operator does while the service is down: a person's key is destroyed.
    pub fn erases(&mut self, subject: [u8; 16]) {
        self.disk.erased.insert(SubjectId(subject));
        let body = json!({ "subject": hex::encode(subject) });
        let Value::Object(body) = body else { unreachable!() };
        let draft = Draft { kind: kinds::SUBJECT_ERASED.into(), body, disclosures: Vec::new() };
        let staged = self.disk.staged(self.disk.time(), &[draft]);
        self.write(&staged);
        self.forget();
    }

    /// Why the ledger takes none of them.
    fn refuses(&self, expected: u64, drafts: &[Draft]) -> Option<AppendError> {
        let actual = self.disk.size();
        if expected != actual {
            return Some(AppendError::Conflict { expected, actual });
        }
        if drafts.is_empty() || drafts.len() > DRAFTS_MAX {
            return Some(AppendError::Refused { draft: 0, why: Refused::BatchSize });
        }
        drafts.iter().enumerate().find_map(|(draft, it)| {
            if !kinds::OWN.contains(&it.kind.as_str()) && !Event::knows(&it.kind) {
                return Some(AppendError::Refused { draft, why: Refused::UnknownKind(it.kind.clone()) });
            }
            let erased = it.disclosures.iter().find(|one| self.disk.erased.contains(&one.subject))?;
            Some(AppendError::Refused { draft, why: Refused::Erased(erased.subject) })
        })
    }
}

/// What happens to one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Done,
    /// It takes seconds.
    Slow,
    /// Nothing of it is there, and it is said to have failed.
    FailsLost,
    /// It is there, and it is said to have failed.
    FailsKept,
    /// The process dies before it is there.
    DiesBefore,
    /// The process dies over it, and a part of it is there.
    DiesTorn,
    /// The process dies when it is there.
    DiesAfter,
}

const BAD_FATES: [Fate; 6] =
    [Fate::Slow, Fate::FailsLost, Fate::FailsKept, Fate::DiesBefore, Fate::DiesTorn, Fate::DiesAfter];

fn fate(world: &mut Inner, drafts: &[Draft]) -> Fate {
    let is_next = |(kind, _): &(&str, Fate)| drafts.iter().any(|draft| draft.kind == *kind);
    if let Some(at) = world.disk.planned.iter().position(is_next) {
        return world.disk.planned.remove(at).1;
    }
    if world.calm || !world.rng.permille(60) {
        return Fate::Done;
    }
    world.in_trouble();
    let fate = *world.rng.pick(&BAD_FATES);
    world.note(|| format!("the next write: {fate:?}"));
    world.count(&format!("write {fate:?}"));
    fate
}

/// The log as one process holds it.
struct SimLog {
    world: Shared,
    restored: Option<(u64, Vec<u8>)>,
    failed: AtomicBool,
}

impl SimLog {
    fn fails(&self, why: &str) -> AppendError {
        self.failed.store(true, Ordering::Relaxed);
        AppendError::Failed(why.into())
    }

    /// All but the last entry is written.
    fn tears(&self, time: DateTime<Utc>, drafts: &[Draft]) {
        let mut world = self.world.lock();
        let mut torn = world.disk.staged(time, drafts);
        torn.pop();
        world.disk.torn = torn;
    }

    /// The write itself.
    fn writes(&self, time: DateTime<Utc>, drafts: &[Draft]) -> Committed {
        let mut world = self.world.lock();
        let first = world.disk.size();
        let staged = world.disk.staged(time, drafts);
        let leaves: Vec<Hash> = staged.iter().map(|entry| entry.leaf).collect();
        let size = first + leaves.len() as u64;
        let mutant = world.mutant;
        match mutant {
            Some(Mutant::LosesAnAcknowledgedWrite) if world.rng.permille(100) => {}
            Some(Mutant::AcknowledgesTooEarly) => {
                let later = Shared::clone(&self.world);
                tokio::spawn(async move {
                    later.sleeps(Sort::Work, SECOND).await;
                    later.lock().write(&staged);
                });
            }
            _ => world.write(&staged),
        }
        Committed { first, size, root: world.disk.head().root, leaves, head: "".into(), key_left: None }
    }
}

/// Never comes back.
async fn dies(world: &World) {
    world.die();
    std::future::poll_fn(|_| Poll::<()>::Pending).await;
}

#[async_trait]
impl Log for SimLog {
    fn size(&self) -> u64 {
        self.world.lock().disk.size()
    }

    fn head(&self) -> Head {
        self.world.lock().disk.head()
    }

    fn log_id(&self) -> Hash {
        [0; 32]
    }

    async fn append(&self, expected: u64, time: DateTime<Utc>, drafts: Vec<Draft>) -> Result<Committed, AppendError> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(self.fails("it failed before"));
        }
        self.world.lag(SECOND / 20).await;
        let (fate, refused) = {
            let mut world = self.world.lock();
            (fate(&mut world, &drafts), world.refuses(expected, &drafts))
        };
        if let Some(refused) = refused {
            self.world.lock().refused(&refused);
            return Err(refused);
        }
        match fate {
            Fate::DiesBefore => dies(&self.world).await,
            Fate::DiesTorn => {
                self.tears(time, &drafts);
                dies(&self.world).await;
            }
            Fate::FailsLost => return Err(self.fails("the disk said no")),
            Fate::Slow => self.world.sleeps(Sort::Work, 3 * SECOND).await,
            Fate::Done | Fate::FailsKept | Fate::DiesAfter => {}
        }
        let committed = self.writes(time, &drafts);
        match fate {
            Fate::DiesAfter => dies(&self.world).await,
            Fate::FailsKept => return Err(self.fails("the disk said no, and has it all the same")),
            Fate::Done | Fate::Slow | Fate::FailsLost | Fate::DiesBefore | Fate::DiesTorn => {}
        }
        self.world.lag(SECOND / 20).await;
        Ok(committed)
    }

    fn entries(&self, from: u64, to: u64) -> Result<Entries, ReadError> {
        let mut world = self.world.lock();
        let mut entries: Vec<Entry> =
            (from..to.min(world.disk.size())).filter_map(|seq| world.disk.readable(seq)).collect();
        if world.mutant == Some(Mutant::LosesAnEntry) && entries.len() > 20 {
            let at = usize::try_from(world.rng.within(1, 19)).unwrap();
            entries.remove(at);
        }
        Ok(Box::new(entries.into_iter().map(Ok)))
    }

    fn get_proved(&self, index: u64) -> Result<Entry, ReadError> {
        let world = self.world.lock();
        world.disk.readable(index).ok_or(ReadError::NoSuchEntry { index, size: world.disk.size() })
    }

    fn snapshot(&self) -> Option<(u64, &[u8])> {
        self.restored.as_ref().map(|(size, state)| (*size, state.as_slice()))
    }

    async fn save_snapshot(&self, size: u64, state: Vec<u8>) -> Result<(), AppendError> {
        let mut world = self.world.lock();
        if world.disk.size() != size {
            return Err(AppendError::Conflict { expected: size, actual: world.disk.size() });
        }
        if world.disk.unchecked {
            world.violated(checks::STATE, "a state is kept before the history under the last one was checked");
        }
        if world.fate(200) {
            return Err(AppendError::Failed("the snapshot: no room".into()));
        }
        world.note(|| format!("the state of {size} entries is kept"));
        world.count("snapshot kept");
        world.disk.snapshot = Some((size, state));
        Ok(())
    }

    fn history_check(&self) -> Option<HistoryCheck> {
        self.restored.as_ref()?;
        let world = Shared::clone(&self.world);
        Some(Box::new(move || {
            world.lock().disk.unchecked = false;
            Ok(())
        }))
    }
}

/// The ground of a simulated process.
pub struct SimGround {
    world: Shared,
    /// Whether the process has not opened the log yet.
    first: AtomicBool,
}

impl SimGround {
    pub fn new(world: &Shared) -> Self {
        Self { world: Shared::clone(world), first: true.into() }
    }
}

impl Ground for SimGround {
    fn open(&self, now: DateTime<Utc>) -> Result<Arc<dyn Log>, OpenError> {
        let mut world = self.world.lock();
        if world.disk.entries.is_empty() {
            let Value::Object(body) = json!({ "origin": "example.com/sim" }) else { unreachable!() };
            let draft = Draft { kind: kinds::LOG_OPENED.into(), body, disclosures: Vec::new() };
            let staged = world.disk.staged(now, &[draft]);
            world.write(&staged);
        }
        if world.fate(50) {
            world.disk.shut = world.rng.within(1, 4);
        }
        if world.disk.shut > 0 && !world.calm {
            world.disk.shut -= 1;
            world.in_trouble();
            world.note(|| "the log can't be opened".into());
            world.count("open fails");
            return Err(if world.rng.permille(500) { OpenError::DiskFull } else { OpenError::Io("no".into()) });
        }
        let torn = std::mem::take(&mut world.disk.torn);
        if !torn.is_empty() {
            world.note(|| format!("{} entries of a torn write are cut off", torn.len()));
        }
        if world.fate(300) {
            world.disk.snapshot = None;
        }
        let restored = world.disk.snapshot.clone();
        let from = restored.as_ref().map(|(size, _)| *size);
        world.note(|| format!("the log is open, from a snapshot: {from:?}"));
        if restored.is_some() {
            world.count("open from a snapshot");
        }
        if self.first.swap(false, Ordering::Relaxed) {
            world.disk.unchecked = restored.is_some();
        }
        Ok(Arc::new(SimLog { world: Shared::clone(&self.world), restored, failed: false.into() }))
    }

    fn verify(&self, _head: &str) -> (bool, Vec<String>) {
        (true, vec!["the chain holds".into()])
    }

    fn run(&self, work: Work) {
        // The same thread, a turn later: its place among the others is chance's, but the same for the same seed.
        let world = Shared::clone(&self.world);
        tokio::spawn(async move {
            world.lag(SECOND / 50).await;
            work();
        });
    }

    fn holds(&self, state: &State) {
        self.world.lock().compare(state);
    }
}
