//! What the stand-in tells an app of what is said in channels: what the scopes give, where the bot is, and again where it
//! is not acknowledged.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Acked, Inner, Standin,
    state::{BOT_USER, Message, State, TEAM},
};

/// What Slack waits before it delivers an event once more: at once, then after a minute, then after five. Shortened.
const AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_millis(300), Duration::from_secs(2)];

impl State {
    /// Whether Slack tells the app what is said in a channel.
    pub fn is_told(&self, channel: &str) -> bool {
        let scope = if self.private.contains(channel) { "groups:history" } else { "channels:history" };
        channel.starts_with('C') && self.scopes.contains(scope) && !self.left.contains(channel)
    }

    /// A message as events have it.
    fn in_an_event(message: &Message) -> Value {
        let mut event = json!({
            "type": "message", "user": message.user.as_deref().unwrap_or(BOT_USER), "ts": message.ts,
            "text": message.text, "team": TEAM,
        });
        if let Some(thread) = &message.thread {
            event["thread_ts"] = json!(thread);
        }
        if message.user.is_none() {
            event["bot_id"] = json!("B0BOTBOTBOT");
            event["app_id"] = json!("A0123456789");
            event["bot_profile"] = json!({ "id": "B0BOTBOTBOT", "app_id": "A0123456789", "name": "Countersign" });
            event["blocks"] = message.blocks.clone();
        } else {
            event["client_msg_id"] = json!(message.client_id);
        }
        event
    }

    /// The event of a message that was posted.
    pub fn posted(&mut self, channel: &str, message: &Message) -> Value {
        let mut event = Self::in_an_event(message);
        event["channel"] = json!(channel);
        event["channel_type"] = json!(if self.private.contains(channel) { "group" } else { "channel" });
        event["event_ts"] = json!(message.ts);
        event
    }

    /// The event of a message that has other words now, or none.
    pub fn revised(&mut self, channel: &str, before: &Message, now: Option<&Message>) -> Value {
        let ts = self.new_ts();
        let mut event = json!({
            "type": "message", "hidden": true, "channel": channel, "ts": ts, "event_ts": ts,
            "channel_type": if self.private.contains(channel) { "group" } else { "channel" },
            "previous_message": Self::in_an_event(before),
        });
        if let Some(now) = now {
            let mut message = Self::in_an_event(now);
            if let Some(user) = &now.user {
                message["edited"] = json!({ "user": user, "ts": format!("{}.000000", ts.split('.').next().unwrap()) });
            }
            message["source_team"] = json!(TEAM);
            message["user_team"] = json!(TEAM);
            event["subtype"] = json!("message_changed");
            event["message"] = message;
        } else {
            event["subtype"] = json!("message_deleted");
            event["deleted_ts"] = json!(before.ts);
        }
        event
    }
}

impl Standin {
    /// An event in its envelope's payload.
    pub fn event(&self, event: &Value) -> Value {
        json!({
            "token": "gIkuvaNzQIHg97ATvDxqgjtO", "team_id": TEAM, "context_team_id": TEAM, "context_enterprise_id": null,
            "api_app_id": "A0123456789", "event": event, "type": "event_callback",
            "event_id": format!("Ev{:09}", self.inner.state().next()), "event_time": 1_795_244_001,
            "authorizations": [{
                "enterprise_id": null, "team_id": TEAM, "user_id": BOT_USER, "is_bot": true,
                "is_enterprise_install": false,
            }],
            "is_ext_shared_channel": false, "event_context": "4-standin",
        })
    }

    /// Tells the app an event of a channel, again until it is acknowledged: how each try fared; `None` if Slack does not
    /// tell it such things.
    pub async fn tells(&self, channel: &str, event: &Value) -> Option<Vec<Acked>> {
        let told = self.inner.state().is_told(channel);
        if !told {
            return None;
        }
        let payload = self.event(event);
        let mut tries = vec![self.try_to_tell(&payload, None).await];
        for (retry, pause) in (1_u64..).zip(AGAIN) {
            if matches!(tries.last(), Some(Acked::Yes(_))) {
                break;
            }
            sleep(pause).await;
            tries.push(self.try_to_tell(&payload, Some(retry)).await);
        }
        Some(tries)
    }

    /// Delivers an event once.
    pub async fn try_to_tell(&self, payload: &Value, retry: Option<u64>) -> Acked {
        let app = self.inner.app.lock().unwrap().clone();
        let acked = match app {
            Some(app) => super::signed::deliver_again(&app, "events_api", payload, retry).await,
            None => self.deliver_again("events_api", payload.clone(), false, retry).await,
        };
        if let Acked::Yes(answer) = &acked
            && !answer.is_null()
        {
            self.inner.state().complain("an event", vec![format!("it is answered with {answer}")]);
        }
        acked
    }

    /// Somebody writes a message in a thread; the message, and its event. It is not told yet.
    pub fn writes(&self, user: &str, channel: &str, thread: &str, text: &str) -> (Message, Value) {
        let mut state = self.inner.state();
        assert!(state.users.iter().any(|known| known == user), "{user} is in the workspace");
        let message = Message {
            ts: state.new_ts(),
            user: Some(user.to_owned()),
            client_id: format!("{:032x}", rand::random::<u128>()),
            thread: Some(thread.to_owned()),
            // Slack writes these three as entities.
            text: text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            blocks: Value::Null,
            metadata: Value::Null,
            before: Vec::new(),
            deleted: false,
        };
        let event = state.posted(channel, &message);
        state.channels.get_mut(channel).unwrap().push(message.clone());
        (message, event)
    }

    /// Somebody writes in a thread, and the app is told; how each try fared, `None` if it is not told.
    pub async fn talks(&self, user: &str, channel: &str, thread: &str, text: &str) -> (Message, Option<Vec<Acked>>) {
        let (message, event) = self.writes(user, channel, thread, text);
        let told = self.tells(channel, &event).await;
        (message, told)
    }

    /// A message is given other words, or deleted; the event. It is not told yet.
    pub fn revises(&self, channel: &str, ts: &str, text: Option<&str>) -> Value {
        let mut state = self.inner.state();
        let message = state.channels.get_mut(channel).unwrap().iter_mut().find(|message| message.ts == ts).unwrap();
        let before = message.clone();
        match text {
            Some(text) => text.clone_into(&mut message.text),
            None => message.deleted = true,
        }
        let now = text.map(|_| message.clone());
        state.revised(channel, &before, now.as_ref())
    }
}

impl Inner {
    /// Tells the app what it has done itself, as Slack does.
    pub async fn tell_its_own(self: std::sync::Arc<Self>) {
        let own = std::mem::take(&mut self.state().own);
        let standin = Standin { inner: self };
        for (channel, event) in own {
            standin.tells(&channel, &event).await;
        }
    }
}
