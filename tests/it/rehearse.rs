//! Rehearsals, with the true binary: the stories of the sample, and what a story says that goes otherwise.

use std::path::Path;

use insta::assert_snapshot as is;

use crate::support::stories::{SAMPLE, Stories, of, rehearse};

fn sample_stories() -> usize {
    let inside = std::fs::read_dir(Path::new(SAMPLE).join("stories")).unwrap();
    inside.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "story")).count()
}

#[test]
fn the_stories_of_the_sample_all_go_as_they_say() {
    let folder = format!("{SAMPLE}/stories");
    let (code, said, errors) = rehearse(&[&folder]);
    assert_eq!((code, errors.as_str()), (0, ""), "{said}");
    let passed = said.lines().filter(|line| line.starts_with("passed  ")).count();
    assert_eq!(passed, sample_stories(), "{said}");
    assert!(said.lines().last().unwrap().starts_with(&format!("{passed} stories, ")), "{said}");
}

#[test]
fn the_story_of_the_design_is_played_word_for_word() {
    let story = "@requester: /access prod-db 30m fixing INC-42      => $fix
expect card $fix in #approvals: prod-db, 30m, 0 of 1
@requester: /access approve $fix
expect refusal: can't approve their own request
@approver: /access approve $fix
expect grant $fix live
after 31m
expect grant $fix ended expired
";
    is!(of(story), @"
    0
    passed  DIR/a.story (8 steps)
    1 story, 8 steps, 0 failed
    ");
}

#[test]
fn a_card_that_lacks_something_is_shown_as_it_is() {
    let story = "# A comment, and an empty line.

@requester: /access prod-db 30m fixing INC-42 => $fix
expect card $fix in #approvals: prod-db, 0 of 2
@approver: /access approve $fix
";
    is!(of(story), @r#"
    1
    failed  DIR/a.story:4
         4 | expect card $fix in #approvals: prod-db, 0 of 2
      expected: a card of $fix (#4) in #approvals with `prod-db`, `0 of 2`
      happened: `0 of 2` is not on it
                the card in #approvals on slack:
                  | #4 prod-db for 30m
                  | Waiting for approval, 0 of 1. Lapses 2026-01-05 17:00:00 UTC
                  | Requester: @requester
                  | Resource: prod-db
                  | Duration: 30m
                  | Reason: fixing INC-42
                  | Will be done: create a login role for this grant alone, which can do what "app_rw" can, over at most 4 connections
                  | Will be done: when the time is up it can't log in, its sessions are cut, and the role is dropped
                  | 2026-01-05 09:00:00 UTC asked by @requester
                  | [Approve] [Approve for less…] [Deny…] [Withdraw]
      before:   2026-01-05T09:00:00Z    3 | @requester: /access prod-db 30m fixing INC-42 => $fix
                                            > Asked: #4 for 30m of prod-db. It needs one approval; you will be told.
    1 story, 2 steps, 1 failed
    "#);
}

#[test]
fn what_is_refused_and_not_expected_to_be_fails_the_story() {
    is!(of("@requester: /access prod-db 3h fixing INC-42\nexpect no card in #approvals\n"), @"
    1
    failed  DIR/a.story:1
         1 | @requester: /access prod-db 3h fixing INC-42
      expected: it is done, since no `expect refusal` follows
      happened: the answer, refused (too_long):
                  > prod-db is given for 2h at most, and this asks for 3h. Ask for 2h.
    1 story, 1 step, 1 failed
    ");
    is!(of("@requester: /access prod-db 3h fixing INC-42 => $fix\nexpect refusal: too_long\n"), @"
    1
    failed  DIR/a.story:1
         1 | @requester: /access prod-db 3h fixing INC-42 => $fix
      expected: a request comes of it, to be called `$fix`
      happened: the answer, refused (too_long):
                  > prod-db is given for 2h at most, and this asks for 3h. Ask for 2h.
    1 story, 1 step, 1 failed
    ");
}

#[test]
fn another_refusal_than_the_expected_one_is_told_with_its_code() {
    let story = "@requester: /access prod-db 30m fixing INC-42 => $fix
@requester: /access approve $fix
expect refusal: not_yours
";
    is!(of(story), @"
    1
    failed  DIR/a.story:3
         3 | expect refusal: not_yours
      expected: a refusal: not_yours
      happened: the answer, refused (own_request):
                  > People can't approve their own request, from any account. Ask approver.
      before:   2026-01-05T09:00:00Z    1 | @requester: /access prod-db 30m fixing INC-42 => $fix
                                            > Asked: #4 for 30m of prod-db. It needs one approval; you will be told.
                2026-01-05T09:00:00Z    2 | @requester: /access approve $fix
                                            > People can't approve their own request, from any account. Ask approver.
    1 story, 3 steps, 1 failed
    ");
    is!(of("@requester: /access list\nexpect refusal: not_yours\n"), @"
    1
    failed  DIR/a.story:2
         2 | expect refusal: not_yours
      expected: a refusal: not_yours
      happened: the answer, info:
                  > Nothing is pending, and nothing is live.
      before:   2026-01-05T09:00:00Z    1 | @requester: /access list
                                            > Nothing is pending, and nothing is live.
    1 story, 2 steps, 1 failed
    ");
}

#[test]
fn a_grant_that_is_not_where_it_should_be() {
    let story = "@requester on slack: /access prod-host 30m fixing INC-42 => $fix
@second: /access approve $fix go ahead
expect grant $fix live until 09:30
after 29m
expect grant $fix ended
";
    is!(of(story), @"
    1
    failed  DIR/a.story:5
         5 | expect grant $fix ended
      expected: the grant of $fix (#4) is ended
      happened: it is live until 2026-01-05 09:30:00 UTC, and its door is open
                the card in #approvals on slack:
                  | #4 prod-host for 30m
                  | Live until 2026-01-05 09:30:00 UTC
                  | Requester: @requester
                  | Resource: prod-host
                  | Duration: 30m
                  | Reason: fixing INC-42
                  | Will be done: sign an SSH certificate to log in as deploy
                  | Will be done: it expires when the time is up; sessions are cut then
                  | 2026-01-05 09:00:00 UTC asked by @requester in Slack
                  | 2026-01-05 09:00:00 UTC approved by @second: go ahead
                  | 2026-01-05 09:00:00 UTC the provider was told to open it
                  | 2026-01-05 09:00:00 UTC opened, until 2026-01-05 09:30:00 UTC
                  | [Show credential] [Extend…] [Give back] [Revoke…]
      before:   2026-01-05T09:00:00Z    1 | @requester on slack: /access prod-host 30m fixing INC-42 => $fix
                                            > Asked: #4 for 30m of prod-host. It needs one approval; you will be told.
                2026-01-05T09:00:00Z    2 | @second: /access approve $fix go ahead
                                            > Approved #4 for 30m of prod-host. It is being opened.
                2026-01-05T09:29:00Z    4 | after 29m
    1 story, 5 steps, 1 failed
    ");
    let story = "at 2026-07-01 09:00 Europe/Berlin
@requester: /access prod-host 30m fixing INC-42 => $fix
@second: /access approve $fix
expect grant $fix live until 07:30
";
    is!(of(story), @"
    1
    failed  DIR/a.story:4
         4 | expect grant $fix live until 07:30
      expected: the grant of $fix (#4) is live until 07:30:00 Europe/Berlin
      happened: it is live until 2026-07-01 09:30:00 Europe/Berlin, and its door is open
                the card in #approvals on slack:
                  | #4 prod-host for 30m
                  | Live until 2026-07-01 07:30:00 UTC
                  | Requester: @requester
                  | Resource: prod-host
                  | Duration: 30m
                  | Reason: fixing INC-42
                  | Will be done: sign an SSH certificate to log in as deploy
                  | Will be done: it expires when the time is up; sessions are cut then
                  | 2026-07-01 07:00:00 UTC asked by @requester
                  | 2026-07-01 07:00:00 UTC approved by @second
                  | 2026-07-01 07:00:00 UTC the provider was told to open it
                  | 2026-07-01 07:00:00 UTC opened, until 2026-07-01 07:30:00 UTC
                  | [Show credential] [Extend…] [Give back] [Revoke…]
      before:   2026-07-01T07:00:00Z    1 | at 2026-07-01 09:00 Europe/Berlin
                2026-07-01T07:00:00Z    2 | @requester: /access prod-host 30m fixing INC-42 => $fix
                                            > Asked: #4 for 30m of prod-host. It needs one approval; you will be told.
                2026-07-01T07:00:00Z    3 | @second: /access approve $fix
                                            > Approved #4 for 30m of prod-host. It is being opened.
    1 story, 4 steps, 1 failed
    ");
}

#[test]
fn notices_and_entries_are_those_of_the_last_statement() {
    let story = "@requester: /access prod-db 30m fixing INC-42 => $fix
@approver: /access approve $fix
expect notice to @requester on slack: is live
expect no notice to @approver
expect entry grant.issued
expect no entry grant.ended
after 1m
expect no notice to @requester
expect no entry grant.issued
restart
expect entry grant.issued
";
    is!(of(story), @"
    1
    failed  DIR/a.story:11
        11 | expect entry grant.issued
      expected: an entry `grant.issued`
      happened: written were service.started
      before:   2026-01-05T09:00:00Z    1 | @requester: /access prod-db 30m fixing INC-42 => $fix
                                            > Asked: #4 for 30m of prod-db. It needs one approval; you will be told.
                2026-01-05T09:00:00Z    2 | @approver: /access approve $fix
                                            > Approved #4 for 30m of prod-db. It is being opened.
                2026-01-05T09:01:00Z    7 | after 1m
                2026-01-05T09:01:00Z   10 | restart
    1 story, 11 steps, 1 failed
    ");
    is!(of("@requester: /access prod-db 30m x\nexpect notice to @approver: a request waits\n"), @"
    1
    failed  DIR/a.story:2
         2 | expect notice to @approver: a request waits
      expected: a notice to @approver: a request waits
      happened: nobody was told anything in the last statement that did something
      before:   2026-01-05T09:00:00Z    1 | @requester: /access prod-db 30m x
                                            > Asked: #4 for 30m of prod-db. It needs one approval; you will be told.
    1 story, 2 steps, 1 failed
    ");
    is!(of("restart\nexpect entry service.started\nexpect no entry service.started\n"), @"
    1
    failed  DIR/a.story:3
         3 | expect no entry service.started
      expected: no entry `service.started`
      happened: written were service.started
      before:   2026-01-05T09:00:00Z    1 | restart
    1 story, 3 steps, 1 failed
    ");
}

#[test]
fn a_button_that_nobody_sees_can_not_be_pressed() {
    let story = "@requester: /access prod-db 30m fixing INC-42 => $fix\n@approver on discord presses Revoke on $fix\n";
    is!(of(story), @"
    1
    failed  DIR/a.story:2
         2 | @approver on discord presses Revoke on $fix
      expected: @approver sees a button `Revoke` for #4
      happened: the buttons are [Approve] [Approve for less…] [Deny…] [Withdraw]
      before:   2026-01-05T09:00:00Z    1 | @requester: /access prod-db 30m fixing INC-42 => $fix
                                            > Asked: #4 for 30m of prod-db. It needs one approval; you will be told.
    1 story, 2 steps, 1 failed
    ");
}

#[test]
fn a_call_that_hangs_is_answered_as_time_passes() {
    let story = "@requester: /access prod-db 30m fixing INC-42 => $fix
@approver: /access approve $fix
provider prod-db hangs
@requester presses Show credential on $fix
expect no entry credential.failed
after 31s
expect fault: did not answer within 30 s
expect entry credential.failed
@requester: /access done $fix
expect grant $fix ending returned
restart
expect entry service.started
expect grant $fix ending returned
provider prod-db is back
after 31s
expect grant $fix ended returned
expect verify
";
    is!(of(story), @"
    0
    passed  DIR/a.story (17 steps)
    1 story, 17 steps, 0 failed
    ");
}

#[test]
fn the_clock_of_a_story_does_not_go_back() {
    is!(of("at 2026-11-21 02:00 Europe/Berlin\nafter 1h\nat 2026-11-21 02:30\n"), @"
    1
    failed  DIR/a.story:3
         3 | at 2026-11-21 02:30
      expected: the clock goes on to 2026-11-21 02:30:00
      happened: it is 2026-11-21 03:00:00 already, and it never goes back
      before:   2026-11-21T01:00:00Z    1 | at 2026-11-21 02:00 Europe/Berlin
                2026-11-21T02:00:00Z    2 | after 1h
    1 story, 3 steps, 1 failed
    ");
}

#[test]
fn a_story_without_an_end_is_ended() {
    let story = "@requester: /access prod-db 30m fixing INC-42 => $fix
@approver: /access approve $fix
provider prod-db fails
after 366d
";
    is!(of(story), @"
    1
    failed  DIR/a.story:4
         4 | after 366d
      expected: the story comes to an end
      happened: the clock was moved 20000 times, from one thing that was due to the next, and there is still more to come
      before:   2026-01-05T09:00:00Z    1 | @requester: /access prod-db 30m fixing INC-42 => $fix
                                            > Asked: #4 for 30m of prod-db. It needs one approval; you will be told.
                2026-01-05T09:00:00Z    2 | @approver: /access approve $fix
                                            > Approved #4 for 30m of prod-db. It is being opened.
                2026-01-05T09:00:00Z    3 | provider prod-db fails
    1 story, 4 steps, 1 failed
    ");
}

#[test]
fn a_story_says_who_is_in_a_group_that_is_kept_elsewhere() {
    let stories = Stories::new(&[
        (
            "1.story",
            "reload new
@requester: /access prod-db 30m fixing INC-42 => $fix
@second: /access approve $fix
expect refusal: rules
group dba is @second, @guard
@second: /access approve $fix
expect grant $fix live
@requester: /access prod-db 30m fixing INC-43 => $next
group dba is away
@second: /access approve $next
expect refusal: what can't be found out is a no
group dba is nobody
@second: /access approve $next
expect refusal: you are no approver
",
        ),
        ("2.story", "reload new\ngroup sre is @second\ngroup dbs is nobody\ngroup dba is @secnd\ngroup dba @second\n"),
    ]);
    std::fs::create_dir(stories.path("new")).unwrap();
    let people = std::fs::read_to_string(format!("{SAMPLE}/people.toml")).unwrap();
    let sourced = "name    = \"dba\"\npagerduty_schedule = \"PABC123\"";
    let people = people.replace("name    = \"dba\"\nmembers = [\"approver\"]", sourced);
    assert!(people.contains(sourced), "{people}");
    std::fs::write(stories.path("new/people.toml"), people).unwrap();
    is!(stories.told(&[&stories.path("")]), @"
    1
    passed  DIR/1.story (14 steps)
    DIR/2.story:2:7: no group `sre` has a source in the config
       |
     2 | group sre is @second
       |       ^
      hint: who is in any other group stands in `people.toml`

    DIR/2.story:3:7: no group `dbs` has a source in the config
       |
     3 | group dbs is nobody
       |       ^
      hint: did you mean `dba`?

    DIR/2.story:4:14: there is no person `secnd` in the config
       |
     4 | group dba is @secnd
       |              ^
      hint: did you mean `second`?

    DIR/2.story:5:11: who is in it?
       |
     5 | group dba @second
       |           ^
      hint: write `group oncall is @second, @approver`, `is nobody` or `is away`

    failed  DIR/2.story: it can't be played, 4 problems
    2 stories, 14 steps, 1 failed
    ");
}

#[test]
fn other_rules_are_loaded_from_beside_the_story() {
    let stories = Stories::new(&[
        (
            "1.story",
            "reload new\nexpect in #security: fifth\n@fifth: /access prod-db 30m x => $x\n@approver: /access approve $x\nexpect grant $x live\n",
        ),
        ("2.story", "@fifth: /access prod-db 30m x\nreload new\n"),
        ("3.story", "reload wrong\n"),
        ("4.story", "clock is 1h behind\nexpect nothing in #security\n"),
    ]);
    for folder in ["new", "wrong"] {
        std::fs::create_dir(stories.path(folder)).unwrap();
    }
    let people = std::fs::read_to_string(format!("{SAMPLE}/people.toml")).unwrap();
    std::fs::write(stories.path("new/people.toml"), format!("{people}\n[[person]]\nname = \"fifth\"\n")).unwrap();
    std::fs::write(stories.path("wrong/people.toml"), people.replace("[\"guard\"]", "[\"gaurd\"]")).unwrap();
    is!(stories.told(&[&stories.path("")]), @r#"
    1
    passed  DIR/1.story (5 steps)
    DIR/2.story:1:1: there is no person `fifth` in the config
       |
     1 | @fifth: /access prod-db 30m x
       | ^
      hint: `people.toml` has approver, guard, requester, second

    failed  DIR/2.story: it can't be played, 1 problem
    DIR/3.story:1:8: the config in `wrong` can't be loaded
       |
     1 | reload wrong
       |        ^
      hint: people.toml:39:12: there is no person `gaurd`
        |
     39 | members = ["gaurd"]
        |            ^
      hint: did you mean `guard`?

    failed  DIR/3.story: it can't be played, 1 problem
    failed  DIR/4.story:2
         2 | expect nothing in #security
      expected: nothing in #security
      happened: in #security on playground: The clock was set / The machine's clock was set. No access lasts longer for it, but one may have ended early. Entry 2 says how.
      before:   2026-01-05T09:00:00Z    1 | clock is 1h behind
    4 stories, 7 steps, 3 failed
    "#);
}
