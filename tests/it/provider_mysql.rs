//! `mysql`: grants on a real `MariaDB`, with a bot that is no superuser and the ordinary client.

use std::sync::Arc;

use chrono::TimeDelta;
use countersign::provider::{
    self, Credential, Item, NativeExpiry, Order, Provider, ProviderError, SessionEnd, Surroundings,
};
use serde_json::{Value, json};

use crate::support::{
    certs,
    door::{Place, TAG, ending_in, map, now, order, part},
    mariadb::{self, Live, Server, client},
    process::until,
};

const COUNT: &str = "SELECT COUNT(*) FROM orders.orders";

/// A server and a provider for it.
struct Scene {
    server: Server,
    place: Place,
    provider: Arc<dyn Provider>,
}

impl Scene {
    fn new() -> Self {
        Self::on(Server::start(), &json!({ "url_env": "URL", "role": "app_rw" }))
    }

    fn on(server: Server, settings: &Value) -> Self {
        let place = Place::new(&[("URL", &server.bot_url())]);
        let provider = place.open("mysql", "prod-db", settings);
        Self { server, place, provider }
    }

    async fn granted(&self, order: &Order) -> Credential {
        self.provider.grant(order).await.unwrap();
        self.provider.credential(order, 1).await.unwrap()
    }

    async fn ids(&self) -> Vec<String> {
        self.provider.list(TAG).await.unwrap().into_iter().map(|item| item.external_id).collect()
    }
}

fn line(credential: &Credential) -> String {
    part(credential, "run this")
}

#[tokio::test]
async fn a_grant_opens_and_a_revocation_closes() {
    let scene = Scene::new();
    let order = order("prod-db", 4821);
    scene.provider.grant(&order).await.unwrap();
    // Nobody has a key before one is taken.
    let bare = format!("mariadb --host=127.0.0.1 --port={} --user={}", scene.server.port, order.external_id);
    assert!(client(&bare, "SELECT 1").unwrap_err().contains("Access denied"));
    let credential = scene.provider.credential(&order, 1).await.unwrap();
    assert_eq!(client(&line(&credential), COUNT).unwrap(), "2");
    assert_eq!(
        client(&line(&credential), "SELECT CURRENT_USER(), CURRENT_ROLE(), DATABASE()").unwrap(),
        format!("{}@%\tapp_rw\torders", order.external_id)
    );
    // What the profile may not do, the holder may not.
    assert!(client(&line(&credential), "CREATE USER x").is_err());
    assert!(client(&line(&credential), "SELECT User FROM mysql.user").is_err());
    // The same as an option file and as a URL.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("prod-db.cnf");
    std::fs::write(&file, part(&credential, "chmod 600")).unwrap();
    let by_file = format!("mariadb --defaults-file={}", file.display());
    assert_eq!(client(&by_file, COUNT).unwrap(), "2");
    let url = part(&credential, "URL");
    let word = url.split(':').nth(2).unwrap().split('@').next().unwrap();
    assert_eq!(url, format!("mysql://{}:{word}@127.0.0.1:{}/orders", order.external_id, scene.server.port));

    let mut live = Live::open(&line(&credential));
    assert_eq!(live.ask(COUNT), "2");
    let mut other =
        Live::open(&format!("MYSQL_PWD=adminpw mariadb --host=127.0.0.1 --port={} --user=admin", scene.server.port));
    scene.provider.revoke(&order).await.unwrap();
    assert!(live.last_words().contains("gone away") || scene.server.left().is_empty());
    assert_eq!(other.ask("SELECT 'untouched'"), "untouched");
    assert!(client(&line(&credential), COUNT).unwrap_err().contains("Access denied"));
    assert_eq!(scene.server.left(), "");
    assert_eq!(scene.server.sql("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER LIKE 'cs\\_%'"), "0");
}

#[tokio::test]
async fn it_says_what_it_can() {
    let scene = Scene::new();
    let can = scene.provider.describe();
    assert_eq!((can.native_expiry, can.ends_sessions), (NativeExpiry::Exact, SessionEnd::Yes));
    assert!(can.lists && !can.shared);
    assert_eq!(
        scene.provider.plan(),
        [
            "create a user for this grant alone, which can do what app_rw can, over at most 4 connections",
            "when the time is up it is locked, its sessions are cut, and it is dropped: by us, and by an event on the \
             server if we can't",
        ]
    );
}

