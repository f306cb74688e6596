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

#[test]
fn what_is_no_ledger_is_told_with_its_path_and_what_to_do() {
    let kept = Kept::of(STORY);
    fs::write(kept.path("file"), "").unwrap();
    fs::create_dir(kept.path("empty")).unwrap();
    let run = |args: &[&str]| {
        let (code, said, errors) = kept.run("", args);
        format!("{code}\n{said}{errors}")
    };
    is!(run(&["log", "--ledger", "file"]), @"
    1
    DIR/file can't be read: Not a directory (os error 20)
      hint: a part of that path is a file, where a folder is meant
    ");
    assert_eq!(run(&["prove", "0", "--ledger", "file"]), run(&["log", "--ledger", "file"]));
    assert_eq!(run(&["export", "file", "--to", "x"]), run(&["log", "--ledger", "file"]));
    is!(run(&["log", "--ledger", "empty"]), @"
    1
    there is no ledger in DIR/empty
      hint: name the folder that `ledger.path` names
    ");
    assert_eq!(run(&["prove", "0", "--ledger", "empty"]), run(&["log", "--ledger", "empty"]));
    is!(run(&["export", "empty", "--to", "x"]), @"
    1
    there is no ledger in DIR/empty
      hint: name the folder that `ledger.path` names
    ");
    assert!(!kept.path("x").exists());

    fs::rename(kept.path("L/keys"), kept.path("L/keys.away")).unwrap();
    fs::write(kept.path("L/keys"), "").unwrap();
    let said = run(&["log", "--ledger", "L", "subject.enrolled"]);
    assert!(said.starts_with("1\nDIR/L can't be read: L/keys/"), "{said}");
    assert!(said.contains(": Not a directory (os error 20)\n  hint: a part of that path is a file"), "{said}");
}

#[test]
fn a_demo_keeps_to_its_own_folder() {
    let kept = Kept::of(STORY);
    fs::write(kept.path("file"), "").unwrap();
    fs::create_dir(kept.path("mine")).unwrap();
    fs::write(kept.path("mine/letter"), "dear").unwrap();
    let (code, _, errors) = kept.run("", &["export", "L", "--to", "exported"]);
    assert_eq!(code, 0, "{errors}");
    // If it were to start, it would not come far: it listens on loopback only.
    let demo = |dir: &str| {
        let (code, said, errors) = kept.run("", &["demo", "--listen", "192.0.2.1:1", "--keep", dir]);
        format!("{code}\n{said}{errors}")
    };
    is!(demo("file"), @"
    1
    DIR/file can't be read: Not a directory (os error 20)
      hint: a part of that path is a file, where a folder is meant
    ");
    is!(demo("file/x"), @"
    1
    DIR/file/x can't be read: Not a directory (os error 20)
      hint: a part of that path is a file, where a folder is meant
    ");
    for dir in ["mine", "exported", "L"] {
        let before = kept.names(dir);
        let said = demo(dir);
        assert!(said.starts_with(&format!("1\nDIR/{dir} is no folder of a demo, and not empty\n  hint: ")), "{said}");
        assert_eq!(kept.names(dir), before);
    }
}

#[test]
fn the_key_that_signs_is_no_new_one() {
    let kept = Kept::of(STORY);
    fs::rename(kept.path("L/signing-key.pem"), kept.path("key.pem")).unwrap();
    fs::copy(kept.path("key.pem"), kept.path("copy.pem")).unwrap();
    let file = kept.path("conf/countersign.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("origin", &format!("signing_key_file = {:?}\norigin", kept.text("key.pem")), 1))
        .unwrap();
    let size = crate::support::demo::entries(&kept.path("L")).len();
    let (code, said, errors) = kept.run("", &["rotate-key", "--config", "conf", "--new-key-file", "copy.pem"]);
    is!(format!("{code}\n{said}{errors}"), @"
    1
    the key in `--new-key-file` is the one that signs already
      hint: `openssl genpkey -algorithm ed25519` makes a new one
    ");
    fs::write(kept.path("none.pem"), "no key").unwrap();
    let (code, said, errors) = kept.run("", &["rotate-key", "--config", "conf", "--new-key-file", "none.pem"]);
    is!(format!("{code}\n{said}{errors}"), @"
    1
    DIR/none.pem is no Ed25519 key in PKCS#8 PEM
      hint: `openssl genpkey -algorithm ed25519` makes a new one
    ");
    assert_eq!(crate::support::demo::entries(&kept.path("L")).len(), size);
}
