//! What Slack sends, read leniently: Slack leaves fields out, adds others, and says `null` where there is nothing. Only who
//! did what is taken from it; who may do what is never in it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    modal::{PRESS, REQUEST},
    talk::{self, Said},
};
use crate::{access::RequestId, chat::card::Button};

/// The kinds of what Slack sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `/access`.
    Command,
    /// Buttons, selects and forms.
    Interaction,
    /// The Events API.
    Event,
    /// Something of which we know nothing.
    Other,
}

impl Kind {
    /// The kind of an envelope of Socket Mode.
    #[must_use]
    pub fn of_envelope(kind: &str) -> Self {
        match kind {
            "slash_commands" => Self::Command,
            "interactive" => Self::Interaction,
            "events_api" => Self::Event,
            _ => Self::Other,
        }
    }
}

/// Where somebody did something, and how they can be answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The user's id.
    pub user: String,
    /// The channel's id; empty in a modal or in App Home.
    pub channel: String,
    /// An address to answer to, good for half an hour.
    pub response_url: Option<String>,
}

/// Something that somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Where, and who.
    pub place: Place,
    /// What opens a modal, within three seconds.
    pub trigger: Option<String>,
    /// What names this very thing: the same key is the same thing, delivered twice.
    pub key: String,
    /// What it was.
    pub what: What,
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A line after `/access`.
    Line(String),
    /// A button of a request, in a message or in App Home.
    Press {
        /// Whose.
        request: RequestId,
        /// Which.
        button: Button,
        /// Whether it was in App Home.
        home: bool,
        /// The direct message that it was on, if it was on one.
        direct: Option<Box<Direct>>,
    },
    /// The button in App Home that opens the form.
    Ask,
    /// The button in App Home that draws it anew.
    Refresh,
    /// Another resource was chosen in the form.
    Chosen(Form),
    /// A form was sent.
    Sent(Form),
    /// Something is being searched in the form.
    Search {
        /// What was typed.
        query: String,
        /// Whether the form breaks the glass.
        glass: bool,
    },
    /// App Home was opened.
    Home,
    /// Something was said in a thread, and not to us.
    Talk(Box<Said>),
    /// Nothing that concerns us: a closed form, an event that we did not ask for.
    Nothing,
}

/// A direct message as Slack shows it to us when a button on it is pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direct {
    /// Its time, which is its id.
    pub ts: String,
    /// Its text, as markup.
    pub text: String,
    /// Its blocks.
    pub blocks: Vec<Value>,
}

/// A form as it is, or was, filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// What it is for.
    pub callback: String,
    /// The view.
    pub view: String,
    /// The view's version.
    pub hash: String,
    /// What we wrote into it for ourselves.
    pub private: Value,
    /// By element: its block, and what stands in it.
    pub values: BTreeMap<String, (String, String)>,
}

impl Form {
    /// What stands in an element.
    #[must_use]
    pub fn value(&self, element: &str) -> &str {
        self.values.get(element).map_or("", |(_, value)| value.as_str())
    }

    /// The block of an element.
    #[must_use]
    pub fn block<'a>(&'a self, element: &'a str) -> &'a str {
        self.values.get(element).map_or(element, |(block, _)| block.as_str())
    }

