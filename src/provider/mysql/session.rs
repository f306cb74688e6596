//! One connection to the server, for one call; nothing is pooled, as for `postgres`.

use std::{net::IpAddr, time::Duration};

use mysql_async::{
    Conn, Opts, OptsBuilder, Params, Row, SslOpts,
    prelude::{FromValue, Queryable},
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{
    super::{ProviderError, tls},
    faults::{Sent, fault},
};

/// How long one call may take in all, in seconds.
pub(super) const CALL_LIMIT_SECS: u64 = 10;
/// How long connecting may take, in seconds.
const CONNECT_LIMIT_SECS: u64 = 5;
/// Connections of one target that are open at once.
pub(super) const CONNECTIONS_MAX: usize = 4;

/// What each session is told first: moments are UTC, a quote is only ever doubled, and nothing waits for a lock longer
/// than the call does.
const FIRST: &str = "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES', \
                     lock_wait_timeout = 5";

/// Which server it is; they differ in what they call things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    MariaDb,
    MySql,
}

/// How to reach a server: from the admin URL.
#[derive(Clone)]
pub(super) struct Address {
    opts: Opts,
    /// The database in the URL: the holder's, not ours.
    database: Option<String>,
}

/// What the holder of a grant connects to.
pub(super) struct Shown {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: Option<String>,
    /// Whether the server must be reached by TLS.
    pub(super) tls: bool,
}

/// A connection.
pub(super) struct Session {
    conn: Conn,
    pub(super) flavour: Flavour,
    /// The server's version, as it says it.
    pub(super) version: String,
}

impl Address {
    /// Reads the admin URL. Its text is in no message.
    pub(super) fn read(name: &str, url: &SecretString, ca_file: Option<&str>) -> Result<Self, ProviderError> {
        let unread = || {
            ProviderError::Permanent(format!(
                "`{name}` is not a URL that can be read: write `mysql://user:password@host:3306/database`, with \
                 `?ssl-mode=required` or `?ssl-mode=disabled` if need be"
            ))
        };
        let url = url.expose_secret();
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let base = Zeroizing::new(base.replacen("mariadb://", "mysql://", 1));
        let opts = Opts::from_url(&base).map_err(|_| unread())?;
        let (mut mode, mut socket) = (None, None);
        for (key, value) in query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| pair.split_once('=')) {
            match key {
                "ssl-mode" | "sslmode" => mode = Some(value.to_ascii_lowercase().replace('-', "_")),
                "socket" => socket = Some(value.to_owned()),
                _ => return Err(unread()),
            }
        }
        let local = socket.is_some() || is_local(opts.ip_or_hostname());
        let tls = match mode.as_deref() {
            None | Some("prefer" | "preferred") => !local,
            Some("disable" | "disabled") => false,
            // Each means TLS with a verified certificate, which is the only TLS there is here.
            Some("require" | "required" | "verify_ca" | "verify_full" | "verify_identity") => true,
            Some(_) => return Err(unread()),
        };
        let tls = if tls { Some(trust(ca_file)?) } else { None };
        let database = opts.db_name().filter(|name| !name.is_empty()).map(ToOwned::to_owned);
        let builder = OptsBuilder::from_opts(opts).db_name(None::<String>).socket(socket);
        let builder = builder.prefer_socket(false).stmt_cache_size(0).ssl_opts(tls);
        Ok(Self { opts: builder.into(), database })
    }

    /// The same server, as somebody else.
    pub(super) fn of(&self, user: &str, password: &str) -> Self {
        let builder = OptsBuilder::from_opts(self.opts.clone()).user(Some(user)).pass(Some(password));
        Self { opts: builder.into(), database: None }
    }

    /// What a holder is shown if the settings don't say otherwise.
    pub(super) fn shown(&self) -> Shown {
        Shown {
            host: self.opts.ip_or_hostname().to_owned(),
            port: self.opts.tcp_port(),
            database: self.database.clone(),
            tls: self.opts.ssl_opts().is_some(),
        }
    }

    /// Where it is, for messages.
    pub(super) fn words(&self) -> String {
        format!("the server at {}:{}", self.opts.ip_or_hostname(), self.opts.tcp_port())
    }

    /// Connects. Until this is done, nothing is changed: every error but a wrong login is worth another try.
    pub(super) async fn connect(&self) -> Result<Session, ProviderError> {
        tls::name_provider();
        let limit = Duration::from_secs(CONNECT_LIMIT_SECS);
        let late = || ProviderError::Retry(format!("{} doesn't answer within {CONNECT_LIMIT_SECS} s", self.words()));
        let connected = tokio::time::timeout(limit, Conn::new(self.opts.clone())).await.map_err(|_| late())?;
        let conn = connected.map_err(|error| {
            let error = fault(&error, Sent::Nothing);
            let words = format!("{}: {error}", self.words());
            match error {
                ProviderError::Permanent(_) => ProviderError::Permanent(words),
                ProviderError::Retry(_) | ProviderError::Unknown(_) => ProviderError::Retry(words),
            }
        })?;
        let mut session = Session { conn, flavour: Flavour::MySql, version: String::new() };
        session.change(FIRST).await.map_err(|e| ProviderError::Retry(e.to_string()))?;
        session.version = session.one("SELECT VERSION()", ()).await?.unwrap_or_default();
        if session.version.contains("MariaDB") {
            session.flavour = Flavour::MariaDb;
        }
        Ok(session)
    }
}

