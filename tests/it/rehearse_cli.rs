//! Rehearsals, with the true binary: what is no story, what programs read, and what is kept.

use std::{collections::BTreeSet, path::Path};

use insta::assert_snapshot as is;
use serde_json::Value;

use crate::support::{
    demo::countersign,
    stories::{SAMPLE, Stories, of, rehearse},
};

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let story = "@requster: /access prod-db 30m fixing INC-42 => $fix
@requester: /access prod-db 30m fixing INC-42 => $fix
@requester: /access prod-db 30m again => $fix
@requester: prod-db 30m fixing INC-42
@requester on slak: /access list
@second on slack: /access list
@requester in #aprovals: /access list
@requester
@requester prses Approve on $fix
@requester presses Approve
@approver: /access approve $fxi
@approver: /access approve $fix => $1
@approver presses Approve on $fix please
aftr 31m
after 31 minutes
after 30m and a bit
at noon
at 2026-13-01 09:00
at 2026-11-21 02:00 Europe/Berln
at 2026-03-29 02:30 Europe/Berlin
provider prod-bd fails
provider prod-db sulks
expect crad $fix
expect card
expect card $fix in #approvals: prod-db,, 30m
expect refusal
expect grant $fix alive
expect grant $fix ended expird
expect grant $fix live until noon
expect notice @requester: x
expect entry grant.isued
expect no grant $fix live
expect verify everything
restart now
reload
reload nowhere
clock stops
clock is 2h
expect in security
expect no in #approvals
";
    is!("mistakes_in_a_story", of(story));
}

