//! The words after `/access`, the same in every chat.

use crate::access::{Action, DurationError, Refusal, RequestId, Span};

use super::{Input, card::Button};

/// The words, each with how it is used and what it does: the help, and the source of "did you mean".
pub const WORDS: [(&str, &str, &str); 11] = [
    (
        "request",
        "`/access [request] <resource> <duration> <reason>`",
        "asks for access, for example `/access prod-db 30m fixing INC-42`",
    ),
    ("mine", "`/access mine`", "what you hold and what you have asked for"),
    ("list", "`/access list`", "what is pending or live, of everybody"),
    ("show", "`/access show <id>`", "one request with its history"),
    ("done", "`/access done <id>`", "gives your access back early"),
    ("cancel", "`/access cancel <id>`", "withdraws your pending request"),
    ("approve", "`/access approve <id> [comment]`", "approves somebody's request"),
    ("deny", "`/access deny <id> <reason>`", "denies it"),
    ("revoke", "`/access revoke <id> <reason>`", "ends somebody's access now"),
    ("verify", "`/access verify`", "the signed head of the ledger, and whether the chain holds"),
    ("help", "`/access help`", "this"),
];

/// A word this far from a known one may be a slip of it.
const SLIP_DISTANCE_MAX: usize = 2;

/// What something typed or pressed means.
///
/// # Errors
/// [`Refusal::Words`] if it means nothing, with what would.
pub fn read(input: &Input) -> Result<Action, Refusal> {
    match input {
        Input::Line(line) => line_of(line),
        Input::Press { request, button, text } => {
            let text = text.clone().unwrap_or_default();
            let request = *request;
            Ok(match button {
                Button::Approve => Action::Approve { request, comment: text },
                Button::Deny => Action::Deny { request, reason: text },
                Button::Cancel => Action::Cancel { request },
                Button::Show => Action::Show { request },
                Button::Done => Action::Done { request },
                Button::Revoke => Action::Revoke { request, reason: text },
            })
        }
    }
}

fn line_of(line: &str) -> Result<Action, Refusal> {
    let line = line.trim();
    let line = line.strip_prefix("/access").map_or(line, str::trim_start);
    let (word, rest) = split(line);
    match word.to_ascii_lowercase().as_str() {
        "" | "help" => Ok(Action::Help),
        "request" => request(rest),
        "mine" => alone("mine", rest, Action::Mine),
        "list" => alone("list", rest, Action::List),
        "verify" => alone("verify", rest, Action::Verify),
        "show" => id("show", rest).and_then(|(request, rest)| alone("show", rest, Action::Read { request })),
        "done" => id("done", rest).and_then(|(request, rest)| alone("done", rest, Action::Done { request })),
        "cancel" => id("cancel", rest).and_then(|(request, rest)| alone("cancel", rest, Action::Cancel { request })),
        "approve" => id("approve", rest).map(|(request, rest)| Action::Approve { request, comment: rest.into() }),
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

fn request(rest: &str) -> Result<Action, Refusal> {
    let example = "for example `/access prod-db 30m fixing INC-42`";
    let (resource, rest) = split(rest);
    if resource.is_empty() {
        return Err(Refusal::Words(format!("say what you need, for how long, and why: {example}")));
    }
    let (duration, reason) = split(rest);
    if duration.is_empty() {
        let resource = shorten(resource);
        return Err(Refusal::Words(format!(
            "say for how long and why: `/access {resource} 30m <reason>`. `/access help` lists the other words"
        )));
    }
    let span = duration.parse::<Span>().map_err(|error| match error {
        DurationError::Form => Refusal::Words(format!("`{}` is no duration: {error}; {example}", shorten(duration))),
        DurationError::Zero | DurationError::TooLong => Refusal::Words(format!("{error}; {example}")),
    })?;
    Ok(Action::Request { resource: resource.to_owned(), span, reason: reason.to_owned(), plan: Vec::new() })
}

fn id<'a>(word: &str, rest: &'a str) -> Result<(RequestId, &'a str), Refusal> {
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
fn shorten(word: &str) -> String {
    const SAID_BACK_CHARS_MAX: usize = 40;
    let mut said: String = word.chars().filter(|c| *c != '`').take(SAID_BACK_CHARS_MAX).collect();
    if word.chars().count() > SAID_BACK_CHARS_MAX {
        said.push('…');
    }
    said
}

#[cfg(test)]
mod tests;
