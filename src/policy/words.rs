//! What people are told when the rules say no: lower case, no full stop, with what would help.

use super::Book;
use crate::access::{PolicyId, Question, Resource, Right};

/// Whom to ask instead: some of those who may.
pub fn whom(people: &[&str]) -> String {
    match people.split_last() {
        None => "Ask whoever looks after the config who may".into(),
        Some((only, [])) => format!("Ask {only}"),
        Some((last, others)) => format!("Ask {} or {last}", others.join(", ")),
    }
}

/// No policy permits it.
pub fn silent(question: &Question<'_>, hint: &dyn Fn(Right) -> String) -> String {
    let resource = question.resource;
    match question.right {
        Right::Request => format!(
            "you may not ask for `{resource}`: its `requesters` don't name you, and no policy lets you. Whoever looks \
             after `resources.toml` can add you"
        ),
        Right::Approve => format!("you are no approver of `{resource}`. {}", hint(Right::Approve)),
        Right::AutoApprove => format!("no rule approves `{resource}` for you by itself. {}", hint(Right::Approve)),
        Right::BreakGlass => format!(
            "you may not break the glass for `{resource}`. Ask for it in the usual way: `/access {resource} 30m <reason>`"
        ),
        Right::Revoke => format!("you may not end access to `{resource}`. {}", hint(Right::Revoke)),
        Right::Review => format!("you may not review a break-glass of `{resource}`. {}", hint(Right::Review)),
        Right::ReadLog | Right::Administer => {
            format!("only those who answer for security may do that. {}", hint(question.right))
        }
    }
}

/// Policies forbid it.
pub fn forbidden(policies: &[PolicyId], book: &Book, resource: Option<&Resource>, question: &Question<'_>) -> String {
    let own: Vec<String> = policies
        .iter()
        .filter_map(|id| Some((id, book.known.get(id)?)))
        .filter(|(_, known)| !known.shipped)
        .map(|(id, known)| {
            let reason = known.reason.as_deref().map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
            let advice = known.advice.as_deref().map(|advice| format!(". {}", plain(advice))).unwrap_or_default();
            format!("the rule `{id}` forbids it{reason}{advice}")
        })
        .collect();
    if !own.is_empty() {
        return own.join("; ");
    }
    let asked = question.span;
    let limit = |most| {
        format!("`{}` is given for {most} at most, and this asks for {asked}. Ask for `{most}`", question.resource)
    };
    for id in policies {
        match (id.as_str(), resource) {
            ("max-duration", Some(resource)) => return limit(resource.max_duration),
            ("break-glass-max", Some(resource)) => return limit(resource.break_glass_max),
            ("no-self-approval", _) => {
                return "nobody approves what they asked for themselves, from any account".into();
            }
            ("no-self-review", _) => return "nobody reviews their own break-glass, from any account".into(),
            _ => {}
        }
    }
    format!("the rule `{}` forbids it", policies.join("`, `"))
}

/// Only policies permit it that name the asker.
pub fn personal(policies: &[PolicyId], hint: &str) -> String {
    format!(
        "`{}` would approve this by itself, but names you in person, and nobody is approved by a rule made for them \
         alone. {hint}",
        policies.join("`, `")
    )
}

/// It depends on groups of which nobody can say who is in them.
pub fn doubtful(groups: &[(String, String)]) -> String {
    let groups: Vec<String> = groups.iter().map(|(group, why)| format!("`{group}` ({why})")).collect();
    format!(
        "this depends on who is in {}, which can't be found out right now, and what can't be found out is a no. Try \
         again in a minute",
        groups.join(" and ")
    )
}

/// Policies failed.
pub fn broken(errors: &[(PolicyId, String)]) -> String {
    let errors: Vec<String> = errors
        .iter()
        .map(|(id, why)| if id.is_empty() { plain(why) } else { format!("`{id}` ({})", plain(why)) })
        .collect();
    format!(
        "the rules could not be evaluated, so the answer is no: {}. Whoever looks after `policy.cedar` has to mend it",
        errors.join("; ")
    )
}

/// Words of others as the part of a sentence: one line, no stop at its end.
fn plain(text: &str) -> String {
    const WORDS_CHARS_MAX: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.trim_end_matches('.').chars().take(WORDS_CHARS_MAX).collect()
}
