//! The words after `/access`, the same in every chat.

use chrono::{NaiveDateTime, NaiveTime};

use crate::access::{Action, DurationError, Finding, Refusal, RequestId, Span, Start};

use super::{Input, card::Button};

/// The words, each with how it is used and what it does: the help, and the source of "did you mean".
pub const WORDS: [(&str, &str, &str); 16] = [
    (
        "request",
        "`/access [request] <resource> <duration> [from <time>] <reason>`",
        "asks for access, for example `/access prod-db 30m fixing INC-42` or `/access prod-db 30m from 02:00 migration`",
    ),
    (
        "break-glass",
        "`/access break-glass <resource> <duration> <reason>`",
        "in an emergency: access at once, told to everybody concerned, and reviewed afterwards",
    ),
    (
        "extend",
        "`/access extend <id> <duration> <reason>`",
        "asks for more time for your access, which goes on meanwhile",
    ),
    ("mine", "`/access mine`", "what you hold and what you have asked for"),
    ("list", "`/access list`", "what is pending or live, of everybody"),
    ("show", "`/access show <id>`", "one request with its history"),
    ("done", "`/access done <id>`", "gives your access back early"),
    (
        "cancel",
        "`/access cancel <id>`",
        "withdraws your request, your approval while it is undecided, or your pre-approval",
    ),
    (
        "approve",
        "`/access approve <id> [for <duration>] [comment]`",
        "approves somebody's request, for less time than was asked if you say so",
    ),
    ("deny", "`/access deny <id> <reason>`", "denies it"),
    ("revoke", "`/access revoke <id> <reason>`", "ends somebody's access now"),
    ("review", "`/access review <id> ok|concern <notes>`", "closes the review that somebody's break-glass owes"),
    (
        "allow",
        "`/access allow <person> <resource> <duration> [within <duration>] <reason>`",
        "approves ahead what somebody may ask for, within 8h if you say nothing else",
    ),
    (
        "log",
        "`/access log [words]`",
        "the newest entries of the ledger that have all of these words, as far as you may read",
    ),
    ("verify", "`/access verify`", "the signed head of the ledger, and whether the chain holds"),
    ("help", "`/access help`", "this"),
];

/// A pre-approval holds for so long, unless it says otherwise.
const WINDOW_HOURS: u64 = 8;
/// A word this far from a known one may be a slip of it.
const SLIP_DISTANCE_MAX: usize = 2;

/// What something typed or pressed means.
///
/// # Errors
/// [`Refusal::Words`] if it means nothing, with what would.
pub fn read(input: &Input) -> Result<Action, Refusal> {
    match input {
        Input::Line(line) => line_of(line),
        Input::Form(form) => form.read(),
        Input::Press { request, button, text } => {
            let text = text.clone().unwrap_or_default();
            let request = *request;
            Ok(match button {
                Button::Approve => Action::Approve { request, span: None, comment: text },
                Button::ApproveLess => {
                    let (span, comment) = leading_span(&text, "15m only the one row")?;
                    Action::Approve { request, span: Some(span), comment: comment.to_owned() }
                }
                Button::Extend => {
                    let (span, reason) = leading_span(&text, "30m the fix needs a deploy")?;
                    Action::Extend { request, span, reason: reason.to_owned() }
                }
                Button::Cut => Action::Revoke { request, reason: text },
                Button::ReviewOk => Action::Review { request, finding: Finding::Ok, notes: text },
                Button::ReviewConcern => Action::Review { request, finding: Finding::Concern, notes: text },
                Button::Deny => Action::Deny { request, reason: text },
                Button::Cancel => Action::Cancel { request },
                Button::Show => Action::Show { request },
                Button::Done => Action::Done { request },
                Button::Revoke => Action::Revoke { request, reason: text },
            })
        }
    }
}

/// A request that is not finished, as far as it goes: for a form that finishes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// Whether it is a break-glass.
    pub glass: bool,
    /// What was said so far; may be empty.
    pub resource: String,
    /// As it was typed; may be empty.
    pub duration: String,
    /// May be empty.
    pub reason: String,
}

/// What a form is to be opened for: `/access` alone, or a request that lacks something. `None` for everything else.
#[must_use]
pub fn draft(line: &str) -> Option<Draft> {
    let line = after_the_slash(line);
    let (word, rest) = split(line);
    let (glass, said, rest) = match word.to_ascii_lowercase().as_str() {
        "request" => (false, true, rest),
        "break-glass" => (true, true, rest),
        _ => (false, false, line),
    };
    let (resource, after) = split(rest);
    let (duration, reason) = split(after);
    let known = WORDS.iter().any(|(known, _, _)| resource.eq_ignore_ascii_case(known));
    let slipped = !said && duration.parse::<Span>().is_err() && slip(resource).is_some();
    if known || slipped || !(duration.is_empty() || reason.is_empty()) {
        return None;
    }
    let (resource, duration, reason) = (resource.to_owned(), duration.to_owned(), reason.to_owned());
    Some(Draft { glass, resource, duration, reason })
}

