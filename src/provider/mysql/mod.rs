//! `mysql`: on `MariaDB` and `MySQL`, a user of its own for each grant, which can do what one profile role can.
//!
//! Beside each user stands an event ([`event`]), made before it and removed after it: the second lock, which ends the
//! user and its sessions at the end without us, and the place where the mark is. The user has a password that nobody
//! knows until a credential is taken; the server is sent what it keeps of a password, never the password.
//!
//! What the profile may create, it keeps: a procedure or a view of the holder's stays behind, without the user that it
//! ran as.
//!
//! Our login needs no superuser: `CREATE USER`, `PROCESS`, `CONNECTION ADMIN`, `EVENT` on one database, to see who is
//! in `mysql.user`, and the profile role `WITH ADMIN OPTION`.

mod closing;
mod event;
mod faults;
mod hash;
mod opening;
mod rights;
mod session;
mod settings;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use super::{
    Credential, CredentialPart, Description, Item, Marked, Marks, NativeExpiry, Order, Provider, ProviderError,
    PublicDocument, SessionEnd, Surroundings,
    admin::AdminUrl,
    files::Folder,
    mark::Mark,
    noted::{Made, Noted},
    orders::{self, checked, not_over},
    quote::{percent, shell},
    statements::{self, Values},
};
use opening::Opening;
use session::{Address, CALL_LIMIT_SECS, CONNECTIONS_MAX, Flavour, Session, text};
use settings::MysqlSettings;
pub(super) use settings::read;

/// The provider's name in the config.
pub(super) const NAME: &str = "mysql";
/// Longest name of a user on `MySQL`, in bytes.
const USER_MAX_BYTES: usize = 32;

/// The provider.
pub(super) struct Mysql {
    resource: String,
    settings: MysqlSettings,
    url: AdminUrl,
    made: Noted,
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    places: Arc<Semaphore>,
}

impl Mysql {
    pub(super) fn new(resource: &str, settings: MysqlSettings, surroundings: &Surroundings) -> Self {
        let url = AdminUrl::new(&settings.url_env, settings.url_file.as_ref(), surroundings);
        Self {
            resource: resource.to_owned(),
            settings,
            url,
            made: Noted::new(Folder::new(&surroundings.dir, resource)),
            now: Arc::clone(&surroundings.now),
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }

    fn address(&self) -> Result<Address, ProviderError> {
        let (name, url) = self.url.get()?;
        Address::read(name, &url, self.settings.ca_file.as_deref())
    }

    /// Makes one call over a connection of its own. What is late may have been done.
    async fn call<T, W: Future<Output = Result<(T, Session), ProviderError>>>(
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
        let answer = tokio::time::timeout(limit, work(address.clone(), session)).await.unwrap_or_else(|_| Err(late()));
        let (answer, session) = answer?;
        session.close().await;
        Ok(answer)
    }

    /// What the operator wants done besides; the ending that follows does not depend on it.
    async fn run_revocation(&self, session: &mut Session, order: &Order) -> Result<(), ProviderError> {
        let ours = order.resource == self.resource && !self.settings.revocation.is_empty();
        if !ours || closing::hosts(session, &order.external_id).await?.is_empty() {
            return Ok(());
        }
        let expiration = statements::expiration(order.not_after);
        let values = Values { name: &order.external_id, password: "", expiration: &expiration };
        for (number, sql) in (1..).zip(self.settings.revocation.filled(&values)?) {
            if let Err(error) = session.change(&sql).await {
                let error = statements::about("revocation_statements", number, error);
                tracing::warn!(resource = self.resource, %error, "the user is ended all the same");
            }
        }
        Ok(())
    }

    /// The parts to show: a line to paste, the same as an option file and as a URL.
    fn parts(&self, address: &Address, flavour: Flavour, id: &str, n: u32, password: &str) -> Vec<CredentialPart> {
        let shown = address.shown();
        let host = self.settings.host.as_ref().unwrap_or(&shown.host);
        let port = self.settings.port.unwrap_or(shown.port);
        let database = self.settings.database.as_ref().or(shown.database.as_ref());
        let (client, tls) = match flavour {
            Flavour::MariaDb => ("mariadb", "ssl-verify-server-cert"),
            Flavour::MySql => ("mysql", "ssl-mode=VERIFY_IDENTITY"),
        };
        let tls = if shown.tls { Some(tls) } else { None };
        let mut line = format!("MYSQL_PWD={password} {client} --host={} --port={port} --user={id}", shell(host));
        // A name of a host is a socket for the client unless it is told.
        line.push_str(" --protocol=tcp");
        line.extend(tls.map(|tls| format!(" --{tls}")));
        line.extend(database.map(|name| format!(" {}", shell(name))));
        let void =
            if n > 1 { " (the earlier password is void; sessions that are open stay until the end)" } else { "" };
        let mut file = format!("[client]\nhost={host}\nport={port}\nprotocol=tcp\nuser={id}\npassword={password}\n");
        file.extend(tls.map(|tls| format!("{tls}\n")));
        let file_name = format!("{}.cnf", self.resource);
        let url_host = if host.contains(':') { format!("[{host}]") } else { percent(host) };
        let path = database.map(|name| format!("/{}", percent(name))).unwrap_or_default();
        let piece = |label: String, text: String| CredentialPart { label, text: text.into() };
        vec![
            piece(format!("run this{void}"), line),
            piece(
                format!("or save as `{file_name}`, `chmod 600` it, and run `{client} --defaults-file={file_name}`"),
                file,
            ),
            piece("or give this URL to a program".into(), format!("mysql://{id}:{password}@{url_host}:{port}{path}")),
        ]
    }
}

#[async_trait]
impl Provider for Mysql {
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
        let MysqlSettings { role, connection_limit, .. } = &self.settings;
        let what = match role {
            Some(role) => format!("which can do what {role} can"),
            None => "as the config's statements make it".to_owned(),
        };
        vec![
            format!("create a user for this grant alone, {what}, over at most {connection_limit} connections"),
            "when the time is up it is locked, its sessions are cut, and it is dropped: by us, and by an event on the \
             server if we can't"
                .to_owned(),
        ]
    }

