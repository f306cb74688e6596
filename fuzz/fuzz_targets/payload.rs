//! The parser of the payload of a journal frame: `cargo +nightly fuzz run payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(written) = countersign::ledger::again::payload(bytes) {
        assert_eq!(written, bytes);
    }
});