/// The second lock: nobody of ours does anything.
#[tokio::test]
async fn the_server_itself_ends_user_and_session() {
    let scene = Scene::new();
    let order = ending_in(&order("prod-db", 1), 3);
    let credential = scene.granted(&order).await;
    let mut live = Live::open(&line(&credential));
    until("the event has run", || scene.server.left() == format!("event:{}", order.external_id));
    assert!(now() >= order.not_after);
    assert_eq!(live.ask(COUNT), "", "the session was cut");
    assert!(client(&line(&credential), COUNT).is_err());
    // What it leaves is found by the list and by the marks, and removed.
    assert_eq!(
        scene.provider.list(TAG).await.unwrap(),
        [Item { external_id: order.external_id.clone(), not_after: Some(order.not_after) }]
    );
    assert_eq!(scene.provider.marked().await.unwrap().unwrap().items.len(), 1);
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.server.left(), "");
}

#[tokio::test]
async fn a_session_whose_user_was_dropped_is_found_and_ended() {
    let scene = Scene::new();
    let order = order("prod-db", 1);
    let credential = scene.granted(&order).await;
    let mut live = Live::open(&line(&credential));
    let id = &order.external_id;
    scene.server.sql(&format!("DROP USER {id}@'%'; DROP EVENT countersign.{id}"));
    assert_eq!(live.ask("SELECT 'still'"), "still", "the server lets it go on");
    assert_eq!(scene.provider.list(TAG).await.unwrap(), [Item { external_id: id.clone(), not_after: None }]);
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(live.ask("SELECT 'still'"), "");
    assert_eq!(scene.ids().await, Vec::<String>::new());
    // A user that somebody dropped is not there, whatever its event says: it is missing, and that is to be told.
    scene.provider.grant(&order).await.unwrap();
    scene.server.sql(&format!("DROP USER {id}@'%'"));
    assert_eq!(scene.ids().await, Vec::<String>::new());
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.server.left(), "");
}

#[tokio::test]
async fn check_prints_exactly_what_lacks() {
    let scene = Scene::new();
    let lacking = async || scene.provider.check().await.unwrap();
    assert_eq!(lacking().await, Vec::<String>::new());
    scene.server.sql(
        "REVOKE CREATE USER, PROCESS, CONNECTION ADMIN ON *.* FROM csbot@'%'; \
         REVOKE SELECT (User, Host, is_role, default_role) ON mysql.user FROM csbot@'%'; \
         REVOKE EVENT ON countersign.* FROM csbot@'%'; DROP DATABASE countersign; \
         REVOKE ADMIN OPTION FOR app_rw FROM csbot@'%'",
    );
    let found = lacking().await;
    let sql: Vec<_> =
        found.iter().map(|words| words.split_once("run as an admin `").unwrap().1.trim_end_matches('`')).collect();
    assert_eq!(
        sql,
        [
            "GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO 'csbot'@'%';",
            "GRANT SELECT (User, Host, is_role, default_role) ON mysql.user TO 'csbot'@'%';",
            "CREATE DATABASE IF NOT EXISTS `countersign`; GRANT EVENT ON `countersign`.* TO 'csbot'@'%';",
            "GRANT `app_rw` TO 'csbot'@'%' WITH ADMIN OPTION;",
        ]
    );
    // A grant says the same.
    let refused = scene.provider.grant(&order("prod-db", 1)).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Permanent(_)));
    assert!(sql.iter().all(|sql| refused.to_string().contains(sql)), "{refused}");
    // What is printed is what helps.
    for statement in sql {
        scene.server.sql(statement);
    }
    assert_eq!(lacking().await, Vec::<String>::new());
    scene.provider.grant(&order("prod-db", 1)).await.unwrap();
    scene.provider.revoke(&order("prod-db", 1)).await.unwrap();

    scene.server.sql("GRANT CREATE USER ON *.* TO app_rw");
    assert!(lacking().await.join("").contains("the role `app_rw` could lift its own end"));
    scene.server.sql("DROP ROLE app_rw");
    let words = "the role `app_rw` does not exist: run `CREATE ROLE `app_rw`;` and grant it what it is for";
    assert_eq!(lacking().await, [words]);
    assert_eq!(scene.provider.grant(&order("prod-db", 1)).await.unwrap_err(), ProviderError::Permanent(words.into()));
    assert_eq!(scene.server.left(), "", "nothing half-made is left");
}

