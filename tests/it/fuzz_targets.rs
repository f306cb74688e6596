//! The fuzz targets of `fuzz/`, compiled by the stable compiler as they stand there, and run over their corpus.

use std::{fs, path::Path};

/// What libFuzzer's macro makes of a target, without libFuzzer: a function.
#[macro_export]
macro_rules! fuzz_target {
    (|$bytes:ident: &[u8]| $body:block) => {
        pub fn run($bytes: &[u8]) {
            $body
        }
    };
}

#[path = "../../fuzz/fuzz_targets/anchor.rs"]
mod anchor;
#[path = "../../fuzz/fuzz_targets/bundle.rs"]
mod bundle;
#[path = "../../fuzz/fuzz_targets/entry.rs"]
mod entry;
#[path = "../../fuzz/fuzz_targets/frame.rs"]
mod frame;
#[path = "../../fuzz/fuzz_targets/head.rs"]
mod head;
#[path = "../../fuzz/fuzz_targets/payload.rs"]
mod payload;
#[path = "../../fuzz/fuzz_targets/proof.rs"]
mod proof;
#[path = "../../fuzz/fuzz_targets/snapshot.rs"]
mod snapshot;
#[path = "../../fuzz/fuzz_targets/verifier_key.rs"]
mod verifier_key;

type Target = fn(&[u8]);

/// Runs one target over everything in its corpus; says how much that was.
fn replay(name: &str, run: Target) -> usize {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let seeds: Vec<_> = fs::read_dir(corpus).unwrap().map(|seed| seed.unwrap().path()).collect();
    for seed in &seeds {
        run(&fs::read(seed).unwrap());
    }
    seeds.len()
}

#[test]
fn each_target_takes_its_corpus() {
    let targets: [(&str, Target); 9] = [
        ("anchor", anchor::run),
        ("bundle", bundle::run),
        ("entry", entry::run),
        ("frame", frame::run),
        ("head", head::run),
        ("payload", payload::run),
        ("proof", proof::run),
        ("snapshot", snapshot::run),
        ("verifier_key", verifier_key::run),
    ];
    assert_eq!(
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets")).unwrap().count(),
        targets.len()
    );
    for (name, run) in targets {
        assert!(replay(name, run) > 0, "{name}");
    }
}
