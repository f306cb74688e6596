//! The modals: a form to ask with, the forms behind buttons, answers, and credentials, which are seen nowhere else.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    blocks::{Clocks, rich, small},
    limit,
    text::{cut, pieces, plain, put},
};
use crate::{
    access::{RequestId, Span as Duration},
    chat::{
        Mentions, Offer, Reply, Tone,
        card::{Button, Card, Line, Span},
        grammar::Draft,
        text::{one_line, tidy},
    },
};

/// What a form to ask with is called when it comes back.
pub const REQUEST: &str = "request";
/// What a form behind a button is called when it comes back.
pub const PRESS: &str = "press";
/// The inputs, by the names of their elements.
pub mod input {
    /// The resource.
    pub const RESOURCE: &str = "resource";
    /// For how long.
    pub const DURATION: &str = "duration";
    /// Why.
    pub const REASON: &str = "reason";
    /// A ticket.
    pub const TICKET: &str = "ticket";
    /// What a button's form asks for.
    pub const WORDS: &str = "words";
}

/// Durations that are offered, as far as the limit lets them.
const CHOICES: [&str; 10] = ["5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "7d"];
/// A ticket's name is no longer than this.
const TICKET_CHARS: usize = 100;

/// A form to ask with, as far as it is filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asking {
    /// Whether it breaks the glass.
    pub glass: bool,
    /// The resource that was chosen or typed.
    pub resource: String,
    /// The duration that was typed.
    pub duration: String,
    /// The reason so far.
    pub reason: String,
    /// Where it was asked for.
    pub channel: String,
}

impl Asking {
    /// A draft as a form.
    #[must_use]
    pub fn of(draft: Draft, channel: &str) -> Self {
        let Draft { glass, resource, duration, reason } = draft;
        Self { glass, resource, duration, reason, channel: channel.to_owned() }
    }
}

/// The word that the buttons of a modal are shown with while it has none: there is something to wait for.
#[must_use]
pub fn loading() -> Value {
    modal("Countersign", "loading", "", &[text_section("One moment…")], None)
}

fn modal(title: &str, callback: &str, private: &str, blocks: &[Value], submit: Option<&str>) -> Value {
    let mut view = json!({
        "type": "modal",
        "callback_id": callback,
        "title": plain(title, limit::MODAL_TITLE),
        "close": plain(if submit.is_some() { "Cancel" } else { "Close" }, limit::MODAL_TITLE),
        "blocks": blocks,
    });
    if !private.is_empty() {
        put(&mut view, "private_metadata", json!(private));
    }
    if let Some(submit) = submit {
        put(&mut view, "submit", plain(submit, limit::MODAL_TITLE));
    }
    view
}

fn text_section(words: &str) -> Value {
    json!({ "type": "section", "text": plain(words, limit::RICH_TEXT) })
}

