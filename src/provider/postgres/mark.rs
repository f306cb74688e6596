//! Our mark on a role: a comment in JSON, which says whose it is and when it ends also to those who don't know us.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::{Order, orders};

/// The keys in the order of the alphabet, whatever keeps or sorts them.
#[derive(Serialize, Deserialize)]
struct Mark {
    /// The external id.
    countersign: String,
    /// The end in seconds since 1970.
    exp: i64,
    log: String,
    request: u64,
    resource: String,
}

/// The comment for a role.
pub(super) fn mark(order: &Order, resource: &str) -> String {
    let mark = Mark {
        countersign: order.external_id.clone(),
        exp: order.not_after.timestamp(),
        log: orders::log_tag(&order.external_id).unwrap_or_default().to_owned(),
        request: order.request,
        resource: resource.to_owned(),
    };
    serde_json::json!(mark).to_string()
}

/// The resource and the end that our mark on this role names; `None` if the comment is not our mark for it.
pub(super) fn of_role(comment: &str, id: &str) -> Option<(String, DateTime<Utc>)> {
    let mark: Mark = serde_json::from_str(comment).ok()?;
    let end = DateTime::from_timestamp(mark.exp, 0)?;
    (mark.countersign == id).then_some((mark.resource, end))
}

/// Whether a comment is our mark for this role.
pub(super) fn is_of_role(comment: &str, id: &str) -> bool {
    serde_json::from_str::<Mark>(comment).is_ok_and(|mark| mark.countersign == id)
}

/// Whether a comment is our mark for a role of this resource.
pub(super) fn is_of_resource(comment: &str, resource: &str) -> bool {
    serde_json::from_str::<Mark>(comment).is_ok_and(|mark| mark.resource == resource)
}
