//! The REST side: `/api/v10/…`.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{
    ANSWER_WITHIN, APPLICATION, BOT, Fault, GUILD, Interaction, Posted, Standin, TOKEN, World, limits::Said, rules,
};

const EPHEMERAL: u64 = 1 << 6;

pub async fn serve(standin: Arc<Standin>, listener: tokio::net::TcpListener) {
    let router = Router::new().fallback(any).with_state(standin);
    axum::serve(listener, router).await.unwrap();
}

/// Discord's own form of a refusal.
struct Refusal(u16, u64, &'static str);

type Done = Result<Value, Refusal>;

async fn any(
    State(standin): State<Arc<Standin>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = format!("{method} {}", uri.path());
    let fault = {
        let mut world = standin.world();
        world.calls.push(call.clone());
        world.take_fault(&call)
    };
    match fault {
        None => answer(&standin, &method, &uri, &headers, &body),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Status(status, body)) => (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response(),
        Some(Fault::DoneBut(status)) => {
            drop(answer(&standin, &method, &uri, &headers, &body));
            (StatusCode::from_u16(status).unwrap(), "<html>bad gateway</html>").into_response()
        }
        Some(Fault::Limit { secs, global }) => limited(secs, global),
    }
}

fn limited(secs: f64, global: bool) -> Response {
    let body = json!({ "message": "You are being rate limited.", "retry_after": secs, "global": global });
    let mut response = (StatusCode::TOO_MANY_REQUESTS, body.to_string()).into_response();
    response.headers_mut().insert("retry-after", secs.ceil().to_string().parse().unwrap());
    if global {
        response.headers_mut().insert("x-ratelimit-global", "true".parse().unwrap());
    }
    response
}

fn answer(standin: &Standin, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let Some(path) = uri.path().strip_prefix("/api/v10/") else {
        return (StatusCode::NOT_FOUND, "no API").into_response();
    };
    let mut world = standin.world();
    let agent = headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !agent.starts_with("DiscordBot (") {
        world.wrong(format!("a user agent that Discord blocks: {agent:?}"));
    }
    let parts: Vec<&str> = path.split('/').collect();
    let is_answer = matches!(parts[..], ["interactions" | "webhooks", ..]);
    let ours = headers.get("authorization").is_some_and(|value| value.as_bytes() == format!("Bot {TOKEN}").as_bytes());
    if !is_answer && !ours && path != "gateway" {
        return refused(&Refusal(401, 0, "401: Unauthorized"));
    }
    let mut left = None;
    if !is_answer {
        let (route, most) = match (method.as_str(), &parts[..]) {
            ("POST" | "PATCH", ["channels", channel, ..]) => {
                // A thread is a channel of its own; making one counts on its channel.
                (format!("{method} {channel} {}", parts.len()), standin.manners.per_channel)
            }
            _ => (format!("{method} {}", parts[0]), 50),
        };
        match world.limits.call(&route, most) {
            Said::Taken { left: more, after } => left = Some((most, more, after)),
            Said::Refused { after, global } => {
                world.calls.push(format!("429 {route}"));
                return limited(after.as_secs_f64(), global);
            }
        }
    }
    let parsed: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap_or_default() };
    let done = route(standin, &mut world, method.as_str(), &parts, &parsed);
    let with_response = uri.query().is_some_and(|query| query.contains("with_response="));
    let done = match (done, &parts[..]) {
        (Ok(Value::Null), ["interactions", id, ..]) if with_response => {
            let (kind, answer) = (world.interactions[*id].kind, &parsed["type"]);
            let interaction = json!({ "id": id, "type": kind, "response_message_id": standin.id(),
                "response_message_loading": *answer == 5, "response_message_ephemeral": true });
            Ok(json!({ "interaction": interaction, "resource": { "type": answer } }))
        }
        (done, _) => done,
    };
    let mut response = match done {
        Ok(Value::Null) => StatusCode::NO_CONTENT.into_response(),
        Ok(value) => ([("content-type", "application/json")], value.to_string()).into_response(),
        Err(refusal) => {
            world.calls.push(format!("{} {} for {method} {path}", refusal.0, refusal.1));
            refused(&refusal)
        }
    };
    if let Some((most, more, after)) = left {
        let mut put = |name: &'static str, value: String| response.headers_mut().insert(name, value.parse().unwrap());
        put("x-ratelimit-limit", most.to_string());
        put("x-ratelimit-remaining", more.to_string());
        put("x-ratelimit-reset-after", format!("{:.3}", after.as_secs_f64()));
        put("x-ratelimit-bucket", "abcd1234".to_owned());
    }
    response
}

fn refused(Refusal(status, code, words): &Refusal) -> Response {
    let body = json!({ "message": words, "code": code });
    (StatusCode::from_u16(*status).unwrap(), [("content-type", "application/json")], body.to_string()).into_response()
}

