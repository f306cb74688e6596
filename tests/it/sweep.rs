//! `sweep`: what is overdue ends by its own mark, with no ledger, no register and no service.

use std::{path::Path, sync::Arc};

use countersign::provider::{Order, Provider};
use insta::assert_snapshot as is;
use serde_json::json;

use crate::support::{
    demo::countersign_with,
    door::{Place, TAG, ending_in, now, order, part},
    postgres::{Live, Server},
    process::until,
};

const OTHER_TAG: &str = "bcdefghi";

/// A server with what two services left behind, and the config folder of one of them.
struct Scene {
    server: Server,
    config: tempfile::TempDir,
    place: Place,
}

impl Scene {
    fn new() -> Self {
        let server = Server::start();
        let place = Place::new(&[("URL", &server.bot_url())]);
        let config = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| std::fs::write(config.path().join(file), text).unwrap();
        // The ledger is on a machine that is gone.
        write(
            "countersign.toml",
            "[ledger]\npath = \"/nonexistent/ledger\"\norigin = \"log.example/test\"\n[playground]\nchannel = \"x\"\n",
        );
        write("people.toml", "[[person]]\nname = \"ana\"\n[[person]]\nname = \"ben\"\n");
        write("policy.cedar", "");
        let resource = |name: &str, provider: &str, own: &str| {
            format!(
                "[[resource]]\nname = \"{name}\"\ndescription = \"x\"\nprovider = \"{provider}\"\nrequesters = [\"person:ana\"]\n\
                 approvers = [\"person:ben\"]\nmax_duration = \"1h\"\n[resource.{provider}]\n{own}\n"
            )
        };
        write(
            "resources.toml",
            &[
                resource("prod-db", "postgres", "url_env = \"URL\"\nrole = \"app_rw\""),
                resource("prod-host", "ssh", "principals = [\"deploy\"]"),
            ]
            .concat(),
        );
        Self { server, config, place }
    }

    fn provider(&self, resource: &str) -> Arc<dyn Provider> {
        self.place.open("postgres", resource, &json!({ "url_env": "URL", "role": "app_rw" }))
    }

    /// A grant with a session that is open.
    async fn granted(&self, order: &Order) -> Live {
        let provider = self.provider(&order.resource);
        provider.grant(order).await.unwrap();
        Live::open(&part(&provider.credential(order, 1).await.unwrap(), "URL"))
    }

    fn roles(&self) -> String {
        self.server.sql("SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'cs\\_%'")
    }

    fn sweep(&self, more: &[&str]) -> (i32, String, String) {
        let config = self.config.path().to_string_lossy();
        let args = [&["sweep", "--config", &config][..], more].concat();
        let (code, said, errors) = countersign_with(&args, &[("URL", &self.server.bot_url())]);
        assert!(!Path::new("/nonexistent").exists());
        (code, said, errors)
    }
}

