//! Whether our login has the rights it needs, and the exact statements that give them.

use chrono::{DateTime, Utc};
use postgres_protocol::escape::escape_identifier;

use super::{
    super::ProviderError,
    session::{Session, column},
};

/// The oldest server whose `pg_terminate_backend` waits.
const SERVER_MIN: i32 = 140_000;
/// How far the server's clock may be from ours, in seconds.
const CLOCK_DIFFERENCE_MAX_SECS: i64 = 30;

/// What is missing for granting the profile role `role`: words with the SQL that mends it. Empty if nothing is. No role,
/// or our own, is no profile: then there is nothing to grant.
pub(super) async fn lacking(session: &Session, role: &str) -> Result<Vec<String>, ProviderError> {
    let about = session
        .row(
            "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_user::text, \
             r.rolsuper, r.rolcreaterole, pg_has_role('pg_signal_backend', 'USAGE') \
             FROM pg_roles r WHERE r.rolname = current_user",
            &[],
        )
        .await?;
    let version: i32 = column(&about, 0)?;
    let standby: bool = column(&about, 1)?;
    let us: String = column(&about, 2)?;
    let superuser: bool = column(&about, 3)?;
    let creates: bool = column(&about, 4)?;
    let signals: bool = column(&about, 5)?;
    let no_profile_needed = role.is_empty() || role == us;
    let (us, quoted) = (escape_identifier(&us), escape_identifier(role));

    let mut lacking = Vec::new();
    if version < SERVER_MIN {
        lacking.push(format!("the server is older than PostgreSQL {}: upgrade it", SERVER_MIN / 10_000));
    }
    if standby {
        lacking.push("the server is a standby, which can't be changed: give the URL of the primary".into());
    }
    if !superuser && !creates {
        lacking.push(format!("our login can't create roles: run as a superuser `ALTER ROLE {us} CREATEROLE;`"));
    }
    if !superuser && !signals {
        lacking.push(format!("our login can't end sessions: run as a superuser `GRANT pg_signal_backend TO {us};`"));
    }
    if no_profile_needed {
        return Ok(lacking);
    }
    let profile = session
        .rows(
            "SELECT rolsuper OR rolcreaterole OR rolreplication, pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') \
             FROM pg_roles WHERE rolname = $1",
            &[&role],
        )
        .await?;
    match profile.first() {
        None => lacking.push(no_profile(role)),
        Some(row) if column(row, 0)? => lacking.push(format!(
            "the role {quoted} could lift its own end (it is a superuser, creates roles or replicates): use another, \
             made with `CREATE ROLE … NOLOGIN;`"
        )),
        Some(row) if !column::<bool>(row, 1)? => lacking.push(format!(
            "our login can't grant {quoted}: run as a superuser `GRANT {quoted} TO {us} WITH ADMIN OPTION;`"
        )),
        Some(_) => {}
    }
    Ok(lacking)
}

/// Whether the server's clock and ours disagree: the second lock closes by the server's.
pub(super) async fn wrong_clock(session: &Session, now: DateTime<Utc>) -> Result<Option<String>, ProviderError> {
    let row = session.row("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint", &[]).await?;
    Ok(clock_words(column(&row, 0)?, now))
}

/// What there is to say of the server's clock, in seconds since 1970, at `now`.
pub(super) fn clock_words(theirs: i64, now: DateTime<Utc>) -> Option<String> {
    let ahead = theirs.saturating_sub(now.timestamp());
    let (amount, side, when) =
        if ahead > 0 { (ahead, "ahead of", "early") } else { (ahead.saturating_neg(), "behind", "late") };
    (amount > CLOCK_DIFFERENCE_MAX_SECS).then(|| {
        format!(
            "the server's clock is {amount} s {side} ours, so that it ends logins that much too {when}: set it by NTP"
        )
    })
}

/// The profile role isn't there.
pub(super) fn no_profile(role: &str) -> String {
    let quoted = escape_identifier(role);
    format!("the role {quoted} does not exist: run `CREATE ROLE {quoted} NOLOGIN;` and grant it what it is for")
}