fn user() -> Value {
    json!({ "id": BOT, "username": "countersign", "discriminator": "0", "global_name": null, "avatar": null, "bot": true,
        "flags": 0, "public_flags": 0, "mfa_enabled": true, "verified": true, "email": null })
}

fn application(standin: &Standin) -> Value {
    json!({ "id": APPLICATION, "name": "Countersign", "description": "", "icon": null, "bot_public": false, "flags": 0,
        "bot_require_code_grant": false, "verify_key": hex::encode(standin.key.verifying_key().to_bytes()), "summary": "", "hook": true, "team": null,
        "owner": { "id": "990000000000000009", "username": "owner", "discriminator": "0", "avatar": null,
            "global_name": null, "public_flags": 0, "flags": 0 } })
}

fn route(standin: &Standin, world: &mut World, method: &str, parts: &[&str], body: &Value) -> Done {
    match (method, parts) {
        ("GET", ["gateway"]) => Ok(json!({ "url": standin.gateway_url })),
        ("GET", ["gateway", "bot"]) => Ok(json!({ "url": standin.gateway_url, "shards": 1, "session_start_limit":
            { "total": 1000, "remaining": 999, "reset_after": 1000, "max_concurrency": 1 } })),
        ("GET", ["users", "@me"]) => Ok(user()),
        ("GET", ["oauth2", "applications", "@me"] | ["applications", "@me"]) => Ok(application(standin)),
        ("GET", ["applications", APPLICATION, "guilds", GUILD, "commands"]) => {
            Ok(if world.commands.is_null() { json!([]) } else { world.commands.clone() })
        }
        ("PUT", ["applications", APPLICATION, "guilds", GUILD, "commands"]) => register(standin, world, body),
        ("POST", ["users", "@me", "channels"]) => direct(standin, world, body),
        ("GET", ["guilds", GUILD, "members"]) => {
            Ok(world.members.iter().map(|(id, roles)| member(id, roles)).collect())
        }
        ("GET", ["guilds", GUILD, "members", id]) => {
            world.members.get(*id).map(|roles| member(id, roles)).ok_or(Refusal(404, 10_007, "Unknown Member"))
        }
        ("GET", ["channels", channel]) if world.hidden.contains(*channel) => {
            Err(Refusal(403, 50_001, "Missing Access"))
        }
        ("GET", ["channels", id @ (super::CHANNEL | super::SECURITY)]) => {
            Ok(json!({ "id": id, "type": 0, "guild_id": GUILD, "name": "approvals" }))
        }
        ("GET", ["channels", _]) => Err(Refusal(404, 10_003, "Unknown Channel")),
        ("POST", ["channels", channel, "messages"]) => create(standin, world, channel, body),
        ("GET", ["channels", channel, "messages", id]) => {
            find(world, channel, id).map(shown).ok_or(Refusal(404, 10_008, "Unknown Message"))
        }
        ("PATCH", ["channels", channel, "messages", id]) => edit(world, channel, id, body),
        ("DELETE", ["channels", channel, "messages", id]) => {
            find(world, channel, id).ok_or(Refusal(404, 10_008, "Unknown Message"))?;
            world.messages.retain(|posted| posted.id != *id);
            Ok(Value::Null)
        }
        ("POST", ["channels", channel, "messages", id, "threads"]) => thread(world, channel, id, body),
        ("POST", ["interactions", id, token, "callback"]) => callback(world, (id, token), body),
        ("POST", ["webhooks", APPLICATION, token]) => follow_up(standin, world, token, body),
        ("PATCH", ["webhooks", APPLICATION, token, "messages", "@original"]) => {
            world.bodies.push(("webhook-edit", body.clone()));
            check(world, rules::message(body, true));
            let interaction = by_token(standin, world, token)?;
            if interaction.original.is_none() {
                return Err(Refusal(404, 10_008, "Unknown Message"));
            }
            interaction.original = Some(body.clone());
            Ok(private("1440000000000009999", body))
        }
        ("GET", ["webhooks", APPLICATION, token, "messages", "@original"]) => {
            let original = by_token(standin, world, token)?.original.clone();
            original.map(|body| private("1440000000000009999", &body)).ok_or(Refusal(404, 10_008, "Unknown Message"))
        }
        _ => {
            world.wrong(format!("an unknown route: {method} {}", parts.join("/")));
            Err(Refusal(404, 0, "404: Not Found"))
        }
    }
}

fn check(world: &mut World, wrong: Vec<String>) {
    world.wrong.extend(wrong);
}

fn member(id: &str, roles: &[String]) -> Value {
    json!({ "user": { "id": id, "username": "somebody", "discriminator": "0", "avatar": null, "global_name": null },
        "roles": roles, "joined_at": "2026-01-01T00:00:00+00:00", "deaf": false, "mute": false, "flags": 0 })
}

