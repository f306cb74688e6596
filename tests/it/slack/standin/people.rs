//! What people do in the stand-in, with the payloads that Slack's pages show.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Acked, Standin, rules,
    state::{Message, RESPONSE_USES, ResponseUrl, TEAM, View, Whisper},
};

/// A button that somebody is about to press, as it stood where they saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub channel: String,
    pub message: Message,
    pub button: Value,
    pub block_id: String,
}

/// A button among blocks, with its block's id.
pub fn button(blocks: &Value, action: &str, value: Option<&str>) -> Option<(Value, String)> {
    blocks.as_array()?.iter().filter(|block| block["type"] == "actions").find_map(|block| {
        let elements = block["elements"].as_array()?;
        let fits = |e: &&Value| e["action_id"] == action && value.is_none_or(|value| e["value"] == value);
        let found = elements.iter().find(fits)?;
        Some((found.clone(), block["block_id"].as_str().unwrap_or("b1").to_owned()))
    })
}

/// All text in a tree of blocks, as a person reads it.
pub fn words(blocks: &Value) -> String {
    fn gather(value: &Value, out: &mut String) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| gather(item, out)),
            Value::Object(fields) => {
                let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
                match kind {
                    "user" => *out += &["@", fields["user_id"].as_str().unwrap_or_default()].concat(),
                    "date" => *out += fields["fallback"].as_str().unwrap_or_default(),
                    _ => {}
                }
                if let Some(Value::String(text)) = fields.get("text") {
                    *out += text;
                }
                for (_, inner) in fields.iter().filter(|(key, _)| !["confirm", "placeholder"].contains(&key.as_str())) {
                    gather(inner, out);
                }
                if !["", "text", "user", "date"].contains(&kind) {
                    out.push('\n');
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut out = String::new();
    gather(blocks, &mut out);
    out
}

impl Standin {
    fn response_url(&self, user: &str, channel: &str) -> String {
        let token = format!("{:032x}", rand::random::<u128>());
        let url = ResponseUrl { user: user.to_owned(), channel: channel.to_owned(), left: RESPONSE_USES };
        self.inner.state().responses.insert(token.clone(), url);
        format!("http://{}/response/{token}", self.inner.address)
    }

    /// The payload of a command.
    pub fn command(&self, user: &str, channel: &str, text: &str) -> Value {
        let trigger = self.inner.state().trigger(user);
        json!({
            "token": "gIkuvaNzQIHg97ATvDxqgjtO", "team_id": TEAM, "team_domain": "standin", "channel_id": channel,
            "channel_name": "approvals", "user_id": user, "user_name": "somebody", "command": "/access", "text": text,
            "api_app_id": "A0123456789", "is_enterprise_install": "false",
            "response_url": self.response_url(user, channel), "trigger_id": trigger,
        })
    }

    /// Somebody types a command, and it is acknowledged. What they are told with the acknowledgement is kept.
    pub async fn types(&self, user: &str, channel: &str, text: &str) -> Acked {
        let payload = self.command(user, channel, text);
        let acked = self.deliver("slash_commands", payload, true).await;
        self.keep(user, &acked);
        acked
    }

    fn keep(&self, user: &str, acked: &Acked) {
        let Acked::Yes(payload) = acked else { return };
        if payload.get("text").is_some() {
            let mut state = self.inner.state();
            state.complain("an acknowledgement", rules::message(payload));
            if payload["response_type"] != "ephemeral" {
                state.complain("an acknowledgement", vec!["it is for everybody".into()]);
            }
            let text = payload["text"].as_str().unwrap_or_default().to_owned();
            state.whispers.push(Whisper { user: user.to_owned(), text, blocks: payload["blocks"].clone() });
            drop(state);
            self.inner.changed();
        }
    }

    /// Somebody types a command and reads the answer that comes with the acknowledgement.
    pub async fn says(&self, user: &str, channel: &str, text: &str) -> String {
        let payload = self.types(user, channel, text).await.payload();
        words(&payload["blocks"])
    }

    /// What somebody was told, in words, so far.
    pub fn told(&self, user: &str) -> Vec<String> {
        self.inner.state().whispers.iter().filter(|w| w.user == user).map(|w| words(&w.blocks)).collect()
    }

    /// Waits until somebody is told something with these words.
    pub async fn until_told(&self, user: &str, part: &str) -> String {
        let find = || self.told(user).into_iter().rfind(|words| words.contains(part));
        self.until(&format!("{user} is told `{part}`"), find).await
    }

    /// The card of a request in a channel, once it has these words.
    pub async fn card(&self, channel: &str, part: &str) -> Message {
        let find = || self.cards(channel).into_iter().rfind(|card| words(&card.blocks).contains(part));
        self.until(&format!("a card in {channel} with `{part}`"), find).await
    }

    /// A button as somebody sees it on the newest message of a channel that has it.
    pub async fn sees(&self, channel: &str, action: &str) -> Seen {
        let find = || {
            self.cards(channel).into_iter().rev().find_map(|message| {
                let (button, block_id) = button(&message.blocks, action, None)?;
                Some(Seen { channel: channel.to_owned(), message, button, block_id })
            })
        };
        self.until(&format!("a button `{action}` in {channel}"), find).await
    }

    /// Whether none of these buttons is on any message of a channel.
    pub fn sees_none(&self, channel: &str, actions: &[&str]) -> bool {
        let cards = self.cards(channel);
        !cards.iter().any(|card| actions.iter().any(|action| button(&card.blocks, action, None).is_some()))
    }

    /// The payload of a click on a button of a message.
    pub fn click(&self, user: &str, seen: &Seen) -> Value {
        let trigger = self.inner.state().trigger(user);
        let mut action = seen.button.clone();
        action["block_id"] = json!(seen.block_id);
        action["action_ts"] = json!(format!("1795244001.{:06}", self.inner.state().next()));
        if let Some(action) = action.as_object_mut() {
            action.remove("confirm");
            action.remove("accessibility_label");
        }
        json!({
            "type": "block_actions",
            "user": { "id": user, "username": "somebody", "name": "somebody", "team_id": TEAM },
            "api_app_id": "A0123456789", "token": "gIkuvaNzQIHg97ATvDxqgjtO",
            "container": {
                "type": "message", "message_ts": seen.message.ts, "channel_id": seen.channel, "is_ephemeral": false,
            },
            "trigger_id": trigger, "team": { "id": TEAM, "domain": "standin" }, "enterprise": null,
            "is_enterprise_install": false, "channel": { "id": seen.channel, "name": "approvals" },
            "message": {
                "bot_id": "B0BOTBOTBOT", "type": "message", "text": seen.message.text, "user": super::state::BOT_USER,
                "ts": seen.message.ts, "app_id": "A0123456789", "blocks": seen.message.blocks, "team": TEAM,
                "metadata": seen.message.metadata,
            },
            "state": { "values": {} },
            "response_url": self.response_url(user, &seen.channel),
            "actions": [action],
        })
    }

    pub async fn clicks(&self, user: &str, seen: &Seen) -> Acked {
        let payload = self.click(user, seen);
        self.deliver("interactive", payload, false).await
    }

    /// Presses a button on the newest message of a channel that has it.
    pub async fn presses(&self, user: &str, channel: &str, action: &str) -> Acked {
        let seen = self.sees(channel, action).await;
        self.clicks(user, &seen).await
    }

    /// The window that is open for somebody, once `fits`.
    pub async fn window(&self, user: &str, what: &str, fits: impl Fn(&Value) -> bool) -> View {
        let find = || {
            let state = self.inner.state();
            let mine =
                |view: &&View| view.user == user && view.open && view.json["type"] == "modal" && fits(&view.json);
            state.views.values().rfind(mine).cloned()
        };
        self.until(&format!("a window for {user}: {what}"), find).await
    }

    /// A view as it is in a payload, with what is filled in: by the element's name.
    fn filled(view: &View, values: &BTreeMap<&str, Value>) -> Value {
        let mut shown = view.shown();
        let mut state = serde_json::Map::new();
        for block in view.json["blocks"].as_array().into_iter().flatten().filter(|block| block["type"] == "input") {
            let (id, element) = (block["block_id"].as_str().unwrap(), &block["element"]);
            let action = element["action_id"].as_str().unwrap();
            let given = values.get(action).cloned();
            let value = match element["type"].as_str().unwrap() {
                "plain_text_input" => {
                    let text = given.or_else(|| element.get("initial_value").cloned()).unwrap_or(Value::Null);
                    json!({ "type": "plain_text_input", "value": text })
                }
                kind => {
                    let option = given.or_else(|| element.get("initial_option").cloned()).unwrap_or(Value::Null);
                    json!({ "type": kind, "selected_option": option })
                }
            };
            state.insert(id.to_owned(), json!({ action: value }));
        }
        shown["state"] = json!({ "values": state });
        shown
    }

    /// Somebody searches in a select of a window; the options that are shown.
    pub async fn searches(&self, user: &str, view: &View, action: &str, query: &str) -> Value {
        let payload = json!({
            "type": "block_suggestion", "user": { "id": user, "username": "somebody", "name": "somebody", "team_id": TEAM },
            "container": { "type": "view", "view_id": view.id }, "api_app_id": "A0123456789",
            "token": "gIkuvaNzQIHg97ATvDxqgjtO", "action_id": action, "block_id": "resource", "value": query,
            "team": { "id": TEAM, "domain": "standin" }, "enterprise": null, "is_enterprise_install": false,
            "view": Self::filled(view, &BTreeMap::new()),
        });
        let answer = self.deliver("interactive", payload, true).await.payload();
        let wrong = rules::options(&answer);
        self.inner.state().complain("options", wrong);
        answer
    }

    /// Somebody chooses an option in a select that tells the app at once.
    pub async fn chooses(&self, user: &str, view: &View, action: &str, option: &Value) -> Acked {
        let block =
            view.json["blocks"].as_array().unwrap().iter().find(|b| b["element"]["action_id"] == action).unwrap();
        assert_eq!(block["dispatch_action"], true, "the app wants to know");
        let trigger = self.inner.state().trigger(user);
        let payload = json!({
            "type": "block_actions", "user": { "id": user, "username": "somebody", "name": "somebody", "team_id": TEAM },
            "api_app_id": "A0123456789", "token": "gIkuvaNzQIHg97ATvDxqgjtO",
            "container": { "type": "view", "view_id": view.id }, "trigger_id": trigger,
            "team": { "id": TEAM, "domain": "standin" }, "enterprise": null, "is_enterprise_install": false,
            "view": Self::filled(view, &BTreeMap::from([(action, option.clone())])),
            "actions": [{
                "type": "external_select", "action_id": action, "block_id": block["block_id"], "selected_option": option,
                "action_ts": "1795244001.000001",
            }],
        });
        self.deliver("interactive", payload, false).await
    }

    /// The payload of a form that is sent.
    pub fn submission(&self, user: &str, view: &View, values: &[(&str, Value)]) -> Value {
        let values = values.iter().cloned().collect();
        let filled = Self::filled(view, &values);
        for block in view.json["blocks"].as_array().unwrap().iter().filter(|block| block["type"] == "input") {
            let (id, element) = (block["block_id"].as_str().unwrap(), &block["element"]);
            let state = &filled["state"]["values"][id][element["action_id"].as_str().unwrap()];
            let given = !state["value"].is_null() || !state["selected_option"].is_null();
            assert!(given || block["optional"] == true, "Slack does not let `{id}` be empty");
        }
        let trigger = self.inner.state().trigger(user);
        json!({
            "type": "view_submission", "team": { "id": TEAM, "domain": "standin" },
            "user": { "id": user, "username": "somebody", "name": "somebody", "team_id": TEAM },
            "api_app_id": "A0123456789", "token": "gIkuvaNzQIHg97ATvDxqgjtO", "trigger_id": trigger, "view": filled,
            "response_urls": [], "is_enterprise_install": false, "enterprise": null,
        })
    }

    /// Somebody sends a form; what the app has Slack do with it.
    pub async fn submits(&self, user: &str, view: &View, values: &[(&str, Value)]) -> Value {
        let payload = self.submission(user, view, values);
        let answer = self.deliver("interactive", payload, true).await.payload();
        self.submitted(view, &answer);
        answer
    }

    pub fn submitted(&self, view: &View, answer: &Value) {
        let mut state = self.inner.state();
        let hash = state.new_hash();
        let mut wrong = Vec::new();
        let known = state.views.get_mut(&view.id).unwrap();
        match answer["response_action"].as_str() {
            Some("update") => {
                wrong = rules::view(&answer["view"]);
                known.json = answer["view"].clone();
                known.hash = hash;
            }
            Some("errors") => {
                let blocks = known.json["blocks"].as_array().unwrap();
                for (block, words) in answer["errors"].as_object().unwrap() {
                    if !blocks.iter().any(|known| known["block_id"] == block.as_str() && known["type"] == "input") {
                        wrong.push(format!("an error for `{block}`, which is no input"));
                    }
                    if words.as_str().unwrap_or_default().is_empty() {
                        wrong.push("an error without words".to_owned());
                    }
                }
            }
            Some("clear") | None => known.open = false,
            Some(other) => wrong.push(format!("a response_action `{other}`")),
        }
        state.complain("the answer to a form", wrong);
        drop(state);
        self.inner.changed();
    }

    /// Somebody opens App Home; the payload of the event.
    pub fn opens_home(&self, user: &str) -> Value {
        json!({
            "token": "gIkuvaNzQIHg97ATvDxqgjtO", "team_id": TEAM, "api_app_id": "A0123456789",
            "event": {
                "type": "app_home_opened", "user": user, "channel": format!("D{}", user.trim_start_matches('U')), "tab": "home",
                "event_ts": "1795244001.000001",
            },
            "type": "event_callback", "event_id": format!("Ev{:09}", self.inner.state().next()),
            "event_time": 1_795_244_001, "is_ext_shared_channel": false,
            "authorizations": [{
                "enterprise_id": null, "team_id": TEAM, "user_id": super::state::BOT_USER, "is_bot": true,
                "is_enterprise_install": false,
            }],
        })
    }

    pub async fn home(&self, user: &str) -> View {
        let before = self.calls("views.publish").len();
        let payload = self.opens_home(user);
        assert!(matches!(self.deliver("events_api", payload, false).await, Acked::Yes(_)));
        let drawn = || {
            (self.calls("views.publish").len() > before)
                .then(|| self.inner.state().views.get(&format!("VHOME{user}")).cloned())
                .flatten()
        };
        self.until(&format!("the home of {user}"), drawn).await
    }

    /// Somebody presses a button in their App Home.
    pub async fn presses_home(&self, user: &str, home: &View, action: &str, value: &str) -> Acked {
        let (mut action, block) = button(&home.json["blocks"], action, Some(value)).unwrap();
        let trigger = self.inner.state().trigger(user);
        action["block_id"] = json!(block);
        action["action_ts"] = json!(format!("1795244001.{:06}", self.inner.state().next()));
        let payload = json!({
            "type": "block_actions", "user": { "id": user, "username": "somebody", "name": "somebody", "team_id": TEAM },
            "api_app_id": "A0123456789", "token": "gIkuvaNzQIHg97ATvDxqgjtO",
            "container": { "type": "view", "view_id": home.id }, "trigger_id": trigger,
            "team": { "id": TEAM, "domain": "standin" }, "enterprise": null, "is_enterprise_install": false,
            "view": home.shown(), "actions": [action],
        });
        self.deliver("interactive", payload, false).await
    }

    /// All triggers die now, as if somebody had waited for three seconds.
    pub fn triggers_expire(&self) {
        for trigger in self.inner.state().triggers.values_mut() {
            trigger.until = Instant::now();
        }
    }
}
