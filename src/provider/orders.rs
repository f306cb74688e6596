//! What every provider looks at in an order before it does anything.

use chrono::{DateTime, Utc};

use super::{Order, ProviderError};

/// Length of the log's tag in an external id, in bytes.
const TAG_BYTES: usize = 8;
/// Longest external id, in bytes.
const ID_MAX_BYTES: usize = 40;

/// The log's tag in an external id; `None` if the id is none of ours.
pub(super) fn log_tag(external_id: &str) -> Option<&str> {
    let (tag, number) = external_id.strip_prefix("cs_")?.split_once('_')?;
    let number_fits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_log_tag(tag) && number_fits && external_id.len() <= ID_MAX_BYTES).then_some(tag)
}

/// The request in an external id; `None` if the id is none of ours.
pub(super) fn request(external_id: &str) -> Option<u64> {
    log_tag(external_id)?;
    external_id.rsplit_once('_')?.1.parse().ok()
}

/// Whether `text` can be the tag of a log, the eight characters in an external id.
#[must_use]
pub fn is_log_tag(text: &str) -> bool {
    text.len() == TAG_BYTES && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}

/// Whether an external id belongs to the log with this tag.
pub(super) fn is_of_log(external_id: &str, tag: &str) -> bool {
    log_tag(external_id) == Some(tag)
}

/// Refuses an order whose id could name something that isn't ours; gives the log's tag.
pub(super) fn checked(order: &Order) -> Result<&str, ProviderError> {
    log_tag(&order.external_id)
        .ok_or_else(|| ProviderError::Permanent("the external id is not of the form `cs_<tag>_<number>`".into()))
}

/// Refuses to open or to cut anything for a grant that is over.
pub(super) fn not_over(order: &Order, now: DateTime<Utc>) -> Result<(), ProviderError> {
    if order.not_after.timestamp() > now.timestamp() {
        return Ok(());
    }
    Err(ProviderError::Permanent(format!("the grant ended at {}", written(order.not_after))))
}

/// A moment as people and `PostgreSQL` read it, to the second: it is never later than `moment`.
pub(super) fn written(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
