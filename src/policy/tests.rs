use std::collections::BTreeMap;

use super::*;
use crate::access::{Chat, Question, Resource, Right, Rules, Span, Target, Verdict};

mod agree;
mod cedar;
mod sense;
mod sources;
mod widened;

/// The rules of these facts and of a `policy.cedar`.
pub fn rules(facts: Facts, text: &str) -> Policies {
    let reading = Book::read(text, Some(&facts));
    let book = reading.book.unwrap_or_else(|| panic!("{:#?}", reading.remarks));
    Policies::new(facts, book).unwrap()
}

pub fn span() -> Span {
    Span::from_secs(60).unwrap()
}

/// `db`: asked for by `dev`, approved by `dba`, ended also by `sec`. `open`: asked for by anybody.
pub fn facts() -> Facts {
    let mut facts = Facts::new();
    for name in ["ana", "bea", "cas"] {
        facts.add_person(name, [(Chat::Slack, format!("T/{name}")), (Chat::Playground, name.to_owned())]);
    }
    facts.add_group("dev", ["ana".to_owned()]);
    facts.add_group("dba", ["bea".to_owned()]);
    facts.add_group("dbas", ["ana".to_owned()]);
    facts.add_group("sec", ["cas".to_owned(), "gone".to_owned()]);
    for (name, requesters) in [("db", Some(vec![Who::Group("dev".into())])), ("open", None)] {
        let target = Target { provider: "token".into(), settings: serde_json::Map::new() };
        let resource = Resource::new(name, target, 1, span());
        facts.add_resource(Guarded {
            requesters,
            revokers: vec![Who::Group("sec".into())],
            ..Guarded::new(resource, vec![Who::Group("dba".into())])
        });
    }
    facts
}

fn judge(rules: &Policies, right: Right, who: &str, requester: &str, resource: &str) -> Verdict {
    rules.judge(&question(right, who, requester, resource))
}

pub fn question<'a>(right: Right, who: &'a str, requester: &'a str, resource: &'a str) -> Question<'a> {
    Question {
        right,
        who,
        resource,
        requester,
        span: span(),
        reason: "INC-42",
        now: chrono::DateTime::UNIX_EPOCH,
        chat: None,
        channel: "",
        approvals: 0,
        escalated: false,
    }
}

pub fn is_yes(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Yes(policies) if !policies.is_empty())
}

#[test]
fn who_may_what() {
    let facts = rules(facts(), "");
    let table = [("ana", true, false, false), ("bea", false, true, true), ("cas", false, false, true)];
    for (who, request, approve, revoke) in table {
        assert_eq!(is_yes(&judge(&facts, Right::Request, who, who, "db")), request, "{who} request");
        assert_eq!(is_yes(&judge(&facts, Right::Approve, who, "somebody", "db")), approve, "{who} approve");
        assert_eq!(is_yes(&judge(&facts, Right::Revoke, who, "somebody", "db")), revoke, "{who} revoke");
        assert!(is_yes(&judge(&facts, Right::Request, who, who, "open")), "{who} request open");
    }
}

#[test]
fn whom_nobody_knows_may_nothing_even_by_a_group() {
    let facts = rules(facts(), "");
    for who in ["gone", "", "ANA", "ana ", "an"] {
        assert!(!is_yes(&judge(&facts, Right::Request, who, who, "open")), "{who:?}");
        assert!(!is_yes(&judge(&facts, Right::Revoke, who, "ana", "db")), "{who:?}");
    }
}

/// `dbas` begins with `dba`: a group that matches by prefix would make ana an approver.
#[test]
fn a_group_is_its_whole_name() {
    let verdict = judge(&rules(facts(), ""), Right::Approve, "ana", "bea", "db");
    assert!(
        matches!(&verdict, Verdict::No { words, .. } if words.starts_with("you are no approver of `db`")),
        "{verdict:?}"
    );
}

#[test]
fn nobody_approves_their_own_whatever_the_lists_say() {
    let verdict = judge(&rules(facts(), ""), Right::Approve, "bea", "bea", "db");
    assert!(matches!(verdict, Verdict::No { policies, .. } if policies == ["no-self-approval"]));
}

#[test]
fn a_resource_that_is_gone_is_nobodys() {
    let facts = rules(facts(), "");
    assert!(!is_yes(&judge(&facts, Right::Request, "ana", "ana", "d")));
    assert!(!is_yes(&judge(&facts, Right::Approve, "bea", "ana", "d")));
    assert!(!is_yes(&judge(&facts, Right::Revoke, "bea", "ana", "d")));
    assert_eq!(facts.those_who_may(&question(Right::Approve, "", "", "d")), Vec::<String>::new());
}

#[test]
fn accounts_are_people_both_ways() {
    let facts = rules(facts(), "");
    assert_eq!(facts.principal(Chat::Slack, "T/ana").as_deref(), Some("ana"));
    assert_eq!(facts.principal(Chat::Discord, "T/ana"), None);
    assert_eq!(facts.principal(Chat::Slack, "T/an"), None);
    assert_eq!(facts.account(Chat::Slack, "ana").as_deref(), Some("T/ana"));
    assert_eq!(facts.account(Chat::Discord, "ana"), None);
}

#[test]
fn escalation_adds_approvers_and_takes_none_away() {
    let mut facts = facts();
    let target = Target { provider: "token".into(), settings: serde_json::Map::new() };
    facts.add_resource(Guarded {
        escalate_to: vec![Who::Person("cas".into())],
        ..Guarded::new(Resource::new("db", target, 1, span()), vec![Who::Group("dba".into())])
    });
    let facts = rules(facts, "");
    let late = |who| facts.judge(&Question { escalated: true, ..question(Right::Approve, who, "ana", "db") });
    assert!(!is_yes(&judge(&facts, Right::Approve, "cas", "ana", "db")));
    assert!(is_yes(&late("cas")) && is_yes(&late("bea")));
}
