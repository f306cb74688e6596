//! What something done in Discord means for us: a refusal, a form, a choice, or something for the service.

use super::{
    commands, forms,
    forms::Pressed,
    heard::{Heard, Options, What},
    render,
    wire::Callback,
};
use crate::chat::{
    Input, Tone,
    card::Button,
    form::{Form, field},
};

/// What is to be done about something that was done.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Say this, and nothing else.
    Answer(Box<Callback>),
    /// Offer what may be chosen.
    Suggest,
    /// Ask the service; and what was written, to be given back if it is refused.
    Submit(Input, Option<String>),
}

impl Deed {
    fn refuse(words: &str) -> Self {
        Self::Answer(Box::new(Callback::Say(Box::new(render::word(Tone::Refused, words)))))
    }

    fn form(modal: super::wire::Modal) -> Self {
        Self::Answer(Box::new(Callback::Form(modal)))
    }

    /// What was written is given back if it is refused.
    fn filled(form: Form) -> Self {
        let input = Input::Form(form);
        let wrote = input.words();
        Self::Submit(input, Some(wrote))
    }
}

/// Judges by what was done and where, and asks nobody. Only a member of our guild, in our guild, for our application, gets
/// as far as the service.
#[must_use]
pub fn of(heard: &Heard, guild: &str, application: &str) -> Deed {
    if heard.what == What::Ping {
        return Deed::Answer(Box::new(Callback::Pong));
    }
    if let Some(words) = outside(heard, guild, application) {
        return match heard.what {
            What::Typing { .. } => Deed::Answer(Box::new(Callback::Choices(Vec::new()))),
            What::Ping | What::Command { .. } | What::Press(_) | What::Form(..) | What::Other => Deed::refuse(words),
        };
    }
    match &heard.what {
        What::Ping => Deed::Answer(Box::new(Callback::Pong)),
        What::Typing { .. } => Deed::Suggest,
        What::Command { name, word, options } if name == commands::ACCESS => {
            command(word.as_deref().unwrap_or("help"), options)
        }
        What::Command { .. } => Deed::refuse("Countersign has no such command. Try `/access help`."),
        What::Press(id) => press(id),
        What::Form(id, fields) => form(id, fields),
        What::Other => Deed::refuse(
            "Countersign can't read what Discord sent for this. Nothing was done; type the command instead.",
        ),
    }
}

/// Why it is none of ours.
fn outside(heard: &Heard, guild: &str, application: &str) -> Option<&'static str> {
    if heard.application.as_ref().is_some_and(|named| named != application) {
        return Some("This is for another application. Nothing was done.");
    }
    match &heard.guild {
        None => Some("A direct message carries no authority, so nothing was done. Do it in a channel of the server."),
        Some(named) if named != guild => Some("Countersign serves another server. Nothing was done."),
        Some(_) if !heard.is_member => {
            Some("Discord does not say that you are a member of this server. Nothing was done.")
        }
        Some(_) => None,
    }
}

fn command(word: &str, options: &Options) -> Deed {
    let of = |name: &str| options.get(name).map(|text| text.trim()).unwrap_or_default();
    let glass = word == "break-glass";
    let needed = [commands::RESOURCE, commands::DURATION, commands::REASON];
    if (glass || word == "request") && needed.iter().any(|name| of(name).is_empty()) {
        let filled = [commands::RESOURCE, commands::DURATION, commands::REASON, field::FROM].map(of);
        return Deed::form(forms::ask(glass, filled));
    }
    Deed::filled(Form { word: word.to_owned(), behind: None, fields: options.clone() })
}

fn press(id: &str) -> Deed {
    let Some(pressed) = forms::pressed(id) else {
        return Deed::refuse("Countersign does not know this button. Nothing was done.");
    };
    if let Some(form) = forms::form(pressed) {
        return Deed::form(form);
    }
    let (button, request) = meant(pressed);
    Deed::Submit(Input::Press { request, button, text: None }, None)
}

fn form(id: &str, fields: &Options) -> Deed {
    if id == forms::ASK || id == forms::ASK_GLASS {
        return Deed::filled(forms::asked(id == forms::ASK_GLASS, fields));
    }
    let Some(pressed) = forms::pressed(id) else {
        return Deed::refuse("Countersign does not know this form. Nothing was done.");
    };
    let (button, request) = meant(pressed);
    let text = Some(forms::text_of(fields)).filter(|text| !text.is_empty());
    if let Some(form) = forms::behind(button, request, fields) {
        return Deed::Submit(Input::Form(form), text);
    }
    Deed::Submit(Input::Press { request, button, text: text.clone() }, text)
}

fn meant(pressed: Pressed) -> (Button, crate::access::RequestId) {
    match pressed {
        Pressed::Button(button, request) => (button, request),
        Pressed::ApproveWithWord(request) => (Button::Approve, request),
    }
}
