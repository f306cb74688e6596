//! From the state to what people see: the card of a request.

use chrono::{DateTime, Utc};

use super::{
    card::{Button, Card, Field, Line, Span, Status, Step},
    plain,
};
use crate::access::{
    self, Call, Cause, Chat, Drift, Event, Finding, Happening, Phase, Request, State, SubjectId, Turn, Uttered,
};

/// The leaf hash is shown by its first digits.
pub const PROOF_CHARS: usize = 8;

/// The card of a request: a picture of its present state.
#[must_use]
pub fn card(state: &State, request: &Request) -> Card {
    let requester = state.name(request.requester).to_owned();
    let leaf = request.leaf.clone().unwrap_or_default();
    let title = title(request);
    let headline = headline(state, request);
    let summary = format!("{} {title}, asked by {requester}: {}", request.id, flat(&headline));
    Card {
        request: request.id,
        status: status(request),
        loud: request.manner.break_glass && !request.over(),
        title,
        headline,
        fields: fields(request, requester),
        plan: request.plan.clone(),
        history: request.history.iter().map(|step| drawn(state, request, step)).collect(),
        buttons: buttons(request),
        proof: leaf.chars().take(PROOF_CHARS).collect(),
        terms: leaf,
        summary,
    }
}

fn drawn(state: &State, request: &Request, step: &Happening) -> Step {
    let mut line = happened(state, request, &step.event);
    if let Some(place) = step.chat.and_then(place) {
        // Behind whoever said it, unless the sentence begins with them.
        let who = line.iter().position(|span| matches!(span, Span::Person(_))).filter(|at| *at > 0);
        line.insert(who.map_or(line.len(), |at| at + 1), Span::Text(format!(" in {place}")));
    }
    Step { seq: step.seq, at: step.at, line }
}

/// Where something was said, by the platform's name; in the playground there is nowhere else.
fn place(chat: Chat) -> Option<&'static str> {
    match chat {
        Chat::Slack => Some("Slack"),
        Chat::Discord => Some("Discord"),
        Chat::Playground => None,
    }
}

fn title(request: &Request) -> String {
    let what = format!("{} for {}", request.resource, request.span);
    match request.manner.extends {
        _ if request.manner.break_glass => format!("BREAK-GLASS: {what}"),
        Some(base) => format!("{} for {} more ({base})", request.resource, request.span),
        None => what,
    }
}

fn fields(request: &Request, requester: String) -> Vec<Field> {
    let duration = match (request.granted_span(), request.manner.extends) {
        (granted, _) if granted < request.span => {
            plain(format!("{granted}, approved for less than the {} that were asked", request.span))
        }
        (_, Some(base)) => plain(format!("{} more for {base}", request.span)),
        (_, None) => plain(request.span.to_string()),
    };
    let mut fields = vec![
        Field { label: "Requester", value: vec![Span::Person(requester)] },
        Field { label: "Resource", value: vec![Span::Code(request.resource.clone())] },
        Field { label: "Duration", value: duration },
        Field { label: "Reason", value: plain(request.reason.text()) },
    ];
    if !request.manner.declined.is_empty() {
        let mut value: Line = Vec::new();
        for (at, rule) in request.manner.declined.iter().enumerate() {
            value.push(Span::Text(if at == 0 { "not by the rule ".into() } else { ", ".into() }));
            value.push(Span::Code(rule.clone()));
        }
        value.push(Span::Text(", which names the requester or is forbidden here".into()));
        fields.push(Field { label: "By itself", value });
    }
    if let Some(start) = request.manner.starts_at {
        fields.push(Field { label: "Starts", value: vec![Span::Time(start)] });
    }
    if request.manner.break_glass {
        let (label, end) = match request.ended_at {
            Some(end) => ("Ended", Some(end)),
            None => ("Ends", request.not_after),
        };
        fields.extend(end.map(|end| Field { label, value: vec![Span::Time(end)] }));
    }
    fields
}

