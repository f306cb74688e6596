//! `redis`: on Redis 7 and Valkey, an ACL user of its own for each grant.
//!
//! The server knows no end: only our revocation closes the door, which the card says. A user has no password until a
//! credential is taken; then the server is sent its SHA-256, which is all it keeps.
//!
//! **Coming back.** A server with an `aclfile` starts with the users in it, and anybody's `ACL SAVE` puts ours there
//! too. So nothing of ours is saved when it is made, and every revocation saves after it has deleted, also if there was
//! nothing left to delete: a user that was revoked is in no file. `ACL SAVE` writes what others changed and did not save.
//!
//! One server has one list of users: in a cluster or beside replicas, each node is a resource of its own.

mod acl;
mod rights;
mod session;
mod settings;

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{
    Credential, CredentialPart, Description, Item, Marked, Marks, NativeExpiry, Order, Provider, ProviderError,
    PublicDocument, SessionEnd, Surroundings,
    admin::AdminUrl,
    files::Folder,
    noted::Noted,
    orders::{self, checked, not_over},
    quote::{exports, percent, shell},
    random,
};
use acl::User;
use session::{Address, CALL_LIMIT_SECS, Session};
pub(super) use settings::read;
use settings::{NEVER, RedisSettings};

/// The provider's name in the config.
pub(super) const NAME: &str = "redis";
/// Length of a password, in characters of 5.95 bits.
const PASSWORD_CHARS: usize = 32;
/// How often sessions are looked for until none is left.
const ROUNDS_MAX: usize = 40;
/// How long to wait between two looks, in milliseconds.
const ROUND_MILLIS: u64 = 25;

/// The provider.
pub(super) struct Redis {
    resource: String,
    settings: RedisSettings,
    url: AdminUrl,
    made: Noted,
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

impl Redis {
    pub(super) fn new(resource: &str, settings: RedisSettings, surroundings: &Surroundings) -> Self {
        let url = AdminUrl::new(&settings.url_env, settings.url_file.as_ref(), surroundings);
        Self {
            resource: resource.to_owned(),
            settings,
            url,
            made: Noted::new(Folder::new(&surroundings.dir, resource)),
            now: Arc::clone(&surroundings.now),
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
        let session = address.connect().await?;
        let late = || ProviderError::Unknown(format!("{} took longer than {CALL_LIMIT_SECS} s", address.words()));
        let limit = Duration::from_secs(CALL_LIMIT_SECS);
        tokio::time::timeout(limit, work(address.clone(), session)).await.unwrap_or_else(|_| Err(late()))
    }

    /// Makes the user, without a password, or sets its end and its rights anew.
    async fn open(&self, session: &mut Session, order: &Order, known: bool) -> Result<(), ProviderError> {
        let id = &order.external_id;
        let found = user(session, id).await?;
        let start: &[&str] = match &found {
            None => &["reset", "resetchannels", "on"],
            Some(user) if user.mark.is_some() || known => {
                &["on", "resetkeys", "resetchannels", "-@all", "clearselectors"]
            }
            Some(_) => return Err(not_ours(id)),
        };
        let mark = acl::mark(&self.resource, order.not_after);
        let mut never: Vec<String> = NEVER.iter().map(|name| format!("-{name}")).collect();
        loop {
            let mut words = vec!["ACL", "SETUSER", id];
            words.extend(start);
            words.extend(self.settings.rules.iter().map(String::as_str));
            words.extend(never.iter().map(String::as_str));
            words.push(&mark);
            let Err(error) = session.change(&words).await else { return Ok(()) };
            // A server that doesn't know a command needs none taken away; it has done nothing then.
            let said = error.to_string();
            let before = never.len();
            never.retain(|rule| !said.contains(&format!("'{rule}'")));
            if never.len() == before {
                return Err(explained(session, error, (self.now)()).await);
            }
        }
    }

    /// Sets a new password; gives it.
    async fn cut(&self, session: &mut Session, order: &Order) -> Result<zeroize::Zeroizing<String>, ProviderError> {
        let id = &order.external_id;
        let not_open =
            || ProviderError::Permanent(format!("there is no user {id} to log in with: the grant is not open"));
        let open = user(session, id).await?.is_some_and(|user| user.is_on && user.mark.is_some());
        if !open {
            return Err(not_open());
        }
        let password = random::base62(PASSWORD_CHARS)?;
        let hash = format!("#{}", hex::encode(Sha256::digest(password.as_bytes())));
        if let Err(error) = session.change(&["ACL", "SETUSER", id, "resetpass", &hash]).await {
            return Err(explained(session, error, (self.now)()).await);
        }
        // If it was deleted in between, these words have made it anew, with nothing but a password.
        if user(session, id).await?.is_some_and(|user| user.mark.is_some()) {
            return Ok(password);
        }
        session.change(&["ACL", "DELUSER", id]).await?;
        Err(not_open())
    }

    /// Blocks, ends, removes, saves, verifies.
    async fn close(&self, session: &mut Session, id: &str, known: bool) -> Result<(), ProviderError> {
        if let Some(user) = user(session, id).await? {
            if user.mark.is_none() && !known {
                return Err(not_ours(id));
            }
            for words in [
                &["ACL", "SETUSER", id, "off", "resetpass"][..],
                &["CLIENT", "KILL", "USER", id],
                &["ACL", "DELUSER", id],
            ] {
                if let Err(error) = session.change(words).await {
                    return Err(explained(session, error, (self.now)()).await);
                }
            }
        }
        // Also if it was gone already: somebody may have died between deleting and saving.
        let file = session.texts(&["CONFIG", "GET", "aclfile"]).await;
        match file {
            Ok(told) if told.get(1).is_some_and(|file| !file.is_empty()) => {
                if let Err(error) = session.change(&["ACL", "SAVE"]).await {
                    return Err(explained(session, error, (self.now)()).await);
                }
            }
            Ok(_) => {}
            Err(error) => return Err(explained(session, error, (self.now)()).await),
        }
        if user(session, id).await?.is_some() {
            return Err(ProviderError::Unknown(format!("the user {id} is still there after it was deleted")));
        }
        for _ in 0..ROUNDS_MAX {
            if !is_connected(session, id).await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(ROUND_MILLIS)).await;
        }
        Err(ProviderError::Retry(format!("sessions of {id} have not ended yet")))
    }

