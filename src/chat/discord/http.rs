//! The HTTP mode: Discord calls us and signs what it sends. What is not signed by it, or is old, is not looked at.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::Value;

use super::{
    desk::{Answering, Desk},
    evidence::Key,
    heard, render,
    wire::{self, Callback},
};
use crate::chat::{Evidence, Tone};

/// The longest body that is read. Discord's are a few kilobytes; a form holds five texts of 4,000 characters.
pub const BODY_BYTES_MAX: usize = 96 * 1024;

#[derive(Clone)]
struct Door {
    desk: Arc<Desk>,
    key: Key,
}

/// `/discord/interactions`.
pub fn router(desk: Arc<Desk>, key: Key) -> Router {
    Router::new()
        .route("/discord/interactions", post(interaction))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Door { desk, key })
}

async fn interaction(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (Some(signature), Some(timestamp)) = (of("x-signature-ed25519"), of("x-signature-timestamp")) else {
        return (StatusCode::UNAUTHORIZED, "this is for Discord, which signs what it sends\n").into_response();
    };
    let Ok(body) = String::from_utf8(body.into()) else {
        return (StatusCode::UNAUTHORIZED, "not signed by Discord\n").into_response();
    };
    let evidence = Evidence { timestamp, signature, body };
    if let Err(why) = door.key.check(&evidence, (door.desk.discord().settings.clock)()) {
        tracing::info!(%why, "a request to the interactions endpoint was not taken");
        return (StatusCode::UNAUTHORIZED, "not signed by Discord, or too long ago\n").into_response();
    }
    let value: Option<Value> = serde_json::from_str(&evidence.body).ok();
    // Discord's question whether we are there may come without a token.
    if value.as_ref().and_then(|value| value.get("type")).and_then(Value::as_u64) == Some(1) {
        return json(&Callback::Pong);
    }
    let Some(heard) = value.as_ref().and_then(heard::read) else {
        tracing::error!("a signed interaction came that we can't read");
        let words = "Countersign can't read what Discord sent for this. Nothing was done.";
        return json(&Callback::Say(Box::new(render::word(Tone::Fault, words))));
    };
    let Answering { first, delivered } = door.desk.take(heard, Some(evidence));
    let callback = first.await.unwrap_or_else(|_| {
        let words = "Countersign broke off over this. Look at `/access mine` whether it was done.";
        Callback::Say(Box::new(render::word(Tone::Fault, words)))
    });
    let response = json(&callback);
    // What follows is tried again while Discord is still taking this in.
    let _ = delivered.send(true);
    response
}

/// The answer. Its bytes are wiped once they are sent: there may be a credential among them.
fn json(callback: &Callback) -> Response {
    match wire::json(callback) {
        Ok(bytes) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (headers, Body::from(Bytes::from_owner(bytes))).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an answer can't be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
