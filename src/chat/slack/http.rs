//! The other way in: Slack calls us over HTTP and signs what it sends.
//!
//! A body is read up to a limit, then its age and its signature are checked, and the same signed request is taken once. What
//! is refused is refused with a status that says so, and without a word of what was in it.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{FromRequest as _, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{Form, IntoResponse as _, Json, Response},
    routing::post,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use slack_morphism::{SlackSigningSecret, signature_verifier::SlackEventSignatureVerifier};
use tower_http::limit::RequestBodyLimitLayer;

use super::{
    Slack,
    desk::{Desk, Kind},
};
use crate::chat::Service;

/// The longest body that is read.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Signatures that are remembered: more than Slack sends us within the five minutes that a signature is good for.
const SIGNATURES_MAX: usize = 100_000;

/// Slack behind a door, and what has come through it.
struct Door {
    slack: Arc<Slack>,
    service: Arc<dyn Service>,
    verifier: Option<SlackEventSignatureVerifier>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    /// Whether it is new; from now on it is not.
    fn note(&mut self, signature: &str) -> bool {
        if !self.known.insert(signature.to_owned()) {
            return false;
        }
        self.order.push_back(signature.to_owned());
        if self.order.len() > SIGNATURES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// What Slack calls: `/slack/commands`, `/slack/interactions`, `/slack/events`, or `/slack` for all of them.
pub(super) fn router(slack: Arc<Slack>, service: Arc<dyn Service>, secret: Option<&SecretString>) -> Router {
    let secret = secret.map(|secret| SlackSigningSecret::from(secret.expose_secret().to_owned()));
    let verifier = secret.as_ref().map(SlackEventSignatureVerifier::new);
    let door = Arc::new(Door { slack, service, verifier, seen: Mutex::default() });
    Router::new()
        .route("/slack", post(called))
        .route("/slack/commands", post(called))
        .route("/slack/interactions", post(called))
        .route("/slack/events", post(called))
        .route_layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
        .with_state(door)
}

async fn called(State(door): State<Arc<Door>>, headers: HeaderMap, request: Request) -> Response {
    let one = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let signature = one(SlackEventSignatureVerifier::SLACK_SIGNED_HASH_HEADER);
    let moment = one(SlackEventSignatureVerifier::SLACK_SIGNED_TIMESTAMP);
    if signature.is_empty() || moment.is_empty() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(body) = Bytes::from_request(request, &()).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let signed = std::str::from_utf8(&body).is_ok_and(|text| {
        door.verifier.as_ref().is_some_and(|verifier| verifier.verify(&signature, text, &moment).is_ok())
    });
    if !signed {
        tracing::warn!("something without a good signature of Slack's was refused");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if !door.seen.lock().unwrap_or_else(PoisonError::into_inner).note(&signature) {
        tracing::warn!("the same signed request came again and was refused");
        return StatusCode::CONFLICT.into_response();
    }
    let Some((kind, payload)) = payload(&headers, body).await else { return StatusCode::BAD_REQUEST.into_response() };
    if payload.get("type").and_then(Value::as_str) == Some("url_verification") {
        let challenge = payload.get("challenge").cloned().unwrap_or_default();
        return Json(json!({ "challenge": challenge })).into_response();
    }
    if payload.get("ssl_check").is_some() {
        return StatusCode::OK.into_response();
    }
    let desk = match door.slack.desk(&door.service).await {
        Ok(desk) => desk,
        Err(fault) => {
            tracing::warn!(%fault, "Slack called, and can't be answered");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let answer = Desk::take(&desk, kind, payload, &signature).await;
    if answer.again {
        door.seen.lock().unwrap_or_else(PoisonError::into_inner).known.remove(&signature);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match answer.payload {
        Some(payload) => Json(payload).into_response(),
        None => StatusCode::OK.into_response(),
    }
}

/// What a body is: JSON for events, a form for commands, and a form with JSON in it for interactions.
async fn payload(headers: &HeaderMap, body: Bytes) -> Option<(Kind, Value)> {
    if body.trim_ascii_start().starts_with(b"{") {
        return Some((Kind::Event, serde_json::from_slice(&body).ok()?));
    }
    let mut request = Request::post("/").body(Body::from(body)).ok()?;
    request.headers_mut().insert(header::CONTENT_TYPE, headers.get(header::CONTENT_TYPE)?.clone());
    let Form(fields) = Form::<BTreeMap<String, String>>::from_request(request, &()).await.ok()?;
    match fields.get("payload") {
        Some(payload) => Some((Kind::Interaction, serde_json::from_str(payload).ok()?)),
        None => Some((Kind::Command, json!(fields))),
    }
}
