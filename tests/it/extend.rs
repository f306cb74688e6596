//! More time for a grant that is live, with a real database: whoever is in stays in.

use chrono::{DateTime, Utc};

use crate::support::{
    demo::{self, Demo, assert_verifies, happened},
    postgres::{Live, Server},
};

#[tokio::test]
async fn a_session_lives_on_past_the_end_that_was_extended() {
    let server = Server::start();
    let dir = demo::folder();
    let url = server.bot_url();
    let demo = Demo::start_by(dir.path(), &[("ORDERS_URL", &url)], &[], &["--postgres-url-env", "ORDERS_URL"]);
    demo.says("ana", "prod-db 20s a migration").await;
    let base = demo.newest_request();
    demo.presses("ben", "approve", base).await;
    demo.until("grant.issued", base);
    let credential = demo.presses("ana", "show", base).await;
    let mut session = Live::open(credential.part("URL"));
    assert_eq!(demo.says("ana", &format!("extend {base} 1h it takes longer")).await.tone, "done");
    let more = demo.newest_request();
    assert_eq!(demo.presses("ana", "approve", more).await.tone, "refused", "it is a decision like any other");
    assert_eq!(demo.presses("ben", "approve", more).await.tone, "done");
    demo.until("grant.extended", more);

    let entries = demo.entries();
    let end = |kind: &str, request: u64| -> DateTime<Utc> {
        let entry = entries.iter().find(|entry| entry["kind"] == kind && entry["body"]["request"] == request).unwrap();
        entry["body"]["not_after"].as_str().unwrap().parse().unwrap()
    };
    let (before, after) = (end("grant.issued", base), end("grant.extended", more));
    assert_eq!((after - before).num_minutes(), 60);
    // The session itself waits until the end that it had is past.
    let waits = format!(
        "SELECT 'in' FROM pg_sleep(greatest(0, extract(epoch FROM timestamptz '{}' - clock_timestamp())) + 1)",
        before.to_rfc3339()
    );
    assert_eq!(session.ask(&waits), "in");
    let entries = demo.entries();
    assert!(!happened(&entries, "grant.ending", base) && !happened(&entries, "grant.ended", base));
    // The same key opens a second one, until the new end.
    let second = Live::open(credential.part("URL"));
    let until = "SELECT floor(extract(epoch FROM rolvaliduntil))::bigint FROM pg_roles WHERE rolname LIKE 'cs\\_%'";
    assert_eq!(server.sql(until), after.timestamp().to_string());

    assert_eq!(demo.presses("ana", "done", base).await.tone, "done");
    demo.until("grant.ended", base);
    assert!(session.ask("SELECT 'still here'").is_empty());
    assert!(second.last_words().contains("terminating connection"));
    let ledger = demo.ledger();
    demo.stop();
    assert_verifies(&ledger);
}
