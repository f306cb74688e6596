//! `sweep` on `MariaDB` and Redis: what is overdue ends by its own mark, with no ledger and no service.

use countersign::provider::Order;
use insta::assert_snapshot as is;
use serde_json::{Value, json};

use crate::support::{
    demo::countersign_with,
    door::{Place, ending_in, now, order, part},
    mariadb,
    process::until,
    redis,
};

fn config(resources: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let table = |(name, provider, own): &(&str, &str, &str)| {
        format!(
            "[[resource]]\nname = \"{name}\"\nprovider = \"{provider}\"\napprovers = [\"person:ben\"]\nmax_duration = \"1h\"\n\
             [resource.{provider}]\n{own}\n"
        )
    };
    for (file, text) in [
        (
            "countersign.toml",
            "[ledger]\npath = \"/nonexistent/ledger\"\norigin = \"log.example/test\"\n[playground]\nchannel = \"x\"\n"
                .to_owned(),
        ),
        ("people.toml", "[[person]]\nname = \"ana\"\n[[person]]\nname = \"ben\"\n".to_owned()),
        ("policy.cedar", String::new()),
        ("resources.toml", resources.iter().map(table).collect::<Vec<_>>().concat()),
    ] {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    dir
}

#[tokio::test]
async fn what_is_overdue_on_both_is_ended_and_nothing_else() {
    let (database, cache) = (mariadb::Server::start(), redis::Server::start());
    let urls = [("DB", database.bot_url()), ("CACHE", cache.bot_url())];
    let env: Vec<(&str, &str)> = urls.iter().map(|(name, url)| (*name, url.as_str())).collect();
    let place = Place::new(&env);
    let config = config(&[
        ("prod-db", "mysql", "url_env = \"DB\"\nrole = \"app_rw\""),
        ("prod-cache", "redis", "url_env = \"CACHE\"\nrules = [\"+@read\", \"~app:*\"]"),
    ]);
    let (due, later) = (ending_in(&order("prod-db", 1), 2), order("prod-db", 2));
    let of = |order: &Order, resource: &str| Order { resource: resource.into(), ..order.clone() };
    let mut sessions = Vec::new();
    for (name, resource, settings) in [
        ("mysql", "prod-db", json!({ "url_env": "DB", "role": "app_rw" })),
        ("redis", "prod-cache", json!({ "url_env": "CACHE", "rules": ["+@read", "~app:*"] })),
        // One that is in no config any more.
        ("redis", "old-cache", json!({ "url_env": "CACHE", "rules": ["+@read"] })),
    ] {
        let provider = place.open(name, resource, &settings);
        let number = if resource == "old-cache" { 3 } else { 1 };
        let first = Order { external_id: format!("cs_abcdefgh_{number}"), request: number, ..of(&due, resource) };
        provider.grant(&first).await.unwrap();
        let line = part(&provider.credential(&first, 1).await.unwrap(), "run this");
        if name == "mysql" {
            sessions.push(mariadb::Live::open(&line));
        }
        if resource != "old-cache" {
            provider.grant(&of(&later, resource)).await.unwrap();
        }
    }
    // The second lock is off, so that the sweep is the only one.
    database.sql("SET GLOBAL event_scheduler = OFF");
    cache.ask("ACL SETUSER cs_abcdefgh_77 on nopass");
    until("the end", || now() > due.not_after);
    let sweep = |more: &[&str]| {
        let path = config.path().to_string_lossy();
        countersign_with(&[&["sweep", "--config", &path][..], more].concat(), &env)
    };
    let plain = |text: &str| text.replace(&due.not_after.format("%Y-%m-%d %H:%M:%S").to_string(), "THEN");
    let (code, said, errors) = sweep(&["--dry-run"]);
    is!(format!("{code}\n{}{errors}", plain(&said)), @"
    0
    prod-db (mysql): 2 with our mark on the server, 1 to end here
      cs_abcdefgh_1 (for prod-db) was due THEN UTC: would be ended
    prod-cache (redis): 3 with our mark on the server, 2 to end here
      cs_abcdefgh_1 (for prod-cache) was due THEN UTC: would be ended
      cs_abcdefgh_3 (for old-cache) was due THEN UTC: would be ended
      cs_abcdefgh_77 has a name like ours and no mark of ours: it is left alone; look where it comes from
    ");
    assert_eq!(sessions[0].ask("SELECT 'here'"), "here");
    let (code, said, errors) = sweep(&["--json"]);
    assert_eq!(code, 0, "{errors}");
    let told: Value = serde_json::from_str(&said).unwrap();
    let ended = |target: usize| -> Vec<&str> {
        let overdue = told["targets"][target]["overdue"].as_array().unwrap();
        overdue.iter().map(|object| object["outcome"].as_str().unwrap()).collect()
    };
    assert_eq!((ended(0), ended(1)), (vec!["ended"], vec!["ended"; 2]));
    assert_eq!(sessions[0].ask("SELECT 'here'"), "", "the session was cut");
    assert_eq!(database.left(), "cs_abcdefgh_2 event:cs_abcdefgh_2");
    let users = cache.ask("ACL USERS");
    assert!(!users.contains("cs_abcdefgh_1") && !users.contains("cs_abcdefgh_3") && users.contains("cs_abcdefgh_2"));
    let (code, said, _) = sweep(&[]);
    assert_eq!((code, said.matches("0 to end here").count()), (0, 2), "{said}");
}
