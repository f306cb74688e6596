//! `mysql` and `redis` over a bad line: what is said of a call whose outcome nobody knows, and what is true afterwards.

use std::sync::{Arc, atomic::Ordering};

use countersign::provider::{Order, Provider, ProviderError};
use serde_json::json;

use crate::support::{
    door::{Place, TAG, order},
    mariadb,
    proxy::{Mishap, Proxy},
    redis,
};

fn unknown<T>(done: &Result<T, ProviderError>) -> bool {
    matches!(done, Err(ProviderError::Unknown(_)))
}

/// Grants, cuts a key and revokes over a line on which something happens at a word; whether one of them was unknown.
async fn one_is_unknown(over_bad: &dyn Provider, order: &Order) -> bool {
    let granted = over_bad.grant(order).await;
    let shown = if granted.is_ok() { over_bad.credential(order, 1).await.map(drop) } else { Ok(()) };
    let revoked = over_bad.revoke(order).await;
    let all = [&granted, &shown, &revoked].map(unknown);
    assert_eq!(all.iter().filter(|one| **one).count(), 1, "{granted:?} {shown:?} {revoked:?}");
    // Whatever happened: again, and it is over.
    over_bad.revoke(order).await.unwrap();
    true
}

#[tokio::test]
async fn a_cut_line_to_mysql_is_never_called_a_failure() {
    let server = mariadb::Server::start();
    // A statement begins after a byte 3: what is in an event's body is not meant.
    let steps = [
        "\u{3}CREATE EVENT",
        "\u{3}CREATE USER",
        "\u{3}GRANT `app_rw`",
        "\u{3}ALTER USER 'cs_abcdefgh_4'@'%' IDENTIFIED",
        "\u{3}ALTER USER 'cs_abcdefgh_5'@'%' ACCOUNT LOCK",
        "\u{3}DROP USER",
        "\u{3}DROP EVENT",
    ];
    for (number, word) in (1_u64..).zip(steps) {
        for mishap in [Mishap::AnswerLost, Mishap::WordLost] {
            let order = order("prod-db", number);
            let proxy = Proxy::start(server.port, word, mishap).await;
            let url = server.bot_url().replace(&server.port.to_string(), &proxy.port.to_string());
            let place = Place::new(&[("URL", &url)]);
            let provider = place.open("mysql", "prod-db", &json!({ "url_env": "URL", "role": "app_rw" }));
            assert!(one_is_unknown(provider.as_ref(), &order).await, "{word}");
            assert!(proxy.happened.load(Ordering::SeqCst), "{word}");
            assert_eq!(server.left(), "", "{word}");
            assert_eq!(provider.list(TAG).await.unwrap(), [], "{word}");
        }
    }
}

#[tokio::test]
async fn a_cut_line_to_redis_is_never_called_a_failure() {
    let server = redis::Server::start();
    for (number, word) in (1_u64..).zip(["clearselectors", "resetpass\r\n$65", "KILL", "DELUSER", "SAVE"]) {
        for mishap in [Mishap::AnswerLost, Mishap::WordLost] {
            let order = order("prod-cache", number);
            let proxy = Proxy::start(server.port, word, mishap).await;
            let url = server.bot_url().replace(&server.port.to_string(), &proxy.port.to_string());
            let place = Place::new(&[("URL", &url)]);
            let settings = json!({ "url_env": "URL", "rules": ["+@read", "~app:*"] });
            let provider: Arc<dyn Provider> = place.open("redis", "prod-cache", &settings);
            if word == "clearselectors" {
                // It is in what sets an end anew.
                provider.grant(&order).await.unwrap();
            }
            assert!(one_is_unknown(provider.as_ref(), &order).await, "{word}");
            assert!(proxy.happened.load(Ordering::SeqCst), "{word}");
            assert_eq!(server.left(), "", "{word}");
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_the_call_and_says_nothing_was_not_asked() {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = mute.local_addr().unwrap().port();
    let urls =
        [format!("mysql://csbot:botpw@127.0.0.1:{port}/orders"), format!("redis://csbot:botpw@127.0.0.1:{port}/0")];
    let place = Place::new(&[("DB", &urls[0]), ("CACHE", &urls[1])]);
    for (name, settings) in [
        ("mysql", json!({ "url_env": "DB", "role": "app_rw" })),
        ("redis", json!({ "url_env": "CACHE", "rules": ["+@read"] })),
    ] {
        let refused = place.open(name, "prod", &settings).grant(&order("prod", 1)).await.unwrap_err();
        assert!(
            matches!(&refused, ProviderError::Retry(words) if words.contains("doesn't answer within 5 s")),
            "{refused:?}"
        );
    }
}
