//! What people see, as text: cards, answers, and where a grant is in its life.

use super::chats::Standing;
use crate::{
    access::{Cause, Phase, Request},
    chat::{
        Bulletin,
        card::{Card, Line, Span},
        draw, text,
    },
};

/// The places in a grant's life, as a story names them.
pub const PHASES: [&str; 14] = [
    "pending",
    "approved",
    "scheduled",
    "ordered",
    "deferred",
    "live",
    "ending",
    "ended",
    "owing",
    "denied",
    "cancelled",
    "lapsed",
    "failed",
    "extended",
];
/// Why a grant ends.
pub const CAUSES: [&str; 4] = ["expired", "returned", "revoked", "unknown"];

/// What a story may call the place of a request in its life; the first is the most exact.
pub fn names_of(request: &Request) -> Vec<String> {
    let mut names = names_of_phase(&request.phase);
    if matches!(request.phase, Phase::Approved { .. }) && request.manner.starts_at.is_some() {
        names.insert(0, "scheduled".to_owned());
    }
    if request.owes_review() {
        names.push("owing".to_owned());
    }
    names
}

fn names_of_phase(phase: &Phase) -> Vec<String> {
    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    match phase {
        Phase::Pending => of(&["pending"]),
        Phase::Approved { .. } => of(&["approved"]),
        Phase::Ordered { .. } => of(&["ordered", "approved"]),
        Phase::Deferred { .. } => of(&["deferred", "approved"]),
        Phase::Live { .. } => of(&["live"]),
        Phase::Ending { cause, .. } => vec![format!("ending {}", cause_name(*cause)), "ending".to_owned()],
        Phase::Ended { cause: Cause::Unknown } => of(&["ended unknown", "ended", "failed"]),
        Phase::Ended { cause } => vec![format!("ended {}", cause_name(*cause)), "ended".to_owned()],
        Phase::Denied => of(&["denied"]),
        Phase::Cancelled => of(&["cancelled"]),
        Phase::Lapsed => of(&["lapsed"]),
        Phase::Failed => of(&["failed"]),
        Phase::Extended => of(&["extended"]),
    }
}

fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Expired => "expired",
        Cause::Returned => "returned",
        Cause::Revoked => "revoked",
        Cause::Unknown => "unknown",
    }
}

/// A line as a reader sees it. What is a hash or a signature is left out: it is another one in every run.
pub fn line(line: &Line) -> String {
    let mut words = String::new();
    for span in line {
        match span {
            Span::Code(text) if text.split(' ').any(is_hash) => words.push('…'),
            Span::Text(text) | Span::Strong(text) | Span::Code(text) => words.push_str(text),
            Span::Person(name) => words.extend(["@", name]),
            Span::Time(at) => words.push_str(&draw::utc(*at)),
        }
    }
    steady(&text::one_line(&words))
}

/// A card, a line each.
pub fn card(card: &Card) -> Vec<String> {
    let mut lines = vec![format!("{} {}", card.request, steady(&text::one_line(&card.title))), line(&card.headline)];
    lines.extend(card.fields.iter().map(|field| format!("{}: {}", field.label, line(&field.value))));
    lines.extend(card.plan.iter().map(|step| format!("Will be done: {}", steady(&text::one_line(step)))));
    lines.extend(card.history.iter().map(|step| format!("{} {}", draw::utc(step.at), line(&step.line))));
    if !card.buttons.is_empty() {
        let labels: Vec<String> = card.buttons.iter().map(|(_, label)| format!("[{label}]")).collect();
        lines.push(labels.join(" "));
    }
    lines
}

/// A card with where it stands, a line each.
pub fn standing(standing: &Standing) -> Vec<String> {
    let mut lines = vec![format!("the card in #{} on {}:", standing.channel, standing.chat.word())];
    lines.extend(card(&standing.card).into_iter().map(|line| format!("  | {line}")));
    lines
}

/// A bulletin in one line.
pub fn bulletin(bulletin: &Bulletin) -> String {
    let lines = bulletin.lines.iter().map(line);
    std::iter::once(text::one_line(&bulletin.title).into_owned()).chain(lines).collect::<Vec<_>>().join(" / ")
}

/// Whether `words` are in `text`, whatever the case, the space between words, the kind of apostrophe, and backticks.
pub fn has(text: &str, words: &str) -> bool {
    plain(text).contains(&plain(words))
}

fn plain(text: &str) -> String {
    let words: Vec<String> =
        text.split_whitespace().map(|word| word.to_lowercase().replace('’', "'").replace('`', "")).collect();
    words.join(" ")
}

/// The text without hashes and signatures.
fn steady(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').map(|word| if is_hash(word) { "…" } else { word }).collect();
    words.join(" ")
}

/// Whether a word is a hash or a signature: a long run of letters and digits that no person writes.
fn is_hash(word: &str) -> bool {
    const HASH_CHARS_MIN: usize = 40;
    word.len() >= HASH_CHARS_MIN
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
        && word.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whatever_their_dress() {
        assert!(has("People can’t  approve\ntheir own request.", "can't approve their OWN request"));
        assert!(has("no approver of prod-db", "no approver of `prod-db`"));
        assert!(!has("0 of 2", "0 of 1"));
    }

    #[test]
    fn hashes_are_left_out() {
        let hash = "0123456789abcdef".repeat(4);
        assert_eq!(steady(&format!("leaf {hash} of #4")), "leaf … of #4");
        assert_eq!(
            steady("donaudampfschifffahrtsgesellschaftskapitänsmütze"),
            "donaudampfschifffahrtsgesellschaftskapitänsmütze"
        );
    }

    #[test]
    fn every_phase_has_a_name_that_a_story_may_use() {
        let phases = [
            Phase::Pending,
            Phase::Denied,
            Phase::Cancelled,
            Phase::Lapsed,
            Phase::Failed,
            Phase::Extended,
            Phase::Ended { cause: Cause::Unknown },
            Phase::Ended { cause: Cause::Expired },
        ];
        for phase in phases {
            for name in names_of_phase(&phase) {
                let mut words = name.split(' ');
                assert!(PHASES.contains(&words.next().unwrap()), "{name}");
                assert!(words.all(|cause| CAUSES.contains(&cause)), "{name}");
            }
        }
    }
}
