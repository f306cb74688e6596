//! The words of refusals that say what to do instead.

use super::Desk;
use crate::access::{Cause, Phase, Question, Refusal, Request, Rules};

/// A card has room for so much reason.
pub const REASON_CHARS_MAX: usize = 1_000;

pub(super) fn reason_of(text: &str, example: &'static str) -> Result<String, Refusal> {
    let text = short(text)?;
    if text.chars().any(char::is_alphanumeric) { Ok(text) } else { Err(Refusal::NoReason(example)) }
}

pub(super) fn short(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    match text.chars().count() {
        chars if chars > REASON_CHARS_MAX => Err(Refusal::ReasonTooLong { chars, most: REASON_CHARS_MAX }),
        _ => Ok(text.to_owned()),
    }
}

pub(super) fn no_resource(rules: &dyn Rules, name: &str) -> Refusal {
    let names = rules.resource_names();
    let near = names
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .filter(|(distance, known)| *distance <= known.chars().count() / 3 + 1)
        .min();
    let hint = match near {
        Some((_, known)) => format!(". Did you mean `{known}`?"),
        None if names.is_empty() => ". None is configured".to_owned(),
        None => format!(". Try {}", join(names.iter().take(10).map(|name| format!("`{name}`")))),
    };
    Refusal::NoResource { name: name.chars().filter(|c| *c != '`').take(80).collect(), hint }
}

/// Who could do it, as a hint; never the requester.
pub(super) fn whom(rules: &dyn Rules, question: &Question<'_>) -> String {
    let people: Vec<String> = rules.those_who_may(question).into_iter().take(10).collect();
    if people.is_empty() {
        "Nobody else may approve it either: ask whoever looks after the config".into()
    } else {
        format!("Ask {}", join(people))
    }
}

fn join(items: impl IntoIterator<Item = String>) -> String {
    let mut items: Vec<String> = items.into_iter().collect();
    let last = items.pop().unwrap_or_default();
    if items.is_empty() { last } else { format!("{} or {last}", items.join(", ")) }
}

impl Desk<'_> {
    /// Why something can't be done to a request in its phase, with what this person can do instead.
    pub(super) fn wrong_phase(self, request: &Request) -> Refusal {
        let (words, id) = (phase_words(request), request.id.0);
        let own = self.owns(request);
        let hint = match request.phase {
            Phase::Pending | Phase::Approved { .. } if own && !request.manner.break_glass => {
                format!("{words}, so nothing is open yet. `/access cancel {id}` withdraws it")
            }
            Phase::Pending => format!("{words}, so nothing is open yet. `/access deny {id} <reason>` denies it"),
            Phase::Live { .. } if own => format!("{words}. `/access done {id}` gives it back"),
            Phase::Live { .. } => {
                format!("{words}, so it was decided already. `/access revoke {id} <reason>` ends it")
            }
            Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } | Phase::Ending { .. } => {
                format!("{words}. `/access show {id}` tells more")
            }
            Phase::Ended { .. } if request.owes_review() && !own => {
                format!("{words}. `/access review {id} ok <notes>` closes the review it owes")
            }
            Phase::Ended { .. } | Phase::Denied | Phase::Cancelled | Phase::Lapsed | Phase::Failed if own => {
                format!("{words}. Ask again if it is needed")
            }
            Phase::Ended { .. }
            | Phase::Denied
            | Phase::Cancelled
            | Phase::Lapsed
            | Phase::Failed
            | Phase::Extended => {
                format!("{words}, so there is nothing left to do. `/access show {id}` tells more")
            }
        };
        Refusal::WrongPhase { request: request.id, state: hint }
    }
}

/// Where a request is in its life, as the end of a sentence that starts with its id.
#[must_use]
pub fn phase_words(request: &Request) -> &'static str {
    match &request.phase {
        Phase::Pending => "waits for approval",
        Phase::Approved { .. } if request.manner.starts_at.is_some() => "is approved and waits for its start",
        Phase::Ordered { .. } | Phase::Deferred { .. } if request.manner.extends.is_some() => {
            "is approved and the provider is making it longer"
        }
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } if request.manner.break_glass => {
            "broke the glass and the provider is opening it"
        }
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } => {
            "is approved and the provider is opening it"
        }
        Phase::Live { .. } => "is live",
        Phase::Ending { .. } => "is being ended",
        Phase::Ended { cause: Cause::Expired } => "has expired",
        Phase::Ended { cause: Cause::Returned } => "was given back",
        Phase::Ended { cause: Cause::Revoked } => "was revoked",
        Phase::Ended { cause: Cause::Unknown } | Phase::Failed => "could not be issued and is not open",
        Phase::Denied => "was denied",
        Phase::Cancelled => "was withdrawn",
        Phase::Lapsed => "lapsed without a decision",
        Phase::Extended => "made the access it is about longer",
    }
}