fn status(request: &Request) -> Status {
    match &request.phase {
        Phase::Pending => Status::Requested,
        Phase::Approved { .. } if request.manner.starts_at.is_some() => Status::Scheduled,
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } => Status::Issuing,
        Phase::Live { .. } => Status::Live,
        Phase::Ending { .. } => Status::Ending,
        Phase::Ended { .. } if request.owes_review() => Status::Owing,
        Phase::Ended { cause: Cause::Unknown } | Phase::Failed => Status::Failed,
        Phase::Ended { cause: Cause::Expired | Cause::Returned | Cause::Revoked } => Status::Ended,
        Phase::Denied => Status::Denied,
        Phase::Cancelled => Status::Cancelled,
        Phase::Lapsed => Status::Lapsed,
        Phase::Extended => Status::Extended,
    }
}

fn headline(state: &State, request: &Request) -> Line {
    let text = |text: &str| Span::Text(text.to_owned());
    match &request.phase {
        Phase::Ended { .. } if request.owes_review() => {
            let mut line = ended(state, request);
            let late = request.was_called(Call::ReviewOverdue);
            line.push(text(if late {
                ". Its review is overdue since "
            } else {
                ". It owes a review by somebody else by "
            }));
            line.extend(request.review_due().map(Span::Time));
            line
        }
        Phase::Pending => vec![
            Span::Text(format!("Waiting for approval, {} of {}. Lapses ", request.approvals.len(), request.quorum)),
            Span::Time(request.lapse_at),
        ],
        Phase::Approved { due } if request.manner.starts_at.is_some() => {
            vec![text("Approved. It starts "), Span::Time(*due)]
        }
        Phase::Approved { .. } | Phase::Ordered { .. } if request.manner.break_glass => {
            vec![Span::Strong("Opened before any approval. ".into()), text("The provider is opening it")]
        }
        Phase::Approved { .. } | Phase::Ordered { .. } if request.manner.extends.is_some() => {
            plain("Approved. The provider is making it longer")
        }
        Phase::Approved { .. } | Phase::Ordered { .. } => plain("Approved. The provider is opening it"),
        Phase::Deferred { retry_at, .. } => {
            vec![text("Approved. The provider could not open it yet; tries again "), Span::Time(*retry_at)]
        }
        Phase::Live { not_after } if request.manner.break_glass => {
            vec![Span::Strong("Open before any approval, ".into()), text("until "), Span::Time(*not_after)]
        }
        Phase::Live { not_after } => vec![text("Live until "), Span::Time(*not_after)],
        Phase::Ending { failures: 0, .. } => plain("Ending. The provider is closing it"),
        Phase::Ending { failures, next_try, .. } => vec![
            Span::Strong("Not closed yet. ".into()),
            Span::Text(format!("The provider has failed {failures} times; tries again ")),
            Span::Time(*next_try),
        ],
        Phase::Ended { .. } => ended(state, request),
        Phase::Failed => plain("Failed. Nothing is open"),
        Phase::Denied => plain("Denied"),
        Phase::Cancelled => plain("Withdrawn by its requester"),
        Phase::Lapsed => plain("Lapsed: nobody decided in time"),
        Phase::Extended => match request.not_after {
            Some(end) => vec![text("Done: the access lasts until "), Span::Time(end)],
            None => plain("Done"),
        },
    }
}

fn ended(state: &State, request: &Request) -> Line {
    let mut line = match (&request.phase, ender(request)) {
        (Phase::Ended { cause: Cause::Expired }, _) => plain("Ended: its time was up"),
        (Phase::Ended { cause: Cause::Returned }, _) => plain("Ended: given back early"),
        (Phase::Ended { cause: Cause::Revoked }, Some(by)) => {
            vec![Span::Text("Ended: revoked by ".into()), Span::Person(state.name(by).into())]
        }
        (Phase::Ended { cause: Cause::Revoked }, None) => plain("Ended: revoked"),
        (_, _) => plain("Failed. Nothing is open"),
    };
    if let Some(review) = &request.review {
        let found = match review.finding {
            Finding::Ok => ". Reviewed, and found in order by ",
            Finding::Concern => ". Reviewed with a concern by ",
        };
        line.push(Span::Text(found.into()));
        line.push(Span::Person(state.name(review.by).into()));
    }
    line
}

