//! Whoever was erased has another id when they come again, and nobody can tell that it is the same person.

use insta::assert_snapshot as is;

use super::*;

fn erase(world: &mut World, who: &str) -> SubjectId {
    let subject = world.state.subject(who).unwrap();
    world.append(vec![Event::SubjectErased { subject }]);
    subject
}

#[test]
fn an_approver_who_was_erased_does_not_count_twice() {
    let mut world = World::new();
    world.says("ana", ask("api", 600));
    let id = world.newest();
    world.says("bea", approve(id));
    world.says("cas", Action::List);
    erase(&mut world, "bea");
    is!(world.says("bea", approve(id)), @"refused: #3 was approved by somebody who was erased, and nobody can tell any more that it was not you. Somebody who was here before has to approve it");
    is!(world.says("dan", approve(id)), @"refused: #3 was approved by somebody who was erased, and nobody can tell any more that it was not you. Somebody who was here before has to approve it");
    // Who was here when she still was is surely somebody else.
    is!(world.says("cas", approve(id)), @r#"
    request.approved {"by":"862621e0d777cf29505e4af76e145c83","message":16,"policies":["api.approvers"],"request":3,"terms":"leaf-3"}
    grant.ordered {"attempt":1,"external_id":"cs_testlogs_3","not_after":"2026-11-20T09:10:00Z","request":3}
    "#);
}

#[test]
fn nobody_reviews_or_denies_what_may_have_been_their_own() {
    let mut world = World::new();
    world.says("bea", glass("db", 600));
    let id = world.newest();
    world.says("cas", Action::List);
    world.command(&issued(id, 1, ProviderOutcome::Done));
    world.says("bea", Action::Done { request: id });
    world.command(&closed(id));
    world.says("bea", ask("api", 600));
    let waits = world.newest();
    erase(&mut world, "bea");
    is!(world.says("bea", review(id, Finding::Ok)), @"refused: #3 was of somebody who was erased, and nobody can tell any more that it was not you. Somebody who was here before has to review it");
    is!(world.says("bea", deny(waits)), @"refused: #14 can't be decided any more: it is of somebody who was erased");
    is!(world.says("cas", review(id, Finding::Ok)), @r#"review.given {"by":"1b5dcfb3ae5b6f8f8245ffcdec1c1acf","finding":"ok","message":21,"policies":["db.approvers"],"request":3}"#);
}

#[test]
fn nothing_is_sealed_for_somebody_who_was_erased() {
    let mut world = World::new();
    let id = world.live();
    world.says("ana", Action::Done { request: id });
    let ana = erase(&mut world, "ana");
    let stuck = Command::Closed { request: id, outcome: failed(FailureClass::Retry) };
    let events = decide(&world.state, world.moment(), &stuck).unwrap();
    let owner = |_| Some(ana);
    let sealed = |event: &Event| event.to_record(owner).unwrap().personal.len();
    assert_eq!(events.iter().map(sealed).collect::<Vec<_>>(), [1]);
    let hushed: Vec<Event> = events.into_iter().map(|event| event.hushed(&world.state)).collect();
    assert_eq!(hushed.iter().map(sealed).collect::<Vec<_>>(), [0]);
    world.append(hushed);
    assert!(matches!(world.phase(id), Phase::Ending { failures: 1, .. }));
}

#[test]
fn whose_key_is_lost_was_not_erased_and_nobody_can_tell_who_it_was() {
    let mut world = World::new();
    world.says("ana", ask("api", 600));
    let id = world.newest();
    world.says("bea", approve(id));
    world.says("cas", Action::List);
    let bea = world.state.subject("bea").unwrap();
    // The same log, read without her key.
    world.state = State::new(world.state.log_tag().to_owned());
    for stored in &mut world.log {
        if let Event::SubjectEnrolled { subject: whose, name: text, .. }
        | Event::MessageReceived { from: whose, text, .. }
        | Event::RequestApproved { by: whose, comment: text, .. } = &mut stored.event
            && *whose == bea
        {
            *text = Personal::Locked;
        }
        world.state.evolve(stored);
    }
    assert_eq!(world.state.name(bea), "(its key is lost)");
    assert_eq!(world.state.subject("bea"), None);
    // Who comes under her name may be her, and does not count twice.
    is!(world.says("bea", approve(id)), @"refused: #3 was approved by somebody whose key is lost, and nobody can tell any more that it was not you. Somebody who was here before has to approve it");
    assert!(world.says("dan", approve(id)).contains("by somebody whose key is lost"));
    let name = Event::SubjectEnrolled { subject: bea, sort: Sort::Person, name: Personal::Locked };
    let record = Record { personal: vec![], locked: true, ..name.to_record(|_| None).unwrap() };
    assert_eq!(Event::from_record(7, record, |_| false).unwrap(), name);
}
