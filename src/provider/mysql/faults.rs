//! What an error of the server means: surely not done, surely not to be done, or nobody knows.

use mysql_async::{DriverError, Error, IoError};

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

/// What the server says when it may be done later: shutting down or full, a lock that was not given, or two calls for
/// one user at once (the second finds it there, or gone).
const PASSING: [u16; 17] =
    [1021, 1037, 1040, 1041, 1203, 1205, 1206, 1213, 1226, 1290, 1396, 1399, 1537, 1614, 1836, 1969, 3024];
/// What it says when it stops in the middle of something.
const BROKEN_OFF: [u16; 4] = [1053, 1152, 1317, 1927];
/// What it says when we may not.
const FORBIDDEN: [u16; 9] = [1044, 1045, 1095, 1142, 1143, 1227, 1370, 1410, 1698];
/// What it says of a user or an event that isn't there; 1396 is also said of one that is.
const ABSENT: [u16; 3] = [1396, 1539, 3162];

/// The verdict on an error. Text of the statement is left out as far as the server lets us: it quotes only near errors
/// in the syntax, and no statement has a secret in it.
pub(super) fn fault(error: &Error, sent: Sent) -> ProviderError {
    let Error::Server(answer) = error else {
        // The connection broke, or what came can't be read.
        let words = plain(&reason(error));
        return match sent {
            Sent::Nothing => ProviderError::Retry(format!("can't be reached: {words}")),
            Sent::Question => ProviderError::Retry(format!("the line broke: {words}")),
            Sent::Change => ProviderError::Unknown(format!("{words} while a change was under way")),
        };
    };
    let words = format!("the server says: {} ({})", plain(&answer.message), answer.code);
    if BROKEN_OFF.contains(&answer.code) && sent == Sent::Change {
        ProviderError::Unknown(words)
    } else if BROKEN_OFF.contains(&answer.code) || PASSING.contains(&answer.code) {
        ProviderError::Retry(words)
    } else {
        ProviderError::Permanent(words)
    }
}

/// Whether the server said that something isn't there.
pub(super) fn is_absent(error: &Error) -> bool {
    code(error).is_some_and(|code| ABSENT.contains(&code))
}

/// Whether the server said that we may not.
pub(super) fn is_forbidden(error: &Error) -> bool {
    code(error).is_some_and(|code| FORBIDDEN.contains(&code))
}

/// The server's number for an error, if it was the server that gave it.
pub(super) fn code(error: &Error) -> Option<u16> {
    if let Error::Server(answer) = error { Some(answer.code) } else { None }
}

/// Why a line broke. Nothing of what was sent is in it.
fn reason(error: &Error) -> String {
    match error {
        Error::Io(IoError::Io(error)) => error.to_string(),
        Error::Io(IoError::Tls(error)) => error.to_string(),
        // The others may quote what was sent or answered.
        Error::Driver(DriverError::ConnectionClosed) => "the connection is closed".into(),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => "the server does not support TLS".into(),
        Error::Driver(_) => "the answer can't be read".into(),
        Error::Other(_) => "the answer can't be read".into(),
        Error::Url(_) => "the address can't be used".into(),
        Error::Server(answer) => answer.message.clone(),
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX_CHARS).collect()
}
