//! The gateway: `serenity` holds the connection, without privileged intents, and we hold `serenity`.
//!
//! It lives in a runtime of its own, which is thrown away when it hangs: a connection that is never answered has no end by
//! itself. Whether it hangs is seen by its heartbeats. An interaction that it can't parse comes as an unknown event, and is
//! read by us.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use serenity::{
    all::{Context, Event, GatewayIntents, RawEventHandler, ShardId},
    http::HttpBuilder,
};
use tokio::{
    runtime::Runtime,
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{Discord, desk::Desk, heard};

/// A connection that is not there by then hangs.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// Discord's heartbeats come every 41 seconds or so: until we have seen how often, this long without one is too long.
const SILENCE_UNKNOWN_MAX: Duration = Duration::from_mins(2);
/// What is added to two and a half heartbeats for the way and for a connection that is made anew.
const SILENCE_GRACE: Duration = Duration::from_secs(2);
/// How often is looked at the heartbeats.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The first pause before a new connection; it doubles.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
/// The longest pause before a new connection.
const AGAIN_LONGEST: Duration = Duration::from_mins(1);
/// Discord takes one new session in five seconds.
const IDENTIFY_EVERY: Duration = Duration::from_secs(5);
/// A connection that held for so long was good, and pauses begin anew.
const GOOD_AFTER: Duration = Duration::from_mins(1);
/// Discord does not want us as we are (a wrong token, intents that it does not allow): asked again after this.
const REFUSED_PAUSE: Duration = Duration::from_mins(2);
/// What an event may be called.
const INTERACTION: &str = "INTERACTION_CREATE";

/// What a connection tells.
#[derive(Debug)]
enum Told {
    /// Discord took us in, or took us back.
    Ready,
    /// A heartbeat was answered.
    Beat,
    /// Something was done.
    Interaction(Value),
    /// The same, as the library could not parse it.
    Unparsed(Value),
    /// It is over; whether Discord refused us.
    Over { refused: bool },
}

/// Why a connection was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stopped,
    Refused,
    Broke,
    Hung,
}

/// One connection, with all that belongs to it.
struct Session {
    runtime: Option<Runtime>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // What hangs in it is dropped where it stands.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Listens until the adapter is stopped.
pub async fn run(discord: Arc<Discord>, desk: Arc<Desk>) {
    let mut stopped = discord.stop.subscribe();
    let mut pause = AGAIN_FIRST;
    loop {
        let started = Instant::now();
        let end = tokio::select! {
            end = live(&discord, &desk) => end,
            _ = stopped.wait_for(|stop| *stop) => End::Stopped,
        };
        if started.elapsed() >= GOOD_AFTER {
            pause = AGAIN_FIRST;
        }
        let wait = match end {
            End::Stopped => return,
            End::Refused => {
                tracing::error!("Discord refuses our connection: is `DISCORD_BOT_TOKEN` the bot's token?");
                REFUSED_PAUSE
            }
            End::Hung => {
                tracing::warn!("the connection to Discord hung and was given up; connecting anew");
                pause
            }
            End::Broke => {
                tracing::warn!("the connection to Discord broke; connecting anew");
                pause
            }
        };
        let wait = wait.max(IDENTIFY_EVERY.saturating_sub(started.elapsed()));
        tokio::select! {
            () = sleep(wait) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        pause = (pause * 2).min(AGAIN_LONGEST);
    }
}

/// Connects, and passes on what is told until it ends.
async fn live(discord: &Arc<Discord>, desk: &Arc<Desk>) -> End {
    let url = match discord.get("GET gateway", "/gateway".to_owned(), "").await {
        Ok(answer) => answer.get("url").and_then(Value::as_str).map(str::to_owned),
        Err(error) => {
            tracing::warn!(%error, "Discord does not say where its gateway is");
            None
        }
    };
    let Some(url) = url else { return End::Broke };
    let Ok(mut session) = connect(discord, url) else { return End::Broke };
    let mut watch = Watch::new(Instant::now());
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            told = session.told.recv() => match told {
                Some(Told::Ready) => {
                    tracing::info!("connected to Discord");
                    watch.ready(Instant::now());
                }
                Some(Told::Beat) => watch.beat(Instant::now()),
                Some(Told::Interaction(value)) => take(desk, &value),
                Some(Told::Unparsed(value)) => {
                    tracing::error!("an interaction came that the library could not parse; it is read without it");
                    take(desk, &value);
                }
                Some(Told::Over { refused: true }) => return End::Refused,
                Some(Told::Over { refused: false }) | None => return End::Broke,
            },
            _ = looks.tick() => if watch.hangs(Instant::now()) { return End::Hung },
        }
    }
}

