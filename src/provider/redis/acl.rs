//! The server's list of users, and our mark on one.
//!
//! A user has no comment. The mark is a selector that allows no command at all, with the pattern of a key that is in
//! nobody's use: it gives nothing, and it is shown wherever the user is.

use chrono::{DateTime, Utc};

/// What the pattern in a mark begins with.
const PREFIX: &str = "%R~countersign:";
/// A selector's three fields, each with its name.
const SELECTOR_WORDS: usize = 6;

/// A user whose name begins like ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    /// Whether one can log in as it.
    pub(super) is_on: bool,
    /// The resource and the end; `None` if it bears no mark.
    pub(super) mark: Option<(String, DateTime<Utc>)>,
}

/// The rule that puts our mark on a user.
pub(super) fn mark(resource: &str, end: DateTime<Utc>) -> String {
    format!("(-@all {PREFIX}{}:{resource})", end.timestamp())
}

/// A user, from the texts in the answer to `ACL GETUSER` in their order: each field's name, and what it holds. `None` if
/// there is no such user.
pub(super) fn user(name: &str, told: &[String]) -> Option<User> {
    let at = told.iter().rposition(|word| word == "selectors")?;
    let (about, selectors) = told.split_at(at);
    let flags = about.iter().skip_while(|word| *word != "flags").take_while(|word| *word != "passwords");
    let is_on = flags.into_iter().any(|flag| flag == "on");
    // A mark is a selector; a pattern of the holder's own is not.
    let mark = selectors.get(1..).unwrap_or_default().chunks(SELECTOR_WORDS).find_map(read_mark);
    Some(User { name: name.to_owned(), is_on, mark })
}

fn read_mark(selector: &[String]) -> Option<(String, DateTime<Utc>)> {
    let value = |name: &str| selector.iter().skip_while(|word| *word != name).nth(1);
    let pattern =
        value("keys")?.strip_prefix(PREFIX).filter(|_| value("commands").is_some_and(|rules| rules == "-@all"))?;
    let (end, resource) = pattern.split_once(':')?;
    Some((resource.to_owned(), DateTime::from_timestamp(end.parse().ok()?, 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(on: &str, keys: &str, selector: &[&str]) -> Vec<String> {
        let mut words =
            vec!["flags", on, "sanitize-payload", "passwords", "2c26", "commands", "-@all +@read", "keys", keys];
        words.extend(["channels", "", "selectors"]);
        words.extend(selector);
        words.into_iter().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_mark_is_read_where_it_stands_and_nowhere_else() {
        let end = DateTime::from_timestamp(1_764_000_000, 0).unwrap();
        assert_eq!(mark("prod-cache", end), "(-@all %R~countersign:1764000000:prod-cache)");
        let pattern = "%R~countersign:1764000000:prod-cache";
        let ours = ["commands", "-@all", "keys", pattern, "channels", ""];
        let strong = ["commands", "-@all +get", "keys", pattern, "channels", ""];
        let found = user("x", &told("on", "~app:*", &ours)).unwrap();
        assert_eq!(found, User { name: "x".into(), is_on: true, mark: Some(("prod-cache".into(), end)) });
        let found = user("x", &told("off", "~app:*", &[&strong[..], &ours].concat())).unwrap();
        assert!(!found.is_on && found.mark.is_some(), "the second selector is it");
        for (keys, selector) in [(pattern, &[][..]), ("~app:*", &strong), ("~selectors", &[])] {
            assert_eq!(user("x", &told("on", keys, selector)).unwrap().mark, None, "{keys}");
        }
        assert_eq!(user("x", &[]), None);
    }
}
