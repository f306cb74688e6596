//! The parser of a snapshot that the key of the log signed: `cargo +nightly fuzz run snapshot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(countersign::ledger::again::snapshot(bytes));
});
