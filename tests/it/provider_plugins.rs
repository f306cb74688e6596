//! The conformance kit: who passes it, and what it says of those who don't.

use std::{
    collections::BTreeMap, fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path, process::Command,
    sync::Arc,
};

use countersign::provider::{
    Credential, ProviderError,
    kit::{Options, Report, Subject},
};
use insta::assert_snapshot as is;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{
    demo::{countersign, countersign_with},
    door::{Place, ending_in, map, now, order, part},
    plugins::{BROKEN, PASSWORD_FILE, SUDO_RULE, Works, exec, pin, script},
    postgres::{self, psql},
    process::{find_program, is_root, said, until},
};

/// A word that nobody may say.
const SECRET: &str = "hunter2-hunter2";

/// Two who can approve for each other.
const PEOPLE: &str =
    "[[person]]\nname = \"ana\"\n[[person]]\nname = \"ben\"\n[[group]]\nname = \"all\"\nmembers = [\"ana\", \"ben\"]\n";

/// The promises that are broken, a line each.
fn told(report: &Report) -> Vec<String> {
    report.broken().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_python_example_keeps_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    let settings = exec(PASSWORD_FILE, &json!({ "settings": { "file": users } }));
    let subject = Subject::new("exec", "app", &map(&settings), &Place::new(&[]).surroundings()).unwrap();
    // As the application does: whoever knows the password is let in.
    let works = move |credential: &Credential| {
        let hash = hex::encode(Sha256::digest(part(credential, "password")));
        let logins = fs::read_to_string(&users).unwrap();
        let mut logins = logins.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        logins.any(|login| login["external_id"] == part(credential, "user") && login["sha256"] == *hash)
    };
    let options = Options { probe: Some(Arc::new(Works(works))), ..Options::default() };
    let report = subject.examine(&options).await;
    assert_eq!(told(&report), Vec::<String>::new());
    assert!(report.promises.iter().all(|promise| promise.skipped.is_none()), "{report:?}");
    assert_eq!(fs::read_to_string(dir.path().join("users")).unwrap(), "", "nothing is left");
}

#[tokio::test]
async fn the_shell_example_keeps_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    let settings = exec(
        SUDO_RULE,
        &json!({
            "settings": { "dir": dir.path(), "command": "/usr/bin/true" },
            "description": { "native_expiry": "exact" },
        }),
    );
    let subject = Subject::new("exec", "host", &map(&settings), &Place::new(&[]).surroundings()).unwrap();
    let rules = dir.path().to_owned();
    // As sudo does: a rule is there, and its own end is not past.
    let works = move |credential: &Credential| {
        let Ok(rule) = fs::read_to_string(rules.join(credential.public_id.split(':').next().unwrap())) else {
            return false;
        };
        let last = credential.not_after - chrono::TimeDelta::seconds(1);
        let end = last.format("%Y%m%d%H%M%SZ").to_string();
        rule.contains(&format!("countersign-test ALL=(root) NOTAFTER={end} NOPASSWD: /usr/bin/true"))
            && part(credential, "run this") == "sudo /usr/bin/true"
    };
    // There is nothing in it to void: sudo asks nobody for a key, so only the rule itself is looked at.
    let options = Options::default();
    let report = subject.examine(&options).await;
    assert_eq!(told(&report), Vec::<String>::new());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");

    let provider = Place::new(&[]).open("exec", "host", &settings);
    let mut order = order("host", 7);
    order.holder.name = "countersign-test".into();
    provider.grant(&order).await.unwrap();
    assert!(works(&provider.credential(&order, 1).await.unwrap()));
    provider.revoke(&order).await.unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// The real sudo, with nothing of this machine's own rules: they may ask a name server or a login module first.
struct Sudo {
    main_file: tempfile::NamedTempFile,
    /// A sandbox may forbid every set-user-id program; then only root can ask sudo, about somebody else.
    may_be_run_by_others: bool,
}

