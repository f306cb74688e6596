//! The ways people have tried to approve themselves, each played against the sample config and the rules that somebody
//! might have written for it. All are refused, with the reason.

use std::path::Path;

use insta::assert_snapshot as is;

use crate::support::{
    demo::countersign,
    stories::{SAMPLE, Stories},
};

/// The sample config with more rules, or with another text in a file.
fn config(stories: &Stories, name: &str, policy: &str, (file, from, to): (&str, &str, &str)) -> String {
    let dir = stories.dir.path().join(name);
    std::fs::create_dir(&dir).unwrap();
    for entry in std::fs::read_dir(SAMPLE).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
        }
    }
    let edit = |file: &str, edit: &dyn Fn(String) -> String| {
        let path: &Path = &dir.join(file);
        std::fs::write(path, edit(std::fs::read_to_string(path).unwrap())).unwrap();
    };
    edit("policy.cedar", &|text| format!("{text}\n{policy}"));
    edit(file, &|text| {
        assert!(text.contains(from), "{file} has no {from:?}");
        text.replacen(from, to, 1)
    });
    dir.to_string_lossy().into_owned()
}

const SAME: (&str, &str, &str) = ("people.toml", "[[person]]", "[[person]]");

/// A story against the sample with more rules, told as far as it can be read: refusals with their words.
fn played(policy: &str, edit: (&str, &str, &str), story: &str) -> String {
    let stories = Stories::new(&[("a.story", story)]);
    let dir = config(&stories, "rules", policy, edit);
    let (code, said, errors) = countersign(&["rehearse", "--config", &dir, &stories.path("a.story")]);
    assert_eq!(code, 0, "{said}{errors}");
    let (_, json, _) = countersign(&["rehearse", "--json", "--config", &dir, &stories.path("a.story")]);
    refusals(&json)
}

fn refusals(json: &str) -> String {
    let mut told = Vec::new();
    for line in json.lines() {
        let story: serde_json::Value = serde_json::from_str(line).unwrap();
        for step in story["steps"].as_array().unwrap() {
            if step["answer"]["tone"] == "refused" {
                let words: Vec<&str> =
                    step["answer"]["lines"].as_array().unwrap().iter().filter_map(|line| line.as_str()).collect();
                told.push(format!("{}: {}", step["answer"]["code"].as_str().unwrap(), words.join(" ")));
            }
        }
    }
    told.join("\n")
}

#[test]
fn by_command_and_by_button_from_every_account_one_has() {
    let told = played(
        "",
        SAME,
        "@approver: /access prod-db 30m fixing INC-42 => $own
@approver: /access approve $own
expect refusal: own_request
@approver presses Approve on $own
expect refusal: own_request
@approver presses Approve for less on $own: 5m
expect refusal: own_request
@approver on slack: /access approve $own
expect refusal: own_request
@approver on discord presses Approve on $own
expect refusal: own_request
expect grant $own pending
",
    );
    is!(told, @"
    own_request: People can't approve their own request, from any account. Nobody else may approve it either: ask whoever looks after the config.
    own_request: People can't approve their own request, from any account. Nobody else may approve it either: ask whoever looks after the config.
    own_request: People can't approve their own request, from any account. Nobody else may approve it either: ask whoever looks after the config.
    own_request: People can't approve their own request, from any account. Nobody else may approve it either: ask whoever looks after the config.
    own_request: People can't approve their own request, from any account. Nobody else may approve it either: ask whoever looks after the config.
    ");
}

#[test]
fn as_a_member_of_the_group_that_approves() {
    let told = played(
        "",
        ("people.toml", "members = [\"approver\"]", "members = [\"approver\", \"requester\"]"),
        "@requester: /access prod-db 30m fixing INC-42 => $own
@requester: /access approve $own
expect refusal: own_request
expect grant $own pending
@approver: /access approve $own
expect grant $own live
",
    );
    is!(told, @"own_request: People can't approve their own request, from any account. Ask approver.");
}

#[test]
fn by_a_rule_that_permits_everything() {
    let told = played(
        "@id(\"everything\") permit (principal, action, resource);",
        SAME,
        "@requester: /access prod-db 30m fixing INC-42 => $own
expect grant $own pending
@requester: /access approve $own
expect refusal: own_request
@requester on slack presses Approve on $own
expect refusal: own_request
expect grant $own pending
",
    );
    is!(told, @"
    own_request: People can't approve their own request, from any account. Ask approver, guard or second.
    own_request: People can't approve their own request, from any account. Ask approver, guard or second.
    ");
}

#[test]
fn by_a_rule_that_permits_the_asker_to_approve() {
    let told = played(
        "@id(\"me\") permit (principal == Countersign::Principal::\"requester\", action == Countersign::Action::\"approve\", resource);",
        SAME,
        "@requester: /access prod-db 30m fixing INC-42 => $own
@requester: /access approve $own
expect refusal: own_request
expect grant $own pending
",
    );
    is!(told, @"own_request: People can't approve their own request, from any account. Ask approver.");
}

#[test]
fn by_a_rule_that_approves_by_itself_and_names_the_asker() {
    let story = "@requester: /access prod-db 30m fixing INC-42 => $own
expect answer: the rule me does not approve it: it names you
expect card $own in #approvals: not by the rule me, which names the requester
expect grant $own pending
@requester: /access approve $own
expect refusal: own_request
";
    let by_scope = "@id(\"me\") permit (principal == Countersign::Principal::\"requester\", action == Countersign::Action::\"autoApprove\", resource);";
    let by_condition = "@id(\"me\") permit (principal, action == Countersign::Action::\"autoApprove\", resource) when { principal == Countersign::Principal::\"requester\" };";
    let by_requester = "@id(\"me\") permit (principal, action == Countersign::Action::\"autoApprove\", resource) when { context.requester == Countersign::Principal::\"requester\" };";
    let told = [by_scope, by_condition, by_requester].map(|policy| played(policy, SAME, story));
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0], told[2]);
    is!(told[0], @"own_request: People can't approve their own request, from any account. Ask approver.");
    // It is told before it is loaded, too.
    let stories = Stories::new(&[]);
    let dir = config(&stories, "rules", by_scope, SAME);
    let (_, said, errors) = countersign(&["check", "--config", &dir]);
    let told = format!("{said}{errors}");
    assert!(told.contains("policy `me` approves by itself and names `requester`"), "{told}");
}

