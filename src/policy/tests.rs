use super::*;
use crate::access::Target;

fn span() -> Span {
    Span::from_secs(60).unwrap()
}

/// `db`: asked for by `dev`, approved by `dba`, ended also by `sec`. `open`: asked for by anybody.
fn facts() -> Facts {
    let mut facts = Facts::new();
    for name in ["ana", "bea", "cas"] {
        facts.add_person(name, [(Chat::Slack, format!("T/{name}")), (Chat::Playground, name.to_owned())]);
    }
    facts.add_group("dev", ["ana".to_owned()]);
    facts.add_group("dba", ["bea".to_owned()]);
    facts.add_group("dbas", ["ana".to_owned()]);
    facts.add_group("sec", ["cas".to_owned(), "gone".to_owned()]);
    for (name, requesters) in [("db", Some(vec![Who::Group("dev".into())])), ("open", None)] {
        facts.add_resource(Guarded {
            resource: Resource {
                name: name.into(),
                description: String::new(),
                target: Target { provider: "token".into(), settings: serde_json::Map::new() },
                quorum: 1,
                max_duration: span(),
                lapse_after: span(),
                channel: "approvals".into(),
            },
            requesters,
            approvers: vec![Who::Group("dba".into())],
            revokers: vec![Who::Group("sec".into())],
        });
    }
    facts
}

fn is_yes(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Yes(policies) if !policies.is_empty())
}

#[test]
fn who_may_what() {
    let facts = facts();
    let table = [("ana", true, false, false), ("bea", false, true, true), ("cas", false, false, true)];
    for (who, request, approve, revoke) in table {
        assert_eq!(is_yes(&facts.may_request(who, "db", span())), request, "{who} request");
        assert_eq!(is_yes(&facts.may_approve(who, "somebody", "db", span())), approve, "{who} approve");
        assert_eq!(is_yes(&facts.may_revoke(who, "somebody", "db")), revoke, "{who} revoke");
        assert!(is_yes(&facts.may_request(who, "open", span())), "{who} request open");
    }
}

#[test]
fn whom_nobody_knows_may_nothing_even_by_a_group() {
    let facts = facts();
    for who in ["gone", "", "ANA", "ana ", "an"] {
        assert!(!is_yes(&facts.may_request(who, "open", span())), "{who:?}");
        assert!(!is_yes(&facts.may_revoke(who, "ana", "db")), "{who:?}");
    }
}

/// `dbas` begins with `dba`: a group that matches by prefix would make ana an approver.
#[test]
fn a_group_is_its_whole_name() {
    let verdict = facts().may_approve("ana", "bea", "db", span());
    assert!(
        matches!(&verdict, Verdict::No { words, .. } if words.starts_with("you are no approver of `db`")),
        "{verdict:?}"
    );
}

#[test]
fn nobody_approves_their_own_whatever_the_lists_say() {
    let verdict = facts().may_approve("bea", "bea", "db", span());
    assert!(matches!(verdict, Verdict::No { policies, .. } if policies == ["no-self-approval"]));
}

#[test]
fn a_resource_that_is_gone_is_nobodys() {
    let facts = facts();
    assert!(!is_yes(&facts.may_request("ana", "d", span())));
    assert!(!is_yes(&facts.may_approve("bea", "ana", "d", span())));
    assert!(!is_yes(&facts.may_revoke("bea", "ana", "d")));
    assert_eq!(facts.approvers("d"), Vec::<String>::new());
}

#[test]
fn accounts_are_people_both_ways() {
    let facts = facts();
    assert_eq!(facts.principal(Chat::Slack, "T/ana").as_deref(), Some("ana"));
    assert_eq!(facts.principal(Chat::Discord, "T/ana"), None);
    assert_eq!(facts.principal(Chat::Slack, "T/an"), None);
    assert_eq!(facts.account(Chat::Slack, "ana").as_deref(), Some("T/ana"));
    assert_eq!(facts.account(Chat::Discord, "ana"), None);
}