fn ender(request: &Request) -> Option<SubjectId> {
    request
        .history
        .iter()
        .rev()
        .find_map(|step| if let Event::GrantEnding { by, .. } = &step.event { *by } else { None })
}

fn buttons(request: &Request) -> Vec<(Button, String)> {
    let of =
        |buttons: &[(Button, &str)]| buttons.iter().map(|(button, label)| (*button, (*label).to_owned())).collect();
    let end = if request.manner.break_glass { (Button::Cut, "Cut it now") } else { (Button::Revoke, "Revoke…") };
    match &request.phase {
        Phase::Pending => of(&[
            (Button::Approve, "Approve"),
            (Button::ApproveLess, "Approve for less…"),
            (Button::Deny, "Deny…"),
            (Button::Cancel, "Withdraw"),
        ]),
        Phase::Live { .. } => {
            of(&[(Button::Show, "Show credential"), (Button::Extend, "Extend…"), (Button::Done, "Give back"), end])
        }
        Phase::Approved { .. } if request.manner.starts_at.is_some() => of(&[(Button::Cancel, "Withdraw"), end]),
        Phase::Approved { .. } | Phase::Ordered { .. } | Phase::Deferred { .. } if request.manner.extends.is_none() => {
            of(&[end])
        }
        Phase::Ended { .. } if request.owes_review() => {
            of(&[(Button::ReviewOk, "Review: ok…"), (Button::ReviewConcern, "Review: concern…")])
        }
        Phase::Approved { .. }
        | Phase::Ordered { .. }
        | Phase::Deferred { .. }
        | Phase::Ending { .. }
        | Phase::Ended { .. }
        | Phase::Denied
        | Phase::Cancelled
        | Phase::Lapsed
        | Phase::Failed
        | Phase::Extended => Vec::new(),
    }
}

