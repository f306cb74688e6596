//! From the state to what people see: the card of a request, and the notices about it. Every outgoing text of these
//! two stands here.

use chrono::{DateTime, Utc};

use super::{
    Notice,
    card::{Button, Card, Field, Line, Span, Status},
    plain,
};
use crate::access::{self, Cause, Event, Phase, Request, State, SubjectId};

/// The leaf hash is shown by its first digits.
pub const PROOF_CHARS: usize = 8;

/// The card of a request: a picture of its present state.
#[must_use]
pub fn card(state: &State, request: &Request) -> Card {
    let requester = state.name(request.requester).to_owned();
    let leaf = request.leaf.clone().unwrap_or_default();
    let title = format!("{} for {}", request.resource, request.span);
    let status = status(&request.phase);
    let headline = headline(state, request);
    let summary = format!("{} {title}, asked by {requester}: {}", request.id, flat(&headline));
    Card {
        request: request.id,
        status,
        title,
        headline,
        fields: vec![
            Field { label: "Requester", value: vec![Span::Person(requester)] },
            Field { label: "Resource", value: vec![Span::Code(request.resource.clone())] },
            Field { label: "Duration", value: plain(request.span.to_string()) },
            Field { label: "Reason", value: plain(request.reason.text()) },
        ],
        plan: request.plan.clone(),
        history: request.history.iter().map(|step| (step.at, happened(state, request, &step.event))).collect(),
        buttons: buttons(&request.phase),
        proof: leaf.chars().take(PROOF_CHARS).collect(),
        terms: leaf,
        summary,
    }
}

fn status(phase: &Phase) -> Status {
    match phase {
        Phase::Pending => Status::Requested,
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } => Status::Issuing,
        Phase::Live { .. } => Status::Live,
        Phase::Ending { .. } => Status::Ending,
        Phase::Ended { cause: Cause::Unknown } | Phase::Failed => Status::Failed,
        Phase::Ended { cause: Cause::Expired | Cause::Returned | Cause::Revoked } => Status::Ended,
        Phase::Denied => Status::Denied,
        Phase::Cancelled => Status::Cancelled,
        Phase::Lapsed => Status::Lapsed,
    }
}

fn headline(state: &State, request: &Request) -> Line {
    match &request.phase {
        Phase::Pending => vec![
            Span::Text(format!("Waiting for approval, {} of {}. Lapses ", request.approvals.len(), request.quorum)),
            Span::Time(request.lapse_at),
        ],
        Phase::Approved { .. } | Phase::Ordered { .. } => plain("Approved. The provider is opening it"),
        Phase::Deferred { retry_at, .. } => {
            vec![Span::Text("Approved. The provider could not open it yet; tries again ".into()), Span::Time(*retry_at)]
        }
        Phase::Live { not_after } => vec![Span::Text("Live until ".into()), Span::Time(*not_after)],
        Phase::Ending { failures: 0, .. } => plain("Ending. The provider is closing it"),
        Phase::Ending { failures, next_try, .. } => vec![
            Span::Strong("Not closed yet. ".into()),
            Span::Text(format!("The provider has failed {failures} times; tries again ")),
            Span::Time(*next_try),
        ],
        Phase::Ended { cause: Cause::Expired } => plain("Ended: its time was up"),
        Phase::Ended { cause: Cause::Returned } => plain("Ended: given back early"),
        Phase::Ended { cause: Cause::Revoked } => match ender(request) {
            Some(by) => vec![Span::Text("Ended: revoked by ".into()), Span::Person(state.name(by).into())],
            None => plain("Ended: revoked"),
        },
        Phase::Ended { cause: Cause::Unknown } | Phase::Failed => plain("Failed. Nothing is open"),
        Phase::Denied => plain("Denied"),
        Phase::Cancelled => plain("Withdrawn by its requester"),
        Phase::Lapsed => plain("Lapsed: nobody decided in time"),
    }
}

fn ender(request: &Request) -> Option<SubjectId> {
    request
        .history
        .iter()
        .rev()
        .find_map(|step| if let Event::GrantEnding { by, .. } = &step.event { *by } else { None })
}

fn buttons(phase: &Phase) -> Vec<(Button, String)> {
    let of =
        |buttons: &[(Button, &str)]| buttons.iter().map(|(button, label)| (*button, (*label).to_owned())).collect();
    match phase {
        Phase::Pending => of(&[(Button::Approve, "Approve"), (Button::Deny, "Deny…"), (Button::Cancel, "Withdraw")]),
        Phase::Live { .. } => {
            of(&[(Button::Show, "Show credential"), (Button::Done, "Give back"), (Button::Revoke, "Revoke…")])
        }
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } => of(&[(Button::Revoke, "Revoke…")]),
        Phase::Ending { .. }
        | Phase::Ended { .. }
        | Phase::Denied
        | Phase::Cancelled
        | Phase::Lapsed
        | Phase::Failed => Vec::new(),
    }
}

