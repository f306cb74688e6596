//! Random lives: whatever people, providers and the clock do, the promises hold.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Ask(usize, bool),
    Approve(usize, usize),
    Deny(usize, usize),
    Cancel(usize, usize),
    Done(usize, usize),
    Revoke(usize, usize),
    Show(usize, usize),
    Issued(usize, u8),
    Closed(usize, bool),
    Cut(usize),
    Wait(i64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..5_usize;
    let which = 0..4_usize;
    prop_oneof![
        (who.clone(), any::<bool>()).prop_map(|(a, b)| Step::Ask(a, b)),
        (who.clone(), which.clone()).prop_map(|(a, b)| Step::Approve(a, b)),
        (who.clone(), which.clone()).prop_map(|(a, b)| Step::Approve(a, b)),
        (who.clone(), which.clone()).prop_map(|(a, b)| Step::Deny(a, b)),
        (who.clone(), which.clone()).prop_map(|(a, b)| Step::Cancel(a, b)),
        (who.clone(), which.clone()).prop_map(|(a, b)| Step::Done(a, b)),
        (who.clone(), which.clone()).prop_map(|(a, b)| Step::Revoke(a, b)),
        (who, which.clone()).prop_map(|(a, b)| Step::Show(a, b)),
        (which.clone(), 0..4_u8).prop_map(|(a, b)| Step::Issued(a, b)),
        (which.clone(), any::<bool>()).prop_map(|(a, b)| Step::Closed(a, b)),
        which.prop_map(Step::Cut),
        (1..2000_i64).prop_map(Step::Wait),
        Just(Step::Restart),
    ]
}

fn who(at: usize) -> &'static str {
    ["ana", "bea", "cas", "dan", "zoe"][at]
}

fn play(world: &mut World, step: &Step) {
    let nth =
        |world: &World, at: usize| world.state.requests().rev().nth(at).map_or(RequestId(9999), |request| request.id);
    match step {
        Step::Ask(at, api) => drop(world.says(who(*at), ask(if *api { "api" } else { "db" }, 600))),
        Step::Approve(at, n) => drop(world.says(who(*at), approve(nth(world, *n)))),
        Step::Deny(at, n) => drop(world.says(who(*at), deny(nth(world, *n)))),
        Step::Cancel(at, n) => drop(world.says(who(*at), Action::Cancel { request: nth(world, *n) })),
        Step::Done(at, n) => drop(world.says(who(*at), Action::Done { request: nth(world, *n) })),
        Step::Revoke(at, n) => {
            drop(world.says(who(*at), Action::Revoke { request: nth(world, *n), reason: "over".into() }));
        }
        Step::Show(at, n) => drop(world.says(who(*at), Action::Show { request: nth(world, *n) })),
        Step::Issued(n, how) => {
            let request = nth(world, *n);
            let attempt = world.state.request(request).map_or(0, |request| request.attempts);
            let outcome = match how {
                0 => failed(FailureClass::Retry),
                1 => failed(FailureClass::Permanent),
                2 => failed(FailureClass::Unknown),
                _ => ProviderOutcome::Done,
            };
            drop(world.command(&issued(request, attempt, outcome)));
        }
        Step::Closed(n, done) => {
            let outcome = if *done { ProviderOutcome::Done } else { failed(FailureClass::Unknown) };
            drop(world.command(&Command::Closed { request: nth(world, *n), outcome }));
        }
        Step::Cut(n) => {
            let request = nth(world, *n);
            let key = world.state.request(request).map_or(0, |request| request.credentials);
            let outcome = Ok(("key".into(), world.now));
            drop(world.command(&Command::CredentialCut { request, n: key, outcome }));
        }
        Step::Wait(secs) => drop(world.after(*secs)),
        Step::Restart => drop(world.restart()),
    }
}

/// The promises, as far as the core alone can keep them.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other events have no promise of their own")]
fn check(world: &World) {
    let mut refolded = State::new("testlogs");
    for stored in &world.log {
        refolded.evolve(stored);
    }
    assert_eq!(refolded, world.state, "the state is the fold of the log");

    let mut resumed = State::new("testlogs");
    for seq in world.state.essence() {
        resumed.evolve(&world.log[usize::try_from(seq).unwrap()]);
    }
    resumed.resume_at(world.state.size(), world.state.last_time().unwrap());
    let mut held = world.state.clone();
    held.resume_at(world.state.size(), world.state.last_time().unwrap());
    assert_eq!(resumed, held, "the essence of a state makes it again");

    let mut requester: BTreeMap<RequestId, SubjectId> = BTreeMap::new();
    let mut asked: BTreeMap<RequestId, (u32, u64)> = BTreeMap::new();
    let mut approvals: BTreeMap<RequestId, Vec<SubjectId>> = BTreeMap::new();
    let mut ends: BTreeMap<RequestId, u32> = BTreeMap::new();
    for Stored { seq, time, event, .. } in &world.log {
        match event {
            Event::AccessRequested { requester: who, quorum, duration_secs, .. } => {
                requester.insert(RequestId(*seq), *who);
                asked.insert(RequestId(*seq), (*quorum, duration_secs.secs()));
            }
            Event::RequestApproved { request, by, terms, .. } => {
                assert_ne!(requester[request], *by, "nobody approves their own");
                assert!(!approvals.entry(*request).or_default().contains(by), "a person counts once");
                assert_eq!(*terms, format!("leaf-{}", request.0), "what was seen is what was asked");
                approvals.entry(*request).or_default().push(*by);
            }
            Event::GrantOrdered { request, not_after, .. } => {
                let (quorum, secs) = asked[request];
                assert!(approvals[request].len() >= quorum as usize, "quorum first");
                assert!(!ends.contains_key(request), "nothing is ordered after its end");
                assert!(
                    *not_after - *time <= TimeDelta::seconds(i64::try_from(secs).unwrap()),
                    "never longer than asked"
                );
            }
            Event::GrantIssued { request, .. } => assert!(!ends.contains_key(request)),
            Event::GrantEnded { request, .. }
            | Event::GrantFailed { request, .. }
            | Event::RequestDenied { request, .. }
            | Event::RequestCancelled { request, .. }
            | Event::RequestLapsed { request } => {
                *ends.entry(*request).or_default() += 1;
                assert_eq!(ends[request], 1, "it ends exactly once");
            }
            _ => {}
        }
    }
    for request in world.state.requests() {
        if let Phase::Live { not_after } | Phase::Ordered { not_after, .. } = request.phase {
            assert!(not_after > world.now, "nothing outlives its end");
        }
        assert_eq!(request.phase.finished(), ends.contains_key(&request.id));
        let overdue = request.deadline().is_some_and(|at| at <= world.now);
        assert!(!overdue, "what was due was settled");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_promises_hold_in_every_life(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            play(&mut world, step);
        }
        check(&world);
    }
}
