//! What every provider promises, asked of each of them with its real target.

use std::sync::Arc;

use chrono::TimeDelta;
use countersign::provider::{
    Credential, NativeExpiry, Provider, ProviderError,
    kit::{Options, Subject},
};
use serde_json::{Value, json};

use crate::support::{
    door::{Place, TAG, ending_in, map, order, part},
    jwt, mariadb,
    plugins::Works,
    postgres::{Server, psql},
    redis,
    sshd::{self, Sshd},
};

/// The promises that look the same at every door, to those who hold the provider in their hands and to those who speak
/// to it as to a plugin. `works` tells whether a credential opens it.
async fn keeps_its_promises(
    provider: Arc<dyn Provider>,
    (place, settings): (&Place, &Value),
    works: impl Fn(&Credential) -> bool + Send + Sync + 'static,
) {
    keeps_them_in_hand(Arc::clone(&provider), &works).await;
    let around = place.surroundings();
    let subject = Subject::new(provider.describe().name, "prod", &map(settings), &around).unwrap();
    let report = subject.examine(&Options { probe: Some(Arc::new(Works(works))), ..Options::default() }).await;
    assert_eq!(report.broken().collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(report.promises.len() >= 15 && report.asked > 50, "{report:?}");
}

async fn keeps_them_in_hand(provider: Arc<dyn Provider>, works: &impl Fn(&Credential) -> bool) {
    let first = order("prod", 4821);
    let second = order("prod", 4822);
    let ids = async || -> Vec<String> {
        let mut ids: Vec<_> = provider.list(TAG).await.unwrap().into_iter().map(|item| item.external_id).collect();
        ids.sort();
        ids
    };

    assert_eq!(provider.check().await.unwrap(), Vec::<String>::new(), "nothing is missing");
    assert!(!provider.plan().is_empty());
    assert_eq!(ids().await, Vec::<String>::new());

    // Revoking what never was succeeds, and leaves nothing.
    provider.revoke(&second).await.unwrap();
    provider.revoke(&second).await.unwrap();
    assert_eq!(ids().await, Vec::<String>::new());

    // There is no key for a door that isn't open.
    let refused = provider.credential(&first, 1).await;
    assert!(matches!(refused, Err(ProviderError::Permanent(_))), "no key for a closed door");

    // Granting twice is granting once; the second one sets the end anew.
    provider.grant(&first).await.unwrap();
    let longer = ending_in(&first, 3000);
    provider.grant(&longer).await.unwrap();
    provider.grant(&second).await.unwrap();
    assert_eq!(ids().await, [first.external_id.clone(), second.external_id.clone()]);
    let items = provider.list(TAG).await.unwrap();
    let item = items.iter().find(|item| item.external_id == first.external_id).unwrap();
    if provider.describe().native_expiry == NativeExpiry::Exact {
        let end = item.not_after.expect("an exact end is written on the object");
        assert!(end <= longer.not_after && longer.not_after - end < TimeDelta::seconds(1), "{end}");
    }
    assert_eq!(provider.list("zzzzzzzz").await.unwrap(), [], "another log has nothing here");

    // A second credential voids the first.
    let one = provider.credential(&longer, 1).await.unwrap();
    assert!(works(&one), "the first credential works");
    let two = provider.credential(&longer, 2).await.unwrap();
    assert!(!works(&one), "the first credential is void");
    assert!(works(&two), "the second credential works");
    assert_eq!((one.n, two.n), (1, 2));
    assert_ne!(one.public_id, two.public_id);
    assert!(two.not_after <= longer.not_after, "no longer than the grant");

    // Another door is another key.
    let other = provider.credential(&second, 1).await.unwrap();
    assert!(works(&other));

    // Revoking twice is revoking once, and touches nobody else.
    provider.revoke(&longer).await.unwrap();
    assert!(!works(&two), "a revoked credential is void");
    assert!(works(&other), "the other one is not");
    assert_eq!(ids().await, std::slice::from_ref(&second.external_id));
    provider.revoke(&longer).await.unwrap();
    assert!(provider.credential(&longer, 3).await.is_err(), "no key for a closed door");
    provider.revoke(&second).await.unwrap();
    assert!(!works(&other));
    assert_eq!(ids().await, Vec::<String>::new());

    // What is over is not opened any more.
    let over = ending_in(&order("prod", 4823), -1);
    assert!(matches!(provider.grant(&over).await, Err(ProviderError::Permanent(_))));
    assert_eq!(ids().await, Vec::<String>::new());

    // An id that could be somebody else's is refused whole.
    for id in ["postgres", "cs_abcdefgh_", "cs_abcdefgh_1; DROP", "cs_ABCDEFGH_1", "csbot"] {
        let foreign = countersign::provider::Order { external_id: id.into(), ..order("prod", 4824) };
        assert!(matches!(provider.grant(&foreign).await, Err(ProviderError::Permanent(_))), "{id}");
        assert!(matches!(provider.revoke(&foreign).await, Err(ProviderError::Permanent(_))), "{id}");
        assert!(matches!(provider.credential(&foreign, 1).await, Err(ProviderError::Permanent(_))), "{id}");
    }
}

#[tokio::test]
async fn postgres_keeps_its_promises() {
    let server = Server::start();
    let place = Place::new(&[("PROD_DB_URL", &server.bot_url())]);
    let settings = json!({ "url_env": "PROD_DB_URL", "role": "app_rw" });
    let provider = place.open("postgres", "prod", &settings);
    let works = |credential: &Credential| psql(&part(credential, "URL"), "SELECT count(*) FROM orders").is_ok();
    keeps_its_promises(provider, (&place, &settings), works).await;
    assert_eq!(server.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'cs\\_%'"), "0");
}

#[tokio::test]
async fn mysql_keeps_its_promises() {
    let server = mariadb::Server::start();
    let place = Place::new(&[("PROD_MYSQL_URL", &server.bot_url())]);
    let settings = json!({ "url_env": "PROD_MYSQL_URL", "role": "app_rw" });
    let provider = place.open("mysql", "prod", &settings);
    let works =
        |credential: &Credential| mariadb::client(&part(credential, "run this"), "SELECT count(*) FROM orders").is_ok();
    keeps_its_promises(provider, (&place, &settings), works).await;
    assert_eq!(server.left(), "");
}

#[tokio::test]
async fn redis_keeps_its_promises() {
    let server = redis::Server::start();
    let place = Place::new(&[("PROD_REDIS_URL", &server.bot_url())]);
    let settings = json!({ "url_env": "PROD_REDIS_URL", "rules": ["+@read", "~app:*"] });
    let provider = place.open("redis", "prod", &settings);
    let works = |credential: &Credential| redis::client(&part(credential, "run this"), "GET app:1").is_ok();
    keeps_its_promises(provider, (&place, &settings), works).await;
    assert_eq!(server.left(), "");
}

#[tokio::test]
async fn ssh_keeps_its_promises() {
    let place = Place::new(&[]);
    let settings = json!({ "principals": ["deploy"] });
    let provider = place.open("ssh", "prod", &settings);
    let ca = provider.public("ca.pub").await.unwrap().body;
    provider.public("krl").await.unwrap();
    let sshd = Sshd::start(&ca, &place.dir.path().join("prod/revoked.krl"), "deploy");
    keeps_its_promises(provider, (&place, &settings), move |credential| {
        let dir = tempfile::tempdir().unwrap();
        let identity = sshd::save(&dir, "id", &part(credential, "private key"));
        sshd::save(&dir, "id-cert.pub", &part(credential, "certificate"));
        sshd.client(&identity).arg("true").output().unwrap().status.success()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_keeps_its_promises() {
    let place = Place::new(&[]);
    let settings = json!({ "issuer": "https://access.example.com", "audience": "prod-api" });
    let provider = place.open("token", "prod", &settings);
    let documents = Arc::clone(&provider);
    keeps_its_promises(provider, (&place, &settings), move |credential| {
        let document = |name: &'static str| {
            let provider = Arc::clone(&documents);
            let handle = tokio::runtime::Handle::current();
            let body = std::thread::spawn(move || handle.block_on(provider.public(name))).join().unwrap();
            String::from_utf8(body.unwrap().body).unwrap()
        };
        let believed =
            jwt::believed(&jwt::of(credential), &document("jwks.json"), "prod-api", "https://access.example.com");
        let revoked: serde_json::Value = serde_json::from_str(&document("revoked.json")).unwrap();
        let listed = revoked["revoked"].as_array().unwrap().iter().any(|entry| entry["jti"] == *credential.public_id);
        believed.is_ok() && !listed
    })
    .await;
}
