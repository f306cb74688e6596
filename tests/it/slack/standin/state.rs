//! What the stand-in for Slack remembers.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

pub const TEAM: &str = "T0123456789";
pub const BOT_USER: &str = "U0BOTBOTBOT";
pub const BOT_TOKEN: &str = "xoxb-0123456789-standin-bot-secret";
pub const APP_TOKEN: &str = "xapp-1-A0123456789-standin-app-secret";
pub const SIGNING_SECRET: &str = "standin-8f742231b10e8888abcd99yyyzzz85a5";
/// A trigger lives so long, and is used once.
pub const TRIGGER_LIVES: Duration = Duration::from_secs(3);
/// An envelope is to be acknowledged within this.
pub const ACK_WITHIN: Duration = Duration::from_secs(3);
/// A response address is good for so many answers.
pub const RESPONSE_USES: u32 = 5;
/// A ticket for a socket lives so long, and is used once.
pub const TICKET_LIVES: Duration = Duration::from_secs(30);
/// An app holds so many sockets.
pub const SOCKETS_MAX: usize = 10;

/// What goes wrong with the next call of a method.
#[derive(Debug, Clone)]
pub enum Fault {
    /// 429 with this `Retry-After`, in seconds.
    Limited(u64),
    /// This status with an empty body.
    Status(u16),
    /// A page of HTML, with status 200.
    Html,
    /// Slack's `ok: false` with this code.
    Error(&'static str),
    /// It is done, and the answer is a 500.
    DoneThenStatus(u16),
    /// The answer comes after this.
    Slow(Duration),
}

/// A message in a channel.
#[derive(Debug, Clone)]
pub struct Message {
    pub ts: String,
    /// Who wrote it; the bot, if nobody did.
    pub user: Option<String>,
    /// What a person's app calls it.
    pub client_id: String,
    pub thread: Option<String>,
    pub text: String,
    pub blocks: Value,
    pub metadata: Value,
    /// All the looks it has had before.
    pub before: Vec<Value>,
    pub deleted: bool,
}

/// What one person sees, and nobody else.
#[derive(Debug, Clone)]
pub struct Whisper {
    pub user: String,
    pub text: String,
    pub blocks: Value,
}

/// A modal or App Home that is open.
#[derive(Debug, Clone)]
pub struct View {
    pub id: String,
    pub hash: String,
    pub user: String,
    pub json: Value,
    pub open: bool,
}

/// A call that came in.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    /// What it was answered: `ok`, or the code or status.
    pub outcome: String,
}

pub struct Trigger {
    pub user: String,
    pub until: Instant,
    pub used: bool,
}

pub struct ResponseUrl {
    pub user: String,
    pub channel: String,
    pub left: u32,
}

/// What a connection is told to do.
#[derive(Debug)]
pub enum Order {
    Send(Value),
    /// Neither reads nor writes any more, and stays open.
    Hang,
    /// Closes as Slack does.
    Close,
    /// The line is cut.
    Cut,
}

pub struct Socket {
    pub id: u64,
    pub orders: mpsc::UnboundedSender<Order>,
    /// Slack has said that it will close it, and sends nothing new there.
    pub leaving: bool,
}

/// So many at once, and then one after each pause.
pub struct Bucket {
    pub room: f64,
    pub at: Instant,
}

#[expect(clippy::struct_excessive_bools, reason = "each is something that a test turns on")]
pub struct State {
    pub team: String,
    pub bot_revoked: bool,
    pub app_revoked: bool,
    /// What the app was given.
    pub scopes: BTreeSet<String>,
    /// Channels that the bot is not in.
    pub left: BTreeSet<String>,
    /// Channels that are private.
    pub private: BTreeSet<String>,
    /// Events of what the app has done itself, which it is told too.
    pub own: Vec<(String, Value)>,
    pub users: Vec<String>,
    pub channels: BTreeMap<String, Vec<Message>>,
    pub whispers: Vec<Whisper>,
    pub views: BTreeMap<String, View>,
    pub triggers: HashMap<String, Trigger>,
    pub responses: HashMap<String, ResponseUrl>,
    pub tickets: HashMap<String, Instant>,
    pub sockets: Vec<Socket>,
    /// Sockets may be opened but never greet.
    pub mute_sockets: bool,
    pub waiting: HashMap<String, oneshot::Sender<Value>>,
    pub faults: HashMap<String, VecDeque<Fault>>,
    pub buckets: HashMap<(String, String), Bucket>,
    pub unlimited: bool,
    pub calls: Vec<Call>,
    pub complaints: Vec<String>,
    pub counter: u64,
    pub next_socket: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            team: TEAM.into(),
            bot_revoked: false,
            app_revoked: false,
            scopes: ["commands", "chat:write", "im:write"].map(str::to_owned).into(),
            left: BTreeSet::new(),
            private: BTreeSet::new(),
            own: Vec::new(),
            users: Vec::new(),
            channels: BTreeMap::new(),
            whispers: Vec::new(),
            views: BTreeMap::new(),
            triggers: HashMap::new(),
            responses: HashMap::new(),
            tickets: HashMap::new(),
            sockets: Vec::new(),
            mute_sockets: false,
            waiting: HashMap::new(),
            faults: HashMap::new(),
            buckets: HashMap::new(),
            unlimited: false,
            calls: Vec::new(),
            complaints: Vec::new(),
            counter: 0,
            next_socket: 0,
        }
    }
}

impl State {
    pub fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub fn complain(&mut self, about: &str, wrong: Vec<String>) {
        self.complaints.extend(wrong.into_iter().map(|words| format!("{about}: {words}")));
    }

    pub fn trigger(&mut self, user: &str) -> String {
        let id = format!("{}.{}.{:032x}", 7_000 + self.next(), 4_000, rand::random::<u128>());
        let until = Instant::now() + TRIGGER_LIVES;
        self.triggers.insert(id.clone(), Trigger { user: user.to_owned(), until, used: false });
        id
    }

    /// Whether a method may be called once more; if not, after how many seconds.
    pub fn rate(&mut self, method: &str, place: &str) -> Option<u64> {
        let (burst, each) = match method {
            // One a second in a channel, and a little more.
            "chat.postMessage" => (2.0, 1.0),
            "chat.update" => (50.0, 1.2),
            "chat.postEphemeral" | "views.open" | "views.update" | "views.publish" => (100.0, 0.6),
            _ => return None,
        };
        if self.unlimited {
            return None;
        }
        let place = if method == "chat.postMessage" { place } else { "" };
        let now = Instant::now();
        let fresh = || Bucket { room: burst, at: now };
        let bucket = self.buckets.entry((method.to_owned(), place.to_owned())).or_insert_with(fresh);
        bucket.room = (bucket.room + now.duration_since(bucket.at).as_secs_f64() / each).min(burst);
        bucket.at = now;
        if bucket.room < 1.0 {
            return Some(1);
        }
        bucket.room -= 1.0;
        None
    }
}