fn register(standin: &Standin, world: &mut World, body: &Value) -> Done {
    world.registrations += 1;
    world.bodies.push(("commands", body.clone()));
    check(world, rules::commands(body));
    let Value::Array(commands) = body else { return Err(Refusal(400, 50_035, "Invalid Form Body")) };
    let kept = commands.iter().map(|command| {
        let own = json!({ "id": standin.id(), "application_id": APPLICATION, "guild_id": GUILD, "version": standin.id(),
            "default_member_permissions": null, "nsfw": false, "name_localizations": null,
            "description_localizations": null });
        usual(&merged(&own, command))
    });
    world.commands = kept.collect();
    Ok(world.commands.clone())
}

/// Discord leaves out what is false.
fn usual(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(usual).collect(),
        Value::Object(object) => {
            let kept = object.iter().filter(|(key, value)| !(*key == "required" && **value == Value::Bool(false)));
            kept.filter(|(key, value)| !(*key == "options" && value.as_array().is_some_and(Vec::is_empty)))
                .map(|(key, value)| (key.clone(), usual(value)))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn merged(base: &Value, over: &Value) -> Value {
    let mut merged = base.clone();
    for (key, value) in over.as_object().into_iter().flatten() {
        merged[key] = value.clone();
    }
    merged
}

fn direct(standin: &Standin, world: &mut World, body: &Value) -> Done {
    world.bodies.push(("direct", body.clone()));
    let user = body["recipient_id"].as_str().unwrap_or_default().to_owned();
    if !world.members.contains_key(&user) {
        return Err(Refusal(400, 50_278, "Cannot send messages to this user due to having no mutual guilds"));
    }
    let known = world.direct.iter().find(|(_, who)| **who == user).map(|(id, _)| id.clone());
    let id = known.unwrap_or_else(|| standin.id());
    world.direct.insert(id.clone(), user);
    Ok(json!({ "id": id, "type": 1, "recipients": [], "last_message_id": null, "flags": 0 }))
}

fn find<'a>(world: &'a World, channel: &str, id: &str) -> Option<&'a Posted> {
    world.messages.iter().find(|posted| posted.channel == channel && posted.id == id)
}

fn shown(posted: &Posted) -> Value {
    let own = json!({ "id": posted.id, "channel_id": posted.channel, "author": user(), "type": 0, "tts": false,
        "timestamp": "2026-11-20T12:00:00.000000+00:00", "edited_timestamp": null, "mention_everyone": false,
        "mentions": [], "mention_roles": [], "attachments": [], "pinned": false, "flags": 0 });
    let mut body = posted.body.clone();
    for inside in ["nonce", "enforce_nonce", "allowed_mentions", "flags"] {
        body.as_object_mut().map(|body| body.remove(inside));
    }
    merged(&own, &body)
}

fn create(standin: &Standin, world: &mut World, channel: &str, body: &Value) -> Done {
    world.bodies.push(("message", body.clone()));
    let direct = world.direct.get(channel).cloned();
    let known =
        [super::CHANNEL, super::SECURITY].contains(&channel) || direct.is_some() || world.threads.contains_key(channel);
    if !known {
        return Err(Refusal(404, 10_003, "Unknown Channel"));
    }
    if direct.is_some_and(|user| world.closed.contains(&user)) {
        return Err(Refusal(403, 50_007, "Cannot send messages to this user"));
    }
    let wrong = rules::message(body, false);
    if !wrong.is_empty() {
        check(world, wrong);
        return Err(Refusal(400, 50_035, "Invalid Form Body"));
    }
    let nonce = body["nonce"].as_str().filter(|_| body["enforce_nonce"] == true).map(str::to_owned);
    if let Some(nonce) = &nonce
        && let Some(id) = world.nonces.get(&(channel.to_owned(), nonce.clone())).cloned()
    {
        return Ok(find(world, channel, &id).map(shown).unwrap_or_default());
    }
    let posted = Posted { id: standin.id(), channel: channel.to_owned(), body: body.clone(), edits: 0 };
    if let Some(nonce) = nonce {
        world.nonces.insert((channel.to_owned(), nonce), posted.id.clone());
    }
    world.messages.push(posted.clone());
    Ok(shown(&posted))
}

fn edit(world: &mut World, channel: &str, id: &str, body: &Value) -> Done {
    world.bodies.push(("message-edit", body.clone()));
    check(world, rules::message(body, true));
    let posted = world.messages.iter_mut().find(|posted| posted.channel == channel && posted.id == id);
    let posted = posted.ok_or(Refusal(404, 10_008, "Unknown Message"))?;
    posted.body = merged(&posted.body, body);
    posted.edits += 1;
    Ok(shown(posted))
}

