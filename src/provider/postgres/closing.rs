//! Closing a door: block what is new, end what is live, remove, verify. Each statement is its own transaction, so that
//! what could be done stays done.

use postgres_protocol::escape::escape_identifier;

use super::{
    super::{ProviderError, mark::Mark, statements},
    faults::{Sent, fault, has_dependents, is_absent, is_forbidden},
    rights,
    session::{Address, Session, column},
};

/// How long the server waits for one session to end, in milliseconds.
const END_WAIT_MILLIS: i64 = 1500;
/// How often sessions that came in between are looked for again.
const ROUNDS_MAX: usize = 3;

/// Removes the role `id`, its sessions and its traces. `known` are the numbers that our roles of this name had: a role
/// with neither one of them nor our mark is somebody else's. `wishes` are the operator's statements; whatever becomes of
/// them, the role is ended and seen gone.
pub(super) async fn close(
    session: &Session,
    address: &Address,
    id: &str,
    profile: &str,
    known: &[u32],
    wishes: &[String],
) -> Result<(), ProviderError> {
    const ROLE: &str = "SELECT oid, coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = $1";
    let found = session.rows(ROLE, &[&id]).await?;
    let Some(role) = found.first() else { return Ok(()) };
    let oid: u32 = column(role, 0)?;
    if !known.contains(&oid) && Mark::of(column(role, 1)?, id).is_none() {
        return Err(not_ours(id));
    }
    let name = escape_identifier(id);
    match session.try_change(&format!("ALTER ROLE {name} NOLOGIN PASSWORD NULL")).await {
        Ok(()) => {}
        Err(e) if is_absent(&e) => {}
        Err(e) => return Err(explained(session, &e, profile).await),
    }
    end_sessions(session, oid, profile).await?;
    for (number, sql) in (1..).zip(wishes) {
        if let Err(error) = session.change(sql).await {
            let error = statements::about("revocation_statements", number, error);
            tracing::warn!(id, %error, "the role is ended all the same");
        }
    }
    match session.try_change(&format!("DROP ROLE IF EXISTS {name}")).await {
        Ok(()) => {}
        Err(e) if has_dependents(&e) => {
            disown(session, address, oid, id, profile).await?;
            match session.try_change(&format!("DROP ROLE IF EXISTS {name}")).await {
                Ok(()) => {}
                Err(e) if has_dependents(&e) => return Err(stuck(session, oid, id, profile).await?),
                Err(e) => return Err(explained(session, &e, profile).await),
            }
        }
        Err(e) => return Err(explained(session, &e, profile).await),
    }
    if oid_of(session, id).await?.is_some() {
        return Err(ProviderError::Unknown(format!("the role {name} is still there after it was dropped")));
    }
    // Somebody may have been let in before the role was blocked and have been seen by nobody until now.
    end_sessions(session, oid, profile).await
}

/// A role has the name of one of ours and isn't.
pub(super) fn not_ours(id: &str) -> ProviderError {
    let name = escape_identifier(id);
    ProviderError::Permanent(format!(
        "there is a role {name} that doesn't bear our mark: it is left alone; look where it comes from"
    ))
}

/// Ends the sessions of a role that is gone: it was dropped by somebody else, or by us just before we were killed.
pub(super) async fn end_orphans(session: &Session, oids: &[u32], profile: &str) -> Result<(), ProviderError> {
    for oid in oids {
        // A number that is in use again is somebody else's.
        if session.rows("SELECT 1 FROM pg_roles WHERE oid = $1", &[oid]).await?.is_empty() {
            end_sessions(session, *oid, profile).await?;
        }
    }
    Ok(())
}

/// The number of a role; sessions are found by it also when the role is gone, by its name they are not.
pub(super) async fn oid_of(session: &Session, name: &str) -> Result<Option<u32>, ProviderError> {
    let rows = session.rows("SELECT oid FROM pg_roles WHERE rolname = $1", &[&name]).await?;
    rows.first().map(|row| column(row, 0)).transpose()
}

