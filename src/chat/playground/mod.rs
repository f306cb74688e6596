//! The page on loopback that plays a chat, so that the whole story can be lived with nothing but the binary.
//!
//! It is a true adapter over the same trait as the real platforms, and as forgetful as its process: messages are in
//! memory, bounded, and are posted again after a start. It is served as plain pages and forms that work without
//! scripts; one small script keeps them live. It has no log-in (whoever opens the page chooses whom to be), so it
//! belongs on a loopback address and nowhere else: the caller binds it there, and every request's `Host` and `Origin`
//! are checked here.

mod assets;
mod cast;
mod guard;
mod page;
mod routes;
mod store;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::{Semaphore, watch};

use super::{Adapter, Bulletin, ChatError, Notice, card::Card, grammar::after_the_slash};
use crate::access::{Chat, Standing};
use store::Messages;

pub use cast::{Cast, Persona};
pub use routes::{BODY_BYTES_MOST, router};
pub use store::{CARDS_MOST, NOTICES_PER_PERSON_MOST};

/// Event streams that are open at one time.
pub const STREAMS_MOST: usize = 64;
/// Ledger entries on the page.
pub const LEDGER_ROWS_MOST: usize = 60;

/// Tells the time; the edge hands in its clock.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The chat: its people, its channels and the messages in them.
pub struct Playground {
    cast: RwLock<Arc<Cast>>,
    clock: Clock,
    messages: Mutex<Messages>,
    ticks: watch::Sender<Tick>,
    streams: Arc<Semaphore>,
    run: String,
}

/// What the event streams tell: which version of the messages there is, and whether to go on.
#[derive(Debug, Clone, Copy)]
struct Tick {
    version: u64,
    open: bool,
}

impl Playground {
    /// A chat with these people and channels.
    #[must_use]
    pub fn new(cast: Cast, clock: Clock) -> Self {
        Self {
            cast: RwLock::new(Arc::new(cast)),
            clock,
            messages: Mutex::default(),
            ticks: watch::Sender::new(Tick { version: 0, open: true }),
            streams: Arc::new(Semaphore::new(STREAMS_MOST)),
            run: page::nonce(),
        }
    }

    /// Other people and channels from now on: the config says so. A channel that has messages stays, so that the cards of
    /// what is open can still be drawn.
    pub fn recast(&self, cast: Cast) {
        let old = self.cast();
        let used = old.channels.iter().filter(|name| !cast.has_channel(name) && self.messages().any_in(name));
        let channels = cast.channels.iter().chain(used).cloned().collect();
        *self.cast.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Cast { channels, ..cast });
        self.poke();
    }

    /// Tells every open page to look again: something changed that is not a message, for example the ledger grew.
    pub fn poke(&self) {
        self.ticks.send_modify(|tick| tick.version += 1);
    }

    /// Ends all event streams, so that a server which waits for its connections can stop. Pages reconnect by
    /// themselves when it is back.
    pub fn hang_up(&self) {
        self.ticks.send_modify(|tick| tick.open = false);
    }

    /// The version of what the pages show. It names this run of the process too: after a restart all is different.
    fn version(&self) -> String {
        self.version_at(*self.ticks.borrow())
    }

    fn version_at(&self, tick: Tick) -> String {
        format!("{}-{}", self.run, tick.version)
    }

    fn cast(&self) -> Arc<Cast> {
        Arc::clone(&self.cast.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn person(&self, name: &str) -> Option<Persona> {
        self.cast().people.iter().find(|person| person.name == name).cloned()
    }

    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Adapter for Playground {
    fn chat(&self) -> Chat {
        Chat::Playground
    }

    fn forgets(&self) -> bool {
        true
    }

    /// There is one message per request and channel, so `posted` has nothing to add.
    async fn put_card(&self, channel: &str, _posted: Option<&Standing>, card: &Card) -> Result<Standing, ChatError> {
        let channel = channel.trim_start_matches('#');
        if !self.cast().has_channel(channel) {
            return Err(ChatError(format!("the playground has no channel `{channel}`")));
        }
        let at = card.history.first().map_or_else(|| (self.clock)(), |step| step.at);
        let message = self.messages().put_card(channel, card, at);
        self.poke();
        // The history is on the card itself.
        Ok(Standing { message, told: 0 })
    }

    async fn direct(&self, account: &str, key: &str, notice: &Notice) -> Result<String, ChatError> {
        if self.person(account).is_none() {
            return Err(ChatError(format!("the playground has no person `{account}`")));
        }
        let id = self.messages().direct(account, key, notice, (self.clock)());
        self.poke();
        Ok(id)
    }

    async fn post(&self, channel: Option<&str>, key: &str, bulletin: &Bulletin) -> Result<String, ChatError> {
        let cast = self.cast();
        let channel = channel.map_or(cast.usual_channel(), |channel| channel.trim_start_matches('#'));
        if !cast.has_channel(channel) {
            return Err(ChatError(format!("the playground has no channel `{channel}`")));
        }
        let id = self.messages().post(channel, key, bulletin, (self.clock)());
        self.poke();
        Ok(id)
    }
}

#[cfg(test)]
mod tests;