/// Takes something that was done, beside whatever else is under way.
fn take(desk: &Arc<Desk>, value: &Value) {
    let Some(heard) = heard::read(value) else {
        tracing::error!("an interaction came that can't even be answered: it has no id or no token");
        return;
    };
    let answering = Arc::clone(desk);
    desk.discord().tasks.spawn(async move { answering.take_and_answer(heard).await });
}

/// Whether a connection lives, by its signs of life.
#[derive(Debug)]
struct Watch {
    /// The last sign of life.
    sign: Instant,
    is_ready: bool,
    /// When the last heartbeat was answered, and how long before it the one before was.
    beat: Option<Instant>,
    every: Option<Duration>,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self { sign: now, is_ready: false, beat: None, every: None }
    }

    fn ready(&mut self, now: Instant) {
        self.sign = now;
        self.is_ready = true;
        self.beat = None;
    }

    fn beat(&mut self, now: Instant) {
        self.every = self.beat.map(|last| now - last).or(self.every);
        (self.beat, self.sign) = (Some(now), now);
    }

    fn hangs(&self, now: Instant) -> bool {
        let most = match self.every {
            _ if !self.is_ready => CONNECT_MAX,
            Some(every) => every * 5 / 2 + SILENCE_GRACE,
            None => SILENCE_UNKNOWN_MAX,
        };
        now.saturating_duration_since(self.sign) > most
    }
}

/// Starts a connection in a runtime of its own.
fn connect(discord: &Discord, url: String) -> std::io::Result<Session> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("discord-gateway")
        .enable_all()
        .build()?;
    let (tell, told) = mpsc::unbounded_channel();
    let settings = &discord.settings;
    let http = HttpBuilder::new(settings.token.expose_secret())
        .client(discord.http.clone())
        .proxy(settings.api_url.clone())
        // Its limiter would go past the base that the config names; it asks for nothing but the gateway's address.
        .ratelimiter_disabled(true)
        .build();
    runtime.spawn(async move {
        let ears = Ears(tell.clone());
        let built =
            serenity::client::ClientBuilder::new_with_http(http, GatewayIntents::empty()).raw_event_handler(ears);
        let refused = match built.await {
            Ok(mut client) => {
                *client.ws_url.lock().await = url;
                let beats = tokio::spawn(listen_to_heart(Arc::clone(&client.shard_manager), tell.clone()));
                let ended = client.start().await;
                beats.abort();
                // What Discord closes for good over comes back as an error: a token or intents that it does not take.
                matches!(ended, Err(serenity::Error::Gateway(_)))
            }
            Err(_) => false,
        };
        // Nobody may be there any more to be told.
        let _ = tell.send(Told::Over { refused });
    });
    Ok(Session { runtime: Some(runtime), told })
}

/// Tells of every answered heartbeat: each has a latency of its own.
async fn listen_to_heart(shards: Arc<serenity::all::ShardManager>, tell: mpsc::UnboundedSender<Told>) {
    let mut last = None;
    loop {
        sleep(LOOK_EVERY).await;
        let latency = shards.runners.lock().await.get(&ShardId(0)).and_then(|runner| runner.latency);
        if latency != last && latency.is_some() && tell.send(Told::Beat).is_err() {
            return;
        }
        last = latency;
    }
}

/// Hears all events before the library makes anything of them.
struct Ears(mpsc::UnboundedSender<Told>);

#[async_trait]
impl RawEventHandler for Ears {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's list of events is open")]
    async fn raw_event(&self, _: Context, event: Event) {
        let told = match event {
            Event::Ready(_) | Event::Resumed(_) => Told::Ready,
            Event::InteractionCreate(event) => match serde_json::to_value(&event.interaction) {
                Ok(mut value) => {
                    // The library takes it for granted that one knows.
                    if let Some(object) = value.as_object_mut() {
                        object.insert("type".to_owned(), u8::from(event.interaction.kind()).into());
                    }
                    Told::Interaction(value)
                }
                Err(_) => return,
            },
            Event::Unknown(event) if event.kind == INTERACTION => Told::Unparsed(event.value),
            _ => return,
        };
        // A connection that was given up tells nobody.
        let _ = self.0.send(told);
    }
}

#[cfg(test)]
mod tests;
