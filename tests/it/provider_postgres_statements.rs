//! `postgres` with statements of the operator's, and among very many roles.

use std::sync::Arc;

use countersign::provider::{Credential, Order, Provider, ProviderError};
use serde_json::{Value, json};

use crate::support::{
    door::{Place, TAG, ending_in, order, part},
    postgres::{Live, Server, psql},
};

const COUNT: &str = "SELECT count(*) FROM orders";

struct Scene {
    server: Server,
    place: Place,
}

impl Scene {
    fn new() -> Self {
        let server = Server::start();
        // What the statements hand on is the bot's to hand on.
        server.sql("GRANT SELECT ON orders TO csbot WITH GRANT OPTION; CREATE TABLE ended (word text); GRANT INSERT ON ended TO csbot");
        let place = Place::new(&[("URL", &server.bot_url())]);
        Self { server, place }
    }

    fn open(&self, creation: &Value, revocation: Option<Value>) -> Arc<dyn Provider> {
        let mut settings = json!({ "url_env": "URL", "creation_statements": creation });
        if let Some(revocation) = revocation {
            settings["revocation_statements"] = revocation;
        }
        self.place.open("postgres", "prod-db", &settings)
    }

    fn roles(&self) -> String {
        self.server.sql("SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname LIKE 'cs\\_%'")
    }

    fn ended(&self) -> String {
        self.server.sql("SELECT string_agg(word, '; ') FROM ended")
    }
}

async fn granted(provider: &dyn Provider, order: &Order) -> Credential {
    provider.grant(order).await.unwrap();
    provider.credential(order, 1).await.unwrap()
}

/// As Vault's users write it, in one text and in several.
fn vaults() -> [Value; 2] {
    let create = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";
    let grant = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{{name}}\"";
    [
        json!([format!("{create};\n{grant}; -- done")]),
        json!([create, "GRANT SELECT ON public.orders TO \"{{username}}\""]),
    ]
}

#[tokio::test]
async fn statements_as_vaults_users_write_them_open_and_our_ending_closes() {
    let scene = Scene::new();
    scene.server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO csbot WITH GRANT OPTION");
    let wishes = json!([
        "INSERT INTO public.ended VALUES ('{{name}} due {{expiration}}')",
        "SELECT nonsense",
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM \"{{name}}\"",
    ]);
    for (number, creation) in (1..).zip(vaults()) {
        let provider = scene.open(&creation, Some(wishes.clone()));
        assert_eq!(provider.check().await.unwrap(), Vec::<String>::new());
        assert!(provider.plan()[0].contains("as the config's statements make it"));
        let order = order("prod-db", number);
        provider.grant(&order).await.unwrap();
        let id = &order.external_id;
        let no_key = scene.server.sql(&format!("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = '{id}'"));
        assert_eq!(no_key, "t", "a grant that nobody shows has no key");
        let credential = provider.credential(&order, 1).await.unwrap();
        let url = part(&credential, "URL");
        let mut live = Live::open(&url);
        assert_eq!(live.ask(COUNT), "2");
        assert!(psql(&url, "DELETE FROM orders").is_err());
        // Again: the key stays.
        let longer = ending_in(&order, 3000);
        provider.grant(&longer).await.unwrap();
        assert_eq!(psql(&url, COUNT).unwrap(), "2");
        assert_eq!(provider.list(TAG).await.unwrap()[0].not_after, Some(longer.not_after));
        provider.revoke(&longer).await.unwrap();
        assert!(live.last_words().contains("terminating connection"));
        assert_eq!(scene.roles(), "");
        let due = longer.not_after.format("%Y-%m-%d %H:%M:%S+0000");
        assert!(scene.ended().ends_with(&format!("{id} due {due}")), "{}", scene.ended());
        provider.revoke(&longer).await.unwrap();
    }
    assert_eq!(scene.ended().matches("due").count(), 2, "nothing is wished of what is gone");
}

