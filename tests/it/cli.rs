//! What the command line says: help, mistakes, exit codes.

use std::path::Path;

use insta::assert_snapshot as is;
use serde_json::Value;

use crate::support::{
    demo::{self, Demo, countersign},
    process::until,
};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bot-config");

/// A copy of the sample config with some words replaced.
fn config(changes: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["countersign.toml", "resources.toml", "people.toml", "policy.cedar"] {
        let mut text = std::fs::read_to_string(Path::new(SAMPLE).join(file)).unwrap();
        for (_, from, to) in changes.iter().filter(|(name, _, _)| *name == file) {
            assert!(text.contains(from), "{file} has no {from}");
            text = text.replacen(from, to, 1);
        }
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    dir
}

fn with_config(command: &str, dir: &Path) -> (i32, String, String) {
    let path = dir.to_string_lossy();
    let (code, said, errors) = countersign(&[command, "--config", &path]);
    (code, said.replace(&*path, "DIR"), errors.replace(&*path, "DIR"))
}

#[test]
fn help_names_every_command_and_each_shows_an_example() {
    let (code, said, _) = countersign(&["--help"]);
    assert_eq!(code, 0);
    is!(said, @"
    Access that is asked for in chat, countersigned, short, and provable for ever

    Usage: countersign <COMMAND>

    Commands:
      demo        Live the whole story in a browser: a throwaway ledger, several people to be, providers
                  that work on the spot
      run         Run the service
      check       Check the config and every provider's credentials and rights
      explain     Say who may ask, who could approve, what would decide, and why not, by the ids of the
                  policies
      schema      Write a JSON Schema for each TOML file, the Cedar schema of the policies, and the
                  policies that are always in force
      rehearse    Play stories against a config, with a clock that they move and providers that only
                  plan
      verify      Check a ledger, a public copy, an export or a proof, with nothing but its files
      prove       Write the proof that an entry is in the ledger (c2sp.org/tlog-proof@v1)
      export      Write a ledger out in the C2SP tlog-tiles layout, with `log.jsonl`
      reload      Have a running service load its config anew
      providers   List the providers and what each can do; test one against its promises
      sweep       End what is overdue by its own mark, without ledger or service
      log         Read the ledger
      erase       Make what a person wrote, and who they are, unreadable; every proof stays valid
      rotate-key  Replace the key that signs the ledger
      help        Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version
    ");
    for command in [
        "demo",
        "run",
        "check",
        "rehearse",
        "verify",
        "prove",
        "export",
        "log",
        "erase",
        "rotate-key",
        "sweep",
        "providers",
    ] {
        let (code, said, _) = countersign(&[command, "--help"]);
        assert_eq!(code, 0);
        assert!(said.contains(&format!("Example: countersign {command}")), "{said}");
    }
}

#[test]
fn usage_mistakes_are_exit_code_2() {
    for args in [&["demmo"][..], &["verify"], &["prove", "x"], &["demo", "--listen", "here"], &[]] {
        assert_eq!(countersign(args).0, 2, "{args:?}");
    }
}

#[test]
fn the_sample_passes_check() {
    let (code, said, errors) = with_config("check", Path::new(SAMPLE));
    is!(format!("{code}\n{said}{errors}"), @"
    0
    DIR: 4 resources, 4 people
    ");
}

#[test]
fn five_mistakes_are_five_reports_with_file_and_line() {
    let dir = config(&[
        ("countersign.toml", "lapse_after", "lapse_afer"),
        ("resources.toml", "group:dba", "group:dbas"),
        ("resources.toml", "\"2h\"", "\"two hours\""),
        ("resources.toml", "\"ssh\"", "\"shh\""),
        ("people.toml", "[\"guard\"]", "[\"gaurd\"]"),
    ]);
    let (code, said, errors) = with_config("check", dir.path());
    is!(format!("{code}\n{said}{errors}"), @r#"
    1
    countersign.toml:44:1: unknown key `lapse_afer`
        |
     44 | lapse_afer = "8h"
        | ^
      hint: did you mean `lapse_after`?

    resources.toml:10:17: there is no group `dbas`
        |
     10 | approvers    = ["group:dbas"]
        |                 ^
      hint: did you mean `group:dba`?

    resources.toml:14:16: `max_duration` is no duration: a duration looks like `30m`, `1h30m`, `2h` or `1d`
        |
     14 | max_duration = "two hours"
        |                ^

    resources.toml:61:16: there is no provider `shh`
        |
     61 | provider     = "shh"
        |                ^
      hint: did you mean `ssh`?

    people.toml:39:12: there is no person `gaurd`
        |
     39 | members = ["gaurd"]
        |            ^
      hint: did you mean `guard`?

    5 problems in DIR
    "#);
}

#[test]
fn a_config_folder_that_is_not_there() {
    let (code, _, errors) = with_config("run", Path::new("/nonexistent"));
    is!(format!("{code}\n{errors}"), @"
    1
    there is no config folder DIR
      hint: `bot-config/` in the source is a complete sample to start from; `--config DIR` names another folder
    ");
}

#[test]
fn the_playground_is_never_served_beyond_loopback() {
    let dir = config(&[("countersign.toml", "127.0.0.1:7070", "0.0.0.0:0")]);
    let (code, _, errors) = with_config("run", dir.path());
    is!(format!("{code}\n{errors}"), @"
    1
    the playground lets whoever opens it be anybody, so it listens on loopback only, and `0.0.0.0:0` is not: set `http.listen` to 127.0.0.1, or take the `[playground]` table out
    ");
}

#[test]
fn nothing_to_verify_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_string_lossy();
    let (code, said, errors) = countersign(&["verify", &path]);
    is!(format!("{code}\n{said}{errors}").replace(&*path, "DIR"), @"
    1
    DIR is neither a ledger's folder, nor a public copy, an export, a list of entries or a proof
    ");
    let (code, _, errors) = countersign(&["verify", "/nonexistent"]);
    is!(format!("{code}\n{errors}"), @"
    2
    there is no file or folder /nonexistent
    ");
    let (code, _, errors) = countersign(&["log", "--ledger", &path]);
    is!(format!("{code}\n{errors}").replace(&*path, "DIR"), @"
    1
    there is no ledger in DIR
      hint: name the folder that `ledger.path` names
    ");
    let (code, _, errors) = countersign(&["verify", &path, "--anchor", "no anchor at all"]);
    is!(format!("{code}\n{errors}"), @"
    2
    --anchor no anchor at all: there is no such file, and the words themselves hold no checkpoint and no line of the form `origin size root signature`
    ");
}

#[tokio::test]
async fn a_ledger_is_read_proved_exported_and_verified_beside_the_running_service() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 5m a reason to read").await;
    let id = demo.newest_request().to_string();
    let ledger = demo.ledger();
    let ledger = ledger.to_string_lossy();

    let (code, said, _) =
        countersign(&["log", "--ledger", &ledger, "--last", "1", "reason to read", "access.requested"]);
    assert_eq!(code, 0);
    assert!(said.contains("access.requested") && said.contains("reason=\"a reason to read\""), "{said}");

    let opened: Value = demo.entries()[0].clone();
    let key = opened["body"]["key"].as_str().unwrap();
    let (code, proof, errors) = countersign(&["prove", &id, "--ledger", &ledger]);
    assert_eq!(code, 0, "{errors}");
    let file = dir.path().join("proof");
    std::fs::write(&file, &proof).unwrap();
    let file = file.to_string_lossy();
    let (code, said, errors) = countersign(&["verify", &file, "--key", key]);
    assert_eq!(code, 0, "{said}{errors}");
    std::fs::write(&*file, proof.replacen("index ", "index 1", 1)).unwrap();
    assert_eq!(countersign(&["verify", &file, "--key", key]).0, 1);
    let (code, _, errors) = countersign(&["prove", "99999", "--ledger", &ledger]);
    assert_eq!(code, 1);
    assert!(errors.contains("there is no entry 99999"), "{errors}");

    let (code, report, _) = countersign(&["verify", &ledger, "--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (code, &report["holds"], &report["freshness"]["state"]),
        (0, &Value::Bool(true), &Value::from("unproven"))
    );
    // A head kept elsewhere makes it a plain yes; one of another log contradicts it.
    let head = report["head"].as_str().unwrap().to_owned();
    let kept = dir.path().join("checkpoint");
    std::fs::write(&kept, &head).unwrap();
    let (code, said, _) = countersign(&["verify", &ledger, "--anchor", &kept.to_string_lossy()]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("verified, and anchored"), "{said}");
    let (code, said, _) = countersign(&["verify", &ledger, "--anchor", &head.replace("demo", "other")]);
    assert_eq!(code, 1, "{said}");

    let checkpoint = demo.get("/log/checkpoint").await;
    assert!(checkpoint.starts_with("countersign.example/demo\n"), "{checkpoint}");
    let out = dir.path().join("out");
    let (code, _, errors) = countersign(&["export", &ledger, "--to", &out.to_string_lossy()]);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(countersign(&["verify", &out.to_string_lossy()]).0, 0);
    assert_eq!(countersign(&["export", &ledger, "--to", &out.to_string_lossy()]).0, 1, "it is not empty");
    assert!(demo.stop().success());
}

#[tokio::test]
async fn a_served_log_is_verified_by_its_url() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 5m a reason").await;
    let url = format!("{}/log/", demo.url);
    let checkpoint = demo.ledger().join("public/checkpoint");
    until("the public copy is begun", || checkpoint.exists());
    let (code, said, errors) = countersign(&["verify", &url]);
    assert_eq!(code, 0, "{said}{errors}");
    assert!(said.contains("freshness unproven"), "{said}");
    let (code, said, errors) = countersign(&["verify", &format!("{}/nothing", demo.url)]);
    assert_eq!(code, 75, "{said}{errors}");
    demo.stop();
    let (code, said, errors) = countersign(&["verify", &url]);
    assert_eq!(code, 75, "nobody is there any more: {said}{errors}");
    assert!(said.contains("COULD NOT BE CHECKED"), "{said}");
}

#[tokio::test]
async fn a_rotated_log_is_followed_from_its_first_key() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 5m a reason").await;
    let (ledger, config) = (demo.ledger(), dir.path().join("bot-config"));
    demo.stop();
    let (code, said, errors) = countersign(&["rotate-key", "--config", &config.to_string_lossy()]);
    assert_eq!(code, 0, "{said}{errors}");
    let entries = demo::entries(&ledger);
    let key = |entry: &Value| entry["body"]["key"].as_str().unwrap().to_owned();
    let added = entries.iter().find(|entry| entry["kind"] == "key.added").unwrap();
    let (first, second, index) = (key(&entries[0]), key(added), added["seq"].as_u64().unwrap());

    // Its copy over HTTP, an export and the folder, all from the first key on.
    let demo = Demo::start(dir.path());
    let (url, out) = (format!("{}/log/", demo.url), dir.path().join("out").to_string_lossy().into_owned());
    let ledger = ledger.to_string_lossy();
    let size = demo.entries().len();
    let checkpoint = demo.ledger().join("public/checkpoint");
    until("the public copy has it all", || {
        std::fs::read_to_string(&checkpoint).unwrap().contains(&format!("\n{size}\n"))
    });
    assert_eq!(countersign(&["export", &ledger, "--to", &out]).0, 0);
    for path in [&*url, &out, &ledger] {
        let (code, said, errors) = countersign(&["verify", path, "--key", &first, "--json"]);
        let report: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((code, &report["keys"]), (0, &serde_json::json!([second])), "{said}{errors}");
    }
    let head = demo.get(&format!("/log/rotation/{index}")).await;
    assert_eq!(head, std::fs::read_to_string(Path::new(&out).join(format!("rotation/{index}"))).unwrap());

    // A proof is signed by the second key, and says so to who has the first.
    let (_, proof, _) = countersign(&["prove", "1", "--ledger", &ledger]);
    let path = dir.path().join("1.tlog-proof").to_string_lossy().into_owned();
    std::fs::write(&path, proof).unwrap();
    let (code, said, errors) = countersign(&["verify", &path, "--key", &second]);
    assert_eq!(code, 0, "{said}{errors}");
    let (code, said, _) = countersign(&["verify", &path, "--key", &first]);
    let id = second.split('+').nth(1).unwrap();
    assert!(code == 1 && said.contains(&format!("signed by the key `{id}`")), "{said}");

    // Without the word of the first key, the second is a stranger's.
    std::fs::remove_file(demo.ledger().join(format!("public/rotation/{index}"))).unwrap();
    let (code, said, _) = countersign(&["verify", &url, "--key", &first]);
    assert!(code == 1 && said.contains(&format!("entry {index}: brings in a key, and")), "{said}");
    demo.stop();
}

#[tokio::test]
async fn a_new_key_takes_over_and_a_person_is_erased() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    demo.says("ana", "prod-host 5m a private reason").await;
    let id = demo.newest_request();
    demo.says("cleo", &format!("deny {id} not today")).await;
    let (ledger, config) = (demo.ledger(), dir.path().join("bot-config"));
    let (ledger, config) = (ledger.to_string_lossy(), config.to_string_lossy());
    let (code, _, errors) = countersign(&["rotate-key", "--config", &config]);
    assert_eq!(code, 1);
    assert!(errors.starts_with("another process is using the ledger in "), "{errors}");
    let hint = format!("\n  hint: stop the service first, process {}, and start it again afterwards\n", demo.pid());
    assert!(errors.ends_with(&hint), "{errors}");
    demo.stop();

    let (code, said, errors) = countersign(&["rotate-key", "--config", &config]);
    assert_eq!(code, 0, "{said}{errors}");
    assert_eq!(countersign(&["verify", &ledger]).0, 0);
    let kinds: Vec<Value> = demo::entries(ledger.as_ref().as_ref()).iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(kinds[kinds.len() - 2..], ["key.added", "key.retired"]);

    let (code, _, errors) = countersign(&["erase", "nobody", "--config", &config]);
    assert_eq!((code, errors.trim()), (1, "the ledger holds nothing of `nobody`'s own that can be read"));
    // Nobody types the name, so nothing is erased.
    let (code, said, errors) = countersign(&["erase", "ana", "--config", &config]);
    assert_eq!((code, errors.trim()), (1, "nothing was erased"));
    assert!(said.contains("access.requested") && said.contains("message.received"), "{said}");
    let (code, said, _) = countersign(&["erase", "ana", "--yes", "--config", &config]);
    assert_eq!(code, 0, "{said}");
    let (code, said, errors) = countersign(&["verify", &ledger]);
    assert_eq!(code, 0, "{said}{errors}");
    let (_, said, _) = countersign(&["log", "--ledger", &ledger]);
    assert!(!said.contains("private reason") && !said.contains("\"ana\""), "{said}");
    assert!(said.contains("not today"), "what others said stays: {said}");

    let demo = Demo::start(dir.path());
    let told = demo.says("ben", &format!("show {id}")).await;
    assert!(told.text.contains("Reason: (erased)") && told.text.contains("@(erased)"), "{told:?}");
    // The name may be used again, by somebody who has nothing to do with it.
    assert_eq!(demo.says("ana", "prod-host 5m afresh").await.tone, "done");
    demo.stop();
    assert_eq!(countersign(&["verify", &ledger]).0, 0);
}

#[tokio::test]
async fn whoever_is_erased_while_they_hold_access_is_told_of_first() {
    let dir = demo::folder();
    let demo = Demo::start(dir.path());
    let asks = async |demo: &Demo, line: &str| {
        assert_eq!(demo.says("ana", line).await.tone, "done", "{line}");
        demo.newest_request()
    };
    let live = asks(&demo, "prod-host 2h a private reason").await;
    demo.presses("cleo", "approve", live).await;
    demo.until("grant.issued", live);
    let tonight = asks(&demo, "prod-host 30m from 02:00 a private night").await;
    demo.presses("cleo", "approve", tonight).await;
    let over = asks(&demo, "prod-host 5m a private minute").await;
    demo.presses("cleo", "approve", over).await;
    demo.until("grant.issued", over);
    demo.says("ana", &format!("done {over}")).await;
    demo.until("grant.ended", over);
    let waits = asks(&demo, "prod-api 5m a private wish").await;
    // What others hold is none of ana's.
    demo.says("ben", "prod-host 1h looking at the load").await;
    let bens = demo.newest_request();
    demo.presses("dora", "approve", bens).await;
    demo.until("grant.issued", bens);
    let (ledger, config) = (demo.ledger(), dir.path().join("bot-config"));
    let config = config.to_string_lossy();
    demo.stop();

    let (code, said, errors) = countersign(&["erase", "ana", "--config", &config]);
    assert_eq!((code, errors.trim()), (1, "nothing was erased"));
    let entries = demo::entries(&ledger);
    let ordered = entries.iter().find(|entry| entry["kind"] == "grant.issued" && entry["body"]["request"] == live);
    let end: chrono::DateTime<chrono::Utc> = ordered.unwrap()["body"]["not_after"].as_str().unwrap().parse().unwrap();
    let held: Vec<&str> = said.lines().skip_while(|line| !line.contains("holds access")).collect();
    let until = end.format("%Y-%m-%d %H:%M:%S UTC");
    assert_eq!(held[0], "`ana` holds access, and erasing does not end it:");
    assert_eq!(held[1], format!("  #{live} prod-host is live, until {until}"));
    assert!(held[2].starts_with(&format!("  #{tonight} prod-host is approved and waits for its start, ")), "{said}");
    assert!(held[3].contains(&format!("`/access revoke {live} <reason>`")), "{said}");
    assert!(
        held.contains(&format!("#{waits} can't be decided any more once `ana` is erased, and will lapse.").as_str())
    );
    assert!(!said.contains(&format!("#{over} prod")) && !said.contains(&format!("#{bens} prod")), "{said}");

    // Erased all the same: the door is as open as before, and can be shut by whoever may.
    let (code, said, errors) = countersign(&["erase", "ana", "--yes", "--config", &config]);
    assert!(code == 0 && said.contains("holds access"), "{said}{errors}");
    let demo = Demo::start(dir.path());
    assert_eq!(demo.says("cleo", &format!("revoke {live} who held it has left")).await.tone, "done");
    demo.until("grant.ended", live);
    assert_eq!(demo.says("cleo", &format!("revoke {tonight} who asked has left")).await.tone, "done");
    assert_eq!(demo.says("cleo", &format!("approve {waits}")).await.tone, "refused");
    demo.stop();
    assert_eq!(countersign(&["verify", &ledger.to_string_lossy()]).0, 0);
}

/// What is deployed is what the binary understands.
#[test]
fn the_systemd_unit_starts_the_binary_as_it_is() {
    let unit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/countersign.service")).unwrap();
    let told = |line: &&str| !line.is_empty() && !line.starts_with('#') && !line.starts_with('[');
    for line in unit.lines().filter(told) {
        assert!(line.split_once('=').is_some_and(|(key, _)| key.chars().all(char::is_alphanumeric)), "{line}");
    }
    let (_, start) = unit.split_once("ExecStart=/usr/local/bin/countersign ").unwrap();
    let args: Vec<&str> = start.lines().next().unwrap().split(' ').collect();
    let (code, _, errors) = countersign(&args);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("there is no config folder /etc/countersign"), "{errors}");
}
