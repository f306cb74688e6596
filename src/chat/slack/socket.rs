//! Socket Mode: at least two connections, each watched by itself and built anew when it is dead or hangs.
//!
//! The connections are ours and not `slack-morphism`'s: its reader waits for each answer before it takes the next
//! envelope, stops for good when an answer panics, waits for ever for a peer that says nothing while it connects, and writes
//! addresses with tickets into the log. Here each envelope has a task of its own, and everything has an end.

use std::{sync::Arc, time::Duration};

use futures_util::SinkExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_stream::StreamExt as _;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::{
    api::Fault,
    backoff,
    desk::{Desk, Kind},
    text::put,
};

/// So many connections are held at once: one is always there while the other is being renewed.
pub const CONNECTIONS: usize = 2;
/// A connection is made, and Slack has greeted, within this.
const HELLO_MAX: Duration = Duration::from_secs(10);
/// How often we ask whether the other side is there.
const PING_EVERY: Duration = Duration::from_secs(5);
/// A connection on which nothing was heard for so long is dead.
const SILENCE_MAX: Duration = Duration::from_secs(16);
/// What can't be written within this goes nowhere.
const WRITE_MAX: Duration = Duration::from_secs(5);
/// After Slack has said that it will close a connection, it is read for so long at the most.
const FAREWELL_MAX: Duration = Duration::from_secs(30);
/// At the end, what is under way is answered within this.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(3);
/// A connection that lived so long has not failed.
const WELL_AFTER: Duration = Duration::from_mins(1);
/// The longest frame that is read.
const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Answers that wait to be written.
const ACKS_MAX: usize = 1_024;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An answer, and whom to tell that it was written.
type Ack = (Message, oneshot::Sender<()>);

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Slack has switched Socket Mode off for this app.
    Off,
    /// It is gone, for this reason of ours.
    Gone(&'static str),
    /// We are stopping.
    Stopped,
}

/// Keeps the connections until `stop` says so or Slack will have no more of them.
pub async fn listen(desk: Arc<Desk>, stop: watch::Receiver<bool>) {
    let mut slots = JoinSet::new();
    for slot in 0..CONNECTIONS {
        slots.spawn(keep(Arc::clone(&desk), slot, stop.clone()));
    }
    while let Some(ended) = slots.join_next().await {
        // A slot ends by itself only when there is nothing more to do; one that broke is built anew.
        if ended.is_err_and(|error| error.is_panic()) {
            tracing::error!("a task that keeps a connection to Slack broke; it is built anew");
            slots.spawn(keep(Arc::clone(&desk), CONNECTIONS, stop.clone()));
        }
    }
}

async fn keep(desk: Arc<Desk>, slot: usize, mut stop: watch::Receiver<bool>) {
    let mut failures: u32 = 0;
    let mut lingering = JoinSet::new();
    while !*stop.borrow() {
        let why = match connect(&desk).await {
            Ok(socket) => {
                tracing::info!(slot, "connected to Slack");
                let since = Instant::now();
                let (renew, renewed) = oneshot::channel();
                let mut serving = tokio::spawn(serve(Arc::clone(&desk), socket, stop.clone(), renew));
                let end = tokio::select! {
                    end = &mut serving => end.unwrap_or(End::Gone("the task that reads it broke")),
                    Ok(()) = renewed => {
                        tracing::debug!(slot, "Slack renews a connection");
                        lingering.spawn(serving);
                        End::Gone("Slack renews it")
                    }
                };
                if since.elapsed() >= WELL_AFTER {
                    failures = 0;
                }
                match end {
                    End::Stopped => break,
                    End::Off => {
                        tracing::error!(
                            "Slack has switched Socket Mode off for this app: switch it on and start again"
                        );
                        break;
                    }
                    End::Gone(why) => why,
                }
            }
            Err(Trouble::Fault(Fault::Dead(code))) => {
                tracing::error!(
                    code,
                    "Slack lets us open no socket with this app token: give Countersign another and start it again"
                );
                break;
            }
            Err(Trouble::Fault(Fault::Limited(pause))) => {
                rest(pause, &mut stop).await;
                "Slack wanted a pause"
            }
            Err(Trouble::Fault(fault)) => {
                tracing::warn!(slot, %fault, "no address to connect to Slack");
                "there was no address"
            }
            Err(Trouble::Connect(why)) => why,
        };
        // The first of several in a row is not waited for: a connection lasts a few hours at best, and then is renewed.
        if failures > 0 {
            let pause = backoff::pause(failures, (desk.chance)());
            tracing::warn!(slot, why, pause_ms = pause.as_millis(), "no connection to Slack; it is built anew");
            rest(pause, &mut stop).await;
        }
        failures = failures.saturating_add(1);
    }
    while lingering.join_next().await.is_some() {}
}