    async fn check(&self) -> Result<Vec<String>, ProviderError> {
        let found = self.call(|_, mut session| async move {
            let mut lacking = rights::lacking(&mut session, &self.settings).await?;
            lacking.extend(rights::wrong_clock(&mut session, (self.now)()).await?);
            Ok((lacking, session))
        });
        match found.await {
            // No URL, a wrong password, no such database: that is what is missing.
            Err(ProviderError::Permanent(lacking)) => Ok(vec![lacking]),
            found => found,
        }
    }

    async fn grant(&self, order: &Order) -> Result<(), ProviderError> {
        fits(order)?;
        not_over(order, (self.now)())?;
        let id = order.external_id.clone();
        let known = self.made.all().await?.contains(&id);
        self.call(|address, mut session| async move {
            let opening = Opening {
                settings: &self.settings,
                address: &address,
                resource: &self.resource,
                order,
                now: (self.now)(),
                known,
            };
            opening.open(&mut session).await?;
            Ok(((), session))
        })
        .await?;
        self.made.add(id).await
    }

    async fn credential(&self, order: &Order, n: u32) -> Result<Credential, ProviderError> {
        fits(order)?;
        not_over(order, (self.now)())?;
        let parts = self.call(|address, mut session| async move {
            let password = opening::cut(&mut session, &self.settings, order).await?;
            let parts = self.parts(&address, session.flavour, &order.external_id, n, &password);
            Ok((parts, session))
        });
        let parts = parts.await?;
        Ok(Credential { n, public_id: format!("{}:{n}", order.external_id), not_after: order.not_after, parts })
    }

    async fn revoke(&self, order: &Order) -> Result<(), ProviderError> {
        fits(order)?;
        let id = order.external_id.clone();
        let known = self.made.readable().await.contains(&id);
        self.call(|_, mut session| async move {
            self.run_revocation(&mut session, order).await?;
            closing::close(&mut session, &self.settings, &order.external_id, known).await?;
            Ok(((), session))
        })
        .await?;
        self.made.remove(id).await;
        Ok(())
    }

    async fn list(&self, log_tag: &str) -> Result<Vec<Item>, ProviderError> {
        if !orders::is_log_tag(log_tag) {
            return Ok(Vec::new());
        }
        let made = self.made.readable().await;
        self.call(|_, mut session| async move {
            let items = list(&mut session, (&self.settings.schema, &self.resource), log_tag, &made).await?;
            Ok((items, session))
        })
        .await
    }

