//! The commands, pointed at what is not there, not theirs, or in use.

use std::fs;

use insta::assert_snapshot as is;

use crate::support::kept::Kept;

const STORY: &str = "@ana: /access prod-host 30m fixing INC-42 => $fix\n@cleo: /access approve $fix\n";

#[test]
fn only_the_service_makes_a_ledger() {
    let kept = Kept::of(STORY).moved("data");
    fs::rename(kept.path("L"), kept.path("data")).unwrap();
    fs::create_dir(kept.path("elsewhere")).unwrap();
    for args in [&["rotate-key"][..], &["erase", "ana", "--yes"], &["reload"]] {
        let args = [args, &["--config", "../conf"]].concat();
        let (code, said, errors) = kept.run("elsewhere", &args);
        insta::allow_duplicates!(is!(format!("{code}\n{said}{errors}"), @"
        1
        there is no ledger in DIR/elsewhere/data
          hint: `ledger.path` in countersign.toml is `data`, which is taken from the folder in which a command is called: call it where the service is started, or put the whole path there
        "));
        assert_eq!(kept.names("elsewhere"), [""; 0], "nothing was begun: {args:?}");
    }
    // Where the service is started it is found.
    let (code, said, errors) = kept.run("", &["rotate-key", "--config", "conf"]);
    assert_eq!(code, 0, "{said}{errors}");

    let kept = Kept::config("conf");
    let (code, said, errors) = kept.run("", &["rotate-key", "--config", "conf"]);
    is!(format!("{code}\n{said}{errors}"), @"
    1
    there is no ledger in DIR/L
      hint: `ledger.path` in countersign.toml names it; `countersign run` makes one
    ");
    // A folder that is there is no ledger for that, and nothing comes into it.
    fs::create_dir(kept.path("L")).unwrap();
    let (code, _, errors) = kept.run("", &["erase", "ana", "--yes", "--config", "conf"]);
    assert!(code == 1 && errors.contains("there is no ledger in DIR/L\n"), "{errors}");
    assert_eq!(kept.names("L"), [""; 0]);
    // One whose journal is gone is one all the same, and says what it lacks.
    let kept = Kept::of(STORY);
    fs::remove_dir_all(kept.path("L/journal")).unwrap();
    let (code, _, errors) = kept.run("", &["rotate-key", "--config", "conf"]);
    assert!(code == 1 && errors.contains("its tail is gone"), "{errors}");
}
