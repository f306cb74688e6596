use insta::assert_snapshot as is;

use super::*;

#[test]
fn what_can_not_be_asked() {
    let mut world = World::new();
    is!(world.says("ana", ask("dbb", 1800)), @"refused: there is no resource `dbb`. Did you mean `db`?");
    is!(world.says("ana", ask("something-else", 1800)), @"refused: there is no resource `something-else`. Try `api` or `db`");
    is!(world.says("ana", ask("db", 7201)), @"refused: `db` is given for 2h at most, and this asks for 2h1s. Ask for `2h`");
    let ask_for = |reason: &str| Action::Request {
        resource: "db".into(),
        span: Span::from_secs(60).unwrap(),
        reason: reason.into(),
        plan: vec![],
        start: None,
    };
    is!(world.says("ana", ask_for("  ")), @"refused: a reason is needed, for the people concerned and for the log, for example `/access prod-db 30m fixing INC-42`");
    is!(world.says("ana", ask_for("?!…")), @"refused: a reason is needed, for the people concerned and for the log, for example `/access prod-db 30m fixing INC-42`");
    is!(world.says("ana", ask_for(&"x".repeat(100_000))), @"refused: the reason has 100000 characters and a card has room for 1000. Shorten it, or link to a ticket");
    is!(world.says("zoe", ask("db", 60)), @"refused: i don't know this account. Ask whoever looks after `people.toml` to add it");
    world.rules.askers = vec!["bea"];
    is!(world.says("ana", ask("db", 60)), @"refused: not for you");
    assert_eq!(world.state.requests().count(), 0);
}

#[test]
fn one_pending_request_for_a_thing() {
    let mut world = World::new();
    world.asked();
    is!(world.says("ana", ask("db", 600)), @"refused: you already have #3 for `db`, which waits for approval. `/access cancel 3` withdraws it");
}

#[test]
fn nobody_approves_their_own() {
    let mut world = World::new();
    world.says("bea", ask("db", 1800));
    let id = RequestId(3);
    is!(world.says("bea", approve(id)), @"refused: people can't approve their own request, from any account. Ask cas");
    is!(world.says_on(Chat::Slack, "T/bea", approve(id)), @"refused: people can't approve their own request, from any account. Ask cas");
    is!(world.says_on(Chat::Discord, "G/bea", approve(id)), @"refused: people can't approve their own request, from any account. Ask cas");
    is!(world.says("bea", deny(id)), @"refused: #3 is your own: `/access cancel 3` withdraws it");
    assert!(world.state.request(id).unwrap().approvals.is_empty());
}

#[test]
fn who_may_not_decide() {
    let mut world = World::new();
    let id = world.asked();
    is!(world.says("dan", approve(id)), @"refused: you are no approver");
    is!(world.says("dan", deny(id)), @"refused: you are no approver");
    is!(world.says("zoe", approve(id)), @"refused: i don't know this account. Ask whoever looks after `people.toml` to add it");
    is!(world.says("bea", approve(RequestId(999))), @"refused: there is no request `#999`. `/access list` shows what is pending or live");
    is!(world.says("bea", Action::Deny { request: id, reason: " ".into() }), @"refused: a reason is needed, for the people concerned and for the log, for example `/access deny 17 use the replica instead`");
    is!(world.says("bea", Action::Cancel { request: id }), @"refused: #3 is not yours: only ana can do that");
    assert_eq!(*world.phase(id), Phase::Pending);
}

#[test]
fn what_is_finished_stays_finished() {
    let mut world = World::new();
    let id = world.asked();
    world.says("bea", deny(id));
    is!(world.says("cas", approve(id)), @"refused: #3 was denied, so there is nothing left to do. `/access show 3` tells more");
    is!(world.says("ana", Action::Cancel { request: id }), @"refused: #3 was denied. Ask again if it is needed");
    is!(world.says("ana", Action::Done { request: id }), @"refused: #3 was denied. Ask again if it is needed");
    is!(world.says("ana", Action::Show { request: id }), @"refused: #3 was denied. Ask again if it is needed");
    is!(world.says("cas", Action::Revoke { request: id, reason: "why".into() }), @"refused: #3 was denied, so there is nothing left to do. `/access show 3` tells more");
    assert_eq!(*world.phase(id), Phase::Denied);
}

#[test]
fn a_second_click_says_what_it_is_now() {
    let mut world = World::new();
    let id = world.live();
    is!(world.says("bea", approve(id)), @"refused: #3 is live, so it was decided already. `/access revoke 3 <reason>` ends it");
    is!(world.says("cas", approve(id)), @"refused: #3 is live, so it was decided already. `/access revoke 3 <reason>` ends it");
}

#[test]
fn what_is_not_yours() {
    let mut world = World::new();
    let id = world.live();
    is!(world.says("bea", Action::Show { request: id }), @"refused: #3 is not yours: only ana can do that");
    is!(world.says("bea", Action::Done { request: id }), @"refused: #3 is not yours: only ana can do that");
    is!(world.says("dan", Action::Revoke { request: id, reason: "why".into() }), @"refused: you are no approver");
    is!(world.says("ana", Action::Revoke { request: id, reason: "why".into() }), @"refused: #3 is your own: `/access done 3` gives it back");
}

#[test]
fn the_rules_are_asked_again_at_the_click() {
    let mut world = World::new();
    let id = world.asked();
    let good = world.rules.clone();
    world.rules.longest = 60;
    is!(world.says("bea", approve(id)), @"refused: `db` is given for 1m at most, and this asks for 30m. Ask for `1m`");
    world.rules = Town { quorum_db: 2, ..good.clone() };
    is!(world.says("bea", approve(id)), @"refused: the rules have changed: `db` needs 2 approvals now, and #3 was asked for under 1. Have it asked again");
    world.rules = Town { approvers_db: vec!["cas"], ..good.clone() };
    is!(world.says("bea", approve(id)), @"refused: you are no approver");
    world.rules = Town { askers: vec!["bea"], ..good };
    is!(world.says("bea", approve(id)), @"refused: not for you");
    assert_eq!(*world.phase(id), Phase::Pending);
}

#[test]
fn a_request_that_is_not_on_the_disk_yet_can_not_be_approved() {
    let mut world = World::new();
    let id = world.asked();
    let mut state = world.state.clone();
    let mut early = world.log.iter().find(|stored| stored.seq == id.0).unwrap().clone();
    early.leaf = None;
    early.seq = state.size();
    state.evolve(&early);
    let actor =
        Actor { subject: SubjectId([9; 16]), name: "bea".into(), chat: Chat::Playground, channel: String::new() };
    let action = approve(RequestId(early.seq));
    let command = Command::Person { actor, message: 0, action };
    is!(decide(&state, world.moment(), &command).unwrap_err(), @"there is no request `#4`. `/access list` shows what is pending or live");
}
