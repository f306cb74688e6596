//! The gateway: HELLO, IDENTIFY, RESUME, heartbeats, and what a test has it do. Compressed where it is asked for.

use std::{io::Write as _, sync::Arc};

use flate2::{Compress, Compression, FlushCompress, write::ZlibEncoder};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{APPLICATION, Act, BOT, GUILD, Standin, TOKEN};

/// Whoever has not said who it is by then is sent away.
const IDENTIFY_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

/// A session that can be taken up again.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    seq: u64,
    sent: Vec<Value>,
    /// Whether it may be.
    over: bool,
}

pub async fn serve(standin: Arc<Standin>, listener: TcpListener) {
    let mut hung = Vec::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let hangs = {
            let mut world = standin.world();
            world.connections += 1;
            let hangs = world.hang_upgrades > 0;
            world.hang_upgrades = world.hang_upgrades.saturating_sub(1);
            hangs
        };
        if hangs {
            // Taken, and never answered.
            hung.push(stream);
            continue;
        }
        let standin = Arc::clone(&standin);
        tokio::spawn(async move {
            // Whoever hangs up has hung up.
            let _ = Connection::live(standin, stream).await;
        });
    }
}

/// Discord takes the token with and without the word before it.
fn ours(token: &Value) -> bool {
    token.as_str().is_some_and(|token| token.strip_prefix("Bot ").unwrap_or(token) == TOKEN)
}

/// How payloads are written.
enum Dress {
    Plain,
    /// Each for itself, as IDENTIFY's `compress` asks for.
    Payload,
    /// One stream for all, as `compress=zlib-stream` asks for.
    Stream(Box<Compress>),
}

struct Connection {
    standin: Arc<Standin>,
    socket: WebSocketStream<TcpStream>,
    dress: Dress,
    session: Option<String>,
}

/// Why a connection is over.
struct Over;

impl Connection {
    #[expect(clippy::result_large_err, reason = "the library's own type of callback")]
    async fn live(standin: Arc<Standin>, stream: TcpStream) -> Result<(), Over> {
        let mut query = String::new();
        let socket = tokio_tungstenite::accept_hdr_async(stream, |request: &Request, response: Response| {
            request.uri().query().unwrap_or_default().clone_into(&mut query);
            Ok(response)
        });
        let socket = socket.await.map_err(|_| Over)?;
        if !query.split('&').any(|part| part == "v=10") {
            standin.world().wrong(format!("a gateway connection without v=10: {query}"));
        }
        let dress = if query.contains("compress=zlib-stream") {
            Dress::Stream(Box::new(Compress::new(Compression::fast(), true)))
        } else {
            Dress::Plain
        };
        let mut connection = Self { standin, socket, dress, session: None };
        connection.talk().await
    }

