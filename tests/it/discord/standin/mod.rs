//! A stand-in for Discord: REST, gateway, and the side that people see. Strict where Discord is: three seconds for an
//! answer, fifteen minutes for a token, limits by channel, one answer an interaction, and no message that Discord would
//! not take. Whatever it would refuse is also kept in [`Standin::wrong`], so that a test fails over it.

mod gateway;
mod limits;
pub mod people;
mod rest;
pub mod rules;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::broadcast, time::Instant};

pub const TOKEN: &str = "MTEyMjMzNDQ1NTY2Nzc4ODAw.standin.only-for-tests-and-nowhere-else";
pub const APPLICATION: &str = "112233445566778800";
pub const GUILD: &str = "112233445566778899";
pub const CHANNEL: &str = "112233445566778811";
pub const SECURITY: &str = "112233445566778812";
pub const BOT: &str = "112233445566778801";
/// What Discord gives people for a first answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What people see of a message.
#[derive(Debug, Clone)]
pub struct Posted {
    pub id: String,
    pub channel: String,
    pub body: Value,
    pub edits: usize,
}

/// Something that was done, and what came of it.
#[derive(Debug, Clone)]
pub struct Interaction {
    pub token: String,
    pub created: Instant,
    /// 2 a command, 3 a button, 4 typing, 5 a form.
    pub kind: u64,
    /// The first answer.
    pub callback: Option<Value>,
    /// When it came, after the interaction.
    pub took: Option<Duration>,
    /// The message that is the answer, as it is now.
    pub original: Option<Value>,
    pub followups: Vec<Value>,
}

/// What goes wrong at a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// An answer with this status and body; what was asked for is not done.
    Status(u16, Value),
    /// The same, but it was done.
    DoneBut(u16),
    /// No answer at all.
    Hang,
    /// `429` with so many seconds to wait, on this route or everywhere.
    Limit { secs: f64, global: bool },
}

/// All that the stand-in remembers.
#[derive(Default)]
pub struct World {
    pub commands: Value,
    pub registrations: usize,
    pub messages: Vec<Posted>,
    pub threads: BTreeMap<String, Value>,
    /// Direct channels, by id, with the user.
    pub direct: BTreeMap<String, String>,
    /// Members of the guild with their roles.
    pub members: BTreeMap<String, Vec<String>>,
    pub interactions: HashMap<String, Interaction>,
    nonces: HashMap<(String, String), String>,
    /// The next calls of a route that go wrong.
    faults: Vec<(String, Fault)>,
    /// What Discord would not have taken.
    pub wrong: Vec<String>,
    /// Each body that came, with the name of its schema.
    pub bodies: Vec<(&'static str, Value)>,
    pub calls: Vec<String>,
    limits: limits::Limits,
    /// Gateway sessions.
    sessions: HashMap<String, gateway::Kept>,
    pub identified: Vec<Value>,
    pub resumed: usize,
    pub connections: usize,
    /// Connections to come that are accepted and never answered.
    pub hang_upgrades: usize,
    /// Users who take no direct messages.
    pub closed: Vec<String>,
    /// Channels that the bot does not see.
    pub hidden: std::collections::BTreeSet<String>,
    /// Where the bot may not open threads.
    pub no_threads: bool,
}

/// What the tests have the gateway do to whoever is connected.
#[derive(Debug, Clone)]
pub enum Act {
    Dispatch(&'static str, Value),
    /// Closes with a code, or without one.
    Close(Option<u16>),
    /// Cuts the connection.
    Abort,
    /// Op 7.
    Reconnect,
    /// Op 9.
    Invalid(bool),
    /// Answers no heartbeat from now on.
    Zombie,
}

/// How it behaves.
#[derive(Debug, Clone)]
pub struct Manners {
    pub heartbeat: Duration,
    /// How long a token is good.
    pub token_life: Duration,
    /// Messages a channel takes in five seconds.
    pub per_channel: usize,
}

impl Default for Manners {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(1), token_life: Duration::from_mins(15), per_channel: 5 }
    }
}

pub struct Standin {
    pub url: String,
    pub gateway_url: String,
    pub manners: Manners,
    world: Mutex<World>,
    acts: broadcast::Sender<Act>,
    snowflake: AtomicU64,
    /// What to sign with in HTTP mode.
    pub key: ed25519_dalek::SigningKey,
}

impl Standin {
    /// Starts on free ports of loopback.
    pub async fn start(manners: Manners) -> Arc<Self> {
        let rest = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = |address: SocketAddr, scheme: &str| format!("{scheme}://{address}");
        let standin = Arc::new(Self {
            url: at(rest.local_addr().unwrap(), "http"),
            gateway_url: at(gateway.local_addr().unwrap(), "ws"),
            manners,
            world: Mutex::default(),
            acts: broadcast::Sender::new(1024),
            // Where Discord's ids are in 2026.
            snowflake: AtomicU64::new(1_440_000_000_000_000_000),
            key: ed25519_dalek::SigningKey::from_bytes(&rand::random()),
        });
        tokio::spawn(rest::serve(Arc::clone(&standin), rest));
        tokio::spawn(gateway::serve(Arc::clone(&standin), gateway));
        standin
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub fn id(&self) -> String {
        self.snowflake.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Has the gateway do something to every connection.
    pub fn act(&self, act: Act) {
        // Nobody may be connected.
        let _ = self.acts.send(act);
    }

    /// The next call of this route goes wrong; `route` is a part of `METHOD /path`.
    pub fn fault(&self, route: &str, fault: Fault) {
        self.world().faults.push((route.to_owned(), fault));
    }

    pub fn is_connected(&self) -> bool {
        self.acts.receiver_count() > 0
    }

    /// The messages of a channel, oldest first.
    pub fn in_channel(&self, channel: &str) -> Vec<Posted> {
        self.world().messages.iter().filter(|posted| posted.channel == channel).cloned().collect()
    }

    /// The direct messages to a user.
    pub fn direct_to(&self, user: &str) -> Vec<Posted> {
        let world = self.world();
        let channel = world.direct.iter().find(|(_, who)| *who == user).map(|(id, _)| id.clone());
        world.messages.iter().filter(|posted| Some(&posted.channel) == channel.as_ref()).cloned().collect()
    }

    /// The card of a request in a channel.
    pub fn card(&self, channel: &str, request: u64) -> Option<Posted> {
        let marked = |posted: &Posted| {
            let footer = posted.body.pointer("/embeds/0/footer/text").and_then(Value::as_str).unwrap_or_default();
            footer.starts_with(&format!("#{request} "))
        };
        self.in_channel(channel).into_iter().rfind(marked)
    }

    /// What a thread says.
    pub fn thread(&self, card: &Posted) -> String {
        let said = self.in_channel(&card.id);
        said.iter().filter_map(|posted| posted.body["content"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Nothing came that Discord would not have taken.
    #[track_caller]
    pub fn assert_well(&self) {
        let world = self.world();
        assert!(world.wrong.is_empty(), "{:#?}", world.wrong);
    }
}

impl World {
    fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    fn take_fault(&mut self, call: &str) -> Option<Fault> {
        let at = self.faults.iter().position(|(route, _)| call.contains(route.as_str()))?;
        Some(self.faults.remove(at).1)
    }
}

/// Timestamps of the newest calls on a limit.
type Calls = VecDeque<Instant>;
