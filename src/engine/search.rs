//! `/access log`: the ledger is searched beside the writer, from its newest entry backwards.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    ground::{Log, blocking},
    writer::Writer,
};
use crate::{
    access::SubjectId,
    audit::{Names, Search},
    chat::{
        Reply,
        answer::{self, LogLine},
    },
};

/// Entries that are shown.
const SHOWN_MAX: usize = 20;
/// Entries that are looked at; older ones are for the command line.
const LOOKED_AT_MAX: u64 = 200_000;
/// Entries that are read at a time.
const PAGE: u64 = 1_000;

impl Writer {
    /// Searches the ledger for somebody; for `own` only what concerns them. Entries from `before` on are not looked at.
    pub(super) fn search(
        &self,
        (words, before): (&[String], u64),
        own: Option<SubjectId>,
        reply: oneshot::Sender<Reply>,
    ) {
        let Some(ledger) = self.ledger.clone() else { return };
        let names: Names = self.state.everybody().map(|(id, name)| (id, name.to_owned())).collect();
        let search = Search::new(words, own, names);
        let (ground, errand) = (Arc::clone(&self.setup.ground), self.shared.errand());
        tokio::spawn(async move {
            let _errand = errand;
            let found = blocking(ground.as_ref(), move || run(ledger.as_ref(), before, search)).await;
            let answer =
                found.map_or_else(answer::ledger_down, |(lines, from)| answer::log(lines, from, own.is_none()));
            // Whoever has gone away needs no answer.
            let _ = reply.send(answer);
        });
    }
}

/// The newest entries before `to` that are looked for, newest first, and the oldest entry that was looked at. Blocks.
fn run(ledger: &dyn Log, mut to: u64, mut search: Search) -> (Vec<LogLine>, u64) {
    let end = to.saturating_sub(LOOKED_AT_MAX);
    let mut found = Vec::new();
    while to > end {
        let from = to.saturating_sub(PAGE).max(end);
        let Ok(entries) = ledger.entries(from, to) else { break };
        let mut page: Vec<_> = entries.filter_map(Result::ok).collect();
        while let Some(entry) = page.pop() {
            let at = |index| ledger.entries(index, index + 1).ok()?.next()?.ok();
            if let Some(text) = search.find(&entry, at) {
                found.push(LogLine { seq: entry.seq, at: entry.time, kind: entry.kind, text });
            }
            if found.len() == SHOWN_MAX {
                return (found, entry.seq);
            }
        }
        to = from;
    }
    (found, to)
}
