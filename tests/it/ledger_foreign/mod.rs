//! A ledger that the service wrote, in a life with everything in it, checked by programs that nobody here wrote.

mod driver;

use std::{fs, path::Path, slice};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use self::driver::Foreign;
use crate::support::demo::{self, Demo, countersign};

/// The value of a member of the first entry of a kind.
fn first<'a>(entries: &'a [Value], kind: &str, member: &str) -> &'a str {
    let entry = entries.iter().find(|entry| entry["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    entry["body"][member].as_str().unwrap()
}

/// One request of ana's that is approved and given back, whose id this is, and one of ben's that is denied.
async fn day(demo: &Demo, reason: &str) -> u64 {
    assert_eq!(demo.says("ana", &format!("prod-host 10m {reason}")).await.tone, "done");
    let id = demo.newest_request();
    assert_eq!(demo.presses("cleo", "approve", id).await.tone, "done");
    demo.until("grant.issued", id);
    assert_eq!(demo.says("ana", &format!("done {id}")).await.tone, "done");
    demo.until("grant.ended", id);
    let hers = id;
    assert_eq!(demo.says("ben", "prod-host 5m a look at the load").await.tone, "done");
    let id = demo.newest_request();
    assert_eq!(demo.says("cleo", &format!("deny {id} not today")).await.tone, "done");
    hers
}

/// Runs one of the program's commands, which must do what it is told.
#[track_caller]
fn done(args: &[&str]) -> String {
    let (code, said, errors) = countersign(args);
    assert_eq!(code, 0, "{args:?}: {said}{errors}");
    said
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// What an export says in clear: the disclosures, decoded.
fn clear(export: &Path) -> String {
    let lines = read(&export.join("disclosures.jsonl"));
    let decoded = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        String::from_utf8(URL_SAFE_NO_PAD.decode(line["disclosure"].as_str().unwrap()).unwrap()).unwrap()
    });
    decoded.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn strangers_check_what_the_service_wrote() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    let (ledger, config) = (demo.ledger(), dir.path().join("bot-config"));
    let (data, config) = (ledger.to_string_lossy(), config.to_string_lossy());
    let erased = day(&demo, "a private reason").await;
    assert!(demo.stop().success());
    // What somebody keeps elsewhere: a head that the first key signed.
    let older = dir.path().join("older");
    fs::copy(ledger.join("head"), &older).unwrap();
    done(&["erase", "ana", "--yes", "--config", &config]);
    done(&["rotate-key", "--config", &config]);
    let demo = Demo::start(dir.path());
    day(&demo, "another reason").await;
    assert!(demo.stop().success());

    let entries = demo::entries(&ledger);
    let size = entries.len();
    let (old, new) = (first(&entries, "log.opened", "key"), first(&entries, "key.added", "key"));
    assert_eq!(first(&entries, "key.retired", "key"), old);
    let out = dir.path().join("out");
    done(&["export", &data, "--to", &out.to_string_lossy(), "--disclosures"]);
    let root = read(&out.join("checkpoint")).lines().nth(2).unwrap().to_owned();
    let clear = clear(&out);
    assert!(clear.contains("another reason") && !clear.contains("a private reason"), "{clear}");

    // The chain, by sha256sum.
    let walked = Foreign::coreutils(&out).unwrap();
    assert!(walked.starts_with(&format!("{size} ")), "{walked}");
    // Signature by the new key, every tile, inclusion, and consistency with what the old key signed; by Go.
    let foreign = Foreign::new(dir.path());
    for copy in [&out, &ledger.join("public")] {
        assert_eq!(foreign.go(copy, &new).unwrap().trim(), format!("{size} {root}"));
        assert_eq!(foreign.go_since(copy, &new, &older, &old).unwrap().trim(), format!("{size} {root}"));
        assert!(foreign.go(copy, &old).is_err(), "the old key signs no more");
    }
    // Canonical lines, the disclosures against their digests, and the root; by Python and pymerkle.
    assert_eq!(Foreign::python(slice::from_ref(&out)), [Ok(format!("{size} {root}"))]);
    // Signature and inclusion of single entries, by what npm checks its packages with.
    let erasure = entries.iter().position(|entry| entry["kind"] == "subject.erased").unwrap();
    let rotation = entries.iter().position(|entry| entry["kind"] == "key.retired").unwrap();
    let mut proofs = Vec::new();
    for index in [0, usize::try_from(erased).unwrap(), erasure, rotation, size - 1] {
        let path = dir.path().join(format!("{index}.tlog-proof"));
        fs::write(&path, done(&["prove", &index.to_string(), "--ledger", &data])).unwrap();
        proofs.push(path);
    }
    assert_eq!(Foreign::sigstore(&new, &proofs), vec![Ok(format!("1 of {size}")); proofs.len()]);
    assert!(Foreign::sigstore(&old, &proofs).iter().all(Result::is_err), "the old key signs no more");

    // They do look: one word of one line is another, and each that reads lines says so.
    let lines = read(&out.join("log.jsonl"));
    fs::write(out.join("log.jsonl"), lines.replacen("grant.issued", "grant.ordered", 1)).unwrap();
    assert!(Foreign::coreutils(&out).is_err() && Foreign::python(&[out])[0].is_err());
}
