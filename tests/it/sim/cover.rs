//! What the seeds have lived through: what never happens shows nothing.

use std::collections::BTreeMap;

use countersign::{access::Event, ledger::kinds};

/// What has to happen in each part of the seeds, besides entries of every kind: the beginning of what is counted.
const REQUIRED: [&str; 74] = [
    "answered Done",
    "answered Fault",
    "answered Info",
    "answered Refused",
    "approved ahead",
    "approved for less",
    "asked for later",
    "asked for more time",
    "asked to break the glass",
    "bulletin A review has a concern",
    "bulletin A review is overdue",
    "bulletin A rule fails",
    "bulletin Access",
    "bulletin The clock was set",
    "bulletin The rules are wider",
    "chat AnswerLost",
    "chat Fails",
    "chat Forgotten",
    "chat Slow",
    "clock set",
    "delivered again",
    "delivered twice at once",
    "ending expired",
    "ending returned",
    "ending revoked",
    "ending spared",
    "ending unknown",
    "looked at home",
    "looked at rest",
    "open fails",
    "open from a snapshot",
    "outside foreign",
    "outside late",
    "outside stray",
    "outside vanishes",
    "person erased",
    "process gives up",
    "process killed",
    "process stopped",
    "provider Grant Garbage",
    "provider Grant Hangs",
    "provider Grant Late",
    "provider Grant Lies",
    "provider Grant Panics",
    "provider Grant Permanent",
    "provider Grant Retry",
    "provider Grant Slow",
    "provider Key",
    "provider Revoke Garbage",
    "provider Revoke Hangs",
    "provider Revoke Lies",
    "provider Revoke Panics",
    "provider Revoke Permanent",
    "provider Revoke Retry",
    "provider Revoke Slow",
    "provider away",
    "provider list Hangs",
    "provider list Retry",
    "refused already_held",
    "refused decided_already",
    "refused own_request",
    "refused review_owed",
    "refused stranger",
    "rules edited",
    "snapshot kept",
    "talk changed",
    "talk deleted",
    "talk delivered again",
    "talk refused",
    "talk said",
    "told missing",
    "told stuck",
    "write DiesTorn",
    "write Fails",
];

/// Each part of the seeds has more grants than this.
const GRANTS_MIN: u64 = 1_000;

/// What happened how often, a line each.
pub fn table(counted: &BTreeMap<String, u64>) -> String {
    let lines: Vec<String> = counted.iter().map(|(what, count)| format!("{count:>9}  {what}")).collect();
    lines.join("\n")
}

/// Fails if something never happened.
pub fn holds(counted: &BTreeMap<String, u64>) {
    let own = kinds::OWN.into_iter().filter(|kind| ![kinds::KEY_ADDED, kinds::KEY_RETIRED].contains(kind));
    let entries = own.chain(Event::KINDS).map(|kind| format!("entry {kind}"));
    let required = entries.chain(REQUIRED.map(str::to_owned));
    let never: Vec<String> = required.filter(|what| !counted.keys().any(|known| known.starts_with(what))).collect();
    assert!(never.is_empty(), "these never happened: {never:?}");
    // What was being ended has ended, and nothing is left for a later life.
    assert_eq!(counted["entry grant.ending"], counted["entry grant.ended"]);
    assert!(counted["entry grant.ended"] > GRANTS_MIN, "too little was granted");
}