#[tokio::test]
async fn without_the_scheduler_nothing_is_opened() {
    let scene = Scene::new();
    scene.server.sql("SET GLOBAL event_scheduler = OFF");
    let found = scene.provider.check().await.unwrap().join("; ");
    assert!(found.contains("`SET GLOBAL event_scheduler = ON;`"), "{found}");
    let refused = scene.provider.grant(&order("prod-db", 1)).await.unwrap_err();
    assert!(matches!(&refused, ProviderError::Permanent(words) if words == &found), "{refused:?}");
    assert_eq!(scene.server.left(), "");
}

#[tokio::test]
async fn a_wrong_clock_is_found_and_nothing_is_opened_that_is_over() {
    let server = Server::start();
    let place = Place::new(&[("URL", &server.bot_url())]);
    for (shift, words) in
        [(-300, "s ahead of ours, so that it ends grants that much too early"), (300, "s behind ours")]
    {
        let surroundings =
            Surroundings { now: Arc::new(move || now() + TimeDelta::seconds(shift)), ..place.surroundings() };
        let settings = map(&json!({ "url_env": "URL", "role": "app_rw" }));
        let provider = provider::open("mysql", "prod-db", &settings, &surroundings).unwrap();
        let found = provider.check().await.unwrap().join("; ");
        assert!(found.starts_with("the server's clock is ") && found.contains(words), "{found}");
        if shift < 0 {
            // By our clock there is time left; by the server's it is over.
            let refused = provider.grant(&ending_in(&order("prod-db", 1), -60)).await.unwrap_err();
            assert!(matches!(&refused, ProviderError::Permanent(said) if said.contains(words)), "{refused:?}");
            assert_eq!(server.left(), "");
        }
    }
}

#[tokio::test]
async fn names_that_need_quoting_are_quoted() {
    let server = Server::start();
    let (profile, database) = ("App `RW`; DROP -- 'x' \\\"", "it's a db with=odd");
    let quoted = profile.replace('`', "``");
    server.sql(&format!(
        "CREATE ROLE `{quoted}`; GRANT `{quoted}` TO csbot@'%' WITH ADMIN OPTION; CREATE DATABASE `{database}`; \
         GRANT SELECT ON `{database}`.* TO `{quoted}`; GRANT SELECT ON orders.* TO `{quoted}`"
    ));
    let scene = Scene::on(server, &json!({ "url_env": "URL", "role": profile, "database": database }));
    assert_eq!(scene.provider.check().await.unwrap(), Vec::<String>::new());
    let mut order = order("prod-db", 1);
    order.holder.name = "'; DROP ROLE app_rw; -- Zoë".into();
    let credential = scene.granted(&order).await;
    assert_eq!(client(&line(&credential), "SELECT DATABASE()").unwrap(), database);
    assert_eq!(client(&line(&credential), COUNT).unwrap(), "2");
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.server.left(), "");
    assert_eq!(scene.server.sql("SELECT COUNT(*) FROM mysql.user WHERE User = 'app_rw'"), "1");
}

