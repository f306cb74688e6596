//! Other rules while the service runs: whole or not at all, recorded, told, and in force at the next click.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use sha2::{Digest as _, Sha256};

use crate::support::{
    demo::{self, Demo, assert_verifies, countersign},
    process::until,
    stories::SAMPLE,
};

fn edit(dir: &Path, file: &str, from: &str, to: &str) {
    let path = dir.join("bot-config").join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn reload(dir: &Path) -> (i32, String, String) {
    countersign(&["reload", "--config", &dir.join("bot-config").to_string_lossy()])
}

fn loads(demo: &Demo) -> usize {
    demo.entries().iter().filter(|entry| entry["kind"] == "rules.loaded").count()
}

#[tokio::test]
async fn what_waits_is_decided_by_the_rules_that_hold_at_the_click() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 5m fixing INC-42").await;
    let id = demo.newest_request();
    edit(dir.path(), "people.toml", "members = [\"cleo\", \"dora\"]", "members = [\"eve\", \"dora\"]");
    let (code, said, errors) = reload(dir.path());
    assert_eq!(code, 0, "{errors}");
    let entry = demo.entries().into_iter().rfind(|entry| entry["kind"] == "rules.loaded").unwrap();
    assert!(said.contains(&format!("entry {}: the rules were loaded anew", entry["seq"])), "{said}");
    let files: Vec<&str> =
        entry["body"]["files"].as_array().unwrap().iter().filter_map(|file| file[0].as_str()).collect();
    assert_eq!(files, ["countersign.toml", "resources.toml", "people.toml", "policy.cedar"]);
    for file in entry["body"]["files"].as_array().unwrap() {
        let bytes = fs::read(dir.path().join("bot-config").join(file[0].as_str().unwrap())).unwrap();
        assert_eq!(file[1], hex::encode(Sha256::digest(bytes)), "{file}");
    }
    let refused = demo.presses("cleo", "approve", id).await;
    assert!(refused.tone == "refused" && refused.text.contains("no approver"), "{refused:?}");
    assert_eq!(demo.presses("eve", "approve", id).await.tone, "done");
    demo.until("grant.issued", id);
    // eve may do more than before, and those who answer for security are told so.
    until("it is posted", || demo.entries().iter().any(|entry| entry["kind"] == "bulletin.posted"));
    let page = demo.get("/as/dora/c/security").await;
    assert!(page.contains("The rules are wider") && page.contains("eve"), "{page}");
    let ledger = demo.ledger();
    demo.stop();
    assert_verifies(&ledger);
}

/// The page is the chat of whoever is in the config, by the command as by the signal.
#[tokio::test]
async fn the_playgrounds_people_and_channels_follow() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    let nobody = "There is no `finn` to be.";
    assert!(demo.get("/as/finn/").await.contains(nobody));
    edit(dir.path(), "people.toml", "[[group]]", "[[person]]\nname = \"finn\"\n\n[[group]]");
    edit(dir.path(), "people.toml", "\"cleo\", \"dora\"]", "\"cleo\", \"dora\", \"finn\"]");
    edit(
        dir.path(),
        "resources.toml",
        "approvers    = [\"group:sre\"]",
        "approvers    = [\"group:sre\"]\nchannel = \"hosts\"",
    );
    let (code, _, errors) = reload(dir.path());
    assert_eq!(code, 0, "{errors}");
    // finn can be chosen, and is shown with the groups that finn is in.
    assert!(demo.get("/").await.contains("<strong>finn</strong><small>in engineering</small>"));
    assert!(demo.get("/as/ana/").await.contains("finn<small>in engineering</small>"));
    // finn's click is finn's, and the card goes where the config says by now.
    let asked = demo.says("finn", "prod-host 5m fixing INC-42").await;
    assert_eq!(asked.tone, "done", "{asked:?}");
    let id = demo.newest_request();
    demo.until_shown("ana", "c/hosts", &format!("id=\"card-{id}\"")).await;

    // They leave: nobody can be them, and what they asked for still has its card.
    edit(dir.path(), "people.toml", "[[person]]\nname = \"finn\"\n\n", "");
    edit(dir.path(), "people.toml", ", \"finn\"]", "]");
    edit(dir.path(), "resources.toml", "channel = \"hosts\"", "");
    demo::signal(demo.pid(), Signal::HUP);
    until("the service says so, twice by now", || demo.logged().matches("the config was loaded anew").count() == 2);
    assert!(demo.get("/as/finn/").await.contains(nobody) && !demo.get("/").await.contains("finn"));
    assert_eq!(demo.presses("cleo", "deny", id).await.tone, "refused", "a reason is asked for");
    assert_eq!(demo.says("cleo", &format!("deny {id} finn has left")).await.tone, "done");
    demo.until_shown("ana", "c/hosts", "finn has left").await;
    let ledger = demo.ledger();
    demo.stop();
    assert_verifies(&ledger);
}

