//! Whether our login has the rights it needs, and the exact statements that give them.

use chrono::{DateTime, Utc};

use super::{
    super::{ProviderError, orders},
    faults::{Sent, fault, is_forbidden},
    opening::quoted_role,
    session::{Flavour, Session, column, identifier, literal, text},
    settings::MysqlSettings,
};

/// How far the server's clock may be from ours, in seconds.
const CLOCK_DIFFERENCE_MAX_SECS: i64 = 30;
/// The oldest servers with what we need: accounts that lock and the right to end others' sessions.
const MARIADB_MIN: (u32, u32) = (10, 5);
const MYSQL_MIN: (u32, u32) = (8, 0);

/// What is missing: words with the SQL that mends it. Empty if nothing is.
pub(super) async fn lacking(session: &mut Session, settings: &MysqlSettings) -> Result<Vec<String>, ProviderError> {
    let us: String = session.one("SELECT CURRENT_USER()", ()).await?.unwrap_or_default();
    let us = us.rsplit_once('@').map_or(us.clone(), |(user, host)| format!("{}@{}", literal(user), literal(host)));
    let mut lacking = Vec::new();
    let (name, least) = match session.flavour {
        Flavour::MariaDb => ("MariaDB", MARIADB_MIN),
        Flavour::MySql => ("MySQL", MYSQL_MIN),
    };
    if version(&session.version) < least {
        lacking.push(format!("the server is older than {name} {}.{}: upgrade it", least.0, least.1));
    }
    lacking.extend(no_scheduler(session).await?);
    let granted = granted(session).await?;
    let mut wanted = vec!["CREATE USER", "PROCESS"];
    wanted.push(match session.flavour {
        Flavour::MariaDb => "CONNECTION ADMIN",
        Flavour::MySql => "CONNECTION_ADMIN",
    });
    let missing: Vec<&str> = wanted.into_iter().filter(|right| !granted.has_global(right)).collect();
    if !missing.is_empty() {
        lacking.push(format!(
            "our login can't make users and end their sessions: run as an admin `GRANT {} ON *.* TO {us};`",
            missing.join(", ")
        ));
    }
    let read = match session.flavour {
        Flavour::MariaDb => "SELECT User, Host, is_role, default_role FROM mysql.user LIMIT 1",
        Flavour::MySql => "SELECT User, Host FROM mysql.user LIMIT 1",
    };
    if let Err(e) = session.try_rows(read, ()).await {
        if !is_forbidden(&e) {
            return Err(fault(&e, Sent::Question));
        }
        let columns =
            if session.flavour == Flavour::MariaDb { "User, Host, is_role, default_role" } else { "User, Host" };
        lacking.push(format!(
            "our login can't see who is there: run as an admin `GRANT SELECT ({columns}) ON mysql.user TO {us};`"
        ));
    }
    let schema = identifier(&settings.schema);
    let exists: Option<i64> = session
        .one("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", (&settings.schema,))
        .await?;
    if !granted.has_event(&settings.schema) {
        let make = if exists == Some(0) { format!("CREATE DATABASE IF NOT EXISTS {schema}; ") } else { String::new() };
        lacking.push(format!(
            "our login can't make the events that end a grant: run as an admin `{make}GRANT EVENT ON {schema}.* TO {us};`"
        ));
    } else if exists == Some(0) {
        lacking.push(format!(
            "the database {schema} for our events is not there: run as an admin `CREATE DATABASE {schema};`"
        ));
    }
    if let Some(role) = &settings.role {
        lacking.extend(profile(session, role, &us).await?);
    }
    Ok(lacking)
}

/// What there is to say against the profile role.
async fn profile(session: &mut Session, role: &str, us: &str) -> Result<Option<String>, ProviderError> {
    let quoted = quoted_role(session.flavour, role);
    let admin: Option<i64> = session
        .one(
            "SELECT COUNT(*) FROM information_schema.APPLICABLE_ROLES WHERE ROLE_NAME = ? AND IS_GRANTABLE = 'YES'",
            (role,),
        )
        .await?;
    if admin.unwrap_or_default() > 0 {
        return powers(session, role).await;
    }
    let sql = "SELECT COUNT(*) FROM mysql.user WHERE User = ?";
    // If we can't see users, that is said already.
    let there = session.try_rows(sql, (role,)).await.ok();
    let there = there.and_then(|rows| rows.first().and_then(|row| column::<i64>(row, 0).ok()));
    Ok(Some(if there == Some(0) {
        no_profile(&quoted)
    } else {
        format!("our login can't grant {quoted}: run as an admin `GRANT {quoted} TO {us} WITH ADMIN OPTION;`")
    }))
}

