//! A signing key that is not kept in the ledger's folder: given in the environment or in a file, and replaced.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use crate::support::demo::{self, Demo, assert_verifies, countersign, countersign_with};

const VARIABLE: &str = "COUNTERSIGN_SIGNING_KEY";

/// A key as the help says to make it.
fn made(path: &Path) -> String {
    let path = path.to_str().unwrap();
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out", path]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read_to_string(path).unwrap()
}

/// The sample config in a folder, on a free port, with a ledger of its own.
fn config(dir: &Path, ledger: &str) {
    let config = dir.join("bot-config");
    fs::create_dir_all(&config).unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("bot-config");
    for file in fs::read_dir(sample).unwrap().map(Result::unwrap).filter(|file| file.path().is_file()) {
        fs::copy(file.path(), config.join(file.file_name())).unwrap();
    }
    let text = format!(
        "[ledger]\npath = \"{}\"\norigin = \"example.com/signing\"\n{ledger}\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [playground]\nchannel = \"approvals\"\n",
        dir.join("ledger").display()
    );
    fs::write(config.join("countersign.toml"), text).unwrap();
}

fn serves(dir: &Path, pem: &str) {
    let demo = Demo::serve(dir, &[(VARIABLE.to_owned(), pem.to_owned())]);
    assert!(demo.stop().success());
    assert!(!dir.join("ledger/signing-key.pem").exists(), "the key stays where it is kept");
    assert_verifies(&dir.join("ledger"));
}

#[test]
fn a_key_from_the_environment_signs_and_is_replaced() {
    let dir = demo::folder();
    config(dir.path(), "");
    let (first, second) = (made(&dir.path().join("first.pem")), made(&dir.path().join("second.pem")));
    serves(dir.path(), &first);
    let config = dir.path().join("bot-config");
    let config = config.to_str().unwrap();
    let run = |pem: &str| {
        let (code, _, errors) = countersign_with(&["run", "--config", config], &[(VARIABLE, pem)]);
        assert_eq!(code, 1, "{errors}");
        assert!(!errors.contains("PRIVATE KEY"), "{errors}");
        errors.lines().last().unwrap_or_default().to_owned()
    };
    // Without it, with another, with none in it, with rubbish: one sentence, and nothing is begun.
    let (code, _, errors) = countersign(&["run", "--config", config]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("there is a ledger but no signing key") && errors.contains("none was given"), "{errors}");
    assert!(run(&second).contains("the signing key is not one that may sign this ledger now"));
    assert!(run("").contains("`COUNTERSIGN_SIGNING_KEY` is empty"));
    assert!(run("-----BEGIN").contains("the signing key is not an Ed25519 key in PKCS#8 PEM"));

    let next = dir.path().join("second.pem");
    let rotate = |pem: &str, more: &[&str]| {
        let args = [&["rotate-key", "--config", config], more].concat();
        countersign_with(&args, &[(VARIABLE, pem)])
    };
    let (code, _, errors) = rotate(&first, &[]);
    assert_eq!(code, 1);
    assert!(errors.contains("hint: make one and name it with `--new-key-file FILE`"), "{errors}");
    let (code, said, errors) = rotate(&first, &["--new-key-file", next.to_str().unwrap()]);
    assert_eq!(code, 0, "{errors}");
    assert!(said.contains("put it in the place of the old one"), "{said}");
    assert!(run(&first).contains("the signing key is not one that may sign this ledger now"));
    serves(dir.path(), &second);
    // The one that was retired does not come back, and what was refused is not in the ledger.
    let old = dir.path().join("first.pem");
    let size = demo::entries(&dir.path().join("ledger")).len();
    let (code, _, errors) = rotate(&second, &["--new-key-file", old.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(errors.contains("that key was retired and can't come back"), "{errors}");
    assert_eq!(demo::entries(&dir.path().join("ledger")).len(), size);
    serves(dir.path(), &second);
}

#[test]
fn a_key_from_a_file_signs() {
    let dir = demo::folder();
    let path = dir.path().join("key.pem");
    config(dir.path(), &format!("signing_key_file = \"{}\"", path.display()));
    let config = dir.path().join("bot-config");
    let config = config.to_str().unwrap();
    let (code, _, errors) = countersign(&["run", "--config", config]);
    assert_eq!(code, 1);
    assert!(errors.contains("the ledger can't be signed: the file in place of `COUNTERSIGN_SIGNING_KEY`"), "{errors}");
    assert!(!dir.path().join("ledger").exists(), "nothing was begun");
    made(&path);
    serves(dir.path(), "what the environment says does not count beside the file");
    let (code, said, _) = countersign(&["check", "--config", config]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_key_in_the_folder_needs_no_other() {
    let dir = demo::folder();
    config(dir.path(), "");
    let config = dir.path().join("bot-config");
    let config = config.to_str().unwrap();
    made(&dir.path().join("next.pem"));
    let next = dir.path().join("next.pem");
    let (code, _, errors) = countersign(&["rotate-key", "--config", config, "--new-key-file", next.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(errors.contains("hint: leave `--new-key-file` out"), "{errors}");
}

/// A key that others may read is no secret: that is said at the start, and nothing is refused for it.
#[test]
fn a_key_that_others_may_read_is_warned_of() {
    let dir = demo::folder();
    config(dir.path(), "");
    let said = || {
        let demo = Demo::serve(dir.path(), &[]);
        let logged = demo.logged();
        assert!(demo.stop().success());
        logged
    };
    assert!(!said().contains("open to others"), "a folder as the service makes it");
    let mode = |path: &str, mode: u32| {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    let ledger = dir.path().join("ledger");
    let (key, keys) = (ledger.join("signing-key.pem"), ledger.join("keys"));
    mode("ledger/signing-key.pem", 0o644);
    let key = format!("{} is open to others (mode 0644), and whoever reads it can sign", key.display());
    let logged = said();
    assert!(logged.contains(&key) && !logged.contains("erasure"), "{logged}");
    mode("ledger/keys", 0o777);
    mode("ledger/keys/rules.key", 0o640);
    let folder = format!("{} (mode 0777) or keys in it (1) are open to others", keys.display());
    let logged = said();
    assert!(logged.contains(&key) && logged.contains(&folder), "{logged}");
    assert_verifies(&ledger);

    // Also by the commands that write; a file that the config names likewise.
    let conf = dir.path().join("bot-config");
    let (code, _, errors) = countersign(&["rotate-key", "--config", conf.to_str().unwrap()]);
    assert!(code == 0 && errors.contains(&key) && errors.contains(&folder), "{errors}");
    mode("ledger/keys", 0o700);
    mode("ledger/keys/rules.key", 0o600);
    assert!(!said().contains("open to others"), "the new key is the owner's alone");
    let outside = dir.path().join("outside.pem");
    fs::rename(ledger.join("signing-key.pem"), &outside).unwrap();
    config(dir.path(), &format!("signing_key_file = {outside:?}"));
    assert!(!said().contains("open to others"));
    mode("outside.pem", 0o640);
    assert!(!said().contains("open to others"), "a group may be the service's own");
    mode("outside.pem", 0o604);
    assert!(said().contains(&format!("{} is open to others (mode 0604)", outside.display())));
}
