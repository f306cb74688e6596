//! `redis`: grants on a real server, with a bot of few rights and the ordinary client.

use std::sync::Arc;

use chrono::TimeDelta;
use countersign::provider::{
    self, Credential, Item, NativeExpiry, Order, Provider, ProviderError, SessionEnd, Surroundings,
};
use serde_json::{Value, json};

use crate::support::{
    certs,
    door::{Place, TAG, ending_in, map, now, order, part},
    redis::{Live, Server, client},
};

/// A server and a provider for it.
struct Scene {
    server: Server,
    place: Place,
    provider: Arc<dyn Provider>,
}

impl Scene {
    fn new() -> Self {
        Self::on(Server::start(), &json!({ "url_env": "URL", "rules": ["+@read", "+ping", "~app:*"] }))
    }

    fn on(server: Server, settings: &Value) -> Self {
        let place = Place::new(&[("URL", &server.bot_url())]);
        let provider = place.open("redis", "prod-cache", settings);
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
    let order = order("prod-cache", 4821);
    scene.provider.grant(&order).await.unwrap();
    let id = &order.external_id;
    // Nobody has a key before one is taken.
    for word in ["''", "x", id] {
        let bare = format!("redis-cli -p {} --user {id} --pass {word}", scene.server.port);
        assert!(client(&bare, "PING").is_err(), "{word}");
    }
    let credential = scene.provider.credential(&order, 1).await.unwrap();
    assert_eq!(client(&line(&credential), "GET app:1").unwrap(), "cogwheel");
    // What the rules don't give, the holder may not, our mark's key included.
    for words in ["GET other:1", "SET app:1 x", "ACL LIST", "CONFIG GET aclfile", "GET countersign:1:prod-cache"] {
        assert!(client(&line(&credential), words).unwrap_err().contains("NOPERM"), "{words}");
    }
    let url = part(&credential, "URL");
    assert_eq!(client(&format!("redis-cli -u {url}"), "GET app:1").unwrap(), "cogwheel");
    let exports = part(&credential, "shell");
    let by_exports = format!(
        "{exports}\nREDISCLI_AUTH=$REDIS_PASSWORD redis-cli -h $REDIS_HOST -p $REDIS_PORT --user $REDIS_USERNAME"
    );
    assert_eq!(client(&by_exports, "GET app:1").unwrap(), "cogwheel");

    let mut live = Live::open(&line(&credential));
    assert_eq!(live.ask("GET app:1"), "cogwheel");
    let mut other = Live::open(&format!("REDISCLI_AUTH=adminpw redis-cli -p {} --user admin", scene.server.port));
    assert_eq!(other.ask("PING"), "PONG");
    scene.provider.revoke(&order).await.unwrap();
    assert!(!scene.server.ask("CLIENT LIST").contains(id.as_str()), "the session was cut");
    let said = live.last_words("GET app:1");
    assert!(!said.contains("cogwheel"), "{said}");
    assert_eq!(other.ask("PING"), "PONG");
    assert!(client(&line(&credential), "GET app:1").is_err());
    assert_eq!(scene.server.left(), "");
}

#[tokio::test]
async fn it_says_what_it_can() {
    let scene = Scene::new();
    let can = scene.provider.describe();
    assert_eq!((can.native_expiry, can.ends_sessions), (NativeExpiry::None, SessionEnd::Yes));
    assert!(can.lists && !can.shared);
    assert_eq!(
        scene.provider.plan(),
        [
            "create a user for this grant alone, which may do +@read +ping ~app:*",
            "when the time is up its sessions are cut and it is deleted",
            "no second lock: the server knows no end, it is closed by us alone",
        ]
    );
}

/// A server with a file of users starts with those in it, and anybody's `ACL SAVE` puts ours there.
#[tokio::test]
async fn a_user_that_was_revoked_does_not_come_back() {
    let mut scene = Scene::new();
    let (first, second) = (order("prod-cache", 1), order("prod-cache", 2));
    let credential = scene.granted(&first).await;
    assert!(!scene.server.saved().contains("cs_"), "nothing is saved while it is made");
    scene.provider.grant(&second).await.unwrap();
    assert_eq!(scene.server.ask("ACL SAVE"), "OK");
    assert!(scene.server.saved().contains(&first.external_id), "somebody has saved it");
    scene.provider.revoke(&first).await.unwrap();
    scene.server.crash();
    scene.server.resume();
    assert_eq!(scene.ids().await, std::slice::from_ref(&second.external_id), "the other one lives on");
    assert!(client(&line(&credential), "GET app:1").is_err());
    // Killed between deleting and saving: it is gone from the server and in the file, and the next try ends it.
    scene.server.ask(&format!("ACL DELUSER {}", second.external_id));
    assert!(scene.server.saved().contains(&second.external_id));
    scene.provider.revoke(&second).await.unwrap();
    scene.server.crash();
    scene.server.resume();
    assert_eq!(scene.server.left(), "");
    // One that was saved by somebody and lost by a crash of theirs comes back and is found by its mark.
    let third = ending_in(&order("prod-cache", 3), 600);
    scene.provider.grant(&third).await.unwrap();
    scene.server.ask("ACL SAVE");
    scene.server.crash();
    scene.server.resume();
    let found = Item { external_id: third.external_id.clone(), not_after: Some(third.not_after) };
    assert_eq!(scene.provider.list(TAG).await.unwrap(), [found]);
    scene.provider.revoke(&third).await.unwrap();
    assert_eq!(scene.server.left(), "");
}

#[tokio::test]
async fn a_server_without_a_file_is_ended_on_too() {
    let server = Server::start_plain();
    let scene = Scene::on(server, &json!({ "url_env": "URL", "rules": ["+@all", "~*", "&*"] }));
    let order = order("prod-cache", 1);
    let credential = scene.granted(&order).await;
    assert_eq!(client(&line(&credential), "SET app:2 x").unwrap(), "OK");
    // All commands, but for those by which one could outlive one's end.
    for words in
        ["ACL SETUSER me on nopass +@all ~*", "CONFIG SET requirepass x", "REPLICAOF 127.0.0.1 1", "MODULE LIST"]
    {
        assert!(client(&line(&credential), words).unwrap_err().contains("NOPERM"), "{words}");
    }
    scene.provider.revoke(&order).await.unwrap();
    assert!(!scene.server.ask("ACL LIST").contains("cs_"));
}

#[tokio::test]
async fn check_prints_exactly_what_lacks() {
    let scene = Scene::new();
    let lacking = async || scene.provider.check().await.unwrap();
    assert_eq!(lacking().await, Vec::<String>::new());
    scene.server.ask("ACL SETUSER csbot '-acl|setuser' '-acl|save' '-client|kill'");
    let words = "our login may not do all that is needed: run as an admin `ACL SETUSER csbot +acl|setuser +acl|save \
                 +client|kill`";
    assert_eq!(lacking().await, [words]);
    let refused = scene.provider.grant(&order("prod-cache", 1)).await.unwrap_err();
    assert_eq!(refused, ProviderError::Permanent(words.into()));
    assert_eq!(scene.server.left(), "");
    // What is printed is what helps.
    scene.server.ask("ACL SETUSER csbot +acl\\|setuser +acl\\|save +client\\|kill");
    assert_eq!(lacking().await, Vec::<String>::new());
    scene.server.ask("ACL SETUSER csbot -@all");
    let found = lacking().await.join("; ");
    assert!(
        found.contains("+acl|whoami +acl|dryrun +info +acl|setuser +acl|deluser +acl|users +acl|getuser +acl|save"),
        "{found}"
    );
    scene.server.ask("ACL SETUSER csbot +@all");

    // A rule that the server doesn't know: said, and nothing is left.
    let settings = json!({ "url_env": "URL", "rules": ["+nosuchcommand", "~app:*"] });
    let provider = scene.place.open("redis", "prod-cache", &settings);
    let refused = provider.grant(&order("prod-cache", 1)).await.unwrap_err();
    assert!(matches!(&refused, ProviderError::Permanent(words) if words.contains("'+nosuchcommand'")), "{refused:?}");
    assert_eq!(scene.server.left(), "");
}

#[tokio::test]
async fn a_wrong_clock_is_found() {
    let server = Server::start();
    let place = Place::new(&[("URL", &server.bot_url())]);
    for (shift, words) in [(-300, "s ahead of ours: set it by NTP"), (300, "s behind ours: set it by NTP")] {
        let surroundings =
            Surroundings { now: Arc::new(move || now() + TimeDelta::seconds(shift)), ..place.surroundings() };
        let settings = map(&json!({ "url_env": "URL", "rules": ["+@read", "~*"] }));
        let provider = provider::open("redis", "prod-cache", &settings, &surroundings).unwrap();
        let found = provider.check().await.unwrap().join("; ");
        assert!(found.starts_with("the server's clock is ") && found.contains(words), "{found}");
    }
}

#[tokio::test]
async fn nothing_secret_is_kept_or_said() {
    let scene = Scene::new();
    let order = order("prod-cache", 1);
    let credential = scene.granted(&order).await;
    let password = line(&credential).split(['=', ' ']).nth(1).unwrap().to_owned();
    assert!(password.len() >= 32 && password.bytes().all(|b| b.is_ascii_alphanumeric()), "{}", password.len());
    scene.server.ask("ACL SAVE");
    assert!(!scene.server.saved().contains(&password) && !scene.server.ask("ACL LIST").contains(&password));
    for (url, words) in [
        ("redis://csbot:s3cret-wrong@127.0.0.1:{port}/0", "the login was refused"),
        ("redis://csbot:s3cret@127.0.0.1:not-a-port/0", "is not a URL that can be read"),
        ("s3cret", "is not a URL that can be read"),
        ("rediss://csbot:s3cret@127.0.0.1:{port}/0#insecure", "says not to verify the server"),
        ("redis://csbot:s3cret@127.0.0.1:1/0", "can't be reached"),
    ] {
        let place = Place::new(&[("URL", &url.replace("{port}", &scene.server.port.to_string()))]);
        let provider = place.open("redis", "prod-cache", &json!({ "url_env": "URL", "rules": ["+@read"] }));
        let told = provider.check().await.map_or_else(|e| e.to_string(), |lacking| lacking.join("; "));
        let refused = provider.revoke(&order).await.unwrap_err().to_string();
        assert!(told.contains(words) && refused.contains(words), "{told} / {refused}");
        assert!(!told.contains("s3cret") && !refused.contains("s3cret"), "{told} / {refused}");
    }
}

#[tokio::test]
async fn a_server_that_crashes_in_between_is_waited_for() {
    let mut scene = Scene::new();
    let order = order("prod-cache", 1);
    scene.granted(&order).await;
    scene.server.crash();
    for refused in [
        scene.provider.revoke(&order).await.unwrap_err(),
        scene.provider.grant(&order).await.unwrap_err(),
        scene.provider.list(TAG).await.unwrap_err(),
    ] {
        assert!(matches!(refused, ProviderError::Retry(_)), "{refused:?}");
    }
    scene.server.resume();
    assert_eq!(scene.ids().await, Vec::<String>::new(), "a server that forgot is believed");
    // It is opened again, as the engine does when it finds it missing and is told to.
    let credential = scene.granted(&order).await;
    assert_eq!(client(&line(&credential), "PING").unwrap(), "PONG");
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.server.left(), "");
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let scene = Scene::new();
    let ours = order("prod-cache", 1);
    scene.provider.grant(&ours).await.unwrap();
    let theirs = Order { external_id: "cs_abcdefgi_1".into(), ..ours.clone() };
    scene.provider.grant(&theirs).await.unwrap();
    let foreign = order("prod-cache", 2);
    scene.server.ask(&format!("ACL SETUSER {} on nopass", foreign.external_id));
    for refused in [scene.provider.grant(&foreign).await, scene.provider.revoke(&foreign).await] {
        assert!(
            matches!(&refused, Err(ProviderError::Permanent(words)) if words.contains("doesn't bear our mark")),
            "{refused:?}"
        );
    }
    assert_eq!(scene.ids().await, std::slice::from_ref(&ours.external_id));
    let other = scene.place.open("redis", "stage-cache", &json!({ "url_env": "URL", "rules": ["+@read"] }));
    assert_eq!(other.list(TAG).await.unwrap(), []);
    let marks = other.marked().await.unwrap().unwrap();
    assert_eq!(marks.unmarked, std::slice::from_ref(&foreign.external_id));
    assert_eq!(marks.items.len(), 2, "of every log and every resource");
    assert!(marks.items.iter().all(|item| item.resource == "prod-cache" && item.not_after.timestamp() > 0));
    // One whose mark somebody took away is known by our note.
    scene.server.ask(&format!("ACL SETUSER {} clearselectors", ours.external_id));
    assert_eq!(
        scene.provider.list(TAG).await.unwrap(),
        [Item { external_id: ours.external_id.clone(), not_after: None }]
    );
    scene.provider.revoke(&ours).await.unwrap();
    other.revoke(&theirs).await.unwrap();
    let left = scene.server.left();
    assert!(!left.contains("abcdefgi") && !left.contains("abcdefgh_1") && left.contains("abcdefgh_2"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_neither_mix_nor_leak() {
    let scene = Scene::new();
    let tasks = (0..30).map(|number| {
        let provider = Arc::clone(&scene.provider);
        tokio::spawn(async move {
            let order = order("prod-cache", number);
            provider.grant(&order).await.unwrap();
            (provider.credential(&order, 1).await.unwrap(), order)
        })
    });
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.push(task.await.unwrap());
    }
    assert!(all.iter().all(|(credential, _)| client(&line(credential), "GET app:1").unwrap() == "cogwheel"));
    assert_eq!(scene.ids().await.len(), 30);
    let ends = all.iter().map(|(_, order)| {
        let (provider, order) = (Arc::clone(&scene.provider), order.clone());
        tokio::spawn(async move { provider.revoke(&order).await })
    });
    for end in ends.collect::<Vec<_>>() {
        end.await.unwrap().unwrap();
    }
    assert_eq!(scene.server.left(), "");
}

/// The list and the grant look for ours among very many. `ACL SAVE` takes the server a tenth of a millisecond a user.
#[tokio::test]
async fn twenty_thousand_users_are_no_trouble() {
    let others: Vec<String> =
        (0..20_000).map(|number| format!("user somebody{number} on -@all +@read ~app:*\n")).collect();
    let others = others.concat();
    let scene = Scene::on(Server::start_among(&others), &json!({ "url_env": "URL", "rules": ["+@read", "~app:*"] }));
    let order = order("prod-cache", 1);
    let credential = scene.granted(&order).await;
    assert_eq!(client(&line(&credential), "GET app:1").unwrap(), "cogwheel");
    assert_eq!(scene.ids().await, std::slice::from_ref(&order.external_id));
    scene.provider.revoke(&order).await.unwrap();
    assert_eq!(scene.server.left(), "");
}

#[tokio::test]
async fn tls_is_verified_or_there_is_no_connection() {
    let keys = tempfile::tempdir().unwrap();
    certs::make(keys.path());
    let file = |name: &str| keys.path().join(name).display().to_string();
    let tls_port = crate::support::process::free_port();
    let server = Server::start_with(&[
        "--tls-port",
        &tls_port.to_string(),
        "--tls-cert-file",
        &file("server.crt"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("ca.crt"),
        "--tls-auth-clients",
        "no",
    ]);
    let url = |host: &str, port: u16| format!("rediss://csbot:botpw@{host}:{port}/0");
    let place = Place::new(&[
        ("URL", &url("127.0.0.1", tls_port)),
        ("ELSEWHERE", &url("localhost", tls_port)),
        ("PLAIN", &url("127.0.0.1", server.port)),
    ]);
    let open = |url: &str, ca: Option<&str>| {
        let mut settings = json!({ "url_env": url, "rules": ["+@read", "~app:*"] });
        if let Some(ca) = ca {
            settings["ca_file"] = json!(file(ca));
        }
        place.open("redis", "prod-cache", &settings)
    };
    let order = order("prod-cache", 1);
    let provider = open("URL", Some("ca.crt"));
    provider.grant(&order).await.unwrap();
    let credential = provider.credential(&order, 1).await.unwrap();
    assert!(line(&credential).ends_with(" --tls") && part(&credential, "URL").starts_with("rediss://"));
    let pasted = format!("{} --cacert {}", line(&credential), file("ca.crt"));
    assert_eq!(client(&pasted, "GET app:1").unwrap(), "cogwheel");
    provider.revoke(&order).await.unwrap();
    for (url, ca) in
        [("URL", None), ("URL", Some("other.crt")), ("ELSEWHERE", Some("ca.crt")), ("PLAIN", Some("ca.crt"))]
    {
        let refused = open(url, ca).grant(&order).await.unwrap_err();
        assert!(matches!(&refused, ProviderError::Retry(_)), "{url} {ca:?}: {refused:?}");
        assert!(url == "PLAIN" || refused.to_string().contains("certificate"), "{refused}");
    }
    let refused = open("URL", Some("server.key")).grant(&order).await.unwrap_err();
    assert!(refused.to_string().contains("no certificates in PEM"), "{refused}");
    assert_eq!(server.left(), "");
}
