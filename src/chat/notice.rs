//! From the state to what one person is told about a request.

use super::{
    Notice,
    card::{Button, Line, Span},
    draw::happened,
    plain,
};
use crate::access::{self, Cause, Event, Request, State};

/// What one person is told about a request.
#[must_use]
pub fn notice(state: &State, request: &Request, what: access::Notice) -> Notice {
    let mut lines = lines(state, request, what);
    if let Some(last) = request.history.iter().rev().find(|step| explains(what, &step.event)) {
        lines.push(happened(state, request, &last.event));
    }
    Notice { request: request.id, lines, buttons: buttons(what) }
}

fn lines(state: &State, request: &Request, what: access::Notice) -> Vec<Line> {
    let id = Span::Code(request.id.to_string());
    let name = Span::Strong(request.resource.clone());
    let text = |text: &str| Span::Text(text.to_owned());
    let asker = Span::Person(state.name(request.requester).to_owned());
    let span = Span::Text(format!(" for {}", request.span));
    let because = plain(format!("Reason: {}", request.reason.text()));
    match what {
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
        access::Notice::Extended => {
            let until = request.not_after.map_or_else(|| text("its end"), Span::Time);
            vec![vec![text("Your access to "), name, text(" lasts longer: until "), until, text(" ("), id, text(").")]]
        }
        access::Notice::Waiting => vec![
            vec![id, text(" waits for your approval: "), asker, text(" asks for "), name, span, text(".")],
            because,
        ],
        access::Notice::Escalated => vec![
            vec![
                id,
                text(" has waited for long, so you may approve it too: "),
                asker,
                text(" asks for "),
                name,
                span,
                text("."),
            ],
            because,
        ],
        access::Notice::BreakGlass => {
            let until = request.not_after.map_or_else(|| text("its end"), Span::Time);
            vec![
                vec![
                    Span::Strong("Break-glass: ".into()),
                    asker,
                    text(" has access to "),
                    name,
                    text(" until "),
                    until,
                    text(" without anybody's approval ("),
                    id,
                    text(")."),
                ],
                because,
            ]
        }
        access::Notice::Review | access::Notice::ReviewReminder | access::Notice::ReviewOverdue => {
            let by = request.review_due().map_or_else(|| text("soon"), Span::Time);
            let late = what == access::Notice::ReviewOverdue;
            let words =
                if late { " owes a review, and is overdue since " } else { " owes a review by somebody else by " };
            vec![
                vec![
                    text("The break-glass "),
                    id,
                    text(" of "),
                    asker,
                    text(" for "),
                    name,
                    text(words),
                    by,
                    text("."),
                ],
                because,
            ]
        }
        access::Notice::Reviewed => {
            vec![vec![text("Your break-glass "), id, text(" for "), name, text(" was reviewed.")]]
        }
        access::Notice::Ended => vec![vec![text("Your access to "), name, text(" has ended ("), id, text(").")]],
        access::Notice::Missing => missing(state, request),
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
    }
}

fn missing(state: &State, request: &Request) -> Vec<Line> {
    let text = |text: &str| Span::Text(text.to_owned());
    vec![
        vec![
            text("The access "),
            Span::Code(request.id.to_string()),
            text(" of "),
            Span::Person(state.name(request.requester).to_owned()),
            text(" to "),
            Span::Strong(request.resource.clone()),
            text(" is not on its target any more, and we did not close it."),
        ],
        plain(
            "It is not opened again by itself. Whoever needs it gives it back and asks again; somebody should look at the \
             target.",
        ),
    ]
}

fn buttons(what: access::Notice) -> Vec<(Button, String)> {
    match what {
        access::Notice::Live => {
            vec![(Button::Show, "Show credential".to_owned()), (Button::Done, "Give back".to_owned())]
        }
        access::Notice::Waiting | access::Notice::Escalated => {
            vec![(Button::Approve, "Approve".to_owned()), (Button::Deny, "Deny…".to_owned())]
        }
        access::Notice::BreakGlass => vec![(Button::Cut, "Cut it now".to_owned())],
        access::Notice::Review | access::Notice::ReviewReminder | access::Notice::ReviewOverdue => {
            vec![(Button::ReviewOk, "Review: ok…".to_owned()), (Button::ReviewConcern, "Review: concern…".to_owned())]
        }
        access::Notice::Denied
        | access::Notice::Lapsed
        | access::Notice::Failed
        | access::Notice::Ended
        | access::Notice::Extended
        | access::Notice::Reviewed
        | access::Notice::Missing
        | access::Notice::Stuck => Vec::new(),
    }
}

fn explains(what: access::Notice, event: &Event) -> bool {
    match what {
        access::Notice::Denied => matches!(event, Event::RequestDenied { .. }),
        access::Notice::Failed => {
            matches!(event, Event::GrantFailed { .. } | Event::GrantEnding { cause: Cause::Unknown, .. })
        }
        access::Notice::Ended => matches!(event, Event::GrantEnding { .. }),
        access::Notice::Stuck => matches!(event, Event::GrantStuck { .. }),
        access::Notice::Reviewed => matches!(event, Event::ReviewGiven { .. }),
        access::Notice::Live
        | access::Notice::Lapsed
        | access::Notice::Extended
        | access::Notice::Missing
        | access::Notice::Waiting
        | access::Notice::Escalated
        | access::Notice::BreakGlass
        | access::Notice::Review
        | access::Notice::ReviewReminder
        | access::Notice::ReviewOverdue => false,
    }
}
