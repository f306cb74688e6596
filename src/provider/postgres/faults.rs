//! What an error of the server means: surely not done, surely not to be done, or nobody knows.

use tokio_postgres::{Error, error::SqlState};

use super::super::ProviderError;

/// Longest message of the server that is passed on, in characters.
const MESSAGE_MAX_CHARS: usize = 300;

/// What was under way when an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Nothing: we were connecting.
    Nothing,
    /// A question that changes nothing.
    Question,
    /// A change.
    Change,
}

/// The verdict on an error. Details of the server's message are left out: they may quote values.
pub(super) fn fault(error: &Error, sent: Sent) -> ProviderError {
    let Some(answer) = error.as_db_error() else {
        // The connection broke, or what came can't be read.
        return match sent {
            Sent::Nothing => ProviderError::Retry("can't be reached".into()),
            Sent::Question => ProviderError::Retry(format!("PostgreSQL: {error}")),
            Sent::Change => ProviderError::Unknown(format!("PostgreSQL: {error} while a change was under way")),
        };
    };
    let message: String = answer.message().chars().filter(|c| !c.is_control()).take(MESSAGE_MAX_CHARS).collect();
    let words = format!("PostgreSQL says: {message} ({})", answer.code().code());
    let code = answer.code();
    let shut_down = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::IDLE_SESSION_TIMEOUT].contains(code);
    let passing = [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::OBJECT_IN_USE,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        // Two calls that make one role at once: the second finds it there, before or after it has looked.
        SqlState::DUPLICATE_OBJECT,
        SqlState::UNIQUE_VIOLATION,
        // "tuple concurrently updated": two calls for one role at once.
        SqlState::INTERNAL_ERROR,
    ];
    // Class 53: too many connections, disk full, out of memory.
    if shut_down && sent == Sent::Change {
        ProviderError::Unknown(words)
    } else if shut_down || passing.contains(code) || code.code().starts_with("53") {
        ProviderError::Retry(words)
    } else {
        ProviderError::Permanent(words)
    }
}

/// Whether the server said that something isn't there.
pub(super) fn is_absent(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNDEFINED_OBJECT)
}

/// Whether the server said that a role owns something or may do something somewhere.
pub(super) fn has_dependents(error: &Error) -> bool {
    error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST)
}

/// Whether the server said that we may not.
pub(super) fn is_forbidden(error: &Error) -> bool {
    error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}
