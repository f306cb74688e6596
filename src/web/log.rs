//! `/log/`: the public copy of the ledger, read-only, in the C2SP tlog-tiles layout. It carries no personal data.

use std::{
    io::ErrorKind,
    path::{Component, Path as FilePath, PathBuf},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// A checkpoint changes with every batch.
const CACHE_CHECKPOINT: &str = "no-cache";
/// A tile never changes, nor does the head that took a key in.
const CACHE_FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Where the public copy lies.
#[derive(Debug, Clone)]
pub struct PublicLog {
    /// The folder `public/` of the ledger.
    pub dir: PathBuf,
}

pub fn router(log: PublicLog) -> Router {
    Router::new()
        .route("/checkpoint", get(checkpoint))
        .route("/tile/{*path}", get(tile))
        .route("/rotation/{index}", get(rotation))
        .with_state(log)
}

async fn checkpoint(State(log): State<PublicLog>) -> Response {
    file(&log.dir.join("checkpoint"), "text/plain; charset=utf-8", CACHE_CHECKPOINT).await
}

async fn rotation(State(log): State<PublicLog>, Path(index): Path<String>) -> Response {
    // Only an index as it is written: digits without a zero before them.
    if index.parse::<u64>().map(|index| index.to_string()) != Ok(index.clone()) {
        return missing();
    }
    file(&log.dir.join("rotation").join(index), "text/plain; charset=utf-8", CACHE_FOR_EVER).await
}

async fn tile(State(log): State<PublicLog>, Path(path): Path<String>) -> Response {
    let path = FilePath::new(&path);
    // Only what names a tile: digits, `x` and `.p` in plain steps, never a way up or out.
    let plain = path
        .components()
        .all(|step| matches!(step, Component::Normal(name) if name.to_str().is_some_and(is_tile_step)));
    if !plain {
        return missing();
    }
    file(&log.dir.join("tile").join(path), "application/octet-stream", CACHE_FOR_EVER).await
}

fn is_tile_step(step: &str) -> bool {
    if step == "entries" {
        return true;
    }
    let step = step.strip_suffix(".p").unwrap_or(step);
    let digits = step.strip_prefix('x').unwrap_or(step);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

async fn file(path: &FilePath, media_type: &'static str, cache: &'static str) -> Response {
    match tokio::fs::read(path).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, cache)], bytes).into_response(),
        Err(error) if is_absence(error.kind()) => missing(),
        // Not that it isn't there: whoever verifies would take that for a hole.
        Err(error) => {
            tracing::warn!(%error, "a part of the public log can't be read");
            let head = [(header::CACHE_CONTROL, "no-store")];
            (StatusCode::INTERNAL_SERVER_ERROR, head, "this part of the log can't be read now\n").into_response()
        }
    }
}

fn is_absence(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
    )
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-cache")], "there is no such part of the log\n").into_response()
}
