//! Opening a door: first the event that will shut it, then the user, then what the user may do. What fails halfway is
//! taken back.

use chrono::{DateTime, Utc};

use super::{
    super::{
        Order, ProviderError,
        mark::Mark,
        random,
        statements::{self, Values},
    },
    closing, event,
    faults::{Sent, fault, is_forbidden},
    hash, rights,
    session::{Address, Flavour, Session, identifier, literal, text},
    settings::MysqlSettings,
};

/// Length of a password, in characters of 5.95 bits.
const PASSWORD_CHARS: usize = 32;

/// What an opening needs to know.
pub(super) struct Opening<'a> {
    pub(super) settings: &'a MysqlSettings,
    pub(super) address: &'a Address,
    pub(super) resource: &'a str,
    pub(super) order: &'a Order,
    pub(super) now: DateTime<Utc>,
    /// Whether we noted that we make a user of this name.
    pub(super) known: bool,
}

impl Opening<'_> {
    fn user(&self) -> String {
        user(&self.order.external_id, self.settings)
    }

    /// Opens the door, or sets its end anew.
    pub(super) async fn open(&self, session: &mut Session) -> Result<(), ProviderError> {
        let (settings, id) = (self.settings, &self.order.external_id);
        rights::fit_for_grant(session, settings, self.order.not_after, self.now).await?;
        let mut found = event::named(session, &settings.schema, id).await?;
        let mut hosts = closing::hosts(session, id).await?;
        let mark = found.as_ref().and_then(|event| event.mark.clone());
        if (!hosts.is_empty() || found.is_some()) && mark.is_none() && !self.known {
            return Err(closing::not_ours(id));
        }
        if mark.is_some_and(|mark| mark.is_half()) {
            // We died while it was made: nobody knows how far that came.
            closing::close(session, settings, id, self.known).await?;
            (found, hosts) = (None, Vec::new());
        }
        let there = hosts.contains(&settings.user_host);
        let made = self.make(session, found.is_some(), there).await;
        if let Err(error) = made {
            if there || matches!(error, ProviderError::Unknown(_)) {
                return Err(error);
            }
            return Err(match closing::close(session, settings, id, true).await {
                Ok(()) => error,
                Err(left) => ProviderError::Unknown(format!("{error}; and it could not be taken back: {left}")),
            });
        }
        Ok(())
    }

    async fn make(&self, session: &mut Session, event_there: bool, user_there: bool) -> Result<(), ProviderError> {
        let settings = self.settings;
        let whole = Mark::new(self.order, self.resource);
        let by_statements = !user_there && !settings.creation.is_empty();
        let mark = if by_statements { whole.clone().half() } else { whole.clone() };
        self.set_event(session, &mark, event_there).await?;
        let limit = settings.connection_limit;
        let user = self.user();
        if by_statements {
            self.run_statements(session).await?;
        }
        let unknown_password = random::base62(PASSWORD_CHARS)?;
        let nobody_knows = identified(session.flavour, &unknown_password)?;
        let sql = if user_there {
            // The key that was cut stays.
            format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS {limit} ACCOUNT UNLOCK")
        } else {
            let verb = if by_statements { "ALTER" } else { "CREATE" };
            format!("{verb} USER {user} {nobody_knows} WITH MAX_USER_CONNECTIONS {limit}")
        };
        self.change(session, &sql).await?;
        if let Some(role) = &settings.role {
            self.give_role(session, role, unknown_password.as_str(), user_there).await?;
        }
        if by_statements {
            self.set_event(session, &whole, true).await?;
        }
        Ok(())
    }

    async fn set_event(&self, session: &mut Session, mark: &Mark, there: bool) -> Result<(), ProviderError> {
        let settings = self.settings;
        let end = DateTime::from_timestamp(self.order.not_after.timestamp(), 0).unwrap_or(self.order.not_after);
        let sql = event::statement(
            session.flavour,
            (&settings.schema, &settings.user_host),
            (&self.order.external_id, mark, end),
            there,
        );
        self.change(session, &sql).await
    }

    /// Makes the user as the operator says, with a password that nobody knows.
    async fn run_statements(&self, session: &mut Session) -> Result<(), ProviderError> {
        let password = random::base62(PASSWORD_CHARS)?;
        let expiration = statements::expiration(self.order.not_after);
        let values = Values { name: &self.order.external_id, password: &password, expiration: &expiration };
        for (number, sql) in (1..).zip(self.settings.creation.filled(&values)?) {
            let done = session.try_change(&sql).await.map_err(|e| fault(&e, Sent::Change));
            done.map_err(|error| statements::about("creation_statements", number, error))?;
        }
        let hosts = closing::hosts(session, &self.order.external_id).await?;
        if hosts.contains(&self.settings.user_host) {
            return Ok(());
        }
        Err(ProviderError::Permanent(format!(
            "`creation_statements` made no user '{{{{name}}}}'@'{}': write the host as in `user_host`",
            self.settings.user_host
        )))
    }

    /// Gives the user the profile role, active in every session of it.
    async fn give_role(
        &self,
        session: &mut Session,
        role: &str,
        password: &str,
        was_there: bool,
    ) -> Result<(), ProviderError> {
        let (id, user) = (&self.order.external_id, self.user());
        let quoted = quoted_role(session.flavour, role);
        self.change(session, &format!("GRANT {quoted} TO {user}")).await?;
        let sql = match session.flavour {
            Flavour::MySql => return self.change(session, &format!("SET DEFAULT ROLE {quoted} TO {user}")).await,
            Flavour::MariaDb => format!("SET DEFAULT ROLE {quoted} FOR {user}"),
        };
        if was_there {
            let set = session.rows(
                "SELECT default_role FROM mysql.user WHERE User = ? AND Host = ?",
                (id, &self.settings.user_host),
            );
            if set.await?.first().is_some_and(|row| text(row, 0).is_ok_and(|found| found == role)) {
                return Ok(());
            }
        }
        match session.try_change(&sql).await {
            Ok(()) => Ok(()),
            // MariaDB lets only those do that for others who may change all of `mysql`, and everybody for themselves.
            Err(e) if is_forbidden(&e) => self.choose_role_as_user(session, &quoted, password, was_there).await,
            Err(e) => Err(fault(&e, Sent::Change)),
        }
    }

    async fn choose_role_as_user(
        &self,
        session: &mut Session,
        role: &str,
        password: &str,
        was_there: bool,
    ) -> Result<(), ProviderError> {
        let user = self.user();
        if was_there {
            let sql = format!("ALTER USER {user} {}", identified(session.flavour, password)?);
            self.change(session, &sql).await?;
        }
        let id = &self.order.external_id;
        let mut theirs = self.address.of(id, password).connect().await.map_err(|error| {
            ProviderError::Permanent(format!(
                "the role can't be made the default of {id}: we can't log in as a holder does ({error}); let `user_host` \
                 cover this host, or run as an admin `GRANT UPDATE ON mysql.* TO CURRENT_USER` for our login"
            ))
        })?;
        let chosen = theirs.change(&format!("SET DEFAULT ROLE {role}")).await;
        theirs.close().await;
        chosen?;
        // The password that chose it has been in no statement, and now it opens nothing.
        let nobody = random::base62(PASSWORD_CHARS)?;
        let sql = format!("ALTER USER {user} {}", identified(session.flavour, &nobody)?);
        self.change(session, &sql).await
    }

    async fn change(&self, session: &mut Session, sql: &str) -> Result<(), ProviderError> {
        match session.try_change(sql).await {
            Ok(()) => Ok(()),
            Err(e) => Err(rights::explained(session, &e, self.settings).await),
        }
    }
}

