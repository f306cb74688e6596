//! Opening a door: the role, what it may do, and our mark on it, in one transaction, or by the operator's statements, each
//! in one of its own. What fails halfway is taken back.

use chrono::{DateTime, Utc};
use postgres_protocol::escape::{escape_identifier, escape_literal};
use zeroize::Zeroizing;

use super::{
    super::{
        Order, ProviderError,
        mark::Mark,
        orders::written,
        random,
        statements::{self, Values},
    },
    closing,
    faults::{Sent, fault},
    rights,
    session::{Address, Session, column},
    settings::PostgresSettings,
};

/// Length of a password, in characters of 5.95 bits.
const PASSWORD_CHARS: usize = 32;

/// What an opening needs to know.
pub(super) struct Opening<'a> {
    pub(super) settings: &'a PostgresSettings,
    pub(super) resource: &'a str,
    pub(super) order: &'a Order,
    pub(super) now: DateTime<Utc>,
}

impl Opening<'_> {
    /// Makes the role or sets its end anew; gives its number.
    pub(super) async fn open(&self, session: &Session, address: &Address) -> Result<u32, ProviderError> {
        let id = &self.order.external_id;
        let profile = super::profile(self.settings);
        let found = session
            .row(
                "SELECT (SELECT oid FROM pg_roles WHERE rolname = $1), EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $2), \
                 coalesce((SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1), ''), \
                 floor(extract(epoch FROM clock_timestamp()))::bigint",
                &[id, &profile],
            )
            .await?;
        let number: Option<u32> = column(&found, 0)?;
        if !profile.is_empty() && !column::<bool>(&found, 1)? {
            return Err(ProviderError::Permanent(rights::no_profile(profile)));
        }
        let theirs: i64 = column(&found, 3)?;
        if theirs >= self.order.not_after.timestamp() {
            let over = || format!("by the server's clock the grant ended at {}", written(self.order.not_after));
            return Err(ProviderError::Permanent(rights::clock_words(theirs, self.now).unwrap_or_else(over)));
        }
        let mark = Mark::of(column(&found, 2)?, id);
        match number {
            None if self.settings.creation.is_empty() => self.create(session, profile).await?,
            None => self.create_by_statements(session, address).await?,
            Some(_) => match mark {
                None => return Err(closing::not_ours(id)),
                Some(mark) if mark.is_half() => {
                    // We died while it was made: nobody knows how far that came.
                    closing::close(session, address, id, &self.heir(session).await?, &[], &[]).await?;
                    self.create_by_statements(session, address).await?;
                }
                Some(_) => self.alter(session, profile).await?,
            },
        }
        let number = closing::oid_of(session, id).await;
        number
            .ok()
            .flatten()
            .ok_or_else(|| ProviderError::Unknown(format!("the role {} is gone again", escape_identifier(id))))
    }

    async fn create(&self, session: &Session, profile: &str) -> Result<(), ProviderError> {
        let (name, role) = (escape_identifier(&self.order.external_id), escape_identifier(profile));
        let (end, limit) = (self.end(), self.settings.connection_limit);
        let sql = format!(
            "CREATE ROLE {name} LOGIN NOINHERIT PASSWORD NULL VALID UNTIL {end} CONNECTION LIMIT {limit} IN ROLE {role}; \
             ALTER ROLE {name} SET role = {}; {}",
            escape_literal(profile),
            self.comment(&self.mark()),
        );
        self.change(session, &sql, profile).await
    }

    async fn alter(&self, session: &Session, profile: &str) -> Result<(), ProviderError> {
        let name = escape_identifier(&self.order.external_id);
        let (end, limit) = (self.end(), self.settings.connection_limit);
        let mut sql = format!("ALTER ROLE {name} LOGIN VALID UNTIL {end} CONNECTION LIMIT {limit};");
        if !profile.is_empty() {
            let role = escape_identifier(profile);
            let start = escape_literal(profile);
            sql = format!(
                "{sql} ALTER ROLE {name} NOINHERIT; GRANT {role} TO {name}; ALTER ROLE {name} SET role = {start};"
            );
        }
        self.change(session, &format!("{sql} {}", self.comment(&self.mark())), profile).await
    }

    /// Makes the role as the operator says, and takes it back if that fails.
    async fn create_by_statements(&self, session: &Session, address: &Address) -> Result<(), ProviderError> {
        let Err(error) = self.run_statements(session).await else { return Ok(()) };
        if matches!(error, ProviderError::Unknown(_)) {
            return Err(error);
        }
        let id = &self.order.external_id;
        let taken_back = match self.heir(session).await {
            Ok(heir) => closing::close(session, address, id, &heir, &[], &[]).await,
            Err(left) => Err(left),
        };
        Err(match taken_back {
            Ok(()) => error,
            Err(left) => ProviderError::Unknown(format!("{error}; and it could not be taken back: {left}")),
        })
    }

    async fn run_statements(&self, session: &Session) -> Result<(), ProviderError> {
        const STRONG: &str = "SELECT rolsuper OR rolcreaterole OR rolreplication FROM pg_roles WHERE rolname = $1";
        let id = &self.order.external_id;
        let name = escape_identifier(id);
        let nobody_knows = postgres_protocol::password::scram_sha_256(random::base62(PASSWORD_CHARS)?.as_bytes());
        let expiration = statements::expiration(self.order.not_after);
        let values = Values { name: id, password: &nobody_knows, expiration: &expiration };
        // Whichever of them makes the role: in the same transaction it gets our mark.
        let marking = format!(
            "DO $countersign$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN {}; END IF; \
             END $countersign$",
            escape_literal(id),
            self.comment(&self.mark().half()),
        );
        for (number, sql) in (1..).zip(self.settings.creation.filled(&values)?) {
            let done = session.try_change(&format!("{sql}\n;{marking}")).await.map_err(|e| fault(&e, Sent::Change));
            done.map_err(|error| statements::about("creation_statements", number, error))?;
        }
        let made = session.rows(STRONG, &[id]).await?;
        let Some(role) = made.first() else {
            return Err(ProviderError::Permanent(
                "`creation_statements` made no role \"{{name}}\": let one of them create it".into(),
            ));
        };
        if column(role, 0)? {
            return Err(ProviderError::Permanent(
                "the role that `creation_statements` make could lift its own end (it is a superuser, creates roles or \
                 replicates): make one that can't"
                    .into(),
            ));
        }
        let (end, limit) = (self.end(), self.settings.connection_limit);
        let sql = format!(
            "ALTER ROLE {name} LOGIN PASSWORD NULL VALID UNTIL {end} CONNECTION LIMIT {limit}; {}",
            self.comment(&self.mark()),
        );
        self.change(session, &sql, "").await
    }

    /// Who gets what a half-made role owns.
    async fn heir(&self, session: &Session) -> Result<String, ProviderError> {
        match &self.settings.role {
            Some(role) => Ok(role.clone()),
            None => column(&session.row("SELECT current_user::text", &[]).await?, 0),
        }
    }

    fn mark(&self) -> Mark {
        Mark::new(self.order, self.resource)
    }

    fn comment(&self, mark: &Mark) -> String {
        format!("COMMENT ON ROLE {} IS {}", escape_identifier(&self.order.external_id), escape_literal(&mark.text()))
    }

    fn end(&self) -> String {
        escape_literal(&written(self.order.not_after))
    }

    async fn change(&self, session: &Session, sql: &str, profile: &str) -> Result<(), ProviderError> {
        match session.try_change(sql).await {
            Ok(()) => Ok(()),
            Err(e) => Err(closing::explained(session, &e, profile).await),
        }
    }
}

/// Sets a new password; gives it.
pub(super) async fn cut(session: &Session, order: &Order, profile: &str) -> Result<Zeroizing<String>, ProviderError> {
    let id = &order.external_id;
    let name = escape_identifier(id);
    let open = session.rows("SELECT 1 FROM pg_roles WHERE rolname = $1 AND rolcanlogin", &[id]).await?;
    if open.is_empty() {
        return Err(ProviderError::Permanent(format!("there is no role {name} to log in with: the grant is not open")));
    }
    let password = random::base62(PASSWORD_CHARS)?;
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let sql = format!(
        "ALTER ROLE {name} PASSWORD {} VALID UNTIL {}",
        escape_literal(&verifier),
        escape_literal(&written(order.not_after)),
    );
    match session.try_change(&sql).await {
        Ok(()) => Ok(password),
        Err(e) => Err(closing::explained(session, &e, profile).await),
    }
}