/// One step of a request's history in a sentence.
pub(super) fn happened(state: &State, request: &Request, event: &Event) -> Line {
    let person = |subject: SubjectId| Span::Person(state.name(subject).to_owned());
    let text = |text: &str| Span::Text(text.to_owned());
    let because = |reason: &access::Personal| Span::Text(format!(": {}", reason.text()));
    match event {
        Event::AccessRequested { requester, manner, .. } if manner.break_glass => {
            vec![person(*requester), text(" broke the glass")]
        }
        Event::AccessRequested { requester, .. } => vec![text("asked by "), person(*requester)],
        Event::RequestApproved { by, comment, duration_secs, preapproval, .. } => {
            let mut line = vec![text("approved by "), person(*by)];
            line.extend(duration_secs.map(|span| Span::Text(format!(" for {span}"))));
            line.extend(preapproval.map(|id| Span::Text(format!(", ahead of time (#{id})"))));
            if !comment.text().is_empty() {
                line.push(because(comment));
            }
            line
        }
        Event::RequestAutoapproved { policies, .. } => {
            let mut line = plain("approved by the rule ");
            for (at, policy) in policies.iter().enumerate() {
                if at > 0 {
                    line.push(text(", "));
                }
                line.push(Span::Code(policy.clone()));
            }
            line
        }
        Event::ApprovalWithdrawn { by, .. } => vec![person(*by), text(" took their approval back")],
        Event::PeopleCalled { why: Call::ReviewOverdue, .. } => plain("its review is overdue"),
        Event::PeopleCalled { to, .. } => {
            let mut line = plain("it has waited long, so others may approve it too");
            for (at, subject) in to.iter().enumerate() {
                line.push(text(if at == 0 { ": " } else { ", " }));
                line.push(person(*subject));
            }
            line
        }
        Event::GrantExtended { request: by, base, not_after, .. } if *base == request.id => {
            vec![Span::Text(format!("made longer by {by}, until ")), Span::Time(*not_after)]
        }
        Event::GrantExtended { base, not_after, .. } => {
            vec![Span::Text(format!("{base} lasts until ")), Span::Time(*not_after)]
        }
        Event::ReviewGiven { by, finding, notes, .. } => {
            let found =
                if *finding == Finding::Ok { "reviewed, found in order by " } else { "reviewed with a concern by " };
            vec![text(found), person(*by), because(notes)]
        }
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
            (Cause::Revoked, Some(by)) if reason.text().is_empty() => vec![text("cut by "), person(*by)],
            (Cause::Revoked, Some(by)) => vec![text("revoked by "), person(*by), because(reason)],
            (Cause::Returned, Some(by)) => vec![text("given back by "), person(*by)],
            (Cause::Unknown, _) => {
                vec![text("the provider's answer was lost, so it is closed to be sure"), because(reason)]
            }
            (Cause::Expired, _) => vec![text("its time was up")],
            (Cause::Revoked | Cause::Returned, None) => vec![text("ended early")],
        },
        Event::GrantStuck { words, .. } => vec![text("could not be closed yet"), because(words)],
        Event::GrantEnded { kept_for: None, .. } => vec![text("seen closed")],
        Event::GrantEnded { kept_for: Some(other), .. } => {
            vec![text("over; what it shares stays for "), Span::Code(other.to_string())]
        }
        Event::DriftFound { what: Drift::Missing, .. } => vec![text("not found on its target any more")],
        Event::DriftFound { what: Drift::Extra, .. } => {
            vec![text("found on its target although it should not be there; it is removed")]
        }
        Event::DriftClosed { .. } => vec![text("gone from its target again")],
        Event::Ledger(_)
        | Event::SubjectErased { .. }
        | Event::Heartbeat {}
        | Event::ClockStepped { .. }
        | Event::ClockJumped { .. }
        | Event::ServiceStarted { .. }
        | Event::SubjectEnrolled { .. }
        | Event::MessageReceived { .. }
        | Event::MessageRefused { .. }
        | Event::CredentialOrdered { .. }
        | Event::CredentialFailed { .. }
        | Event::RequestReconsidered { .. }
        | Event::PreapprovalGiven { .. }
        | Event::PreapprovalWithdrawn { .. }
        | Event::RulesLoaded { .. }
        | Event::DigestMade { .. }
        | Event::LogRead { .. }
        | Event::BulletinPosted { .. }
        | Event::CardPosted { .. }
        | Event::NoticeSent { .. } => plain(""),
    }
}

/// Something that was said in a request's thread, as a step of its history. It is shown to whoever asks for the history,
/// and on no card: the thread has it already.
pub(super) fn uttered(state: &State, uttered: &Uttered) -> Step {
    let person = Span::Person(state.name(uttered.from).to_owned());
    let place = place(uttered.chat).map_or_else(|| "the thread".to_owned(), |place| format!("{place}'s thread"));
    let words = uttered.text.text();
    let before = uttered.earlier.map_or_else(String::new, |seq| format!(" what is entry {seq}"));
    let mut line = match uttered.turn {
        Turn::Said => vec![person, Span::Text(format!(" said in {place}: {words} (entry {})", uttered.seq))],
        Turn::Changed => {
            vec![person, Span::Text(format!(" changed in {place}{before}, to: {words} (entry {})", uttered.seq))]
        }
        Turn::Deleted => {
            let from = uttered.earlier.map_or_else(String::new, |seq| format!(" (entry {seq})"));
            vec![Span::Text(format!("deleted from {place}: what ")), person, Span::Text(format!(" had said{from}"))]
        }
    };
    if uttered.last {
        line.push(Span::Text("; that was as much as is recorded of it".into()));
    }
    Step { seq: uttered.seq, at: uttered.at, line }
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