/// Whether the profile role could lift its own end, as far as we can see.
async fn powers(session: &mut Session, role: &str) -> Result<Option<String>, ProviderError> {
    let quoted = quoted_role(session.flavour, role);
    let shown = match session.flavour {
        Flavour::MariaDb => {
            if session.try_change(&format!("SET ROLE {quoted}")).await.is_err() {
                return Ok(None);
            }
            let shown = session.try_rows("SHOW GRANTS FOR CURRENT_ROLE", ()).await;
            session.change("SET ROLE NONE").await?;
            shown
        }
        Flavour::MySql => session.try_rows(&format!("SHOW GRANTS FOR {quoted}"), ()).await,
    };
    let Ok(rows) = shown else { return Ok(None) };
    let mut grants = Granted::default();
    for row in &rows {
        grants.add(&text(row, 0)?);
    }
    let strong = ["CREATE USER", "SUPER", "EVENT", "ALL PRIVILEGES", "RELOAD"];
    Ok((grants.hands_on || strong.iter().any(|right| grants.has_global(right))).then(|| {
        format!(
            "the role {quoted} could lift its own end (it may make users or events everywhere, or hand on what it may): \
             use another"
        )
    }))
}

/// What `SHOW GRANTS` says.
#[derive(Debug, Default)]
struct Granted {
    global: Vec<String>,
    /// Databases in which events may be made.
    events: Vec<String>,
    /// Whether something may be handed on.
    hands_on: bool,
}

impl Granted {
    fn add(&mut self, line: &str) {
        let Some((rights, rest)) = line.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON ")) else { return };
        let Some((place, rest)) = rest.split_once(" TO ") else { return };
        self.hands_on |= rest.contains("WITH GRANT OPTION");
        let rights = rights.split(", ").map(ToOwned::to_owned);
        if place == "*.*" {
            self.global.extend(rights);
        } else if let Some(schema) = place.strip_suffix(".*")
            && rights.into_iter().any(|right| right == "EVENT" || right == "ALL PRIVILEGES")
        {
            self.events.push(schema.trim_matches('`').replace("``", "`").replace('\\', ""));
        }
    }

    fn has_global(&self, right: &str) -> bool {
        let has = |right: &str| self.global.iter().any(|found| found == right);
        // `SUPER` ends others' sessions too, on servers that still have it.
        has(right) || has("ALL PRIVILEGES") || (right.starts_with("CONNECTION") && has("SUPER"))
    }

    fn has_event(&self, schema: &str) -> bool {
        self.has_global("EVENT") || self.events.iter().any(|found| found == schema)
    }
}

async fn granted(session: &mut Session) -> Result<Granted, ProviderError> {
    let mut granted = Granted::default();
    for row in session.rows("SHOW GRANTS", ()).await? {
        granted.add(&text(&row, 0)?);
    }
    Ok(granted)
}

/// Refuses what could not end by itself: no scheduler, or a clock that is past the end already.
pub(super) async fn fit_for_grant(
    session: &mut Session,
    settings: &MysqlSettings,
    end: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), ProviderError> {
    if let Some(words) = no_scheduler(session).await? {
        return Err(ProviderError::Permanent(words));
    }
    if clock(session).await? >= end.timestamp() {
        let words = wrong_clock(session, now).await?;
        return Err(ProviderError::Permanent(
            words.unwrap_or_else(|| format!("by the server's clock the grant ended at {}", orders::written(end))),
        ));
    }
    let Some(role) = &settings.role else { return Ok(()) };
    let there = match session.try_rows("SELECT COUNT(*) FROM mysql.user WHERE User = ?", (role,)).await {
        Ok(rows) => rows.first().map(|row| column::<i64>(row, 0)).transpose()?,
        Err(e) => return Err(explained(session, &e, settings).await),
    };
    if there == Some(0) {
        return Err(ProviderError::Permanent(no_profile(&quoted_role(session.flavour, role))));
    }
    Ok(())
}

