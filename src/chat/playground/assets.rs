//! The style sheet, the script and the mark: one file each, under a name that changes with their bytes.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

/// Hex digits of the content's hash in its address.
const HASH_DIGITS: usize = 16;

/// One file that never changes under its name.
#[derive(Debug)]
pub struct Asset {
    /// Where it is: `/playground/style.<hash>.css`.
    pub path: String,
    tag: String,
    media_type: &'static str,
    text: &'static str,
}

/// All of them.
#[derive(Debug)]
pub struct Assets {
    /// The style sheet.
    pub style: Asset,
    /// The script that keeps pages live.
    pub script: Asset,
    /// The mark, as the page's icon.
    pub mark: Asset,
}

/// The files, named once.
pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("style", "css", "text/css; charset=utf-8", include_str!("playground.css")),
    script: Asset::new("script", "js", "text/javascript; charset=utf-8", include_str!("playground.js")),
    mark: Asset::new("mark", "svg", "image/svg+xml", include_str!("mark.svg")),
});

impl Asset {
    fn new(name: &str, extension: &str, media_type: &'static str, text: &'static str) -> Self {
        let mut hash = hex::encode(Sha256::digest(text));
        hash.truncate(HASH_DIGITS);
        Self { path: format!("/playground/{name}.{hash}.{extension}"), tag: format!("\"{hash}\""), media_type, text }
    }
}

/// Serves the file with this name.
pub async fn serve(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let all = [&ASSETS.style, &ASSETS.script, &ASSETS.mark];
    let Some(asset) = all.into_iter().find(|asset| asset.path.strip_prefix("/playground/") == Some(&file)) else {
        return (StatusCode::NOT_FOUND, "no such file; reload the page that named it\n").into_response();
    };
    let kept = [
        (header::ETAG, asset.tag.as_str()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::CONTENT_TYPE, asset.media_type),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == asset.tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, asset.text).into_response()
}
