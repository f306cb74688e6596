//! `postgres`: a login role of its own for each grant, which can do what one profile role can and owns nothing.
//!
//! The role is `NOINHERIT` and every session of it starts as the profile role: what it creates belongs to the profile,
//! and stepping out of the profile leaves no rights at all. It has no password until a credential is taken; then the
//! server is sent a SCRAM verifier, never the password. `VALID UNTIL` is the second lock: it stops new logins at the
//! end, sessions are ended by us. It binds logins by password only: in `pg_hba.conf` these roles need `scram-sha-256`,
//! not `trust` or `peer`.
//!
//! What the profile may create, it keeps: a profile that can make functions can leave one behind that runs as the
//! profile. Before version 15 a holder can also make another login a member of their own role; a session which that
//! login opened is not ours to end.
//!
//! Our login needs no superuser: `CREATEROLE`, `pg_signal_backend` and the profile role `WITH ADMIN OPTION`.

mod closing;
mod faults;
mod opening;
mod rights;
mod session;
mod settings;

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use postgres_protocol::escape::escape_identifier;
use tokio::sync::Semaphore;

use super::{
    Credential, CredentialPart, Description, Item, Marked, Marks, NativeExpiry, Order, Provider, ProviderError,
    PublicDocument, SessionEnd, Surroundings,
    admin::AdminUrl,
    blocking,
    files::Folder,
    mark::Mark,
    orders::{self, checked, not_over},
    quote::{exports, percent, shell},
    statements::{self, Values},
};
use opening::Opening;
use session::{Address, CALL_LIMIT_SECS, Session, column};
use settings::PostgresSettings;
pub(super) use settings::read;

/// The provider's name in the config.
pub(super) const NAME: &str = "postgres";
/// Which role numbers our roles had: a session is attributed by it when its role is gone.
const REGISTER: &str = "roles.json";

/// Role numbers by external id.
type Numbers = BTreeMap<String, Vec<u32>>;

/// The provider.
pub(super) struct Postgres {
    resource: String,
    settings: PostgresSettings,
    url: AdminUrl,
    folder: Folder,
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    places: Arc<Semaphore>,
}

impl Postgres {
    pub(super) fn new(resource: &str, settings: PostgresSettings, surroundings: &Surroundings) -> Self {
        let url = AdminUrl::new(&settings.url_env, settings.url_file.as_ref(), surroundings);
        Self {
            resource: resource.to_owned(),
            settings,
            url,
            folder: Folder::new(&surroundings.dir, resource),
            now: Arc::clone(&surroundings.now),
            places: session::places(),
        }
    }

    fn address(&self) -> Result<Address, ProviderError> {
        let (name, url) = self.url.get()?;
        Address::read(name, &url, self.settings.ca_file.as_deref())
    }

    /// Makes one call over a connection of its own. What is late may have been done.
    async fn call<T, W: Future<Output = Result<T, ProviderError>>>(
        &self,
        work: impl FnOnce(Address, Session) -> W,
    ) -> Result<T, ProviderError> {
        let address = self.address()?;
        let limit = Duration::from_secs(CALL_LIMIT_SECS);
        let busy = || ProviderError::Retry(format!("too many calls to {} at once", address.words()));
        let place = tokio::time::timeout(limit, self.places.acquire()).await;
        let _place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        let session = address.connect().await?;
        let late = || ProviderError::Unknown(format!("{} took longer than {CALL_LIMIT_SECS} s", address.words()));
        let words_of = address.clone();
        let answer = tokio::time::timeout(limit, work(words_of, session)).await;
        answer.unwrap_or_else(|_| Err(late()))
    }

    /// Changes the register of role numbers.
    async fn note(&self, how: impl FnOnce(&mut Numbers) -> bool + Send + 'static) -> Result<(), ProviderError> {
        let folder = self.folder.clone();
        blocking(move || {
            let held = folder.lock()?;
            let mut numbers: Numbers = folder.read_json(REGISTER)?;
            if how(&mut numbers) { folder.write_json(REGISTER, &numbers, &held) } else { Ok(()) }
        })
        .await
    }

    async fn numbers(&self) -> Result<Numbers, ProviderError> {
        let folder = self.folder.clone();
        blocking(move || folder.read_json(REGISTER)).await
    }

    /// What the operator wants done besides, before the role is dropped.
    fn revocation(&self, order: &Order) -> Result<Vec<String>, ProviderError> {
        if order.resource != self.resource {
            return Ok(Vec::new());
        }
        let expiration = statements::expiration(order.not_after);
        self.settings.revocation.filled(&Values { name: &order.external_id, password: "", expiration: &expiration })
    }

