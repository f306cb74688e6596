//! What providers said, and what follows from it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::access::{Cause, Event, FailureClass, Personal, Phase, ProviderOutcome, Request};

/// Orders for one grant before it is given up.
pub const ORDERS_MAX: u32 = 5;
/// The first pause before a provider is asked again; it doubles each time.
const RETRY_FIRST_SECS: i64 = 1;
/// The longest pause before a provider is asked again.
const RETRY_LONGEST_SECS: i64 = 300;

pub(super) fn issued(request: &Request, attempt: u32, outcome: &ProviderOutcome, now: DateTime<Utc>) -> Vec<Event> {
    let Phase::Ordered { attempt: current, not_after } = request.phase else { return Vec::new() };
    if current != attempt {
        return Vec::new();
    }
    let id = request.id;
    if let Some(base) = request.manner.extends {
        if request.cut_short.is_some() {
            return Vec::new();
        }
        return vec![match outcome {
            // Only an ending is spared.
            ProviderOutcome::Spared { .. } => return Vec::new(),
            ProviderOutcome::Done => Event::GrantExtended { request: id, base, attempt, not_after },
            // Whatever was done, the access still ends at its old end, so trying again does no harm.
            ProviderOutcome::Failed { class: FailureClass::Retry | FailureClass::Unknown, words }
                if attempt < ORDERS_MAX =>
            {
                let (retry_at, words) = (now + pause(attempt), Personal::Known(words.clone()));
                Event::GrantDeferred { request: id, attempt, retry_at, words }
            }
            ProviderOutcome::Failed { words, .. } => {
                Event::GrantFailed { request: id, attempt, words: Personal::Known(words.clone()) }
            }
        }];
    }
    let event = match outcome {
        ProviderOutcome::Spared { .. } => return Vec::new(),
        ProviderOutcome::Done => Event::GrantIssued { request: id, attempt, not_after },
        ProviderOutcome::Failed { class, words } => {
            let words = Personal::Known(words.clone());
            let unsure = *class == FailureClass::Unknown || request.unsure;
            match class {
                FailureClass::Retry if attempt < ORDERS_MAX => {
                    let retry_at = now + pause(attempt);
                    Event::GrantDeferred { request: id, attempt, retry_at, words }
                }
                FailureClass::Retry | FailureClass::Permanent | FailureClass::Unknown if unsure => {
                    Event::GrantEnding { request: id, cause: Cause::Unknown, by: None, message: None, reason: words }
                }
                FailureClass::Retry | FailureClass::Permanent | FailureClass::Unknown => {
                    Event::GrantFailed { request: id, attempt, words }
                }
            }
        }
    };
    vec![event]
}

pub(super) fn closed(request: &Request, outcome: &ProviderOutcome, now: DateTime<Utc>) -> Vec<Event> {
    let Phase::Ending { cause, failures, .. } = request.phase else { return Vec::new() };
    vec![match outcome {
        ProviderOutcome::Done => Event::GrantEnded { request: request.id, cause, kept_for: None },
        ProviderOutcome::Spared { kept_for } => {
            Event::GrantEnded { request: request.id, cause, kept_for: Some(*kept_for) }
        }
        ProviderOutcome::Failed { words, .. } => {
            let failures = failures.saturating_add(1);
            let retry_at = now + pause(failures);
            Event::GrantStuck { request: request.id, failures, retry_at, words: Personal::Known(words.clone()) }
        }
    }]
}

pub(super) fn cut(
    request: &Request,
    n: u32,
    outcome: &Result<(String, DateTime<Utc>), (FailureClass, String)>,
) -> Event {
    let id = request.id;
    match outcome {
        Ok((public_id, not_after)) if n == request.credentials && matches!(request.phase, Phase::Live { .. }) => {
            let public_id = Personal::Known(public_id.clone());
            Event::CredentialTaken { request: id, n, public_id, not_after: *not_after }
        }
        Ok(_) => {
            let words = Personal::Known("the grant ended while the key was being cut".into());
            Event::CredentialFailed { request: id, n, class: FailureClass::Permanent, words }
        }
        Err((class, words)) => {
            Event::CredentialFailed { request: id, n, class: *class, words: Personal::Known(words.clone()) }
        }
    }
}

/// The pause before try `failures + 1`, doubling up to the longest.
fn pause(failures: u32) -> TimeDelta {
    let doublings = failures.saturating_sub(1).min(16);
    TimeDelta::seconds((RETRY_FIRST_SECS << doublings).min(RETRY_LONGEST_SECS))
}