    /// What we wrote into it for ourselves, by name.
    #[must_use]
    pub fn note(&self, name: &str) -> &str {
        self.private.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it breaks the glass.
    #[must_use]
    pub fn glass(&self) -> bool {
        self.private.get("glass").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The request and the button that it belongs to.
    #[must_use]
    pub fn press(&self) -> Option<(RequestId, Button)> {
        let request = self.private.get("request").and_then(Value::as_u64)?;
        Some((RequestId(request), Button::from_word(self.note("button"))?))
    }
}

/// Why something is not taken from whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// It comes from another workspace.
    #[error("it comes from another workspace")]
    Team,
    /// Whoever did it is of another organisation, in a channel that is shared with it.
    #[error("whoever did it is of another workspace")]
    Outsider,
    /// It does not say who did it.
    #[error("it does not say who did it")]
    Nobody,
    /// It is for an installation on a whole organisation.
    #[error("it is for an installation on a whole organisation, and Countersign is installed in one workspace")]
    Enterprise,
}

fn text<'a>(payload: &'a Value, at: &str) -> &'a str {
    payload.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn some(payload: &Value, at: &str) -> Option<String> {
    Some(text(payload, at)).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// What somebody of the workspace `team` did. `fallback` names the delivery, where nothing better does.
///
/// # Errors
/// Who is no business of ours.
pub fn read(kind: Kind, payload: &Value, team: &str, fallback: &str) -> Result<Heard, Stranger> {
    let home_team = |found: &str| found.is_empty() || found == team;
    let teams = ["/team_id", "/team/id"].map(|at| text(payload, at));
    if !teams.iter().all(|found| home_team(found)) {
        return Err(Stranger::Team);
    }
    // An app that is in a whole organisation gets no team but that of the person.
    let named = teams.into_iter().chain([text(payload, "/user/team_id")]).any(|found| !found.is_empty());
    if !named && kind != Kind::Other {
        return Err(Stranger::Team);
    }
    let enterprise = payload.get("is_enterprise_install");
    if enterprise.is_some_and(|flag| flag == &Value::Bool(true) || flag.as_str() == Some("true")) {
        return Err(Stranger::Enterprise);
    }
    let mut written =
        ["/event", "/event/message", "/event/previous_message"].iter().filter_map(|at| payload.pointer(at));
    let ours = |message: &Value| ["/team", "/user_team", "/source_team"].iter().all(|at| home_team(text(message, at)));
    if !home_team(text(payload, "/user/team_id")) || !written.all(ours) {
        return Err(Stranger::Outsider);
    }
    match kind {
        Kind::Command => command(payload, fallback),
        Kind::Interaction => interaction(payload, fallback),
        Kind::Event => event(payload, fallback),
        Kind::Other => Ok(nothing(String::new(), fallback)),
    }
}

fn nothing(user: String, key: &str) -> Heard {
    Heard { place: Place { user, ..Place::default() }, trigger: None, key: key.to_owned(), what: What::Nothing }
}

fn user(payload: &Value, at: &str) -> Result<String, Stranger> {
    some(payload, at).filter(|user| super::blocks::is_user(user)).ok_or(Stranger::Nobody)
}

/// A text without the three entities that Slack writes.
pub(super) fn entities(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn command(payload: &Value, fallback: &str) -> Result<Heard, Stranger> {
    let trigger = some(payload, "/trigger_id");
    let line = entities(text(payload, "/text"));
    Ok(Heard {
        place: Place {
            user: user(payload, "/user_id")?,
            channel: text(payload, "/channel_id").to_owned(),
            response_url: some(payload, "/response_url"),
        },
        key: trigger.clone().unwrap_or_else(|| fallback.to_owned()),
        trigger,
        what: What::Line(line),
    })
}

fn interaction(payload: &Value, fallback: &str) -> Result<Heard, Stranger> {
    let user = user(payload, "/user/id")?;
    let trigger = some(payload, "/trigger_id");
    let channel = ["/channel/id", "/container/channel_id"].iter().find_map(|at| some(payload, at)).unwrap_or_default();
    let response_url = some(payload, "/response_url");
    let form = || form(payload.get("view").unwrap_or(&Value::Null));
    let (key, what) = match text(payload, "/type") {
        "block_actions" => {
            let action = payload.pointer("/actions/0").cloned().unwrap_or_default();
            let once = [trigger.as_deref().unwrap_or(fallback), text(&action, "/action_ts")].join("/");
            (once, action_of(&action, payload, form))
        }
        "view_submission" => {
            let form = form();
            let key = trigger.clone().unwrap_or_else(|| format!("{}/{}", form.view, form.hash));
            (key, What::Sent(form))
        }
        "block_suggestion" => {
            let query = text(payload, "/value").to_owned();
            (fallback.to_owned(), What::Search { query, glass: form().glass() })
        }
        _ => (fallback.to_owned(), What::Nothing),
    };
    Ok(Heard { place: Place { user, channel, response_url }, trigger, key, what })
}

fn action_of(action: &Value, payload: &Value, form: impl Fn() -> Form) -> What {
    let word = text(action, "/action_id");
    let home = text(payload, "/view/type") == "home";
    match word {
        "ask" => What::Ask,
        "refresh" => What::Refresh,
        super::modal::input::RESOURCE => {
            let mut form = form();
            let chosen = text(action, "/selected_option/value").to_owned();
            let block = text(action, "/block_id").to_owned();
            form.values.insert(super::modal::input::RESOURCE.to_owned(), (block, chosen));
            What::Chosen(form)
        }
        word => match (Button::from_word(word), text(action, "/value").parse()) {
            (Some(button), Ok(request)) => {
                What::Press { request: RequestId(request), button, home, direct: direct(payload) }
            }
            (Some(_) | None, _) => What::Nothing,
        },
    }
}

fn direct(payload: &Value) -> Option<Box<Direct>> {
    let ts = some(payload, "/container/message_ts").filter(|_| text(payload, "/channel/id").starts_with('D'))?;
    let blocks = payload.pointer("/message/blocks").and_then(Value::as_array).cloned().unwrap_or_default();
    Some(Box::new(Direct { ts, text: text(payload, "/message/text").to_owned(), blocks }))
}

fn form(view: &Value) -> Form {
    let mut values = BTreeMap::new();
    let blocks = view.pointer("/state/values").and_then(Value::as_object);
    for (block, elements) in blocks.into_iter().flatten() {
        for (element, state) in elements.as_object().into_iter().flatten() {
            let chosen = some(state, "/selected_option/value").or_else(|| some(state, "/value")).unwrap_or_default();
            values.insert(element.clone(), (block.clone(), chosen));
        }
    }
    let callback = text(view, "/callback_id");
    Form {
        callback: if [REQUEST, PRESS].contains(&callback) { callback.to_owned() } else { String::new() },
        view: text(view, "/id").to_owned(),
        hash: text(view, "/hash").to_owned(),
        private: serde_json::from_str(text(view, "/private_metadata")).unwrap_or_default(),
        values,
    }
}

fn event(payload: &Value, fallback: &str) -> Result<Heard, Stranger> {
    let key = some(payload, "/event_id").unwrap_or_else(|| fallback.to_owned());
    if text(payload, "/event/type") == "message" {
        return Ok(match talk::read(payload) {
            Some(said) => Heard { what: What::Talk(Box::new(said)), ..nothing(String::new(), &key) },
            None => nothing(String::new(), &key),
        });
    }
    if text(payload, "/event/type") != "app_home_opened" || text(payload, "/event/tab") == "messages" {
        return Ok(nothing(String::new(), &key));
    }
    let user = user(payload, "/event/user")?;
    Ok(Heard { what: What::Home, ..nothing(user, &key) })
}

#[cfg(test)]
mod tests;
