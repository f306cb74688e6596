//! The routes: pages are asked for, forms are posted, and an answer to a form is the whole page again with the answer
//! in it. With the script the same pages are fetched and only what differs is put in place, so there is one rendering.

use std::{convert::Infallible, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{FromRequest, Path, Query, Request, State},
    http::{StatusCode, header},
    middleware,
    response::{
        Form, Html, IntoResponse, Redirect, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio_stream::{StreamExt as _, wrappers::WatchStream};
use zeroize::Zeroizing;

use super::{
    LEDGER_ROWS_MOST, Persona, Playground, after_the_slash, assets, guard,
    page::{Answer, Extras, Kept, Landing, Problem, Room, Verified},
    view::View,
};
use crate::{
    access::{Chat, RequestId},
    chat::{Inbound, Input, Reply, Service, Tone, card::Button, plain},
};

/// The longest form that is read: a reason of 100 kB is for the service to refuse, in words.
pub const BODY_BYTES_MOST: usize = 1024 * 1024;
/// What is still taken and thrown away of a longer one, so that the browser reads our answer and not a reset.
const DRAINED_BYTES_MOST: usize = 16 * BODY_BYTES_MOST;
/// What a page takes, usually: it is rendered into room of this size, so that no part of it is left in room that became
/// too small.
const PAGE_BYTES_USUAL: usize = 256 * 1024;
/// The longest id of a submission.
const MESSAGE_CHARS_MOST: usize = 64;
/// How soon a page asks again when its event stream broke.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// How often a quiet event stream says that it is there.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// The chat and the service behind it.
#[derive(Clone)]
struct Desk {
    playground: Arc<Playground>,
    service: Arc<dyn Service>,
}

/// Everything the playground serves: `/`, `/as/…` and `/playground/…`. It sets no fallback, so it can be merged with
/// other routers; its checks of `Host` and `Origin` hold for its own routes.
pub fn router(playground: Arc<Playground>, service: Arc<dyn Service>) -> Router {
    Router::new()
        .route("/", get(landing))
        .route("/playground/{file}", get(assets::serve))
        .route("/as/{person}", get(home))
        .route("/as/{person}/", get(home_page))
        .route("/as/{person}/c/{channel}", get(channel_page))
        .route("/as/{person}/direct", get(direct_page))
        .route("/as/{person}/ledger", get(ledger_page))
        .route("/as/{person}/events", get(events))
        .route("/as/{person}/access", get(home).post(access))
        .route("/as/{person}/press", get(home).post(press))
        .route("/as/{person}/verify", get(home).post(verify))
        .route_layer(middleware::from_fn(guard::guard))
        .with_state(Desk { playground, service })
}

/// What may be in a page's address.
#[derive(Deserialize)]
struct Asked {
    /// A line to begin with in the input.
    #[serde(default)]
    draft: String,
}

async fn landing(State(desk): State<Desk>) -> Response {
    html(StatusCode::OK, &Landing::new(&desk.playground))
}

async fn home(State(desk): State<Desk>, Path(person): Path<String>) -> Response {
    match desk.playground.person(&person) {
        // A name that the playground knows is a principal's: it needs no escapes.
        Some(person) => Redirect::to(&format!("/as/{}/", person.name)).into_response(),
        None => nobody(&person),
    }
}

async fn home_page(State(desk): State<Desk>, Path(person): Path<String>, Query(asked): Query<Asked>) -> Response {
    desk.page(&person, Some(View::home(&desk.playground.cast())), asked).await
}

async fn channel_page(
    State(desk): State<Desk>,
    Path((person, channel)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    desk.page(&person, View::from_path(&format!("c/{channel}"), &desk.playground.cast()), asked).await
}

async fn direct_page(State(desk): State<Desk>, Path(person): Path<String>, Query(asked): Query<Asked>) -> Response {
    desk.page(&person, Some(View::Direct), asked).await
}

async fn ledger_page(State(desk): State<Desk>, Path(person): Path<String>, Query(asked): Query<Asked>) -> Response {
    desk.page(&person, Some(View::Ledger), asked).await
}

/// The `/access` line.
#[derive(Deserialize)]
struct Typed {
    line: String,
    message: String,
    #[serde(default)]
    view: String,
}

async fn access(State(desk): State<Desk>, Path(person): Path<String>, request: Request) -> Response {
    let Some(person) = desk.playground.person(&person) else { return nobody(&person) };
    let typed: Typed = match read(request).await {
        Ok(typed) => typed,
        Err(problem) => return desk.unread(&person, problem).await,
    };
    let input = Input::Line(after_the_slash(&typed.line).to_owned());
    let Some(reply) = desk.submit(&person, &typed.view, typed.message, input).await else {
        return desk.unread(&person, Unread::NotOurs).await;
    };
    let kept = Kept { line: if reply.keep_input { typed.line } else { String::new() }, form: None };
    desk.answer(StatusCode::OK, &person, &typed.view, reply, kept).await
}

/// A button of a card or a direct message, or the form behind it.
#[derive(Deserialize)]
struct Pressed {
    request: u64,
    button: String,
    message: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    view: String,
}

async fn press(State(desk): State<Desk>, Path(person): Path<String>, request: Request) -> Response {
    let Some(person) = desk.playground.person(&person) else { return nobody(&person) };
    let pressed: Pressed = match read(request).await {
        Ok(pressed) => pressed,
        Err(problem) => return desk.unread(&person, problem).await,
    };
    let Some(button) = Button::from_word(&pressed.button) else {
        return desk.unread(&person, Unread::NotOurs).await;
    };
    let request = RequestId(pressed.request);
    let text = pressed.text.trim();
    let text = (!text.is_empty()).then(|| text.to_owned());
    let input = Input::Press { request, button, text };
    let Some(reply) = desk.submit(&person, &pressed.view, pressed.message, input).await else {
        return desk.unread(&person, Unread::NotOurs).await;
    };
    let kept = Kept { line: String::new(), form: reply.keep_input.then_some((request, button, pressed.text)) };
    desk.answer(StatusCode::OK, &person, &pressed.view, reply, kept).await
}

/// The button that checks the whole ledger.
#[derive(Deserialize)]
struct Checked {
    #[serde(default)]
    view: String,
}

async fn verify(State(desk): State<Desk>, Path(person): Path<String>, request: Request) -> Response {
    let Some(person) = desk.playground.person(&person) else { return nobody(&person) };
    let checked: Checked = match read(request).await {
        Ok(checked) => checked,
        Err(problem) => return desk.unread(&person, problem).await,
    };
    let (ok, lines) = desk.service.verify().await;
    desk.playground.poke();
    let extras = Extras { verified: Some(Verified { ok, lines }), ..Extras::default() };
    desk.room(StatusCode::OK, &person, desk.view(&checked.view), extras).await
}

/// Tells a page when to look again, and nothing else: a version, never what changed.
async fn events(State(desk): State<Desk>, Path(person): Path<String>) -> Response {
    if desk.playground.person(&person).is_none() {
        return nobody(&person);
    }
    let Ok(permit) = Arc::clone(&desk.playground.streams).try_acquire_owned() else {
        let later = [(header::RETRY_AFTER, "5")];
        return (StatusCode::SERVICE_UNAVAILABLE, later, "too many pages are open; close some\n").into_response();
    };
    let ticks = WatchStream::new(desk.playground.ticks.subscribe());
    let told = ticks.take_while(|tick| tick.open).map(move |tick| {
        // The stream owns its place among the streams, and gives it back when the page is gone.
        let _place = &permit;
        let version = desk.playground.version_at(tick);
        Ok::<_, Infallible>(Event::default().event("changed").retry(RECONNECT_AFTER).data(version))
    });
    let stream = Sse::new(told).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY)).into_response();
    // Instead of the `no-cache` that a stream has by itself.
    ([(header::CACHE_CONTROL, "no-store")], stream).into_response()
}

/// Why a form was not read.
#[derive(Debug, Clone, Copy)]
enum Unread {
    /// It is longer than [`BODY_BYTES_MOST`].
    TooLong,
    /// It is not one of ours.
    NotOurs,
}

/// Reads a form. What is too long is taken to its end, within reason, and thrown away.
async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Unread> {
    let (parts, body) = request.into_parts();
    let (mut bytes, mut taken) = (Vec::new(), 0);
    let mut chunks = body.into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        taken += chunk.len();
        if taken <= BODY_BYTES_MOST {
            bytes.extend_from_slice(&chunk);
        } else if taken > DRAINED_BYTES_MOST {
            break;
        }
    }
    if taken > BODY_BYTES_MOST {
        return Err(Unread::TooLong);
    }
    let request = Request::from_parts(parts, Body::from(bytes));
    let Form(form) = Form::from_request(request, &()).await.map_err(|_| Unread::NotOurs)?;
    Ok(form)
}