/// One step of a request's history in a sentence.
fn happened(state: &State, request: &Request, event: &Event) -> Line {
    let person = |subject: SubjectId| Span::Person(state.name(subject).to_owned());
    let text = |text: &str| Span::Text(text.to_owned());
    let because = |reason: &access::Personal| Span::Text(format!(": {}", reason.text()));
    match event {
        Event::AccessRequested { requester, .. } => vec![text("asked by "), person(*requester)],
        Event::RequestApproved { by, comment, .. } if comment.text().is_empty() => {
            vec![text("approved by "), person(*by)]
        }
        Event::RequestApproved { by, comment, .. } => vec![text("approved by "), person(*by), because(comment)],
        Event::RequestDenied { by, reason, .. } => vec![text("denied by "), person(*by), because(reason)],
        Event::RequestCancelled { .. } => vec![text("withdrawn by "), person(request.requester)],
        Event::RequestLapsed { .. } => vec![text("lapsed: nobody decided in time")],
        Event::GrantOrdered { .. } => vec![text("the provider was told to open it")],
        Event::GrantIssued { not_after, .. } => vec![text("opened, until "), Span::Time(*not_after)],
        Event::GrantDeferred { words, .. } => vec![text("could not be opened yet"), because(words)],
        Event::GrantFailed { words, .. } => vec![text("could not be opened"), because(words)],
        Event::CredentialTaken { n, .. } => {
            vec![person(request.requester), Span::Text(format!(" took credential {n}"))]
        }
        Event::GrantEnding { cause, by, reason, .. } => match (cause, by) {
            (Cause::Revoked, Some(by)) => vec![text("revoked by "), person(*by), because(reason)],
            (Cause::Returned, Some(by)) => vec![text("given back by "), person(*by)],
            (Cause::Unknown, _) => {
                vec![text("the provider's answer was lost, so it is closed to be sure"), because(reason)]
            }
            (Cause::Expired, _) => vec![text("its time was up")],
            (Cause::Revoked | Cause::Returned, None) => vec![text("ended early")],
        },
        Event::GrantStuck { words, .. } => vec![text("could not be closed yet"), because(words)],
        Event::GrantEnded { .. } => vec![text("seen closed")],
        Event::Ledger(_)
        | Event::SubjectErased { .. }
        | Event::Heartbeat {}
        | Event::ClockStepped { .. }
        | Event::ServiceStarted { .. }
        | Event::SubjectEnrolled { .. }
        | Event::MessageReceived { .. }
        | Event::MessageRefused { .. }
        | Event::CredentialOrdered { .. }
        | Event::CredentialFailed { .. }
        | Event::CardPosted { .. }
        | Event::NoticeSent { .. } => plain(""),
    }
}

/// What one person is told about a request.
#[must_use]
pub fn notice(state: &State, request: &Request, what: access::Notice) -> Notice {
    let id = Span::Code(request.id.to_string());
    let name = Span::Strong(request.resource.clone());
    let text = |text: &str| Span::Text(text.to_owned());
    let mut lines = match what {
        access::Notice::Live => {
            let until = request.not_after.map_or_else(|| text("its end"), Span::Time);
            vec![
                vec![text("Your access to "), name, text(" is live until "), until, text(" ("), id, text(").")],
                plain("The credential is made when you press the button, shown once, and kept nowhere."),
            ]
        }
        access::Notice::Denied => vec![vec![text("Your request "), id, text(" for "), name, text(" was denied.")]],
        access::Notice::Lapsed => vec![
            vec![text("Nobody decided on your request "), id, text(" for "), name, text(" in time, so it lapsed.")],
            plain("Ask again if you still need it, and tell an approver."),
        ],
        access::Notice::Failed => vec![
            vec![text("Your request "), id, text(" for "), name, text(" was approved, but could not be opened.")],
            plain("Nothing is open. Ask again; if it fails again, whoever looks after the resource has to look."),
        ],
        access::Notice::Ended => vec![vec![text("Your access to "), name, text(" has ended ("), id, text(").")]],
        access::Notice::Stuck => vec![
            vec![
                text("The access "),
                id,
                text(" to "),
                name,
                text(" should be closed, and the provider can't close it."),
            ],
            plain("We go on trying. Somebody should look at the target now."),
        ],
    };
    if let Some(last) = request.history.iter().rev().find(|step| explains(what, &step.event)) {
        lines.push(happened(state, request, &last.event));
    }
    let buttons = match what {
        access::Notice::Live => {
            vec![(Button::Show, "Show credential".to_owned()), (Button::Done, "Give back".to_owned())]
        }
        access::Notice::Denied
        | access::Notice::Lapsed
        | access::Notice::Failed
        | access::Notice::Ended
        | access::Notice::Stuck => Vec::new(),
    };
    Notice { request: request.id, lines, buttons }
}

fn explains(what: access::Notice, event: &Event) -> bool {
    match what {
        access::Notice::Denied => matches!(event, Event::RequestDenied { .. }),
        access::Notice::Failed => {
            matches!(event, Event::GrantFailed { .. } | Event::GrantEnding { cause: Cause::Unknown, .. })
        }
        access::Notice::Ended => matches!(event, Event::GrantEnding { .. }),
        access::Notice::Stuck => matches!(event, Event::GrantStuck { .. }),
        access::Notice::Live | access::Notice::Lapsed => false,
    }
}

/// A line without its dress, for notifications and logs that are shown to people.
#[must_use]
pub fn flat(line: &Line) -> String {
    line.iter()
        .map(|span| match span {
            Span::Text(text) | Span::Code(text) | Span::Person(text) | Span::Strong(text) => text.clone(),
            Span::Time(at) => utc(*at),
        })
        .collect()
}

/// A moment as people write it, to the second.
#[must_use]
pub fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
