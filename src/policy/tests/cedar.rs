//! What policies may say and what comes of it.

use super::*;
use insta::assert_snapshot as is;

const BROAD: &str = "@id(\"broad\") permit (principal, action, resource);";

pub fn told(text: &str) -> String {
    told_of(text, &facts())
}

pub fn told_of(text: &str, facts: &Facts) -> String {
    let reading = Book::read(text, Some(facts));
    let lines = reading.remarks.iter().map(|remark| {
        let before = text.get(..remark.offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let kind = if remark.warning { "warning" } else { "error" };
        let hint = remark.hint.as_ref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
        format!("{line}:{column}: {kind}: {}{hint}", remark.words)
    });
    let lines: Vec<String> = lines.collect();
    assert_eq!(reading.book.is_some(), reading.remarks.iter().all(|remark| remark.warning));
    if lines.is_empty() { "nothing".into() } else { lines.join("\n") }
}

fn words(verdict: Verdict) -> String {
    match verdict {
        Verdict::Yes(policies) => format!("yes by {policies:?}"),
        Verdict::No { policies, words } => format!("no by {policies:?}: {words}"),
        Verdict::Broken { policies, words } => format!("broken {policies:?}: {words}"),
    }
}

#[test]
fn the_shipped_policies_hold_against_the_schema() {
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(SCHEMA).unwrap();
    let set: cedar_policy::PolicySet = SHIPPED.parse().unwrap();
    let result = cedar_policy::Validator::new(schema).validate(&set, cedar_policy::ValidationMode::Strict);
    assert!(result.validation_passed_without_warnings(), "{result}");
    assert_eq!(told(""), "nothing");
}

/// What policies are checked against is what they are given: the entities and the context conform to the schema.
#[test]
fn entities_and_context_are_what_the_schema_says() {
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(SCHEMA).unwrap();
    let facts = facts();
    let book = Book::read("", None).book.unwrap();
    let world = crate::policy::world::World::build(&facts, &book, &BTreeMap::new()).unwrap();
    let entities = world.entities.iter().cloned();
    cedar_policy::Entities::from_entities(entities, Some(&schema)).unwrap();
    let ticket = regex::Regex::new("[A-Z]+-[0-9]+").unwrap();
    for right in Right::ALL {
        let question = Question { chat: Some(Chat::Slack), ..question(right, "ana", "bea", "db") };
        for ticket in [Some(&ticket), None] {
            let requester = book.names.principal("bea");
            let zone = chrono_tz::Europe::Berlin;
            let context = crate::policy::world::context(&question, zone, ticket, requester, (true, false)).unwrap();
            context.validate(&schema, &book.names.action(right)).unwrap();
        }
    }
}

#[test]
fn a_broad_permit_does_not_let_anybody_approve_their_own() {
    let rules = rules(facts(), BROAD);
    is!(words(rules.judge(&question(Right::Approve, "ana", "ana", "db"))), @r#"no by ["no-self-approval"]: nobody approves what they asked for themselves, from any account"#);
    is!(words(rules.judge(&question(Right::Review, "cas", "cas", "db"))), @r#"no by ["no-self-review"]: nobody reviews their own break-glass, from any account"#);
    is!(words(rules.judge(&question(Right::Approve, "ana", "bea", "db"))), @r#"yes by ["broad"]"#);
}

#[test]
fn nobody_gets_longer_than_the_longest_by_any_permit() {
    let rules = rules(facts(), BROAD);
    let long = Span::from_secs(61).unwrap();
    for right in [Right::Request, Right::AutoApprove, Right::BreakGlass] {
        let verdict = rules.judge(&Question { span: long, ..question(right, "ana", "ana", "db") });
        assert!(
            matches!(&verdict, Verdict::No { words, .. } if words.contains("is given for 1m at most")),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_forbid_wins_and_says_why() {
    let text = "@id(\"no-cas\") @reason(\"cas is away.\") @advice(\"Ask bea\")\n\
                forbid (principal == Countersign::Principal::\"cas\", action, resource);\n";
    let rules = rules(facts(), &format!("{BROAD}\n{text}"));
    is!(words(rules.judge(&question(Right::Revoke, "cas", "ana", "db"))), @r#"no by ["no-cas"]: the rule `no-cas` forbids it: cas is away. Ask bea"#);
    is!(words(rules.judge(&question(Right::ReadLog, "cas", "cas", ""))), @r#"no by ["no-cas"]: the rule `no-cas` forbids it: cas is away. Ask bea"#);
}

#[test]
fn a_policy_that_fails_makes_it_a_no_whatever_the_others_say() {
    let text = "@id(\"sums\") permit (principal, action == Countersign::Action::\"request\", resource)\n\
                when { context.durationSecs * 9223372036854775807 > 0 };";
    let rules = rules(facts(), &format!("{BROAD}\n{text}"));
    let verdict = rules.judge(&question(Right::Request, "ana", "ana", "db"));
    assert!(matches!(&verdict, Verdict::Broken { policies, .. } if policies == &["sums"]), "{verdict:?}");
    is!(words(verdict), @r#"broken ["sums"]: the rules could not be evaluated, so the answer is no: `sums` (integer overflow while attempting to multiply the values `60` and `9223372036854775807`). Whoever looks after `policy.cedar` has to mend it"#);
    assert!(is_yes(&rules.judge(&question(Right::Approve, "bea", "ana", "db"))), "the other actions are not concerned");
}

#[test]
fn a_rule_that_names_its_asker_approves_nothing_for_them() {
    let named = "@id(\"for-ana\") permit (principal == Countersign::Principal::\"ana\", action == Countersign::Action::\"autoApprove\", resource);";
    let hidden = "@id(\"hidden\") permit (principal, action == Countersign::Action::\"autoApprove\", resource)\n\
                  when { principal in Countersign::Group::\"dev\" || principal == Countersign::Principal::\"ana\" };";
    let group = "@id(\"for-dev\") permit (principal in Countersign::Group::\"dev\", action == Countersign::Action::\"autoApprove\", resource);";
    let auto = |text: &str, who: &str| words(rules(facts(), text).judge(&question(Right::AutoApprove, who, who, "db")));
    is!(auto(named, "ana"), @r#"no by ["for-ana"]: `for-ana` would approve this by itself, but names you in person, and nobody is approved by a rule made for them alone. Ask bea"#);
    is!(auto(hidden, "ana"), @r#"no by ["hidden"]: `hidden` would approve this by itself, but names you in person, and nobody is approved by a rule made for them alone. Ask bea"#);
    is!(auto(group, "ana"), @r#"yes by ["for-dev"]"#);
    is!(auto(&format!("{named}\n{group}"), "ana"), @r#"yes by ["for-dev"]"#);
    is!(auto("", "ana"), @"no by []: no rule approves `db` for you by itself. Ask bea");
    is!(told(named), @"1:37: warning: policy `for-ana` approves by itself and names `ana`: it counts for nobody whom it names (hint: name a group, or say which requests are harmless; a person needs another person's approval)");
}

#[test]
fn the_moment_is_the_one_of_the_resources_zone() {
    let mut facts = facts();
    let target = Target { provider: "token".into(), settings: serde_json::Map::new() };
    let resource = Resource { zone: chrono_tz::Asia::Tokyo, ..Resource::new("db", target, 1, span()) };
    facts.add_resource(Guarded::new(resource, vec![Who::Group("dba".into())]));
    let text = "@id(\"night\") forbid (principal, action == Countersign::Action::\"request\", resource)\n\
                unless { context.weekday == 1 && context.hour == 8 && context.minute == 30 && context.minutesOfDay == 510 };";
    let rules = rules(facts, text);
    let ask = |now: &str| {
        rules.judge(&Question { now: now.parse().unwrap(), ..question(Right::Request, "ana", "ana", "db") })
    };
    assert!(is_yes(&ask("2026-11-22T23:30:00Z")), "Sunday in London is Monday in Tokyo");
    assert!(!is_yes(&ask("2026-11-23T08:30:00Z")));
}

#[test]
fn tickets_tags_chats_and_approvals_can_be_asked_for() {
    let mut facts = facts();
    let target = Target { provider: "token".into(), settings: serde_json::Map::new() };
    facts.add_resource(Guarded {
        tags: ["dear".to_owned()].into(),
        ..Guarded::new(Resource::new("db", target, 1, span()), vec![Who::Group("dba".into())])
    });
    let text = r#"
@id("ticket") forbid (principal, action == Countersign::Action::"request", resource)
when { resource.tags.contains("dear") } unless { context has ticket && context.ticket like "INC-*" };
@id("where") forbid (principal, action == Countersign::Action::"approve", resource)
when { context.chat == "discord" || context.channel == "random" || context.approvals > 1 };
"#;
    let rules = rules(facts, text).with_ticket(Some(regex::Regex::new(r"\b(?:[A-Z][A-Z0-9]+-[0-9]+)\b").unwrap()));
    let ask = |reason| rules.judge(&Question { reason, ..question(Right::Request, "ana", "ana", "db") });
    assert!(is_yes(&ask("fixing INC-42 now")));
    assert!(!is_yes(&ask("fixing OPS-42")) && !is_yes(&ask("fixing xINC-42x")) && !is_yes(&ask("just so")));
    let approve = question(Right::Approve, "bea", "ana", "db");
    assert!(is_yes(&rules.judge(&approve)));
    for wrong in [
        Question { chat: Some(Chat::Discord), ..approve.clone() },
        Question { channel: "random", ..approve.clone() },
        Question { approvals: 2, ..approve.clone() },
    ] {
        assert!(!is_yes(&rules.judge(&wrong)), "{wrong:?}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    is!(told("permit (principal, action, resource)\nwhen { principal = resource };"), @"2:8: error: '=' is not a valid operator in Cedar (hint: try using '==' instead)");
    is!(told("@id(\"a\")\npermit (principal, action, resource)"), @"2:37: error: unexpected end of input: expected `;` or identifier");
    is!(told("permit (principal, action, resource);"), @r#"1:1: error: a policy without an id (hint: write `@id("…")` before it: the id is what refusals, cards and the ledger call it)"#);
    is!(told("@id(\"a b\") permit (principal, action, resource);"), @r#"1:1: error: "a b" is no id (hint: an id is letters, digits, `.`, `_` and `-`, at most 64, for example `@id("no-nights")`)"#);
    is!(told("@id(\"x\") permit (principal, action, resource);\n@id(\"x\") forbid (principal, action, resource);"), @"2:1: error: there are two policies called `x` (hint: rename one)");
    is!(told("@id(\"approvers\") permit (principal, action, resource);"), @"1:1: error: `approvers` is the id of a policy that is always there (hint: choose another id)");
    is!(told("@id(\"t\") permit (principal == ?principal, action, resource);"), @"1:1: error: a template (`?principal`, `?resource`) is nothing that anybody links here (hint: name a person, a group or a resource in its place)");
    is!(told("@id(\"a\") permit (principal, action == Countersign::Action::\"aprove\", resource);"), @r#"1:39: error: policy `a`: unrecognized action `Countersign::Action::"aprove"` (hint: did you mean `Countersign::Action::"approve"`?)"#);
    is!(told("@id(\"a\") permit (principal, action == Countersign::Action::\"approve\", resource)\nwhen { context.houre > 3 };"), @r#"2:8: error: policy `a`: attribute `houre` in context for Countersign::Action::"approve" not found (hint: did you mean `hour`?)"#);
    is!(told("@id(\"a\") permit (principal, action == Countersign::Action::\"approve\", resource)\nwhen { context.ticket == \"x\" };"), @r#"2:8: error: policy `a`: unable to guarantee safety of access to optional attribute `ticket` in context for Countersign::Action::"approve" (hint: try testing for the attribute's presence with `context has ticket && ..`)"#);
    is!(told("@id(\"a\") permit (principal, action == Countersign::Action::\"approve\", resource)\nwhen { context.hour == \"x\" };"), @"2:8: error: policy `a`: the types Long and String are not compatible (hint: both operands to a `==` expression must have compatible types. Types must be exactly equal to be compatible)");
    is!(told("@id(\"a\") permit (principal in Countersign::Group::\"dbs\", action, resource)\nwhen { resource == Countersign::Resource::\"dbx\" };"), @"
    1:31: error: policy `a`: there is no group `dbs` (hint: did you mean `dba`?)
    2:20: error: policy `a`: there is no resource `dbx` (hint: did you mean `db`?)
    ");
    is!(told("@id(\"a\") permit (principal, action == Countersign::Action::\"approve\", resource)\nwhen { context.hour > 3 && false };"), @"1:1: warning: policy `a` can never apply: it is false whoever asks for what (hint: mend its conditions, or take it out)");
    is!(told("@id(\"a\") permit (principal is Countersign::Group, action == Countersign::Action::\"approve\", resource);"), @"1:1: warning: policy `a` can never apply: it is false whoever asks for what (hint: mend its conditions, or take it out)");
}

#[test]
fn there_is_one_log() {
    let text = |name| {
        format!(
            "@id(\"a\") permit (principal, action == Countersign::Action::\"readLog\", resource == Countersign::Log::\"{name}\");"
        )
    };
    is!(told(&text("log")), @"1:83: error: policy `a`: there is no log `log` (hint: a policy about what is not there can never apply)");
    let rules = rules(facts(), &text("ledger"));
    assert!(is_yes(&rules.judge(&question(Right::ReadLog, "ana", "ana", ""))));
    assert!(!is_yes(&rules.judge(&question(Right::Administer, "ana", "ana", ""))));
}

#[test]
fn those_who_may_are_found_by_lists_and_by_policies() {
    let may = |text: &str, right| rules(facts(), text).those_who_may(&question(right, "", "bea", "db"));
    assert_eq!(may("", Right::Approve), Vec::<String>::new(), "bea is the only approver, and it is her request");
    assert_eq!(may(BROAD, Right::Approve), ["ana", "cas"]);
    let cas = "@id(\"cas\") permit (principal == Countersign::Principal::\"cas\", action == Countersign::Action::\"approve\", resource);";
    assert_eq!(may(cas, Right::Approve), ["cas"]);
    let but = "@id(\"but\") forbid (principal in Countersign::Group::\"sec\", action == Countersign::Action::\"approve\", resource);";
    assert_eq!(may(&format!("{BROAD}\n{but}"), Right::Approve), ["ana"]);
    assert_eq!(may("", Right::Revoke), ["cas"]);
    assert_eq!(may("", Right::Request), ["ana"]);
}

#[test]
fn groups_within_groups_are_groups() {
    let mut facts = facts();
    let group = |members: Vec<Who>| Group { members, ..Group::default() };
    facts.put_group("inner", group(vec![Who::Person("cas".into())]));
    facts.put_group("middle", group(vec![Who::Group("inner".into())]));
    facts.put_group("dba", group(vec![Who::Group("middle".into()), Who::Person("bea".into())]));
    let rules = rules(facts.clone(), "");
    assert!(is_yes(&rules.judge(&question(Right::Approve, "cas", "ana", "db"))));
    assert_eq!(rules.those_who_may(&question(Right::Approve, "", "ana", "db")), ["bea", "cas"]);
    assert_eq!(facts.cycle("dba"), None);
    facts.put_group("inner", group(vec![Who::Group("dba".into())]));
    assert_eq!(facts.cycle("dba").unwrap(), ["dba", "middle", "inner", "dba"]);
}

#[test]
fn on_call_is_a_group_that_says_so() {
    let mut facts = facts();
    facts.put_group("sec", Group { members: vec![Who::Person("cas".into())], on_call: true, source: None });
    let text = "@id(\"pager\") permit (principal, action == Countersign::Action::\"breakGlass\", resource) when { context.onCall };\n\
                @id(\"mate\") permit (principal, action == Countersign::Action::\"approve\", resource) when { context.requesterOnCall };";
    let rules = rules(facts, text);
    assert!(is_yes(&rules.judge(&question(Right::BreakGlass, "cas", "cas", "db"))));
    assert!(!is_yes(&rules.judge(&question(Right::BreakGlass, "ana", "ana", "db"))));
    assert!(is_yes(&rules.judge(&question(Right::Approve, "ana", "cas", "db"))));
    assert!(!is_yes(&rules.judge(&question(Right::Approve, "ana", "bea", "db"))));
}
