//! `exec`: a program that misbehaves in every way leaves a clear state, no process and no secret behind.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use countersign::provider::ProviderError;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    door::{Place, TAG, ending_in, map, order, part},
    plugins::{PASSWORD_FILE, SHELL, exec, pin, script},
    process::{run, until},
};

/// A word that nobody may say.
const SECRET: &str = "hunter2-\"hunter2\"";

/// A plugin that answers what `check`, `grant`, … do with this, and a place for it.
struct Scene {
    dir: TempDir,
    place: Place,
    settings: Value,
}

impl Scene {
    fn new(rest: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rest = rest.replace("DIR", &dir.path().to_string_lossy());
        let file = script(dir.path(), "plugin", &format!("{SHELL}{rest}\n"));
        let settings = exec(&file, &json!({ "timeout_secs": 1, "secrets": { "token": { "env": "TOKEN" } } }));
        Self { dir, place: Place::new(&[("TOKEN", SECRET), ("SEEN", "as it is")]), settings }
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.settings[key] = value;
        self
    }

    async fn grants(&self) -> Result<(), ProviderError> {
        self.place.open("exec", "app", &self.settings).grant(&order("app", 1)).await
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

/// What an unknown outcome is told with.
#[track_caller]
fn unknown(outcome: Result<(), ProviderError>) -> String {
    match outcome {
        Err(ProviderError::Unknown(words)) => {
            assert!(!words.contains("hunter2"), "{words}");
            words
        }
        other => panic!("{other:?}"),
    }
}

/// Whether a process is there that is no zombie.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

#[tokio::test]
async fn answers_that_are_none_leave_it_unknown() {
    for (answer, words) in [
        ("ok; ok", "it answered twice"),
        ("ok; echo and more", "it answered more than one line"),
        ("echo '{}' | tr -d '}'", "its answer is not one JSON object"),
        (":", "it answered nothing"),
        ("id=1; ok", "it answered another request than the one it was asked"),
        ("ok | sed s/v1/v2/", "its answer is of another version"),
        ("say '\"status\":\"done\"'", "its answer is not of this form (column 86)"),
        ("ok ',\"items\":[]'", "its answer to `grant` has a `items` that belongs elsewhere"),
        ("say '\"status\":\"error\"'", "its answer to `grant` has no `error`"),
        ("ok; exit 3", "it failed (exit status: 3)"),
        ("kill -9 $$", "it failed (signal: 9 (SIGKILL))"),
        ("head -c 3000000 /dev/zero", "it answered more than 1048576 bytes"),
    ] {
        let told = unknown(Scene::new(answer).grants().await);
        assert_eq!(told, format!("the plugin, asked to `grant`: {words}"), "{answer}");
    }
}

#[tokio::test]
async fn errors_keep_their_class_and_lose_their_secrets() {
    for class in ["retry", "permanent", "unknown"] {
        let message =
            format!("'\"status\":\"error\",\"error\":{{\"class\":\"{class}\",\"message\":\"no, MSG!\\u0007\"}}'");
        let scene = Scene::new(&format!("say {}", message.replace("MSG", &SECRET.replace('"', "\\\""))));
        let error = scene.grants().await.unwrap_err();
        let right = match &error {
            ProviderError::Retry(_) => "retry",
            ProviderError::Permanent(_) => "permanent",
            ProviderError::Unknown(_) => "unknown",
        };
        assert_eq!(right, class);
        assert_eq!(error.to_string(), "the plugin says to `grant`: no, [secret]!");
    }
}

#[tokio::test]
async fn a_secret_in_its_log_is_never_shown_in_any_form() {
    let python = format!(
        "#!/usr/bin/env python3\nimport base64, json, sys, urllib.parse\n\
         request = json.loads(sys.stdin.readline())\n\
         if request['verb'] in ('describe', 'plan'):\n\
         \x20   key = {{'describe': 'description', 'plan': 'plan'}}[request['verb']]\n\
         \x20   value = {{'describe': {{}}, 'plan': ['x']}}[request['verb']]\n\
         \x20   print(json.dumps({{'v': request['v'], 'id': request['id'], 'status': 'ok', key: value}}))\n\
         else:\n\
         \x20   token = request['secrets']['token']\n\
         \x20   forms = [token, json.dumps(token), base64.b64encode(token.encode()).decode(), token.encode().hex(), urllib.parse.quote(token)]\n\
         \x20   print('a', *forms, 'z', file=sys.stderr)\n\
         \x20   print('.' * {} + token, file=sys.stderr)\n\
         \x20   sys.exit(1)\n",
        8192 - 200
    );
    let scene = Scene::new("");
    let file = script(scene.dir.path(), "python", &python);
    let scene = scene.set("command", json!([file])).set("sha256", json!(pin(&file))).set("timeout_secs", json!(10));
    let told = unknown(scene.grants().await);
    for form in ["hunter", "aHVudGVy", "68756e746572", "%22"] {
        assert!(!told.contains(form), "{form}: {told}");
    }
    assert!(told.contains("it failed (exit status: 1); beside it: …"), "{told}");
}

#[tokio::test]
async fn a_flood_on_standard_error_stops_nobody() {
    Scene::new("head -c 5000000 /dev/zero >&2; ok").grants().await.unwrap();
    let told = unknown(Scene::new("head -c 5000000 /dev/zero | tr '\\0' x >&2; exit 1").grants().await);
    assert!(told.len() < 600, "{}", told.len());
}

#[tokio::test]
async fn at_the_deadline_the_group_is_told_to_end_and_then_ended() {
    let scene = Scene::new(
        "trap 'echo told >DIR/told' TERM; sh -c 'trap \"\" TERM; echo $$ >DIR/child; sleep 600' & echo $$ >DIR/pid; \
         wait; wait",
    );
    let told = unknown(scene.grants().await);
    assert_eq!(told, "the plugin, asked to `grant`: it did not answer within 1 s");
    assert_eq!(scene.read("told"), "told\n");
    for name in ["pid", "child"] {
        until(&format!("{name} is gone"), || !lives(&scene.read(name)));
    }
}

#[tokio::test]
async fn what_it_forked_ends_with_it() {
    // The child holds standard output open, which would make its reader wait for ever.
    let scene = Scene::new("sleep 600 & echo $! >DIR/child; ok");
    scene.grants().await.unwrap();
    until("it is gone", || !lives(&scene.read("child")));
    // One in a session of its own gets away, and holds nobody up.
    let scene =
        Scene::new("setsid sh -c 'echo $$ >DIR/child; exec sleep 600' & while [ ! -s DIR/child ]; do :; done; ok");
    scene.set("timeout_secs", json!(10)).grants().await.unwrap();
}

#[tokio::test]
async fn nobody_waiting_means_nobody_there() {
    let scene = Scene::new("echo $$ >DIR/pid; sleep 600").set("timeout_secs", json!(25));
    let provider = scene.place.open("exec", "app", &scene.settings);
    let call = tokio::spawn(async move { provider.grant(&order("app", 1)).await });
    let pid = scene.path("pid");
    tokio::task::spawn_blocking(move || {
        until("it runs", || fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')));
    })
    .await
    .unwrap();
    call.abort();
    let _ = call.await;
    until("it is gone", || !lives(&scene.read("pid")));
}

#[tokio::test]
async fn its_world_is_small() {
    let scene = Scene::new(
        "{ env; pwd; grep NoNewPrivs /proc/self/status; ulimit -c; ls -l /proc/self/fd; } >DIR/seen 2>&1; ok",
    );
    let scene = scene.set("env", json!(["SEEN", "NOT_THERE"]));
    scene.grants().await.unwrap();
    let seen = scene.read("seen");
    let mut names: Vec<&str> =
        seen.lines().filter(|line| !line.contains(' ')).filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["PATH", "PWD", "TMPDIR"], "{seen}");
    assert!(seen.contains("SEEN=as it is\n") && !seen.contains("hunter2"), "{seen}");
    let folder = seen.lines().find_map(|line| line.strip_prefix("TMPDIR=")).unwrap();
    assert!(seen.contains(&format!("\n{folder}\n")), "it runs in a folder of its own: {seen}");
    assert!(!Path::new(folder).exists(), "which is gone afterwards");
    assert!(seen.contains("NoNewPrivs:\t1"), "{seen}");
    // Nothing of ours is left open for it: it has what every child of this process has.
    let files = |seen: &str| seen.lines().filter(|line| line.contains(" -> ") && !line.contains(" 10 -> ")).count();
    let usual = run(Command::new("sh").args(["-c", "ls -l /proc/self/fd 2>&1"]));
    assert_eq!(files(&seen), files(&usual), "{seen}\n{usual}");

    let scene = Scene::new("grep NoNewPrivs /proc/self/status >DIR/seen; ok").set("new_privileges", json!(true));
    scene.grants().await.unwrap();
    assert_eq!(scene.read("seen"), "NoNewPrivs:\t0\n");
}

#[tokio::test]
async fn a_file_that_was_changed_is_not_started() {
    let scene = Scene::new("case $verb in list) ok ',\"items\":[]' ;; *) ok ;; esac");
    let provider = scene.place.open("exec", "app", &scene.settings);
    provider.grant(&order("app", 1)).await.unwrap();
    let file = script(scene.dir.path(), "plugin", &format!("{SHELL}touch {}; ok\n", scene.path("ran").display()));
    let Err(ProviderError::Permanent(words)) = provider.grant(&order("app", 2)).await else { panic!("it was started") };
    assert!(words.contains("is not the one that is pinned: it was not started"), "{words}");
    assert!(!scene.path("ran").exists());
    assert_eq!(provider.check().await.unwrap().len(), 1);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o757)).unwrap();
    assert!(provider.check().await.unwrap()[0].starts_with("everybody may write "));
    // What this very program has opened, it is still asked for, and shuts.
    assert_eq!(provider.list(TAG).await.unwrap(), []);
    provider.revoke(&order("app", 1)).await.unwrap();
    fs::remove_file(&file).unwrap();
    provider.revoke(&order("app", 1)).await.unwrap();
    let kept =
        scene.place.dir.path().join("app").join(format!("plugin-{}", scene.settings["sha256"].as_str().unwrap()));
    fs::write(&kept, "#!/bin/sh\ntouch ran\n").unwrap();
    for _ in 0..2 {
        let outcome = provider.revoke(&order("app", 1)).await;
        let Err(ProviderError::Permanent(words)) = outcome else { panic!("{outcome:?}") };
        assert!(words.contains("can't be read: entity not found"), "{words}");
        let _ = fs::remove_file(&kept);
    }
}