#[tokio::test]
async fn only_what_is_overdue_ends_and_its_sessions_with_it() {
    let scene = Scene::new();
    let overdue = ending_in(&order("prod-db", 1), 3);
    let lifted = Order { external_id: format!("cs_{TAG}_2"), request: 2, ..overdue.clone() };
    let due_later = order("prod-db", 3);
    // Another log's, for a resource that is in no config any more.
    let other_log =
        Order { external_id: format!("cs_{OTHER_TAG}_4"), request: 4, resource: "old-db".into(), ..overdue.clone() };
    let mut sessions = Vec::new();
    for order in [&overdue, &lifted, &due_later, &other_log] {
        sessions.push(scene.granted(order).await);
    }
    // The second lock was taken off; the mark stays what it is.
    scene.server.sql(&format!("ALTER ROLE {} VALID UNTIL 'infinity'", lifted.external_id));
    // Roles that only look like ours: with our kind of name, with another role's mark, with an end that is past.
    let foreign = [format!("cs_{TAG}_77"), format!("cs_{TAG}_78"), "cs_deploy".to_owned()];
    for name in &foreign {
        scene.server.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD 'x' VALID UNTIL '2020-01-01'"));
    }
    let mark =
        format!("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{}'", overdue.external_id);
    let mark = scene.server.sql(&mark);
    scene.server.sql(&format!("COMMENT ON ROLE {} IS '{mark}'", foreign[1]));
    until("the end", || now() > overdue.not_after);
    let before = scene.roles();
    let plain = |text: &str| text.replace(&overdue.not_after.format("%Y-%m-%d %H:%M:%S").to_string(), "THEN");

    // A dry run says it and touches nothing.
    let (code, said, errors) = scene.sweep(&["--dry-run"]);
    is!(format!("{code}\n{}{errors}", plain(&said)), @"
    0
    prod-db (postgres): 4 with our mark on the server, 3 to end here
      cs_abcdefgh_1 (for prod-db) was due THEN UTC: would be ended
      cs_abcdefgh_2 (for prod-db) was due THEN UTC: would be ended
      cs_bcdefghi_4 (for old-db) was due THEN UTC: would be ended
      cs_abcdefgh_77 has a name like ours and no mark of ours: it is left alone; look where it comes from
      cs_abcdefgh_78 has a name like ours and no mark of ours: it is left alone; look where it comes from
    prod-host (ssh): what it gives out ends by itself; nothing to sweep
    ");
    assert_eq!(scene.roles(), before);
    for session in &mut sessions {
        assert_eq!(session.ask("SELECT 'here'"), "here");
    }

    // One log's.
    let (code, said, errors) = scene.sweep(&["--log-tag", OTHER_TAG, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(code, 0, "{errors}");
    let ended = &told["targets"][0]["overdue"];
    assert_eq!(
        *ended,
        json!([{
            "external_id": other_log.external_id,
            "log": OTHER_TAG,
            "not_after": other_log.not_after,
            "outcome": "ended",
            "error": null,
            "resource": "old-db",
        }])
    );
    assert!(sessions.pop().unwrap().last_words().contains("terminating connection"));
    assert_eq!(scene.roles(), before.replace(&format!(" {}", other_log.external_id), ""));

    // All.
    let (code, said, errors) = scene.sweep(&[]);
    is!(format!("{code}\n{}{errors}", plain(&said)), @"
    0
    prod-db (postgres): 3 with our mark on the server, 2 to end here
      cs_abcdefgh_1 (for prod-db) was due THEN UTC: ended
      cs_abcdefgh_2 (for prod-db) was due THEN UTC: ended
      cs_abcdefgh_77 has a name like ours and no mark of ours: it is left alone; look where it comes from
      cs_abcdefgh_78 has a name like ours and no mark of ours: it is left alone; look where it comes from
    prod-host (ssh): what it gives out ends by itself; nothing to sweep
    ");
    let mut left = vec![due_later.external_id.clone()];
    left.extend(foreign);
    left.sort();
    assert_eq!(scene.roles(), left.join(" "));
    let mut later = sessions.pop().unwrap();
    assert_eq!(later.ask("SELECT 'here'"), "here", "what is not yet due goes on");
    for session in sessions {
        assert!(session.last_words().contains("terminating connection"));
    }

    // Nothing is left to do.
    let (code, said, _) = scene.sweep(&[]);
    assert_eq!(code, 0);
    assert!(said.contains("0 to end here"), "{said}");
    assert_eq!(later.ask("SELECT 'here'"), "here");
}

#[tokio::test]
async fn what_an_ended_role_of_an_unknown_resource_owned_goes_to_its_own_profile() {
    let scene = Scene::new();
    scene.server.sql("CREATE ROLE reports NOLOGIN; GRANT reports TO csbot WITH ADMIN OPTION; GRANT CREATE ON SCHEMA public TO PUBLIC");
    let order = Order { resource: "reports-db".into(), ..ending_in(&order("prod-db", 1), 2) };
    let provider = scene.place.open("postgres", "reports-db", &json!({ "url_env": "URL", "role": "reports" }));
    provider.grant(&order).await.unwrap();
    let mut session = Live::open(&part(&provider.credential(&order, 1).await.unwrap(), "URL"));
    assert_eq!(session.ask("SET ROLE NONE; CREATE TABLE mine (x int); SELECT 'made'"), "made");
    until("the end", || now() > order.not_after);
    let (code, said, errors) = scene.sweep(&[]);
    assert_eq!(code, 0, "{said}{errors}");
    assert_eq!(scene.roles(), "");
    assert_eq!(scene.server.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'mine'"), "reports");
}

#[tokio::test]
async fn what_can_not_be_ended_is_a_finding() {
    let mut scene = Scene::new();
    scene.server.sql("CREATE DATABASE \"other db\"");
    let order = ending_in(&order("prod-db", 1), 2);
    let session = scene.granted(&order).await;
    let id = &order.external_id;
    scene.server.sql(&format!("GRANT CREATE ON DATABASE \"other db\" TO {id}"));
    until("the end", || now() > order.not_after);
    let plain = |text: &str| text.replace(&order.not_after.format("%Y-%m-%d %H:%M:%S").to_string(), "THEN");
    let (code, said, errors) = scene.sweep(&[]);
    is!(format!("{code}\n{}{errors}", plain(&said)), @r#"
    1
    prod-db (postgres): 1 with our mark on the server, 1 to end here
      cs_abcdefgh_1 (for prod-db) was due THEN UTC: could not be ended: the role "cs_abcdefgh_1" can't log in and has no session and no rights of "app_rw" any more, but it can't be dropped: somebody granted it something by name; run as a superuser in "orders" `DROP OWNED BY "cs_abcdefgh_1";`
    prod-host (ssh): what it gives out ends by itself; nothing to sweep
    prod-db (postgres): cs_abcdefgh_1 could not be ended: the role "cs_abcdefgh_1" can't log in and has no session and no rights of "app_rw" any more, but it can't be dropped: somebody granted it something by name; run as a superuser in "orders" `DROP OWNED BY "cs_abcdefgh_1";`
    overdue and not ended: 1; targets that could not be asked: 0
    "#);
    assert!(session.last_words().contains("terminating connection"), "what could be done was done");

    let port = scene.server.port.to_string();
    scene.server.crash();
    let (code, said, errors) = scene.sweep(&[]);
    is!(format!("{code}\n{said}{errors}").replace(&port, "PORT"), @"
    1
    prod-db (postgres): can't be asked: PostgreSQL at 127.0.0.1:PORT/orders: can't be reached: Connection refused (os error 111)
    prod-host (ssh): what it gives out ends by itself; nothing to sweep
    prod-db (postgres) can't be asked: PostgreSQL at 127.0.0.1:PORT/orders: can't be reached: Connection refused (os error 111)
    overdue and not ended: 0; targets that could not be asked: 1
    ");
    let (code, said, _) = scene.sweep(&["--json", "--dry-run"]);
    assert_eq!(code, 1);
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(told["targets"][0]["error"].as_str().unwrap().contains("can't be reached"), "{told}");

    // Without its secret it says which.
    let config = scene.config.path().to_string_lossy();
    let (code, said, _) = countersign_with(&["sweep", "--config", &config], &[]);
    assert_eq!(code, 1);
    assert!(said.contains("the environment variable `URL` is not set"), "{said}");
    assert_eq!(scene.sweep(&["--log-tag", "no tag"]).0, 2);
}