/// The form to ask with. `offers` is what its reader may ask for; durations are chosen within what the chosen one allows.
#[must_use]
pub fn request(asking: &Asking, offers: &[Offer]) -> Value {
    let chosen =
        offers.iter().find(|offer| offer.resource == asking.resource && longest(offer, asking.glass).is_some());
    let mut blocks = Vec::new();
    if asking.glass {
        blocks.push(text_section(
            "🚨 Break-glass: access at once, before anybody has approved it. Everybody concerned is told now, and somebody \
             else reviews it afterwards.",
        ));
    }
    if !offers.iter().any(|offer| longest(offer, asking.glass).is_some()) {
        blocks.push(text_section("There is nothing that you may ask for now. `/access help` says more."));
        return modal(title(asking.glass), "answer", "", &blocks, None);
    }
    let mut select = json!({
        "type": "external_select",
        "action_id": input::RESOURCE,
        "min_query_length": 0,
        "placeholder": plain("Type to search what you may ask for", limit::PLACEHOLDER),
    });
    if let Some(offer) = chosen {
        put(&mut select, "initial_option", option(offer));
    }
    let mut resource = field("resource", "What do you need?", &select, None);
    put(&mut resource, "dispatch_action", json!(true));
    blocks.push(resource);
    if !asking.resource.is_empty() && chosen.is_none() {
        let typed = cut(&one_line(&asking.resource), limit::OPTION).into_owned();
        blocks.push(text_section(&format!("There is no “{typed}” that you may ask for now. Choose from the list.")));
    }
    blocks.push(duration(asking, chosen, offers));
    if let Some(offer) = chosen {
        let most = longest(offer, asking.glass).map_or_else(String::new, |span| format!("At most {span}."));
        let words = format!("{} {most}", sentence(&offer.description));
        blocks.push(json!({ "type": "context", "elements": [plain(&words, limit::RICH_TEXT)] }));
    }
    let mut reason = json!({
        "type": "plain_text_input",
        "action_id": input::REASON,
        "multiline": true,
        "max_length": limit::INPUT,
        "placeholder": plain("What will you do with it?", limit::PLACEHOLDER),
    });
    if !asking.reason.trim().is_empty() {
        put(&mut reason, "initial_value", json!(cut(&tidy(asking.reason.trim()), limit::INPUT)));
    }
    blocks.push(field("reason", "Why?", &reason, Some("Whoever approves it, and the log, get this reason.")));
    let ticket = json!({
        "type": "plain_text_input", "action_id": input::TICKET, "max_length": TICKET_CHARS,
        "placeholder": plain("INC-42", limit::PLACEHOLDER),
    });
    let mut ticket = field("ticket", "Ticket", &ticket, None);
    put(&mut ticket, "optional", json!(true));
    blocks.push(ticket);
    let private = json!({ "glass": asking.glass, "channel": asking.channel }).to_string();
    modal(title(asking.glass), REQUEST, &private, &blocks, Some(if asking.glass { "Break the glass" } else { "Ask" }))
}

/// For how long it may be asked for, if at all.
fn longest(offer: &Offer, glass: bool) -> Option<Duration> {
    if glass { offer.glass } else { offer.longest }
}

fn title(glass: bool) -> &'static str {
    if glass { "Break the glass" } else { "Ask for access" }
}

fn sentence(words: &str) -> String {
    let words = words.trim();
    if words.is_empty() || words.ends_with(['.', '!', '?']) { words.to_owned() } else { format!("{words}.") }
}

fn field(block: &str, label: &str, element: &Value, hint: Option<&str>) -> Value {
    let mut field =
        json!({ "type": "input", "block_id": block, "label": plain(label, limit::LABEL), "element": element });
    if let Some(hint) = hint {
        put(&mut field, "hint", plain(hint, limit::LABEL));
    }
    field
}

/// The durations within what the chosen resource allows, or anything that is offered does.
fn duration(asking: &Asking, chosen: Option<&Offer>, offers: &[Offer]) -> Value {
    let of = |offer: &Offer| longest(offer, asking.glass);
    let longest = chosen.and_then(of).or_else(|| offers.iter().filter_map(of).max());
    let within = |span: &Duration| longest.is_none_or(|longest| *span <= longest);
    let typed = asking.duration.parse::<Duration>().ok().filter(within);
    let mut choices: Vec<Duration> = CHOICES.iter().filter_map(|text| text.parse().ok()).filter(within).collect();
    choices.extend(typed);
    choices.extend(longest);
    choices.sort_unstable();
    choices.dedup();
    let option =
        |span: &Duration| json!({ "text": plain(&span.to_string(), limit::OPTION), "value": span.to_string() });
    let mut select = json!({
        "type": "static_select",
        "action_id": input::DURATION,
        "placeholder": plain("As short as will do", limit::PLACEHOLDER),
        "options": choices.iter().map(option).collect::<Vec<_>>(),
    });
    if let Some(span) = typed {
        put(&mut select, "initial_option", option(&span));
    }
    // A choice is kept by the name of its block: other limits are another block, so that no choice outlives its list.
    let block = format!("duration:{}", longest.map_or(0, Duration::secs));
    field(&block, "For how long?", &select, None)
}

fn option(offer: &Offer) -> Value {
    let mut option = json!({
        "text": plain(&offer.resource, limit::OPTION),
        "value": cut(&offer.resource, limit::OPTION_VALUE),
    });
    if !offer.description.trim().is_empty() {
        put(&mut option, "description", plain(&offer.description, limit::OPTION));
    }
    option
}

