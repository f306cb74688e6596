//! Starting again: from the kept state, and what it is when the history under it was changed.

use std::fs;

use crate::support::demo::{self, Demo, assert_verifies, countersign};

#[tokio::test]
async fn a_stop_keeps_the_state_and_a_start_goes_on_from_it() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 5m the first reason").await;
    let live = demo.newest_request();
    demo.presses("cleo", "approve", live).await;
    demo.until("grant.issued", live);
    demo.says("ana", "prod-api 5m the second reason").await;
    let denied = demo.newest_request();
    assert_eq!(demo.says("ben", &format!("deny {denied} not today")).await.tone, "done");
    let ledger = demo.ledger();
    let before = demo.says("ana", &format!("show {live}")).await;
    assert!(demo.stop().success());
    let snapshot = ledger.join("snapshot");
    assert!(snapshot.exists(), "a stop keeps the state");
    let bytes = fs::read(&snapshot).unwrap();
    for personal in ["ana", "cleo", "first reason", "not today"] {
        let found = bytes.windows(personal.len()).any(|window| window == personal.as_bytes());
        assert!(!found, "`{personal}` stands in the snapshot");
    }

    let demo = Demo::start(dir.path());
    assert_eq!(demo.says("ana", &format!("show {live}")).await, before);
    let card = demo.get("/as/ana/").await;
    assert!(card.contains("the first reason") && card.contains("not today"), "both cards are back");
    assert_eq!(demo.presses("ana", "done", live).await.tone, "done");
    demo.until("grant.ended", live);
    demo.stop();

    // A cache: without it the same comes out.
    fs::remove_file(&snapshot).unwrap();
    let demo = Demo::start(dir.path());
    assert!(demo.says("ana", &format!("show {live}")).await.text.contains("given back"));
    demo.stop();
    assert_verifies(&ledger);
}

/// The history before the kept state is checked while the service is already at work; a finding stops it.
#[tokio::test]
async fn a_history_that_was_changed_under_the_kept_state_stops_the_service() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 5m a reason").await;
    let ledger = demo.ledger();
    demo.stop();
    let segment = ledger.join("journal/00000000.seg");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(9).position(|window| window == b"prod-host").unwrap();
    bytes[at] = b'P';
    fs::write(&segment, bytes).unwrap();
    let at = dir.path().to_string_lossy().into_owned();
    let (code, _, errors) = countersign(&["demo", "--listen", "127.0.0.1:0", "--keep", &at]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("does not verify"), "{errors}");
    // And it stays so: the kept state is gone.
    let (code, _, errors) = countersign(&["demo", "--listen", "127.0.0.1:0", "--keep", &at]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("does not start"), "{errors}");
}
