//! Approved ahead: by a rule, or by a person for a while.

use insta::assert_snapshot as is;

use super::*;

fn allow(person: &str, secs: u64, window: u64) -> Action {
    Action::Allow {
        person: person.into(),
        resource: "db".into(),
        span: Span::from_secs(secs).unwrap(),
        window: Span::from_secs(window).unwrap(),
        reason: "the migration".into(),
    }
}

#[test]
fn a_rule_approves_what_is_on_the_disk_and_says_so() {
    let mut world = World::new();
    world.rules.automatic = vec!["ana"];
    world.cut_off = true;
    is!(world.says("ana", ask("db", 600)), @r#"access.requested {"channel":"approvals","duration_secs":600,"lapse_at":"2026-11-20T10:00:00Z","manner":{"automatic":true},"message":2,"plan":["a token"],"policies":["askers"],"quorum":1,"requester":"e7f32f6c80f665442e2516babc4497f6","resource":"db","target":{"provider":"token","settings":{}}}"#);
    // What it approves is the entry, which was on the disk first.
    world.cut_off = false;
    is!(world.after(0), @r#"
    request.autoapproved {"policies":["db.automatic"],"request":3,"terms":"leaf-3"}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:10:00Z","request":3}
    "#);
}

#[test]
fn a_rule_that_was_taken_away_in_between_approves_nothing() {
    let mut world = World::new();
    world.rules.automatic = vec!["ana"];
    world.cut_off = true;
    world.says("ana", ask("db", 600));
    let id = world.newest();
    world.rules.automatic = vec![];
    world.cut_off = false;
    is!(world.after(0), @r#"request.reconsidered {"request":3}"#);
    assert_eq!(*world.phase(id), Phase::Pending);
    is!(world.after(0), @"nothing");
    assert!(world.says("bea", approve(id)).starts_with("request.approved"));
}

#[test]
fn a_person_approves_ahead_for_a_while_and_no_longer() {
    let mut world = World::new();
    is!(world.says("bea", allow("ana", 600, 3600)), @r#"preapproval.given {"by":"7ac2fd0d4b870eb5f8610fa4373707b7","duration_secs":600,"message":2,"person":"e7f32f6c80f665442e2516babc4497f6","policies":["db.approvers"],"resource":"db","until":"2026-11-20T10:00:00Z"}"#);
    is!(world.says("ana", ask("db", 600)), @r#"
    access.requested {"channel":"approvals","duration_secs":600,"lapse_at":"2026-11-20T10:00:00Z","manner":{"automatic":true},"message":5,"plan":["a token"],"policies":["askers"],"quorum":1,"requester":"e7f32f6c80f665442e2516babc4497f6","resource":"db","target":{"provider":"token","settings":{}}}
    request.approved {"by":"7ac2fd0d4b870eb5f8610fa4373707b7","message":5,"policies":["db.approvers"],"preapproval":4,"request":6,"terms":"leaf-6"}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_6","not_after":"2026-11-20T09:10:00Z","request":6}
    "#);
    is!(world.after(0), @"nothing");
    world.says("ana", ask("db", 601));
    let longer = world.newest();
    is!(world.after(0), @"nothing");
    assert_eq!(*world.phase(longer), Phase::Pending, "longer than was allowed");
    world.says("ana", Action::Cancel { request: longer });
    world.says("cas", ask("db", 600));
    assert_eq!(*world.phase(world.newest()), Phase::Pending, "somebody else");
    world.after(3600);
    world.says("ana", ask("db", 600));
    world.after(0);
    assert_eq!(*world.phase(world.newest()), Phase::Pending, "too late");
}

#[test]
fn one_pre_approval_is_one_approval() {
    let mut world = World::new();
    world.rules.quorum_db = 2;
    world.says("bea", allow("ana", 600, 3600));
    world.says("bea", allow("ana", 900, 3600));
    world.says("ana", ask("db", 600));
    let id = world.newest();
    is!(world.after(0), @"nothing");
    assert_eq!(*world.phase(id), Phase::Pending);
    is!(world.says("bea", approve(id)), @"refused: you have already approved #8. It waits for somebody else");
    assert!(world.says("cas", approve(id)).contains("grant.ordered"));
}

#[test]
fn a_pre_approval_counts_only_as_long_as_its_giver_may_approve() {
    let mut world = World::new();
    world.says("bea", allow("ana", 600, 3600));
    world.rules.approvers_db = vec!["cas"];
    world.says("ana", ask("db", 600));
    let id = world.newest();
    is!(world.after(0), @"nothing");
    assert_eq!(*world.phase(id), Phase::Pending);
}

#[test]
fn who_may_say_so_for_whom_and_for_what() {
    let mut world = World::new();
    is!(world.says("dan", allow("ana", 600, 3600)), @"refused: you are no approver");
    is!(world.says("bea", allow("bea", 600, 3600)), @"refused: people can't approve their own request, from any account. Ask cas");
    is!(world.says_on(Chat::Slack, "T/bea", allow("bea", 600, 3600)), @"refused: people can't approve their own request, from any account. Ask cas");
    is!(world.says("bea", allow("zoe", 600, 3600)), @"refused: there is nobody called `zoe`. `/access allow ana prod-db 30m <reason>` names them as in `people.toml`");
    is!(world.says("bea", allow("ana", 7201, 3600)), @"refused: `db` is given for 2h at most, and this asks for 2h1s. Ask for `2h`");
    is!(world.says("bea", allow("ana", 600, 8 * 24 * 3600)), @"refused: a pre-approval holds for 7 days at most");
    world.rules.askers = vec!["bea"];
    is!(world.says("bea", allow("ana", 600, 3600)), @"refused: `ana` may not ask for it: not for you");
    assert_eq!(world.state.preapprovals().count(), 0);
}

#[test]
fn it_is_taken_back_by_its_giver_and_by_those_who_may_end_access() {
    let mut world = World::new();
    world.says("bea", allow("ana", 600, 3600));
    let id = RequestId(world.state.preapprovals().next().unwrap().0);
    is!(world.says("cas", Action::Cancel { request: id }), @"refused: #4 is not yours: only bea can do that");
    is!(world.says("bea", Action::Cancel { request: id }), @r#"preapproval.withdrawn {"by":"7ac2fd0d4b870eb5f8610fa4373707b7","message":8,"preapproval":4}"#);
    world.says("bea", allow("ana", 600, 3600));
    let id = RequestId(world.state.preapprovals().next().unwrap().0);
    is!(world.says("dan", Action::Revoke { request: id, reason: "no".into() }), @"refused: you are no approver");
    is!(world.says("cas", Action::Revoke { request: id, reason: "called off".into() }), @r#"preapproval.withdrawn {"by":"1b5dcfb3ae5b6f8f8245ffcdec1c1acf","message":15,"preapproval":11}"#);
    assert_eq!(world.state.preapprovals().count(), 0);
    world.says("ana", ask("db", 600));
    assert_eq!(world.after(0), "nothing");
}
