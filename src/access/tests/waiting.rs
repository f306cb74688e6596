//! A request that waits: reminders, others who may decide, and the end of it.

use insta::assert_snapshot as is;

use super::*;

fn slow() -> World {
    let mut world = World::new();
    world.rules.remind_secs = Some(600);
    world.rules.escalate_secs = Some(1800);
    world.rules.backup = vec!["dan"];
    world
}

#[test]
fn reminded_then_escalated_then_over() {
    let mut world = slow();
    let id = world.asked();
    is!(world.says("dan", approve(id)), @"refused: you are no approver");
    is!(world.after(599), @"nothing");
    is!(world.after(1), @r#"people.called {"request":3,"to":["668d621972e43ab0db6687f86f687387","862621e0d777cf29505e4af76e145c83"],"why":"reminder"}"#);
    assert_eq!(world.to_tell(id), ["Waiting to bea", "Waiting to cas"]);
    is!(world.after(1200), @r#"people.called {"request":3,"to":["668d621972e43ab0db6687f86f687387","862621e0d777cf29505e4af76e145c83","10d1907633503c3b14ee45299550a78f"],"why":"escalation"}"#);
    assert_eq!(
        world.to_tell(id),
        ["Escalated to bea", "Escalated to cas", "Escalated to dan", "Waiting to bea", "Waiting to cas"]
    );
    is!(world.after(1800), @r#"request.lapsed {"request":3}"#);
    assert_eq!(world.to_tell(id), ["Lapsed to ana"], "who was not reminded in time is not reminded of what is over");
}

#[test]
fn those_it_was_escalated_to_may_approve() {
    let mut world = slow();
    let id = world.asked();
    world.after(1800);
    is!(world.says("dan", approve(id)), @r#"
    request.approved {"by":"10d1907633503c3b14ee45299550a78f","message":9,"policies":["db.backup"],"request":3,"terms":"leaf-3"}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T10:00:00Z","request":3}
    "#);
}

#[test]
fn who_approved_is_not_reminded() {
    let mut world = slow();
    world.says("ana", ask("api", 600));
    let id = world.newest();
    world.says("bea", approve(id));
    world.after(600);
    assert_eq!(world.to_tell(id), ["Waiting to cas", "Waiting to dan"]);
}

/// Everything fell into one downtime: what is over is over, and nobody is reminded of it.
#[test]
fn a_long_downtime_ends_what_it_ends() {
    let mut world = slow();
    let id = world.asked();
    world.now += TimeDelta::days(3);
    is!(world.restart(), @r#"
    service.started {"files":[],"version":"0"}
    request.lapsed {"request":3}
    "#);
    assert_eq!(world.to_tell(id), ["Lapsed to ana"]);
}

#[test]
fn broken_rules_refuse_and_somebody_is_told() {
    let mut world = World::new();
    world.rules.broken = true;
    is!(world.says("ana", ask("db", 60)), @"refused: a rule can't be evaluated");
    assert_eq!(world.state.bulletins().map(|bulletin| bulletin.topic).collect::<Vec<_>>(), [Topic::BrokenRule]);
}

#[test]
fn a_report_is_made_once() {
    let mut world = World::new();
    world.asked();
    let due = start() + TimeDelta::hours(1);
    world.after(3601);
    is!(world.command(&Command::Digest { due }), @r#"digest.made {"due":"2026-11-20T10:00:00Z","from":0,"to":5}"#);
    is!(world.command(&Command::Digest { due }), @"nothing");
    world.asked();
    is!(world.command(&Command::Digest { due: due + TimeDelta::weeks(1) }), @r#"digest.made {"due":"2026-11-27T10:00:00Z","from":5,"to":8}"#);
}

#[test]
fn a_bulletin_is_posted_once_on_each_platform() {
    let mut world = World::new();
    world.command(&Command::Started { version: "1".into(), files: vec![], widened: 2 });
    let bulletin = world.state.bulletins().next().unwrap().seq;
    let posted = |chat| Command::BulletinPosted { bulletin, chat, message: "m1".into() };
    is!(world.command(&posted(Chat::Slack)), @r#"bulletin.posted {"bulletin":1,"chat":"slack","message":"m1"}"#);
    is!(world.command(&posted(Chat::Slack)), @"nothing");
    is!(world.command(&posted(Chat::Discord)), @r#"bulletin.posted {"bulletin":1,"chat":"discord","message":"m1"}"#);
}
