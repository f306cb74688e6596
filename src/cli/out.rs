//! What a command says: all of it goes through here. Whoever reads it may stop reading, which is no fault and ends
//! nothing that was begun; a disk that it doesn't fit on is one, told when all else is done.

use std::{
    fmt,
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

/// Why nothing more is said: a hole in what was said would be worse than its end.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Says a line, with the words of `format!`.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::out::line(format_args!($($words)*)) };
}
pub(super) use say;

/// Says a line.
pub fn line(words: fmt::Arguments<'_>) {
    part(format_args!("{words}\n"));
}

/// Says this, as it is.
pub fn part(words: impl fmt::Display) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none() {
        *failed = io::stdout().lock().write_fmt(format_args!("{words}")).err();
    }
}

/// Whether all that was said until now was taken.
pub fn heard() -> bool {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none() {
        *failed = io::stdout().flush().err();
    }
    failed.is_none()
}

/// The end of what was said.
///
/// # Errors
/// What the disk says. That nobody reads any more is none.
pub fn end() -> io::Result<()> {
    heard();
    let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner).take();
    failed.filter(|error| error.kind() != io::ErrorKind::BrokenPipe).map_or(Ok(()), Err)
}

/// Says on stderr why something was not done. When that can't be said, the exit code is what is left.
pub fn complain(words: &dyn fmt::Display) {
    drop(writeln!(io::stderr(), "{words}"));
}
