//! Whoever reads what a command says may stop reading, and the disk that it is written to may be full.

use std::{fs, os::unix::fs::FileExt as _};

use crate::support::{
    demo::{self, assert_verifies},
    kept::Kept,
};

const STORY: &str = "@ana: /access prod-host 30m fixing INC-42 => $fix\n@cleo: /access approve $fix\n";
const FULL: &str = "the output can't be written: No space left on device (os error 28)\n";

/// Commands that only tell.
const TELLING: [&[&str]; 11] = [
    &["log", "--ledger", "L"],
    &["log", "--json", "--ledger", "L"],
    &["log", "--last", "2", "--ledger", "L"],
    &["verify", "L"],
    &["verify", "--json", "L"],
    &["prove", "4", "--ledger", "L"],
    &["check", "--config", "conf"],
    &["explain", "ana", "prod-host", "30m", "--config", "conf"],
    &["providers", "--config", "conf"],
    &["rehearse", "told.story", "--config", "conf"],
    &["rehearse", "told.story", "--json", "--config", "conf"],
];

#[test]
fn whoever_stops_reading_ends_it_quietly_and_a_full_disk_does_not() {
    let kept = Kept::of(STORY);
    for args in TELLING {
        assert_eq!(kept.unheard(args), (0, String::new()), "{args:?}");
        assert_eq!(kept.to_full(args), (75, FULL.to_owned()), "{args:?}");
    }
}

#[test]
fn a_verdict_is_one_whether_it_is_heard_or_not() {
    let kept = Kept::of(STORY);
    let head = fs::OpenOptions::new().write(true).open(kept.path("L/public/checkpoint")).unwrap();
    head.write_all_at(b"C", 0).unwrap();
    for args in [&["verify", "L"][..], &["verify", "--json", "L"]] {
        let (code, errors) = kept.unheard(args);
        assert!(code == 1 && errors.contains(" fault") && !errors.contains("can't be written"), "{code} {errors}");
        let (code, errors) = kept.to_full(args);
        assert!(code == 1 && errors.contains(" fault") && errors.ends_with(FULL), "{code} {errors}");
        assert_eq!(kept.struck_dumb(args), 1, "even if not a word of it can be said: {args:?}");
    }
}

#[test]
fn what_was_begun_is_finished_whether_anybody_listens_or_not() {
    let kept = Kept::of(STORY);
    assert_eq!(kept.unheard(&["export", "L", "--to", "x1"]).0, 0);
    assert_eq!(kept.to_full(&["export", "L", "--to", "x2"]), (75, FULL.to_owned()));
    for out in ["x1", "x2"] {
        assert_verifies(&kept.path(out));
    }
    let schemas = ["countersign.cedarschema", "countersign.json", "people.json", "resources.json", "shipped.cedar"];
    assert_eq!(kept.unheard(&["schema", "schemas"]).0, 0);
    assert_eq!(kept.names("schemas"), schemas);

    let rotations = || demo::entries(&kept.path("L")).iter().filter(|entry| entry["kind"] == "key.retired").count();
    assert_eq!(kept.unheard(&["rotate-key", "--config", "conf"]).0, 0);
    assert_eq!(kept.to_full(&["rotate-key", "--config", "conf"]), (75, FULL.to_owned()));
    assert_eq!(rotations(), 2);

    let erased = || demo::entries(&kept.path("L")).iter().filter(|entry| entry["kind"] == "subject.erased").count();
    // Who can't read what would go is not asked.
    let (code, errors) = kept.unheard(&["erase", "ana", "--config", "conf"]);
    assert_eq!((code, &*errors, erased()), (1, "nothing was erased\n", 0));
    assert_eq!(kept.unheard(&["erase", "ana", "--yes", "--config", "conf"]).0, 0);
    assert_eq!(kept.to_full(&["erase", "cleo", "--yes", "--config", "conf"]).0, 75);
    assert_eq!(erased(), 2);
    assert_verifies(&kept.path("L"));
}