impl Sudo {
    fn with_rules_of(dir: &Path) -> Self {
        let mut main_file = tempfile::NamedTempFile::new().unwrap();
        let rules = format!("Defaults !fqdn, !pam_session, !pam_acct_mgmt\n@includedir {}\n", dir.display());
        main_file.write_all(rules.as_bytes()).unwrap();
        fs::set_permissions(main_file.path(), fs::Permissions::from_mode(0o440)).unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        Self { main_file, may_be_run_by_others: status.lines().any(|line| line == "NoNewPrivs:\t0") }
    }

    /// Whether `nobody` may run `words` as root: what sudo answers root who asks, and what happens when it is tried.
    fn lets_in(&self, words: &str) -> Result<bool, String> {
        let asked = self.run(&format!("sudo -n -l -U nobody {words}"))?;
        if self.may_be_run_by_others {
            let tried = self.run(&format!("runuser -u nobody -- sudo -n {words}"))?;
            if asked != tried {
                return Err(format!("sudo says {asked} and does {tried}"));
            }
        }
        Ok(asked)
    }

    fn run(&self, words: &str) -> Result<bool, String> {
        let rules = self.main_file.path().display();
        let script = format!("mount --bind {rules} /etc/sudoers || exit 99; exec {words}");
        let mut command = Command::new(find_program(&["/usr/bin/unshare", "/bin/unshare"], "util-linux"));
        let done = command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).output().unwrap();
        match done.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            code => Err(format!("`{words}` ended with {code:?}: {}", said(&done))),
        }
    }
}