/// A line without the `/access` before it, which people type or paste although it is already there.
#[must_use]
pub fn after_the_slash(line: &str) -> &str {
    let line = line.trim();
    match line.strip_prefix("/access") {
        Some(rest) if rest.is_empty() || rest.starts_with(char::is_whitespace) => rest.trim_start(),
        Some(_) | None => line,
    }
}

fn line_of(line: &str) -> Result<Action, Refusal> {
    let line = after_the_slash(line);
    let (word, rest) = split(line);
    match word.to_ascii_lowercase().as_str() {
        "" | "help" => Ok(Action::Help),
        "request" => request(rest),
        "mine" => alone("mine", rest, Action::Mine),
        "list" => alone("list", rest, Action::List),
        "log" => Ok(Action::Log { words: rest.split_whitespace().map(str::to_owned).collect() }),
        "verify" => alone("verify", rest, Action::Verify),
        "show" => id("show", rest).and_then(|(request, rest)| alone("show", rest, Action::Read { request })),
        "done" => id("done", rest).and_then(|(request, rest)| alone("done", rest, Action::Done { request })),
        "cancel" => id("cancel", rest).and_then(|(request, rest)| alone("cancel", rest, Action::Cancel { request })),
        "break-glass" => break_glass(rest),
        "extend" => {
            let (request, rest) = id("extend", rest)?;
            let (span, reason) = leading_span(rest, "/access extend 17 30m the fix needs a deploy")?;
            Ok(Action::Extend { request, span, reason: reason.into() })
        }
        "review" => review(rest),
        "allow" => allow(rest),
        "approve" => id("approve", rest).and_then(|(request, rest)| approve(request, rest)),
        "deny" => id("deny", rest).map(|(request, rest)| Action::Deny { request, reason: rest.into() }),
        "revoke" => id("revoke", rest).map(|(request, rest)| Action::Revoke { request, reason: rest.into() }),
        _ => bare(line),
    }
}

/// `<resource> <duration> <reason>` without the word: or a slip of a word.
fn bare(line: &str) -> Result<Action, Refusal> {
    let (first, rest) = split(line);
    let (second, _) = split(rest);
    let looks_like_request = second.parse::<Span>().is_ok();
    if !looks_like_request && let Some(word) = slip(first) {
        let usage = WORDS.iter().find(|(known, _, _)| *known == word).map_or("", |(_, usage, _)| usage);
        return Err(Refusal::Words(format!(
            "`{}` is no word Countersign knows. Did you mean {usage}?",
            shorten(first)
        )));
    }
    request(line)
}

/// What is asked for: the resource, for how long, and the rest of the line.
fn wish<'a>(rest: &'a str, example: &str) -> Result<(&'a str, Span, &'a str), Refusal> {
    let (resource, rest) = split(rest);
    if resource.is_empty() {
        return Err(Refusal::Words(format!("say what you need, for how long, and why: for example {example}")));
    }
    let (duration, rest) = split(rest);
    if duration.is_empty() {
        let resource = shorten(resource);
        return Err(Refusal::Words(format!(
            "say for how long and why: `/access {resource} 30m <reason>`. `/access help` lists the other words"
        )));
    }
    Ok((resource, duration_of(duration, example)?, rest))
}

pub(super) fn duration_of(word: &str, example: &str) -> Result<Span, Refusal> {
    word.parse::<Span>().map_err(|error| match error {
        DurationError::Form => {
            Refusal::Words(format!("`{}` is no duration: {error}; for example {example}", shorten(word)))
        }
        DurationError::Zero | DurationError::TooLong => Refusal::Words(format!("{error}; for example {example}")),
    })
}

/// A text that begins with a duration, and the rest of it.
fn leading_span<'a>(text: &'a str, example: &str) -> Result<(Span, &'a str), Refusal> {
    let (duration, rest) = split(text);
    if duration.is_empty() {
        return Err(Refusal::Words(format!("say for how long, for example `{example}`")));
    }
    Ok((duration_of(duration, &format!("`{example}`"))?, rest))
}

fn request(rest: &str) -> Result<Action, Refusal> {
    let (resource, span, rest) = wish(rest, "`/access prod-db 30m fixing INC-42`")?;
    let (word, after) = split(rest);
    let (moment, after) = split(after);
    // "from" may as well be the first word of a reason.
    let start = start_of(moment).filter(|_| word.eq_ignore_ascii_case("from"));
    let reason = if start.is_some() { after } else { rest };
    Ok(Action::Request { resource: resource.to_owned(), span, reason: reason.to_owned(), plan: Vec::new(), start })
}

