//! What can be set for `mysql`.

use super::super::{
    settings::Reader,
    statements::{self, Statements},
};

/// Sessions that one grant may have open at once, unless the settings say otherwise.
const CONNECTION_LIMIT: u16 = 4;
/// The most that the settings may say.
const CONNECTION_LIMIT_MAX: u16 = 100;
/// Longest name of a role on `MySQL`, in bytes.
const ROLE_MAX_BYTES: usize = 32;
/// Longest name of a schema, in bytes.
const SCHEMA_MAX_BYTES: usize = 64;
/// Where our events are, unless the settings say otherwise.
const SCHEMA: &str = "countersign";

/// The settings, read.
#[derive(Debug, Clone)]
pub(in super::super) struct MysqlSettings {
    /// The environment variable with the admin URL; empty where a file has it.
    pub(super) url_env: String,
    /// The file with the admin URL.
    pub(super) url_file: Option<String>,
    /// The profile role: what a grant may do. Left out only beside `creation_statements`.
    pub(super) role: Option<String>,
    /// Where a holder may connect from, in the server's patterns.
    pub(super) user_host: String,
    /// The database that our events live in: they end a grant that nobody ends, and say whose it is.
    pub(super) schema: String,
    /// Sessions that one grant may have open at once.
    pub(super) connection_limit: u16,
    /// A file with the certificate authorities to trust instead of the public ones, PEM.
    pub(super) ca_file: Option<String>,
    /// What the holder connects to, where that is not what we connect to.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) database: Option<String>,
    /// What makes the user, instead of what we know.
    pub(super) creation: Statements,
    /// What is done besides before the user is removed.
    pub(super) revocation: Statements,
}

/// Takes the settings out of `reader`.
pub(in super::super) fn read(reader: &mut Reader<'_>) -> MysqlSettings {
    let (url_env, url_file) = reader.url("PROD_MYSQL_URL");
    let creation = statements::read(reader, "creation_statements");
    let revocation = statements::read(reader, "revocation_statements");
    let role = if creation.is_empty() { reader.needed_text("role", "app_rw") } else { reader.text("role") };
    let user_host = reader.text("user_host").unwrap_or_else(|| "%".into());
    let host_fits = |b: u8| b.is_ascii_alphanumeric() || b".:%_/-".contains(&b);
    if !user_host.bytes().all(host_fits) {
        reader.problem("user_host", "is no host", "write a name, an address or a pattern such as `10.0.%`");
    }
    let schema = reader.text("schema").unwrap_or_else(|| SCHEMA.into());
    let database = reader.text("database");
    for (key, name, most) in [
        ("role", role.as_ref(), ROLE_MAX_BYTES),
        ("schema", Some(&schema), SCHEMA_MAX_BYTES),
        ("database", database.as_ref(), SCHEMA_MAX_BYTES),
    ] {
        if name.is_some_and(|name| name.len() > most) {
            reader.problem(key, format!("is longer than {most} bytes"), "the server has no longer names");
        }
    }
    MysqlSettings {
        url_env,
        url_file,
        role,
        user_host,
        schema,
        connection_limit: reader.number("connection_limit", 1..=CONNECTION_LIMIT_MAX).unwrap_or(CONNECTION_LIMIT),
        ca_file: reader.text("ca_file"),
        host: reader.text("host"),
        port: reader.number("port", 1..=u16::MAX),
        database,
        creation,
        revocation,
    }
}