/// Each statement is a transaction of its own, and what one of them makes bears our mark from its first moment.
#[tokio::test]
async fn what_fails_halfway_is_taken_back() {
    let scene = Scene::new();
    let create = "CREATE ROLE \"{{name}}\" LOGIN";
    let order = order("prod-db", 1);
    for (creation, words) in [
        (json!([create, "GRANT SELECT ON public.nowhere TO \"{{name}}\""]), "statement 2 of `creation_statements`: "),
        (json!(["CREATE ROLE \"{{name}}\" LOGIN; SELECT nonsense"]), "statement 1 of `creation_statements`: "),
        (json!(["SELECT '{{name}}'"]), "`creation_statements` made no role"),
        (json!(["CREATE ROLE \"{{name}}\" LOGIN CREATEROLE"]), "could lift its own end"),
        (json!([format!("{create} /* never closed")]), "statement 1 of `creation_statements`: "),
        (json!([format!("{create} PASSWORD 'never closed")]), "statement 1 of `creation_statements`: "),
    ] {
        let refused = scene.open(&creation, None).grant(&order).await.unwrap_err();
        assert!(matches!(&refused, ProviderError::Permanent(said) if said.contains(words)), "{creation}: {refused:?}");
        assert!(!refused.to_string().contains("SCRAM"), "{refused}");
        assert_eq!(scene.roles(), "", "{creation}");
    }
}

#[tokio::test]
async fn what_was_half_made_when_we_died_is_made_anew() {
    let scene = Scene::new();
    let [_, creation] = vaults();
    let provider = scene.open(&creation, None);
    let order = order("prod-db", 1);
    provider.grant(&order).await.unwrap();
    let id = &order.external_id;
    // As it is between the first statement and the second.
    let mark =
        scene.server.sql(&format!("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{id}'"));
    assert!(!mark.contains("half"));
    let half = mark.replacen("\"log\"", "\"half\":true,\"log\"", 1);
    scene.server.sql(&format!("REVOKE SELECT ON orders FROM {id}; COMMENT ON ROLE {id} IS '{half}'"));
    assert_eq!(provider.list(TAG).await.unwrap().len(), 1, "it is listed all the same");
    let credential = granted(provider.as_ref(), &order).await;
    assert_eq!(psql(&part(&credential, "URL"), COUNT).unwrap(), "2");
    provider.revoke(&order).await.unwrap();
    assert_eq!(scene.roles(), "");
}

#[tokio::test]
async fn a_grant_that_is_over_by_the_servers_clock_is_not_opened() {
    let scene = Scene::new();
    let surroundings = countersign::provider::Surroundings {
        now: Arc::new(|| crate::support::door::now() - chrono::TimeDelta::minutes(10)),
        ..scene.place.surroundings()
    };
    let settings = crate::support::door::map(&json!({ "url_env": "URL", "role": "app_rw" }));
    let provider = countersign::provider::open("postgres", "prod-db", &settings, &surroundings).unwrap();
    let refused = provider.grant(&ending_in(&order("prod-db", 1), -60)).await.unwrap_err();
    assert!(
        matches!(&refused, ProviderError::Permanent(words) if words.contains("ahead of ours") && words.ends_with("set it by NTP")),
        "{refused:?}"
    );
    assert_eq!(scene.roles(), "");
}

/// The list and the grant look for ours among very many.
#[tokio::test]
async fn a_hundred_thousand_roles_are_no_trouble() {
    let scene = Scene::new();
    scene.server.sql("DO $$ BEGIN FOR i IN 1..100000 LOOP EXECUTE 'CREATE ROLE somebody' || i; END LOOP; END $$");
    let provider = scene.place.open("postgres", "prod-db", &json!({ "url_env": "URL", "role": "app_rw" }));
    let order = order("prod-db", 1);
    let credential = granted(provider.as_ref(), &order).await;
    assert_eq!(psql(&part(&credential, "URL"), COUNT).unwrap(), "2");
    assert_eq!(provider.list(TAG).await.unwrap().len(), 1);
    assert_eq!(provider.marked().await.unwrap().unwrap().items.len(), 1);
    assert_eq!(provider.check().await.unwrap(), Vec::<String>::new());
    provider.revoke(&order).await.unwrap();
    assert_eq!(scene.roles(), "");
}
