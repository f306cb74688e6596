//! Settings: every mistake at once, and never a secret said back.

use countersign::provider::{self, ProviderError};
use serde_json::{Value, json};

use crate::support::door::{Place, map};

/// Problems, a line each.
fn told(name: &str, settings: &Value) -> Vec<String> {
    provider::check_settings(name, &map(settings))
        .into_iter()
        .map(|p| format!("{}: {} ({})", p.key.unwrap_or_else(|| "-".into()), p.words, p.hint.unwrap_or_default()))
        .collect()
}

#[test]
fn good_settings_have_no_problems() {
    for (name, settings) in [
        ("postgres", json!({ "url_env": "PROD_DB_URL", "role": "app_rw" })),
        ("postgres", json!({ "url_file": "/run/secrets/prod-db", "role": "app_rw" })),
        (
            "postgres",
            json!({
                "url_env": "PROD_DB_URL", "role": "App \"RW\"", "connection_limit": 1, "host": "db.example.com", "port": 5433,
                "database": "orders", "ca_file": "/etc/ssl/rds.pem",
            }),
        ),
        (
            "postgres",
            json!({
                "url_env": "X", "creation_statements": ["CREATE ROLE \"{{name}}\" PASSWORD '{{password}}';\nGRANT a TO {{name}}"],
                "revocation_statements": ["REVOKE a FROM \"{{name}}\" -- {{expiration}}"],
            }),
        ),
        ("mysql", json!({ "url_env": "X", "role": "app_rw" })),
        (
            "mysql",
            json!({
                "url_file": "/run/x", "creation_statements": ["CREATE USER '{{name}}'@'10.%'"], "user_host": "10.%",
                "schema": "ops", "connection_limit": 9, "host": "db.example.com", "port": 3307, "database": "orders",
                "ca_file": "/etc/ssl/rds.pem",
            }),
        ),
        ("redis", json!({ "url_env": "X", "rules": ["+@read", "-keys", "~app:*", "%R~news", "&news:*"] })),
        (
            "redis",
            json!({ "url_file": "/run/x", "rules": ["allkeys", "+@all"], "database": 3, "host": "h", "port": 1 }),
        ),
        ("token", json!({ "rotate_days": 30 })),
        ("ssh", json!({})),
        (
            "ssh",
            json!({
                "principals": ["deploy", "ops@example.com"], "ca_key_file": "/run/secrets/ca", "host": "2001:db8::1",
                "source_addresses": ["192.0.2.0/24", "2001:db8::/32", "192.0.2.7"], "user": "deploy", "port": 22, "force_end": false,
            }),
        ),
        ("token", json!({})),
        (
            "token",
            json!({ "issuer": "https://access.example.com", "audience": "billing", "key_file": "/run/secrets/k" }),
        ),
    ] {
        assert_eq!(told(name, &settings), Vec::<String>::new(), "{name}: {settings}");
        let place = Place::new(&[]);
        assert!(provider::open(name, "prod", &map(&settings), &place.surroundings()).is_ok());
        assert_eq!(place.dir.path().read_dir().unwrap().count(), 0, "opening touches nothing");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    assert_eq!(
        told(
            "postgres",
            &json!({ "url_env": "postgres://bot:hunter2@db/x", "rol": "app_rw", "connection_limit": 0, "port": "5432" })
        ),
        [
            "url_env: is not the name of an environment variable (put the secret into the environment and its name here, \
             for example `url_env = \"PROD_DB_URL\"`)",
            "role: is missing (add it, for example `role = \"app_rw\"`)",
            "connection_limit: is out of range (choose a number from 1 to 100)",
            "port: is a text (it must be a whole number)",
            "rol: is not a setting of this provider (did you mean `role`?)",
        ]
    );
    assert_eq!(
        told(
            "ssh",
            &json!({
                "principals": ["-oProxyCommand=x"], "source_addresses": ["192.0.2.0/33"], "host": "-oProxyCommand=reboot",
                "user": "a b", "port": 65536, "force_end": "yes", "ca_key_file": "-----BEGIN OPENSSH PRIVATE KEY-----", "zzz": 1,
            })
        ),
        [
            "principals: has a name that no account can have (use letters, digits, `.`, `_`, `@` and `-`)",
            "source_addresses: has an entry that is no address (write `192.0.2.0/24` or `2001:db8::1`)",
            "host: is not the name or address of a host (write `bastion.example.com`)",
            "user: is not a name that an account can have (use letters, digits, `.`, `_`, `@` and `-`)",
            "ca_key_file: holds a secret (secrets come from the environment or from files only; replace this one, it has \
             been in a file)",
            "force_end: is a text (it must be `true` or `false`)",
            "port: is out of range (choose a number from 1 to 65535)",
            "zzz: is not a setting of this provider (known are `principals`, `source_addresses`, `host`, `user`, \
             `ca_key_file`, `force_end`, `port`)",
        ]
    );
    assert_eq!(
        told("token", &json!({ "issuer": "", "audience": ["a"], "key_file": "a\nb" })),
        [
            "issuer: is empty (give it a value or leave the key out)",
            "audience: is a list (it must be a text)",
            "key_file: has a control character in it (remove it)",
        ]
    );
    assert_eq!(told("ssh", &json!({ "principals": [] })), ["principals: is empty (name one or leave the key out)"]);
}

#[test]
fn every_mistake_of_the_databases_is_told_at_once() {
    assert_eq!(
        told("postgres", &json!({ "url_env": "X", "creation_statements": ["CREATE ROLE x", "GRANT {{role}} TO y"] })),
        [
            "creation_statements: has a place `{{role}}` that nothing is known for (known are `{{name}}`, `{{password}}` and \
             `{{expiration}}`)",
            "creation_statements: never names whom it is about (put `{{name}}` where the name of the login belongs)",
        ]
    );
    assert_eq!(
        told(
            "mysql",
            &json!({ "url_env": "X", "user_host": "' OR 1", "connection_limit": 101, "role": "r".repeat(33) })
        ),
        [
            "user_host: is no host (write a name, an address or a pattern such as `10.0.%`)",
            "role: is longer than 32 bytes (the server has no longer names)",
            "connection_limit: is out of range (choose a number from 1 to 100)",
        ]
    );
    let wrong = told("redis", &json!({ "url_env": "X", "rules": ["nopass", "+acl|setuser"] }));
    assert_eq!(wrong.len(), 2);
    assert!(wrong[0].starts_with("rules: has an entry that is no rule of what may be done (write commands such as"));
    assert!(wrong[1].starts_with("rules: has an entry that would let a holder lift their own end (leave out `acl`"));
    assert_eq!(
        told("redis", &json!({ "url_env": "X" })),
        ["rules: is missing (add it, for example `rules = [\"+@read\", \"~app:*\"]`)"]
    );
    assert_eq!(
        told("token", &json!({ "key_file": "/run/k", "rotate_days": 30 })),
        ["rotate_days: stands beside `key_file` (a key of your own is replaced by you: put another in its file)"]
    );
}

#[test]
fn a_secret_is_seen_and_not_repeated() {
    for settings in [
        json!({ "url_env": "https://bot:hunter2@host/x", "role": "r" }),
        json!({ "url_env": "X", "role": "postgres://bot:hunter2@db/x" }),
        json!({ "url_env": "X", "role": "r", "host": "postgres://bot:hunter2@db" }),
    ] {
        let told = told("postgres", &settings);
        assert_eq!(told.len(), 1, "{told:?}");
        let refused = provider::open("postgres", "prod", &map(&settings), &Place::new(&[]).surroundings());
        let Err(refused) = refused else { panic!("it was opened") };
        assert!(!format!("{told:?} {refused:?}").contains("hunter2"), "{told:?} {refused:?}");
    }
    assert_eq!(told("token", &json!({ "issuer": "https://access.example.com:8443/a@b:c" })), Vec::<String>::new());
}

#[test]
fn unknown_providers_and_unfit_names_are_refused() {
    let open = |name: &str, resource: &str| match provider::open(
        name,
        resource,
        &map(&json!({})),
        &Place::new(&[]).surroundings(),
    ) {
        Err(ProviderError::Permanent(words)) => words,
        other => panic!("{:?}", other.err()),
    };
    assert_eq!(open("postgress", "prod"), "there is no provider `postgress`; did you mean `postgres`?");
    assert_eq!(
        open("oracle", "prod"),
        "there is no provider `oracle`; known are `exec`, `mysql`, `postgres`, `redis`, `ssh`, `token`, `webhook`"
    );
    assert_eq!(
        told("tokn", &json!({}))[0],
        "-: there is no provider `tokn`; did you mean `token`? (did you mean `token`?)"
    );
    for resource in ["", "..", ".hidden", "a/b", "../etc", "a b", "Zoë", &"x".repeat(65)] {
        assert!(open("ssh", resource).contains("can't name a folder"), "{resource}");
    }
    assert_eq!(provider::NAMES, ["exec", "mysql", "postgres", "redis", "ssh", "token", "webhook"]);
}

#[test]
fn a_url_has_one_place() {
    let both = told("postgres", &json!({ "url_env": "X", "url_file": "/run/x", "role": "r" }));
    assert_eq!(both, ["url_file: stands beside `url_env` (keep the one that holds the URL)"]);
}
