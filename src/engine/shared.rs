//! What others may read while the writer works: the durable ledger, never the state.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::ground::{Ground, Log, blocking};
use crate::chat::{LedgerLine, LedgerView};

/// Something that is under way outside the writer.
pub struct Errand(watch::Sender<usize>);

impl Drop for Errand {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// A window on the ledger.
pub struct Shared {
    ground: Arc<dyn Ground>,
    ledger: RwLock<Option<Arc<dyn Log>>>,
    size: watch::Sender<u64>,
    under_way: watch::Sender<usize>,
    /// One check of the whole ledger at a time: it keeps all processors busy.
    checking: tokio::sync::Mutex<()>,
}

impl Shared {
    /// A window on an open ledger.
    pub fn new(ground: Arc<dyn Ground>, ledger: &Arc<dyn Log>) -> Self {
        let (size, _) = watch::channel(ledger.size());
        Self {
            ground,
            ledger: RwLock::new(Some(Arc::clone(ledger))),
            size,
            under_way: watch::Sender::new(0),
            checking: tokio::sync::Mutex::default(),
        }
    }

    /// The ledger, unless it is being opened again.
    pub fn ledger(&self) -> Option<Arc<dyn Log>> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn close(&self) {
        *self.ledger.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn opened(&self, ledger: &Arc<dyn Log>) {
        *self.ledger.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(ledger));
        self.grew(ledger.size());
    }

    pub(super) fn grew(&self, size: u64) {
        self.size.send_replace(size);
    }

    /// The number of durable entries, and word of every change.
    pub fn size(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }

    /// How many calls to providers, cards, notices and lookups are under way, and word of every change.
    pub fn under_way(&self) -> watch::Receiver<usize> {
        self.under_way.subscribe()
    }

    pub(super) fn under_way_now(&self) -> usize {
        *self.under_way.borrow()
    }

    /// Counts something as under way until what this returns is dropped. What came of it is queued before that.
    pub(super) fn errand(&self) -> Errand {
        self.under_way.send_modify(|count| *count = count.saturating_add(1));
        Errand(self.under_way.clone())
    }

    /// The newest signed head.
    pub fn head(&self) -> String {
        self.ledger().map(|ledger| ledger.head().note.to_string()).unwrap_or_default()
    }

    /// The newest entries and the head. Nothing personal: the lines carry none.
    pub async fn view(&self, most: usize) -> LedgerView {
        let Some(ledger) = self.ledger() else { return LedgerView::default() };
        let read = move || {
            let size = ledger.size();
            let from = size.saturating_sub(most as u64);
            let Ok(entries) = ledger.entries(from, size) else { return LedgerView::default() };
            let entries = entries
                .filter_map(Result::ok)
                .map(|entry| LedgerLine {
                    index: entry.seq,
                    time: entry.time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
                    kind: entry.kind,
                    leaf: hex::encode(entry.leaf),
                    line: String::from_utf8_lossy(&entry.line).into_owned(),
                })
                .collect();
            LedgerView { entries, head: ledger.head().note.to_string() }
        };
        blocking(self.ground.as_ref(), read).await.unwrap_or_default()
    }

    /// Checks the whole ledger on the disk against the head that this process holds.
    pub async fn verify(&self) -> (bool, Vec<String>) {
        let _turn = self.checking.lock().await;
        let (ground, head) = (Arc::clone(&self.ground), self.head());
        let checked = blocking(self.ground.as_ref(), move || ground.verify(&head)).await;
        checked.unwrap_or_else(|| (false, vec!["the check broke off; look at the log of the service".to_owned()]))
    }
}
