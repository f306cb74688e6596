//! The parser of a proof: `cargo +nightly fuzz run proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(written) = countersign::ledger::again::proof(bytes) {
        assert_eq!(written, bytes);
    }
});