    async fn marked(&self) -> Result<Option<Marks>, ProviderError> {
        let schema = &self.settings.schema;
        self.call(|_, mut session| async move { Ok((Some(marked(&mut session, schema).await?), session)) }).await
    }

    async fn public(&self, _name: &str) -> Option<PublicDocument> {
        None
    }
}

/// Refuses an order whose id could name something that isn't ours, or is too long for a user.
fn fits(order: &Order) -> Result<(), ProviderError> {
    checked(order)?;
    if order.external_id.len() <= USER_MAX_BYTES {
        return Ok(());
    }
    Err(ProviderError::Permanent(format!(
        "the external id is longer than {USER_MAX_BYTES} bytes, which no user's name can be"
    )))
}

/// Who there is of these users, and who has a session though the user may be gone.
async fn present(session: &mut Session, prefix: &str) -> Result<(Made, Made), ProviderError> {
    let names = async |session: &mut Session, sql: &str| -> Result<Made, ProviderError> {
        let rows = match session.try_rows(sql, (prefix, prefix)).await {
            Ok(rows) => rows,
            Err(e) => return Err(rights::unread(&e)),
        };
        rows.iter().map(|row| text(row, 0)).collect()
    };
    let users = names(session, "SELECT User FROM mysql.user WHERE LEFT(User, CHAR_LENGTH(?)) = ?").await?;
    let live = "SELECT DISTINCT USER FROM information_schema.PROCESSLIST WHERE LEFT(USER, CHAR_LENGTH(?)) = ?";
    Ok((users, names(session, live).await?))
}

/// The users of this resource that bear the tag, sessions of those that are gone, and events that ran and left
/// something to look at. A server has one set of users for all its databases: those of other resources are theirs to list.
async fn list(
    session: &mut Session,
    (schema, resource): (&str, &str),
    log_tag: &str,
    made: &Made,
) -> Result<Vec<Item>, ProviderError> {
    let prefix = format!("cs_{log_tag}_");
    let events = event::with_prefix(session, schema, &prefix).await?;
    let (users, live) = present(session, &prefix).await?;
    let is_there = |id: &str| users.contains(id) || live.contains(id);
    let mut items = BTreeMap::new();
    let mut others = BTreeSet::new();
    for event in events {
        match &event.mark {
            Some(mark) if mark.resource == resource => {
                if is_there(&event.name) || !event.is_due {
                    items.insert(event.name.clone(), event.at);
                }
            }
            Some(_) | None => drop(others.insert(event.name)),
        }
    }
    for id in made.iter().filter(|id| is_there(id) && !others.contains(*id)) {
        items.entry(id.clone()).or_insert(None);
    }
    let ours = items.into_iter().filter(|(id, _)| orders::is_of_log(id, log_tag));
    Ok(ours.map(|(external_id, not_after)| Item { external_id, not_after }).collect())
}

/// What there is of all logs and all resources, by the marks.
async fn marked(session: &mut Session, schema: &str) -> Result<Marks, ProviderError> {
    const PREFIX: &str = "cs_";
    let now = rights::clock(session).await?;
    let now = DateTime::from_timestamp(now, 0)
        .ok_or_else(|| ProviderError::Permanent("the server's clock can't be read".into()))?;
    let which = match session.flavour {
        Flavour::MariaDb => "SELECT CONCAT(@@GLOBAL.server_uid, ' ', @@GLOBAL.port)",
        Flavour::MySql => "SELECT CONCAT(@@GLOBAL.server_uuid, ' ', @@GLOBAL.port)",
    };
    let place: Option<String> = session.one(which, ()).await?;
    let mut marks = Marks { place: place.unwrap_or_default(), now, items: Vec::new(), unmarked: Vec::new() };
    let mut unmarked = present(session, PREFIX).await?.0;
    for event in event::with_prefix(session, schema, PREFIX).await? {
        let mark = event.mark.as_ref();
        if let Some((resource, not_after)) = mark.and_then(|mark: &Mark| Some((mark.resource.clone(), mark.end()?))) {
            unmarked.remove(&event.name);
            marks.items.push(Marked { external_id: event.name, resource, not_after });
        } else {
            unmarked.insert(event.name);
        }
    }
    marks.items.retain(|item| orders::request(&item.external_id).is_some());
    marks.unmarked.extend(unmarked.into_iter().filter(|name| orders::request(name).is_some()));
    Ok(marks)
}