    /// Who gets what the role owns when it is dropped: the profile it was made for. One that was made by statements, or for
    /// another resource on this server, tells its profile by its membership, and if it can't, we keep what it owns.
    async fn heir(&self, session: &Session, order: &Order) -> Result<String, ProviderError> {
        if order.resource == self.resource
            && let Some(role) = &self.settings.role
        {
            return Ok(role.clone());
        }
        let found = session
            .row(
                "SELECT coalesce((SELECT min(r.rolname::text) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid \
                 WHERE m.member = (SELECT oid FROM pg_roles WHERE rolname = $1) HAVING count(DISTINCT r.oid) = 1), \
                 current_user::text)",
                &[&order.external_id],
            )
            .await?;
        column(&found, 0)
    }

    /// The parts to show: a line to paste, the same as a URL, and plain values.
    fn parts(&self, address: &Address, id: &str, n: u32, password: &str) -> Vec<CredentialPart> {
        let shown = address.shown();
        let host = self.settings.host.as_ref().unwrap_or(&shown.host);
        let port = self.settings.port.unwrap_or(shown.port);
        let database = self.settings.database.as_ref().unwrap_or(&shown.database);
        let tls = if shown.tls { " sslmode=require" } else { "" };
        let connection = format!("host={} port={port} dbname={} user={id}{tls}", conninfo(host), conninfo(database));
        let query = if shown.tls { "?sslmode=require" } else { "" };
        let url_host = if host.contains(':') { format!("[{host}]") } else { percent(host) };
        let url = format!("postgresql://{id}:{password}@{url_host}:{port}/{}{query}", percent(database));
        let void =
            if n > 1 { " (the earlier password is void; sessions that are open stay until the end)" } else { "" };
        let piece = |label: String, text: String| CredentialPart { label, text: text.into() };
        vec![
            piece(format!("run this{void}"), format!("PGPASSWORD={password} psql {}", shell(&connection))),
            piece("or give this URL to a program".into(), url),
            piece(
                "or set these for the programs of a shell".into(),
                exports(&[
                    ("PGHOST", host),
                    ("PGPORT", &port.to_string()),
                    ("PGDATABASE", database),
                    ("PGUSER", id),
                    ("PGPASSWORD", password),
                    ("PGSSLMODE", if shown.tls { "require" } else { "" }),
                ]),
            ),
            piece(
                "or type it in".into(),
                format!("host {host}\nport {port}\ndatabase {database}\nuser {id}\npassword {password}"),
            ),
        ]
    }
}

#[async_trait]
impl Provider for Postgres {
    fn describe(&self) -> Description {
        Description {
            name: NAME,
            native_expiry: NativeExpiry::Exact,
            ends_sessions: SessionEnd::Yes,
            lists: true,
            shared: false,
            activity: false,
            max_ttl_secs: None,
        }
    }

    fn plan(&self) -> Vec<String> {
        let PostgresSettings { role, connection_limit, .. } = &self.settings;
        let what = match role {
            Some(role) if self.settings.creation.is_empty() => {
                format!("which can do what {} can", escape_identifier(role))
            }
            Some(_) | None => "as the config's statements make it".to_owned(),
        };
        vec![
            format!("create a login role for this grant alone, {what}, over at most {connection_limit} connections"),
            "when the time is up it can't log in, its sessions are cut, and the role is dropped".to_owned(),
        ]
    }

    async fn check(&self) -> Result<Vec<String>, ProviderError> {
        let found = self.call(|_, session| async move {
            let mut lacking = rights::lacking(&session, profile(&self.settings)).await?;
            lacking.extend(rights::wrong_clock(&session, (self.now)()).await?);
            Ok(lacking)
        });
        match found.await {
            // No URL, a wrong password, no such database: that is what is missing.
            Err(ProviderError::Permanent(lacking)) => Ok(vec![lacking]),
            found => found,
        }
    }

    async fn grant(&self, order: &Order) -> Result<(), ProviderError> {
        checked(order)?;
        not_over(order, (self.now)())?;
        let number = self.call(|address, session| async move {
            let opening = Opening { settings: &self.settings, resource: &self.resource, order, now: (self.now)() };
            opening.open(&session, &address).await
        });
        let number = number.await?;
        let id = order.external_id.clone();
        let noted = self.note(move |numbers| {
            let known = numbers.entry(id).or_default();
            let new = !known.contains(&number);
            if new {
                known.push(number);
            }
            new
        });
        noted.await.map_err(|e| ProviderError::Unknown(format!("the role is made, but {e}")))
    }

    async fn credential(&self, order: &Order, n: u32) -> Result<Credential, ProviderError> {
        checked(order)?;
        not_over(order, (self.now)())?;
        let address = self.address()?;
        let password =
            self.call(|_, session| async move { opening::cut(&session, order, profile(&self.settings)).await }).await?;
        Ok(Credential {
            n,
            public_id: format!("{}:{n}", order.external_id),
            not_after: order.not_after,
            parts: self.parts(&address, &order.external_id, n, &password),
        })
    }

