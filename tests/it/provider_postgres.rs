//! `postgres`: grants on a real server, with a bot that is no superuser and the ordinary client.

use std::{process::Command, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use countersign::provider::{self, Credential, Item, Order, Provider, ProviderError, SessionEnd, Surroundings};
use serde_json::json;

use crate::support::{
    door::{Place, TAG, ending_in, map, now, order, part},
    postgres::{Live, Server, psql},
    process::{run, until},
};

const COUNT: &str = "SELECT count(*) FROM orders";

/// A server and a provider for its database.
struct Scene {
    server: Server,
    place: Place,
    provider: Arc<dyn Provider>,
}

impl Scene {
    fn new() -> Self {
        Self::on(Server::start(), &json!({ "url_env": "PROD_DB_URL", "role": "app_rw" }))
    }

    fn on(server: Server, settings: &serde_json::Value) -> Self {
        let place = Place::new(&[("PROD_DB_URL", &server.bot_url())]);
        let provider = place.open("postgres", "prod-db", settings);
        Self { server, place, provider }
    }

    async fn granted(&self, order: &Order) -> Credential {
        self.provider.grant(order).await.unwrap();
        self.provider.credential(order, 1).await.unwrap()
    }

    /// How many roles of ours there are.
    fn roles(&self) -> String {
        self.server.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'cs\\_%'")
    }
}

fn url(credential: &Credential) -> String {
    part(credential, "URL")
}

#[tokio::test]
async fn a_grant_lives_and_ends() {
    let scene = Scene::new();
    assert_eq!(scene.provider.describe().ends_sessions, SessionEnd::Yes);
    let order = order("prod-db", 4821);
    scene.provider.grant(&order).await.unwrap();
    let id = &order.external_id;

    // The door is open and no key is cut.
    let about = scene.server.sql(&format!(
        "SELECT rolcanlogin, rolinherit, rolsuper, rolcreaterole, rolcreatedb, rolconnlimit, rolpassword IS NULL, \
         extract(epoch FROM rolvaliduntil)::bigint, shobj_description(oid, 'pg_authid') FROM pg_authid WHERE rolname = '{id}'"
    ));
    let end = order.not_after.timestamp();
    let mark = format!(r#"{{"countersign":"{id}","exp":{end},"log":"{TAG}","request":4821,"resource":"prod-db"}}"#);
    assert_eq!(about, format!("t|f|f|f|f|4|t|{end}|{mark}"));

    let credential = scene.provider.credential(&order, 1).await.unwrap();
    assert_eq!(credential.public_id, format!("cs_{TAG}_4821:1"));
    let stored = scene.server.sql(&format!("SELECT left(rolpassword, 14) FROM pg_authid WHERE rolname = '{id}'"));
    assert_eq!(stored, "SCRAM-SHA-256$");

    // A session is the profile and nothing else.
    let mut live = Live::open(&url(&credential));
    assert_eq!(live.ask("SELECT session_user || ' as ' || current_user"), format!("{id} as app_rw"));
    assert_eq!(live.ask("INSERT INTO orders VALUES (3, 'moth') RETURNING id"), "3");
    assert_eq!(
        live.ask("CREATE TABLE app.theirs (x int); SELECT tableowner FROM pg_tables WHERE tablename = 'theirs'"),
        "app_rw"
    );
    let outside = psql(&url(&credential), "SET ROLE NONE; SELECT * FROM orders").unwrap_err();
    assert!(outside.contains("permission denied for table orders"), "{outside}");
    let lifting = psql(&url(&credential), &format!("ALTER ROLE {id} VALID UNTIL 'infinity'")).unwrap_err();
    assert!(lifting.contains("permission denied"), "{lifting}");

    scene.provider.revoke(&order).await.unwrap();
    assert!(live.last_words().contains("terminating connection due to administrator command"));
    let refused = psql(&url(&credential), COUNT).unwrap_err();
    assert!(refused.contains("authentication failed"), "{refused}");
    assert_eq!(scene.roles(), "0");
    assert_eq!(
        scene.server.sql("SELECT count(*) FROM pg_stat_activity WHERE usesysid NOT IN (SELECT oid FROM pg_roles)"),
        "0"
    );
    assert_eq!(scene.server.sql(COUNT), "3", "what was done stays done");
}

#[tokio::test]
async fn the_server_itself_refuses_after_the_end() {
    let scene = Scene::new();
    let order = ending_in(&order("prod-db", 1), 3);
    let credential = scene.granted(&order).await;
    psql(&url(&credential), COUNT).unwrap();
    until("the end", || now() > order.not_after);
    let refused = psql(&url(&credential), COUNT).unwrap_err();
    assert!(refused.contains("authentication failed"), "{refused}");
    assert!(matches!(scene.provider.credential(&order, 2).await, Err(ProviderError::Permanent(_))));
    let items = scene.provider.list(TAG).await.unwrap();
    assert_eq!(
        items,
        [Item { external_id: order.external_id.clone(), not_after: Some(order.not_after) }],
        "it is still ours to end"
    );
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.roles(), "0");
}

#[tokio::test]
async fn a_superuser_will_do_as_well() {
    let server = Server::start();
    let place = Place::new(&[("URL", &server.admin_url())]);
    let provider = place.open("postgres", "prod-db", &json!({ "url_env": "URL", "role": "app_rw" }));
    assert_eq!(provider.check().await.unwrap(), Vec::<String>::new());
    let order = order("prod-db", 1);
    provider.grant(&order).await.unwrap();
    let live = Live::open(&url(&provider.credential(&order, 1).await.unwrap()));
    provider.revoke(&order).await.unwrap();
    assert!(live.last_words().contains("terminating connection"));
    assert_eq!(provider.list(TAG).await.unwrap(), []);
}

#[tokio::test]
async fn what_a_holder_leaves_behind_does_not_keep_the_role() {
    let scene = Scene::new();
    scene.server.sql("GRANT CREATE ON SCHEMA public TO PUBLIC");
    scene.server.sql("CREATE DATABASE \"other db\"");
    let order = order("prod-db", 1);
    let id = order.external_id.clone();
    let credential = scene.granted(&order).await;
    // Stepping out of the profile makes things one's own: a table, a large object; elsewhere too.
    psql(
        &url(&credential),
        "SET ROLE NONE; CREATE TABLE mine (x int); INSERT INTO mine VALUES (7); SELECT lo_create(4242)",
    )
    .unwrap();
    let elsewhere = url(&credential).replace("/orders", "/other%20db");
    psql(&elsewhere, "SET ROLE NONE; SELECT lo_create(4343)").unwrap();
    // Somebody means it well and grants something to the role by name.
    psql(&url(&credential), &format!("GRANT SELECT ON app.notes TO {id}")).unwrap();
    scene.server.sql(&format!("ALTER DEFAULT PRIVILEGES FOR ROLE app_rw GRANT SELECT ON TABLES TO {id}"));

    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.roles(), "0");
    assert_eq!(scene.server.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'mine'"), "app_rw");
    assert_eq!(scene.server.sql("SELECT x FROM mine"), "7", "nothing is lost");
    assert_eq!(scene.server.sql("SELECT count(*) FROM pg_largeobject_metadata m JOIN pg_roles r ON r.oid = m.lomowner WHERE r.rolname = 'app_rw'"), "1");
    assert_eq!(scene.server.sql("SELECT count(*) FROM pg_shdepend d WHERE refclassid = 'pg_authid'::regclass AND refobjid NOT IN (SELECT oid FROM pg_roles)"), "0");
}

#[tokio::test]
async fn a_role_that_only_a_superuser_can_drop_is_harmless_until_then() {
    let scene = Scene::new();
    scene.server.sql("CREATE DATABASE \"other db\"");
    let order = order("prod-db", 1);
    let id = &order.external_id;
    let credential = scene.granted(&order).await;
    let live = Live::open(&url(&credential));
    scene.server.sql(&format!("GRANT CREATE ON DATABASE \"other db\" TO {id}; GRANT SELECT ON orders TO {id}"));
    for _ in 0..2 {
        let refused = scene.provider.revoke(&order).await.unwrap_err();
        let words = format!("run as a superuser in \"orders\" `DROP OWNED BY \"{id}\";`");
        assert!(refused.to_string().ends_with(&words), "{refused}");
        assert!(matches!(refused, ProviderError::Permanent(_)));
    }
    assert!(live.last_words().contains("terminating connection"));
    assert!(psql(&url(&credential), COUNT).is_err());
    assert_eq!(
        scene.server.sql(&format!(
            "SELECT rolcanlogin, pg_has_role('{id}', 'app_rw', 'MEMBER') FROM pg_roles WHERE rolname = '{id}'"
        )),
        "f|f"
    );
    assert_eq!(scene.provider.list(TAG).await.unwrap().len(), 1, "it is not called ended");
    scene.server.sql(&format!("DROP OWNED BY \"{id}\";"));
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.roles(), "0");
}

