//! A plugin in the true binary: asked for, approved, shown, ended on time, and the binary killed in the middle of it.

use std::{fs, path::Path};

use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{
    demo::{self, Demo, assert_verifies, countersign},
    plugins::{PASSWORD_FILE, pin, script},
    process::until,
};

/// A word that nobody may say.
const SECRET: &str = "hunter2-hunter2";

/// Puts a resource with a plugin into the demo's config, and has it loaded.
fn add_resource(dir: &Path, (name, timeout_secs): (&str, u8), plugin: &Path, users: &Path) {
    let file = dir.join("bot-config/resources.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (plugin, users, hash) = (plugin.display(), users.display(), pin(plugin));
    let resource = format!(
        "[[resource]]\nname = \"{name}\"\nprovider = \"exec\"\napprovers = [\"group:sre\"]\nmax_duration = \"1h\"\n\
         [resource.exec]\ncommand = [\"{plugin}\"]\nsha256 = \"{hash}\"\ntimeout_secs = {timeout_secs}\n\
         settings = {{ file = \"{users}\" }}\nsecrets = {{ token = {{ env = \"APP_TOKEN\" }} }}\n"
    );
    fs::write(file, text + "\n" + &resource).unwrap();
    let config = dir.join("bot-config").to_string_lossy().into_owned();
    let (code, said, errors) = countersign(&["reload", "--config", &config]);
    assert_eq!(code, 0, "{said}{errors}");
}

fn logins(users: &Path) -> Vec<Value> {
    let text = fs::read_to_string(users).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_plugin_is_asked_for_approved_shown_and_ended_on_time() {
    let dir = demo::folder();
    let users = dir.path().join("users");
    let demo = Demo::start_with(dir.path(), &[("APP_TOKEN", SECRET)]);
    add_resource(dir.path(), ("app-login", 20), Path::new(PASSWORD_FILE), &users);
    // What it does is known once it was asked, which the sweep does at every start.
    demo.says("ana", "app-login 12s first to be known").await;
    let id = demo.newest_request();
    assert!(demo.presses("cleo", "approve", id).await.tone == "done");
    demo.until("grant.issued", id);
    assert_eq!(logins(&users).len(), 1);
    let shown = demo.presses("ana", "show", id).await;
    let password = shown.part("password").to_owned();
    let login = logins(&users).remove(0);
    assert_eq!(login["external_id"], shown.part("user"));
    assert_eq!((&login["holder"], &login["resource"]), (&json!("ana"), &json!("app-login")));
    assert_eq!(login["sha256"], hex::encode(Sha256::digest(&password)));
    // A second one voids the first.
    let again = demo.presses("ana", "show", id).await;
    assert_ne!(again.part("password"), password);
    assert_eq!(logins(&users)[0]["sha256"], hex::encode(Sha256::digest(again.part("password"))));

    // The next card says what will be done.
    demo.says("ana", "app-login 10m what is on the card").await;
    let card = demo.get("/as/ben/c/approvals").await;
    assert!(card.contains("with a password of its own") && card.contains("no second lock"), "{card}");

    demo.until("grant.ended", id);
    assert_eq!(logins(&users), Vec::<Value>::new(), "it is gone");
    let ended = demo.entries().into_iter().rfind(|entry| entry["kind"] == "grant.ended").unwrap();
    assert_eq!(ended["body"]["cause"], "expired");
    let ledger = demo.ledger();
    let logged = demo.logged() + &demo.printed();
    demo.stop();
    assert_verifies(&ledger);
    for text in [logged, everything(&ledger)] {
        for secret in [SECRET, &password, again.part("password")] {
            assert!(!text.contains(secret), "a secret is written down");
        }
    }
}

/// All files under a folder, as one text.
fn everything(dir: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&everything(&path));
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
    text
}

/// The plugin has opened the door and not answered when the binary is killed: the next start knows that something may be
/// there, does it again, and it is shut at its end though its resource is in no config any more.
#[tokio::test]
async fn the_binary_is_killed_in_the_middle_of_a_grant() {
    let dir = demo::folder();
    let elsewhere = tempfile::tempdir().unwrap();
    let (users, marker) = (dir.path().join("users"), dir.path().join("marker"));
    let plugin = script(
        elsewhere.path(),
        "slow-once",
        &format!(
            "#!/bin/sh\nrequest=$(cat)\nanswer=$(printf '%s\\n' \"$request\" | {PASSWORD_FILE:?})\n\
             case $request in *'\"verb\":\"grant\"'*)\n\
             [ -e {marker:?} ] || {{ echo $$ >{marker:?}; sleep 600; }} ;;\nesac\nprintf '%s\\n' \"$answer\"\n"
        ),
    );
    let env = [("APP_TOKEN", SECRET)];
    let demo = Demo::start_with(dir.path(), &env);
    add_resource(dir.path(), ("app-login", 20), &plugin, &users);
    demo.says("ana", "app-login 15s to be interrupted").await;
    let id = demo.newest_request();
    demo.presses("cleo", "approve", id).await;
    until("the plugin is at it", || fs::read_to_string(&marker).is_ok_and(|pid| pid.ends_with('\n')));
    assert_eq!(logins(&users).len(), 1, "the door is open, and nobody has said so");
    demo.kill();
    // Nobody is left to end the plugin, as when a machine loses its service; the test does.
    let pid: u32 = fs::read_to_string(&marker).unwrap().trim().parse().unwrap();
    demo::signal(pid, Signal::KILL);

    let demo = Demo::start_with(dir.path(), &env);
    assert!(!fs::read_to_string(dir.path().join("bot-config/resources.toml")).unwrap().contains("app-login"));
    demo.until("grant.issued", id);
    assert_eq!(logins(&users).len(), 1, "done again is done once");
    demo.until("grant.ended", id);
    assert_eq!(logins(&users), Vec::<Value>::new());
    let ledger = demo.ledger();
    demo.stop();
    assert_verifies(&ledger);
}

/// Whatever the plugin does, its card says so in words, and nothing half-made is left.
#[tokio::test]
async fn a_plugin_that_misbehaves_leaves_a_clear_state() {
    let dir = demo::folder();
    let users = dir.path().join("users");
    let demo = Demo::start_with(dir.path(), &[("APP_TOKEN", SECRET)]);
    for (number, (deed, words)) in [
        ("sleep 600 & sleep 600", "it did not answer within 2 s"),
        ("head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero", "it answered more than 1048576 bytes"),
        ("printf '%s\\n' \"$answer\"", "it answered twice"),
        ("answer=\"SECRET $answer\"; echo 'I know SECRET' >&2; sleep 600 &", "its answer is not one JSON object"),
        ("echo 'the key is SECRET' >&2; exit 1", "it failed (exit status: 1); beside it: the key is [secret]"),
    ]
    .into_iter()
    .enumerate()
    {
        // It opens the door, and then does something that leaves nothing to believe.
        let name = format!("app-{number}");
        let plugin = script(
            dir.path(),
            &name,
            &format!(
                "#!/bin/sh\nrequest=$(cat)\nanswer=$(printf '%s\\n' \"$request\" | {PASSWORD_FILE:?})\n\
                 case $request in *'\"verb\":\"grant\"'*) {} ;; esac\nprintf '%s\\n' \"$answer\"\n",
                deed.replace("SECRET", SECRET)
            ),
        );
        add_resource(dir.path(), (&name, 2), &plugin, &users);
        demo.says("ana", &format!("{name} 10m to be misbehaved at")).await;
        let id = demo.newest_request();
        demo.presses("cleo", "approve", id).await;
        demo.until("grant.ending", id);
        let ending = demo.entries().into_iter().rfind(|entry| entry["kind"] == "grant.ending").unwrap();
        assert_eq!(ending["body"]["cause"], "unknown", "{ending}");
        demo.until("grant.ended", id);
        assert_eq!(logins(&users), Vec::<Value>::new(), "{deed}: nothing is left");
        let page = demo.get("/as/ana/c/approvals").await;
        assert!(page.contains(words) && !page.contains(SECRET), "{deed}: {page}");
    }
    assert!(!demo.logged().contains(SECRET), "{}", demo.logged());
    let ledger = demo.ledger();
    demo.stop();
    assert!(!everything(&ledger).contains(SECRET));
    assert_verifies(&ledger);
}