    async fn revoke(&self, order: &Order) -> Result<(), ProviderError> {
        checked(order)?;
        let id = order.external_id.clone();
        // A damaged register must not keep a door open.
        let known = self.numbers().await.unwrap_or_default().remove(&id).unwrap_or_default();
        self.call(|address, session| async move {
            let profile = &self.heir(&session, order).await?;
            let wishes = self.revocation(order)?;
            closing::close(&session, &address, &order.external_id, profile, &known, &wishes).await?;
            closing::end_orphans(&session, &known, profile).await
        })
        .await?;
        // A number that stays noted does no harm: it counts only while no role has it.
        self.note(move |numbers| numbers.remove(&id).is_some()).await.or(Ok(()))
    }

    async fn list(&self, log_tag: &str) -> Result<Vec<Item>, ProviderError> {
        if !orders::is_log_tag(log_tag) {
            return Ok(Vec::new());
        }
        let numbers = self.numbers().await.unwrap_or_default();
        self.call(|_, session| async move { list(&session, &self.resource, log_tag, &numbers).await }).await
    }

    async fn marked(&self) -> Result<Option<Marks>, ProviderError> {
        self.call(|_, session| async move { marked(&session).await.map(Some) }).await
    }

    async fn public(&self, _name: &str) -> Option<PublicDocument> {
        None
    }
}

/// The profile role as far as rights go; empty where statements make the role.
fn profile(settings: &PostgresSettings) -> &str {
    if settings.creation.is_empty() { settings.role.as_deref().unwrap_or_default() } else { "" }
}

/// The roles of all logs and all resources, by their marks.
async fn marked(session: &Session) -> Result<Marks, ProviderError> {
    // Which server it is: no two were started in the same microsecond on the same port.
    let about = session
        .row(
            "SELECT concat(extract(epoch FROM pg_postmaster_start_time())::text, ' ', current_setting('port')), \
             floor(extract(epoch FROM clock_timestamp()))::bigint",
            &[],
        )
        .await?;
    let now: i64 = column(&about, 1)?;
    let now = DateTime::from_timestamp(now, 0)
        .ok_or_else(|| ProviderError::Permanent("the server's clock can't be read".into()))?;
    let mut marks = Marks { place: column(&about, 0)?, now, items: Vec::new(), unmarked: Vec::new() };
    let roles = session
        .rows(
            "SELECT rolname::text, coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles \
             WHERE rolname >= 'cs_' AND rolname < 'cs`' ORDER BY rolname",
            &[],
        )
        .await?;
    for row in roles {
        let external_id: String = column(&row, 0)?;
        if orders::request(&external_id).is_none() {
            continue;
        }
        let mark = Mark::of(column(&row, 1)?, &external_id);
        match mark.and_then(|mark| Some((mark.end()?, mark.resource))) {
            Some((not_after, resource)) => marks.items.push(Marked { external_id, resource, not_after }),
            None => marks.unmarked.push(external_id),
        }
    }
    Ok(marks)
}

/// The roles of this resource that bear the tag, and the sessions of those that are gone. A server has one set of
/// roles for all its databases: those of other resources are theirs to list.
async fn list(session: &Session, resource: &str, log_tag: &str, numbers: &Numbers) -> Result<Vec<Item>, ProviderError> {
    // In the order of names, `_` is followed by `` ` ``: the index is used, however many roles there are.
    let (from, to) = (format!("cs_{log_tag}_"), format!("cs_{log_tag}`"));
    let roles = session
        .rows(
            "SELECT rolname::text, CASE WHEN isfinite(rolvaliduntil) \
             THEN floor(extract(epoch FROM rolvaliduntil))::bigint END, \
             coalesce(shobj_description(oid, 'pg_authid'), '') \
             FROM pg_roles WHERE rolname >= $1::text::name AND rolname < $2::text::name",
            &[&from, &to],
        )
        .await?;
    let mut items = Vec::new();
    for row in roles {
        let external_id: String = column(&row, 0)?;
        let end: Option<i64> = column(&row, 1)?;
        let ours = Mark::of(column(&row, 2)?, &external_id).is_some_and(|mark| mark.resource == resource);
        if ours && orders::is_of_log(&external_id, log_tag) {
            items.push(Item { external_id, not_after: end.and_then(|end| DateTime::from_timestamp(end, 0)) });
        }
    }
    let orphans = session
        .rows(
            "SELECT DISTINCT usesysid FROM pg_stat_activity a \
             WHERE usesysid IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_roles r WHERE r.oid = a.usesysid)",
            &[],
        )
        .await?;
    for row in orphans {
        let number: u32 = column(&row, 0)?;
        let owner = numbers.iter().find(|(id, known)| orders::is_of_log(id, log_tag) && known.contains(&number));
        if let Some((id, _)) = owner
            && !items.iter().any(|item| item.external_id == *id)
        {
            items.push(Item { external_id: id.clone(), not_after: None });
        }
    }
    Ok(items)
}

/// A value of a connection string as libpq reads it.
fn conninfo(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/-".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}