impl Session {
    /// Runs one statement that changes something.
    pub(super) async fn change(&mut self, sql: &str) -> Result<(), ProviderError> {
        self.try_change(sql).await.map_err(|e| fault(&e, Sent::Change))
    }

    /// Like [`Session::change`]; the error as the server gave it.
    pub(super) async fn try_change(&mut self, sql: &str) -> Result<(), mysql_async::Error> {
        self.conn.query_drop(sql).await
    }

    /// Asks for rows; changes nothing.
    pub(super) async fn rows(
        &mut self,
        sql: &str,
        values: impl Into<Params> + Send,
    ) -> Result<Vec<Row>, ProviderError> {
        self.try_rows(sql, values).await.map_err(|e| fault(&e, Sent::Question))
    }

    /// Like [`Session::rows`]; the error as the server gave it.
    pub(super) async fn try_rows(
        &mut self,
        sql: &str,
        values: impl Into<Params> + Send,
    ) -> Result<Vec<Row>, mysql_async::Error> {
        self.conn.exec(sql, values.into()).await
    }

    /// The first column of the first row, if there is one.
    pub(super) async fn one<T: FromValue>(
        &mut self,
        sql: &str,
        values: impl Into<Params> + Send,
    ) -> Result<Option<T>, ProviderError> {
        self.rows(sql, values).await?.first().map(|row| column(row, 0)).transpose()
    }

    /// Says good-bye, so that the server doesn't count a connection that broke.
    pub(super) async fn close(self) {
        // What was asked is answered by now.
        drop(self.conn.disconnect().await);
    }
}

/// A column of a row.
pub(super) fn column<T: FromValue>(row: &Row, index: usize) -> Result<T, ProviderError> {
    let value = row.get_opt::<T, usize>(index).and_then(Result::ok);
    value.ok_or_else(|| ProviderError::Retry("the server's answer can't be read".into()))
}

/// A text of a column; the server has some as bytes.
pub(super) fn text(row: &Row, index: usize) -> Result<String, ProviderError> {
    let bytes: Option<Vec<u8>> = column(row, index)?;
    Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}

/// `text` as a literal, in a session that knows no backslash.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `name` as an identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// TLS that verifies the server.
fn trust(ca_file: Option<&str>) -> Result<SslOpts, ProviderError> {
    let opts = SslOpts::default();
    let Some(file) = ca_file else { return Ok(opts) };
    let pem = tls::authorities(file, "mysql.ca_file")?;
    Ok(opts.with_root_certs(vec![pem.into()]).with_disable_built_in_roots(true))
}
