//! What the pages say: the chat's state made into what the templates need.

use askama::Template;
use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::ExposeSecret as _;

use super::{
    Cast, LEDGER_ROWS_MOST, Persona, Playground,
    assets::{ASSETS, Assets},
    store::{self, PostedBulletin, PostedNotice},
    view::View,
};
use crate::{
    access::RequestId,
    chat::{
        LedgerLine, LedgerView, Reply, Tone,
        card::{Button, Card, Form, Line, Span, Status},
    },
};

/// Colours that people have.
const HUES: usize = 8;
/// Hex digits of a hash that are shown; the rest is one click away.
const SHORT_HASH_DIGITS: usize = 8;

/// A person as the pages show one.
#[derive(Debug)]
pub struct Face {
    pub name: String,
    pub title: String,
    pub initial: String,
    pub hue: usize,
}

/// A channel in the list.
#[derive(Debug)]
pub struct Tab {
    pub name: String,
    pub current: bool,
    pub waiting: usize,
}

/// A button, with the form behind it if it has one.
#[derive(Debug)]
pub struct Control {
    pub word: &'static str,
    pub label: String,
    pub weight: &'static str,
    pub form: Option<Form>,
    pub nonce: String,
    /// What was written in the form and is to be corrected: the form is open.
    pub kept: Option<String>,
}

/// A card, ready to be shown.
#[derive(Debug)]
pub struct CardView {
    pub card: std::sync::Arc<Card>,
    pub at: DateTime<Utc>,
    pub slug: &'static str,
    pub word: &'static str,
    pub finished: bool,
    /// Whether what was planned is done or will not be done any more.
    pub opened: bool,
    pub controls: Vec<Control>,
    /// Whether its first entry is among those on the page.
    pub has_entry: bool,
}

/// A message of a channel, ready to be shown.
#[derive(Debug)]
pub enum Item {
    /// A request's card.
    Card(Box<CardView>),
    /// Something that concerns the whole channel.
    Bulletin(PostedBulletin),
}

impl Item {
    fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Card(card) => card.at,
            Self::Bulletin(posted) => posted.at,
        }
    }
}

/// A direct message, ready to be shown.
#[derive(Debug)]
pub struct NoticeView {
    pub posted: PostedNotice,
    pub title: Option<String>,
    /// It in one line, for screen readers.
    pub summary: String,
    pub controls: Vec<Control>,
    pub unread: bool,
}

/// An entry of the ledger, ready to be shown.
#[derive(Debug)]
pub struct EntryView {
    pub entry: LedgerLine,
    pub clock: String,
    pub short: String,
}

/// The answer to the one who asked.
#[derive(Debug)]
pub struct Answer {
    pub reply: Reply,
    pub slug: &'static str,
    pub word: &'static str,
}

/// What a verification found.
#[derive(Debug)]
pub struct Verified {
    pub ok: bool,
    pub lines: Vec<String>,
}

/// What a form leaves to be corrected.
#[derive(Debug, Default)]
pub struct Kept {
    /// The `/access` line.
    pub line: String,
    /// The text of a card's form, with the form it belongs to.
    pub form: Option<(RequestId, Button, String)>,
}

/// What a page shows beyond the state of the chat.
#[derive(Debug, Default)]
pub struct Extras {
    pub answer: Option<Answer>,
    pub verified: Option<Verified>,
    pub kept: Kept,
}

/// The chat as one person sees it.
#[derive(Template)]
#[template(path = "room.html")]
pub struct Room {
    assets: &'static Assets,
    version: String,
    nonce: String,
    me: Face,
    others: Vec<Face>,
    tabs: Vec<Tab>,
    unread: usize,
    view: View,
    channel: String,
    items: Vec<Item>,
    notices: Vec<NoticeView>,
    entries: Vec<EntryView>,
    head: String,
    size: Option<u64>,
    /// The beginning of the root hash.
    root: Option<String>,
    examples: Vec<String>,
    extras: Extras,
}

/// The way in: who to be.
#[derive(Template)]
#[template(path = "landing.html")]
pub struct Landing {
    assets: &'static Assets,
    people: Vec<Face>,
    /// What the card in the picture is about.
    sample: String,
}

/// Something is not there, or was not understood.
#[derive(Template)]
#[template(path = "problem.html")]
pub struct Problem {
    assets: &'static Assets,
    title: &'static str,
    text: String,
}

