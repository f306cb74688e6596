//! What the world does to a service: a disk that is full, a database that is away.

use std::{fs, process::Command};

use crate::support::{
    demo::{self, Answer, Demo, assert_verifies, entries, happened},
    postgres::Server,
    process::{said, until},
    small_disk::SmallDisk,
};

/// Room for a ledger, its reserve and its next segment, one after the other.
const DISK: &str = "160m";
/// More messages of 100 kB than the first segment of a ledger holds.
const MESSAGES: usize = 80;
const URL_ENV: &str = "COUNTERSIGN_TEST_DATABASE";

fn count(demo: &Demo, kind: &str, request: u64) -> usize {
    let of = |entry: &&serde_json::Value| entry["kind"] == kind && entry["body"]["request"] == request;
    demo.entries().iter().filter(of).count()
}

/// What is left on a full disk is not used up by what can wait: an emergency is granted, and ended, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_what_is_left_is_kept_for_emergencies() {
    let dir = demo::folder();
    let ledger = dir.path().join("ledger");
    fs::create_dir(&ledger).unwrap();
    let disk = SmallDisk::mount(&ledger, DISK);
    let demo = Demo::start_by(dir.path(), &[], &disk.runner(), &[]);
    assert_eq!(demo.says("ana", "prod-host 10m fixing INC-42").await.tone, "done");
    let id = newest(&entries(&disk.seen()));
    assert!(disk.seen().join("reserve").exists());
    disk.fill();
    let long = format!("prod-api 10m {}", "all work and no play ".repeat(5_000));
    let mut refused = Answer { tone: String::new(), text: String::new(), secret: Vec::new() };
    for _ in 0..MESSAGES {
        refused = demo.says("ana", &long).await;
        if refused.text.contains("is full") {
            break;
        }
    }
    insta::assert_snapshot!(refused.text, @"The disk under the ledger is full, and nothing of this was recorded or done. What room is left is kept for emergencies: `break-glass`, `deny`, `cancel`, `done`, `revoke`, `review` and `show` still work. Ask again when there is room; whoever runs Countersign has been told in its log.");
    assert!(!disk.seen().join("reserve").exists(), "the reserve is what a full disk takes first");
    let before = entries(&disk.seen());
    for (who, line) in [
        ("ana", "prod-api 10m something".to_owned()),
        ("cleo", format!("approve {id} looks right")),
        ("ana", "mine".to_owned()),
        ("ana", "nonsense".to_owned()),
    ] {
        assert_eq!(demo.says(who, &line).await, refused, "{line}");
    }
    assert!(entries(&disk.seen()).len() <= before.len() + 1, "nothing of that is recorded, a heartbeat may be");

    assert_eq!(demo.says("ana", "break-glass prod-host 10m the house is on fire").await.tone, "done");
    let fire = newest(&entries(&disk.seen()));
    until("the door is open", || happened(&entries(&disk.seen()), "grant.issued", fire));
    assert!(!demo.presses("ana", "show", fire).await.secret.is_empty());
    assert_eq!(demo.says("cleo", &format!("revoke {fire} it is out")).await.tone, "done");
    until("the door is shut", || happened(&entries(&disk.seen()), "grant.ended", fire));
    let logged = demo.logged();
    assert_eq!(logged.matches("the disk is full: what is left is kept").count(), 1, "{logged}");

    disk.free();
    assert_eq!(demo.says("cleo", &format!("approve {id} looks right")).await.tone, "done");
    until("the grant is issued", || happened(&entries(&disk.seen()), "grant.issued", id));
    assert!(demo.stop().success());
    assert_verifies(&disk.seen());
}

/// Nobody is granted anything that can't be recorded; once it can, the service goes on as if nothing had been.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_granted_until_there_is_room() {
    let dir = demo::folder();
    let ledger = dir.path().join("ledger");
    fs::create_dir(&ledger).unwrap();
    let disk = SmallDisk::mount(&ledger, DISK);
    let mut demo = Demo::start_by(dir.path(), &[], &disk.runner(), &[]);
    assert_eq!(demo.says("ana", "prod-host 10m fixing INC-42").await.tone, "done");
    let id = newest(&entries(&disk.seen()));

    // The reserve is what a full disk takes first; then it is for emergencies, and here they have used it up.
    fs::remove_file(disk.seen().join("reserve")).unwrap();
    disk.fill();
    let long = format!("break-glass prod-api 10m {}", "all work and no play ".repeat(5_000));
    let mut refused: Option<Answer> = None;
    for _ in 0..MESSAGES {
        let answer = demo.says("ana", &long).await;
        if answer.text.contains("can't be written") {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a full disk is noticed");
    insta::assert_snapshot!(refused.text, @"The ledger can't be written now, and nothing is granted until it can. Look in a minute whether it is there, and send it again if it isn't; whoever runs Countersign has been told in its log.");
    let before = entries(&disk.seen());
    let approved = demo.says("cleo", &format!("approve {id} looks right")).await;
    assert_eq!(approved.tone, "fault", "{approved:?}");
    assert!(!demo.is_dead(), "it stays up");
    assert_eq!(demo.get("/health").await, "ok\n");
    let now = entries(&disk.seen());
    assert!(now.starts_with(&before), "what is there stays");
    assert!(!happened(&now, "request.approved", id) && !happened(&now, "grant.ordered", id));

    disk.free();
    until_done(&demo, "cleo", &format!("approve {id} looks right"));
    until("the grant is issued", || happened(&entries(&disk.seen()), "grant.issued", id));
    assert!(!demo.presses("ana", "show", id).await.secret.is_empty());
    assert_verifies(&disk.seen());
    assert!(demo.stop().success());
    assert_verifies(&disk.seen());
}

fn newest(entries: &[serde_json::Value]) -> u64 {
    entries.iter().rfind(|entry| entry["kind"] == "access.requested").unwrap()["seq"].as_u64().unwrap()
}

/// Says something until it is done: each time it was not, that was said.
fn until_done(demo: &Demo, who: &str, line: &str) {
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        until("the ledger takes it", || {
            let answer = handle.block_on(demo.says(who, line));
            assert!(["done", "fault"].contains(&answer.tone.as_str()), "{answer:?}");
            answer.tone == "done"
        });
    });
}

