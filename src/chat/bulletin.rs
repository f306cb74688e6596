//! From what concerns a whole channel to what it is told.

use chrono::{DateTime, Utc};

use super::{
    Bulletin,
    card::{Line, Span},
    draw::happened,
    plain,
};
use crate::access::{Event, Request, State};

/// A bulletin has so many lines at the most, and says how many more there would be.
const LINES_MAX: usize = 40;

/// The rules were loaded, and people may do more than before: in words, a line each.
#[must_use]
pub fn rules(seq: u64, widened: &[String]) -> Bulletin {
    let mut lines: Vec<Line> = vec![vec![
        Span::Text("The rules that were loaded with entry ".into()),
        Span::Code(seq.to_string()),
        Span::Text(" let people do more than before:".into()),
    ]];
    lines.extend(widened.iter().take(LINES_MAX).map(|words| plain(format!("• {words}"))));
    if widened.is_empty() {
        lines.push(plain("The rules before them are not at hand any more, so it can't be said here what has changed."));
    } else if let Some(more) = widened.len().checked_sub(LINES_MAX)
        && more > 0
    {
        lines.push(plain(format!("… and {more} more.")));
    }
    Bulletin { title: "The rules are wider".into(), lines, loud: true }
}

/// A rule could not be evaluated, and somebody was refused for it.
#[must_use]
pub fn broken_rule(seq: u64) -> Bulletin {
    let line = vec![
        Span::Text(
            "A rule could not be evaluated, so somebody was refused who may have been right to ask. Entry ".into(),
        ),
        Span::Code(seq.to_string()),
        Span::Text(" says who, and ".into()),
        Span::Code("countersign check".into()),
        Span::Text(" may say why.".into()),
    ];
    Bulletin { title: "A rule fails".into(), lines: vec![line], loud: true }
}

/// The clock of the machine was set.
#[must_use]
pub fn clock(seq: u64) -> Bulletin {
    let line = vec![
        Span::Text(
            "The machine's clock was set. No access lasts longer for it, but one may have ended early. Entry ".into(),
        ),
        Span::Code(seq.to_string()),
        Span::Text(" says how.".into()),
    ];
    Bulletin { title: "The clock was set".into(), lines: vec![line], loud: true }
}

/// Something on a target bears our mark, and no door is to be open for it: whose target, and the marks.
#[must_use]
pub fn drift(seq: u64, found: &[(String, String)]) -> Bulletin {
    let resource = found.first().map_or("(unknown)", |(resource, _)| resource.as_str());
    let mut lines = vec![vec![
        Span::Text("On the target of ".into()),
        Span::Strong(resource.to_owned()),
        Span::Text(" there is what bears our mark, and no access is open for it. It is being removed; somebody should look where it came from. Entry ".into()),
        Span::Code(seq.to_string()),
        Span::Text(" says more.".into()),
    ]];
    lines.extend(found.iter().take(LINES_MAX).map(|(_, mark)| vec![Span::Text("• ".into()), Span::Code(mark.clone())]));
    Bulletin { title: "Access that should not be there".into(), lines, loud: true }
}

/// A review found something.
#[must_use]
pub fn concern(state: &State, request: &Request) -> Bulletin {
    let mut lines = vec![vec![
        Span::Text("The break-glass ".into()),
        Span::Code(request.id.to_string()),
        Span::Text(" of ".into()),
        Span::Person(state.name(request.requester).to_owned()),
        Span::Text(format!(" for {}: {}", request.resource, request.reason.text())),
    ]];
    let review = request.history.iter().rev().find(|step| matches!(step.event, Event::ReviewGiven { .. }));
    lines.extend(review.map(|step| happened(state, request, &step.event)));
    Bulletin { title: "A review has a concern".into(), lines, loud: true }
}

/// The report of a period, with the signed head in the line that `verify --anchor` takes.
#[must_use]
pub fn digest((from, to): (u64, u64), due: DateTime<Utc>, words: &[String], head: Option<String>) -> Bulletin {
    let mut lines: Vec<Line> = words.iter().map(|words| plain(words.clone())).collect();
    lines.push(vec![
        Span::Text(format!("Entries {from} to {}. Keep this signed head: ", to.saturating_sub(1))),
        Span::Code("countersign verify --anchor".into()),
        Span::Text(" takes it.".into()),
    ]);
    lines.extend(head.map(|head| vec![Span::Code(head)]));
    Bulletin { title: format!("Access up to {}", due.format("%A, %-d %B %Y")), lines, loud: false }
}

/// A review was not given in time.
#[must_use]
pub fn overdue(state: &State, request: &Request) -> Bulletin {
    let mut line = vec![
        Span::Text("Nobody has reviewed the break-glass ".into()),
        Span::Code(request.id.to_string()),
        Span::Text(" of ".into()),
        Span::Person(state.name(request.requester).to_owned()),
        Span::Text(format!(" for {} in time. It was due ", request.resource)),
    ];
    line.extend(request.review_due().map(Span::Time));
    Bulletin { title: "A review is overdue".into(), lines: vec![line], loud: true }
}
