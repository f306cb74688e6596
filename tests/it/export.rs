//! An export that breaks off, and where none may be.

use std::{fs, os::unix::fs::FileExt as _, process::Command};

use insta::assert_snapshot as is;

use crate::support::{demo::assert_verifies, kept::Kept};

const STORY: &str = "@ana: /access prod-host 30m fixing INC-42 => $fix\n@cleo: /access approve $fix\n";

/// Flips a bit of the first frame of the journal; twice is as before.
fn flip(kept: &Kept) {
    let journal = fs::OpenOptions::new().read(true).write(true).open(kept.path("L/journal/00000000.seg")).unwrap();
    let mut byte = [0];
    journal.read_exact_at(&mut byte, 200).unwrap();
    journal.write_all_at(&[byte[0] ^ 1], 200).unwrap();
}

#[test]
fn one_that_breaks_off_leaves_nothing_behind() {
    let kept = Kept::of(STORY);
    fs::create_dir(kept.path("empty")).unwrap();
    // Where the keys are meant to be is a file: that is found when the first is needed, and the files are begun.
    let (keys, aside) = (kept.path("L/keys"), kept.path("aside"));
    for broken in ["journal", "keys"] {
        let damage = |mend: bool| match (broken, mend) {
            ("journal", _) => flip(&kept),
            (_, false) => {
                fs::rename(&keys, &aside).unwrap();
                fs::write(&keys, "").unwrap();
            }
            (_, true) => {
                fs::remove_file(&keys).unwrap();
                fs::rename(&aside, &keys).unwrap();
            }
        };
        damage(false);
        for to in ["new", "empty"] {
            let (code, said, errors) = kept.run("", &["export", "L", "--to", to, "--disclosures"]);
            assert!(code == 1 && said.is_empty() && errors.contains(broken), "{broken}: {said}{errors}");
        }
        assert!(!kept.path("new").exists(), "{broken}");
        assert_eq!(kept.names("empty"), [""; 0], "{broken}");
        damage(true);
    }
    for to in ["new", "empty"] {
        let (code, _, errors) = kept.run("", &["export", "L", "--to", to, "--disclosures"]);
        assert_eq!(code, 0, "{errors}");
        assert_verifies(&kept.path(to));
    }
}

#[test]
fn where_none_may_be() {
    let kept = Kept::of(STORY);
    fs::write(kept.path("file"), "mine").unwrap();
    fs::create_dir(kept.path("full")).unwrap();
    fs::write(kept.path("full/note"), "mine").unwrap();
    std::os::unix::fs::symlink(kept.path("L"), kept.path("link")).unwrap();
    let before = (kept.names("L"), kept.names(""));
    let to = |to: &str| {
        let (code, said, errors) = kept.run("", &["export", "L", "--to", to]);
        format!("{code}\n{said}{errors}")
    };
    is!(to("file"), @"
    1
    DIR/file is a file: File exists (os error 17)
      hint: name a folder that is not there yet, or empty
    ");
    is!(to("full"), @"
    1
    DIR/full is not empty
      hint: name a folder that is not there yet; what an export that was killed left, remove
    ");
    is!(to("L/sub"), @"
    1
    DIR/L/sub is in the ledger's own folder, where only the service writes
      hint: name a folder elsewhere
    ");
    is!(to("link/a/b"), @"
    1
    DIR/link/a/b is in the ledger's own folder, where only the service writes
      hint: name a folder elsewhere
    ");
    is!(to("L/../L/public/x"), @"
    1
    DIR/L/../L/public/x is in the ledger's own folder, where only the service writes
      hint: name a folder elsewhere
    ");
    is!(to("file/x"), @"
    1
    DIR/file/x can't be written: Not a directory (os error 20)
      hint: a part of that path is a file, where a folder is meant
    ");
    assert_eq!((kept.names("L"), kept.names("")), before, "nothing was begun");
    assert_eq!(fs::read_to_string(kept.path("full/note")).unwrap(), "mine");
}

#[test]
fn what_is_in_clear_is_read_as_the_docs_say() {
    let kept = Kept::of(STORY);
    let (code, _, errors) = kept.run("", &["export", "L", "--to", "x", "--disclosures"]);
    assert_eq!(code, 0, "{errors}");
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ledger.md")).unwrap();
    let mut blocks = docs.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines = blocks.find(|lines| lines.contains("disclosures.jsonl")).expect("no shell line reads it");
    let read = Command::new("sh").args(["-eu", "-c", lines]).current_dir(kept.path("x")).output().unwrap();
    let (said, errors) = (String::from_utf8(read.stdout).unwrap(), String::from_utf8(read.stderr).unwrap());
    assert!(read.status.success() && errors.is_empty(), "{said}{errors}");
    let exported = fs::read_to_string(kept.path("x/disclosures.jsonl")).unwrap();
    assert_eq!(said.lines().count(), exported.lines().count(), "{said}");
    // Index, salt, which field, text.
    for (seq, end) in [(2, r#","name","ana"]"#), (4, r#","reason","fixing INC-42"]"#), (3, "fixing INC-42\"]")] {
        let found = said.lines().any(|line| line.starts_with(&format!("{seq} [\"")) && line.ends_with(end));
        assert!(found, "{seq} {end}: {said}");
    }
}
