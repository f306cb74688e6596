//! What can be set for `postgres`.

use super::super::{
    settings::Reader,
    statements::{self, Statements},
};

/// Sessions that one grant may have open at once, unless the settings say otherwise.
const CONNECTION_LIMIT: u16 = 4;
/// The most that the settings may say.
const CONNECTION_LIMIT_MAX: u16 = 100;
/// Longest name of a role or a database, in bytes: the server cuts off what is longer.
const NAME_MAX_BYTES: usize = 63;

/// The settings, read.
#[derive(Debug, Clone)]
pub(in super::super) struct PostgresSettings {
    /// The environment variable with the admin URL; empty where a file has it.
    pub(super) url_env: String,
    /// The file with the admin URL.
    pub(super) url_file: Option<String>,
    /// The profile role: what a grant may do. Left out only beside `creation_statements`.
    pub(super) role: Option<String>,
    /// Sessions that one grant may have open at once.
    pub(super) connection_limit: u16,
    /// A file with the certificate authorities to trust instead of the public ones, PEM.
    pub(super) ca_file: Option<String>,
    /// What the holder connects to, where that is not what we connect to.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) database: Option<String>,
    /// What makes the role, instead of what we know; each is a transaction of its own.
    pub(super) creation: Statements,
    /// What is done besides before the role is removed; each is a transaction of its own.
    pub(super) revocation: Statements,
}

/// Takes the settings out of `reader`.
pub(in super::super) fn read(reader: &mut Reader<'_>) -> PostgresSettings {
    let (url_env, url_file) = reader.url("PROD_DB_URL");
    let creation = statements::read(reader, "creation_statements");
    let revocation = statements::read(reader, "revocation_statements");
    let role = if creation.is_empty() { reader.needed_text("role", "app_rw") } else { reader.text("role") };
    let database = reader.text("database");
    for (key, name) in [("role", role.as_ref()), ("database", database.as_ref())] {
        if name.is_some_and(|name| name.len() > NAME_MAX_BYTES) {
            reader.problem(key, format!("is longer than {NAME_MAX_BYTES} bytes"), "PostgreSQL has no longer names");
        }
    }
    PostgresSettings {
        url_env,
        url_file,
        role,
        connection_limit: reader.number("connection_limit", 1..=CONNECTION_LIMIT_MAX).unwrap_or(CONNECTION_LIMIT),
        ca_file: reader.text("ca_file"),
        host: reader.text("host"),
        port: reader.number("port", 1..=u16::MAX),
        database,
        creation,
        revocation,
    }
}
