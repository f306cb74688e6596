//! What is written into a form's fields stays in them.

use serde_json::{Value, json};

use super::{
    service::{ANA, CHANNEL, Service},
    standin::Standin,
    story::lived,
};
use crate::support::demo;

/// The newest request as it is recorded: its reason, its duration and its start.
fn newest(service: &Service) -> (String, u64, Value) {
    let entries = demo::opened(&service.ledger());
    let asked = entries.into_iter().rfind(|entry| entry.kind == "access.requested").unwrap();
    let reason = demo::text_of(&asked, "reason");
    let start = asked.body.get("manner").and_then(|manner| manner.get("starts_at")).cloned().unwrap_or_default();
    (reason, asked.body["duration_secs"].as_u64().unwrap(), start)
}

async fn asks(slack: &Standin, line: &str, reason: &str, ticket: Option<&str>) -> Value {
    slack.types(ANA, CHANNEL, line).await;
    let form = slack.window(ANA, "the form", |view| view["callback_id"] == "request").await;
    let mut filled = vec![("reason", json!(reason))];
    filled.extend(ticket.map(|ticket| ("ticket", json!(ticket))));
    let answer = slack.submits(ANA, &form, &filled).await;
    slack.inner.state().views.clear();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_is_a_reason_whatever_it_says() {
    let (_dir, slack, service) = lived("socket").await;
    for reason in [
        "from 02:00",
        "from 2026-11-22T02:00 the migration",
        "30m",
        "-- 9d",
        "\"quoted\" 'twice' `thrice`",
        "two\nlines\n\nfrom 02:00",
        "approve 17",
    ] {
        let answer = asks(&slack, "prod-api 10m", reason, None).await;
        assert_eq!(answer["response_action"], "update", "{reason:?}: {answer:#}");
        assert_eq!(newest(&service), (reason.to_owned(), 600, Value::Null));
        slack.says(ANA, CHANNEL, &format!("cancel {}", service.newest())).await;
    }
    let answer = asks(&slack, "break-glass prod-api 10m", "from 02:00", Some("INC 42 from 03:00")).await;
    assert_eq!(answer["response_action"], "update", "{answer:#}");
    assert_eq!(newest(&service), ("from 02:00 INC 42 from 03:00".to_owned(), 600, Value::Null));
    // What means nothing is refused where it stands, as before.
    let answer = asks(&slack, "prod-both 10m", "--", None).await;
    assert_eq!(answer["response_action"], "errors", "{answer:#}");
    // Typed as a line, it is a line.
    slack.says(ANA, CHANNEL, "prod-both 10m from 02:00 the migration").await;
    let (reason, _, start) = newest(&service);
    assert!(reason == "the migration" && start.is_string(), "{reason} {start}");
    slack.content();
    service.stop();
}
