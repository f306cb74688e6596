//! Our mark on an object of a database: a JSON text, which says whose it is and when it ends also to those who don't
//! know us.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Order, orders};

/// The keys in the order of the alphabet, whatever keeps or sorts them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The external id.
    countersign: String,
    /// The end in seconds since 1970.
    exp: i64,
    /// Whether the object is still being made, by statements of the operator's.
    #[serde(default, skip_serializing_if = "is_false")]
    half: bool,
    log: String,
    request: u64,
    /// The resource it was made for.
    pub(super) resource: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_false(half: &bool) -> bool {
    !*half
}

impl Mark {
    /// The mark for an order.
    pub(super) fn new(order: &Order, resource: &str) -> Self {
        Self {
            countersign: order.external_id.clone(),
            exp: order.not_after.timestamp(),
            half: false,
            log: orders::log_tag(&order.external_id).unwrap_or_default().to_owned(),
            request: order.request,
            resource: resource.to_owned(),
        }
    }

    /// The same for an object that is still being made.
    pub(super) fn half(self) -> Self {
        Self { half: true, ..self }
    }

    /// Our mark for the object `id` in a text; `None` if it is anything else.
    pub(super) fn of(text: &str, id: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|mark: &Self| mark.countersign == id)
    }

    /// The end.
    pub(super) fn end(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.exp, 0)
    }

    /// Whether the object was never made whole.
    pub(super) fn is_half(&self) -> bool {
        self.half
    }

    /// The mark as text: ASCII without `'` and `\`, as far as the resource's name is.
    pub(super) fn text(&self) -> String {
        serde_json::json!(self).to_string()
    }
}