#[tokio::test]
async fn a_config_with_a_mistake_changes_nothing() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 5m fixing INC-42").await;
    let id = demo.newest_request();
    edit(dir.path(), "people.toml", "members = [\"cleo\", \"dora\"]", "members = [\"clea\", \"dora\"]");
    let (code, _, errors) = reload(dir.path());
    assert!(code == 1 && errors.contains("there is no person `clea`") && errors.contains("people.toml:"), "{errors}");
    // Whoever sends the signal by hand finds it in the log.
    demo::signal(demo.pid(), Signal::HUP);
    until("the log tells of it", || demo.logged().contains("there is no person `clea`"));
    assert!(demo.logged().contains("The config before still holds"));
    assert_eq!(loads(&demo), 0);
    assert_eq!(demo.presses("cleo", "approve", id).await.tone, "done");
    demo.stop();
}

/// The report of a period ends with the signed head, in a line that `verify` takes as it was copied from the chat.
#[tokio::test]
async fn the_head_in_a_report_is_an_anchor_as_copied() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 5m fixing INC-42").await;
    edit(dir.path(), "countersign.toml", "0 0 9 * * Mon", "* * * * * *");
    let (code, _, errors) = reload(dir.path());
    assert_eq!(code, 0, "{errors}");
    demo.until_shown("ana", "c/approvals", "class=\"message bulletin\"").await;
    let page = demo.get("/as/ana/c/approvals").await;
    let report = page.split("class=\"message bulletin\"").nth(1).unwrap();
    let codes = report.split("<code>").skip(1).map(|rest| rest.split("</code>").next().unwrap());
    let line = codes.into_iter().find(|code| code.starts_with("countersign.example/demo ")).unwrap().to_owned();
    let ledger = demo.ledger();
    demo.stop();
    let path = ledger.to_string_lossy();
    let (code, said, errors) = countersign(&["verify", &path, "--anchor", &line]);
    assert!(code == 0 && said.contains("verified, and anchored"), "{line}\n{said}{errors}");
    // The same of a ledger that never was.
    let other: String = line.chars().map(|c| if c == 'a' { 'b' } else { c }).collect();
    assert_eq!(countersign(&["verify", &path, "--anchor", &other]).0, 1, "{other}");
}

#[tokio::test]
async fn what_can_not_change_while_it_runs_is_refused() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    edit(dir.path(), "countersign.toml", "countersign.example/demo", "countersign.example/other");
    let (code, _, errors) = reload(dir.path());
    assert!(code == 1 && errors.contains("`ledger.origin` can't change while the service runs"), "{errors}");
    assert_eq!(loads(&demo), 0);
    demo.stop();
    let (code, _, errors) = reload(dir.path());
    assert!(code == 1 && errors.contains("no service runs on the ledger"), "{errors}");
}

/// The true service over a config folder, until it is told to stop.
fn run(dir: &Path, work: impl FnOnce()) {
    let config = dir.join("bot-config");
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["run", "--config", &config.to_string_lossy()])
        .current_dir(dir)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the service runs", || dir.join("ledger/service.json").exists());
    work();
    demo::signal(child.id(), Signal::TERM);
    assert!(child.wait().unwrap().success());
    assert!(!dir.join("ledger/service.json").exists());
}

/// The sample config in a folder of its own, on a free port.
fn apart() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("bot-config");
    fs::create_dir(&config).unwrap();
    for file in ["countersign.toml", "resources.toml", "people.toml", "policy.cedar"] {
        fs::copy(Path::new(SAMPLE).join(file), config.join(file)).unwrap();
    }
    edit(dir.path(), "countersign.toml", "\"data\"", "\"ledger\"");
    edit(dir.path(), "countersign.toml", "127.0.0.1:7070", "127.0.0.1:0");
    dir
}

