//! The parser of a signed head: `cargo +nightly fuzz run head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(countersign::ledger::again::head(bytes));
});
