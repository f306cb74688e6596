//! What outlives a process: the time, the disk, the doors, the chats, the rules, and what was found wrong.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use chrono::{DateTime, TimeDelta, Utc};
use countersign::chat::Inbound;

use super::{
    chats::Chats,
    checks::Checks,
    disk::DiskState,
    doors::{Late, Outside},
    mutants::Mutant,
    rng::Rng,
    rules::Rulebook,
};

/// One second, in what the simulation counts in.
pub const SECOND: u64 = 1_000_000;

/// When every life begins.
pub fn epoch() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// Whose pause it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The engine's own: it may end late, as on a machine that sleeps.
    Pause,
    /// Work under way outside.
    Work,
}

/// Who waits, by when and by chance.
type Queue = BTreeMap<(u64, u64), Option<Waker>>;

/// Everything but the process.
pub struct Inner {
    pub seed: u64,
    pub step: u64,
    pub rng: Rng,
    /// Microseconds since the beginning.
    pub mono: u64,
    /// How far the wall clock is off, in microseconds.
    pub wall_off: i64,
    /// How often a process was started.
    pub life: u64,
    /// What the clock of the living process said last.
    pub now: DateTime<Utc>,
    pauses: Queue,
    work: Queue,
    /// What happens outside by itself.
    pub later: BTreeMap<(u64, u64), Late>,
    pub disk: DiskState,
    pub doors: Outside,
    pub chats: Chats,
    pub rules: Rulebook,
    pub checks: Checks,
    /// What was delivered to the service so far, oldest first.
    pub delivered: Vec<Inbound>,
    pub mutant: Option<Mutant>,
    /// Whether anything outside may still go wrong.
    pub calm: bool,
    /// When the last thing went wrong outside.
    pub trouble: u64,
    /// What was found wrong first.
    pub wrong: Option<String>,
    pub traced: Option<String>,
    /// How often what happened.
    pub counted: BTreeMap<String, u64>,
}

/// The world.
pub struct World {
    inner: Mutex<Inner>,
    /// The process is to die at once.
    dying: AtomicBool,
}

pub type Shared = Arc<World>;

impl World {
    pub fn of(seed: u64, mutant: Option<Mutant>, traced: bool) -> Shared {
        let mut rng = Rng::of(seed);
        let (rules, chats) = (Rulebook::of(&mut rng), Chats::of(&mut rng));
        let inner = Inner {
            seed,
            step: 0,
            rng,
            mono: 0,
            wall_off: 0,
            life: 0,
            now: epoch(),
            pauses: BTreeMap::new(),
            work: BTreeMap::new(),
            later: BTreeMap::new(),
            disk: DiskState::default(),
            doors: Outside::default(),
            chats,
            rules,
            checks: Checks::default(),
            delivered: Vec::new(),
            mutant,
            calm: false,
            trouble: 0,
            wrong: None,
            traced: traced.then(String::new),
            counted: BTreeMap::new(),
        };
        Arc::new(Self { inner: Mutex::new(inner), dying: AtomicBool::new(false) })
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the process die before it is polled again.
    pub fn die(&self) {
        self.dying.store(true, Ordering::Relaxed);
    }

    pub fn is_dying(&self) -> bool {
        self.dying.load(Ordering::Relaxed)
    }

    pub fn is_dead(&self) {
        self.dying.store(false, Ordering::Relaxed);
    }

    /// Something takes this long from now on, whether it is waited for yet or not.
    pub fn sleeps(self: &Arc<Self>, sort: Sort, span: u64) -> Sleep {
        let mut inner = self.lock();
        let key = (inner.mono.saturating_add(span), inner.rng.next());
        inner.queue(sort).insert(key, None);
        Sleep { world: Arc::clone(self), sort, key }
    }

    /// An answer that takes a moment: none, a few turns of the others, or some time.
    pub async fn lag(self: &Arc<Self>, longest: u64) {
        let (turns, span) = {
            let mut world = self.lock();
            match world.rng.below(4) {
                0 => (0, 0),
                1 | 2 => (world.rng.within(1, 4), 0),
                _ => (0, world.rng.within(1, longest.max(1))),
            }
        };
        for _ in 0..turns {
            Turn(false).await;
        }
        if span > 0 {
            self.sleeps(Sort::Work, span).await;
        }
    }
}

impl Inner {
    /// What the wall clock says.
    pub fn wall(&self) -> DateTime<Utc> {
        epoch() + TimeDelta::microseconds(i64::try_from(self.mono).unwrap() + self.wall_off)
    }

