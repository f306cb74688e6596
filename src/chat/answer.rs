//! What the one person who typed or pressed is told. Every such text stands here, but for refusals, which carry
//! their own.

use chrono::{DateTime, Utc};

use super::{
    Reply, Tone,
    card::{Line, Span},
    draw, grammar, plain,
};
use crate::access::{Action, Phase, Refusal, Request, RequestId, Seen, State, SubjectId, phase_words};

/// Lists are cut here, and say so.
const LISTED_MAX: usize = 25;
/// So much of what was said in a request's thread is shown, the newest.
const TALK_SHOWN_MAX: usize = 20;
/// So much of an entry is shown.
const LOG_TEXT_CHARS_MAX: usize = 240;

fn reply(tone: Tone, lines: Vec<Line>) -> Reply {
    Reply { tone, lines, secret: Vec::new(), keep_input: tone == Tone::Refused || tone == Tone::Fault }
}

/// A refusal, as it is said: a capital and a full stop, since it stands alone.
#[must_use]
pub fn refused(refusal: &Refusal) -> Reply {
    reply(Tone::Refused, vec![marked(&sentence(&refusal.to_string()))])
}

/// The ledger can't be written, and nothing will be done until it can.
#[must_use]
pub fn ledger_down() -> Reply {
    // A write that failed may still have reached the disk: only the ledger itself can say, once it is open again.
    let words = "The ledger can't be written now, and nothing is granted until it can. Look in a minute whether it is \
                 there, and send it again if it isn't; whoever runs Countersign has been told in its log.";
    reply(Tone::Fault, vec![plain(words)])
}

/// The disk is full, and what is left of it is kept for what must be recorded.
#[must_use]
pub fn disk_full() -> Reply {
    let words = "The disk under the ledger is full, and nothing of this was recorded or done. What room is left is kept for \
                 emergencies: `break-glass`, `deny`, `cancel`, `done`, `revoke`, `review` and `show` still work. Ask again \
                 when there is room; whoever runs Countersign has been told in its log.";
    reply(Tone::Fault, vec![plain(words)])
}

/// There is more to do than there is room to remember.
#[must_use]
pub fn busy() -> Reply {
    reply(Tone::Fault, vec![plain("Countersign is busy. Nothing was done; try again in a few seconds.")])
}

/// The service is going down.
#[must_use]
pub fn stopping() -> Reply {
    reply(Tone::Fault, vec![plain("Countersign is stopping. Nothing was done; try again in a minute.")])
}

/// The service went down over it.
#[must_use]
pub fn stopped() -> Reply {
    let words = "Countersign stopped before it could answer. Look in a minute whether it is there, and send it again if \
                 it isn't.";
    reply(Tone::Fault, vec![plain(words)])
}

/// The same message once more.
#[must_use]
pub fn again(state: &State, seen: &Seen) -> Reply {
    if let Some((_, words)) = &seen.refused {
        return reply(Tone::Refused, vec![marked(&sentence(words))]);
    }
    let mut line = plain("This was done already, and was not done again.");
    if let Some(request) = seen.request.and_then(|id| state.request(id)) {
        line.push(Span::Text(" ".into()));
        line.push(Span::Code(request.id.to_string()));
        line.push(Span::Text(format!(" {}.", phase_words(request))));
    }
    reply(Tone::Info, vec![line])
}