#[test]
fn what_is_no_story_is_said_so() {
    is!(of(""), @"
    1
    DIR/a.story:1:1: there is no statement in this story
      hint: for example `@requester: /access prod-db 30m fixing INC-42`

    failed  DIR/a.story: it can't be played, 1 problem
    1 story, 0 steps, 1 failed
    ");
    is!(of("# only a comment\n"), @"
    1
    DIR/a.story:1:1: there is no statement in this story
       |
     1 | # only a comment
       | ^
      hint: for example `@requester: /access prod-db 30m fixing INC-42`

    failed  DIR/a.story: it can't be played, 1 problem
    1 story, 0 steps, 1 failed
    ");
    is!(of("@requester: /access list \u{1b}[2J\n@requester: /access list\u{0}\r\n"), @"
    1
    DIR/a.story:1:26: a control character that nobody sees, U+001B
       |
     1 | @requester: /access list  [2J
       |                          ^
      hint: take it out

    DIR/a.story:2:25: a control character that nobody sees, U+0000
       |
     2 | @requester: /access list 
       |                         ^
      hint: take it out

    failed  DIR/a.story: it can't be played, 2 problems
    1 story, 0 steps, 1 failed
    ");
    let stories = Stories::new(&[]);
    std::fs::write(stories.path("a.story"), b"@requester: /access \xff").unwrap();
    is!(stories.told(&[&stories.path("a.story")]), @"
    1
    DIR/a.story: not UTF-8, from byte 20
      hint: save it as UTF-8

    failed  DIR/a.story: it can't be played, 1 problem
    1 story, 0 steps, 1 failed
    ");
    is!(stories.told(&[&stories.path("nowhere.story")]), @"
    1
    DIR/nowhere.story: it can't be read: No such file or directory (os error 2)
      hint: a story is a text file, by custom `*.story`

    failed  DIR/nowhere.story: it can't be played, 1 problem
    1 story, 0 steps, 1 failed
    ");
    is!(stories.told(&[&stories.path("")]), @"
    1
    DIR/a.story: not UTF-8, from byte 20
      hint: save it as UTF-8

    failed  DIR/a.story: it can't be played, 1 problem
    1 story, 0 steps, 1 failed
    ");
    std::fs::write(stories.path("a.story"), vec![b'#'; 2 * 1024 * 1024]).unwrap();
    is!(stories.told(&[&stories.path("a.story")]), @"
    1
    DIR/a.story: it is longer than a story may be, 1048576 bytes
      hint: tell it in several files

    failed  DIR/a.story: it can't be played, 1 problem
    1 story, 0 steps, 1 failed
    ");
    std::fs::write(stories.path("a.story"), "restart\n".repeat(2_001)).unwrap();
    let told = stories.told(&[&stories.path("a.story")]);
    assert!(told.starts_with("1\n") && told.contains("a story has 2000 statements at the most"), "{told}");
    // A file that never ends is read as far as a story may be long.
    let told = stories.told(&["/dev/zero"]);
    assert!(told.contains("it is longer than a story may be"), "{told}");
}

#[test]
fn what_somebody_types_can_not_disturb_the_report() {
    let story = "@requester: /access prod-db 30m costs $5, or $$fix, \u{202e}backwards => not a name\n\
                 expect card in #approvals: \"costs $5, or $$fix,\"\nexpect card in #approvals: nothing like it\n";
    is!(of(story), @r#"
    1
    failed  DIR/a.story:3
         3 | expect card in #approvals: nothing like it
      expected: a card in #approvals with `nothing like it`
      happened: `nothing like it` is not on it
                the card in #approvals on slack:
                  | #4 prod-db for 30m
                  | Waiting for approval, 0 of 1. Lapses 2026-01-05 17:00:00 UTC
                  | Requester: @requester
                  | Resource: prod-db
                  | Duration: 30m
                  | Reason: costs $5, or $fix, �backwards => not a name
                  | Will be done: create a login role for this grant alone, which can do what "app_rw" can, over at most 4 connections
                  | Will be done: when the time is up it can't log in, its sessions are cut, and the role is dropped
                  | 2026-01-05 09:00:00 UTC asked by @requester
                  | [Approve] [Approve for less…] [Deny…] [Withdraw]
      before:   2026-01-05T09:00:00Z    1 | @requester: /access prod-db 30m costs $5, or $$fix, �backwards => not a name
                                            > Asked: #4 for 30m of prod-db. It needs one approval; you will be told.
    1 story, 3 steps, 1 failed
    "#);
}

#[test]
fn the_rest_is_played_after_a_story_that_failed() {
    let stories = Stories::new(&[
        ("1.story", "expect entry log.opened\nexpect no entry service.started\n"),
        ("2.story", "nothing\n"),
        ("3.story", "@requester: /access list\nexpect answer: Nothing is pending\n"),
        ("4.text", "not a story"),
    ]);
    is!(stories.told(&[&stories.path("")]), @"
    1
    failed  DIR/1.story:2
         2 | expect no entry service.started
      expected: no entry `service.started`
      happened: written were log.opened, service.started
    DIR/2.story:1:1: `nothing` starts no statement
       |
     1 | nothing
       | ^
      hint: a statement starts with `@name` or with one of after, at, clock, expect, group, provider, reload, restart

    failed  DIR/2.story: it can't be played, 1 problem
    passed  DIR/3.story (2 steps)
    3 stories, 4 steps, 2 failed
    ");
}

#[test]
fn programs_read_an_object_a_story() {
    let stories = Stories::new(&[
        ("1.story", "@requester: /access prod-db 3h x => $x\nexpect refusal: too_long\n"),
        ("2.story", "@requester: /access approve 1\nexpect refusal: no_request\nafter 90s\n"),
        ("3.story", "after noon\n"),
    ]);
    let (code, said, errors) = rehearse(&["--json", &stories.path("")]);
    assert_eq!((code, errors.as_str()), (1, "3 stories, 4 steps, 2 failed\n"));
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes: Vec<&Value> = lines.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(outcomes, ["failed", "passed", "unreadable"]);
    let fields = |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
    let named = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    for line in &lines {
        assert_eq!(fields(line), named(&["story", "outcome", "steps", "failure", "problems", "ledger"]));
    }
    let (failure, passed) = (&lines[0]["failure"], &lines[1]["steps"]);
    assert_eq!(fields(failure), named(&["line", "expected", "happened"]));
    assert_eq!(failure["line"], 1);
    assert_eq!(fields(&passed[0]), named(&["line", "text", "at", "outcome", "answer"]));
    assert_eq!(passed[0]["answer"]["tone"], "refused");
    assert_eq!(passed[0]["answer"]["code"], "no_request");
    assert_eq!(passed[2]["at"], "2026-01-05T09:01:30Z");
    assert_eq!(passed[2]["answer"], Value::Null);
    assert_eq!(fields(&lines[2]["problems"][0]), named(&["line", "column", "words", "hint"]));
}

#[test]
fn the_ledger_of_a_story_is_kept_and_verifies() {
    let stories = Stories::new(&[]);
    let expire = format!("{SAMPLE}/stories/expire.story");
    let one = stories.path("one");
    let (code, said, errors) = rehearse(&["--keep", &one, &expire]);
    assert_eq!(code, 0, "{said}{errors}");
    let (code, said, errors) = countersign(&["verify", &one]);
    assert_eq!(code, 0, "{said}{errors}");
    let (_, log, _) = countersign(&["log", "--ledger", &one]);
    assert!(log.contains("grant.issued") && log.contains("reason=\"fixing INC-42\""), "{log}");

    // What is there is never written over.
    is!(stories.told(&["--keep", &one, &expire]), @"
    1
    --keep DIR/one: the folder is not empty
    ");
    assert_eq!(rehearse(&["--keep", &expire, &expire]).0, 1, "a file is no folder");

    let many = stories.path("many");
    let deny = format!("{SAMPLE}/stories/deny.story");
    let (code, said, errors) = rehearse(&["--json", "--keep", &many, &expire, &deny, &expire]);
    assert_eq!(code, 0, "{said}{errors}");
    let kept: Vec<Value> =
        said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["ledger"].clone()).collect();
    assert_eq!(kept, [format!("{many}/expire"), format!("{many}/deny"), format!("{many}/expire-2")]);
    for ledger in &kept {
        let (code, said, errors) = countersign(&["verify", ledger.as_str().unwrap()]);
        assert_eq!(code, 0, "{said}{errors}");
    }
    // A broken one is found out: the rehearsal's ledger is a ledger like any other.
    let journal = Path::new(&one).join("journal");
    let segment = std::fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert_eq!(countersign(&["verify", &one]).0, 1);
}

#[test]
fn a_story_is_told_the_same_every_time() {
    let stories = Stories::new(&[
        (
            "1.story",
            "@requester: /access prod-db 30m x => $x\n@requester: /access show $x\nexpect answer: nothing like it\n",
        ),
        ("2.story", "@requester: /access verify\nexpect answer: verified\nexpect answer: nothing like it\n"),
        (
            "3.story",
            "@requester: /access prod-db 30m x => $x\n@requester: /access prod-host 30m x => $y\n@approver: /access approve $x\n\
             @second: /access approve $y\nafter 1h\n@requester: /access prod-db 30m x => $z\nexpect grant $z live\n",
        ),
    ]);
    let folder = format!("{SAMPLE}/stories");
    let all = [stories.path(""), folder];
    let run = || rehearse(&["--json", &all[0], &all[1]]);
    let first = run();
    assert_eq!(first.0, 1);
    for _ in 0..3 {
        let again = run();
        let differ: Vec<(&str, &str)> = first.1.lines().zip(again.1.lines()).filter(|(one, two)| one != two).collect();
        assert!(differ.is_empty() && first.2 == again.2, "{differ:#?}");
    }
    assert_eq!(stories.told(&[&all[0]]), stories.told(&[&all[0]]));
}

#[test]
fn a_story_is_played_against_the_config_it_is_given() {
    let config = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(SAMPLE).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let text =
            std::fs::read_to_string(&file).unwrap().replace("members = [\"approver\"]", "members = [\"second\"]");
        std::fs::write(config.path().join(file.file_name().unwrap()), text).unwrap();
    }
    let config = config.path().to_string_lossy();
    let (code, said, _) = countersign(&["rehearse", "--config", &config, &format!("{SAMPLE}/stories/expire.story")]);
    assert_eq!(code, 1);
    assert!(said.contains("@approver: /access approve $fix"), "the rules are the config's: {said}");
    assert_eq!(countersign(&["rehearse", "--config", "/nonexistent", "x.story"]).0, 1);
    assert_eq!(countersign(&["rehearse", "--config", &config]).0, 2, "no story");
}
