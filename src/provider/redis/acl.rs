//! The server's list of users, and our mark on one.
//!
//! A user has no comment. The mark is a selector that allows no command at all, with the pattern of a key that is in
//! nobody's use: it gives nothing, and it is shown wherever the user is.

use chrono::{DateTime, Utc};

/// What the pattern in a mark begins with.
const PREFIX: &str = "%R~countersign:";

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

/// The users whose names begin so, from the lines of `ACL LIST`.
pub(super) fn users(lines: &[String], prefix: &str) -> Vec<User> {
    lines.iter().filter_map(|line| user(line)).filter(|user| user.name.starts_with(prefix)).collect()
}

fn user(line: &str) -> Option<User> {
    let mut words = line.strip_prefix("user ")?.split(' ');
    let name = words.next()?.to_owned();
    let rest: Vec<&str> = words.collect();
    // A mark stands in brackets; a pattern of the holder's own does not.
    let marked = line.split(" (").skip(1).find_map(|selector| {
        let selector = selector.split_once(')')?.0;
        let mut words = selector.split(' ');
        let pattern = words.find_map(|word| word.strip_prefix(PREFIX))?;
        let empty = selector.ends_with(" -@all");
        let (end, resource) = pattern.split_once(':').filter(|_| empty)?;
        Some((resource.to_owned(), DateTime::from_timestamp(end.parse().ok()?, 0)?))
    });
    Some(User { name, is_on: rest.contains(&"on"), mark: marked })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_where_it_stands_and_nowhere_else() {
        let end = DateTime::from_timestamp(1_764_000_000, 0).unwrap();
        assert_eq!(mark("prod-cache", end), "(-@all %R~countersign:1764000000:prod-cache)");
        let lines = [
            "user cs_abcdefgh_1 on sanitize-payload #2c26 ~app:* resetchannels -@all +@read (%R~countersign:1764000000:prod-cache resetchannels -@all)",
            "user cs_abcdefgh_2 off sanitize-payload %R~countersign:1764000000:prod-cache resetchannels -@all +@read",
            "user cs_abcdefgh_3 on ~* &* +@all (%R~countersign:1764000000:prod-cache resetchannels -@all +get)",
            "user default on nopass ~* &* +@all",
        ]
        .map(ToOwned::to_owned);
        let found = users(&lines, "cs_");
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].mark, Some(("prod-cache".into(), end)));
        assert!(found[0].is_on && !found[1].is_on);
        assert_eq!((&found[1].mark, &found[2].mark), (&None, &None));
    }
}