impl Room {
    /// The chat as `person` sees it now, in `view`. What it shows of direct messages counts as read.
    pub fn new(playground: &Playground, person: &Persona, view: View, ledger: LedgerView, extras: Extras) -> Self {
        // The version first: what changes while the page is made is then told again.
        let version = playground.version();
        let cast = playground.cast();
        let mut messages = playground.messages();
        let unread = messages.unread_by(&person.name);
        let (mut items, mut notices) = (Vec::new(), Vec::new());
        let channel = view.channel(&cast);
        match &view {
            View::Direct => {
                let posted = messages.notices_for(&person.name);
                let seen = posted.len().saturating_sub(unread);
                for (place, posted) in posted.into_iter().enumerate() {
                    let title = messages.title_of(posted.notice.request);
                    let controls = controls(posted.notice.request, &posted.notice.buttons, &extras.kept);
                    let summary = format!("{}: {}", posted.notice.request, words(&posted.notice.lines));
                    notices.push(NoticeView { title, summary, controls, unread: place >= seen, posted });
                }
                messages.mark_read(&person.name);
            }
            View::Channel(_) | View::Ledger => {
                for posted in messages.cards_in(&channel) {
                    items.push(Item::Card(Box::new(CardView {
                        at: posted.at,
                        slug: status_slug(posted.card.status),
                        word: status_word(posted.card.status),
                        finished: store::is_finished(posted.card.status),
                        opened: !store::is_ahead(posted.card.status),
                        controls: controls(posted.card.request, &posted.card.buttons, &extras.kept),
                        has_entry: ledger.entries.iter().any(|entry| entry.index == posted.card.request.0),
                        card: posted.card,
                    })));
                }
                items.extend(messages.bulletins_in(&channel).into_iter().map(Item::Bulletin));
                items.sort_by_key(Item::at);
            }
        }
        let waiting = |name: &String| messages.waiting_in(name);
        let tabs = cast.channels.iter().map(|name| Tab {
            name: name.clone(),
            current: matches!(&view, View::Channel(shown) if shown == name),
            waiting: waiting(name),
        });
        let tabs = tabs.collect();
        let unread = messages.unread_by(&person.name);
        drop(messages);
        Self {
            assets: &ASSETS,
            version,
            nonce: nonce(),
            me: face(&cast, person),
            others: cast.people.iter().filter(|other| other.name != person.name).map(|p| face(&cast, p)).collect(),
            tabs,
            unread,
            view,
            channel,
            items,
            notices,
            root: ledger.head.lines().nth(2).and_then(|root| root.get(..SHORT_HASH_DIGITS)).map(str::to_owned),
            size: ledger.head.lines().nth(1).and_then(|size| size.parse().ok()),
            entries: ledger.entries.into_iter().rev().take(LEDGER_ROWS_MOST).map(entry).collect(),
            head: ledger.head,
            examples: cast.examples.clone(),
            extras,
        }
    }

    /// The page's title: unread messages and the place.
    fn title(&self) -> String {
        let place = match &self.view {
            View::Channel(name) => format!("#{name}"),
            View::Direct => "Direct messages".to_owned(),
            View::Ledger => "Ledger".to_owned(),
        };
        let count = if self.unread == 0 { String::new() } else { format!("({}) ", self.unread) };
        format!("{count}{place} as {} · Countersign", self.me.name)
    }
}

impl Landing {
    /// The way in to this chat.
    pub fn new(playground: &Playground) -> Self {
        let cast = playground.cast();
        let mut words = cast.examples.first().map(String::as_str).unwrap_or_default().split_whitespace();
        let sample = match (words.next(), words.next()) {
            (Some(resource), Some(duration)) => format!("{resource} for {duration}"),
            (Some(_) | None, _) => "prod-db for 30m".to_owned(),
        };
        let people = cast.people.iter().map(|person| face(&cast, person)).collect();
        Self { assets: &ASSETS, people, sample }
    }
}

impl Problem {
    /// A page that says what is wrong and leads back.
    pub fn new(title: &'static str, text: String) -> Self {
        Self { assets: &ASSETS, title, text }
    }
}