/// Whatever is put in the file's place while it runs, what runs on is what was hashed.
#[tokio::test]
async fn what_runs_is_what_was_hashed() {
    let scene = Scene::new("cp DIR/other DIR/plugin; . DIR/empty; echo the first >DIR/who; ok");
    script(scene.dir.path(), "other", "#!/bin/sh\necho the other >who\n");
    fs::write(scene.path("empty"), "").unwrap();
    scene.grants().await.unwrap();
    assert_eq!(scene.read("who"), "the first\n");
    // A program that is no script, too.
    let copy = scene.path("copy");
    fs::copy("/bin/cat", &copy).unwrap();
    let scene = scene.set("command", json!([copy])).set("sha256", json!(pin(&copy)));
    let outcome = scene.grants().await;
    let Err(ProviderError::Retry(words)) = outcome else { panic!("{outcome:?}") };
    assert!(
        words.contains("asked to `describe`: its answer is not of this form"),
        "it says back what it was asked: {words}"
    );
}

#[tokio::test]
async fn it_is_what_its_settings_say_or_grants_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = json!({ "file": dir.path().join("users") });
    let place = Place::new(&[]);
    let settings = exec(PASSWORD_FILE, &json!({ "settings": file, "description": { "native_expiry": "exact" } }));
    let provider = place.open("exec", "app", &settings);
    let words = "the plugin says other things of itself than the settings do; if that is right, take `description` out of \
                 `[resource.exec]`";
    assert_eq!(provider.check().await.unwrap(), [words]);
    let refused = provider.grant(&order("app", 1)).await;
    assert_eq!(refused, Err(ProviderError::Permanent(words.into())));
    // A door that was opened in other times is still found and shut.
    assert_eq!(provider.list(TAG).await.unwrap(), []);
    provider.revoke(&order("app", 1)).await.unwrap();

    let provider = place.open("exec", "app", &exec(PASSWORD_FILE, &json!({ "settings": file })));
    assert_eq!(provider.plan()[0], "the plugin has not said yet what it does");
    assert_eq!(provider.list(TAG).await.unwrap(), []);
    assert_eq!(
        provider.plan(),
        [
            format!("make a login of its own in {}/users, with a password of its own", dir.path().display()),
            "no second lock: nothing but our revocation ends it; sessions that are open then live on".to_owned(),
        ]
    );
    provider.grant(&order("app", 1)).await.unwrap();
    let marks = provider.marked().await.unwrap().unwrap();
    assert_eq!((marks.items.len(), marks.items[0].resource.as_str()), (1, "app"));
    let key = provider.credential(&order("app", 1), 1).await.unwrap();
    assert!(part(&key, "password").len() >= 32);
    provider.revoke(&order("app", 1)).await.unwrap();
}