/// What a search finds, the best first: never cut without a word.
#[must_use]
pub fn suggestions(offers: &[Offer], glass: bool, query: &str) -> Value {
    let query = query.trim().to_lowercase();
    let mut found: Vec<(u8, &Offer)> = offers
        .iter()
        .filter(|offer| longest(offer, glass).is_some())
        .filter_map(|offer| {
            let name = offer.resource.to_lowercase();
            let rank = match () {
                () if name.starts_with(&query) => 0,
                () if name.contains(&query) => 1,
                () if offer.description.to_lowercase().contains(&query) => 2,
                () => return None,
            };
            Some((rank, offer))
        })
        .collect();
    found.sort_by(|(a, one), (b, other)| (a, &one.resource).cmp(&(b, &other.resource)));
    let options: Vec<Value> = found.iter().take(limit::OPTIONS).map(|(_, offer)| option(offer)).collect();
    if found.len() <= limit::OPTIONS {
        return json!({ "options": options });
    }
    let label = format!("The first {} of {}: type on to find the rest", limit::OPTIONS, found.len());
    json!({ "option_groups": [{ "label": plain(&label, limit::OPTION), "options": options }] })
}

/// The form behind a button. `card` is the request, if its reader may see it.
#[must_use]
pub fn press(
    request: RequestId,
    button: Button,
    card: Option<&Card>,
    channel: &str,
    mentions: &Mentions,
) -> Option<Value> {
    let form = button.form()?;
    let mut blocks = Vec::new();
    if let Some(card) = card {
        let mut facts: Vec<Line> = vec![vec![Span::Code(request.to_string()), Span::Text(format!(" {}", card.title))]];
        facts.extend(card.fields.iter().filter(|field| ["Requester", "Reason"].contains(&field.label)).map(|field| {
            let mut line = vec![Span::Strong(format!("{}: ", field.label))];
            line.extend(field.value.iter().cloned());
            line
        }));
        blocks.extend(rich(&facts, mentions, Clocks::Both, 2));
    }
    let words = json!({
        "type": "plain_text_input", "action_id": input::WORDS, "multiline": true, "min_length": 1,
        "max_length": limit::INPUT,
    });
    blocks.push(field("words", form.label, &words, Some(form.hint)));
    let private = json!({ "request": request.0, "button": button.word(), "channel": channel }).to_string();
    let (title, submit) = match button {
        Button::Deny => ("Deny", "Deny"),
        Button::Revoke => ("End it now", "End it now"),
        Button::ApproveLess => ("Approve for less", "Approve"),
        Button::Extend => ("Ask for more time", "Ask"),
        Button::ReviewOk => ("Review: in order", "Close the review"),
        Button::ReviewConcern => ("Review: a concern", "Close the review"),
        Button::Approve | Button::Cancel | Button::Show | Button::Done | Button::Cut => ("Countersign", "Send"),
    };
    Some(modal(&format!("{title} {request}"), PRESS, &private, &blocks, Some(submit)))
}

/// An answer, with what is secret in it. Slack keeps no modal.
#[must_use]
pub fn answer(reply: &Reply, mentions: &Mentions) -> Value {
    let mut blocks = super::message::answer(reply, mentions).blocks;
    for (label, secret) in &reply.secret {
        blocks.extend(rich(&[vec![Span::Strong(label.clone())]], mentions, Clocks::Own, 1));
        let text: Vec<Value> = pieces(secret.expose_secret(), limit::RICH_TEXT)
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .map(|piece| json!({ "type": "text", "text": piece }))
            .collect();
        blocks
            .push(json!({ "type": "rich_text", "elements": [{ "type": "rich_text_preformatted", "elements": text }] }));
    }
    if !reply.secret.is_empty() {
        blocks.push(small("Seen by you alone. Copy it now: when this closes, it is gone."));
    }
    let title = match reply.tone {
        Tone::Done if !reply.secret.is_empty() => "Your credential",
        Tone::Done => "Done",
        Tone::Info => "Countersign",
        Tone::Refused => "Not done",
        Tone::Fault => "Not now",
    };
    modal(title, "answer", "", &blocks, None)
}

/// A few words in a modal.
#[must_use]
pub fn words(words: &str) -> Value {
    modal("Countersign", "answer", "", &[text_section(words)], None)
}
