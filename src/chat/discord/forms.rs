//! The forms behind buttons, and what comes back from them.

use std::collections::BTreeMap;

use super::{
    markdown,
    render::{APPROVE_WITH_WORD, button_id},
    wire::{Input, Modal, Row},
};
use crate::{
    access::RequestId,
    chat::{
        self,
        card::Button,
        form::{Form, field},
    },
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
/// The longest moment somebody types.
const FROM_MAX: u16 = 30;

/// The fields' ids.
const TEXT: &str = "text";
const SPAN: &str = "span";
const RESOURCE: &str = "resource";
const FROM: &str = "from";
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

/// The form that finishes a request, with the resource, the duration, the reason and the start as far as they are there.
#[must_use]
pub fn ask(glass: bool, [resource, duration, reason, from]: [&str; 4]) -> Modal {
    let mut inputs = vec![
        Input::line(RESOURCE, "What do you need?", RESOURCE_MAX)
            .filled(markdown::bare(resource, usize::from(RESOURCE_MAX))),
        Input::line(SPAN, "For how long?", SPAN_MAX)
            .hint("30m".into())
            .filled(markdown::bare(duration, usize::from(SPAN_MAX))),
        Input::text(TEXT, "What for?", TEXT_MAX)
            .hint("fixing INC-42".into())
            .filled(reason.chars().take(usize::from(TEXT_MAX) / 2).collect()),
    ];
    // A break-glass is for now.
    if !glass {
        inputs.push(
            Input::line(FROM, "From when, if not now?", FROM_MAX)
                .hint("02:00, or 2026-11-22T02:00".into())
                .filled(markdown::bare(from, usize::from(FROM_MAX)))
                .optional(),
        );
    }
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

/// What was written in the form behind a button, to be given back: a duration first where there is one.
#[must_use]
pub fn text_of(fields: &BTreeMap<String, String>) -> String {
    let of = |name: &str| fields.get(name).map(|text| text.trim()).unwrap_or_default();
    [of(SPAN), of(TEXT)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The form behind a button that has a duration beside its text; `None` for every other.
#[must_use]
pub fn behind(button: Button, request: RequestId, fields: &BTreeMap<String, String>) -> Option<Form> {
    let of = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let (span, text) = match button {
        Button::ApproveLess => (field::FOR, field::COMMENT),
        Button::Extend => (field::DURATION, field::REASON),
        Button::Approve
        | Button::Deny
        | Button::Cancel
        | Button::Show
        | Button::Done
        | Button::Revoke
        | Button::Cut
        | Button::ReviewOk
        | Button::ReviewConcern => return None,
    };
    let filled = [(field::ID, request.0.to_string()), (span, of(SPAN)), (text, of(TEXT))];
    Some(Form { behind: Some(button), ..Form::new(button.word(), filled) })
}

/// What a finished request asks for.
#[must_use]
pub fn asked(glass: bool, fields: &BTreeMap<String, String>) -> Form {
    let of = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let word = if glass { "break-glass" } else { "request" };
    let filled = [(field::RESOURCE, RESOURCE), (field::DURATION, SPAN), (field::REASON, TEXT), (field::FROM, FROM)];
    Form::new(word, filled.map(|(name, id)| (name, of(id))))
}
