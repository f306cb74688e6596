//! One connection to the server, for one call.
//!
//! Nothing is pooled: grants come at the pace of people, a connection costs milliseconds, and one that is kept would
//! hold a slot, outlive a changed password or a failover, and be found broken when it is needed. At most
//! [`CONNECTIONS_MAX`] are open at once, so that many grants ending together don't use up the server's slots.

use std::{net::IpAddr, str::FromStr, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio_postgres::{
    Client, Config, NoTls, Row, Socket,
    config::{Host, SslMode},
    tls::MakeTlsConnect,
    types::ToSql,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    super::{ProviderError, files},
    faults::{Sent, fault},
};

/// How long one call may take in all, in seconds.
pub(super) const CALL_LIMIT_SECS: u64 = 10;
/// How long connecting may take, in seconds.
const CONNECT_LIMIT_SECS: u64 = 5;
/// Connections of one target that are open at once.
pub(super) const CONNECTIONS_MAX: usize = 4;

/// What each session is told first: nothing that others created is found by an unqualified name, and nothing waits
/// longer than the call. The limits are above what we wait ourselves, since a statement that the server gives up is
/// surely not done.
const FIRST: &str = "SET search_path = pg_catalog; SET statement_timeout = '8s'; SET lock_timeout = '5s'; \
                     SET standard_conforming_strings = on";

/// How to reach a server: from the admin URL.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
}

/// What the holder of a grant connects to.
pub(super) struct Shown {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    /// Whether the server must be reached by TLS.
    pub(super) tls: bool,
}

/// A connection.
pub(super) struct Session {
    client: Client,
}

impl Address {
    /// Reads the admin URL. Its text is in no message.
    pub(super) fn read(url_env: &str, url: &SecretString, ca_file: Option<&str>) -> Result<Self, ProviderError> {
        // Both mean TLS with a verified certificate, which is the only TLS there is here.
        let url = url.expose_secret().replace("sslmode=verify-full", "sslmode=require");
        let url = zeroize::Zeroizing::new(url.replace("sslmode=verify-ca", "sslmode=require"));
        let mut config = Config::from_str(&url).map_err(|_| {
            ProviderError::Permanent(format!(
                "`{url_env}` is not a URL that can be read: write `postgres://user:password@host:5432/database`"
            ))
        })?;
        config.application_name("countersign").connect_timeout(Duration::from_secs(CONNECT_LIMIT_SECS));
        let local = config.get_hosts().iter().all(is_local);
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            SslMode::Prefer if local => None,
            SslMode::Prefer | SslMode::Require | _ => Some(Arc::new(client_config(ca_file)?)),
        };
        if tls.is_none() {
            config.ssl_mode(SslMode::Disable);
        }
        Ok(Self { config, tls })
    }

    /// The same server, another database.
    pub(super) fn with_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(name);
        other
    }

    /// What a holder is shown if the settings don't say otherwise.
    pub(super) fn shown(&self) -> Shown {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".into(),
        };
        let database = self.config.get_dbname().or_else(|| self.config.get_user()).unwrap_or("postgres");
        Shown {
            host,
            port: self.config.get_ports().first().copied().unwrap_or(5432),
            database: database.to_owned(),
            tls: self.config.get_ssl_mode() == SslMode::Require,
        }
    }

    /// Where it is, for messages.
    pub(super) fn words(&self) -> String {
        let shown = self.shown();
        format!("PostgreSQL at {}:{}/{}", shown.host, shown.port, shown.database)
    }

    /// Connects. Until this is done, nothing is changed: every error but a wrong login is worth another try.
    pub(super) async fn connect(&self) -> Result<Session, ProviderError> {
        let limit = Duration::from_secs(CONNECT_LIMIT_SECS);
        let connected = match &self.tls {
            Some(tls) => {
                let tls = MakeRustlsConnect::new(ClientConfig::clone(tls));
                tokio::time::timeout(limit, self.connect_by(tls)).await
            }
            None => tokio::time::timeout(limit, self.connect_by(NoTls)).await,
        };
        let late = || ProviderError::Retry(format!("{} doesn't answer within {CONNECT_LIMIT_SECS} s", self.words()));
        let session = connected.map_err(|_| late())??;
        session.change(FIRST).await.map_err(|e| ProviderError::Retry(e.to_string()))?;
        Ok(session)
    }

    async fn connect_by<T>(&self, tls: T) -> Result<Session, ProviderError>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let (client, connection) = self.config.connect(tls).await.map_err(|e| {
            let error = fault(&e, Sent::Nothing);
            let mut cause = std::error::Error::source(&e).filter(|_| e.as_db_error().is_none());
            let mut words = format!("{}: {error}", self.words());
            while let Some(deeper) = cause {
                words = format!("{words}: {deeper}");
                cause = deeper.source();
            }
            match error {
                ProviderError::Permanent(_) => ProviderError::Permanent(words),
                ProviderError::Retry(_) | ProviderError::Unknown(_) => ProviderError::Retry(words),
            }
        })?;
        // It ends when the client is dropped; a server that hangs then can't keep it.
        let most = Duration::from_secs(2 * CALL_LIMIT_SECS);
        tokio::spawn(async move { drop(tokio::time::timeout(most, connection).await) });
        Ok(Session { client })
    }
}

impl Session {
    /// Runs statements that change something: all of them or none.
    pub(super) async fn change(&self, sql: &str) -> Result<(), ProviderError> {
        self.client.batch_execute(sql).await.map_err(|e| fault(&e, Sent::Change))
    }

    /// Like [`Session::change`]; the error as the server gave it.
    pub(super) async fn try_change(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }

    /// Asks for rows; changes nothing.
    pub(super) async fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, ProviderError> {
        self.client.query(sql, values).await.map_err(|e| fault(&e, Sent::Question))
    }

    /// Like [`Session::rows`]; the error as the server gave it.
    pub(super) async fn try_rows(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.client.query(sql, values).await
    }

    /// Asks for exactly one row; changes nothing.
    pub(super) async fn row(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Row, ProviderError> {
        self.client.query_one(sql, values).await.map_err(|e| fault(&e, Sent::Question))
    }
}

/// A column of a row.
pub(super) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    index: usize,
) -> Result<T, ProviderError> {
    row.try_get(index).map_err(|e| fault(&e, Sent::Question))
}

/// The places that [`CONNECTIONS_MAX`] allows.
pub(super) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(CONNECTIONS_MAX))
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        Host::Unix(_) => true,
    }
}

/// TLS that verifies the server. The crypto provider is named here, never a default of the process.
fn client_config(ca_file: Option<&str>) -> Result<ClientConfig, ProviderError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = ca_file {
        let unread =
            || ProviderError::Permanent("`postgres.ca_file` has no certificates in PEM that can be read".into());
        let pem = files::read(file.as_ref()).ok().flatten().ok_or_else(unread)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let (added, _) = roots.add_parsable_certificates(certificates.map_err(|_| unread())?);
        if added == 0 {
            return Err(unread());
        }
    } else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .map_err(|e| ProviderError::Permanent(format!("TLS can't be set up: {e}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