#[test]
fn a_start_on_a_full_disk_is_refused_in_a_sentence() {
    let dir = demo::folder();
    let ledger = dir.path().join("ledger");
    fs::create_dir(&ledger).unwrap();
    let disk = SmallDisk::mount(&ledger, DISK);
    disk.fill();
    let runner = disk.runner();
    let (program, words) = runner.split_first().unwrap();
    let output = Command::new(program)
        .args(words)
        .args([env!("CARGO_BIN_EXE_countersign"), "demo", "--listen", "127.0.0.1:0", "--keep"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stderr).trim(), @"countersign does not start, and nothing is granted: the ledger can't be read or written: the index: IO error: No space left on device (os error 28)");
    // And with room it starts, over whatever was left.
    disk.free();
    let demo = Demo::start_by(dir.path(), &[], &runner, &[]);
    assert_verifies(&disk.seen());
    assert!(demo.stop().success());
}

/// A demo over a database of the test's own, which comes and goes.
fn with_database() -> (tempfile::TempDir, Server, Demo) {
    let (dir, server) = (demo::folder(), Server::start());
    let demo = Demo::start_by(dir.path(), &[(URL_ENV, &server.bot_url())], &[], &["--postgres-url-env", URL_ENV]);
    (dir, server, demo)
}

fn roles(server: &Server) -> String {
    server.sql("SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname LIKE 'cs\\_%'")
}

async fn asked_and_approved(demo: &Demo, span: &str) -> u64 {
    assert_eq!(demo.says("ana", &format!("prod-db {span} fixing INC-42")).await.tone, "done");
    let id = demo.newest_request();
    assert_eq!(demo.presses("ben", "approve", id).await.tone, "done");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_asked_again_until_it_is_back() {
    let (_dir, mut server, demo) = with_database();
    server.crash();
    let id = asked_and_approved(&demo, "10m").await;
    demo.until("grant.deferred", id);
    let told = demo.says("ana", &format!("show {id}")).await;
    assert!(told.text.contains("could not be opened yet"), "{told:?}");
    let page = demo.get("/as/ana/c/approvals").await;
    assert!(page.contains("The provider could not open it yet; tries again"), "{page}");
    assert_eq!(demo.presses("ana", "show", id).await.tone, "refused", "nothing is open");
    server.resume();
    demo.until("grant.issued", id);
    assert_eq!(count(&demo, "grant.issued", id), 1);
    let shown = demo.presses("ana", "show", id).await;
    assert!(!shown.secret.is_empty(), "{shown:?}");
    assert_eq!(demo.presses("ana", "done", id).await.tone, "done");
    demo.until("grant.ended", id);
    assert_eq!(roles(&server), "");
    assert_verifies(&demo.ledger());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stays_away_is_given_up_and_said() {
    let (_dir, mut server, demo) = with_database();
    server.crash();
    let id = asked_and_approved(&demo, "10m").await;
    // Four pauses, each twice the last, are longer than one patience.
    for tries in 1..=4 {
        until("it is tried again", || count(&demo, "grant.deferred", id) >= tries);
    }
    demo.until("grant.failed", id);
    demo.until("notice.sent", id);
    assert!(demo.get("/as/ana/c/approvals").await.contains("Failed. Nothing is open"));
    assert!(demo.get("/as/ana/direct").await.contains("was approved, but could not be opened"));
    let refused = demo.presses("ana", "show", id).await;
    insta::assert_snapshot!(refused.text.replace(&format!("#{id}"), "#ID"), @"#ID could not be issued and is not open. Ask again if it is needed.");
    server.resume();
    assert_eq!(roles(&server), "");
    // It can be asked for again, and works.
    let id = asked_and_approved(&demo, "10m").await;
    demo.until("grant.issued", id);
    assert_verifies(&demo.ledger());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_tried_until_the_database_is_back() {
    let (_dir, mut server, demo) = with_database();
    let id = asked_and_approved(&demo, "10m").await;
    demo.until("grant.issued", id);
    let shown = demo.presses("ana", "show", id).await;
    let line = format!("{} -Atc 'select 1'", shown.part("run this"));
    let logs_in = || Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(logs_in().status.success());
    server.crash();
    assert_eq!(demo.says("ben", &format!("revoke {id} the incident is over")).await.tone, "done");
    until("it was tried twice", || count(&demo, "grant.stuck", id) >= 2);
    assert_eq!(count(&demo, "grant.ended", id), 0, "nobody says that it is shut before it is seen");
    let page = demo.get("/as/ben/c/approvals").await;
    assert!(page.contains("Not closed yet."), "{page}");
    assert_ne!(demo.presses("ana", "show", id).await.tone, "done", "no new key for what is being shut");
    server.resume();
    demo.until("grant.ended", id);
    assert_eq!(count(&demo, "grant.ended", id), 1);
    assert!(said(&logs_in()).contains("FATAL"));
    assert_eq!(roles(&server), "");
    assert_verifies(&demo.ledger());
}