/// Sets a new password; gives it.
pub(super) async fn cut(
    session: &mut Session,
    settings: &MysqlSettings,
    order: &Order,
) -> Result<zeroize::Zeroizing<String>, ProviderError> {
    let id = &order.external_id;
    let open = event::named(session, &settings.schema, id).await?.is_some_and(|event| event.is_due);
    if !open || closing::hosts(session, id).await?.is_empty() {
        return Err(ProviderError::Permanent(format!("there is no user {id} to log in with: the grant is not open")));
    }
    let password = random::base62(PASSWORD_CHARS)?;
    let sql = format!("ALTER USER {} {}", user(id, settings), identified(session.flavour, &password)?);
    match session.try_change(&sql).await {
        Ok(()) => Ok(password),
        Err(e) => Err(rights::explained(session, &e, settings).await),
    }
}

fn user(id: &str, settings: &MysqlSettings) -> String {
    format!("{}@{}", literal(id), literal(&settings.user_host))
}

/// A role as the server names it; `MySQL`'s have a host.
pub(super) fn quoted_role(flavour: Flavour, role: &str) -> String {
    match flavour {
        Flavour::MariaDb => identifier(role),
        Flavour::MySql => format!("{}@'%'", literal(role)),
    }
}

/// How a user proves to be one: by what the server keeps of a password.
fn identified(flavour: Flavour, password: &str) -> Result<String, ProviderError> {
    Ok(match flavour {
        Flavour::MariaDb => {
            format!("IDENTIFIED VIA mysql_native_password USING {}", literal(&hash::native(password)))
        }
        Flavour::MySql => {
            format!("IDENTIFIED WITH caching_sha2_password AS 0x{}", hex::encode(hash::caching_sha2(password)?))
        }
    })
}
