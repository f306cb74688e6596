//! Where a ledger is, and what is said when it is not there, can't be read or is in use: with the file, and what to do next.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{Stop, status::Status};
use crate::ledger::{OpenError, history::HistoryError};

/// The whole path, which says the same from wherever it is read.
pub fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What is said of a ledger that a config names and that is not there.
pub fn missing(path: &Path) -> Stop {
    let hint = if path.is_absolute() {
        "`ledger.path` in countersign.toml names it; `countersign run` makes one".to_owned()
    } else {
        format!(
            "`ledger.path` in countersign.toml is `{}`, which is taken from the folder in which a command is called: call it \
             where the service is started, or put the whole path there",
            path.display()
        )
    };
    Stop::Finding(format!("there is no ledger in {}\n  hint: {hint}", whole(path).display()))
}

/// Refuses when a config names a ledger that is not there: only the service makes one.
///
/// # Errors
/// What is there instead.
pub fn must_be(path: &Path) -> Result<(), Stop> {
    // The head stays when the journal is lost: then the start says what is gone.
    let head = path.join("head");
    let kept = head.try_exists().map_err(|error| unreadable(&head, &error))?;
    let journal = path.join("journal");
    let begun = match std::fs::read_dir(&journal) {
        Ok(files) => files.flatten().any(|file| file.path().extension().is_some_and(|ending| ending == "seg")),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(unreadable(&journal, &error)),
    };
    if kept || begun { Ok(()) } else { Err(missing(path)) }
}

/// What is said of a file or folder that can't be read.
pub fn unreadable(path: &Path, error: &io::Error) -> Stop {
    Stop::Finding(cant("read", path, error))
}

/// A path that something can't be done with, why, and what to do.
pub fn cant(what: &str, path: &Path, error: &io::Error) -> String {
    format!("{} can't be {what}: {error}{}", whole(path).display(), hint(error))
}

fn hint(error: &io::Error) -> &'static str {
    if error.kind() == ErrorKind::PermissionDenied {
        "\n  hint: call it as the user that the service runs as, or as root"
    } else if error.kind() == ErrorKind::NotADirectory {
        "\n  hint: a part of that path is a file, where a folder is meant"
    } else {
        ""
    }
}

/// Why the ledger in a folder that was named on the command line can't be read.
pub fn unread(dir: &Path, error: &HistoryError) -> String {
    match error {
        HistoryError::NoLedger(_) => {
            format!("there is no ledger in {}\n  hint: name the folder that `ledger.path` names", whole(dir).display())
        }
        HistoryError::Io(error) => cant("read", dir, error),
        HistoryError::Segment { error: why, .. } => format!("{error}{}", hint(why)),
        HistoryError::Broken(_)
        | HistoryError::Damaged(_)
        | HistoryError::Head(_)
        | HistoryError::NoSuchEntry { .. } => error.to_string(),
    }
}

/// What to do about a ledger that could not be opened, as far as that is known: a line of its own.
pub fn next_step(error: &OpenError) -> String {
    let OpenError::InUse(path) = error else { return String::new() };
    let who = Status::read(path).map_or_else(String::new, |status| format!(", process {}", status.pid));
    format!("\n  hint: stop the service first{who}, and start it again afterwards")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_read_is_told_who_may() {
        let denied = io::Error::from_raw_os_error(13);
        let path = Path::new("/var/lib/countersign");
        let told = "/var/lib/countersign can't be read: Permission denied (os error 13)\n  hint: call it as the user that the \
                    service runs as, or as root";
        assert_eq!(cant("read", path, &denied), told);
        assert_eq!(unread(path, &HistoryError::Io(denied)), told);
        let segment = HistoryError::Segment { number: 3, error: io::Error::from_raw_os_error(13) };
        assert!(unread(path, &segment).ends_with("as root"));
        assert_eq!(
            cant("read", path, &io::Error::other("it is cold")),
            "/var/lib/countersign can't be read: it is cold"
        );
    }
}
