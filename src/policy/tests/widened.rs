//! Two sets of rules side by side: what is told, and that nothing is told where nothing was widened.

use super::*;

fn told(old: &Policies, new: &Policies) -> String {
    let lines = crate::policy::widened(old, new);
    if lines.is_empty() { "nothing".into() } else { lines.join("\n") }
}

/// Facts after a change.
fn changed(change: impl FnOnce(&mut Guarded)) -> Facts {
    let mut facts = facts();
    let mut db = facts.resources()["db"].clone();
    change(&mut db);
    facts.add_resource(db);
    facts
}

fn after(change: impl FnOnce(&mut Guarded)) -> String {
    told(&rules(facts(), ""), &rules(changed(change), ""))
}

/// What is told of a change is not told of its reverse.
fn reverse(change: impl FnOnce(&mut Guarded)) -> String {
    told(&rules(changed(change), ""), &rules(facts(), ""))
}

#[test]
fn the_same_is_nothing() {
    assert_eq!(told(&rules(facts(), ""), &rules(facts(), "")), "nothing");
}

#[test]
fn a_new_approver() {
    let add = |db: &mut Guarded| db.approvers.push(Who::Person("cas".into()));
    insta::assert_snapshot!(after(add), @"
    `cas` may approve `db`
    `cas` may review a break-glass of `db`
    ");
    assert_eq!(reverse(add), "nothing");
}

#[test]
fn a_longer_limit_and_a_lower_quorum() {
    let longer = |db: &mut Guarded| db.resource.max_duration = Span::from_secs(7200).unwrap();
    insta::assert_snapshot!(after(longer), @"the longest access to `db` is 2h now, it was 1m");
    assert_eq!(reverse(longer), "nothing");
    let quorum = |db: &mut Guarded| db.resource.quorum = 2;
    assert_eq!(after(quorum), "nothing");
    insta::assert_snapshot!(reverse(quorum), @"`db` needs 1 of its approvers now, it needed 2");
}

#[test]
fn everybody_may_ask() {
    insta::assert_snapshot!(after(|db| db.requesters = None), @"`bea` and `cas` may ask for `db`");
    assert_eq!(reverse(|db| db.requesters = None), "nothing");
}

#[test]
fn what_it_opens_and_when() {
    insta::assert_snapshot!(after(|db| {
        db.resource.target.provider = "ssh".into();
        db.resource.zone = chrono_tz::Europe::Berlin;
        db.resource.escalate_after = Some(Span::from_secs(60).unwrap());
        db.escalate_to = vec![Who::Person("cas".into())];
        db.tags.insert("open".into());
        db.break_glass = vec![Who::Group("dev".into())];
        db.resource.break_glass_max = Span::from_secs(600).unwrap();
    }), @"
    the longest break-glass of `db` is 10m now, it was 1m
    a request for `db` is escalated after 1m, and never was before
    `db` opens something else: its provider or the provider's settings were changed
    times of day for `db` are in Europe/Berlin now, they were in UTC
    the tags of `db` were changed, which rules may ask for: `open`
    `cas` may approve `db` once it was escalated
    `ana` may break the glass for `db`
    ");
}

#[test]
fn people_accounts_groups_and_security() {
    let mut new = facts();
    new.add_person("dan", [(Chat::Slack, "T/dan".to_owned())]);
    new.add_person("ana", [(Chat::Discord, "G/ana".to_owned())]);
    new.add_person("bea", [(Chat::Slack, "T/cas".to_owned())]);
    new.add_group("dba", ["bea".to_owned(), "dan".to_owned()]);
    new.set_security(None, vec![Who::Person("cas".into())]);
    insta::assert_snapshot!(told(&rules(facts(), ""), &rules(new, "")), @"
    the slack account T/cas is `bea` now, it was `cas`
    `ana` may act from the discord account G/ana
    `dan` may ask for `open`
    `dan` may approve `db`
    `dan` may approve `open`
    `dan` may end access to `db`
    `dan` may end access to `open`
    `cas` and `dan` may review a break-glass of `db`
    `cas` and `dan` may review a break-glass of `open`
    `cas` may read the ledger
    `cas` may look after the service
    ");
}

#[test]
fn rules_that_come_go_and_change() {
    let forbid = "@id(\"no-dev\") forbid (principal in Countersign::Group::\"dev\", action == Countersign::Action::\"request\", resource)";
    let permit = "@id(\"auto\") permit (principal in Countersign::Group::\"dev\", action == Countersign::Action::\"autoApprove\", resource)";
    let old = rules(facts(), &format!("{forbid};"));
    insta::assert_snapshot!(told(&old, &rules(facts(), "")), @"
    the rule `no-dev`, which forbids, is gone
    `ana` may ask for `db`
    `ana` may ask for `open`
    ");
    assert_eq!(told(&rules(facts(), ""), &old), "nothing");
    let nights = rules(facts(), &format!("{forbid} when {{ context.hour < 6 }};"));
    insta::assert_snapshot!(told(&old, &nights), @"
    the rule `no-dev`, which forbids, was changed
    `ana` may ask for `db`
    `ana` may ask for `open`
    ");
    let auto = rules(facts(), &format!("{permit} unless {{ context has ticket }};"));
    insta::assert_snapshot!(told(&rules(facts(), ""), &auto), @"
    there is a new rule `auto`, which permits
    `ana` may have `db` without anybody's approval
    `ana` may have `open` without anybody's approval
    ");
    let renamed = rules(facts(), &format!("{};", forbid.replace("no-dev", "no-devs")));
    insta::assert_snapshot!(told(&old, &renamed), @"the rule `no-dev`, which forbids, is gone");
    // A forbid for what no sample meets is told because it is gone, not because of what it did.
    let rare = rules(facts(), &format!("{forbid} when {{ context.reason == \"x\" }};"));
    insta::assert_snapshot!(told(&rare, &rules(facts(), "")), @"the rule `no-dev`, which forbids, is gone");
}

#[test]
fn what_a_ticket_is() {
    let ticket = |pattern| rules(facts(), "").with_ticket(Some(regex::Regex::new(pattern).unwrap()));
    let told = told(&ticket("INC-[0-9]+"), &ticket(".*"));
    assert_eq!(told, "what counts as a ticket in a reason was changed, which rules may ask for");
}

#[test]
fn many_people_are_one_line() {
    let mut new = facts();
    for n in 0..30 {
        new.add_person(&format!("p{n:02}"), []);
    }
    new.add_group("dba", (0..30).map(|n| format!("p{n:02}")).chain(["bea".to_owned()]));
    let lines = told(&rules(facts(), ""), &rules(new, ""));
    assert!(lines.contains("`p08`, `p09` and 20 others may approve `db`"), "{lines}");
}

/// A thousand resources and two thousand people: what did not change is not asked again.
#[test]
fn a_small_change_in_a_large_config_is_found_whole() {
    let large = |approver: &str| {
        let mut facts = Facts::new();
        for n in 0..2_000 {
            facts.add_person(&format!("p{n}"), []);
        }
        for n in 0..200 {
            facts.add_group(&format!("g{n}"), (0..30).map(|k| format!("p{}", (n * 37 + k * 61) % 2_000)));
        }
        for n in 0..1_000 {
            let target = Target { provider: "token".into(), settings: serde_json::Map::new() };
            let resource = Resource::new(format!("r{n}"), target, 1, span());
            let mut approvers = vec![Who::Group(format!("g{}", n % 200))];
            if n == 777 {
                approvers.push(Who::Person(approver.into()));
            }
            facts.add_resource(Guarded::new(resource, approvers));
        }
        rules(facts, "")
    };
    insta::assert_snapshot!(told(&large("p1"), &large("p2")), @"
    `p2` may approve `r777`
    `p2` may end access to `r777`
    `p2` may review a break-glass of `r777`
    ");
}
