//! The forms behind buttons, and what comes back from them.

use std::collections::BTreeMap;

use super::{
    markdown,
    render::{APPROVE_WITH_WORD, button_id},
    wire::{Input, Modal, Row},
};
use crate::{
    access::RequestId,
    chat::{self, card::Button},
};

/// A form's title.
const TITLE_MAX: usize = 45;
/// An input's label.
const LABEL_MAX: usize = 45;
/// The word of help in an empty input.
const HINT_MAX: usize = 100;
/// The longest text of an input.
const TEXT_MAX: u16 = 4_000;
/// The longest duration somebody types.
const SPAN_MAX: u16 = 20;
/// The longest name of a resource somebody types.
const RESOURCE_MAX: u16 = 200;

/// The fields' ids.
const TEXT: &str = "text";
const SPAN: &str = "span";
const RESOURCE: &str = "resource";
/// The form of a request that was not finished.
pub const ASK: &str = "ask";
/// The same for one that breaks the glass.
pub const ASK_GLASS: &str = "ask-glass";

/// What a pressed button or a sent form is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressed {
    /// One of the card's own buttons.
    Button(Button, RequestId),
    /// "Approve with a comment…".
    ApproveWithWord(RequestId),
}

/// Reads the id of a button or a form.
#[must_use]
pub fn pressed(custom_id: &str) -> Option<Pressed> {
    let (word, id) = custom_id.split_once(':')?;
    let request = RequestId(id.parse().ok().filter(|_| id.bytes().all(|b| b.is_ascii_digit()))?);
    if word == APPROVE_WITH_WORD {
        return Some(Pressed::ApproveWithWord(request));
    }
    Button::from_word(word).map(|button| Pressed::Button(button, request))
}

/// The form that opens, if one does.
#[must_use]
pub fn form(pressed: Pressed) -> Option<Modal> {
    let (title, id, inputs) = match pressed {
        Pressed::ApproveWithWord(request) => {
            let text = Input::text(TEXT, "Comment", TEXT_MAX).hint("The requester and the log get it.".into());
            (format!("Approve {request}"), button_id(APPROVE_WITH_WORD, request), vec![text])
        }
        Pressed::Button(button, request) => {
            let chat::card::Form { label, hint } = button.form()?;
            let hint = markdown::bare(hint, HINT_MAX);
            let inputs = match button {
                Button::ApproveLess => vec![
                    Input::line(SPAN, "For how long?", SPAN_MAX).hint("15m".into()),
                    Input::text(TEXT, "Comment", TEXT_MAX).hint("only the one row".into()).optional(),
                ],
                Button::Extend => vec![
                    Input::line(SPAN, "How much more?", SPAN_MAX).hint("30m".into()),
                    Input::text(TEXT, "Why?", TEXT_MAX).hint("the fix needs a deploy".into()),
                ],
                Button::Deny | Button::Revoke | Button::ReviewOk | Button::ReviewConcern => {
                    vec![Input::text(TEXT, &markdown::bare(label, LABEL_MAX), TEXT_MAX).hint(hint)]
                }
                Button::Approve | Button::Cancel | Button::Show | Button::Done | Button::Cut => return None,
            };
            (format!("{} {request}", heading(button)), button_id(button.word(), request), inputs)
        }
    };
    Some(modal(id, &title, inputs))
}

/// The form that finishes a request.
#[must_use]
pub fn ask(glass: bool, resource: &str, duration: &str, reason: &str) -> Modal {
    let inputs = vec![
        Input::line(RESOURCE, "What do you need?", RESOURCE_MAX)
            .filled(markdown::bare(resource, usize::from(RESOURCE_MAX))),
        Input::line(SPAN, "For how long?", SPAN_MAX)
            .hint("30m".into())
            .filled(markdown::bare(duration, usize::from(SPAN_MAX))),
        Input::text(TEXT, "What for?", TEXT_MAX)
            .hint("fixing INC-42".into())
            .filled(reason.chars().take(usize::from(TEXT_MAX) / 2).collect()),
    ];
    let (id, title) = if glass { (ASK_GLASS, "Break the glass") } else { (ASK, "Ask for access") };
    modal(id.to_owned(), title, inputs)
}

fn modal(custom_id: String, title: &str, inputs: Vec<Input>) -> Modal {
    let components = inputs.into_iter().map(|input| Row::of(vec![super::wire::Component::Input(input)])).collect();
    Modal { custom_id, title: markdown::bare(title, TITLE_MAX), components }
}

fn heading(button: Button) -> &'static str {
    match button {
        Button::Approve => "Approve",
        Button::ApproveLess => "Approve for less:",
        Button::Deny => "Deny",
        Button::Cancel => "Withdraw",
        Button::Show => "Show",
        Button::Done => "Give back",
        Button::Revoke => "Revoke",
        Button::Extend => "Extend",
        Button::Cut => "Cut",
        Button::ReviewOk => "Review, in order:",
        Button::ReviewConcern => "Review, a concern:",
    }
}

/// The text behind a button as our own grammar takes it: a duration first where there is one.
#[must_use]
pub fn text_of(fields: &BTreeMap<String, String>) -> String {
    let of = |name: &str| fields.get(name).map(|text| text.trim()).unwrap_or_default();
    [of(SPAN), of(TEXT)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The line that a finished request is.
#[must_use]
pub fn asked(glass: bool, fields: &BTreeMap<String, String>) -> String {
    let of = |name: &str| fields.get(name).map(|text| text.trim()).unwrap_or_default();
    let word = if glass { "break-glass" } else { "request" };
    [word, of(RESOURCE), of(SPAN), of(TEXT)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
