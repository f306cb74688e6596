//! What a target tells of our objects without ledger, register or memory: by the marks on the objects alone.

use chrono::{DateTime, Utc};

use super::{Holder, Order, orders};

/// Who held an access is not on its mark.
const UNKNOWN_HOLDER: &str = "unknown";

/// The objects with our mark on a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// Which system answered: the same for two targets that are one system.
    pub place: String,
    /// The system's own clock.
    pub now: DateTime<Utc>,
    /// The objects, of every log and every resource.
    pub items: Vec<Marked>,
    /// Objects with a name like ours and no mark of ours on them, by name: not ours to touch.
    pub unmarked: Vec<String>,
}

/// An object and what its mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// As in [`Order::external_id`]; it has the log's tag in it.
    pub external_id: String,
    /// The resource it was made for.
    pub resource: String,
    /// The end.
    pub not_after: DateTime<Utc>,
}

impl Marked {
    /// The tag of the log it belongs to; empty if the id is none of ours.
    #[must_use]
    pub fn log_tag(&self) -> &str {
        orders::log_tag(&self.external_id).unwrap_or_default()
    }

    /// An order to revoke it by. `None` if the id is none of ours.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        Some(Order {
            external_id: self.external_id.clone(),
            request: orders::request(&self.external_id)?,
            resource: self.resource.clone(),
            holder: Holder { name: UNKNOWN_HOLDER.into(), ssh_keys: Vec::new() },
            not_after: self.not_after,
        })
    }
}
