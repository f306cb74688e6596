//! One process: the real engine on a runtime of one thread, polled until it rests or dies. Dying is dropping the
//! runtime, with everything that was under way in it.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use countersign::{
    access::{Chat, RequestId},
    chat::{Inbound, Reply, Service as _, Talk, Tone, plain},
    engine::{
        Engine, Fatal, Handle, Setup,
        rulebook::{Book, Rulebook},
    },
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
};

use super::{
    chats::adapters,
    clock::SimClock,
    disk::SimGround,
    doors::doors,
    mutants::Mutant,
    rules::widened,
    world::{Shared, World},
};

/// So many polls without rest are no work any more.
const RESTLESS_POLLS: u64 = 200_000;
/// So often in a row nothing but the probe runs when there is nothing else.
const RESTS: u64 = 4;

/// How a stretch of work came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// There is nothing to do until the time moves.
    Rest,
    /// The process is to die here.
    Death,
    /// It never comes to rest.
    Restless,
}

/// What became of the engine, as its own tasks say it.
#[derive(Default)]
struct Fortune {
    handle: Option<Arc<Handle>>,
    /// It can't go on, or was stopped.
    over: Option<Result<(), Fatal>>,
}

pub struct Process {
    world: Shared,
    runtime: Runtime,
    /// Set each time the probe is polled: it runs whenever it is its turn, so when it alone runs, the others rest.
    probed: Arc<AtomicBool>,
    fortune: Arc<Mutex<Fortune>>,
    books: mpsc::UnboundedSender<Book>,
    stop: Option<oneshot::Sender<()>>,
}

fn setup(world: &Shared) -> Setup {
    let bits = Shared::clone(world);
    let book = world.lock().first_book();
    Setup {
        ground: Arc::new(SimGround::new(world)),
        book: Rulebook::new(book),
        widened: Arc::new(widened),
        entropy: Arc::new(move || bits.lock().rng.bytes()),
        doors: doors(world),
        adapters: adapters(world),
        clock: Arc::new(SimClock::start(world)),
        version: "sim".into(),
    }
}