impl Desk {
    /// The view a form was sent from.
    fn view(&self, path: &str) -> View {
        let cast = self.playground.cast();
        View::from_path(path, &cast).unwrap_or_else(|| View::home(&cast))
    }

    /// Hands something to the service; nothing if the submission's id is not one that a page of ours made.
    async fn submit(&self, person: &Persona, view: &str, message: String, input: Input) -> Option<Reply> {
        let fit =
            (1..=MESSAGE_CHARS_MOST).contains(&message.len()) && message.bytes().all(|b| b.is_ascii_alphanumeric());
        if !fit {
            return None;
        }
        let channel = self.view(view).channel(&self.playground.cast());
        let account = person.name.clone();
        let inbound = Inbound { chat: Chat::Playground, account, channel, message, input, evidence: None };
        let reply = self.service.submit(inbound).await;
        self.playground.poke();
        Some(reply)
    }

    async fn page(&self, person: &str, view: Option<View>, asked: Asked) -> Response {
        let Some(person) = self.playground.person(person) else { return nobody(person) };
        let Some(view) = view else {
            let text = "There is no such channel here.".to_owned();
            return html(StatusCode::NOT_FOUND, &Problem::new("No such channel", text));
        };
        let extras = Extras { kept: Kept { line: asked.draft, form: None }, ..Extras::default() };
        self.room(StatusCode::OK, &person, view, extras).await
    }

