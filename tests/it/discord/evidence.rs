//! What Discord signed is kept, and a third party can check that it delivered this very click.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use chrono::{DateTime, Utc};
use countersign::{
    engine::ground::{Disk, Ground as _},
    ledger::{Disclosed, Disclosure, Draft},
};

use super::{ANA, BEN, Scene, story::asks};
use crate::support::{
    demo::{countersign, opened},
    process::run,
};

/// Checks signatures with a library that has nothing to do with us.
const CHECK: &str = r#"
import json, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(sys.argv[1]))
for line in sys.stdin:
    one = json.loads(line)
    key.verify(bytes.fromhex(one["signature"]), (one["timestamp"] + one["body"]).encode())
    body = json.loads(one["body"])
    print(body["member"]["user"]["id"], body["data"].get("custom_id", body["data"].get("name")))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_third_party_checks_the_very_click_and_finds_a_forged_one() {
    let scene = Scene::start("http").await;
    let id = asks(&scene, ANA, "prod-api").await;
    let seen = scene.people.fills(BEN, "approve-note", id, &[("text", "seen, and fine")]).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    scene.until_entry("grant.issued", id);
    let key = hex::encode(scene.standin.key.verifying_key().to_bytes());
    let ledger = scene.bot.ledger();
    let path = ledger.to_string_lossy().into_owned();
    let (status, dir) = scene.bot.stop();
    assert!(status.success());
    let verify = |key: &str| countersign(&["verify", &path, "--discord-key", key]);
    let (code, said, errors) = verify(&key);
    assert!(code == 0 && said.contains("Discord signed 2 messages"), "{said}{errors}");

    // Somebody else's program says the same.
    let (code, lines, errors) = countersign(&["log", "--ledger", &path, "--evidence"]);
    assert_eq!(code, 0, "{errors}");
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", CHECK, &key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{ANA} access\n{BEN} approve-note:{id}\n"));

    // With another application's key nothing holds.
    let other = hex::encode(ed25519_dalek::SigningKey::from_bytes(&[9; 32]).verifying_key().to_bytes());
    let (code, said, _) = verify(&other);
    assert!(code == 1 && said.contains("its signature is not Discord's"), "{said}");
    let (code, _, errors) = verify("abc");
    assert!(code == 2 && errors.contains("--discord-key is no key"), "{errors}");

    // Whoever holds the ledger's key writes what was never clicked: a body that was changed, one from another click, and
    // one that is as it was and says something else.
    let entries = opened(&ledger);
    let click = entries.iter().rfind(|entry| entry.kind == "message.received").unwrap();
    let now: DateTime<Utc> = click.time;
    let forged = |change: &dyn Fn(&mut Disclosure)| {
        let disclosures = click.disclosed.iter().map(|disclosed| match disclosed {
            Disclosed::Open(open) => {
                let mut open = open.clone();
                change(&mut open);
                open
            }
            Disclosed::Erased { .. } | Disclosed::Locked { .. } => panic!("nobody was erased"),
        });
        Draft { kind: click.kind.clone(), body: click.body.clone(), disclosures: disclosures.collect() }
    };
    let changed = forged(&|open| open.value = open.value.replace("seen, and fine", "seen, and find"));
    let words = forged(&|open| {
        if open.name == "text" {
            open.value = format!("revoke {id}: never said");
        }
    });
    let mut moved = forged(&|_| ());
    moved.body.insert("key".into(), "0".repeat(32).into());
    let log = Disk { data: ledger.clone(), origin: "countersign.example.com/discord".into(), signing_key: None }
        .open(now)
        .unwrap();
    let size = log.size();
    log.append(size, entries.last().unwrap().time, vec![changed, words, moved]).await.unwrap();
    tokio::task::block_in_place(|| drop(log));
    let (code, said, _) = verify(&key);
    assert_eq!(code, 1, "{said}");
    let found: Vec<&str> = said.lines().filter(|line| line.starts_with("entry ")).collect();
    assert_eq!(
        found,
        [
            format!("entry {size}: its signature is not Discord's over what was kept"),
            format!("entry {}: Discord signed it, but it says something else than the entry", size + 1),
            format!("entry {}: Discord signed it, but it says something else than the entry", size + 2),
        ]
    );
    drop(dir);
}

/// Who is erased takes what Discord signed of them along; the chain holds, and so does the rest.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_goes_with_whom_it_was_signed_for() {
    let scene = Scene::start("http").await;
    assert_eq!(scene.people.says(ANA, "mine", &[]).await.tone(), "info");
    assert_eq!(scene.people.says(BEN, "mine", &[]).await.tone(), "info");
    let key = hex::encode(scene.standin.key.verifying_key().to_bytes());
    let ledger = scene.bot.ledger();
    let config = scene.bot.dir.path().join("bot-config");
    let (_, dir) = scene.bot.stop();
    let path = ledger.to_string_lossy().into_owned();
    let mut erase = Command::new(env!("CARGO_BIN_EXE_countersign"));
    run(erase.args(["erase", "ana", "--yes", "--config", &config.to_string_lossy()]));
    let (code, said, errors) = countersign(&["verify", &path, "--discord-key", &key]);
    assert!(code == 0 && said.contains("Discord signed 1 messages; 1 can't be read any more"), "{said}{errors}");
    drop(dir);
}