impl Process {
    /// Starts a process. It has done nothing yet.
    pub fn start(world: &Shared) -> Self {
        let runtime = Builder::new_current_thread().event_interval(1).global_queue_interval(1).build().unwrap();
        let probed = Arc::new(AtomicBool::new(false));
        let fortune = Arc::new(Mutex::new(Fortune::default()));
        let (stop, mut stopped) = oneshot::channel::<()>();
        let (books, mut loads) = mpsc::unbounded_channel::<Book>();
        {
            let probed = Arc::clone(&probed);
            runtime.spawn(std::future::poll_fn(move |context| {
                probed.store(true, Ordering::Relaxed);
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
        }
        let setup = setup(world);
        let (told, seen) = (Arc::clone(&fortune), Shared::clone(world));
        runtime.spawn(async move {
            let tell = |over| told.lock().unwrap_or_else(PoisonError::into_inner).over = Some(over);
            let mut engine = match Engine::start(setup).await {
                Ok(engine) => engine,
                Err(fatal) => return tell(Err(fatal)),
            };
            told.lock().unwrap_or_else(PoisonError::into_inner).handle = Some(Arc::clone(&engine.handle));
            loop {
                tokio::select! {
                    biased;
                    over = engine.failed() => return tell(over),
                    _ = &mut stopped => {
                        engine.stop().await;
                        return tell(Ok(()));
                    }
                    Some(book) = loads.recv() => {
                        let loaded = engine.load(book).await;
                        seen.lock().note(|| format!("loaded: {loaded:?}"));
                    }
                }
            }
        });
        Self { world: Shared::clone(world), runtime, probed, fortune, books, stop: Some(stop) }
    }

    /// Runs until there is nothing to do, or for so many polls, or until something kills it.
    pub fn run(&self, polls_max: Option<u64>) -> End {
        let (mut polls, mut rests) = (0, 0);
        let world = Shared::clone(&self.world);
        let probed = Arc::clone(&self.probed);
        let watch = std::future::poll_fn(move |context| {
            polls += 1;
            // Whatever ran since the last look, it was the probe or somebody else.
            rests = if probed.swap(false, Ordering::Relaxed) { rests + 1 } else { 0 };
            if world.is_dying() || polls_max.is_some_and(|most| polls > most) {
                return Poll::Ready(End::Death);
            }
            if rests >= RESTS {
                return Poll::Ready(End::Rest);
            }
            if polls > RESTLESS_POLLS {
                return Poll::Ready(End::Restless);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        self.runtime.block_on(pin!(watch))
    }

    /// Whether it is up: the handle is there, and the engine goes on.
    pub fn is_up(&self) -> bool {
        let fortune = self.fortune.lock().unwrap_or_else(PoisonError::into_inner);
        fortune.handle.is_some() && fortune.over.is_none()
    }

    /// How it ended by itself, if it did.
    pub fn over(&self) -> Option<Result<(), String>> {
        let mut fortune = self.fortune.lock().unwrap_or_else(PoisonError::into_inner);
        fortune.over.take().map(|over| over.map_err(|fatal| fatal.to_string()))
    }

    /// Tells it to stop in order.
    pub fn stop(&mut self) {
        self.stop.take();
    }

    /// Has other rules hold.
    pub fn load(&self, book: Book) {
        // One that is gone loads nothing.
        let _ = self.books.send(book);
    }

    /// Somebody looks at their home, and at a request.
    pub fn look(&self, chat: Chat, account: String, request: RequestId) {
        let handle = self.fortune.lock().unwrap_or_else(PoisonError::into_inner).handle.clone();
        let Some(handle) = handle else { return };
        let world = Shared::clone(&self.world);
        self.runtime.spawn(async move {
            let overview = handle.overview(chat, &account).await;
            let card = handle.card(chat, &account, request).await;
            let cards: Vec<_> = overview.held.into_iter().chain(overview.waiting).chain(card).collect();
            world.lock().is_shown(chat, &cards);
        });
    }

    /// Hands the engine what is said below a card, and looks whether it is taken.
    pub fn overhears(&self, talk: Talk, name: String) {
        let handle = self.fortune.lock().unwrap_or_else(PoisonError::into_inner).handle.clone();
        let Some(handle) = handle else { return };
        let world = Shared::clone(&self.world);
        self.runtime.spawn(async move {
            let taken = handle.overheard(talk).await;
            world.lock().is_taken(&name, taken);
        });
    }

    /// Hands something to the engine, and looks at the answer when it comes.
    pub fn submit(&self, inbound: Inbound, key: String) {
        let handle = self.fortune.lock().unwrap_or_else(PoisonError::into_inner).handle.clone();
        let Some(handle) = handle else { return };
        let world = Shared::clone(&self.world);
        self.runtime.spawn(async move {
            if world.lock().mutant == Some(Mutant::AnswersEarly) {
                let lines = vec![plain("Done.")];
                let early = Reply { tone: Tone::Done, lines, secret: Vec::new(), keep_input: false };
                world.lock().is_answered(&key, &early);
            }
            let reply = handle.submit(inbound).await;
            let astray = world.lock().mutant == Some(Mutant::AnswersSomebodyElse) && !reply.secret.is_empty();
            let to = if astray { other(&world, &key) } else { key };
            world.lock().is_answered(&to, &reply);
        });
    }
}

/// Somebody else's message.
fn other(world: &World, key: &str) -> String {
    let world = world.lock();
    let account = |key: &str| world.checks.sent.get(key).map(|sent| sent.account.clone());
    let mut others: Vec<&String> = world.checks.sent.keys().filter(|other| account(other) != account(key)).collect();
    others.sort();
    others.first().map_or_else(|| key.to_owned(), |other| (*other).clone())
}
