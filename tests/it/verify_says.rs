//! What `verify` says on the command line of what it can't read, and of what it was given by mistake.

use std::{
    io::Write as _,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use chrono::{DateTime, Utc};
use countersign::{
    access::Event,
    ledger::{Disclosure, Draft, Ledger, Options, SubjectId},
};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::Value;

use crate::support::demo::countersign;

/// A ledger of one entry.
fn ledger(dir: &Path) -> Ledger {
    let rng = Box::new(StdRng::seed_from_u64(1));
    let mut options = Options::new("countersign.example/test", Event::knows, now(), rng);
    options.reserve_bytes = 0;
    Ledger::open(dir, options).unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_795_222_784_123_456).unwrap()
}

/// `verify` with `--json`, which has a report on stdout however it went; its exit code and the report.
fn json(args: &[&str]) -> (i32, Value) {
    let (code, said, errors) = countersign(&[&["verify"], args, &["--json"]].concat());
    let report = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}{errors}"));
    (code, report)
}

fn key(ledger: &Path) -> String {
    let (_, report) = json(&[&ledger.to_string_lossy()]);
    report["keys"][0].as_str().unwrap().to_owned()
}

#[test]
fn what_can_not_be_read_is_no_finding() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(ledger(&data));
    let (path, key) = (data.to_string_lossy().into_owned(), key(&data));
    let proof = dir.path().join("0.tlog-proof").to_string_lossy().into_owned();
    let (code, text, _) = countersign(&["prove", "0", "--ledger", &path]);
    assert_eq!(code, 0);
    std::fs::write(&proof, text).unwrap();
    // Nobody can read a link to itself.
    let unread = |at: &str, args: &[&str]| {
        let aside = format!("{at}.aside");
        std::fs::rename(at, &aside).unwrap();
        symlink(at, at).unwrap();
        let (code, report) = json(args);
        std::fs::remove_file(at).unwrap();
        std::fs::rename(&aside, at).unwrap();
        assert_eq!((code, &report["unchecked"]), (75, &Value::Bool(true)), "{at}: {report}");
        // A mode stops all but root.
        let mode = std::fs::metadata(at).unwrap().permissions();
        std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o000)).unwrap();
        let denied = std::fs::File::open(at).is_err();
        let (code, report) = json(args);
        std::fs::set_permissions(at, mode).unwrap();
        if denied {
            assert_eq!((code, &report["unchecked"]), (75, &Value::Bool(true)), "{at}: {report}");
        }
    };
    unread(&path, &[&path]);
    unread(&format!("{path}/journal"), &[&path]);
    unread(&proof, &[&proof, "--key", &key]);
    // An anchor that can't be read says nothing about the log, and neither does the log about the anchor.
    let anchor = dir.path().join("anchor").to_string_lossy().into_owned();
    std::fs::copy(data.join("head"), &anchor).unwrap();
    unread(&anchor, &[&path, "--anchor", &anchor]);
    assert_eq!(json(&[&path, "--anchor", &anchor]).0, 0);
}

#[test]
fn what_was_given_by_mistake_is_a_mistake_of_usage() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(ledger(&data));
    let (path, head) = (data.to_string_lossy().into_owned(), data.join("head").to_string_lossy().into_owned());
    let public = format!("{path}/public");
    let proof = dir.path().join("0.tlog-proof").to_string_lossy().into_owned();
    std::fs::write(&proof, countersign(&["prove", "0", "--ledger", &path]).1).unwrap();
    let nothing = dir.path().join("nothing.txt").to_string_lossy().into_owned();
    let discord = "5".repeat(63) + "8";
    let cases: [(&[&str], &str); 11] = [
        (&[&nothing], "nothing.txt"),
        (&["ftp://127.0.0.1/log/"], "`ftp`"),
        (&[&path, "--key", "no key"], "--key"),
        (&[&path, "--anchor", &nothing], "nothing.txt: there is no such file"),
        (&[&path, "--anchor", &proof], "0.tlog-proof: there is no checkpoint in it"),
        (&[&path, "--discord-key", "abc"], "64 hex digits"),
        (&[&public, "--discord-key", &discord], "a ledger's folder"),
        (&[&head, "--discord-key", &discord], "a ledger's folder"),
        (&["http://127.0.0.1:9/log/", "--discord-key", &discord], "a ledger's folder"),
        (&["http://127.0.0.1:9/log/", "--discord-key", "abc"], "64 hex digits"),
        (&[&proof], "`--key"),
    ];
    for (args, wanted) in cases {
        let (code, said, errors) = countersign(&[&["verify"], args].concat());
        assert_eq!((code, &*said), (2, ""), "{args:?}: {errors}");
        assert!(errors.contains(wanted), "{args:?}: {errors}");
    }
}

