//! Break-glass: in at once, loudly, and reviewed by somebody else.

use insta::assert_snapshot as is;

use super::*;

/// Ana broke the glass for `db`, and is in.
fn broken(world: &mut World) -> RequestId {
    world.says("ana", glass("db", 1800));
    let id = world.newest();
    world.command(&issued(id, 1, ProviderOutcome::Done));
    id
}

#[test]
fn in_at_once_and_everybody_is_called() {
    let mut world = World::new();
    is!(world.says("ana", glass("db", 1800)), @r#"
    access.requested {"channel":"approvals","duration_secs":1800,"lapse_at":"2026-11-20T09:00:00Z","manner":{"break_glass":true,"review_within_secs":86400,"also":["security"]},"message":2,"plan":["a token"],"policies":["db.break_glass"],"quorum":0,"requester":"e7f32f6c80f665442e2516babc4497f6","resource":"db","target":{"provider":"token","settings":{}}}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:30:00Z","request":3}
    people.called {"request":3,"to":["ed2660066b6b67382a9012c6ef3a3460","1b5dcfb3ae5b6f8f8245ffcdec1c1acf"],"why":"break_glass"}
    "#);
    let id = world.newest();
    let request = world.state.request(id).unwrap();
    assert_eq!(request.manner.also, ["security"]);
    assert_eq!(world.to_tell(id), ["BreakGlass to bea", "BreakGlass to cas"]);
    world.command(&issued(id, 1, ProviderOutcome::Done));
    assert!(matches!(world.phase(id), Phase::Live { .. }));
}

#[test]
fn it_needs_a_reason_a_right_and_an_end() {
    let mut world = World::new();
    let bare = Action::BreakGlass {
        resource: "db".into(),
        span: Span::from_secs(60).unwrap(),
        reason: " ".into(),
        plan: vec![],
    };
    is!(world.says("ana", bare), @"refused: a reason is needed, for the people concerned and for the log, for example `/access break-glass prod-db 30m the orders are down, INC-42`");
    is!(world.says("dan", glass("db", 60)), @"refused: you are no approver");
    is!(world.says("ana", glass("db", 7201)), @"refused: `db` is given for 2h at most, and this asks for 2h1s. Ask for `2h`");
    assert_eq!(world.state.requests().count(), 0);
}

#[test]
fn an_approver_cuts_it_without_a_word() {
    let mut world = World::new();
    let id = broken(&mut world);
    is!(world.says("dan", Action::Revoke { request: id, reason: String::new() }), @"refused: you are no approver");
    is!(world.says("cas", Action::Revoke { request: id, reason: String::new() }), @r#"grant.ending {"by":"1b5dcfb3ae5b6f8f8245ffcdec1c1acf","cause":"revoked","message":12,"request":3}"#);
    assert!(matches!(world.phase(id), Phase::Ending { cause: Cause::Revoked, .. }));
    // What was asked in the usual way is ended with a reason.
    let usual = {
        world.says("dan", ask("db", 60));
        world.newest()
    };
    world.says("bea", approve(usual));
    is!(world.says("cas", Action::Revoke { request: usual, reason: String::new() }), @"refused: a reason is needed, for the people concerned and for the log, for example `/access revoke 17 the incident is over`");
}

#[test]
fn it_owes_a_review_by_somebody_else_and_the_next_one_waits_for_it() {
    let mut world = World::new();
    let id = broken(&mut world);
    is!(world.says("bea", review(id, Finding::Ok)), @"refused: #3 is not over yet, and a review looks back. `/access revoke 3` cuts it now");
    is!(world.says("ana", glass("api", 60)), @"refused: your last break-glass, #3 for `db`, has not been reviewed yet, and until it is you can't break the glass again. Ask bea or cas");
    is!(world.after(1800), @r#"grant.ending {"cause":"expired","request":3}"#);
    is!(world.command(&closed(id)), @r#"
    grant.ended {"cause":"expired","request":3}
    people.called {"request":3,"to":["ed2660066b6b67382a9012c6ef3a3460","1b5dcfb3ae5b6f8f8245ffcdec1c1acf"],"why":"review"}
    "#);
    assert_eq!(
        world.to_tell(id),
        ["BreakGlass to bea", "BreakGlass to cas", "Ended to ana", "Review to bea", "Review to cas"]
    );
    is!(world.says("ana", glass("api", 60)), @"refused: your last break-glass, #3 for `db`, has not been reviewed yet, and until it is you can't break the glass again. Ask bea or cas");
    is!(world.says("ana", review(id, Finding::Ok)), @"refused: nobody reviews their own break-glass. Ask bea or cas");
    is!(world.says_on(Chat::Slack, "T/ana", review(id, Finding::Ok)), @"refused: nobody reviews their own break-glass. Ask bea or cas");
    is!(world.says("dan", review(id, Finding::Ok)), @"refused: you are no approver");
    is!(world.says("cas", Action::Review { request: id, finding: Finding::Ok, notes: String::new() }), @"refused: a reason is needed, for the people concerned and for the log, for example `/access review 17 ok the orders were down, one row was mended`");
    is!(world.says("cas", review(id, Finding::Concern)), @r#"review.given {"by":"1b5dcfb3ae5b6f8f8245ffcdec1c1acf","finding":"concern","message":27,"policies":["db.approvers"],"request":3}"#);
    assert_eq!(world.to_tell(id), ["Ended to ana", "Reviewed to ana"]);
    assert_eq!(world.state.bulletins().map(|bulletin| bulletin.topic).collect::<Vec<_>>(), [Topic::Concern]);
    is!(world.says("bea", review(id, Finding::Ok)), @"refused: #3 was reviewed already, by cas");
    assert!(world.says("ana", glass("api", 60)).starts_with("access.requested"));
}

#[test]
fn a_review_that_is_owed_is_reminded_and_escalated_and_never_forgotten() {
    let mut world = World::new();
    let id = broken(&mut world);
    world.says("ana", Action::Done { request: id });
    world.command(&closed(id));
    is!(world.after(12 * 3600 - 1), @"nothing");
    is!(world.after(1), @r#"people.called {"request":3,"to":["ed2660066b6b67382a9012c6ef3a3460","1b5dcfb3ae5b6f8f8245ffcdec1c1acf"],"why":"review_reminder"}"#);
    is!(world.after(12 * 3600), @r#"people.called {"request":3,"to":["ed2660066b6b67382a9012c6ef3a3460","1b5dcfb3ae5b6f8f8245ffcdec1c1acf"],"why":"review_overdue"}"#);
    is!(world.after(1_000_000), @"nothing");
    assert!(world.state.request(id).unwrap().owes_review());
    is!(world.says("ana", glass("db", 60)), @"refused: your last break-glass, #3 for `db`, has not been reviewed yet, and until it is you can't break the glass again. Ask bea or cas");
    // It is open as long as the review is owed, however many others come and go.
    for _ in 0..FINISHED_MANY {
        world.says("bea", ask("db", 60));
        let other = world.newest();
        world.says("bea", Action::Cancel { request: other });
    }
    assert!(world.state.request(id).is_some());
    world.says("bea", review(id, Finding::Ok));
    assert!(world.state.request(id).unwrap().over());
}

const FINISHED_MANY: usize = 1_100;

#[test]
fn what_could_not_be_opened_owes_nothing() {
    let mut world = World::new();
    world.says("ana", glass("db", 1800));
    let id = world.newest();
    let outcome = ProviderOutcome::Failed { class: FailureClass::Permanent, words: "no such role".into() };
    is!(world.command(&issued(id, 1, outcome)), @r#"grant.failed {"attempt":1,"request":3}"#);
    is!(world.says("bea", review(id, Finding::Ok)), @"refused: #3 could not be opened, so there is nothing to review");
    assert!(world.says("ana", glass("db", 60)).starts_with("access.requested"));
}

#[test]
fn a_usual_access_owes_no_review() {
    let mut world = World::new();
    let id = world.live();
    is!(world.says("bea", review(id, Finding::Ok)), @"refused: #3 was no break-glass, so it owes no review");
}