    async fn talk(&mut self) -> Result<(), Over> {
        let heartbeat = self.standin.manners.heartbeat;
        self.send(
            json!({ "op": 10, "d": { "heartbeat_interval": u64::try_from(heartbeat.as_millis()).unwrap() }, "s": null, "t": null }),
        )
        .await?;
        let mut acts = None;
        let started = Instant::now();
        let (mut last_beat, mut zombie) = (Instant::now(), false);
        loop {
            if acts.is_none() && started.elapsed() > IDENTIFY_WITHIN {
                return self.close(Some(4003)).await;
            }
            if last_beat.elapsed() > heartbeat * 3 && !zombie {
                return self.close(Some(4009)).await;
            }
            let act = async {
                match &mut acts {
                    Some(acts) => tokio::sync::broadcast::Receiver::<Act>::recv(acts).await.ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                frame = timeout(heartbeat, self.socket.next()) => {
                    let Ok(frame) = frame else { continue };
                    let value: Value = match frame.ok_or(Over)?.map_err(|_| Over)? {
                        Message::Text(text) => serde_json::from_str(&text).map_err(|_| Over)?,
                        Message::Close(_) => return Ok(()),
                        Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
                    };
                    match value["op"].as_u64() {
                        Some(1) => {
                            last_beat = Instant::now();
                            if !zombie {
                                self.send(json!({ "op": 11, "d": null, "s": null, "t": null })).await?;
                            }
                        }
                        Some(2) => {
                            if !self.identify(&value["d"]).await? {
                                return Ok(());
                            }
                            acts = Some(self.standin.acts.subscribe());
                        }
                        Some(6) => {
                            if self.resume(&value["d"]).await? {
                                acts = Some(self.standin.acts.subscribe());
                            }
                        }
                        Some(3 | 4) => {}
                        other => self.standin.world().wrong(format!("an opcode that a bot does not send: {other:?}")),
                    }
                }
                act = act => match act.ok_or(Over)? {
                    Act::Dispatch(kind, value) => self.dispatch(kind, value).await?,
                    Act::Close(code) => return self.close(code).await,
                    Act::Abort => return Ok(()),
                    Act::Reconnect => self.send(json!({ "op": 7, "d": null, "s": null, "t": null })).await?,
                    Act::Invalid(resumable) => {
                        self.kept(|kept| kept.over = !resumable);
                        self.send(json!({ "op": 9, "d": resumable, "s": null, "t": null })).await?;
                    }
                    Act::Zombie => zombie = true,
                },
            }
        }
    }

    async fn identify(&mut self, data: &Value) -> Result<bool, Over> {
        self.standin.world().identified.push(data.clone());
        if !ours(&data["token"]) {
            self.close(Some(4004)).await?;
            return Ok(false);
        }
        // Members, presences, and the content of messages.
        if data["intents"].as_u64().is_none_or(|intents| intents & (1 << 1 | 1 << 8 | 1 << 15) != 0) {
            self.standin.world().wrong(format!("privileged intents, or none at all: {}", data["intents"]));
            self.close(Some(4014)).await?;
            return Ok(false);
        }
        if data["compress"] == true && matches!(self.dress, Dress::Plain) {
            self.dress = Dress::Payload;
        }
        let session = format!("session-{}", self.standin.id());
        self.session = Some(session.clone());
        self.standin.world().sessions.insert(session.clone(), Kept::default());
        let ready = json!({
            "v": 10,
            "user": { "id": BOT, "username": "countersign", "discriminator": "0", "global_name": null, "avatar": null,
                "bot": true, "flags": 0, "mfa_enabled": true, "verified": true, "email": null },
            "guilds": [{ "id": GUILD, "unavailable": true }],
            "session_id": session,
            "resume_gateway_url": self.standin.gateway_url,
            "session_type": "normal", "private_channels": [], "relationships": [], "presences": [],
            "application": { "id": APPLICATION, "flags": 0 },
            "shard": [0, 1],
        });
        self.dispatch("READY", ready).await?;
        Ok(true)
    }

    async fn resume(&mut self, data: &Value) -> Result<bool, Over> {
        let id = data["session_id"].as_str().unwrap_or_default().to_owned();
        let kept = self.standin.world().sessions.get(&id).filter(|kept| !kept.over).cloned();
        let Some(kept) = kept.filter(|_| ours(&data["token"])) else {
            self.send(json!({ "op": 9, "d": false, "s": null, "t": null })).await?;
            return Ok(false);
        };
        self.session = Some(id);
        self.standin.world().resumed += 1;
        let seen = data["seq"].as_u64().unwrap_or_default();
        for missed in kept.sent.iter().filter(|sent| sent["s"].as_u64().is_some_and(|seq| seq > seen)) {
            self.send(missed.clone()).await?;
        }
        self.dispatch("RESUMED", json!({ "_trace": [] })).await?;
        Ok(true)
    }

    fn kept<T: Default>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let mut world = self.standin.world();
        let kept = self.session.as_ref().and_then(|session| world.sessions.get_mut(session));
        kept.map(change).unwrap_or_default()
    }

    async fn dispatch(&mut self, kind: &str, value: Value) -> Result<(), Over> {
        let payload = self.kept(|kept| {
            kept.seq += 1;
            let payload = json!({ "op": 0, "t": kind, "s": kept.seq, "d": value });
            kept.sent.push(payload.clone());
            payload
        });
        self.send(payload).await
    }

    async fn send(&mut self, value: Value) -> Result<(), Over> {
        let text = value.to_string();
        let message = match &mut self.dress {
            Dress::Plain => Message::text(text),
            Dress::Payload => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(text.as_bytes()).unwrap();
                Message::binary(encoder.finish().unwrap())
            }
            Dress::Stream(stream) => {
                let mut bytes = Vec::with_capacity(text.len() + 256);
                stream.compress_vec(text.as_bytes(), &mut bytes, FlushCompress::Sync).unwrap();
                Message::binary(bytes)
            }
        };
        self.socket.send(message).await.map_err(|_| Over)
    }

    async fn close(&mut self, code: Option<u16>) -> Result<(), Over> {
        let frame = code.map(|code| CloseFrame { code: CloseCode::from(code), reason: "".into() });
        self.socket.close(frame).await.map_err(|_| Over)?;
        // Until the other side has seen it.
        while let Some(Ok(_)) = self.socket.next().await {}
        Ok(())
    }
}