    /// The parts to show: a line to paste, the same as a URL, and as variables.
    fn parts(&self, address: &Address, id: &str, n: u32, password: &str) -> Vec<CredentialPart> {
        let shown = address.shown();
        let host = self.settings.host.as_ref().unwrap_or(&shown.host);
        let port = self.settings.port.unwrap_or(shown.port);
        let database = self.settings.database.map_or(shown.database, i64::from);
        let tls = if shown.tls { " --tls" } else { "" };
        let number = if database == 0 { String::new() } else { format!(" -n {database}") };
        let scheme = if shown.tls { "rediss" } else { "redis" };
        let url_host = if host.contains(':') { format!("[{host}]") } else { percent(host) };
        let void =
            if n > 1 { " (the earlier password is void; sessions that are open stay until the end)" } else { "" };
        let piece = |label: String, text: String| CredentialPart { label, text: text.into() };
        vec![
            piece(
                format!("run this{void}"),
                format!("REDISCLI_AUTH={password} redis-cli -h {} -p {port} --user {id}{number}{tls}", shell(host)),
            ),
            piece(
                "or give this URL to a program".into(),
                format!("{scheme}://{id}:{password}@{url_host}:{port}/{database}"),
            ),
            piece(
                "or set these for the programs of a shell".into(),
                exports(&[
                    ("REDIS_HOST", host),
                    ("REDIS_PORT", &port.to_string()),
                    ("REDIS_USERNAME", id),
                    ("REDIS_PASSWORD", password),
                ]),
            ),
        ]
    }
}

#[async_trait]
impl Provider for Redis {
    fn describe(&self) -> Description {
        Description {
            name: NAME,
            native_expiry: NativeExpiry::None,
            ends_sessions: SessionEnd::Yes,
            lists: true,
            shared: false,
            activity: false,
            max_ttl_secs: None,
        }
    }

    fn plan(&self) -> Vec<String> {
        vec![
            format!("create a user for this grant alone, which may do {}", self.settings.rules.join(" ")),
            "when the time is up its sessions are cut and it is deleted".to_owned(),
            "no second lock: the server knows no end, it is closed by us alone".to_owned(),
        ]
    }

    async fn check(&self) -> Result<Vec<String>, ProviderError> {
        let found = self.call(|_, mut session| async move { rights::lacking(&mut session, (self.now)()).await });
        match found.await {
            // No URL, a wrong password: that is what is missing.
            Err(ProviderError::Permanent(lacking)) => Ok(vec![lacking]),
            found => found,
        }
    }