#[tokio::test]
async fn a_role_that_somebody_dropped_leaves_no_session() {
    let scene = Scene::new();
    let order = order("prod-db", 1);
    let mut live = Live::open(&url(&scene.granted(&order).await));
    // Not ours: another role that was dropped under its session.
    scene.server.sql("CREATE ROLE passer LOGIN PASSWORD 'x'");
    let mut other = Live::open(&scene.server.url("passer", "x", "orders"));
    scene.server.sql(&format!("DROP ROLE passer; DROP ROLE {}", order.external_id));
    assert_eq!(live.ask(COUNT), "2", "the session goes on as the profile, though its role is gone");

    let items = scene.provider.list(TAG).await.unwrap();
    assert_eq!(items, [Item { external_id: order.external_id.clone(), not_after: None }], "it is found");
    scene.provider.revoke(&order).await.unwrap();
    assert!(live.last_words().contains("terminating connection"));
    assert_eq!(scene.provider.list(TAG).await.unwrap(), []);
    assert_eq!(other.ask("SELECT 'untouched'"), "untouched");
}

#[tokio::test]
async fn a_damaged_register_keeps_no_door_open() {
    let scene = Scene::new();
    let order = order("prod-db", 1);
    let credential = scene.granted(&order).await;
    std::fs::write(scene.place.dir.path().join("prod-db/roles.json"), "{ damaged").unwrap();
    assert_eq!(scene.provider.list(TAG).await.unwrap().len(), 1);
    scene.provider.revoke(&order).await.unwrap();
    assert!(psql(&url(&credential), COUNT).is_err());
    // What could not be undone is not done: the role is made, and looking finds it.
    let refused = scene.provider.grant(&order).await.unwrap_err();
    assert!(
        matches!(&refused, ProviderError::Unknown(words) if words.contains("roles.json` is damaged")),
        "{refused:?}"
    );
    assert_eq!(scene.provider.list(TAG).await.unwrap().len(), 1);
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.roles(), "0");
}