async fn no_scheduler(session: &mut Session) -> Result<Option<String>, ProviderError> {
    let scheduler: Option<String> = session.one("SELECT @@GLOBAL.event_scheduler", ()).await?;
    Ok((scheduler.as_deref() != Some("ON")).then(|| {
        "the event scheduler is off, so that nothing would end a grant if we don't: run as an admin \
         `SET GLOBAL event_scheduler = ON;` and put `event_scheduler = ON` into the server's config"
            .to_owned()
    }))
}

/// The server's clock, in seconds since 1970.
pub(super) async fn clock(session: &mut Session) -> Result<i64, ProviderError> {
    let theirs: Option<i64> = session.one("SELECT CAST(UNIX_TIMESTAMP() AS SIGNED)", ()).await?;
    theirs.ok_or_else(|| ProviderError::Permanent("the server's clock can't be read".into()))
}

/// Whether the server's clock and ours disagree: the second lock closes by the server's.
pub(super) async fn wrong_clock(session: &mut Session, now: DateTime<Utc>) -> Result<Option<String>, ProviderError> {
    let ahead = clock(session).await?.saturating_sub(now.timestamp());
    Ok(clock_words(ahead))
}

fn clock_words(ahead: i64) -> Option<String> {
    let (amount, side, when) =
        if ahead > 0 { (ahead, "ahead of", "early") } else { (ahead.saturating_neg(), "behind", "late") };
    (amount > CLOCK_DIFFERENCE_MAX_SECS).then(|| {
        format!(
            "the server's clock is {amount} s {side} ours, so that it ends grants that much too {when}: set it by NTP"
        )
    })
}

/// The profile role isn't there.
fn no_profile(quoted: &str) -> String {
    format!("the role {quoted} does not exist: run `CREATE ROLE {quoted};` and grant it what it is for")
}

/// The verdict on an error, with what to run if it is a matter of rights.
pub(super) async fn explained(
    session: &mut Session,
    error: &mysql_async::Error,
    settings: &MysqlSettings,
) -> ProviderError {
    let verdict = fault(error, Sent::Change);
    if !is_forbidden(error) {
        return verdict;
    }
    match Box::pin(lacking(session, settings)).await {
        Ok(lacking) if !lacking.is_empty() => ProviderError::Permanent(lacking.join("; ")),
        Ok(_) | Err(_) => verdict,
    }
}

/// Users can't be seen.
pub(super) fn unread(error: &mysql_async::Error) -> ProviderError {
    let verdict = fault(error, Sent::Question);
    if !is_forbidden(error) {
        return verdict;
    }
    ProviderError::Permanent(format!(
        "{verdict}; run as an admin `GRANT SELECT (User, Host) ON mysql.user` for our login, on MariaDB also of `is_role` \
         and `default_role`"
    ))
}

/// The first two numbers of a version; that of `MariaDB` may come after a `5.5.5-` for old clients.
fn version(text: &str) -> (u32, u32) {
    let text = text.strip_prefix("5.5.5-").unwrap_or(text);
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("10.11.19-MariaDB-0+deb12u1"), (10, 11));
        assert_eq!(version("5.5.5-10.6.12-MariaDB"), (10, 6));
        assert_eq!(version("8.4.3"), (8, 4));
        assert_eq!(version(""), (0, 0));
    }

    #[test]
    fn grants_are_read() {
        let mut granted = Granted::default();
        for line in [
            "GRANT `app_rw` TO `csbot`@`%` WITH ADMIN OPTION",
            "GRANT PROCESS, CREATE USER ON *.* TO `csbot`@`%` IDENTIFIED BY PASSWORD '*X'",
            "GRANT EVENT ON `counter\\_sign`.* TO `csbot`@`%`",
            "GRANT SELECT ON `orders`.* TO `csbot`@`%`",
        ] {
            granted.add(line);
        }
        assert!(granted.has_global("CREATE USER") && granted.has_global("PROCESS") && !granted.hands_on);
        assert!(!granted.has_global("CONNECTION ADMIN") && !granted.has_event("orders"));
        assert!(granted.has_event("counter_sign"));
        granted.add("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION");
        assert!(granted.has_event("orders") && granted.hands_on && granted.has_global("CONNECTION_ADMIN"));
    }

    #[test]
    fn clocks_may_differ_a_little() {
        assert_eq!(clock_words(30), None);
        assert!(clock_words(31).unwrap().contains("31 s ahead of ours, so that it ends grants that much too early"));
        assert!(clock_words(-40).unwrap().contains("40 s behind ours"));
    }
}