/// From the moment at which its process can be found, a signal is a word to it and not its end.
#[test]
fn a_signal_right_after_the_start_is_heard() {
    let dir = apart();
    for _ in 0..8 {
        run(dir.path(), || ());
    }
    assert_verifies(&dir.path().join("ledger"));
}

/// A change that was made while nobody was there is recorded and told by the next start.
#[test]
fn a_change_over_a_restart_is_told_too() {
    let dir = apart();
    let ledger = dir.path().join("ledger");
    let started = || {
        let entries = demo::entries(&ledger).into_iter().filter(|entry| entry["kind"] == "service.started");
        entries.map(|entry| entry["body"]["widened"].as_u64()).collect::<Vec<_>>()
    };
    run(dir.path(), || ());
    run(dir.path(), || ());
    assert_eq!(started(), [None, None], "the same rules are no change");
    edit(dir.path(), "people.toml", "members = [\"approver\"]", "members = [\"approver\", \"second\"]");
    run(dir.path(), || {
        until("it is told", || demo::entries(&ledger).iter().any(|entry| entry["kind"] == "bulletin.posted"));
    });
    assert!(started().last().unwrap().is_some_and(|widened| widened > 0), "{:?}", started());
    assert_verifies(&ledger);
}

/// `verify` does not read the key of the copies of the config. Without it nobody can say what a change changes, and that
/// is what the next start says, of a change that lets nobody do more.
#[test]
fn a_flip_in_the_key_of_the_copies_is_noticed_at_the_next_change() {
    let widened = |flip: bool| {
        let dir = apart();
        let (ledger, key) = (dir.path().join("ledger"), dir.path().join("ledger/keys/rules.key"));
        run(dir.path(), || until("a copy is kept", || key.exists()));
        if flip {
            let mut bytes = fs::read(&key).unwrap();
            bytes[0] ^= 1;
            fs::write(&key, bytes).unwrap();
        }
        assert_verifies(&ledger);
        edit(dir.path(), "resources.toml", "max_duration = \"2h\"", "max_duration = \"1h\"");
        run(dir.path(), || ());
        assert_verifies(&ledger);
        let entries = demo::entries(&ledger);
        let started = entries.iter().rfind(|entry| entry["kind"] == "service.started").unwrap();
        started["body"]["widened"].as_u64().unwrap_or_default()
    };
    assert_eq!((widened(false), widened(true)), (0, 1));
}

/// What the service puts into its folder stands in the table of docs/ledger.md.
#[test]
fn every_name_in_the_folder_is_in_the_docs() {
    let dir = apart();
    let ledger = dir.path().join("ledger");
    let mut names = std::collections::BTreeSet::new();
    run(dir.path(), || {
        until("a copy is kept", || ledger.join("keys/rules.key").exists());
        names.extend(fs::read_dir(&ledger).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()));
    });
    names.extend(fs::read_dir(&ledger).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()));
    names.extend(["keys/rules.key", "providers"].map(str::to_owned));
    assert!(names.contains("service.json") && names.contains("snapshot") && names.contains("rules"), "{names:?}");
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ledger.md")).unwrap();
    let table: Vec<&str> = docs.lines().filter(|line| line.starts_with('|')).collect();
    for name in names {
        let row = |row: &&&str| {
            row.split('|').nth(1).is_some_and(|cell| cell.split('`').any(|word| word.trim_end_matches('/') == name))
        };
        assert!(table.iter().find(row).is_some(), "docs/ledger.md has no row for `{name}`");
    }
}

#[test]
fn a_second_service_is_told_of_the_first() {
    let dir = apart();
    let (mut status, mut ended) = (None, None);
    run(dir.path(), || {
        status = fs::read(dir.path().join("ledger/service.json")).ok();
        let mut second = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let config = dir.path().join("bot-config");
        ended = second.args(["run", "--config"]).arg(config).current_dir(dir.path()).output().ok();
    });
    let status: serde_json::Value = serde_json::from_slice(&status.unwrap()).unwrap();
    let ended = ended.unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    let hint = format!("hint: stop the service first, process {}, and start it again afterwards", status["pid"]);
    assert!(ended.status.code() == Some(1) && errors.contains("another process is using the ledger"), "{errors}");
    assert!(errors.trim_end().ends_with(&hint), "{errors}");
}
