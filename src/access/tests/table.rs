//! Who may do what to a request in which phase, as one table.

use std::fmt::Write as _;

use super::*;

type Maker = fn(&mut World) -> RequestId;

/// Every phase of a request of ana's, with how it comes about.
fn phases() -> Vec<(&'static str, Maker)> {
    fn glass_live(world: &mut World) -> RequestId {
        world.says("ana", glass("db", 1800));
        let id = world.newest();
        world.command(&issued(id, 1, ProviderOutcome::Done));
        id
    }
    fn failed(class: FailureClass) -> ProviderOutcome {
        ProviderOutcome::Failed { class, words: "away".into() }
    }
    vec![
        ("pending", |world| world.asked()),
        ("scheduled", |world| {
            let Action::Request { resource, span, reason, plan, .. } = ask("db", 1800) else { unreachable!() };
            let start = Some(Start::Clock("11:30:00".parse().unwrap()));
            world.says("ana", Action::Request { resource, span, reason, plan, start });
            let id = world.newest();
            world.says("bea", approve(id));
            id
        }),
        ("ordered", |world| {
            let id = world.asked();
            world.says("bea", approve(id));
            id
        }),
        ("deferred", |world| {
            let id = world.asked();
            world.says("bea", approve(id));
            world.command(&issued(id, 1, failed(FailureClass::Retry)));
            id
        }),
        ("live", |world| world.live()),
        ("ending", |world| {
            let id = world.live();
            world.says("ana", Action::Done { request: id });
            id
        }),
        ("ended", |world| {
            let id = world.live();
            world.says("ana", Action::Done { request: id });
            world.command(&closed(id));
            id
        }),
        ("denied", |world| {
            let id = world.asked();
            world.says("bea", deny(id));
            id
        }),
        ("cancelled", |world| {
            let id = world.asked();
            world.says("ana", Action::Cancel { request: id });
            id
        }),
        ("lapsed", |world| {
            let id = world.asked();
            world.after(3600);
            id
        }),
        ("failed", |world| {
            let id = world.asked();
            world.says("bea", approve(id));
            world.command(&issued(id, 1, failed(FailureClass::Permanent)));
            id
        }),
        ("extension pending", |world| {
            let base = world.live();
            world.says("ana", extend(base, 600));
            world.newest()
        }),
        ("extension ordered", |world| {
            let base = world.live();
            world.says("ana", extend(base, 600));
            let id = world.newest();
            world.says("bea", approve(id));
            id
        }),
        ("extended", |world| {
            let base = world.live();
            world.says("ana", extend(base, 600));
            let id = world.newest();
            world.says("bea", approve(id));
            world.command(&issued(id, 1, ProviderOutcome::Done));
            id
        }),
        ("glass live", glass_live),
        ("glass owing", |world| {
            let id = glass_live(world);
            world.says("ana", Action::Done { request: id });
            world.command(&closed(id));
            id
        }),
        ("glass reviewed", |world| {
            let id = glass_live(world);
            world.says("ana", Action::Done { request: id });
            world.command(&closed(id));
            world.says("bea", review(id, Finding::Ok));
            id
        }),
    ]
}

fn actions(request: RequestId) -> Vec<(&'static str, Action)> {
    let because = || "because".to_owned();
    vec![
        ("approve", approve(request)),
        ("deny", deny(request)),
        ("cancel", Action::Cancel { request }),
        ("show key", Action::Show { request }),
        ("done", Action::Done { request }),
        ("extend", extend(request, 60)),
        ("revoke", Action::Revoke { request, reason: because() }),
        ("review", review(request, Finding::Ok)),
        ("read", Action::Read { request }),
    ]
}

/// `ana` asked; `ana elsewhere` is her second account; `cas` approves, `dan` is a colleague who does not, `zoe` is nobody.
const ROLES: [(&str, Chat, &str); 5] = [
    ("requester", Chat::Playground, "ana"),
    ("her other account", Chat::Slack, "T/ana"),
    ("approver", Chat::Discord, "G/cas"),
    ("colleague", Chat::Playground, "dan"),
    ("stranger", Chat::Playground, "zoe"),
];

/// `+` is done, a word is the code of the refusal.
#[test]
fn who_may_do_what_to_a_request_in_which_phase() {
    let mut table = String::new();
    for (phase, make) in phases() {
        writeln!(table, "{phase}").unwrap();
        for (role, chat, account) in ROLES {
            write!(table, "  {role:<18}").unwrap();
            for (name, _) in actions(RequestId(0)) {
                let mut world = World::new();
                let id = make(&mut world);
                let action = actions(id).into_iter().find(|(other, _)| *other == name).unwrap().1;
                let before = world.state.requests().count();
                let said = world.tries(chat, account, action);
                if said != "+" {
                    assert_eq!(world.state.requests().count(), before, "a refusal changes nothing");
                }
                write!(table, " {name}:{said}").unwrap();
            }
            writeln!(table).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}