/// A moment in a field of its own.
pub(super) fn start(word: &str) -> Result<Start, Refusal> {
    let words = || format!("`{}` is no time to start at: write `02:00` or `2026-11-22T02:00`", shorten(word));
    start_of(word).ok_or_else(|| Refusal::Words(words()))
}

/// How long a pre-approval holds that does not say.
pub(super) fn usual_window() -> Span {
    Span::hours(WINDOW_HOURS)
}

/// `02:00`, or `2026-11-22T02:00`.
fn start_of(word: &str) -> Option<Start> {
    let clock = NaiveTime::parse_from_str(word, "%H:%M").map(Start::Clock);
    clock.or_else(|_| NaiveDateTime::parse_from_str(word, "%Y-%m-%dT%H:%M").map(Start::Day)).ok()
}

fn break_glass(rest: &str) -> Result<Action, Refusal> {
    let (resource, span, reason) = wish(rest, "`/access break-glass prod-db 30m the orders are down, INC-42`")?;
    Ok(Action::BreakGlass { resource: resource.to_owned(), span, reason: reason.to_owned(), plan: Vec::new() })
}

/// `[for <duration>] [comment]`.
fn approve(request: RequestId, rest: &str) -> Result<Action, Refusal> {
    let (word, after) = split(rest);
    let (duration, comment) = split(after);
    if word.eq_ignore_ascii_case("for") && duration.starts_with(|c: char| c.is_ascii_digit()) {
        let span = duration_of(duration, "`/access approve 17 for 15m`")?;
        return Ok(Action::Approve { request, span: Some(span), comment: comment.to_owned() });
    }
    Ok(Action::Approve { request, span: None, comment: rest.to_owned() })
}

fn review(rest: &str) -> Result<Action, Refusal> {
    let (request, rest) = id("review", rest)?;
    let (word, notes) = split(rest);
    let found = [Finding::Ok, Finding::Concern].into_iter().find(|finding| word.eq_ignore_ascii_case(finding.word()));
    match found {
        Some(finding) => Ok(Action::Review { request, finding, notes: notes.to_owned() }),
        None => Err(Refusal::Words(format!(
            "say what you found: `/access review {0} ok <notes>` or `/access review {0} concern <notes>`",
            request.0
        ))),
    }
}

fn allow(rest: &str) -> Result<Action, Refusal> {
    let example = "`/access allow ana prod-db 30m within 8h the migration of tonight`";
    let (person, rest) = split(rest);
    if person.is_empty() {
        return Err(Refusal::Words(format!("say who may ask for what: for example {example}")));
    }
    let (resource, span, rest) = wish(rest, example)?;
    let (word, after) = split(rest);
    let (window, reason) = split(after);
    let (window, reason) = if word.eq_ignore_ascii_case("within") && window.starts_with(|c: char| c.is_ascii_digit()) {
        (duration_of(window, example)?, reason)
    } else {
        (usual_window(), rest)
    };
    let (person, resource) = (person.trim_start_matches('@').to_owned(), resource.to_owned());
    Ok(Action::Allow { person, resource, span, window, reason: reason.to_owned() })
}

pub(super) fn id<'a>(word: &str, rest: &'a str) -> Result<(RequestId, &'a str), Refusal> {
    let (id, rest) = split(rest);
    if id.is_empty() {
        return Err(Refusal::Words(format!("say which request: `/access {word} 17`. `/access list` shows their ids")));
    }
    let digits = id.strip_prefix('#').unwrap_or(id);
    let only_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(number) if only_digits => Ok((RequestId(number), rest)),
        Ok(_) | Err(_) => Err(Refusal::Words(format!(
            "`{}` is no request's id: it is a number like `17` or `#17`. `/access list` shows them",
            shorten(id)
        ))),
    }
}

fn alone(word: &str, rest: &str, action: Action) -> Result<Action, Refusal> {
    if rest.is_empty() {
        return Ok(action);
    }
    let usage = WORDS.iter().find(|(known, _, _)| *known == word).map_or("", |(_, usage, _)| usage);
    Err(Refusal::Words(format!("there is more than Countersign understands after `{word}`. Write just {usage}")))
}

fn slip(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    WORDS
        .iter()
        .map(|(known, _, _)| (strsim::damerau_levenshtein(known, &word), *known))
        .filter(|(distance, known)| *distance <= SLIP_DISTANCE_MAX && *distance < known.len())
        .min()
        .map(|(_, known)| known)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim()))
}

/// Somebody's word, short enough to be said back, and without the quotes it is put in.
pub(super) fn shorten(word: &str) -> String {
    const SAID_BACK_CHARS_MAX: usize = 40;
    let mut said: String = word.chars().filter(|c| *c != '`').take(SAID_BACK_CHARS_MAX).collect();
    if word.chars().count() > SAID_BACK_CHARS_MAX {
        said.push('…');
    }
    said
}

#[cfg(test)]
mod tests;
