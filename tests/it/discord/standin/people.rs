//! People in the guild: what they type and press, over the gateway or over signed HTTP, and what they see of it.

use std::{sync::Arc, time::Duration};

use ed25519_dalek::Signer as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ANSWER_WITHIN, APPLICATION, Act, CHANNEL, GUILD, Interaction, Standin, rest};

/// How long a person looks at "…is thinking" before a test fails.
const PATIENCE: Duration = Duration::from_secs(45);

/// What one person sees: the answer, and what followed.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: String,
    /// The first answer.
    pub callback: Value,
    /// How long it took.
    pub took: Duration,
    /// All texts, in order.
    pub text: String,
    /// The messages, in order.
    pub messages: Vec<Value>,
}

impl Seen {
    /// Green, blurple, amber or red.
    pub fn tone(&self) -> &'static str {
        match self.messages.first().and_then(|message| message["embeds"][0]["color"].as_u64()) {
            Some(0x0024_8046) => "done",
            Some(0x0058_65F2) => "info",
            Some(0x00F0_B232) => "refused",
            Some(0x00DA_373C) => "fault",
            _ => "none",
        }
    }

    /// What may be copied of a part of a credential.
    pub fn part(&self, label: &str) -> Option<String> {
        let mut embeds = self.messages.iter().flat_map(|message| message["embeds"].as_array().into_iter().flatten());
        let embed = embeds.find(|embed| embed["title"].as_str().is_some_and(|title| title.contains(label)))?;
        let text = embed["description"].as_str()?;
        Some(text.trim_start_matches("```\n").trim_end_matches("\n```").to_owned())
    }
}

/// How interactions get to the bot.
#[derive(Clone)]
pub enum Way {
    Gateway,
    /// To this address, signed.
    Http(String),
}

/// Discord with somebody at the keyboard.
#[derive(Clone)]
pub struct People {
    pub standin: Arc<Standin>,
    pub way: Way,
    http: reqwest::Client,
}