async fn rest(pause: Duration, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = sleep(pause) => {}
        () = stopped(stop) => {}
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone is as good as a word to stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

enum Trouble {
    Fault(Fault),
    Connect(&'static str),
}

async fn connect(desk: &Desk) -> Result<Socket, Trouble> {
    let url: SecretString = desk.api.socket_url().await.map_err(Trouble::Fault)?;
    let config =
        WebSocketConfig::default().max_message_size(Some(FRAME_BYTES_MAX)).max_frame_size(Some(FRAME_BYTES_MAX));
    let connected = timeout(HELLO_MAX, connect_async_with_config(url.expose_secret(), Some(config), true)).await;
    match connected {
        Err(_) => Err(Trouble::Connect("Slack's socket did not open in time")),
        Ok(Err(_)) => Err(Trouble::Connect("Slack's socket could not be opened")),
        Ok(Ok((socket, _))) => Ok(socket),
    }
}

/// Reads and answers until the connection ends. Tells `renew` when Slack is about to close it.
async fn serve(
    desk: Arc<Desk>,
    mut socket: Socket,
    mut stop: watch::Receiver<bool>,
    renew: oneshot::Sender<()>,
) -> End {
    let (acks, mut to_send) = mpsc::channel::<Ack>(ACKS_MAX);
    let mut ping = interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (started, mut heard) = (Instant::now(), Instant::now());
    let (mut greeted, mut renew) = (false, Some(renew));
    let mut until = None;
    loop {
        tokio::select! {
            message = socket.next() => {
                heard = Instant::now();
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(_))) | None => return End::Gone("Slack closed the connection"),
                    Some(Err(_)) => return End::Gone("the connection broke"),
                };
                // What can't be read can't be acknowledged either: it has no id that we could name.
                let Ok(envelope) = serde_json::from_str::<Value>(text.as_str()) else {
                    tracing::warn!(bytes = text.len(), "Slack sent something that is no JSON");
                    continue;
                };
                match envelope.get("type").and_then(Value::as_str).unwrap_or_default() {
                    "hello" => greeted = true,
                    "disconnect" if envelope.get("reason").and_then(Value::as_str) == Some("link_disabled") => {
                        return End::Off;
                    }
                    "disconnect" => {
                        if let Some(renew) = renew.take() {
                            until = Some(Instant::now() + FAREWELL_MAX);
                            // Whoever waits for it may be gone, since we are stopping.
                            let _ = renew.send(());
                        }
                    }
                    kind => take(&desk, kind, &envelope, &acks),
                }
            }
            Some((ack, written)) = to_send.recv() => {
                if !write(&mut socket, ack).await {
                    return End::Gone("Slack takes no answers");
                }
                // Whoever wants to know may have gone.
                let _ = written.send(());
            }
            _ = ping.tick() => {
                if !greeted && started.elapsed() > HELLO_MAX {
                    return End::Gone("Slack did not greet");
                }
                if heard.elapsed() > SILENCE_MAX {
                    return End::Gone("the connection was silent for too long");
                }
                if until.is_some_and(|until| Instant::now() >= until) {
                    let _ = timeout(WRITE_MAX, socket.close(None)).await;
                    return End::Gone("it was renewed");
                }
                if !write(&mut socket, Message::Ping(Vec::new().into())).await {
                    return End::Gone("the connection can't be written to");
                }
            }
            () = stopped(&mut stop) => {
                drop(acks);
                finish(&mut socket, &mut to_send).await;
                return End::Stopped;
            }
        }
    }
}

async fn write(socket: &mut Socket, message: Message) -> bool {
    matches!(timeout(WRITE_MAX, socket.send(message)).await, Ok(Ok(())))
}

/// What is under way is still answered; its senders end with it.
async fn finish(socket: &mut Socket, to_send: &mut mpsc::Receiver<Ack>) {
    let answers = async {
        while let Some((ack, written)) = to_send.recv().await {
            if !write(socket, ack).await {
                return;
            }
            let _ = written.send(());
        }
    };
    let _ = timeout(LAST_ANSWERS_MAX, answers).await;
    let _ = timeout(WRITE_MAX, socket.close(None)).await;
}

/// Takes an envelope on a task of its own.
fn take(desk: &Arc<Desk>, kind: &str, envelope: &Value, acks: &mpsc::Sender<Ack>) {
    let Some(id) = envelope.get("envelope_id").and_then(Value::as_str).map(str::to_owned) else {
        tracing::warn!("Slack sent an envelope without an id");
        return;
    };
    let takes_payload = envelope.get("accepts_response_payload").and_then(Value::as_bool).unwrap_or(false);
    let kind = Kind::of_envelope(kind);
    let payload = envelope.get("payload").cloned().unwrap_or_default();
    let (desk, acks) = (Arc::clone(desk), acks.clone());
    tokio::spawn(async move {
        let answer = Desk::take(&desk, kind, payload, &id).await;
        if answer.again {
            return;
        }
        let mut ack = json!({ "envelope_id": id });
        if let Some(payload) = answer.payload.as_ref().filter(|_| takes_payload) {
            put(&mut ack, "payload", payload.clone());
        }
        let (written, told) = oneshot::channel();
        // A connection that is gone takes its answers with it.
        let _ = acks.send((Message::Text(ack.to_string().into()), written)).await;
        // What was to go with the acknowledgement goes another way if it can't.
        if told.await.is_err() || !takes_payload {
            desk.say_otherwise(answer).await;
        }
    });
}
