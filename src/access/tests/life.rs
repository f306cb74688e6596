use insta::assert_snapshot as is;

use super::*;

#[test]
fn asked_approved_issued_expired() {
    let mut world = World::new();
    is!(world.says("ana", ask("db", 1800)), @r#"access.requested {"channel":"approvals","duration_secs":1800,"lapse_at":"2026-11-20T10:00:00Z","message":2,"plan":["a token"],"policies":["askers"],"quorum":1,"requester":"e7f32f6c80f665442e2516babc4497f6","resource":"db","target":{"provider":"token","settings":{}}}"#);
    let id = RequestId(3);
    is!(world.says("bea", approve(id)), @r#"
    request.approved {"by":"dfd431d1066793cb37578fa03a54f845","message":5,"policies":["db.approvers"],"request":3,"terms":"leaf-3"}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:30:00Z","request":3}
    "#);
    is!(world.command(&issued(id, 1, ProviderOutcome::Done)), @r#"grant.issued {"attempt":1,"not_after":"2026-11-20T09:30:00Z","request":3}"#);
    is!(world.after(1799), @"nothing");
    is!(world.after(1), @r#"grant.ending {"cause":"expired","request":3}"#);
    is!(world.command(&Command::Closed { request: id, outcome: ProviderOutcome::Done }), @r#"grant.ended {"cause":"expired","request":3}"#);
    assert_eq!(*world.phase(id), Phase::Ended { cause: Cause::Expired });
    is!(world.after(100_000), @"nothing");
}

#[test]
fn denied() {
    let mut world = World::new();
    let id = world.asked();
    is!(world.says("bea", deny(id)), @r#"request.denied {"by":"dfd431d1066793cb37578fa03a54f845","message":5,"policies":["db.approvers"],"request":3,"terms":"leaf-3"}"#);
    assert_eq!(*world.phase(id), Phase::Denied);
}

#[test]
fn withdrawn() {
    let mut world = World::new();
    let id = world.asked();
    is!(world.says("ana", Action::Cancel { request: id }), @r#"request.cancelled {"message":4,"request":3}"#);
    assert_eq!(*world.phase(id), Phase::Cancelled);
}

#[test]
fn nobody_answers() {
    let mut world = World::new();
    let id = world.asked();
    is!(world.after(3599), @"nothing");
    is!(world.after(1), @r#"request.lapsed {"request":3}"#);
    assert_eq!(*world.phase(id), Phase::Lapsed);
}

#[test]
fn two_people_have_to_approve_and_one_twice_is_one() {
    let mut world = World::new();
    world.says("ana", ask("api", 600));
    let id = RequestId(3);
    world.says("bea", approve(id));
    assert_eq!(*world.phase(id), Phase::Pending);
    is!(world.says_on(Chat::Slack, "T/bea", approve(id)), @"refused: you have already approved #3. It waits for somebody else");
    assert_eq!(*world.phase(id), Phase::Pending);
    is!(world.says_on(Chat::Discord, "G/cas", approve(id)), @r#"
    request.approved {"by":"d9aba4e224b7500b58632e54d95aae56","message":10,"policies":["api.approvers"],"request":3,"terms":"leaf-3"}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:10:00Z","request":3}
    "#);
}

#[test]
fn who_approved_may_still_deny_until_it_is_decided() {
    let mut world = World::new();
    world.says("ana", ask("api", 600));
    let id = RequestId(3);
    world.says("bea", approve(id));
    is!(world.says("bea", deny(id)), @r#"request.denied {"by":"dfd431d1066793cb37578fa03a54f845","message":7,"policies":["api.approvers"],"request":3,"terms":"leaf-3"}"#);
}

#[test]
fn given_back() {
    let mut world = World::new();
    let id = world.live();
    is!(world.says("ana", Action::Done { request: id }), @r#"grant.ending {"by":"e7f32f6c80f665442e2516babc4497f6","cause":"returned","message":9,"request":3}"#);
    world.command(&Command::Closed { request: id, outcome: ProviderOutcome::Done });
    assert_eq!(*world.phase(id), Phase::Ended { cause: Cause::Returned });
}

#[test]
fn revoked() {
    let mut world = World::new();
    let id = world.live();
    is!(world.says("cas", Action::Revoke { request: id, reason: "incident over".into() }), @r#"grant.ending {"by":"d9aba4e224b7500b58632e54d95aae56","cause":"revoked","message":10,"request":3}"#);
    world.command(&Command::Closed { request: id, outcome: ProviderOutcome::Done });
    assert_eq!(*world.phase(id), Phase::Ended { cause: Cause::Revoked });
}

#[test]
fn revoked_while_the_provider_is_opening_it() {
    let mut world = World::new();
    let id = world.asked();
    world.says("bea", approve(id));
    world.says("cas", Action::Revoke { request: id, reason: "stop".into() });
    // The answer to the order comes late, and changes nothing: it is being shut.
    is!(world.command(&issued(id, 1, ProviderOutcome::Done)), @"nothing");
    is!(world.command(&Command::Closed { request: id, outcome: ProviderOutcome::Done }), @r#"grant.ended {"cause":"revoked","request":3}"#);
}

#[test]
fn a_provider_that_can_not_is_asked_again_with_a_new_end() {
    let mut world = World::new();
    let id = world.asked();
    world.says("bea", approve(id));
    is!(world.command(&issued(id, 1, failed(FailureClass::Retry))), @r#"grant.deferred {"attempt":1,"request":3,"retry_at":"2026-11-20T09:00:01Z"}"#);
    is!(world.after(1), @r#"grant.ordered {"attempt":2,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:30:01Z","request":3}"#);
    // An answer to the first order is nobody's answer any more.
    is!(world.command(&issued(id, 1, ProviderOutcome::Done)), @"nothing");
    is!(world.command(&issued(id, 2, ProviderOutcome::Done)), @r#"grant.issued {"attempt":2,"not_after":"2026-11-20T09:30:01Z","request":3}"#);
}

#[test]
fn orders_are_given_up_and_nothing_is_open() {
    let mut world = World::new();
    let id = world.asked();
    world.says("bea", approve(id));
    for attempt in 1..ORDERS_MAX {
        world.command(&issued(id, attempt, failed(FailureClass::Retry)));
        world.after(300);
    }
    is!(world.command(&issued(id, ORDERS_MAX, failed(FailureClass::Retry))), @r#"grant.failed {"attempt":5,"request":3}"#);
    assert_eq!(*world.phase(id), Phase::Failed);
}

#[test]
fn an_unknown_answer_is_closed_to_be_sure() {
    let mut world = World::new();
    let id = world.asked();
    world.says("bea", approve(id));
    is!(world.command(&issued(id, 1, failed(FailureClass::Unknown))), @r#"grant.ending {"cause":"unknown","request":3}"#);
    is!(world.command(&Command::Closed { request: id, outcome: ProviderOutcome::Done }), @r#"grant.ended {"cause":"unknown","request":3}"#);
}

#[test]
fn a_failure_after_an_order_that_was_never_answered_is_closed_to_be_sure() {
    let mut world = World::new();
    let id = world.asked();
    world.says("bea", approve(id));
    world.now += TimeDelta::seconds(60);
    is!(world.restart(), @r#"
    service.started {"files":[],"version":"0"}
    grant.ordered {"attempt":2,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:31:00Z","request":3}
    "#);
    is!(world.command(&issued(id, 2, failed(FailureClass::Permanent))), @r#"grant.ending {"cause":"unknown","request":3}"#);
}

#[test]
fn an_order_that_is_overdue_at_start_is_closed_and_not_ordered_anew() {
    let mut world = World::new();
    let id = world.asked();
    world.says("bea", approve(id));
    world.now += TimeDelta::seconds(1801);
    is!(world.restart(), @r#"
    service.started {"files":[],"version":"0"}
    grant.ending {"cause":"expired","request":3}
    "#);
    assert!(matches!(world.phase(id), Phase::Ending { cause: Cause::Expired, .. }));
}

#[test]
fn closing_is_tried_for_ever() {
    let mut world = World::new();
    let id = world.live();
    world.after(1800);
    let told_at = world.now + TimeDelta::seconds(120);
    let stuck = |world: &World, at| {
        let told = notices(world.state.request(id).unwrap(), at);
        told.iter().filter(|(notice, _)| *notice == Notice::Stuck).count()
    };
    let mut pauses = Vec::new();
    for _ in 0..12 {
        world.command(&Command::Closed { request: id, outcome: failed(FailureClass::Retry) });
        let Phase::Ending { next_try, .. } = *world.phase(id) else { panic!("it is not ending") };
        pauses.push((next_try - world.now).num_seconds());
        assert!(effects_of(world.state.request(id).unwrap(), world.now).iter().all(|effect| *effect != Effect::Close));
        let next = if world.now < told_at { next_try.min(told_at) } else { next_try };
        assert_eq!(world.state.next_deadline(world.now), Some(next));
        world.now = next_try;
        assert!(effects_of(world.state.request(id).unwrap(), world.now).contains(&Effect::Close));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    // After two minutes everybody who answers for it is told, and not with the next try.
    assert_eq!((stuck(&world, told_at - TimeDelta::microseconds(1)), stuck(&world, told_at)), (0, 2));
    let looks: Vec<RequestId> = world.state.tries(told_at - TimeDelta::microseconds(1), told_at).collect();
    assert_eq!(looks, [id]);
    is!(world.command(&Command::Closed { request: id, outcome: ProviderOutcome::Done }), @r#"grant.ended {"cause":"expired","request":3}"#);
}

#[test]
fn a_key_is_cut_for_its_holder_while_it_is_live() {
    let mut world = World::new();
    let id = world.live();
    is!(world.says("ana", Action::Show { request: id }), @r#"credential.ordered {"message":9,"n":1,"request":3}"#);
    let end = world.now + TimeDelta::seconds(1800);
    is!(world.command(&Command::CredentialCut { request: id, n: 1, outcome: Ok(("serial 3".into(), end)) }), @r#"credential.taken {"n":1,"not_after":"2026-11-20T09:30:00Z","request":3}"#);
    is!(world.says("ana", Action::Show { request: id }), @r#"credential.ordered {"message":12,"n":2,"request":3}"#);
    // The first key's answer again is no key any more.
    is!(world.command(&Command::CredentialCut { request: id, n: 1, outcome: Ok(("serial 3".into(), end)) }), @r#"credential.failed {"class":"permanent","n":1,"request":3}"#);
}

#[test]
fn a_key_that_comes_after_the_end_is_not_taken() {
    let mut world = World::new();
    let id = world.live();
    world.says("ana", Action::Show { request: id });
    world.after(1800);
    let end = world.now;
    is!(world.command(&Command::CredentialCut { request: id, n: 1, outcome: Ok(("serial 3".into(), end)) }), @r#"credential.failed {"class":"permanent","n":1,"request":3}"#);
}

#[test]
fn the_same_message_twice_is_one() {
    let mut world = World::new();
    world.delivers(Chat::Playground, "ana", ask("db", 1800), "k1");
    let size = world.state.size();
    is!(world.delivers(Chat::Playground, "ana", ask("db", 1800), "k1"), @"again: message 2, request Some(3)");
    assert_eq!(world.state.size(), size);
    world.delivers(Chat::Playground, "ana", Action::Cancel { request: RequestId(99) }, "k2");
    is!(world.delivers(Chat::Playground, "ana", Action::Cancel { request: RequestId(99) }, "k2"), @"again: message 4, request None");
}

#[test]
fn who_was_erased_can_not_be_read_and_can_not_be_approved() {
    let mut world = World::new();
    let id = world.asked();
    let ana = world.state.subject("ana").unwrap();
    world.append(vec![Event::SubjectErased { subject: ana }]);
    assert_eq!(world.state.request(id).unwrap().reason, Personal::Erased);
    assert_eq!(world.state.name(ana), "(erased)");
    is!(world.says("bea", approve(id)), @"refused: #3 can't be decided any more: it is of somebody who was erased");
    // Coming back under the same name doesn't help either: it is somebody else's request now.
    is!(world.says("ana", approve(id)), @"refused: #3 can't be decided any more: it is of somebody who was erased");
}