#[tokio::test]
async fn check_prints_exactly_what_lacks() {
    let scene = Scene::new();
    let lacking = async || scene.provider.check().await.unwrap();
    assert_eq!(lacking().await, Vec::<String>::new());
    scene.server.sql("REVOKE app_rw FROM csbot; REVOKE pg_signal_backend FROM csbot; ALTER ROLE csbot NOCREATEROLE");
    let found = lacking().await;
    let sql: Vec<_> = found.iter().map(|words| words.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(
        sql,
        [
            "ALTER ROLE \"csbot\" CREATEROLE;",
            "GRANT pg_signal_backend TO \"csbot\";",
            "GRANT \"app_rw\" TO \"csbot\" WITH ADMIN OPTION;",
        ]
    );
    // A grant says the same.
    let refused = scene.provider.grant(&order("prod-db", 1)).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Permanent(_)));
    assert!(sql.iter().all(|sql| refused.to_string().contains(sql)), "{refused}");
    // What is printed is what helps.
    for statement in sql {
        scene.server.sql(&statement);
    }
    assert_eq!(lacking().await, Vec::<String>::new());

    scene.server.sql("ALTER ROLE app_rw SUPERUSER");
    assert!(lacking().await.join("").contains("could lift its own end"));
    scene.server.sql("ALTER ROLE app_rw NOSUPERUSER; DROP OWNED BY app_rw; DROP ROLE app_rw");
    let words = "the role \"app_rw\" does not exist: run `CREATE ROLE \"app_rw\" NOLOGIN;` and grant it what it is for";
    assert_eq!(lacking().await, [words]);
    assert_eq!(scene.provider.grant(&order("prod-db", 1)).await.unwrap_err(), ProviderError::Permanent(words.into()));
    assert_eq!(scene.roles(), "0", "nothing half-made is left");
}