/// A plugin with a limit of its own, an end that the target knows, and an account of what was done.
#[tokio::test]
async fn what_it_says_it_can_do_counts() {
    let dir = tempfile::tempdir().unwrap();
    let says = json!({ "native_expiry": { "floor_secs": 600 }, "activity": true, "max_ttl_secs": 1200 });
    let text = SHELL.replace("\"description\":{}", &format!("\"description\":{says}"));
    let rest = "case $request in\n\
                *'\"after\":\"7\"'*) ok ',\"deeds\":[]' ;;\n\
                *activity*) ok ',\"deeds\":[{\"at\":\"2026-03-01T10:00:00Z\",\"what\":\"select 1\"}],\"next\":\"7\"' ;;\n\
                *) ok ;;\nesac\n";
    let file = script(dir.path(), "plugin", &(text + rest));
    let place = Place::new(&[]);
    let provider = place.open("exec", "app", &exec(&file, &json!({ "description": says })));
    let words = "the plugin takes no grant that is longer than 1200 s";
    assert_eq!(provider.grant(&order("app", 1)).await, Err(ProviderError::Permanent(words.into())));
    provider.grant(&ending_in(&order("app", 1), 1000)).await.unwrap();
    assert_eq!(
        provider.plan(),
        [
            "do as the test says",
            "the target itself ends it, but not before 600 s have passed; sessions that are open then live on"
        ]
    );
    let told = provider.activity(&order("app", 1), None).await.unwrap().unwrap();
    assert_eq!((told.deeds[0].what.as_str(), told.next.as_deref()), ("select 1", Some("7")));
    let told = provider.activity(&order("app", 1), Some("7")).await.unwrap().unwrap();
    assert_eq!((told.deeds.len(), told.next), (0, None));
    let silent = place.open("exec", "app", &exec(&file, &json!({})));
    assert_eq!(silent.activity(&order("app", 1), None).await.unwrap(), None);
}

