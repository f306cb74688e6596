//! The parser of a journal frame: `cargo +nightly fuzz run frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(countersign::ledger::again::frame(bytes));
});
