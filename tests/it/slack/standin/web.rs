//! The stand-in's Web API, and the addresses that answers are sent to.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State as Shared},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Inner, rules,
    state::{APP_TOKEN, BOT_TOKEN, BOT_USER, Call, Fault, Message, State, TICKET_LIVES, View, Whisper},
};

pub fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/api/{method}", post(called).get(called))
        .route("/response/{token}", post(answered))
        .with_state(inner)
}

fn text<'a>(body: &'a Value, key: &str) -> &'a str {
    body[key].as_str().unwrap_or_default()
}

/// What a call says: JSON, or a form with JSON in some of its fields, as Slack takes both.
fn body_of(headers: &HeaderMap, query: &BTreeMap<String, String>, bytes: &[u8]) -> Result<Value, &'static str> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut body = if bytes.is_empty() {
        json!({})
    } else if kind.starts_with("application/json") {
        serde_json::from_slice(bytes).map_err(|_| "invalid_json")?
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        form(std::str::from_utf8(bytes).map_err(|_| "invalid_form_data")?)
    } else {
        return Err("invalid_post_type");
    };
    if let Value::Object(fields) = &mut body {
        for (name, value) in query {
            fields.entry(name.clone()).or_insert_with(|| json!(value));
        }
    }
    Ok(body)
}

fn form(text: &str) -> Value {
    let mut fields = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value);
        let parsed = serde_json::from_str(&value).ok().filter(|value: &Value| value.is_array() || value.is_object());
        fields.insert(decoded(name), parsed.unwrap_or(Value::String(value)));
    }
    Value::Object(fields)
}

pub fn decoded(text: &str) -> String {
    let bytes = text.replace('+', " ").into_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap()
}

async fn called(
    Shared(inner): Shared<Arc<Inner>>,
    Path(method): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let body = match body_of(&headers, &query, &bytes) {
        Ok(body) => body,
        Err(code) => {
            inner.state().complain(&method, vec![code.to_owned()]);
            return json_answer(&json!({ "ok": false, "error": code }));
        }
    };
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = token.strip_prefix("Bearer ").unwrap_or_else(|| text(&body, "token")).to_owned();
    let fault = inner.state().faults.get_mut(&method).and_then(std::collections::VecDeque::pop_front);
    let note = |outcome: &str| {
        inner.state().calls.push(Call { method: method.clone(), outcome: outcome.to_owned() });
        inner.changed();
    };
    match fault {
        Some(Fault::Limited(secs)) => {
            note("429");
            return limited(secs);
        }
        Some(Fault::Status(status)) => {
            note(&status.to_string());
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        Some(Fault::Html) => {
            note("html");
            return ([(header::CONTENT_TYPE, "text/html")], "<html><body>Something is up</body></html>")
                .into_response();
        }
        Some(Fault::Error(code)) => {
            note(code);
            return json_answer(&json!({ "ok": false, "error": code }));
        }
        Some(Fault::Slow(pause)) => sleep(pause).await,
        Some(Fault::DoneThenStatus(status)) => {
            let answer = inner.answer(&method, &token, &body);
            assert!(answer.is_ok(), "{method} was to be done: {answer:?}");
            note(&format!("done, then {status}"));
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        None => {}
    }
    let place = text(&body, "channel").to_owned();
    let too_fast = inner.state().rate(&method, &place);
    if let Some(secs) = too_fast {
        note("429");
        return limited(secs);
    }
    let answer = inner.answer(&method, &token, &body);
    tokio::spawn(Arc::clone(&inner).tell_its_own());
    note(answer.as_ref().err().map_or("ok", |code| code));
    let mut response = match answer {
        Ok(mut answer) => {
            answer["ok"] = json!(true);
            json_answer(&answer)
        }
        Err(code) => json_answer(&json!({ "ok": false, "error": code })),
    };
    if token == BOT_TOKEN {
        let scopes: Vec<String> = inner.state().scopes.iter().cloned().collect();
        response.headers_mut().insert("x-oauth-scopes", scopes.join(",").parse().unwrap());
    }
    response
}

fn limited(secs: u64) -> Response {
    let body = json!({ "ok": false, "error": "ratelimited" }).to_string();
    let headers = [(header::RETRY_AFTER, secs.to_string()), (header::CONTENT_TYPE, "application/json".into())];
    (StatusCode::TOO_MANY_REQUESTS, headers, body).into_response()
}

fn json_answer(answer: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], answer.to_string()).into_response()
}