fn thread(world: &mut World, channel: &str, id: &str, body: &Value) -> Done {
    world.bodies.push(("thread", body.clone()));
    if world.no_threads {
        return Err(Refusal(403, 50_013, "Missing Permissions"));
    }
    find(world, channel, id).ok_or(Refusal(404, 10_008, "Unknown Message"))?;
    if world.threads.contains_key(id) {
        return Err(Refusal(400, 160_004, "A thread has already been created for this message"));
    }
    let name = body["name"].as_str().unwrap_or_default();
    if name.is_empty() || name.chars().count() > 100 {
        world.wrong(format!("a thread's name of {}", name.chars().count()));
    }
    let own = json!({ "id": id, "type": 11, "guild_id": GUILD, "parent_id": channel, "owner_id": BOT, "message_count": 0,
        "member_count": 1, "rate_limit_per_user": 0, "flags": 0, "total_message_sent": 0, "last_message_id": null,
        "thread_metadata": { "archived": false, "auto_archive_duration": 1440, "locked": false,
            "archive_timestamp": "2026-11-20T12:00:00.000000+00:00", "create_timestamp": null } });
    let thread = merged(&own, body);
    world.threads.insert(id.to_owned(), thread.clone());
    Ok(thread)
}

fn callback(world: &mut World, (id, token): (&str, &str), body: &Value) -> Done {
    let found = world.interactions.get(id).filter(|known| known.token == token).cloned();
    let interaction = found.ok_or(Refusal(404, 10_062, "Unknown interaction"))?;
    world.bodies.push((schema_of(body), body.clone()));
    if interaction.created.elapsed() > ANSWER_WITHIN {
        world.wrong("an answer after three seconds");
        return Err(Refusal(404, 10_062, "Unknown interaction"));
    }
    if interaction.callback.is_some() {
        return Err(Refusal(400, 40_060, "Interaction has already been acknowledged."));
    }
    take_callback(world, id, &interaction, body);
    Ok(Value::Null)
}

fn schema_of(callback: &Value) -> &'static str {
    match callback["type"].as_u64() {
        Some(4 | 5) => "callback-message",
        Some(8) => "callback-choices",
        Some(9) => "callback-modal",
        Some(1) => "callback-pong",
        _ => "callback-unknown",
    }
}

/// The first answer to an interaction, whichever way it came.
pub fn take_callback(world: &mut World, id: &str, interaction: &Interaction, body: &Value) {
    let (kind, data) = (interaction.kind, &body["data"]);
    let wrong = match (body["type"].as_u64().unwrap_or_default(), kind) {
        (8, 4) => rules::choices(data),
        (4, 2 | 3 | 5) => rules::message(data, false),
        (5, 2 | 3 | 5) => Vec::new(),
        (9, 2 | 3) => rules::modal(data),
        (answer, kind) => vec![format!("an answer of type {answer} to an interaction of type {kind}")],
    };
    check(world, wrong);
    if [4, 5].contains(&body["type"].as_u64().unwrap_or_default())
        && data["flags"].as_u64().unwrap_or_default() & EPHEMERAL == 0
    {
        world.wrong(format!("an answer that everybody sees: {body}"));
    }
    let Some(known) = world.interactions.get_mut(id) else { return };
    known.took = Some(known.created.elapsed());
    known.callback = Some(body.clone());
    known.original = match body["type"].as_u64() {
        Some(4) => Some(data.clone()),
        Some(5) => Some(json!({ "content": "…is thinking" })),
        _ => None,
    };
}

/// The interaction with a token that is still good and was answered.
fn by_token<'a>(standin: &Standin, world: &'a mut World, token: &str) -> Result<&'a mut Interaction, Refusal> {
    let known = world.interactions.values_mut().find(|known| known.token == token);
    let known = known.ok_or(Refusal(404, 10_015, "Unknown Webhook"))?;
    if known.created.elapsed() > standin.manners.token_life {
        return Err(Refusal(401, 50_027, "Invalid Webhook Token"));
    }
    if known.callback.is_none() {
        return Err(Refusal(404, 10_015, "Unknown Webhook"));
    }
    Ok(known)
}

fn follow_up(standin: &Standin, world: &mut World, token: &str, body: &Value) -> Done {
    world.bodies.push(("webhook", body.clone()));
    check(world, rules::message(body, false));
    if body["flags"].as_u64().unwrap_or_default() & EPHEMERAL == 0 {
        world.wrong(format!("a follow-up that everybody sees: {body}"));
    }
    by_token(standin, world, token)?.followups.push(body.clone());
    Ok(private(&standin.id(), body))
}

/// A message that one person sees.
fn private(id: &str, body: &Value) -> Value {
    let posted = Posted { id: id.to_owned(), channel: super::CHANNEL.to_owned(), body: body.clone(), edits: 0 };
    merged(&shown(&posted), &json!({ "flags": EPHEMERAL }))
}
