//! The event beside each user: the second lock, and where it is written whose the user is and when it ends.
//!
//! At the end it locks the user, ends its sessions and drops it, without us. It is kept after it ran, so that what it
//! says is still there if it could not do it all; a revocation removes it last.

use chrono::{DateTime, Utc};
use mysql_async::Row;

use super::{
    super::{ProviderError, mark::Mark, orders},
    session::{Flavour, Session, column, identifier, literal, text},
};

/// What is before and after the mark in an event's body.
const BEFORE_MARK: &str = "DECLARE mark TEXT DEFAULT '";
const AFTER_MARK: &str = "';";

/// Our events, or what has the name of one.
const EVENTS: &str = "SELECT EVENT_NAME, EVENT_DEFINITION, CAST(UNIX_TIMESTAMP(EXECUTE_AT) AS SIGNED), STATUS \
                      FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ? AND LEFT(EVENT_NAME, CHAR_LENGTH(?)) = ?";

/// An event with the name of one of ours.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) name: String,
    /// What its body says; `None` if it isn't ours.
    pub(super) mark: Option<Mark>,
    /// When it runs.
    pub(super) at: Option<DateTime<Utc>>,
    /// Whether it will run; one that has run will not.
    pub(super) is_due: bool,
}

/// The events in `schema` whose names begin so.
pub(super) async fn with_prefix(
    session: &mut Session,
    schema: &str,
    prefix: &str,
) -> Result<Vec<Event>, ProviderError> {
    let rows = session.rows(EVENTS, (schema, prefix, prefix)).await?;
    let events = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(events.into_iter().filter(|event| event.name.starts_with(prefix)).collect())
}

/// The event of this name.
pub(super) async fn named(session: &mut Session, schema: &str, id: &str) -> Result<Option<Event>, ProviderError> {
    Ok(with_prefix(session, schema, id).await?.into_iter().find(|event| event.name == id))
}

fn read(row: &Row) -> Result<Event, ProviderError> {
    let (name, body, status) = (text(row, 0)?, text(row, 1)?, text(row, 3)?);
    let at: Option<i64> = column(row, 2)?;
    let mark = body.split_once(BEFORE_MARK).and_then(|(_, rest)| rest.split_once(AFTER_MARK));
    let mark = mark.and_then(|(json, _)| Mark::of(json, &name));
    Ok(Event { mark, at: at.and_then(|at| DateTime::from_timestamp(at, 0)), is_due: status == "ENABLED", name })
}

/// The statement that makes the event, or sets it anew if it is there.
pub(super) fn statement(
    flavour: Flavour,
    (schema, user_host): (&str, &str),
    (id, mark, end): (&str, &Mark, DateTime<Utc>),
    there: bool,
) -> String {
    let (verb, event) = (if there { "ALTER" } else { "CREATE" }, format!("{}.{}", identifier(schema), identifier(id)));
    let at = literal(&end.format("%Y-%m-%d %H:%M:%S").to_string());
    let comment = literal(&format!("countersign: ends {}", orders::written(end)));
    let (user, name) = (format!("{}@{}", literal(id), literal(user_host)), literal(id));
    let declared = format!("{BEFORE_MARK}{}{AFTER_MARK}", mark.text());
    let body = match flavour {
        Flavour::MariaDb => format!(
            "BEGIN {declared} ALTER USER IF EXISTS {user} ACCOUNT LOCK; KILL USER {name}; DROP USER IF EXISTS {user}; \
             KILL USER {name}; END"
        ),
        Flavour::MySql => format!(
            "BEGIN {declared} DECLARE all_seen INT DEFAULT 0; DECLARE session_id BIGINT UNSIGNED; \
             DECLARE live_sessions CURSOR FOR SELECT ID FROM information_schema.PROCESSLIST WHERE USER = {name}; \
             DECLARE CONTINUE HANDLER FOR NOT FOUND SET all_seen = 1; \
             DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END; \
             ALTER USER IF EXISTS {user} ACCOUNT LOCK; OPEN live_sessions; \
             ending: LOOP FETCH live_sessions INTO session_id; IF all_seen THEN LEAVE ending; END IF; \
             KILL session_id; END LOOP; CLOSE live_sessions; DROP USER IF EXISTS {user}; END"
        ),
    };
    format!("{verb} EVENT {event} ON SCHEDULE AT {at} ON COMPLETION PRESERVE ENABLE COMMENT {comment} DO {body}")
}