/// What is sent to a response address.
async fn answered(Shared(inner): Shared<Arc<Inner>>, Path(token): Path<String>, bytes: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&bytes) else { return StatusCode::BAD_REQUEST.into_response() };
    let mut state = inner.state();
    let Some(url) = state.responses.get_mut(&token) else { return StatusCode::NOT_FOUND.into_response() };
    if url.left == 0 {
        return (StatusCode::NOT_FOUND, "used_url").into_response();
    }
    url.left -= 1;
    let (user, channel) = (url.user.clone(), url.channel.clone());
    let wrong = rules::message(&body);
    state.complain("a response address", wrong);
    if text(&body, "response_type") == "ephemeral" && body["replace_original"] != true {
        state.whispers.push(Whisper { user, text: text(&body, "text").to_owned(), blocks: body["blocks"].clone() });
    } else {
        state.complain("a response address", vec![format!("something for everybody in {channel}")]);
    }
    drop(state);
    inner.changed();
    "ok".into_response()
}

type Answered = Result<Value, &'static str>;

impl Inner {
    fn answer(&self, method: &str, token: &str, body: &Value) -> Answered {
        let mut state = self.state();
        if method == "apps.connections.open" {
            return if state.app_revoked {
                Err("token_revoked")
            } else if token == APP_TOKEN {
                let ticket = format!("{:032x}", rand::random::<u128>());
                state.tickets.insert(ticket.clone(), Instant::now() + TICKET_LIVES);
                Ok(json!({ "url": format!("ws://{}/link/?ticket={ticket}&app_id=A0123456789", self.socket_address) }))
            } else {
                Err("not_allowed_token_type")
            };
        }
        if state.bot_revoked {
            return Err("token_revoked");
        }
        if token != BOT_TOKEN {
            return Err("invalid_auth");
        }
        let scope = match method {
            "chat.postMessage" | "chat.update" | "chat.postEphemeral" => Some("chat:write"),
            "conversations.open" => Some("im:write"),
            "conversations.history" => Some("channels:history"),
            _ => None,
        };
        if scope.is_some_and(|scope| !state.scopes.contains(scope)) {
            return Err("missing_scope");
        }
        match method {
            "auth.test" => Ok(json!({
                "url": "https://standin.slack.com/", "team": "Standin", "user": "countersign", "team_id": state.team,
                "user_id": BOT_USER, "bot_id": "B0BOTBOTBOT", "is_enterprise_install": false,
            })),
            "api.test" => Ok(json!({})),
            "chat.postMessage" => state.post(body),
            "chat.update" => state.update(body),
            "chat.postEphemeral" => state.whisper(body),
            "conversations.open" => {
                let user = text(body, "users").to_owned();
                if !state.users.contains(&user) {
                    return Err("user_not_found");
                }
                let channel = format!("D{}", user.trim_start_matches('U'));
                state.channels.entry(channel.clone()).or_default();
                Ok(json!({ "channel": { "id": channel }, "no_op": true, "already_open": true }))
            }
            "conversations.history" => state.history(body),
            "conversations.info" => state.info(body),
            "views.open" => state.open_view(body),
            "views.update" => state.update_view(body),
            "views.publish" => state.publish(body),
            _ => Err("unknown_method"),
        }
    }
}

