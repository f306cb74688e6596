//! Random lives: whatever people, providers and the clock do, the promises hold.

use std::collections::{BTreeMap, BTreeSet};

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
    Glass(usize, bool),
    Extend(usize, usize),
    Review(usize, usize),
    Allow(usize, usize),
    Less(usize, usize),
    Later(usize),
    Automatic(bool),
    Talk(usize, usize, usize),
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
        (who.clone(), which.clone()).prop_map(|(a, b)| Step::Show(a, b)),
        (who.clone(), any::<bool>()).prop_map(|(a, b)| Step::Glass(a, b)),
        (who.clone(), which.clone()).prop_map(|(a, b)| Step::Extend(a, b)),
        (who.clone(), which.clone()).prop_map(|(a, b)| Step::Review(a, b)),
        (who.clone(), who.clone()).prop_map(|(a, b)| Step::Allow(a, b)),
        (who.clone(), which.clone()).prop_map(|(a, b)| Step::Less(a, b)),
        (who.clone(), which.clone(), 0..3_usize).prop_map(|(a, b, c)| Step::Talk(a, b, c)),
        who.prop_map(Step::Later),
        any::<bool>().prop_map(Step::Automatic),
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
        Step::Glass(at, api) => drop(world.says(who(*at), glass(if *api { "api" } else { "db" }, 600))),
        Step::Extend(at, n) => drop(world.says(who(*at), extend(nth(world, *n), 300))),
        Step::Review(at, n) => drop(world.says(who(*at), review(nth(world, *n), Finding::Ok))),
        Step::Allow(at, whom) => {
            let (resource, person, reason) = ("db".into(), who(*whom).into(), "because".into());
            let (span, window) = (Span::from_secs(600).unwrap(), Span::from_secs(3000).unwrap());
            drop(world.says(who(*at), Action::Allow { person, resource, span, window, reason }));
        }
        Step::Less(at, n) => {
            let span = Some(Span::from_secs(200).unwrap());
            drop(world.says(who(*at), Action::Approve { request: nth(world, *n), span, comment: String::new() }));
        }
        Step::Later(at) => {
            let Action::Request { resource, span, reason, plan, .. } = ask("db", 600) else { unreachable!() };
            let start = Some(Start::Clock("10:30:00".parse().unwrap()));
            drop(world.says(who(*at), Action::Request { resource, span, reason, plan, start }));
        }
        Step::Automatic(on) => world.rules.automatic = if *on { vec!["ana", "dan"] } else { vec![] },
        Step::Talk(at, n, turn) => {
            let request = nth(world, *n);
            world.posts(request, &format!("C:{}", request.0));
            let turn = [Turn::Said, Turn::Changed, Turn::Deleted][*turn];
            drop(world.overhears(&talk::talk(&format!("C:{}", request.0), who(*at), "1", turn)));
        }
        Step::Wait(secs) => drop(world.after(*secs)),
        Step::Restart => drop(world.restart()),
    }
}

/// The promises, as far as the core alone can keep them.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other events have no promise of their own")]
pub fn check(world: &World) {
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

    let mut asked: BTreeMap<RequestId, (SubjectId, u32, TimeDelta, Manner)> = BTreeMap::new();
    let mut approvals: BTreeMap<RequestId, BTreeMap<SubjectId, TimeDelta>> = BTreeMap::new();
    let mut by_rule: BTreeSet<RequestId> = BTreeSet::new();
    let mut live_until: BTreeMap<RequestId, DateTime<Utc>> = BTreeMap::new();
    let mut reviewed: BTreeSet<RequestId> = BTreeSet::new();
    let mut ends: BTreeMap<RequestId, u32> = BTreeMap::new();
    let delta = |span: Span| TimeDelta::seconds(i64::try_from(span.secs()).unwrap());
    for Stored { seq, time, event, .. } in &world.log {
        match event {
            Event::AccessRequested { requester: who, quorum, duration_secs, manner, .. } => {
                if manner.break_glass {
                    let owed = asked.iter().any(|(id, (other, _, _, manner))| {
                        other == who
                            && manner.break_glass
                            && !reviewed.contains(id)
                            && world.phase(*id) != &Phase::Failed
                    });
                    assert!(!owed, "the glass is not broken again before the review");
                }
                asked.insert(RequestId(*seq), (*who, *quorum, delta(*duration_secs), manner.as_ref().clone()));
            }
            Event::RequestApproved { request, by, terms, duration_secs, .. } => {
                let (requester, _, span, _) = &asked[request];
                assert_ne!(requester, by, "nobody approves their own");
                assert_eq!(*terms, format!("leaf-{}", request.0), "what was seen is what was asked");
                let span = duration_secs.map_or(*span, delta);
                let before = approvals.entry(*request).or_default().insert(*by, span);
                assert_eq!(before, None, "a person counts once");
            }
            Event::RequestAutoapproved { request, terms, .. } => {
                assert_eq!(*terms, format!("leaf-{}", request.0), "a rule signs what was asked");
                by_rule.insert(*request);
            }
            Event::ApprovalWithdrawn { request, by, .. } => {
                assert!(approvals.entry(*request).or_default().remove(by).is_some());
            }
            Event::ReviewGiven { request, by, .. } => {
                assert_ne!(asked[request].0, *by, "nobody reviews their own");
                assert!(ends.contains_key(request), "a review looks back");
                assert!(reviewed.insert(*request), "one review is enough");
            }
            Event::GrantOrdered { request, not_after, .. } => {
                let (_, quorum, span, manner) = &asked[request];
                let signed = approvals.get(request).cloned().unwrap_or_default();
                let decided = by_rule.contains(request) || manner.break_glass || signed.len() >= *quorum as usize;
                assert!(decided, "quorum first");
                assert!(!ends.contains_key(request), "nothing is ordered after its end");
                let span = signed.values().copied().chain([*span]).min().unwrap();
                let from = manner.extends.map_or(*time, |base| live_until[&base]);
                assert!(*not_after - from <= span, "never longer than what was signed");
                assert!(manner.starts_at.is_none_or(|start| start <= *time), "never before its start");
                if manner.extends.is_none() {
                    live_until.insert(*request, *not_after);
                }
            }
            Event::GrantExtended { request, base, not_after, .. } => {
                assert!(!ends.contains_key(base), "what is over is not made longer");
                live_until.insert(*base, *not_after);
                ends.insert(*request, 1);
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
            assert!(not_after > world.now || request.manner.extends.is_some(), "nothing outlives its end");
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
