//! `check`: what is wrong with a config, everything at once and nothing else; and the schemas for editors.

use std::path::Path;

use insta::assert_snapshot as is;

use crate::support::demo::countersign;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const FILES: [&str; 4] = ["countersign.toml", "resources.toml", "people.toml", "policy.cedar"];

/// A copy of the sample config with some words replaced.
fn config(changes: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in FILES {
        let mut text = std::fs::read_to_string(Path::new(ROOT).join("bot-config").join(file)).unwrap();
        for (_, from, to) in changes.iter().filter(|(name, _, _)| *name == file) {
            assert!(text.contains(from), "{file} has no {from}");
            text = text.replacen(from, to, 1);
        }
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    dir
}

fn check(dir: &Path, more: &[&str]) -> String {
    let path = dir.to_string_lossy();
    let (code, said, errors) = countersign(&[&["check", "--config", &path], more].concat());
    format!("{code}\n{said}{errors}").replace(&*path, "DIR")
}

/// Twenty faults were planted in the folder beside this file; each is told once, at its place, and nothing else is.
#[test]
#[expect(clippy::too_many_lines, reason = "twenty reports with their hints are long")]
fn twenty_planted_faults_are_the_twenty_that_are_told() {
    let told = check(&Path::new(ROOT).join("tests/it/twenty"), &[]);
    let places = told.lines().filter(|line| FILES.iter().any(|file| line.starts_with(&format!("{file}:"))));
    assert_eq!(places.count(), 20, "{told}");
    is!(told, @r#"
    1
    countersign.toml:7:1: `bot_token` would be a secret in a file
      hint: set it in the environment, or name a file that holds it: `bot_token_file = "/run/secrets/…"`

    countersign.toml:10:1: unknown key `lapse_afer`
        |
     10 | lapse_afer     = "8h"
        | ^
      hint: did you mean `lapse_after`?

    countersign.toml:11:18: `timezone` is no time zone: "Europe/Berln"
        |
     11 | timezone       = "Europe/Berln"
        |                  ^
      hint: did you mean `Europe/Berlin`?

    countersign.toml:12:18: `ticket_pattern` can't be read: unclosed group
        |
     12 | ticket_pattern = "(INC-[0-9]+"
        |                  ^
      hint: a regular expression, for example `'[A-Z][A-Z0-9]+-[0-9]+'`

    resources.toml:4:16: warning: `eve` approves `db` but has no account on any chat that is set up
       |
     4 | approvers    = ["group:dba"]
       |                ^
      hint: add their Slack or Discord id to `people.toml`

    resources.toml:7:16: warning: nobody may break the glass for `db`: its `break_glass` names nobody
       |
     7 | break_glass  = ["group:empty"]
       |                ^
      hint: add people to its groups, or leave the key out

    resources.toml:15:30: there is no group `dbas`
        |
     15 | approvers    = ["group:dba", "group:dbas"]
        |                              ^
      hint: did you mean `group:dba`?

    resources.toml:16:16: `max_duration` is no duration: a duration looks like `30m`, `1h30m`, `2h` or `1d`
        |
     16 | max_duration = "1 hour"
        |                ^

    resources.toml:26:16: nobody can ever approve this: `quorum` is 3 and there are 2 approvers
        |
     26 | quorum       = 3
        |                ^
      hint: add approvers, or people to their groups

    resources.toml:34:16: there is no provider `shh`
        |
     34 | provider     = "shh"
        |                ^
      hint: did you mean `ssh`?

    resources.toml:44:16: warning: everybody may break the glass for `queue`
        |
     44 | break_glass  = ["group:all", "person:dan"]
        |                ^
      hint: break-glass goes without approval; name those who are on call

    people.toml:12:9: `slack` belongs to `bea` already
        |
     12 | slack = "T0000000001/U0000000002"
        |         ^

    people.toml:16:9: warning: `dan` is in no group
        |
     16 | name  = "dan"
        |         ^
      hint: put them into one, so that a list can mean them

    people.toml:29:9: warning: the person `evel` looks like `eve1`
        |
     29 | name  = "evel"
        |         ^
      hint: one will be taken for the other; rename one

    people.toml:49:1: the group is in itself: about > round > about
        |
     49 | [[group]]
        | ^
      hint: take one of them out of the next

    policy.cedar:3:8: policy `nights`: attribute `houre` in context for Countersign::Action::"request" not found
       |
     3 | when { context.houre < 6 };
       |        ^
      hint: did you mean `hour`?

    policy.cedar:6:22: policy `gone`: there is no group `db`
       |
     6 | forbid (principal in Countersign::Group::"db", action == Countersign::Action::"request", resource);
       |                      ^
      hint: did you mean `dba`?

    policy.cedar:8:1: warning: policy `never` can never apply: it is false whoever asks for what
       |
     8 | @id("never")
       | ^
      hint: mend its conditions, or take it out

    policy.cedar:13:22: warning: policy `for-ana` approves by itself and names `ana`: it counts for nobody whom it names
        |
     13 | permit (principal == Countersign::Principal::"ana", action == Countersign::Action::"autoApprove", resource);
        |                      ^
      hint: name a group, or say which requests are harmless; a person needs another person's approval

    policy.cedar:15:1: a policy without an id
        |
     15 | forbid (principal, action == Countersign::Action::"review", resource)
        | ^
      hint: write `@id("…")` before it: the id is what refusals, cards and the ledger call it

    13 problems and 7 warnings in DIR
    "#);
}

#[test]
fn the_sample_has_no_fault_and_gives_no_warning() {
    is!(check(&Path::new(ROOT).join("bot-config"), &["--strict"]), @"
    0
    DIR: 4 resources, 4 people
    ");
}

#[test]
fn a_warning_is_a_mistake_only_if_one_wants_it() {
    let dir = config(&[("people.toml", "[\"requester\", \"approver\", \"second\"]", "[\"approver\", \"second\"]")]);
    is!(check(dir.path(), &[]), @r#"
    0
    people.toml:6:11: warning: `requester` is in no group
       |
     6 | name    = "requester"
       |           ^
      hint: put them into one, so that a list can mean them

    DIR: 4 resources, 4 people
    1 warning
    "#);
    assert!(check(dir.path(), &["--strict"]).starts_with("1\n"));
}

#[test]
fn a_syntax_error_in_a_policy_has_its_line_and_a_caret() {
    let dir = config(&[("policy.cedar", "unless { context has ticket };", "unless { context has ticket }")]);
    is!(check(dir.path(), &[]), @r#"
    1
    policy.cedar:23:1: unexpected token `@`: expected `;` or identifier
        |
     23 | @id("staging-in-working-hours")
        | ^

    1 problem in DIR
    "#);
}

#[test]
fn a_policy_file_that_is_missing_or_empty() {
    let dir = config(&[]);
    std::fs::write(dir.path().join("policy.cedar"), "").unwrap();
    assert!(check(dir.path(), &[]).starts_with("0\n"));
    std::fs::remove_file(dir.path().join("policy.cedar")).unwrap();
    is!(check(dir.path(), &[]), @"
    1
    policy.cedar: there is no such file
      hint: an empty file will do: `resources.toml` then says it all

    1 problem in DIR
    ");
}

#[test]
fn ten_megabytes_are_no_config() {
    for file in FILES {
        let dir = config(&[]);
        std::fs::write(dir.path().join(file), "# x\n".repeat(2_621_440)).unwrap();
        let told = check(dir.path(), &[]);
        assert!(told.contains(&format!("{file}: 10485760 bytes are more than a config file may have")), "{told}");
    }
}

#[test]
fn a_group_that_nobody_can_look_up_is_told_by_a_live_check() {
    let dir = config(&[("people.toml", "members = [\"second\"]", "command = [\"printf\", \"second\\\\n\"]")]);
    let told = check(dir.path(), &["--live"]);
    assert!(told.contains("group primary: second\n"), "{told}");
    let dir = config(&[("people.toml", "members = [\"second\"]", "slack_usergroup = \"S0123456789\"")]);
    let told = check(dir.path(), &["--live"]);
    assert!(told.contains("group primary: `SLACK_BOT_TOKEN` is not set"), "{told}");
}

#[test]
fn the_schemas_are_written_for_editors() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("schema");
    let (code, said, errors) = countersign(&["schema", &to.to_string_lossy()]);
    assert_eq!((code, errors.as_str()), (0, ""));
    is!(said.replace(&*to.to_string_lossy(), "DIR"), @"
    DIR/countersign.json
    DIR/resources.json
    DIR/people.json
    DIR/countersign.cedarschema
    DIR/shipped.cedar
    ");
    for file in ["countersign.json", "resources.json", "people.json"] {
        let schema: serde_json::Value = serde_json::from_slice(&std::fs::read(to.join(file)).unwrap()).unwrap();
        assert!(jsonschema::meta::is_valid(&schema), "{file}");
    }
}

/// What is no mistake in the words, and can't be meant.
#[test]
fn what_can_never_be_so_is_told() {
    let dir = config(&[
        ("policy.cedar", "resource.tags.contains(\"staging\")", "resource.tags.contains(\"stagin\")"),
        ("policy.cedar", "context.hour >= 9 && context.hour < 18", "context.hour >= 18 && context.hour < 9"),
        ("policy.cedar", "context.weekday <= 5", "context.weekday != 0"),
        ("resources.toml", "escalate_after = \"1h\"", "escalate_after = \"8h\"\nremind_after = \"1d\""),
    ]);
    is!(check(dir.path(), &[]), @r#"
    0
    resources.toml:16:18: warning: others are asked after 8h, and a request lapses after 8h
        |
     16 | escalate_to    = ["group:sre"]
        |                  ^
      hint: so it never happens; make it shorter than `lapse_after`

    resources.toml:18:16: warning: approvers are reminded after 1d, and a request lapses after 8h
        |
     18 | remind_after = "1d"
        |                ^
      hint: so it never happens; make it shorter than `lapse_after`

    policy.cedar:30:26: warning: policy `staging-in-working-hours`: no resource has the tag `stagin`
        |
     30 |   resource.tags.contains("stagin") &&
        |                          ^
      hint: did you mean `staging`?

    policy.cedar:32:3: warning: policy `staging-in-working-hours`: `context.weekday != 0` is always so
        |
     32 |   context.weekday != 0 && context.hour >= 18 && context.hour < 9
        |   ^
      hint: days go from 1, a Monday, to 7, a Sunday

    policy.cedar:32:27: warning: policy `staging-in-working-hours`: what it asks of `context.hour` can't be so all at once
        |
     32 |   context.weekday != 0 && context.hour >= 18 && context.hour < 9
        |                           ^
      hint: a time over the end is two: `context.hour >= … || context.hour < …`

    DIR: 4 resources, 4 people
    5 warnings
    "#);
    let dir = config(&[("countersign.toml", "0 0 9 * * Mon", "0 0 9 31 2 *")]);
    is!(check(dir.path(), &[]), @r#"
    1
    countersign.toml:65:12: `cron` never comes: "0 0 9 31 2 *"
        |
     65 | cron     = "0 0 9 31 2 *"
        |            ^
      hint: no year has such a day; every Monday at nine is `0 0 9 * * Mon`

    1 problem in DIR
    "#);
    let dir = config(&[("countersign.toml", "0 0 9 * * Mon", "0 0 25 * * Mon")]);
    is!(check(dir.path(), &[]), @r#"
    1
    countersign.toml:65:12: `cron` is no expression: "0 0 25 * * Mon"
        |
     65 | cron     = "0 0 25 * * Mon"
        |            ^
      hint: seconds, minutes, hours, day of the month, month, day of the week: `0 0 9 * * Mon`

    1 problem in DIR
    "#);
}