impl State {
    pub fn new_ts(&mut self) -> String {
        format!("1795244{:03}.{:06}", self.next() % 1_000, self.counter)
    }

    /// A person's id as a channel means the direct message with them.
    fn place(&mut self, body: &Value) -> Result<String, &'static str> {
        let channel = text(body, "channel").to_owned();
        let channel = match channel.strip_prefix('U') {
            Some(rest) if self.users.contains(&channel) => format!("D{rest}"),
            _ => channel,
        };
        if channel.starts_with('D') {
            self.channels.entry(channel.clone()).or_default();
        }
        if self.left.contains(&channel) {
            // Slack does not say that a private channel is there.
            return Err(if self.private.contains(&channel) { "channel_not_found" } else { "not_in_channel" });
        }
        if self.channels.contains_key(&channel) { Ok(channel) } else { Err("channel_not_found") }
    }

    fn checked(&mut self, method: &str, body: &Value) -> Result<(), &'static str> {
        let wrong = rules::message(body);
        let bad = !wrong.is_empty();
        self.complain(method, wrong);
        if bad { Err("invalid_blocks") } else { Ok(()) }
    }

    fn post(&mut self, body: &Value) -> Answered {
        let channel = self.place(body)?;
        self.checked("chat.postMessage", body)?;
        let thread = body["thread_ts"].as_str().map(str::to_owned);
        let ts = self.new_ts();
        let message = Message {
            ts: ts.clone(),
            user: None,
            client_id: String::new(),
            thread: thread.clone(),
            text: text(body, "text").to_owned(),
            blocks: body["blocks"].clone(),
            metadata: body["metadata"].clone(),
            before: Vec::new(),
            deleted: false,
        };
        let messages = self.channels.entry(channel.clone()).or_default();
        if let Some(thread) = &thread
            && !messages.iter().any(|message| message.ts == *thread)
        {
            return Err("thread_not_found");
        }
        messages.push(message.clone());
        if self.is_told(&channel) {
            let event = self.posted(&channel, &message);
            self.own.push((channel.clone(), event));
        }
        Ok(
            json!({ "channel": channel, "ts": ts, "message": { "type": "message", "ts": ts, "text": body["text"], "blocks": body["blocks"] } }),
        )
    }

    fn update(&mut self, body: &Value) -> Answered {
        let channel = self.place(body)?;
        self.checked("chat.update", body)?;
        let ts = text(body, "ts");
        let messages = self.channels.entry(channel.clone()).or_default();
        let message =
            messages.iter_mut().find(|message| message.ts == ts && !message.deleted).ok_or("message_not_found")?;
        if message.user.is_some() {
            return Err("cant_update_message");
        }
        let before = message.clone();
        message.before.push(json!({ "text": message.text, "blocks": message.blocks }));
        text(body, "text").clone_into(&mut message.text);
        message.blocks = body["blocks"].clone();
        let now = message.clone();
        if self.is_told(&channel) {
            let event = self.revised(&channel, &before, Some(&now));
            self.own.push((channel.clone(), event));
        }
        Ok(json!({ "channel": channel, "ts": ts, "text": body["text"] }))
    }

    fn whisper(&mut self, body: &Value) -> Answered {
        self.place(body)?;
        self.checked("chat.postEphemeral", body)?;
        let user = text(body, "user").to_owned();
        if !self.users.contains(&user) {
            return Err("user_not_in_channel");
        }
        self.whispers.push(Whisper { user, text: text(body, "text").to_owned(), blocks: body["blocks"].clone() });
        Ok(json!({ "message_ts": self.new_ts() }))
    }

    fn history(&mut self, body: &Value) -> Answered {
        let channel = self.place(body)?;
        let messages = self.channels.get(&channel).cloned().unwrap_or_default();
        let shown = messages
            .iter()
            .rev()
            .filter(|m| !m.deleted && m.thread.is_none())
            .take(15)
            .map(|m| json!({ "type": "message", "ts": m.ts, "text": m.text, "metadata": m.metadata }));
        Ok(json!({ "messages": shown.collect::<Vec<_>>(), "has_more": false }))
    }

    fn info(&mut self, body: &Value) -> Answered {
        let channel = text(body, "channel").to_owned();
        let (private, is_member) = (self.private.contains(&channel), !self.left.contains(&channel));
        if !self.scopes.contains(if private { "groups:read" } else { "channels:read" }) {
            return Err("missing_scope");
        }
        if !self.channels.contains_key(&channel) || (private && !is_member) {
            return Err("channel_not_found");
        }
        Ok(json!({ "channel": {
            "id": channel, "name": "approvals", "is_channel": true, "is_private": private, "is_member": is_member,
            "is_archived": false, "is_ext_shared": false,
        } }))
    }

    fn seen_view(&mut self, method: &str, view: &Value) -> Result<(), &'static str> {
        let wrong = rules::view(view);
        let bad = !wrong.is_empty();
        self.complain(method, wrong);
        if bad { Err("invalid_arguments") } else { Ok(()) }
    }

    fn open_view(&mut self, body: &Value) -> Answered {
        self.seen_view("views.open", &body["view"])?;
        let trigger = self.triggers.get_mut(text(body, "trigger_id")).ok_or("invalid_trigger_id")?;
        if trigger.used {
            return Err("exchanged_trigger_id");
        }
        if trigger.until < Instant::now() {
            return Err("expired_trigger_id");
        }
        trigger.used = true;
        let user = trigger.user.clone();
        Ok(json!({ "view": self.new_view(&user, &body["view"]) }))
    }

    pub fn new_view(&mut self, user: &str, json: &Value) -> Value {
        let id = format!("V{:09}", self.next());
        let view =
            View { id: id.clone(), hash: self.new_hash(), user: user.to_owned(), json: json.clone(), open: true };
        let shown = view.shown();
        self.views.insert(id, view);
        shown
    }

    pub fn new_hash(&mut self) -> String {
        format!("1795244000.{:08x}", self.next())
    }

    fn update_view(&mut self, body: &Value) -> Answered {
        self.seen_view("views.update", &body["view"])?;
        let hash = self.new_hash();
        let view = self.views.get_mut(text(body, "view_id")).filter(|view| view.open).ok_or("not_found")?;
        if body.get("hash").and_then(Value::as_str).is_some_and(|known| known != view.hash) {
            return Err("hash_conflict");
        }
        view.json = body["view"].clone();
        view.hash = hash;
        Ok(json!({ "view": view.shown() }))
    }

    fn publish(&mut self, body: &Value) -> Answered {
        self.seen_view("views.publish", &body["view"])?;
        let user = text(body, "user_id").to_owned();
        if !self.users.contains(&user) {
            return Err("invalid_arguments");
        }
        let (id, hash) = (format!("VHOME{user}"), self.new_hash());
        let view = View { id: id.clone(), hash, user, json: body["view"].clone(), open: true };
        let shown = view.shown();
        self.views.insert(id, view);
        Ok(json!({ "view": shown }))
    }
}

impl View {
    /// As Slack sends it.
    pub fn shown(&self) -> Value {
        let mut shown = self.json.clone();
        shown["id"] = json!(self.id);
        shown["hash"] = json!(self.hash);
        shown["team_id"] = json!(super::state::TEAM);
        shown["app_id"] = json!("A0123456789");
        shown["bot_id"] = json!("B0BOTBOTBOT");
        shown["root_view_id"] = json!(self.id);
        shown["previous_view_id"] = Value::Null;
        shown["clear_on_close"] = json!(false);
        shown["notify_on_close"] = json!(false);
        shown["external_id"] = json!("");
        shown["state"] = json!({ "values": {} });
        if shown.get("private_metadata").is_none() {
            shown["private_metadata"] = json!("");
        }
        shown
    }
}
