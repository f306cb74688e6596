//! What people say to each other in a thread, read from the events `message.channels` and `message.groups`. Slack sends
//! them for everything in a channel; what stands in no thread, and what no person wrote, is let be.

use serde_json::Value;

use super::{blocks::is_user, payload::entities};
use crate::chat::Turn;

/// The events, each with the scope that it takes: they are asked for only where thread talk is to be recorded.
pub const EVENTS: [(&str, &str); 2] = [("message.channels", "channels:history"), ("message.groups", "groups:history")];

/// A message of Slack's own, which no person wrote.
const SLACKBOT: &str = "USLACKBOT";
/// What a message may be besides a plain one: with files, or shown in the channel too.
const SUBTYPES: [&str; 2] = ["file_share", "thread_broadcast"];

/// Something said, changed or deleted in a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whose words.
    pub user: String,
    /// The message that the thread is below, as a card's is recorded: its channel and its time.
    pub card: String,
    /// Its own time, which is its id in the channel.
    pub message: String,
    /// What became of it.
    pub turn: Turn,
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What an event of the type `message` says, if that concerns anybody.
#[must_use]
pub fn read(payload: &Value) -> Option<Said> {
    let event = payload.get("event")?;
    let (message, turn) = match text(event, "subtype") {
        "message_changed" => {
            let message = event.get("message")?;
            // A link that Slack has unfolded changes a message too; only who edits it gives it other words.
            let version = text(message.get("edited")?, "ts").to_owned();
            let before = event.get("previous_message").map(words);
            let text = Some(words(message)).filter(|now| before.as_ref() != Some(now))?;
            (message, Turn::Changed { version, text })
        }
        "message_deleted" => (event.get("previous_message")?, Turn::Deleted),
        _ => (event, Turn::Said(words(event))),
    };
    let (user, thread, ts) = (text(message, "user"), text(message, "thread_ts"), text(message, "ts"));
    let subtype = text(message, "subtype");
    let by_person = is_user(user)
        && user != SLACKBOT
        && !is_ours(payload, user)
        && ["bot_id", "bot_profile"].iter().all(|bot| message.get(bot).is_none_or(Value::is_null))
        && (subtype.is_empty() || SUBTYPES.contains(&subtype));
    let channel = text(event, "channel");
    // The first message of a thread names it too, by its own time.
    if !by_person || channel.is_empty() || thread.is_empty() || ts.is_empty() || thread == ts {
        return None;
    }
    let card = format!("{channel}:{thread}");
    Some(Said { user: user.to_owned(), card, message: ts.to_owned(), turn })
}

/// Whether Slack says that this is the bot it tells.
fn is_ours(payload: &Value, user: &str) -> bool {
    let told = payload.get("authorizations").and_then(Value::as_array);
    told.into_iter().flatten().any(|one| one.get("is_bot") == Some(&Value::Bool(true)) && text(one, "user_id") == user)
}

/// The words of a message, and the names of the files with it.
fn words(message: &Value) -> String {
    let mut words = entities(text(message, "text"));
    for file in message.get("files").and_then(Value::as_array).into_iter().flatten() {
        let name = Some(text(file, "name")).filter(|name| !name.is_empty()).unwrap_or("without a name");
        if !words.is_empty() {
            words.push('\n');
        }
        words.extend(["[file: ", name, "]"]);
    }
    words
}

#[cfg(test)]
mod tests;