#[tokio::test]
async fn nothing_secret_is_logged_or_said() {
    let server = Server::start_with(&["--general-log=ON", "--general-log-file=all.log"]);
    let log = server.data().join("all.log");
    let scene = Scene::on(server, &json!({ "url_env": "URL", "role": "app_rw" }));
    let order = order("prod-db", 1);
    let credential = scene.granted(&order).await;
    let password = line(&credential).split(['=', ' ']).nth(1).unwrap().to_owned();
    assert!(password.len() >= 32 && password.bytes().all(|b| b.is_ascii_alphanumeric()), "{}", password.len());
    scene.provider.revoke(&order).await.unwrap();
    let logged = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    assert!(logged.contains("ALTER USER 'cs_abcdefgh_1'@'%' IDENTIFIED VIA"), "the statements are in the log");
    assert!(!logged.contains(&password) && !logged.contains("botpw"));

    for (url, words) in [
        ("mysql://csbot:s3cret-wrong@127.0.0.1:{port}/orders", "Access denied for user 'csbot'"),
        ("mysql://csbot:s3cret@127.0.0.1:not-a-port/orders", "is not a URL that can be read"),
        ("s3cret", "is not a URL that can be read"),
        ("mysql://csbot:s3cret@127.0.0.1:{port}/orders?ssl-mode=s3cret", "is not a URL that can be read"),
        ("mysql://csbot:s3cret@127.0.0.1:1/orders", "can't be reached"),
    ] {
        let place = Place::new(&[("URL", &url.replace("{port}", &scene.server.port.to_string()))]);
        let provider = place.open("mysql", "prod-db", &json!({ "url_env": "URL", "role": "app_rw" }));
        let told = provider.check().await.map_or_else(|e| e.to_string(), |lacking| lacking.join("; "));
        let refused = provider.revoke(&order).await.unwrap_err().to_string();
        assert!(told.contains(words) && refused.contains(words), "{told} / {refused}");
        assert!(!told.contains("s3cret") && !refused.contains("s3cret"), "{told} / {refused}");
    }
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
    assert_eq!(client(&line(&credential), COUNT).unwrap(), "2");
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.server.left(), "");
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
            (order, line(&credential))
        })
    });
    let mut lines = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        lines.push(task.await.unwrap());
    }
    for (order, line) in &lines {
        assert_eq!(client(line, "SELECT CURRENT_USER()").unwrap(), format!("{}@%", order.external_id));
    }
    assert_eq!(scene.ids().await.len(), 30);
    let ends = lines.iter().map(|(order, _)| {
        let (provider, order) = (Arc::clone(&scene.provider), order.clone());
        tokio::spawn(async move { provider.revoke(&order).await })
    });
    for end in ends.collect::<Vec<_>>() {
        end.await.unwrap().unwrap();
    }
    assert_eq!(scene.server.left(), "");
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let scene = Scene::new();
    let ours = order("prod-db", 1);
    scene.provider.grant(&ours).await.unwrap();
    let theirs = Order { external_id: "cs_abcdefgi_1".into(), ..ours.clone() };
    scene.provider.grant(&theirs).await.unwrap();
    let foreign = order("prod-db", 2);
    scene.server.sql(&format!("CREATE USER {}@'%' IDENTIFIED BY 'known'", foreign.external_id));
    for refused in [scene.provider.grant(&foreign).await, scene.provider.revoke(&foreign).await] {
        assert!(
            matches!(&refused, Err(ProviderError::Permanent(words)) if words.contains("doesn't bear our mark")),
            "{refused:?}"
        );
    }
    assert_eq!(scene.ids().await, std::slice::from_ref(&ours.external_id));
    // Another resource on the same server has the same users before it and lists its own.
    let other = scene.place.open("mysql", "stage-db", &json!({ "url_env": "URL", "role": "app_rw" }));
    assert_eq!(other.list(TAG).await.unwrap(), []);
    let marks = other.marked().await.unwrap().unwrap();
    assert_eq!(marks.unmarked, std::slice::from_ref(&foreign.external_id));
    assert_eq!(marks.items.len(), 2, "of every log and every resource");
    assert!(marks.items.iter().all(|item| item.resource == "prod-db"));
    // One whose event somebody dropped is known by our note.
    scene.server.sql(&format!("DROP EVENT countersign.{}", ours.external_id));
    assert_eq!(scene.ids().await, std::slice::from_ref(&ours.external_id));
    scene.provider.revoke(&ours).await.unwrap();
    other.revoke(&theirs).await.unwrap();
    assert_eq!(scene.server.left(), foreign.external_id);
}

#[tokio::test]
async fn the_operators_statements_make_and_unmake() {
    let server = Server::start();
    server.sql(
        "GRANT SELECT ON orders.* TO csbot@'%' WITH GRANT OPTION; CREATE TABLE orders.log (word TEXT); \
                GRANT INSERT ON orders.log TO csbot@'%'",
    );
    let settings = json!({
        "url_env": "URL",
        "creation_statements": [
            "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'",
            "GRANT SELECT ON orders.* TO '{{name}}'@'%'",
        ],
        "revocation_statements": ["INSERT INTO orders.log VALUES ('{{name}} ended, due {{expiration}}')", "SELECT nonsense"],
    });
    let scene = Scene::on(server, &settings);
    assert_eq!(scene.provider.check().await.unwrap(), Vec::<String>::new());
    let order = order("prod-db", 1);
    let credential = scene.granted(&order).await;
    assert_eq!(client(&line(&credential), COUNT).unwrap(), "2");
    assert!(client(&line(&credential), "DELETE FROM orders.orders").is_err());
    // Again: the key stays.
    scene.provider.grant(&ending_in(&order, 3000)).await.unwrap();
    assert_eq!(client(&line(&credential), COUNT).unwrap(), "2");
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.server.left(), "");
    let said = scene.server.sql("SELECT word FROM orders.log");
    let due = order.not_after.format("%Y-%m-%d %H:%M:%S+0000");
    assert_eq!(said, format!("{} ended, due {due}", order.external_id), "once, though the second statement failed");

    // What fails halfway is taken back.
    let mut wrong = settings;
    wrong["creation_statements"][1] = json!("GRANT SELECT ON nowhere.* TO '{{name}}'@'%'");
    let provider = scene.place.open("mysql", "prod-db", &wrong);
    let refused = provider.grant(&order).await.unwrap_err();
    assert!(
        matches!(&refused, ProviderError::Permanent(words) if words.starts_with("statement 2 of `creation_statements`: ")),
        "{refused:?}"
    );
    assert_eq!(scene.server.left(), "");
}