    async fn answer(&self, status: StatusCode, person: &Persona, view: &str, reply: Reply, kept: Kept) -> Response {
        let extras = Extras { answer: Some(Answer::new(reply)), verified: None, kept };
        self.room(status, person, self.view(view), extras).await
    }

    /// Answers a form that was not read.
    async fn unread(&self, person: &Persona, problem: Unread) -> Response {
        let (status, text) = match problem {
            Unread::TooLong => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "That is more than a chat message can hold (1 MiB). Nothing was done; say it shorter.",
            ),
            Unread::NotOurs => (
                StatusCode::BAD_REQUEST,
                "That is not a form of this page. Nothing was done; reload the page and try again.",
            ),
        };
        let reply = Reply { tone: Tone::Refused, lines: vec![plain(text)], secret: Vec::new(), keep_input: true };
        self.answer(status, person, "", reply, Kept::default()).await
    }

    async fn room(&self, status: StatusCode, person: &Persona, view: View, extras: Extras) -> Response {
        let ledger = self.service.ledger(LEDGER_ROWS_MOST).await;
        html(status, &Room::new(&self.playground, person, view, ledger, extras))
    }
}

fn nobody(name: &str) -> Response {
    html(StatusCode::NOT_FOUND, &Problem::new("Nobody here by that name", format!("There is no `{name}` to be.")))
}

/// A page. Its bytes are wiped once they are sent: there may have been a credential among them.
fn html(status: StatusCode, page: &impl Template) -> Response {
    let mut text = String::with_capacity(PAGE_BYTES_USUAL);
    match page.render_into(&mut text) {
        Ok(()) => (status, Html(Body::from(Bytes::from_owner(Zeroizing::new(text.into_bytes()))))).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the playground can't be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "this page can't be shown now\n").into_response()
        }
    }
}
