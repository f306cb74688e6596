//! Closing a door: block what is new, end what is live, remove, verify. Each statement stands for itself, so that what
//! could be done stays done. The event goes last: until then it is the second lock.

use super::{
    super::ProviderError,
    event,
    faults::{Sent, code, fault, is_absent},
    rights,
    session::{Flavour, Session, column, identifier, literal, text},
    settings::MysqlSettings,
};

/// How often sessions are looked for until none is left.
const ROUNDS_MAX: usize = 40;
/// How long the server waits between two looks, in seconds.
const ROUND_SECS: &str = "0.05";
/// `MySQL` doesn't drop whom a view, a procedure or an event is defined by.
const IS_DEFINER: [u16; 2] = [4005, 4006];

/// Removes the user `id`, its sessions and its event. A user with neither our mark beside it nor a note of ours is
/// somebody else's.
pub(super) async fn close(
    session: &mut Session,
    settings: &MysqlSettings,
    id: &str,
    known: bool,
) -> Result<(), ProviderError> {
    let found = event::named(session, &settings.schema, id).await?;
    let hosts = hosts(session, id).await?;
    let ours = known || found.as_ref().is_some_and(|event| event.mark.is_some());
    if (found.is_some() || !hosts.is_empty()) && !ours {
        return Err(not_ours(id));
    }
    let users: Vec<String> = hosts.iter().map(|host| format!("{}@{}", literal(id), literal(host))).collect();
    for user in &users {
        change(session, settings, &format!("ALTER USER {user} ACCOUNT LOCK")).await?;
    }
    end_sessions(session, settings, id).await?;
    for user in &users {
        match session.try_change(&format!("DROP USER IF EXISTS {user}")).await {
            Ok(()) => {}
            Err(e) if code(&e).is_some_and(|code| IS_DEFINER.contains(&code)) => {
                return Err(stuck(session, settings, user).await?);
            }
            Err(e) => return Err(rights::explained(session, &e, settings).await),
        }
    }
    if !self::hosts(session, id).await?.is_empty() {
        return Err(ProviderError::Unknown(format!("the user {id} is still there after it was dropped")));
    }
    // Somebody may have been let in before the user was locked and have been seen by nobody until now.
    end_sessions(session, settings, id).await?;
    if found.is_some() {
        let event = format!("{}.{}", identifier(&settings.schema), identifier(id));
        change(session, settings, &format!("DROP EVENT IF EXISTS {event}")).await?;
        if event::named(session, &settings.schema, id).await?.is_some() {
            return Err(ProviderError::Unknown(format!("the event {id} is still there after it was dropped")));
        }
    }
    Ok(())
}

/// Where a user of this name may come from; none if there is no such user.
pub(super) async fn hosts(session: &mut Session, id: &str) -> Result<Vec<String>, ProviderError> {
    let rows = match session.try_rows("SELECT Host FROM mysql.user WHERE User = ?", (id,)).await {
        Ok(rows) => rows,
        Err(e) => return Err(rights::unread(&e)),
    };
    rows.iter().map(|row| text(row, 0)).collect()
}

/// Something has the name of one of ours and isn't.
pub(super) fn not_ours(id: &str) -> ProviderError {
    ProviderError::Permanent(format!(
        "there is a user or an event {id} that doesn't bear our mark: it is left alone; look where it comes from"
    ))
}

/// Runs a change; that something isn't there any more is as good.
async fn change(session: &mut Session, settings: &MysqlSettings, sql: &str) -> Result<(), ProviderError> {
    match session.try_change(sql).await {
        Ok(()) => Ok(()),
        Err(e) if is_absent(&e) => Ok(()),
        Err(e) => Err(rights::explained(session, &e, settings).await),
    }
}

/// Ends the sessions of a user, whether it is still there or not, and waits until they are gone.
async fn end_sessions(session: &mut Session, settings: &MysqlSettings, id: &str) -> Result<(), ProviderError> {
    const LIVE: &str = "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = ?";
    for round in 0..ROUNDS_MAX {
        let rows = session.rows(LIVE, (id,)).await?;
        if rows.is_empty() {
            return Ok(());
        }
        if round > 0 {
            session.rows(&format!("SELECT SLEEP({ROUND_SECS})"), ()).await?;
        }
        // One that came in since is told too.
        match session.flavour {
            Flavour::MariaDb => kill(session, settings, &format!("KILL USER {}", literal(id))).await?,
            Flavour::MySql => {
                for row in &rows {
                    let number: u64 = column(row, 0)?;
                    kill(session, settings, &format!("KILL {number}")).await?;
                }
            }
        }
    }
    let live = session.rows(LIVE, (id,)).await?.len();
    if live == 0 {
        Ok(())
    } else {
        Err(ProviderError::Retry(format!("{live} sessions of the user have not ended yet")))
    }
}

async fn kill(session: &mut Session, settings: &MysqlSettings, sql: &str) -> Result<(), ProviderError> {
    /// There is no such session any more.
    const GONE: u16 = 1094;
    match session.try_change(sql).await {
        Ok(()) => Ok(()),
        Err(e) if code(&e) == Some(GONE) => Ok(()),
        Err(e) => Err(rights::explained(session, &e, settings).await),
    }
}

/// The holder has defined something that runs as them. They can't log in any more; here they lose the profile too.
async fn stuck(session: &mut Session, settings: &MysqlSettings, user: &str) -> Result<ProviderError, ProviderError> {
    session
        .try_change(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user}"))
        .await
        .map_err(|e| fault(&e, Sent::Change))
        .ok();
    if let Some(role) = &settings.role {
        let role = super::opening::quoted_role(session.flavour, role);
        session.change(&format!("REVOKE {role} FROM {user}")).await?;
    }
    Ok(ProviderError::Permanent(format!(
        "the user {user} can't log in and has no session and no profile any more, but it can't be dropped: it defines a \
         view, a procedure, a trigger or an event; drop these, or run as an admin \
         `GRANT ALLOW_NONEXISTENT_DEFINER ON *.* TO` our login (`SET_USER_ID` before MySQL 8.2)"
    )))
}