/// The list and the grant look for ours among very many.
#[tokio::test]
async fn a_hundred_thousand_users_are_no_trouble() {
    let scene = Scene::new();
    scene.server.sql(
        "INSERT INTO mysql.global_priv SELECT '%', CONCAT('somebody', seq), '{\"access\":0}' FROM orders.seq_1_to_100000; \
         FLUSH PRIVILEGES",
    );
    let order = order("prod-db", 1);
    let credential = scene.granted(&order).await;
    assert_eq!(client(&line(&credential), COUNT).unwrap(), "2");
    assert_eq!(scene.ids().await, std::slice::from_ref(&order.external_id));
    assert_eq!(scene.provider.check().await.unwrap(), Vec::<String>::new());
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.server.left(), "");
}

#[tokio::test]
async fn tls_is_verified_or_there_is_no_connection() {
    let keys = mariadb::folder();
    certs::make(keys.path());
    let file = |name: &str| keys.path().join(name).display().to_string();
    mariadb::own(&keys);
    let server = Server::start_with(&[
        &format!("--ssl-ca={}", file("ca.crt")),
        &format!("--ssl-cert={}", file("server.crt")),
        &format!("--ssl-key={}", file("server.key")),
    ]);
    // The bot gets in by TLS only.
    server.sql("ALTER USER csbot@'%' REQUIRE SSL");
    let place = Place::new(&[
        ("URL", &format!("{}?ssl-mode=verify-identity", server.bot_url())),
        ("CLEAR", &format!("{}?ssl-mode=disabled", server.bot_url())),
        ("ELSEWHERE", &format!("{}?ssl-mode=required", server.bot_url().replace("127.0.0.1", "localhost"))),
    ]);
    let open = |url: &str, ca: Option<&str>| {
        let mut settings = json!({ "url_env": url, "role": "app_rw" });
        if let Some(ca) = ca {
            settings["ca_file"] = json!(file(ca));
        }
        place.open("mysql", "prod-db", &settings)
    };
    let order = order("prod-db", 1);
    let provider = open("URL", Some("ca.crt"));
    provider.grant(&order).await.unwrap();
    let credential = provider.credential(&order, 1).await.unwrap();
    let pasted = format!("{} --ssl-ca={}", line(&credential).replace(" orders", ""), file("ca.crt"));
    assert!(pasted.contains("--ssl-verify-server-cert"), "{pasted}");
    assert!(client(&pasted, "SHOW STATUS LIKE 'Ssl_cipher'").unwrap().len() > "Ssl_cipher\t".len());
    provider.revoke(&order).await.unwrap();
    for (url, ca) in [("URL", None), ("URL", Some("other.crt")), ("ELSEWHERE", Some("ca.crt"))] {
        let refused = open(url, ca).grant(&order).await.unwrap_err();
        assert!(matches!(&refused, ProviderError::Retry(words) if words.contains("certificate")), "{refused:?}");
    }
    let refused = open("URL", Some("server.key")).grant(&order).await.unwrap_err();
    assert!(refused.to_string().contains("no certificates in PEM"), "{refused}");
    assert!(open("CLEAR", None).grant(&order).await.unwrap_err().to_string().contains("Access denied"));
    // A server without TLS is not talked to in the clear.
    let plain = Server::start_with(&["--skip-ssl"]);
    let place = Place::new(&[("URL", &format!("{}?ssl-mode=required", plain.bot_url()))]);
    let provider = place.open("mysql", "prod-db", &json!({ "url_env": "URL", "role": "app_rw" }));
    let refused = provider.grant(&order).await.unwrap_err();
    assert!(refused.to_string().contains("does not support TLS"), "{refused}");
}
