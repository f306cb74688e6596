//! `countersign.toml`: the ledger, the HTTP server, the chats, the limits.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    reader::{Reader, Table},
    secrets,
};
use crate::access::Span;

/// How long a request waits for its decision, unless the config says otherwise.
const LAPSE_AFTER_DEFAULT_SECS: u64 = 8 * 3600;
/// The longest name of a log; it stands in every signed head.
const ORIGIN_BYTES_MAX: usize = 128;

/// The service's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The ledger's folder.
    pub ledger_path: PathBuf,
    /// The log's name in every signed head.
    pub origin: String,
    /// Where the HTTP server listens.
    pub listen: SocketAddr,
    /// The playground's channel, if the playground is on.
    pub playground_channel: Option<String>,
    /// How long a request waits for its decision.
    pub lapse_after: Span,
}

/// Reads the file. `None` where something that can't be guessed is wrong; it has been reported then.
pub fn read(reader: &Reader<'_>) -> Option<Server> {
    let parsed = reader.parse();
    secrets::report(reader, &parsed);
    let top = reader.table(&parsed);
    let ledger = top.inner("ledger");
    if ledger.is_none() && top.value("ledger").is_none() {
        let hint = "for example:\n    [ledger]\n    path   = \"data\"\n    origin = \"countersign.example.com/prod\"";
        reader.report(0, "the table `[ledger]` is missing", Some(hint.into()));
    }
    let ledger = ledger.map(|table| ledger_of(reader, table));
    let listen = top.inner("http").and_then(|table| {
        let listen = listen_of(reader, &table);
        table.finish(&[]);
        listen
    });
    let playground_channel = top.inner("playground").map(|table| {
        let channel = table.text("channel").and_then(|text| super::name_in(reader, "channel", text));
        table.finish(&[]);
        channel.map_or_else(|| "approvals".to_owned(), |channel| channel.value)
    });
    let lapse_after = top.inner("limits").and_then(|table| {
        let span = span(&table, "lapse_after");
        table.finish(&[]);
        span
    });
    top.finish(&[]);
    let (path, origin) = ledger.map(|(path, origin)| (path.unwrap_or_default(), origin.unwrap_or_default()))?;
    Some(Server {
        ledger_path: path,
        origin,
        listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7070))),
        playground_channel,
        lapse_after: lapse_after.or_else(|| Span::from_secs(LAPSE_AFTER_DEFAULT_SECS).ok())?,
    })
}

fn ledger_of(reader: &Reader<'_>, table: Table<'_, '_>) -> (Option<PathBuf>, Option<String>) {
    let path = table.need("path", table.text("path"), "path = \"data\"").map(|text| PathBuf::from(text.value));
    let origin = table.need("origin", table.text("origin"), "origin = \"countersign.example.com/prod\"");
    let origin = origin.and_then(|text| {
        let fit = !text.value.is_empty()
            && text.value.len() <= ORIGIN_BYTES_MAX
            && text.value.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
        if fit {
            return Some(text.value);
        }
        let hint = "a name like a URL without a scheme: no spaces, no `+`, at most 128 bytes";
        reader.report(text.offset, "`origin` can't name a log", Some(hint.into()));
        None
    });
    table.finish(&[]);
    (path, origin)
}

fn listen_of(reader: &Reader<'_>, table: &Table<'_, '_>) -> Option<SocketAddr> {
    let text = table.text("listen")?;
    text.value.parse().map_or_else(
        |_| {
            let hint = "an address and a port, for example `127.0.0.1:7070`";
            reader.report(text.offset, format!("`listen` is no address: {:?}", text.value), Some(hint.into()));
            None
        },
        Some,
    )
}

/// A duration like `2h`.
pub fn span(table: &Table<'_, '_>, key: &'static str) -> Option<Span> {
    let text = table.text(key)?;
    match text.value.parse() {
        Ok(span) => Some(span),
        Err(error) => {
            table.reader().report(text.offset, format!("`{key}` is no duration: {error}"), None);
            None
        }
    }
}
