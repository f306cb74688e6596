//! The rules of the day, which may be exchanged while the engine runs.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};

use crate::access::{Files, Rules};

/// The newest moment at which a report is due, after the first time and not after the second.
pub type Schedule = Arc<dyn Fn(DateTime<Utc>, DateTime<Utc>) -> Option<DateTime<Utc>> + Send + Sync>;

/// What people may do now that they could not do before: the rules of the first files against those of the second, a
/// line each. It may take a while.
pub type Widened = Arc<dyn Fn(&Files, &Files) -> Vec<String> + Send + Sync>;

/// All that a config says and that may change while the engine runs.
#[derive(Clone)]
pub struct Book {
    /// The rules.
    pub rules: Arc<dyn Rules>,
    /// When reports are due, if any are.
    pub digest: Option<Schedule>,
    /// The files it was read from, and their SHA-256, for the record.
    pub files: Files,
}

/// Where everybody finds the book that holds at the moment.
pub struct Rulebook(RwLock<Arc<Book>>);

impl Rulebook {
    /// The first book.
    #[must_use]
    pub fn new(book: Book) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(book))))
    }

    /// The book that holds now.
    #[must_use]
    pub fn now(&self) -> Arc<Book> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules that hold now.
    #[must_use]
    pub fn rules(&self) -> Arc<dyn Rules> {
        Arc::clone(&self.now().rules)
    }

    pub(super) fn put(&self, book: Arc<Book>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = book;
    }
}
