//! The search for an anchor in a text: `cargo +nightly fuzz run anchor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(countersign::ledger::again::anchor(bytes));
});
