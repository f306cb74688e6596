//! The parser of an entry's line: `cargo +nightly fuzz run entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(written) = countersign::ledger::again::entry(bytes) {
        assert_eq!(written, bytes);
    }
});
