//! The HTTP server: the public copy of the ledger, the providers' documents, health; the playground is mounted beside.

mod log;

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::set_header::SetResponseHeaderLayer;

pub use log::PublicLog;

/// A provider's public document: its media type and its bytes.
pub type Document = (&'static str, Vec<u8>);
/// Looks one up by resource and name.
pub type Documents =
    Arc<dyn Fn(String, String) -> Pin<Box<dyn Future<Output = Option<Document>> + Send>> + Send + Sync>;

/// All routes but the chats'.
pub fn router(log: PublicLog, documents: Documents) -> Router {
    let documents = Router::new().route("/providers/{resource}/{name}", get(document)).with_state(documents);
    Router::new().route("/health", get(|| async { "ok\n" })).merge(documents).nest("/log", log::router(log)).layer(
        SetResponseHeaderLayer::if_not_present(
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        ),
    )
}

async fn document(State(documents): State<Documents>, Path((resource, name)): Path<(String, String)>) -> Response {
    match documents(resource, name).await {
        Some((media_type, body)) => {
            ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")], body).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such document\n").into_response(),
    }
}