#[test]
fn settings_are_read_whole_and_every_mistake_is_told() {
    let told = |name: &str, settings: &Value| {
        let problems = countersign::provider::check_settings(name, &map(settings));
        problems.into_iter().map(|p| format!("{}: {}", p.key.unwrap_or_default(), p.words)).collect::<Vec<_>>()
    };
    assert_eq!(told("exec", &json!({})), ["command: is missing", "sha256: is missing"]);
    assert_eq!(
        told(
            "exec",
            &json!({
                "command": ["plugin"], "sha256": "abc", "env": ["A", "B=C", "TOKEN"], "timeout_secs": 26, "descripton": {},
                "description": { "native_expiry": "perhaps" }, "new_privileges": 1,
                "settings": { "deep": ["postgres://bot:hunter2@db/x"] },
                "secrets": { "token": { "env": "TOKEN" }, "other": "hunter2", "third": { "file": "here" } },
            })
        ),
        [
            "command: does not begin with an absolute path",
            "sha256: is not a SHA-256 in hex",
            "env: has what is not the name of a variable",
            "new_privileges: is a number",
            "settings: holds a secret",
            "description: is not what a plugin can say of itself",
            "timeout_secs: is out of range",
            "secrets: `other` names no source",
            "secrets: `third` names no source",
            "env: passes on a variable that holds a secret",
            "descripton: is not a setting of this provider",
        ]
    );
    assert_eq!(
        told("webhook", &json!({ "url": "http://doors.example.com/x", "public_key": "x" })),
        ["url: is not an `https` address", "public_key: is not a public key", "key_env: is missing",]
    );
    for url in ["http://127.0.0.1:1/", "http://[::1]/x", "http://localhost/", "https://doors.example.com/x"] {
        let settings =
            json!({ "url": url, "public_key": "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "key_env": "K" });
        assert_eq!(told("webhook", &settings), Vec::<String>::new(), "{url}");
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_or_too_short_is_said_without_it() {
    for (env, words) in [
        (&[][..], "the secret `token`: the environment variable `TOKEN` is not set"),
        (
            &[("TOKEN", "1234567")][..],
            "the secret `token`: is shorter than 8 bytes: it could not be kept out of messages",
        ),
    ] {
        let mut scene = Scene::new("ok");
        scene.place = Place::new(env);
        assert_eq!(scene.grants().await, Err(ProviderError::Permanent(words.into())));
    }
}