#[tokio::test]
async fn a_wrong_clock_is_found() {
    let server = Server::start();
    let place = Place::new(&[("URL", &server.bot_url())]);
    for (shift, words) in
        [(-300, "s ahead of ours, so that it ends logins that much too early"), (300, "s behind ours")]
    {
        let surroundings =
            Surroundings { now: Arc::new(move || now() + TimeDelta::seconds(shift)), ..place.surroundings() };
        let settings = map(&json!({ "url_env": "URL", "role": "app_rw" }));
        let provider = provider::open("postgres", "prod-db", &settings, &surroundings).unwrap();
        let found = provider.check().await.unwrap().join("; ");
        assert!(found.starts_with("the server's clock is ") && found.contains(words), "{found}");
    }
}

#[tokio::test]
async fn revoking_without_the_right_to_end_sessions_keeps_the_role() {
    let scene = Scene::new();
    let order = order("prod-db", 1);
    let credential = scene.granted(&order).await;
    let mut live = Live::open(&url(&credential));
    scene.server.sql("REVOKE pg_signal_backend FROM csbot");
    let refused = scene.provider.revoke(&order).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Permanent(_)), "{refused}");
    assert!(refused.to_string().contains("GRANT pg_signal_backend TO \"csbot\";"), "{refused}");
    // Nobody new gets in, and the session can still be found by its role.
    assert!(psql(&url(&credential), COUNT).is_err());
    assert_eq!(live.ask(COUNT), "2");
    assert_eq!(scene.provider.list(TAG).await.unwrap().len(), 1);
    scene.server.sql("GRANT pg_signal_backend TO csbot");
    scene.provider.revoke(&order).await.unwrap();
    assert!(live.last_words().contains("terminating connection"));
}

#[tokio::test]
async fn names_that_need_quoting_are_quoted() {
    let server = Server::start();
    let profile = r#"App "RW"; DROP TABLE orders; -- 'x' \"#;
    let quoted = profile.replace('"', "\"\"");
    let database = r"it's a db \ with=odd://name";
    server.sql(&format!("CREATE ROLE \"{quoted}\" NOLOGIN"));
    server.sql(&format!("GRANT \"{quoted}\" TO csbot WITH ADMIN OPTION"));
    server.sql(&format!("CREATE DATABASE \"{database}\""));
    let settings = json!({ "url_env": "PROD_DB_URL", "role": profile, "database": database });
    let scene = Scene::on(server, &settings);
    assert_eq!(scene.provider.check().await.unwrap(), Vec::<String>::new());
    let mut order = order("prod-db", 1);
    order.holder.name = "'; DROP ROLE app_rw; -- Zoë".into();
    let credential = scene.granted(&order).await;
    let ask = "SELECT current_user || '@' || current_database()";
    let expected = format!("{profile}@{database}");
    assert_eq!(psql(&url(&credential), ask).unwrap(), expected);
    // The line is pasted into a shell as it is.
    let line = part(&credential, "run this");
    let said = run(Command::new("sh").arg("-c").arg(format!("{line} -XAtq -c \"{ask}\"")));
    assert_eq!(said.trim(), expected);
    let plain = part(&credential, "type it in");
    assert!(plain.contains(&format!("database {database}\nuser {}", order.external_id)), "{plain}");
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.roles(), "0");
    assert_eq!(scene.server.sql(COUNT), "2");
}

