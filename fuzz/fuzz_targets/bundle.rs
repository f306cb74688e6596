//! The parser of a bundle of entries: `cargo +nightly fuzz run bundle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(written) = countersign::ledger::again::bundle(bytes) {
        assert_eq!(written, bytes);
    }
});
