//! A stand-in for Slack, with a state, and as strict as Slack: three seconds for an acknowledgement, triggers that die,
//! limits of blocks and rates, escapes, sockets that come and go. What it does not like it refuses, and keeps for
//! [`Standin::complaints`].

pub mod events;
pub mod people;
pub mod rules;
pub mod signed;
pub mod socket;
pub mod state;
pub mod web;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    time::timeout,
};

use state::{ACK_WITHIN, State};
pub use state::{APP_TOKEN, BOT_TOKEN, Call, Fault, Message, Order, SIGNING_SECRET, TEAM};

/// How long something may take to become so before the test fails.
const PATIENCE: Duration = Duration::from_secs(45);

pub struct Inner {
    state: Mutex<State>,
    version: watch::Sender<u64>,
    pub address: SocketAddr,
    pub socket_address: SocketAddr,
    /// Where the app listens in HTTP mode.
    pub app: Mutex<Option<String>>,
}

impl Inner {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Something changed: whoever waits for it looks.
    pub fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }
}

/// The stand-in.
#[derive(Clone)]
pub struct Standin {
    pub inner: Arc<Inner>,
}

/// How an envelope fared.
#[derive(Debug, Clone, PartialEq)]
pub enum Acked {
    /// Acknowledged in time, with this payload.
    Yes(Value),
    /// Not in time: the user sees that the app did not respond.
    Late,
    /// There was nobody to send it to.
    Nobody,
}

impl Acked {
    #[track_caller]
    pub fn payload(self) -> Value {
        match self {
            Self::Yes(payload) => payload,
            Self::Late | Self::Nobody => panic!("it was not acknowledged: {self:?}"),
        }
    }
}

impl Standin {
    /// On free ports of loopback, with these users and channels.
    pub async fn start(users: &[&str], channels: &[&str]) -> Self {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let (web, socket) = (bind().await.unwrap(), bind().await.unwrap());
        let mut state = State { users: users.iter().map(|user| (*user).to_owned()).collect(), ..State::default() };
        state.channels.extend(channels.iter().map(|channel| ((*channel).to_owned(), Vec::new())));
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            version: watch::Sender::new(0),
            address: web.local_addr().unwrap(),
            socket_address: socket.local_addr().unwrap(),
            app: Mutex::default(),
        });
        let router = web::router(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(web, router).await.unwrap() });
        tokio::spawn(socket::listen(Arc::clone(&inner), socket));
        Self { inner }
    }

    /// The base of its Web API.
    pub fn api_url(&self) -> String {
        format!("http://{}/api", self.inner.address)
    }

    /// What goes wrong with the next calls of a method.
    pub fn breaks(&self, method: &str, faults: impl IntoIterator<Item = Fault>) {
        self.inner.state().faults.entry(method.to_owned()).or_default().extend(faults);
    }

    /// Everything that was not as Slack wants it.
    pub fn complaints(&self) -> Vec<String> {
        self.inner.state().complaints.clone()
    }

    #[track_caller]
    pub fn content(&self) {
        assert_eq!(self.complaints(), Vec::<String>::new(), "Slack would not have liked this");
    }

    pub fn calls(&self, method: &str) -> Vec<Call> {
        self.inner.state().calls.iter().filter(|call| call.method == method).cloned().collect()
    }

    pub fn messages(&self, channel: &str) -> Vec<Message> {
        let state = self.inner.state();
        state.channels.get(channel).into_iter().flatten().filter(|message| !message.deleted).cloned().collect()
    }

    /// The messages of a channel that stand in no thread.
    pub fn cards(&self, channel: &str) -> Vec<Message> {
        self.messages(channel).into_iter().filter(|message| message.thread.is_none()).collect()
    }

    pub fn sockets(&self) -> usize {
        self.inner.state().sockets.len()
    }

    /// Tells every connection to do something.
    pub fn order(&self, order: impl Fn() -> Order) {
        for socket in &self.inner.state().sockets {
            let _ = socket.orders.send(order());
        }
    }

    /// Slack announces that it will close its connections, and does so a moment later.
    pub fn renews(&self) {
        let mut state = self.inner.state();
        for socket in &mut state.sockets {
            socket.leaving = true;
            for reason in ["warning", "refresh_requested"] {
                let _ = socket.orders.send(Order::Send(
                    json!({ "type": "disconnect", "reason": reason, "debug_info": { "host": "applink-standin-1" } }),
                ));
            }
        }
    }

    /// Waits until something is found.
    pub async fn until<T>(&self, what: &str, mut find: impl FnMut() -> Option<T>) -> T {
        let mut version = self.inner.version.subscribe();
        let found = async {
            loop {
                version.mark_unchanged();
                if let Some(found) = find() {
                    return found;
                }
                // Not everything that is looked for changes something here.
                let _ = timeout(Duration::from_millis(200), version.changed()).await;
            }
        };
        let Ok(found) = timeout(PATIENCE, found).await else {
            let state = self.inner.state();
            let calls: Vec<_> =
                state.calls.iter().rev().take(12).map(|c| format!("{} {}", c.method, c.outcome)).collect();
            let told: Vec<_> = state.whispers.iter().rev().take(3).map(|w| format!("{}: {}", w.user, w.text)).collect();
            panic!("never: {what}; told {told:?}, complaints {:?}, last calls {calls:?}", state.complaints);
        };
        found
    }

    pub async fn connected(&self, count: usize) {
        self.until(&format!("{count} sockets"), || (self.sockets() >= count).then_some(())).await;
    }

    /// Sends an envelope, by whichever way the app is reached, and waits for its acknowledgement.
    pub async fn deliver(&self, kind: &str, payload: Value, takes_payload: bool) -> Acked {
        let app = self.inner.app.lock().unwrap().clone();
        if let Some(app) = app {
            return signed::deliver(&app, kind, &payload).await;
        }
        self.deliver_again(kind, payload, takes_payload, None).await
    }

    /// The same, as Slack says it when it delivers something once more.
    pub async fn deliver_again(&self, kind: &str, payload: Value, takes_payload: bool, retry: Option<u64>) -> Acked {
        let (done, acknowledged) = oneshot::channel();
        let id = {
            let mut state = self.inner.state();
            let id = format!("{:08x}-envelope-{}", rand::random::<u32>(), state.next());
            let mut envelope = json!({
                "envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": takes_payload,
            });
            if kind == "events_api" || retry.is_some() {
                envelope["retry_attempt"] = json!(retry.unwrap_or(0));
                envelope["retry_reason"] = json!(if retry.is_some() { "timeout" } else { "" });
            }
            let fresh: Vec<usize> = (0..state.sockets.len()).filter(|at| !state.sockets[*at].leaving).collect();
            if fresh.is_empty() {
                return Acked::Nobody;
            }
            state.next_socket += 1;
            let at = fresh[state.next_socket % fresh.len()];
            state.waiting.insert(id.clone(), done);
            let _ = state.sockets[at].orders.send(Order::Send(envelope));
            id
        };
        if let Ok(Ok(payload)) = timeout(ACK_WITHIN, acknowledged).await {
            return Acked::Yes(payload);
        }
        self.inner.state().waiting.remove(&id);
        Acked::Late
    }
}