    async fn grant(&self, order: &Order) -> Result<(), ProviderError> {
        checked(order)?;
        not_over(order, (self.now)())?;
        let id = order.external_id.clone();
        let known = self.made.all().await?.contains(&id);
        self.call(|_, mut session| async move { self.open(&mut session, order, known).await }).await?;
        self.made.add(id).await
    }

    async fn credential(&self, order: &Order, n: u32) -> Result<Credential, ProviderError> {
        checked(order)?;
        not_over(order, (self.now)())?;
        let parts = self.call(|address, mut session| async move {
            let password = self.cut(&mut session, order).await?;
            Ok(self.parts(&address, &order.external_id, n, &password))
        });
        let parts = parts.await?;
        Ok(Credential { n, public_id: format!("{}:{n}", order.external_id), not_after: order.not_after, parts })
    }

    async fn revoke(&self, order: &Order) -> Result<(), ProviderError> {
        checked(order)?;
        let id = &order.external_id;
        let known = self.made.readable().await.contains(id);
        self.call(|_, mut session| async move { self.close(&mut session, id, known).await }).await?;
        self.made.remove(id.clone()).await;
        Ok(())
    }

    async fn list(&self, log_tag: &str) -> Result<Vec<Item>, ProviderError> {
        if !orders::is_log_tag(log_tag) {
            return Ok(Vec::new());
        }
        let made = self.made.readable().await;
        self.call(|_, mut session| async move {
            let mut items = Vec::new();
            for User { name, mark, .. } in users(&mut session, &format!("cs_{log_tag}_")).await? {
                let not_after = match mark {
                    Some((resource, end)) if resource == self.resource => Some(end),
                    None if made.contains(&name) => None,
                    Some(_) | None => continue,
                };
                if orders::is_of_log(&name, log_tag) {
                    items.push(Item { external_id: name, not_after });
                }
            }
            Ok(items)
        })
        .await
    }

    async fn marked(&self) -> Result<Option<Marks>, ProviderError> {
        self.call(|_, mut session| async move { marked(&mut session).await.map(Some) }).await
    }

    async fn public(&self, _name: &str) -> Option<PublicDocument> {
        None
    }
}

/// The users of all logs and all resources, by their marks.
async fn marked(session: &mut Session) -> Result<Marks, ProviderError> {
    let about = session.text(&["INFO", "server"]).await?;
    let place = rights::told(&about, "run_id").unwrap_or_default().to_owned();
    let mut marks = Marks { place, now: rights::clock(session).await?, items: Vec::new(), unmarked: Vec::new() };
    for User { name, mark, .. } in users(session, "cs_").await? {
        if orders::request(&name).is_none() {
            continue;
        }
        match mark {
            Some((resource, not_after)) => marks.items.push(Marked { external_id: name, resource, not_after }),
            None => marks.unmarked.push(name),
        }
    }
    Ok(marks)
}

/// The users whose names begin so.
async fn users(session: &mut Session, prefix: &str) -> Result<Vec<User>, ProviderError> {
    let mut names = session.texts(&["ACL", "USERS"]).await?;
    names.retain(|name| name.starts_with(prefix));
    let told = session.texts_of_each(&["ACL", "GETUSER"], &names).await?;
    Ok(names.iter().zip(told).filter_map(|(name, told)| acl::user(name, &told)).collect())
}

async fn user(session: &mut Session, id: &str) -> Result<Option<User>, ProviderError> {
    let told = session.texts(&["ACL", "GETUSER", id]).await?;
    Ok(acl::user(id, &told))
}

async fn is_connected(session: &mut Session, id: &str) -> Result<bool, ProviderError> {
    let clients = session.text(&["CLIENT", "LIST"]).await?;
    let word = format!("user={id}");
    Ok(clients.lines().any(|line| line.split(' ').any(|field| field == word)))
}

/// Something has the name of one of ours and isn't.
fn not_ours(id: &str) -> ProviderError {
    ProviderError::Permanent(format!(
        "there is a user {id} that doesn't bear our mark: it is left alone; look where it comes from"
    ))
}

/// The verdict on an error, with what to run if it is a matter of rights.
async fn explained(session: &mut Session, error: ProviderError, now: DateTime<Utc>) -> ProviderError {
    if !matches!(&error, ProviderError::Permanent(words) if words.contains("NOPERM")) {
        return error;
    }
    match rights::lacking(session, now).await {
        Ok(lacking) if !lacking.is_empty() => ProviderError::Permanent(lacking.join("; ")),
        Ok(_) | Err(_) => error,
    }
}