/// What was done.
#[must_use]
pub fn done(state: &State, action: &Action, about: Option<RequestId>) -> Reply {
    let request = about.and_then(|id| state.request(id));
    let Some(request) = request else { return reply(Tone::Done, vec![done_ahead(state, action, about)]) };
    let id = || Span::Code(request.id.to_string());
    let text = |text: String| Span::Text(text);
    let line = match action {
        Action::Request { .. } if request.phase != Phase::Pending || request.automatic => {
            vec![text("Asked: ".into()), id(), text(format!(" for {} of {}.", request.span, request.resource))]
        }
        Action::BreakGlass { .. } => vec![
            text("You broke the glass: ".into()),
            id(),
            text(format!(
                " for {} of {}. Everybody concerned is told now, and somebody else has to review it afterwards.",
                request.span, request.resource
            )),
        ],
        Action::Extend { .. } => vec![
            text("Asked: ".into()),
            id(),
            text(format!(" for {} more of {}. What you have goes on meanwhile.", request.span, request.resource)),
        ],
        Action::Review { .. } => vec![text("Thank you. The review of ".into()), id(), text(" is closed.".into())],
        Action::Request { .. } => {
            let need = request.quorum;
            let people = if need == 1 { "one approval".to_owned() } else { format!("{need} approvals") };
            vec![
                text("Asked: ".into()),
                id(),
                text(format!(" for {} of {}. It needs {people}; you will be told.", request.span, request.resource)),
                text(match request.manner.declined.as_slice() {
                    [] => String::new(),
                    rules => {
                        let rules = rules.join(", ");
                        format!(" The rule {rules} does not approve it: it names you, or another forbids it.")
                    }
                }),
            ]
        }
        Action::Approve { .. } => {
            let missing = usize::try_from(request.quorum).unwrap_or(usize::MAX).saturating_sub(request.approvals.len());
            let span = request.granted_span();
            let rest = match (&request.phase, missing) {
                (Phase::Approved { due }, _) if request.manner.starts_at.is_some() => {
                    format!("It starts {}.", draw::utc(*due))
                }
                (Phase::Pending, 1) => "It needs one more approval.".to_owned(),
                (Phase::Pending, missing) => format!("It needs {missing} more approvals."),
                _ => "It is being opened.".to_owned(),
            };
            vec![text("Approved ".into()), id(), text(format!(" for {span} of {}. {rest}", request.resource))]
        }
        Action::Deny { .. } => vec![text("Denied ".into()), id(), text(". Its requester is told why.".into())],
        Action::Cancel { .. } if request.phase == Phase::Pending => {
            vec![text("You took your approval of ".into()), id(), text(" back.".into())]
        }
        Action::Cancel { .. } => vec![text("Withdrawn: ".into()), id(), text(".".into())],
        Action::Done { .. } => vec![text("Thank you. ".into()), id(), text(" is being closed.".into())],
        Action::Revoke { .. } if request.phase == Phase::Denied => {
            vec![text("Revoked: ".into()), id(), text(" will not start.".into())]
        }
        Action::Revoke { .. } => vec![text("Revoked: ".into()), id(), text(" is being closed now.".into())],
        Action::Allow { .. }
        | Action::Show { .. }
        | Action::Read { .. }
        | Action::Log { .. }
        | Action::Mine
        | Action::List
        | Action::Verify
        | Action::Help => plain("Done."),
    };
    let mut lines = vec![line];
    if let Action::Request { .. } = action {
        lines.extend(held_already(state, request));
    }
    reply(Tone::Done, lines)
}

/// That one has the same already, and how that could be made longer.
fn held_already(state: &State, request: &Request) -> Option<Line> {
    let same = |other: &&Request| {
        other.id != request.id
            && other.requester == request.requester
            && other.resource == request.resource
            && other.is_live()
    };
    let held = state.open().find(same)?;
    let mut line = vec![
        Span::Text("You already hold ".into()),
        Span::Code(held.id.to_string()),
        Span::Text(format!(" for {} until ", held.resource)),
    ];
    line.extend(held.not_after.map(Span::Time));
    line.push(Span::Text(". ".into()));
    line.extend(marked(&format!("`/access extend {} 30m <reason>` would make that one longer.", held.id.0)));
    Some(line)
}

/// What was done to a pre-approval.
fn done_ahead(state: &State, action: &Action, about: Option<RequestId>) -> Line {
    let (Action::Allow { person, resource, span, .. }, Some(id)) = (action, about) else { return plain("Done.") };
    let until = state.preapprovals().find(|(known, _)| *known == id.0).map(|(_, ahead)| Span::Time(ahead.until));
    let mut line = vec![
        Span::Text("Approved ahead: ".into()),
        Span::Code(id.to_string()),
        Span::Text(format!(". {person} may have {resource} for {span}, asked for until ")),
    ];
    line.extend(until);
    line.push(Span::Text(". ".into()));
    line.extend(marked(&format!("`/access cancel {}` takes it back.", id.0)));
    line
}

/// It is recorded, and nobody is to be told anything.
#[must_use]
pub fn noted() -> Reply {
    reply(Tone::Info, Vec::new())
}

/// The words.
#[must_use]
pub fn help() -> Reply {
    let lines = grammar::WORDS.iter().map(|(_, usage, what)| marked(&format!("{usage}: {what}"))).collect();
    reply(Tone::Info, lines)
}

/// What one person holds and has asked for.
#[must_use]
pub fn mine(state: &State, who: Option<SubjectId>) -> Reply {
    let own: Vec<&Request> = state.open().filter(|request| Some(request.requester) == who).collect();
    if own.is_empty() {
        return reply(
            Tone::Info,
            vec![marked("You hold nothing and have asked for nothing. `/access help` shows how.")],
        );
    }
    reply(Tone::Info, listed(state, &own))
}

/// What is pending or live, of everybody.
#[must_use]
pub fn list(state: &State) -> Reply {
    let open: Vec<&Request> = state.open().collect();
    if open.is_empty() {
        return reply(Tone::Info, vec![plain("Nothing is pending, and nothing is live.")]);
    }
    reply(Tone::Info, listed(state, &open))
}

fn listed(state: &State, requests: &[&Request]) -> Vec<Line> {
    let mut lines: Vec<Line> = requests.iter().rev().take(LISTED_MAX).map(|request| brief(state, request)).collect();
    if let Some(more) = requests.len().checked_sub(LISTED_MAX)
        && more > 0
    {
        lines.push(marked(&format!("… and {more} older ones. `/access show <id>` shows any of them.")));
    }
    lines
}

