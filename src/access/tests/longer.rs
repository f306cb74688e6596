//! More time, less time, and time that starts later.

use insta::assert_snapshot as is;

use super::*;

#[test]
fn more_time_is_a_new_decision_and_interrupts_nothing() {
    let mut world = World::new();
    let base = world.live();
    is!(world.says("ana", extend(base, 900)), @r#"access.requested {"channel":"approvals","duration_secs":900,"lapse_at":"2026-11-20T09:30:00Z","manner":{"extends":3},"message":9,"plan":["a token"],"policies":["askers"],"quorum":1,"requester":"e7f32f6c80f665442e2516babc4497f6","resource":"db","target":{"provider":"token","settings":{}}}"#);
    let more = world.newest();
    assert!(matches!(world.phase(base), Phase::Live { .. }), "what is open stays open");
    is!(world.says("ana", approve(more)), @"refused: people can't approve their own request, from any account. Ask bea or cas");
    is!(world.says("cas", approve(more)), @r#"
    request.approved {"by":"a8140c037d75a996968f08945540b735","message":14,"policies":["db.approvers"],"request":10,"terms":"leaf-10"}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:45:00Z","request":10}
    "#);
    let order = world.state.request(more).unwrap();
    assert_eq!(effects_of(order, world.now).len(), 1, "the provider is called for it");
    is!(world.command(&issued(more, 1, ProviderOutcome::Done)), @r#"grant.extended {"attempt":1,"base":3,"not_after":"2026-11-20T09:45:00Z","request":10}"#);
    assert_eq!(*world.phase(base), Phase::Live { not_after: start() + TimeDelta::seconds(2700) });
    assert_eq!(*world.phase(more), Phase::Extended);
    is!(world.after(2699), @"nothing");
    is!(world.after(1), @r#"grant.ending {"cause":"expired","request":3}"#);
}

#[test]
fn more_time_that_nobody_approves_is_none() {
    let mut world = World::new();
    let base = world.live();
    world.says("ana", extend(base, 900));
    let more = world.newest();
    is!(world.after(1800), @r#"
    grant.ending {"cause":"expired","request":3}
    request.lapsed {"request":10}
    "#);
    assert_eq!(*world.phase(more), Phase::Lapsed);
}

#[test]
fn what_is_given_back_is_not_made_longer() {
    let mut world = World::new();
    let base = world.live();
    world.says("ana", extend(base, 900));
    let more = world.newest();
    is!(world.says("ana", Action::Done { request: base }), @r#"
    grant.ending {"by":"e7f32f6c80f665442e2516babc4497f6","cause":"returned","message":11,"request":3}
    request.lapsed {"request":10}
    "#);
    is!(world.says("cas", approve(more)), @"refused: #10 lapsed without a decision, so there is nothing left to do. `/access show 10` tells more");
}

/// An order that is due again when what it is to extend ends is not given any more.
#[test]
fn no_more_time_is_ordered_for_what_ends_in_the_same_moment() {
    let mut world = World::new();
    let base = world.live();
    world.says("ana", extend(base, 900));
    let more = world.newest();
    world.after(1799);
    world.says("cas", approve(more));
    is!(world.command(&issued(more, 1, failed(FailureClass::Retry))), @r#"grant.deferred {"attempt":1,"request":10,"retry_at":"2026-11-20T09:30:00Z"}"#);
    is!(world.after(1), @r#"
    grant.ending {"cause":"expired","request":3}
    grant.failed {"attempt":1,"request":10}
    "#);
}

/// The provider was told to hold the door open for longer, and its answer comes after the end.
#[test]
fn an_answer_that_comes_too_late_makes_nothing_longer() {
    let mut world = World::new();
    let base = world.live();
    world.says("ana", extend(base, 900));
    let more = world.newest();
    world.says("cas", approve(more));
    is!(world.after(1800), @r#"
    grant.ending {"cause":"expired","request":3}
    grant.failed {"attempt":1,"request":10}
    "#);
    is!(world.command(&issued(more, 1, ProviderOutcome::Done)), @"nothing");
    assert!(matches!(world.phase(base), Phase::Ending { cause: Cause::Expired, .. }));
    is!(world.command(&closed(base)), @r#"grant.ended {"cause":"expired","request":3}"#);
}

#[test]
fn a_provider_that_can_not_make_it_longer_takes_nothing_away() {
    let mut world = World::new();
    let base = world.live();
    world.says("ana", extend(base, 900));
    let more = world.newest();
    world.says("cas", approve(more));
    let failed = |class| ProviderOutcome::Failed { class, words: "away".into() };
    is!(world.command(&issued(more, 1, failed(FailureClass::Unknown))), @r#"grant.deferred {"attempt":1,"request":10,"retry_at":"2026-11-20T09:00:01Z"}"#);
    is!(world.after(1), @r#"grant.ordered {"attempt":2,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:45:00Z","request":10}"#);
    is!(world.command(&issued(more, 2, failed(FailureClass::Permanent))), @r#"grant.failed {"attempt":2,"request":10}"#);
    assert_eq!(*world.phase(more), Phase::Failed);
    assert_eq!(*world.phase(base), Phase::Live { not_after: start() + TimeDelta::seconds(1800) });
}

#[test]
fn an_access_is_never_longer_than_anybody_gets() {
    let mut world = World::new();
    let base = world.live();
    is!(world.says("ana", extend(base, 7200)), @"refused: with 2h more it would be live for longer than the 2h that `db` is given for. Ask for less, or later");
    is!(world.says("ana", extend(base, 7201)), @"refused: `db` is given for 2h at most, and this asks for 2h1s. Ask for `2h`");
    is!(world.says("bea", extend(base, 60)), @"refused: #3 is not yours: only ana can do that");
    assert!(world.says("ana", extend(base, 5400)).starts_with("access.requested"));
    is!(world.says("ana", extend(base, 60)), @"refused: you already have #16 for `db`, which waits for approval. `/access cancel 16` withdraws it");
    // By the time it is decided the rules may be others.
    world.rules.longest = 3600;
    let more = world.newest();
    is!(world.says("cas", approve(more)), @"refused: `db` is given for 1h at most, and this asks for 1h30m. Ask for `1h`");
}

#[test]
fn approved_for_less_than_was_asked() {
    let mut world = World::new();
    let id = world.asked();
    let less =
        |secs| Action::Approve { request: id, span: Some(Span::from_secs(secs).unwrap()), comment: "only that".into() };
    is!(world.says("bea", less(1801)), @"refused: #3 asks for 30m, and 30m1s is more. An approval can only be for less");
    is!(world.says("ana", less(600)), @"refused: people can't approve their own request, from any account. Ask bea or cas");
    is!(world.says("bea", less(600)), @r#"
    request.approved {"by":"dfd431d1066793cb37578fa03a54f845","duration_secs":600,"message":9,"policies":["db.approvers"],"request":3,"terms":"leaf-3"}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:10:00Z","request":3}
    "#);
}

#[test]
fn the_least_that_somebody_approved_is_what_is_given() {
    let mut world = World::new();
    world.says("ana", ask("api", 1800));
    let id = world.newest();
    let less =
        |secs| Action::Approve { request: id, span: Some(Span::from_secs(secs).unwrap()), comment: String::new() };
    world.says("bea", less(900));
    is!(world.says("cas", less(1800)), @r#"
    request.approved {"by":"862621e0d777cf29505e4af76e145c83","message":8,"policies":["api.approvers"],"request":3,"terms":"leaf-3"}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:15:00Z","request":3}
    "#);
}

/// What is too long by now can still be approved for less.
#[test]
fn less_is_possible_where_all_is_not_any_more() {
    let mut world = World::new();
    let id = world.asked();
    world.rules.longest = 900;
    is!(world.says("bea", approve(id)), @"refused: `db` is given for 15m at most, and this asks for 30m. Ask for `15m`");
    is!(world.says("bea", Action::Approve { request: id, span: Some(Span::from_secs(900).unwrap()), comment: String::new() }), @r#"
    request.approved {"by":"dfd431d1066793cb37578fa03a54f845","duration_secs":900,"message":7,"policies":["db.approvers"],"request":3,"terms":"leaf-3"}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:15:00Z","request":3}
    "#);
}

fn later(start: Start) -> Action {
    let Action::Request { resource, span, reason, plan, .. } = ask("db", 1800) else { unreachable!() };
    Action::Request { resource, span, reason, plan, start: Some(start) }
}

fn clock(text: &str) -> Action {
    later(Start::Clock(text.parse().unwrap()))
}

/// 09:00 UTC is 10:00 in Berlin.
#[test]
fn a_start_is_meant_in_the_zone_of_the_resource() {
    let mut world = World::new();
    is!(world.says("ana", clock("11:30:00")), @r#"access.requested {"channel":"approvals","duration_secs":1800,"lapse_at":"2026-11-20T10:30:00Z","manner":{"starts_at":"2026-11-20T10:30:00Z"},"message":2,"plan":["a token"],"policies":["askers"],"quorum":1,"requester":"e7f32f6c80f665442e2516babc4497f6","resource":"db","target":{"provider":"token","settings":{}}}"#);
    let id = world.newest();
    is!(world.says("bea", approve(id)), @r#"request.approved {"by":"dfd431d1066793cb37578fa03a54f845","message":5,"policies":["db.approvers"],"request":3,"terms":"leaf-3"}"#);
    is!(world.says("ana", Action::Show { request: id }), @"refused: #3 is approved and waits for its start, so nothing is open yet. `/access cancel 3` withdraws it");
    is!(world.after(5399), @"nothing");
    is!(world.after(1), @r#"grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T11:00:00Z","request":3}"#);
}

#[test]
fn a_start_that_is_over_is_meant_tomorrow_and_a_day_is_a_day() {
    let mut world = World::new();
    world.says("ana", clock("09:59:00"));
    let starts = |world: &World| world.state.request(world.newest()).unwrap().manner.starts_at.unwrap().to_rfc3339();
    assert_eq!(starts(&world), "2026-11-21T08:59:00+00:00");
    world.says("bea", later(Start::Day("2026-11-22T02:00:00".parse().unwrap())));
    assert_eq!(starts(&world), "2026-11-22T01:00:00+00:00");
    is!(world.says("cas", later(Start::Day("2026-11-20T02:00:00".parse().unwrap()))), @"refused: that start is over. Leave it out to start at once");
    is!(world.says("cas", later(Start::Day("2026-12-22T02:00:00".parse().unwrap()))), @"refused: an access may start 7 days ahead at most");
    // On the night of 28 March 2027 there is no half past two in Berlin.
    world.now = "2027-03-27T20:00:00Z".parse().unwrap();
    is!(world.says("cas", clock("02:30:00")), @"refused: there is no such time in Europe/Berlin on that day: the clocks are set then");
}

#[test]
fn what_starts_later_can_be_withdrawn_and_called_off() {
    let mut world = World::new();
    world.says("ana", clock("11:30:00"));
    let id = world.newest();
    world.says("bea", approve(id));
    is!(world.says("ana", Action::Done { request: id }), @r#"request.cancelled {"message":7,"request":3}"#);
    world.says("ana", clock("11:30:00"));
    let id = world.newest();
    world.says("bea", approve(id));
    is!(world.says("cas", Action::Revoke { request: id, reason: "frozen".into() }), @r#"request.denied {"by":"a8140c037d75a996968f08945540b735","message":14,"policies":["db.approvers"],"request":10,"terms":"leaf-10"}"#);
    is!(world.after(10_000), @"nothing");
}

#[test]
fn who_may_not_have_it_any_more_when_it_starts_does_not_get_it() {
    let mut world = World::new();
    world.says("ana", clock("11:30:00"));
    let id = world.newest();
    world.says("bea", approve(id));
    world.rules.askers = vec!["bea"];
    is!(world.after(5400), @r#"grant.failed {"attempt":0,"request":3}"#);
    assert_eq!(*world.phase(id), Phase::Failed);
}

#[test]
fn an_approval_is_taken_back_while_it_is_undecided() {
    let mut world = World::new();
    world.says("ana", ask("api", 600));
    let id = world.newest();
    world.says("bea", approve(id));
    is!(world.says("cas", Action::Cancel { request: id }), @"refused: #3 is not yours: only ana can do that");
    is!(world.says("bea", Action::Cancel { request: id }), @r#"approval.withdrawn {"by":"dfd431d1066793cb37578fa03a54f845","message":10,"request":3}"#);
    world.says("cas", approve(id));
    assert_eq!(*world.phase(id), Phase::Pending, "one of two");
    world.says("bea", approve(id));
    assert!(matches!(world.phase(id), Phase::Ordered { .. }));
    is!(world.says("bea", Action::Cancel { request: id }), @"refused: #3 is approved and the provider is opening it. `/access show 3` tells more");
}

#[test]
fn two_grants_for_one_thing_end_each_at_its_own_time() {
    let mut world = World::new();
    let first = world.live();
    world.after(600);
    world.says("ana", ask("db", 1800));
    let second = world.newest();
    world.says("cas", approve(second));
    world.command(&issued(second, 1, ProviderOutcome::Done));
    is!(world.after(1200), @r#"grant.ending {"cause":"expired","request":3}"#);
    world.command(&closed(first));
    assert_eq!(*world.phase(second), Phase::Live { not_after: start() + TimeDelta::seconds(2400) });
    is!(world.after(600), @r#"grant.ending {"cause":"expired","request":10}"#);
}