#[tokio::test]
async fn nothing_secret_is_logged_or_said() {
    let server =
        Server::start_with(&["log_statement=all", "logging_collector=on", "log_directory=log", "log_filename=all.log"]);
    let log = server.data().join("log/all.log");
    let scene = Scene::on(server, &json!({ "url_env": "PROD_DB_URL", "role": "app_rw" }));
    let order = order("prod-db", 1);
    let credential = scene.granted(&order).await;
    let password =
        part(&credential, "type it in").lines().last().unwrap().strip_prefix("password ").unwrap().to_owned();
    assert!(password.len() >= 32 && password.bytes().all(|b| b.is_ascii_alphanumeric()), "{}", password.len());
    scene.provider.revoke(&order).await.unwrap();
    let logged = std::fs::read_to_string(log).unwrap();
    assert!(logged.contains("SCRAM-SHA-256$"), "the statements are in the log");
    assert!(!logged.contains(&password) && !logged.contains("botpw"));

    for (url, words) in [
        ("postgres://csbot:s3cret-wrong@127.0.0.1:{port}/orders?sslmode=disable", "password authentication failed"),
        ("postgres://csbot:s3cret-wrong@127.0.0.1:{port}/nowhere?sslmode=disable", "authentication failed"),
        ("postgres://csbot:s3cret@host:not-a-port/orders", "is not a URL that can be read"),
        ("s3cret", "is not a URL that can be read"),
        ("postgres://csbot:s3cret@127.0.0.1:1/orders", "can't be reached"),
    ] {
        let place = Place::new(&[("URL", &url.replace("{port}", &scene.server.port.to_string()))]);
        let provider = place.open("postgres", "prod-db", &json!({ "url_env": "URL", "role": "app_rw" }));
        let told = provider.check().await.map_or_else(|e| e.to_string(), |lacking| lacking.join("; "));
        let refused = provider.revoke(&order).await.unwrap_err().to_string();
        assert!(told.contains(words) && refused.contains(words), "{told} / {refused}");
        assert!(!told.contains("s3cret") && !refused.contains("s3cret"), "{told} / {refused}");
    }
    let unset = Place::new(&[]).open("postgres", "prod-db", &json!({ "url_env": "URL", "role": "app_rw" }));
    assert_eq!(unset.check().await.unwrap(), ["the environment variable `URL` is not set: put the admin URL into it"]);

    // The URL may be in a file, which is read anew each time.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    let place = Place::new(&[]);
    let provider = place.open("postgres", "prod-db", &json!({ "url_file": &file, "role": "app_rw" }));
    let told = provider.check().await.unwrap().join("; ");
    assert!(told.starts_with("`url_file` ") && told.ends_with("can't be read: No such file or directory (os error 2)"));
    std::fs::write(&file, "s3cret").unwrap();
    let told = provider.check().await.unwrap().join("; ");
    assert!(told.contains("`url_file` is not a URL") && !told.contains("s3cret"), "{told}");
    std::fs::write(&file, scene.server.bot_url() + "\n").unwrap();
    assert_eq!(provider.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_crashes_in_between_is_waited_for() {
    let mut scene = Scene::new();
    let order = order("prod-db", 1);
    let credential = scene.granted(&order).await;
    scene.server.crash();
    for refused in [
        scene.provider.revoke(&order).await.unwrap_err(),
        scene.provider.grant(&order).await.unwrap_err(),
        scene.provider.list(TAG).await.unwrap_err(),
    ] {
        assert!(matches!(refused, ProviderError::Retry(_)), "{refused:?}");
    }
    scene.server.resume();
    psql(&url(&credential), COUNT).unwrap();
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.roles(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_neither_mix_nor_leak() {
    let scene = Scene::new();
    let tasks = (0..30).map(|number| {
        let provider = Arc::clone(&scene.provider);
        tokio::spawn(async move {
            let order = order("prod-db", number);
            provider.grant(&order).await.unwrap();
            let credential = provider.credential(&order, 1).await.unwrap();
            (order, url(&credential))
        })
    });
    let mut urls = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        urls.push(task.await.unwrap());
    }
    for (order, url) in &urls {
        assert_eq!(psql(url, "SELECT session_user").unwrap(), order.external_id);
    }
    assert_eq!(scene.provider.list(TAG).await.unwrap().len(), 30);
    let ends = urls.iter().map(|(order, _)| {
        let (provider, order) = (Arc::clone(&scene.provider), order.clone());
        tokio::spawn(async move { provider.revoke(&order).await })
    });
    for end in ends.collect::<Vec<_>>() {
        end.await.unwrap().unwrap();
    }
    assert_eq!(scene.roles(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_at_once_is_one_role() {
    let scene = Scene::new();
    let order = order("prod-db", 1);
    for round in 0..5 {
        let racers = (0..4).map(|_| {
            let (provider, order) = (Arc::clone(&scene.provider), order.clone());
            tokio::spawn(async move {
                if round % 2 == 0 { provider.grant(&order).await } else { provider.revoke(&order).await }
            })
        });
        for racer in racers.collect::<Vec<_>>() {
            let done = racer.await.unwrap();
            assert!(matches!(done, Ok(()) | Err(ProviderError::Retry(_))), "{done:?}");
        }
        assert_eq!(scene.roles(), if round % 2 == 0 { "1" } else { "0" });
    }
    scene.provider.revoke(&order).await.unwrap();
}

#[tokio::test]
async fn a_role_that_is_not_ours_is_left_alone() {
    let scene = Scene::new();
    let order = order("prod-db", 1);
    scene.server.sql(&format!("CREATE ROLE {} LOGIN PASSWORD 'known'", order.external_id));
    for refused in [scene.provider.grant(&order).await, scene.provider.revoke(&order).await] {
        assert!(
            matches!(&refused, Err(ProviderError::Permanent(words)) if words.contains("doesn't bear our mark")),
            "{refused:?}"
        );
    }
    assert_eq!(scene.roles(), "1");
    assert_eq!(scene.provider.list(TAG).await.unwrap(), []);

    // One of ours whose mark somebody took away is known by its number.
    let ours = crate::support::door::order("prod-db", 2);
    scene.provider.grant(&ours).await.unwrap();
    scene.server.sql(&format!("COMMENT ON ROLE {} IS 'theirs now'", ours.external_id));
    scene.provider.revoke(&ours).await.unwrap();
    assert_eq!(scene.roles(), "1");
}

#[tokio::test]
async fn other_logs_and_other_roles_are_not_listed() {
    let scene = Scene::new();
    let ours = order("prod-db", 1);
    scene.provider.grant(&ours).await.unwrap();
    let theirs = Order { external_id: "cs_abcdefgi_1".into(), ..ours.clone() };
    scene.provider.grant(&theirs).await.unwrap();
    for name in ["cs_abcdefgh_", "cs_abcdefgh_1x", "\"cs_abcdefgh-1\"", "csxabcdefghx1", "cs_abcdefgh"] {
        scene.server.sql(&format!("CREATE ROLE {name}"));
    }
    let ids = async |tag: &str| -> Vec<String> {
        scene.provider.list(tag).await.unwrap().into_iter().map(|item| item.external_id).collect()
    };
    assert_eq!(ids(TAG).await, [ours.external_id]);
    assert_eq!(ids("abcdefgi").await, [theirs.external_id]);
    assert_eq!(ids("%%%%%%%%").await, Vec::<String>::new());
    // Another resource on the same server has the same roles before it and lists its own.
    let place = Place::new(&[("PROD_DB_URL", &scene.server.bot_url())]);
    let other = place.open("postgres", "stage-db", &json!({ "url_env": "PROD_DB_URL", "role": "app_rw" }));
    assert_eq!(other.list(TAG).await.unwrap(), []);
}

#[tokio::test]
async fn a_longer_or_shorter_grant_sets_the_end_anew_and_keeps_the_key() {
    let scene = Scene::new();
    let order = order("prod-db", 1);
    let credential = scene.granted(&order).await;
    let until = |scene: &Scene| -> DateTime<Utc> {
        let end = scene
            .server
            .sql("SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname LIKE 'cs\\_%'");
        DateTime::from_timestamp(end.parse().unwrap(), 0).unwrap()
    };
    for seconds in [7200, 5] {
        let other = ending_in(&order, seconds);
        scene.provider.grant(&other).await.unwrap();
        assert_eq!(until(&scene), other.not_after);
        assert!(other.not_after - now() <= TimeDelta::seconds(seconds));
        psql(&url(&credential), COUNT).unwrap();
    }
}