async fn end_sessions(session: &Session, oid: u32, profile: &str) -> Result<(), ProviderError> {
    const SIGNAL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = $1";
    const WAIT: &str = "SELECT pg_terminate_backend(pid, $2) FROM pg_stat_activity WHERE usesysid = $1";
    const LIVE: &str = "SELECT count(*) FROM pg_stat_activity WHERE usesysid = $1";
    for _ in 0..ROUNDS_MAX {
        let live: i64 = column(&session.row(LIVE, &[&oid]).await?, 0)?;
        if live == 0 {
            return Ok(());
        }
        // All are told before the first is waited for.
        for (sql, values) in [(SIGNAL, &[&oid as _][..]), (WAIT, &[&oid as _, &END_WAIT_MILLIS as _][..])] {
            if let Err(e) = session.try_rows(sql, values).await {
                return Err(explained(session, &e, profile).await);
            }
        }
    }
    let live: i64 = column(&session.row(LIVE, &[&oid]).await?, 0)?;
    if live == 0 {
        Ok(())
    } else {
        Err(ProviderError::Retry(format!("{live} sessions of the role have not ended yet")))
    }
}

/// Gives what the role owns to the profile role and takes away what it may, in each database that it left a trace in.
/// A holder who steps out of the profile (`SET ROLE NONE`) can own large objects, and those they have granted
/// something to the role by name keep it from being dropped.
async fn disown(session: &Session, address: &Address, oid: u32, id: &str, profile: &str) -> Result<(), ProviderError> {
    let (name, heir) = (escape_identifier(id), escape_identifier(profile));
    // Both statements want us to be a member of the role; the membership goes with the role.
    if let Err(e) = session.try_change(&format!("GRANT {name} TO CURRENT_USER")).await {
        return Err(explained(session, &e, profile).await);
    }
    for database in traces(session, oid).await? {
        let there = address.with_database(&database).connect().await?;
        for sql in [format!("REASSIGN OWNED BY {name} TO {heir}"), format!("DROP OWNED BY {name}")] {
            if let Err(e) = there.try_change(&sql).await {
                return Err(explained(session, &e, profile).await);
            }
        }
    }
    Ok(())
}

/// The databases in which something depends on a role; what is in none of them (a database's own rights) can be
/// mended from ours.
async fn traces(session: &Session, oid: u32) -> Result<Vec<String>, ProviderError> {
    let rows = session
        .rows(
            "SELECT DISTINCT coalesce(b.datname, current_database())::text FROM pg_shdepend d \
             LEFT JOIN pg_database b ON b.oid = d.dbid \
             WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = $1",
            &[&oid],
        )
        .await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

/// Somebody granted the role something that only they or a superuser can take back. It can't log in any more; here it
/// loses the profile too.
async fn stuck(session: &Session, oid: u32, id: &str, profile: &str) -> Result<ProviderError, ProviderError> {
    let name = escape_identifier(id);
    session.change(&format!("REVOKE {} FROM {name}", escape_identifier(profile))).await?;
    let places =
        traces(session, oid).await?.iter().map(|place| escape_identifier(place)).collect::<Vec<_>>().join(", ");
    Ok(ProviderError::Permanent(format!(
        "the role {name} can't log in and has no session and no rights of {} any more, but it can't be dropped: somebody \
         granted it something by name; run as a superuser in {places} `DROP OWNED BY {name};`",
        escape_identifier(profile),
    )))
}

/// The verdict on an error, with what to run if it is a matter of rights.
pub(super) async fn explained(session: &Session, error: &tokio_postgres::Error, profile: &str) -> ProviderError {
    let verdict = fault(error, Sent::Change);
    if !is_forbidden(error) {
        return verdict;
    }
    match rights::lacking(session, profile).await {
        Ok(lacking) if !lacking.is_empty() => ProviderError::Permanent(lacking.join("; ")),
        Ok(_) | Err(_) => verdict,
    }
}