impl People {
    pub fn new(standin: Arc<Standin>, way: Way) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        Self { standin, way, http }
    }

    /// `/access <word> …`
    pub async fn says(&self, user: &str, word: &str, options: &[(&str, Value)]) -> Seen {
        self.does(user, 2, command(word, options, None)).await
    }

    /// What is offered while an option is typed.
    pub async fn types(&self, user: &str, word: &str, options: &[(&str, Value)], focused: &str) -> Vec<Value> {
        let seen = self.does(user, 4, command(word, options, Some(focused))).await;
        seen.callback["data"]["choices"].as_array().cloned().unwrap_or_default()
    }

    /// Presses a button of a card.
    pub async fn presses(&self, user: &str, button: &str, request: u64) -> Seen {
        self.does(user, 3, json!({ "custom_id": format!("{button}:{request}"), "component_type": 2 })).await
    }

    /// Presses a button that opens a form, and sends it filled in.
    pub async fn fills(&self, user: &str, button: &str, request: u64, fields: &[(&str, &str)]) -> Seen {
        let seen = self.presses(user, button, request).await;
        assert_eq!(seen.callback["type"], 9, "{button} opens a form: {seen:?}");
        self.sends(user, &seen.callback["data"], fields).await
    }

    /// Sends a form that was opened, filled in.
    pub async fn sends(&self, user: &str, form: &Value, fields: &[(&str, &str)]) -> Seen {
        let inputs = form["components"].as_array().unwrap().iter().map(|row| &row["components"][0]);
        let rows: Vec<Value> = inputs
            .map(|input| {
                let id = input["custom_id"].as_str().unwrap();
                let value = fields.iter().find(|(name, _)| *name == id).map(|(_, text)| *text);
                let value = value.unwrap_or_else(|| input["value"].as_str().unwrap_or_default());
                json!({ "type": 1, "components": [{ "type": 4, "custom_id": id, "value": value }] })
            })
            .collect();
        self.does(user, 5, json!({ "custom_id": form["custom_id"], "components": rows })).await
    }

    /// Does something in the guild, and waits for what is seen of it.
    pub async fn does(&self, user: &str, kind: u64, data: Value) -> Seen {
        let value = self.interaction(user, kind, data);
        self.delivers(value).await
    }

    /// An interaction as Discord writes it.
    #[expect(clippy::needless_pass_by_value, reason = "it is written where it is said")]
    pub fn interaction(&self, user: &str, kind: u64, data: Value) -> Value {
        let id = self.standin.id();
        let roles = self.standin.world().members.get(user).cloned().unwrap_or_default();
        json!({
            "id": id, "application_id": APPLICATION, "type": kind, "data": data, "token": format!("aW50ZXJhY3Rpb246.{id}"),
            "version": 1, "guild_id": GUILD, "channel_id": CHANNEL, "locale": "en-US", "guild_locale": "en-US",
            "app_permissions": "309237664768", "entitlements": [], "context": 0, "attachment_size_limit": 10_485_760,
            "authorizing_integration_owners": { "0": GUILD },
            "guild": { "id": GUILD, "locale": "en-US", "features": [] },
            "channel": { "id": CHANNEL, "type": 0, "name": "approvals", "permissions": "2147483647", "flags": 0,
                "guild_id": GUILD, "position": 1, "nsfw": false, "parent_id": null, "topic": null, "last_message_id": null,
                "rate_limit_per_user": 0, "icon_emoji": null, "theme_color": null },
            "member": {
                "user": { "id": user, "username": "somebody", "discriminator": "0", "global_name": null, "avatar": null,
                    "public_flags": 0 },
                "roles": roles, "joined_at": "2026-01-01T00:00:00.000000+00:00", "permissions": "2147483647",
                "deaf": false, "mute": false, "nick": null, "avatar": null, "premium_since": null, "pending": false,
                "communication_disabled_until": null, "flags": 0,
            },
            "message": card_message(kind),
        })
    }

    /// Hands an interaction to the bot, and waits for what is seen of it.
    pub async fn delivers(&self, value: Value) -> Seen {
        let id = self.delivers_only(value).await;
        self.sees(&id).await
    }

    /// Hands an interaction to the bot.
    pub async fn delivers_only(&self, mut value: Value) -> String {
        if value["message"].is_null() {
            value.as_object_mut().unwrap().remove("message");
        }
        let id = value["id"].as_str().unwrap().to_owned();
        self.knows(&value);
        match &self.way {
            Way::Gateway => self.standin.act(Act::Dispatch("INTERACTION_CREATE", value)),
            Way::Http(url) => {
                let (status, body) = self.calls(url, &value.to_string(), 0).await;
                assert_eq!(status, 200, "{body}");
                let callback: Value = serde_json::from_str(&body).unwrap();
                let mut world = self.standin.world();
                let known = world.interactions[&id].clone();
                if known.created.elapsed() > ANSWER_WITHIN {
                    world.wrong.push("an answer after three seconds".into());
                }
                let schema = match callback["type"].as_u64() {
                    Some(8) => "callback-choices",
                    Some(9) => "callback-modal",
                    _ => "callback-message",
                };
                world.bodies.push((schema, callback.clone()));
                rest::take_callback(&mut world, &id, &known, &callback);
            }
        }
        id
    }

    /// From now on the interaction can be answered.
    pub fn knows(&self, value: &Value) {
        let interaction = Interaction {
            token: value["token"].as_str().unwrap_or_default().to_owned(),
            created: Instant::now(),
            kind: value["type"].as_u64().unwrap_or_default(),
            callback: None,
            took: None,
            original: None,
            followups: Vec::new(),
        };
        self.standin.world().interactions.insert(value["id"].as_str().unwrap_or_default().to_owned(), interaction);
    }

    /// The time as Discord writes it into its headers.
    pub fn now() -> String {
        std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().to_string()
    }

    /// Signs a body as Discord does, dated so many seconds from now.
    pub fn signs(&self, body: &str, dated: i64) -> (String, String) {
        let at = (Self::now().parse::<i64>().unwrap() + dated).to_string();
        let signature = hex::encode(self.standin.key.sign(format!("{at}{body}").as_bytes()).to_bytes());
        (at, signature)
    }

    /// Posts a signed body, dated so many seconds from now.
    pub async fn calls(&self, url: &str, body: &str, dated: i64) -> (u16, String) {
        let (at, signature) = self.signs(body, dated);
        self.calls_with(url, body, &at, &signature).await
    }

    /// Posts a body with these headers.
    pub async fn calls_with(&self, url: &str, body: &str, timestamp: &str, signature: &str) -> (u16, String) {
        let request = self.http.post(format!("{url}/discord/interactions")).body(body.to_owned());
        let request =
            request.header("content-type", "application/json").header("user-agent", "Discord-Interactions/1.0");
        let request = request.header("x-signature-timestamp", timestamp).header("x-signature-ed25519", signature);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Waits until an interaction is answered, and not with "…is thinking" any more.
    pub async fn sees(&self, id: &str) -> Seen {
        let end = tokio::time::Instant::now() + PATIENCE;
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            if let Some(seen) = self.seen(id) {
                return seen;
            }
            assert!(tokio::time::Instant::now() < end, "nobody answered {:#?}", self.standin.world().interactions[id]);
        }
    }

    /// What is seen of it now, if it is answered.
    pub fn seen(&self, id: &str) -> Option<Seen> {
        let world = self.standin.world();
        let known = world.interactions.get(id)?;
        let callback = known.callback.clone()?;
        let thinks = known.original.as_ref().is_some_and(|original| original["content"] == "…is thinking");
        if thinks {
            return None;
        }
        let messages: Vec<Value> = known.original.iter().chain(&known.followups).cloned().collect();
        let texts = messages.iter().flat_map(|message| {
            let embeds = message["embeds"].as_array().into_iter().flatten();
            embeds.map(|embed| embed["description"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        });
        let text = texts.collect::<Vec<_>>().join("\n");
        Some(Seen { id: id.to_owned(), callback, took: known.took.unwrap_or_default(), text, messages })
    }
}

/// Buttons hang on a message.
fn card_message(kind: u64) -> Value {
    match kind {
        3 => json!({
            "id": "1440000000000000001", "channel_id": CHANNEL, "type": 0, "content": "", "tts": false, "pinned": false,
            "author": { "id": super::BOT, "username": "countersign", "discriminator": "0", "avatar": null, "bot": true,
                "global_name": null },
            "timestamp": "2026-11-20T12:00:00.000000+00:00", "edited_timestamp": null, "mention_everyone": false,
            "mentions": [], "mention_roles": [], "attachments": [], "embeds": [], "components": [], "flags": 0,
        }),
        _ => Value::Null,
    }
}

fn command(word: &str, options: &[(&str, Value)], focused: Option<&str>) -> Value {
    let options: Vec<Value> = options
        .iter()
        .map(|(name, value)| {
            let kind = if value.is_number() { 4 } else { 3 };
            let mut option = json!({ "name": name, "type": kind, "value": value });
            if focused == Some(*name) {
                option["focused"] = true.into();
            }
            option
        })
        .collect();
    json!({ "id": "1440000000000000002", "name": "access", "type": 1, "guild_id": GUILD,
        "options": [{ "name": word, "type": 1, "options": options }] })
}