#[test]
fn by_a_pre_approval_for_oneself() {
    let told = played(
        "",
        SAME,
        "@approver: /access allow approver prod-db 30m let me in
expect refusal: own_request
@approver on slack: /access allow approver prod-db 30m let me in
expect refusal: own_request
@requester: /access allow requester prod-db 30m let me in
expect refusal: own_request
@approver: /access prod-db 30m let me in => $own
expect grant $own pending
",
    );
    is!(told, @"
    own_request: People can't approve their own request, from any account. Nobody else may approve it either: ask whoever looks after the config.
    own_request: People can't approve their own request, from any account. Nobody else may approve it either: ask whoever looks after the config.
    own_request: People can't approve their own request, from any account. Ask approver.
    ");
}

/// A pre-approval of somebody who has the same accounts by the time it is used would be one's own.
#[test]
fn after_a_reload_that_makes_the_asker_an_approver() {
    let stories = Stories::new(&[]);
    let later = config(
        &stories,
        "later",
        "@id(\"everything\") permit (principal, action, resource);",
        ("people.toml", "members = [\"approver\"]", "members = [\"approver\", \"requester\"]"),
    );
    std::fs::write(
        stories.dir.path().join("a.story"),
        format!(
            "@requester: /access prod-db 30m fixing INC-42 => $own
reload {later}
@requester: /access approve $own
expect refusal: own_request
@requester on slack presses Approve on $own
expect refusal: own_request
expect grant $own pending
@requester: /access prod-host 30m something else => $more
@requester: /access approve $more
expect refusal: own_request
"
        ),
    )
    .unwrap();
    let (code, said, errors) = countersign(&["rehearse", "--config", SAMPLE, &stories.path("a.story")]);
    assert_eq!(code, 0, "{said}{errors}");
    let (_, json, _) = countersign(&["rehearse", "--json", "--config", SAMPLE, &stories.path("a.story")]);
    is!(refusals(&json), @"
    own_request: People can't approve their own request, from any account. Ask approver, guard or second.
    own_request: People can't approve their own request, from any account. Ask approver, guard or second.
    own_request: People can't approve their own request, from any account. Ask approver, guard or second.
    ");
}

#[test]
fn by_approving_an_extension_of_one_s_own() {
    let told = played(
        "",
        ("people.toml", "members = [\"approver\"]", "members = [\"approver\", \"requester\"]"),
        "@requester: /access prod-db 30m fixing INC-42 => $fix
@approver: /access approve $fix
expect grant $fix live until 09:30
@requester: /access extend $fix 30m one more deploy => $more
@requester: /access approve $more
expect refusal: own_request
@requester on discord presses Approve on $more
expect refusal: own_request
expect grant $more pending
expect grant $fix live until 09:30
",
    );
    is!(told, @"
    own_request: People can't approve their own request, from any account. Ask approver.
    own_request: People can't approve their own request, from any account. Ask approver.
    ");
}

/// A break-glass is reviewed by somebody else, whatever the rules say.
#[test]
fn by_reviewing_one_s_own_break_glass() {
    let told = played(
        "@id(\"everything\") permit (principal, action, resource);",
        SAME,
        "@requester: /access break-glass prod-db 10m the orders are down => $fire
@requester: /access done $fire
@requester: /access review $fire ok it was me, and it was fine
expect refusal: nobody reviews their own break-glass
@requester on slack presses Review: ok on $fire: it was me
expect refusal: nobody reviews their own break-glass
@requester: /access break-glass prod-db 10m once more
expect refusal: review_owed
",
    );
    is!(told, @"
    words: Nobody reviews their own break-glass. Ask approver, guard or second.
    words: Nobody reviews their own break-glass. Ask approver, guard or second.
    review_owed: Your last break-glass, #4 for prod-db, has not been reviewed yet, and until it is you can't break the glass again. Ask approver, guard or second.
    ");
}