#[test]
fn which_anchor_is_none_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(ledger(&data));
    let path = data.to_string_lossy().into_owned();
    let (code, said, errors) = countersign(&["verify", &path, "--anchor", "countersign.example/other 0 nothing"]);
    assert_eq!(code, 2, "{said}{errors}");
    assert!(errors.contains("countersign.example/other 0 nothing: "), "{errors}");
}

/// Answers every request with the same, until the process ends.
fn server(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if std::io::Read::read(&mut stream, &mut byte).unwrap_or(0) == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            // Who asked may have gone away.
            let _ = stream.write_all(head.as_bytes());
        }
    });
    format!("{at}")
}

#[test]
fn an_address_that_is_not_the_one_of_a_log() {
    let cases = [
        ("200 OK", "<html>please log in</html>", "is no checkpoint"),
        ("200 OK", "", "is no checkpoint"),
        ("404 Not Found", "no such page", "there is no checkpoint at"),
    ];
    for (status, body, wanted) in cases {
        let at = server(status, body);
        for url in [format!("http://{at}/log/"), format!("HTTP://{at}/log"), format!("http://{at}/log/?x=1")] {
            let (code, report) = json(&[&url]);
            assert_eq!((code, &report["unchecked"]), (75, &Value::Bool(true)), "{report}");
            let faults = report["faults"].as_array().unwrap();
            let words = faults[0]["words"].as_str().unwrap();
            assert_eq!(faults.len(), 1, "{report}");
            assert!(words.contains(wanted) && words.contains("is this the address of the log?"), "{words}");
            assert!(words.contains(&format!("http://{at}/log")), "{words}");
        }
    }
}

#[tokio::test]
async fn a_log_whose_keys_are_kept_apart_holds() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let log = ledger(&data);
    let one = Disclosure { subject: SubjectId([1; 16]), name: "text".into(), value: "hello".into() };
    let body = serde_json::json!({"chat": "discord", "key": "k"}).as_object().unwrap().clone();
    let draft = Draft { kind: "message.received".into(), body, disclosures: vec![one] };
    log.append(1, now(), vec![draft]).await.unwrap();
    drop(log);
    let (path, discord) = (data.to_string_lossy().into_owned(), "5".repeat(63) + "8");
    let (code, report) = json(&[&path, "--discord-key", &discord]);
    assert_eq!((code, &report["discord"]["unsigned"]), (0, &Value::from(1)), "{report}");
    std::fs::rename(data.join("keys"), dir.path().join("keys")).unwrap();
    let (code, report) = json(&[&path, "--discord-key", &discord]);
    assert_eq!((code, &report["holds"], &report["discord"]), (0, &Value::Bool(true), &Value::Null), "{report}");
    assert_eq!(report["disclosures"]["not_opened"], 1, "{report}");
    let (code, said, errors) = countersign(&["verify", &path, "--discord-key", &discord]);
    assert_eq!((code, &*errors), (0, ""));
    for words in [
        "note: 1 disclosure was not opened, since there is no `keys/` here; entries, roots and signatures are checked without them",
        "note: what Discord signed was not checked, as the ledger was checked without its `keys/`",
        "consistent; freshness unproven (give an anchor); disclosures not opened: 1",
    ] {
        assert!(said.contains(words), "{said}");
    }
}
