//! The main job, end to end, as a newcomer lives it: the true binary, a real browser, real doors.

use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};

use crate::support::{
    browser::{Driver, Look, Window},
    demo::{self, Demo, assert_verifies, countersign},
    door::now,
    jwt, postgres,
    process::{run, until},
};

/// Puts the answer before away, so that the next one can't be taken for it.
async fn clears(window: &Window) {
    window.script("document.querySelector('#answer [data-dismiss]')?.click()").await;
    window.until("!document.querySelector('#answer .answer')").await;
}

/// Types a line after `/access`, and waits for the answer.
async fn says(window: &Window, line: &str) -> String {
    clears(window).await;
    window.types("#line", &format!("{line}\n")).await;
    window.text("#answer .answer .lines").await
}

async fn presses(window: &Window, card: &str, button: &str) {
    clears(window).await;
    window.click(&format!("{card} button[value={button}]")).await;
}

/// The part of the credential on the page whose label has this word.
async fn part(window: &Window, word: &str) -> String {
    window.text(&format!("#secret [data-label*='{word}'] code")).await
}

/// Runs a line as a person pastes it into a terminal, with more behind it.
fn pasted(line: &str, more: &str) -> Result<String, String> {
    let output = Command::new("sh").args(["-c", &format!("{line} {more}")]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

async fn enter(demo: &Demo, driver: &Driver, who: &str) -> Window {
    let window = driver.open(Look::WIDE).await;
    window.goto(&format!("{}/as/{who}/", demo.url)).await;
    window.until("document.getElementById('connection').dataset.state === 'on'").await;
    window
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_story_in_a_browser() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    let driver = Driver::start().await;
    let (ana, ben, cleo) =
        (enter(&demo, &driver, "ana").await, enter(&demo, &driver, "ben").await, enter(&demo, &driver, "cleo").await);

    // A database: asked, refused to its own requester, countersigned, used, given back.
    assert!(says(&ana, "prod-db 10m fixing INC-42").await.contains("It needs one approval"));
    let id = demo.newest_request();
    let card = format!("#card-{id}");
    ana.find(&format!("{card}[data-status=requested]")).await;
    ana.screenshot("story-1-asked").await;
    presses(&ana, &card, "approve").await;
    assert!(ana.text("#answer [data-tone=refused] .lines").await.contains("can't approve their own request"));
    ana.screenshot("story-2-own-approval-refused").await;
    presses(&ben, &card, "approve").await;
    assert!(ben.text("#answer [data-tone=done] .lines").await.contains("Approved"));
    ana.find(&format!("{card}[data-status=live]")).await;
    presses(&ana, &card, "show").await;
    let psql = part(&ana, "run this").await;
    ana.screenshot("story-3-credential").await;
    let written = pasted(&psql, "-Atc \"update orders set state = 'done' where id = 3 returning current_user, item\"");
    assert!(written.as_ref().is_ok_and(|row| row.starts_with("app_rw|moth")), "{written:?}");
    presses(&ana, &card, "done").await;
    ana.find(&format!("{card}[data-status=ended]")).await;
    let refused = pasted(&psql, "-Atc 'select 1'").unwrap_err();
    assert!(refused.contains("FATAL"), "{refused}");

    // A host, by certificate, for a few seconds only.
    says(&ana, "prod-host 6s looking at the load").await;
    let id = demo.newest_request();
    let card = format!("#card-{id}");
    presses(&cleo, &card, "approve").await;
    ana.find(&format!("{card}[data-status=live]")).await;
    presses(&ana, &card, "show").await;
    let certificate = part(&ana, "cert").await;
    let file = dir.path().join("cert.pub");
    std::fs::write(&file, &certificate).unwrap();
    let listed = run(Command::new("ssh-keygen").arg("-L").arg("-f").arg(&file));
    assert!(listed.contains(&format!("Serial: {id}")), "{listed}");
    assert!(listed.contains("deploy") && listed.contains("force-command"), "{listed}");
    ana.find(&format!("{card}[data-status=ended]")).await;
    demo.until("grant.ended", id);

    // An API, by token, with two approvals of two people.
    says(&ana, "prod-api 10m rotating a key").await;
    let id = demo.newest_request();
    let card = format!("#card-{id}");
    presses(&cleo, &card, "approve").await;
    assert!(cleo.text("#answer [data-tone=done] .lines").await.contains("needs one more"));
    ana.screenshot("story-4-one-of-two").await;
    presses(&ben, &card, "approve").await;
    ana.find(&format!("{card}[data-status=live]")).await;
    presses(&ana, &card, "show").await;
    let token = part(&ana, "shell").await;
    let token = token.split(['=', '\'', '"']).rfind(|word| word.starts_with("ey")).unwrap().to_owned();
    let keys = demo.get("/providers/prod-api/jwks.json").await;
    let claims = jwt::believed(&token, &keys, "https://api.example", "https://countersign.example/demo").unwrap();
    assert_eq!(claims["claims"]["sub"], "ana");

    // And all of it is in a ledger that holds.
    ana.click("#verify").await;
    ana.find("#verified .verified[data-ok=true]").await;
    ana.screenshot("story-5-verified").await;
    let phone = driver.open(Look::PHONE.dark()).await;
    phone.goto(&format!("{}/as/ben/", demo.url)).await;
    phone.find(&card).await;
    phone.screenshot("story-6-phone").await;
    for window in [&ana, &ben, &cleo, &phone] {
        assert_eq!(window.complaints().await, Vec::<String>::new());
    }
    let ledger = demo.ledger();
    assert_verifies(&ledger);
    assert!(demo.stop().success());
    assert_verifies(&ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_walked_with_sha256sum_alone() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 1m first").await;
    demo.says("ana", "nonsense").await;
    demo.stop();
    let out = dir.path().join("out");
    let (code, said, errors) =
        countersign(&["export", &dir.path().join("ledger").to_string_lossy(), "--to", &out.to_string_lossy()]);
    assert_eq!(code, 0, "{said}{errors}");
    // Word for word the loop that the README shows.
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, walk) = readme.split_once("prev=$(printf '%064d' 0)").unwrap();
    let (walk, _) = walk.split_once("done <").unwrap();
    let script = format!("prev=$(printf '%064d' 0){walk}done < {}/log.jsonl", out.display());
    let walked = run(Command::new("bash").args(["-c", &script]));
    assert_eq!(walked, "");
    // The loop can find something, too.
    let lines = std::fs::read_to_string(out.join("log.jsonl")).unwrap();
    std::fs::write(out.join("log.jsonl"), lines.replacen("prod-host", "prod-h0st", 1)).unwrap();
    let walked = run(Command::new("bash").args(["-c", &script]));
    assert!(walked.contains("broken at:"), "{walked}");
}

#[test]
fn a_second_process_a_missing_key_and_a_broken_ledger_are_refused_in_a_sentence() {
    let dir = demo::folder();
    let first = Demo::start(dir.path());
    let at = dir.path().to_string_lossy().into_owned();
    let start = || countersign(&["demo", "--listen", "127.0.0.1:0", "--keep", &at]);
    let (code, _, errors) = start();
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("another process is using the ledger"), "{errors}");
    let ledger = first.ledger();
    first.stop();

    let key = ledger.join("signing-key.pem");
    let saved = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let (code, _, errors) = start();
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("there is a ledger but no signing key"), "{errors}");
    assert_eq!(errors.trim().lines().count(), 1, "one plain sentence: {errors}");
    std::fs::write(&key, saved).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();

    let segment = ledger.join("journal/00000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at_origin = bytes.windows(4).position(|window| window == b"kind").unwrap();
    bytes[at_origin] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (code, _, errors) = start();
    assert_eq!(code, 1, "{errors}");
    assert_eq!(errors.trim().lines().count(), 1, "one plain sentence: {errors}");
}

/// Nothing of the throwaway cluster is left when the demo is killed: it dies with its parent.
#[test]
fn the_throwaway_database_dies_with_a_killed_demo() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    let port = demo.database_port();
    demo.kill();
    until("the port is free", || std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
}

/// With a URL the demo's door is a database that is there already, and the demo says so.
#[tokio::test]
async fn the_demo_opens_a_database_that_is_there_already() {
    let server = postgres::Server::start();
    let dir = demo::folder();
    let url = server.bot_url();
    let more = ["--postgres-url-env", "ORDERS_URL"];
    let demo = Demo::start_by(dir.path(), &[("ORDERS_URL", &url)], &[], &more);
    assert!(demo.greeting.contains("postgres  the URL in ORDERS_URL"), "{}", demo.greeting);
    demo.says("ana", "prod-db 5m looking at orders").await;
    let id = demo.newest_request();
    demo.presses("ben", "approve", id).await;
    demo.until("grant.issued", id);
    let shown = demo.presses("ana", "show", id).await;
    assert_eq!(pasted(shown.part("run this"), "-Atc 'select current_user'").as_deref(), Ok("app_rw\n"));
    assert_eq!(server.sql("select count(*) from pg_roles where rolname like 'cs\\_%'").trim(), "1");
    demo.presses("ana", "done", id).await;
    demo.until("grant.ended", id);
    assert_eq!(server.sql("select count(*) from pg_roles where rolname like 'cs\\_%'").trim(), "0");
    demo.stop();
    let (code, _, errors) = countersign(&["demo", "--postgres-url-env", "NO_SUCH_VARIABLE"]);
    assert_eq!(
        (code, errors.trim()),
        (1, "`--postgres-url-env NO_SUCH_VARIABLE`: there is no such environment variable")
    );
}

/// A session that is open at the end is cut, and one that is opened in the last moments, with a key of its own, gets what
/// is left and not the full time again.
#[tokio::test]
async fn live_sessions_are_cut_at_the_end_also_those_of_the_last_moments() {
    let server = postgres::Server::start();
    let dir = demo::folder();
    let url = server.bot_url();
    let demo = Demo::start_by(dir.path(), &[("ORDERS_URL", &url)], &[], &["--postgres-url-env", "ORDERS_URL"]);
    demo.says("ana", "prod-db 12s looking at orders").await;
    let id = demo.newest_request();
    demo.presses("ben", "approve", id).await;
    demo.until("grant.issued", id);
    let issued = demo.entries().into_iter().rfind(|entry| entry["kind"] == "grant.issued").unwrap();
    let not_after: DateTime<Utc> = issued["body"]["not_after"].as_str().unwrap().parse().unwrap();
    let role_ends = || {
        let end = "SELECT floor(extract(epoch FROM rolvaliduntil))::bigint FROM pg_roles WHERE rolname LIKE 'cs\\_%'";
        server.sql(end).parse::<i64>().unwrap()
    };
    assert_eq!(role_ends(), not_after.timestamp());

    let mut first = postgres::Live::open(demo.presses("ana", "show", id).await.part("URL"));
    until("only the last seconds are left", || now() > not_after - TimeDelta::seconds(4));
    let shown = demo.presses("ana", "show", id).await;
    let mut last = postgres::Live::open(shown.part("URL"));
    assert_eq!(role_ends(), not_after.timestamp(), "a new key doesn't move the end");
    for session in [&mut first, &mut last] {
        assert_eq!(session.ask("SELECT current_user"), "app_rw");
    }

    demo.until("grant.ended", id);
    assert!(now() >= not_after, "not before its time");
    for session in [first, last] {
        let words = session.last_words();
        assert!(words.contains("terminating connection due to administrator command"), "{words}");
    }
    let refused = postgres::psql(shown.part("URL"), "SELECT 1").unwrap_err();
    assert!(refused.contains("FATAL"), "{refused}");
    assert_eq!(server.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'cs\\_%'"), "0");
    let ended = demo.entries().into_iter().rfind(|entry| entry["kind"] == "grant.ended").unwrap();
    assert_eq!(ended["body"]["cause"], "expired");
    demo.stop();
}
