//! What a signing provider has given out: which doors are open, which keys were cut for them and which of those are
//! void. It is the state of the target, as roles are the state of a database; it holds nothing secret.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Item, Order, ProviderError, orders::is_of_log};

/// Most credentials that one grant can have.
const CREDENTIALS_MAX: usize = 200;
/// How long a void key is still listed after its end, in seconds: targets whose clocks are slow refuse it too.
const KEEP_SECS: i64 = 3600;

/// The doors of one resource.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Register<K> {
    /// Goes up with each change.
    pub edition: u64,
    /// By external id.
    pub doors: BTreeMap<String, Door<K>>,
}

/// One grant's door.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Door<K> {
    /// The request's id.
    pub request: u64,
    /// Its end in seconds since 1970.
    pub not_after: i64,
    /// Whether it was granted and not revoked since.
    pub open: bool,
    /// The keys cut for it, oldest first.
    pub keys: Vec<Key<K>>,
}

/// One key that was cut.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key<K> {
    /// Which one, from 1.
    pub n: u32,
    /// Its end in seconds since 1970.
    pub not_after: i64,
    /// Whether it is void.
    pub void: bool,
    /// How a revocation list names it.
    pub name: K,
}

impl<K> Default for Register<K> {
    fn default() -> Self {
        Self { edition: 0, doors: BTreeMap::new() }
    }
}

impl<K: PartialEq> Register<K> {
    /// Opens a door or sets its end anew. Keys that are void stay void; those that would outlive the new end become so.
    pub(super) fn open(&mut self, order: &Order) {
        let end = order.not_after.timestamp();
        let door = self.door(order);
        door.open = true;
        door.not_after = end;
        door.keys.iter_mut().for_each(|key| key.void |= key.not_after > end);
    }

    /// Cuts the `n`th key: those before it are void. The same `n` again replaces what was cut under it.
    pub(super) fn cut(&mut self, order: &Order, n: u32, not_after: i64, name: K) -> Result<(), ProviderError> {
        let door = self.doors.get_mut(&order.external_id).filter(|door| door.open).ok_or_else(|| {
            ProviderError::Permanent(format!(
                "no door is open for `{}`: there is nothing to cut a key for",
                order.external_id
            ))
        })?;
        if let Some(later) = door.keys.iter().map(|key| key.n).filter(|taken| *taken > n).max() {
            return Err(ProviderError::Permanent(format!("credential {later} was taken already: {n} would be void")));
        }
        door.keys.retain(|key| key.n != n || key.name != name);
        if door.keys.len() >= CREDENTIALS_MAX {
            return Err(ProviderError::Permanent(format!(
                "{CREDENTIALS_MAX} credentials were taken: that is the most"
            )));
        }
        door.keys.iter_mut().for_each(|key| key.void = true);
        door.keys.push(Key { n, not_after, void: false, name });
        Ok(())
    }

    /// Closes a door, also one that was never open: all its keys are void.
    pub(super) fn close(&mut self, order: &Order) {
        let door = self.door(order);
        door.open = false;
        door.not_after = door.not_after.max(order.not_after.timestamp());
        door.keys.iter_mut().for_each(|key| key.void = true);
    }

    /// Forgets what has ended by itself and counts the edition up.
    pub(super) fn turn_page(&mut self, now: DateTime<Utc>) {
        let gone = |not_after: i64| not_after.saturating_add(KEEP_SECS) < now.timestamp();
        for door in self.doors.values_mut() {
            door.keys.retain(|key| !(key.void && gone(key.not_after)));
        }
        self.doors.retain(|_, door| door.open || !door.keys.is_empty() || !gone(door.not_after));
        self.edition = self.edition.saturating_add(1);
    }

    /// The open doors of one log.
    pub(super) fn items(&self, log_tag: &str) -> Vec<Item> {
        let open = self.doors.iter().filter(|(id, door)| door.open && is_of_log(id, log_tag));
        open.map(|(id, door)| Item { external_id: id.clone(), not_after: DateTime::from_timestamp(door.not_after, 0) })
            .collect()
    }

    fn door(&mut self, order: &Order) -> &mut Door<K> {
        self.doors.entry(order.external_id.clone()).or_insert_with(|| Door {
            request: order.request,
            not_after: order.not_after.timestamp(),
            open: false,
            keys: Vec::new(),
        })
    }
}