/// The shell example's rule, before the real sudo: it lets its holder in, to this command only, and no longer.
#[tokio::test]
async fn sudo_itself_ends_what_the_shell_example_has_opened() {
    let dir = tempfile::tempdir().unwrap();
    let settings = exec(
        SUDO_RULE,
        &json!({
            "settings": { "dir": dir.path(), "command": "/usr/bin/id -u" },
            "description": { "native_expiry": "exact" },
        }),
    );
    let provider = Place::new(&[]).open("exec", "host", &settings);
    let mut order = order("host", 7);
    order.holder.name = "nobody".into();
    provider.grant(&order).await.unwrap();
    assert!(is_root(), "only root may ask the real sudo: run it as root");
    let sudo = Sudo::with_rules_of(dir.path());
    assert_eq!(sudo.lets_in("/usr/bin/id -u"), Ok(true));
    assert_eq!(sudo.lets_in("/usr/bin/true"), Ok(false));
    // The same door with an end that can be waited for.
    let order = ending_in(&order, 3);
    provider.grant(&order).await.unwrap();
    // For sudo a second is over when the next one begins.
    until("its time is up", || now() > order.not_after + chrono::TimeDelta::seconds(1));
    assert_eq!(sudo.lets_in("/usr/bin/id -u"), Ok(false));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nobody but sudo has ended it");
    provider.revoke(&order).await.unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    // What sudo does not take is not put there.
    let mut wrong = order.clone();
    wrong.not_after = now() + chrono::TimeDelta::minutes(1);
    wrong.holder.name = "no body = (".into();
    let refused = provider.grant(&wrong).await;
    assert!(
        matches!(&refused, Err(ProviderError::Permanent(words)) if words.contains("visudo does not take the rule")),
        "{refused:?}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Both examples are short, and the command line tests them and prints what belongs into the config.
#[test]
fn the_command_tests_a_file_and_prints_what_the_config_needs() {
    let dir = tempfile::tempdir().unwrap();
    for file in [SUDO_RULE, PASSWORD_FILE] {
        assert!(fs::read_to_string(file).unwrap().lines().count() < 60, "{file}");
        let place = dir.path().to_string_lossy();
        let (code, said, errors) = countersign(&[
            "providers",
            "test",
            file,
            "--set",
            &format!("dir={place}"),
            "--set",
            &format!("file={place}/users"),
            "--set",
            "command=/usr/bin/true",
        ]);
        assert_eq!(code, 0, "{said}{errors}");
        let (_, table) = said.split_once("[resource.exec]\n").unwrap();
        let table: toml::Table = toml::from_str(table).unwrap();
        assert_eq!(table["sha256"].as_str().unwrap(), pin(Path::new(file)));
        assert_eq!(table.contains_key("description"), file == SUDO_RULE, "{said}");
    }
}

#[test]
fn fourteen_broken_plugins_fail_each_with_its_own_sentence() {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(BROKEN).unwrap() {
        let file = entry.unwrap().path();
        let dir = tempfile::tempdir().unwrap();
        let (name, doors) = (file.to_string_lossy(), format!("file={}/doors", dir.path().display()));
        let (code, said, errors) = countersign_with(
            &["providers", "test", &name, "--set", &doors, "--secret", "token=TOKEN", "--timeout", "2", "--json"],
            &[("TOKEN", SECRET)],
        );
        assert_eq!(code, 1, "{name}: {said}{errors}");
        assert!(!said.contains(SECRET) && !errors.contains(SECRET), "{name}: {said}");
        let report: Value = serde_json::from_str(&said).unwrap();
        let broken = report["promises"].as_array().unwrap().iter().find_map(|promise| {
            Some(format!("{}:\n  {}", promise["promise"].as_str()?, promise["broken"][0].as_str()?))
        });
        all.insert(file.file_name().unwrap().to_string_lossy().into_owned(), broken.unwrap());
    }
    let all: Vec<String> = all.into_iter().map(|(name, words)| format!("{name}: {words}")).collect();
    is!(all.join("\n"), @"
    answers-another: every question gets one answer, in its form and in time:
      `grant`: it answered another request than the one it was asked
    answers-twice: every question gets one answer, in its form and in time:
      `describe`: it answered twice
    changes-its-plan: its plan is the same each time:
      `plan` says something else each time: what was approved is not what is done
    claims-an-end: a door that was opened is listed, with its end:
      `list` shows no `not_after`, though it says that the target ends the access itself
    grants-once: granting twice is granting once, and sets the end anew:
      `grant` of what is open fails: it is there already (permanent)
    hangs: every question gets one answer, in its form and in time:
      `grant`: it did not answer within 2 s
    hides: a door that was opened is listed, with its end:
      `list` does not show what `grant` has opened
    keeps-its-lock: a kill in the middle leaves nothing behind:
      `list` was refused: somebody else is at it (retry)
    lies: a door that was shut is gone, and no other with it:
      `list` still shows the door after the first `revoke` said it is shut
    never-ends: what has no end, is over or isn't ours is not opened:
      `grant` without `not_after` opens a door that never ends
    opens-with-any-key: there is no key for a door that isn't open:
      `credential` cuts a key for a door that is not open
    talks-too-much: every question gets one answer, in its form and in time:
      `list`: it answered more than 1048576 bytes
    tells-its-secret: nothing secret is said but in a credential:
      `check` has it print a secret on standard error
    trips-over-nothing: revoking what isn't there succeeds:
      `revoke` of what isn't there fails: there is no such door (permanent); a revocation is repeated until it succeeds, so it has to
    ");
}

/// Writes a config with these resources.
fn config(dir: &Path, resources: &str) {
    let server = format!("[ledger]\npath = \"{}/ledger\"\norigin = \"example.com/kit\"\n", dir.display());
    for (file, text) in [
        ("countersign.toml", server.as_str()),
        ("people.toml", PEOPLE),
        ("policy.cedar", ""),
        ("resources.toml", resources),
    ] {
        fs::write(dir.join(file), text).unwrap();
    }
}

/// `sweep` needs no ledger: the plugin says what bears a mark, of whatever log, and what is overdue is revoked through it.
#[tokio::test]
async fn a_sweep_ends_what_a_plugin_has_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    let settings = exec(PASSWORD_FILE, &json!({ "settings": { "file": users } }));
    let resource = json!({
        "name": "app", "provider": "exec", "approvers": ["group:all"], "max_duration": "1h", "exec": settings,
    });
    config(dir.path(), &toml::to_string(&json!({ "resource": [resource] })).unwrap());
    let provider = Place::new(&[]).open("exec", "app", &settings);
    let (short, long) = (ending_in(&order("app", 1), 2), order("app", 2));
    provider.grant(&short).await.unwrap();
    provider.grant(&long).await.unwrap();
    until("the first is overdue", || now() > short.not_after);
    let place = dir.path().to_string_lossy();
    let (code, said, errors) = countersign(&["sweep", "--config", &place]);
    let said = said.replace(&short.not_after.format("%Y-%m-%d %H:%M:%S UTC").to_string(), "THEN");
    is!(format!("{code}\n{said}{errors}"), @"
    0
    app (exec): 2 with our mark on the server, 1 to end here
      cs_abcdefgh_1 (for app) was due THEN: ended
    ");
    let left = fs::read_to_string(&users).unwrap();
    assert!(left.lines().count() == 1 && left.contains(&long.external_id), "{left}");
    fs::remove_file(&users).unwrap();
    fs::create_dir(&users).unwrap();
    let (code, _, errors) = countersign(&["sweep", "--config", &place]);
    assert!(
        code == 1 && errors.contains("app (exec) can't be asked: the plugin, asked to `list`: it failed"),
        "{errors}"
    );
}

/// A provider of this binary as a process of its own that is killed in the middle: a plugin that passes on what it is
/// asked to `providers serve`.
async fn through_a_process(resource: &str, table: &str, description: &Value, env: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let head = format!("name = \"{resource}\"\napprovers = [\"group:all\"]\nmax_duration = \"1h\"");
    config(dir.path(), &format!("[[resource]]\n{head}\n{table}\n"));
    let place = dir.path().display();
    let binary = env!("CARGO_BIN_EXE_countersign");
    let plugin = script(
        dir.path(),
        "plugin",
        &format!("#!/bin/sh\nexec '{binary}' providers serve {resource} --config '{place}'\n"),
    );
    let names: Vec<&str> = env.iter().map(|(name, _)| *name).collect();
    let mut more = json!({ "description": description, "timeout_secs": 25 });
    if !names.is_empty() {
        more["env"] = json!(names);
    }
    let around = Place::new(env).surroundings();
    let subject = Subject::new("exec", resource, &map(&exec(&plugin, &more)), &around).unwrap();
    let report = subject.examine(&Options::default()).await;
    assert!(report.promises.iter().all(|promise| promise.skipped.is_none()), "{report:?}");
    told(&report)
}

#[tokio::test]
async fn postgres_keeps_its_promises_as_a_process_that_is_killed() {
    let server = postgres::Server::start();
    let url = server.bot_url();
    let table = "provider = \"postgres\"\n[resource.postgres]\nurl_env = \"URL\"\nrole = \"app_rw\"";
    let description = json!({ "native_expiry": "exact", "ends_sessions": "yes" });
    let broken = through_a_process("prod-db", table, &description, &[("URL", &url)]).await;
    assert_eq!(broken, Vec::<String>::new());
    assert_eq!(psql(&url, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'cs\\_%'").unwrap(), "0");
}

#[tokio::test]
async fn ssh_keeps_its_promises_as_a_process_that_is_killed() {
    let description = json!({ "native_expiry": "exact", "ends_sessions": "at_not_after" });
    let table = "provider = \"ssh\"\n[resource.ssh]\nprincipals = [\"deploy\"]";
    assert_eq!(through_a_process("prod-host", table, &description, &[]).await, Vec::<String>::new());
}

#[tokio::test]
async fn token_keeps_its_promises_as_a_process_that_is_killed() {
    let description = json!({ "native_expiry": "exact" });
    let table = "provider = \"token\"\n[resource.token]\naudience = \"https://api.example.com\"";
    assert_eq!(through_a_process("prod-api", table, &description, &[]).await, Vec::<String>::new());
}

#[test]
fn the_list_says_of_each_what_it_can_do() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/bot-config");
    let (code, said, errors) = countersign(&["providers", "--config", config]);
    is!(format!("{code}\n{said}{errors}"), @"
    0
    prod-db (postgres)
      the target itself refuses when the time is up; sessions are cut
    prod-host (ssh)
      the target itself refuses when the time is up; sessions are cut when the time is up, not earlier
    prod-api (token)
      the target itself refuses when the time is up; sessions that are open then live on
    staging-host (ssh)
      the target itself refuses when the time is up; sessions are cut when the time is up, not earlier

    kinds of providers: exec, mysql, postgres, redis, ssh, token, webhook
    ");
    let (_, said, _) = countersign(&["providers", "--config", config, "--json"]);
    let all: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(all[0]["description"]["native_expiry"], "exact");
    let (code, _, errors) = countersign(&["providers", "test", "prod-dv", "--config", config]);
    is!(format!("{code}\n{errors}"), @"
    1
    there is no resource `prod-dv`
      hint: there are prod-db, prod-host, prod-api, staging-host; a file has a `/` in it
    ");
}

/// What stands commented out in the sample is right, and `check --live` asks plugins too.
#[test]
fn the_sample_shows_plugins_as_check_wants_them() {
    let dir = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("bot-config");
    for file in ["countersign.toml", "people.toml"] {
        fs::copy(sample.join(file), dir.path().join(file)).unwrap();
    }
    // Its policies speak of tags that the resources have which are left out here.
    fs::write(dir.path().join("policy.cedar"), "").unwrap();
    let text = fs::read_to_string(sample.join("resources.toml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let name = lines.iter().position(|line| line.contains("\"prod-sudo\"")).unwrap();
    let key = lines.iter().position(|line| line.contains("DOORS_KEY")).unwrap();
    let hidden: Vec<&str> = lines[name - 1..=key].iter().map(|line| line.trim_start_matches(['#', ' '])).collect();
    let hidden = hidden.join("\n");
    let place = dir.path().to_string_lossy();
    let check = |text: &str, more: &[&str]| {
        fs::write(dir.path().join("resources.toml"), text).unwrap();
        let (code, said, errors) =
            countersign_with(&[&["check", "--config", &place], more].concat(), &[("DOORS_KEY", SECRET)]);
        format!("{code}\n{said}{errors}").replace(&*place, "DIR")
    };
    is!(check(&hidden, &[]), @"
    0
    DIR: 2 resources, 4 people
    ");
    is!(check(&hidden, &["--live"]), @"
    1
    DIR: 2 resources, 4 people
    prod-sudo (exec): not ready
      the plugin, asked to `describe`: its file /usr/local/lib/countersign/sudo-rule can't be read: entity not found
    prod-team (webhook): not ready
      the plugin, asked to `describe`: our key is no `whsk_…` with an Ed25519 seed
    2 findings
    ");
    assert!(hidden.contains(&pin(Path::new(SUDO_RULE))), "the hash in the sample is that of the example");
    let rules = tempfile::tempdir().unwrap();
    let mine = hidden
        .replace("/usr/local/lib/countersign/sudo-rule", SUDO_RULE)
        .replace("/etc/sudoers.d", &rules.path().to_string_lossy());
    let (exec, _) = mine.split_once("[[resource]]\nname         = \"prod-team\"").unwrap();
    is!(check(exec, &["--live"]), @"
    0
    DIR: 1 resources, 4 people
    prod-sudo (exec): ready
    ");
    is!(check(&exec.replace("\"exact\"", "\"exact\", max_ttl_secs = 60"), &["--live"]), @r#"
    1
    DIR: 1 resources, 4 people
    prod-sudo (exec): not ready
      the plugin says other things of itself than the settings do; if that is right, write `description = { native_expiry = "exact" }` under `[resource.exec]`
      it takes no grant that is longer than 60 s, and `max_duration` is 1h
    2 findings
    "#);
}

/// The page shows settings that are right, and a description that is one.
#[test]
fn the_page_shows_what_is_so() {
    let page = include_str!("../../docs/plugins.md");
    let blocks = |language: &str| -> Vec<String> {
        let start = format!("```{language}\n");
        page.split(&start).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
    };
    let key = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let mut checked = Vec::new();
    for block in blocks("toml") {
        let hash = format!("sha256 = \"{}\"", "0".repeat(64));
        let block = block.replace("sha256       = \"…\"", &hash).replace("whpk_…", key);
        let block: Value = toml::from_str(&block).unwrap();
        let resource = if block["resource"].is_array() { &block["resource"][0] } else { &block["resource"] };
        for name in ["exec", "webhook"] {
            if let Some(settings) = resource.get(name) {
                assert_eq!(countersign::provider::check_settings(name, &map(settings)), [], "{settings}");
                checked.push(name);
            }
        }
    }
    assert_eq!(checked, ["exec", "webhook"]);
    let description = blocks("json").into_iter().find(|block| block.starts_with("{\"native_expiry\"")).unwrap();
    serde_json::from_str::<countersign::provider::protocol::Abilities>(&description).unwrap();
    for verb in countersign::provider::protocol::Verb::ALL {
        assert!(page.contains(&format!("| `{}` |", verb.word())), "{verb:?}");
    }
}

/// What travels is what `docs/plugins.schema.json` says, in both directions.
#[test]
fn every_line_is_what_the_schema_says() {
    use countersign::provider::protocol::{Reply, Request, Verb};
    let schema: Value = serde_json::from_str(include_str!("../../docs/plugins.schema.json")).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    let part = |name: &str| {
        let schema = json!({ "$defs": schema["$defs"], "$ref": format!("#/$defs/{name}") });
        jsonschema::validator_for(&schema).unwrap()
    };
    let (requests, replies) = (part("request"), part("reply"));
    let dir = tempfile::tempdir().unwrap();
    let order = order("app", 7);
    let verbs = [
        Verb::Describe,
        Verb::Check,
        Verb::Plan,
        Verb::Grant,
        Verb::Credential,
        Verb::List,
        Verb::Revoke,
        Verb::Activity,
    ];
    let mut answers = 0;
    for file in [PASSWORD_FILE, SUDO_RULE] {
        for verb in verbs {
            let mut request = Request::new(verb, format!("{:032x}", 1), "app", now());
            match verb {
                Verb::Describe | Verb::Check | Verb::Plan => {}
                Verb::List => request.log_tag = Some("abcdefgh".into()),
                Verb::Credential => request = request.about(&order, Some(1)),
                Verb::Grant | Verb::Revoke | Verb::Activity => request = request.about(&order, None),
            }
            let settings = json!({ "file": dir.path().join("users"), "dir": dir.path(), "command": "/usr/bin/true" });
            request.settings = map(&settings);
            let line = request.line().unwrap();
            let sent: Value = serde_json::from_slice(&line).unwrap();
            assert!(requests.is_valid(&sent), "{sent}");
            if verb == Verb::Activity {
                continue;
            }
            let answer = answered(file, &line);
            let reply = Reply::read(answer.as_bytes(), verb, &request.id, None).unwrap();
            let heard: Value = serde_json::from_str(&answer).unwrap();
            assert!(replies.is_valid(&heard), "{heard}");
            assert!(replies.is_valid(&json!(reply)), "{reply:?}");
            answers += 1;
        }
    }
    assert_eq!(answers, 14);
    for wrong in [
        json!({}),
        json!({ "v": "countersign.provider/v1", "id": "1", "status": "fine" }),
        json!({ "v": "countersign.provider/v1", "id": "1", "status": "error" }),
        json!({ "v": "countersign.provider/v1", "id": "1", "status": "ok", "more": 1 }),
    ] {
        assert!(!replies.is_valid(&wrong), "{wrong}");
        assert!(Reply::read(wrong.to_string().as_bytes(), Verb::Grant, "1", None).is_err(), "{wrong}");
    }
}

/// What a plugin answers to a line, without anything of ours in between.
fn answered(file: &str, line: &[u8]) -> String {
    use std::io::Write as _;
    let mut child = std::process::Command::new(file)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line).unwrap();
    stdin.write_all(b"\n").unwrap();
    drop(stdin);
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}