    /// Writes a line of the trace.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        let (step, mono) = (self.step, self.mono);
        if let Some(trace) = &mut self.traced {
            let (secs, micros) = (mono / SECOND, mono % SECOND);
            writeln!(trace, "{step:>4} {secs:>6}.{micros:06} {}", line()).unwrap();
        }
    }

    /// Counts that something happened.
    pub fn count(&mut self, what: &str) {
        if let Some(count) = self.counted.get_mut(what) {
            *count += 1;
        } else {
            self.counted.insert(what.to_owned(), 1);
        }
    }

    /// Says that a predicate does not hold. The first word counts.
    pub fn violated(&mut self, predicate: &str, what: &str) {
        self.note(|| format!("VIOLATED {predicate}: {what}"));
        if self.wrong.is_none() {
            let (seed, step) = (self.seed, self.step);
            self.wrong = Some(format!(
                "{predicate}: {what}\n  in step {step} of seed {seed}. Alone, with its trace:\n  \
                 COUNTERSIGN_SEED={seed} cargo nextest run --test it sim::replay --no-capture"
            ));
        }
    }

    /// Something goes wrong outside: what is late because of it is excused for a while.
    pub fn in_trouble(&mut self) {
        self.trouble = self.mono;
    }

    /// Whether something goes wrong this time.
    pub fn fate(&mut self, permille: u64) -> bool {
        !self.calm && self.rng.permille(permille)
    }

    fn queue(&mut self, sort: Sort) -> &mut Queue {
        match sort {
            Sort::Pause => &mut self.pauses,
            Sort::Work => &mut self.work,
        }
    }

    /// When the next work outside is done, if any is under way.
    pub fn next_work(&self) -> Option<u64> {
        self.work.keys().next().map(|(at, _)| *at)
    }

    /// When the next work outside is done, or the next short pause is over.
    pub fn next_soon(&self) -> Option<u64> {
        let soon = self.mono + SECOND / 2;
        let pause = self.pauses.keys().next().map(|(at, _)| *at).filter(|at| *at <= soon);
        self.next_work().into_iter().chain(pause).min()
    }

    /// When the next pause or work ends.
    pub fn next_end(&self) -> Option<u64> {
        self.work.keys().chain(self.pauses.keys()).map(|(at, _)| *at).min()
    }

    /// Moves the time, and gives those who are awake by then, in an order that chance decides.
    pub fn moves_to(&mut self, at: u64) -> Vec<Waker> {
        self.mono = self.mono.max(at);
        while let Some((key, _)) = self.later.first_key_value()
            && key.0 <= self.mono
        {
            let (_, late) = self.later.pop_first().unwrap();
            self.happens(late);
        }
        let until = (self.mono, u64::MAX);
        let mut due: Vec<(u64, Waker)> = Vec::new();
        for (key, waker) in self.pauses.range(..=until).chain(self.work.range(..=until)) {
            due.extend(waker.clone().map(|waker| (key.1, waker)));
        }
        due.sort_by_key(|(tie, _)| *tie);
        due.into_iter().map(|(_, waker)| waker).collect()
    }
}

/// Lets the others go first.
struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A pause by the simulated time.
pub struct Sleep {
    world: Shared,
    sort: Sort,
    key: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut world = self.world.lock();
        if world.mono >= self.key.0 {
            world.queue(self.sort).remove(&self.key);
            return Poll::Ready(());
        }
        world.queue(self.sort).insert(self.key, Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.world.lock().queue(self.sort).remove(&self.key);
    }
}