fn brief(state: &State, request: &Request) -> Line {
    let mut line = vec![
        Span::Code(request.id.to_string()),
        Span::Text(format!(" {} for {}, ", request.resource, request.span)),
        Span::Person(state.name(request.requester).to_owned()),
        Span::Text(format!(": {}", phase_words(request))),
    ];
    if let Phase::Live { not_after } = request.phase {
        line.push(Span::Text(" until ".into()));
        line.push(Span::Time(not_after));
    }
    line
}

/// One request with its history.
#[must_use]
pub fn one(state: &State, request: &Request) -> Reply {
    let card = draw::card(state, request);
    let mut lines = vec![brief(state, request)];
    lines.extend(card.fields.into_iter().map(|field| {
        let mut line = plain(format!("{}: ", field.label));
        line.extend(field.value);
        line
    }));
    lines.extend(card.plan.iter().map(|step| plain(format!("Will be done: {step}"))));
    let older = request.talk.len().saturating_sub(TALK_SHOWN_MAX);
    let mut steps = card.history;
    steps.extend(request.talk.iter().skip(older).map(|uttered| draw::uttered(state, uttered)));
    steps.sort_by_key(|step| step.seq);
    lines.extend(steps.into_iter().map(|step| {
        let mut line = vec![Span::Time(step.at), Span::Text(" ".into())];
        line.extend(step.line);
        line
    }));
    if older > 0 {
        lines.push(marked(&format!(
            "… and {older} older ones from its thread. `/access log` finds them by their words."
        )));
    }
    lines.push(vec![
        Span::Text("Proof: entry ".into()),
        Span::Code(request.id.0.to_string()),
        Span::Text(", leaf ".into()),
        Span::Code(card.terms),
    ]);
    reply(Tone::Info, lines)
}

/// What a check of the chain found, and the head it was made against.
#[must_use]
pub fn verified(well: bool, findings: &[String], head: &str) -> Reply {
    let mut lines: Vec<Line> = findings.iter().map(|words| plain(words.clone())).collect();
    lines.extend(head.lines().filter(|line| !line.is_empty()).map(|line| vec![Span::Code(line.to_owned())]));
    reply(if well { Tone::Info } else { Tone::Fault }, lines)
}

/// An entry of the ledger, found by its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its index.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// Its kind.
    pub kind: String,
    /// What it says.
    pub text: String,
}

/// What was found in the ledger, newest first, looking back to the entry `from`; `whole` if the asker may read all of it.
#[must_use]
pub fn log(found: Vec<LogLine>, from: u64, whole: bool) -> Reply {
    let mut lines: Vec<Line> = Vec::new();
    if found.is_empty() {
        lines.push(plain("Nothing was found."));
    }
    for LogLine { seq, at, kind, text } in found {
        let mut said: String = text.chars().take(LOG_TEXT_CHARS_MAX).collect();
        if said.len() < text.len() {
            said.push('…');
        }
        lines.push(vec![
            Span::Code(seq.to_string()),
            Span::Text(" ".into()),
            Span::Time(at),
            Span::Text(" ".into()),
            Span::Strong(kind),
            Span::Text(format!(" {said}")),
        ]);
    }
    let limits = if whole { "" } else { " You see what you wrote and what is about your requests." };
    let back = if from == 0 { "its beginning".to_owned() } else { format!("entry {from}") };
    lines.push(marked(&format!(
        "Looked at from the newest entry back to {back}.{limits} `countersign log` on the machine itself has it all."
    )));
    reply(Tone::Info, lines)
}

/// A credential, for the one pair of eyes it is for.
#[must_use]
pub fn credential(
    request: RequestId,
    n: u32,
    until: DateTime<Utc>,
    parts: Vec<(String, secrecy::SecretString)>,
) -> Reply {
    let mut lines = vec![vec![
        Span::Text("For ".into()),
        Span::Code(request.to_string()),
        Span::Text(", until ".into()),
        Span::Time(until),
        Span::Text(". Shown once and kept nowhere: press again for a new one.".into()),
    ]];
    if n > 1 {
        lines.push(plain(format!("This is number {n}; the earlier ones are void where the target can do that.")));
    }
    Reply { tone: Tone::Done, lines, secret: parts, keep_input: false }
}

/// The provider cut no key.
#[must_use]
pub fn no_credential(request: RequestId, words: &str) -> Reply {
    let line = vec![
        Span::Text("No credential was made for ".into()),
        Span::Code(request.to_string()),
        Span::Text(format!(": {words}. Press again to try once more.")),
    ];
    reply(Tone::Fault, vec![line])
}

/// A text with `code` in backticks as a line.
pub(super) fn marked(text: &str) -> Line {
    text.split('`')
        .enumerate()
        .filter(|(_, part)| !part.is_empty())
        .map(|(at, part)| if at % 2 == 1 { Span::Code(part.to_owned()) } else { Span::Text(part.to_owned()) })
        .collect()
}

/// A refusal's words as a sentence of their own.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let mut sentence: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    sentence.push_str(chars.as_str());
    if !sentence.ends_with(['.', '?', '!']) {
        sentence.push('.');
    }
    sentence
}