impl Answer {
    /// The reply, ready to be shown.
    pub fn new(reply: Reply) -> Self {
        let (slug, word) = match reply.tone {
            Tone::Done => ("done", "Done"),
            Tone::Info => ("info", "Answer"),
            Tone::Refused => ("refused", "Refused"),
            Tone::Fault => ("fault", "Not possible now"),
        };
        Self { reply, slug, word }
    }
}

/// 128 random bits: names one submission, so that the same one twice is recognised.
pub fn nonce() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

fn face(cast: &Cast, person: &Persona) -> Face {
    Face {
        name: person.name.clone(),
        title: person.title.clone(),
        initial: person.name.chars().next().map(|c| c.to_uppercase().to_string()).unwrap_or_default(),
        hue: cast.people.iter().position(|other| other == person).unwrap_or_default() % HUES,
    }
}

fn controls(request: RequestId, buttons: &[(Button, String)], kept: &Kept) -> Vec<Control> {
    let shown = buttons.iter().map(|(button, label)| Control {
        word: button.word(),
        label: label.clone(),
        weight: match button {
            Button::Approve | Button::Show | Button::ReviewOk => "primary",
            Button::Deny | Button::Revoke | Button::Cut | Button::ReviewConcern => "danger",
            Button::Cancel | Button::Done | Button::ApproveLess | Button::Extend => "plain",
        },
        form: button.form(),
        nonce: nonce(),
        kept: kept
            .form
            .as_ref()
            .filter(|(of, which, _)| (of, which) == (&request, button))
            .map(|(.., text)| text.clone()),
    });
    shown.collect()
}

/// Lines without their looks.
fn words(lines: &[Line]) -> String {
    let word = |span: &Span| match span {
        Span::Text(text) | Span::Code(text) | Span::Strong(text) => text.clone(),
        Span::Time(at) => utc(*at),
        Span::Person(name) => format!("@{name}"),
    };
    let lines: Vec<String> = lines.iter().map(|line| line.iter().map(word).collect()).collect();
    lines.join(" ")
}

/// A moment for those whose browser doesn't run the script.
fn utc(at: DateTime<Utc>) -> String {
    at.format("%-d %b %H:%M UTC").to_string()
}

fn entry(entry: LedgerLine) -> EntryView {
    EntryView {
        clock: entry.time.get(11..19).unwrap_or(&entry.time).to_owned(),
        short: entry.leaf.get(..SHORT_HASH_DIGITS).unwrap_or(&entry.leaf).to_owned(),
        entry,
    }
}

fn status_slug(status: Status) -> &'static str {
    match status {
        Status::Requested => "requested",
        Status::Issuing => "issuing",
        Status::Live => "live",
        Status::Ending => "ending",
        Status::Ended => "ended",
        Status::Denied => "denied",
        Status::Cancelled => "cancelled",
        Status::Lapsed => "lapsed",
        Status::Failed => "failed",
        Status::Scheduled => "scheduled",
        Status::Owing => "owing",
        Status::Extended => "extended",
    }
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::Requested => "Waiting",
        Status::Issuing => "Opening",
        Status::Live => "Live",
        Status::Ending => "Closing",
        Status::Ended => "Ended",
        Status::Denied => "Denied",
        Status::Cancelled => "Withdrawn",
        Status::Lapsed => "Lapsed",
        Status::Failed => "Failed",
        Status::Scheduled => "Scheduled",
        Status::Owing => "Review owed",
        Status::Extended => "Extended",
    }
}

/// What the templates can say of a value.
#[expect(
    clippy::inline_always,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "the shape of askama's filters"
)]
mod filters {
    use std::fmt::Display;

    use super::{DateTime, SecondsFormat, Utc};
    use crate::chat::text;

    /// User text of one line.
    #[askama::filter_fn]
    pub fn tidy_line<T: Display>(text: T, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(text::one_line(&text.to_string()).into_owned())
    }

    /// User text that may have lines.
    #[askama::filter_fn]
    pub fn tidy<T: Display>(text: T, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(text::tidy(&text.to_string()).into_owned())
    }

    /// For machines.
    #[askama::filter_fn]
    pub fn iso(at: &DateTime<Utc>, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(at.to_rfc3339_opts(SecondsFormat::Secs, true))
    }

    /// For people whose browser doesn't run the script.
    #[askama::filter_fn]
    pub fn utc(at: &DateTime<Utc>, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::utc(*at))
    }
}
