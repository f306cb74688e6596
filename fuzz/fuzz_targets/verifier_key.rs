//! The parser of a verifier key: `cargo +nightly fuzz run verifier_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(written) = countersign::ledger::again::verifier_key(bytes) {
        assert_eq!(written, bytes);
    }
});
