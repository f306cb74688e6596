//! Groups whose people somebody else says: asked at the click, kept for a while, and a no while the source is down.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::policy::Lookup;

/// A source that says what the test says, and counts.
#[derive(Default)]
struct Says {
    answer: Mutex<Option<Result<Vec<String>, String>>>,
    asked: AtomicUsize,
}

impl Says {
    fn say(&self, answer: Result<&[&str], &str>) {
        let answer = answer.map(|names| names.iter().map(|name| (*name).to_owned()).collect()).map_err(str::to_owned);
        *self.answer.lock().unwrap() = Some(answer);
    }
}

#[async_trait]
impl Lookup for Says {
    async fn members(&self) -> Result<Vec<String>, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

/// `pager` is said by a source; `team` holds it, and approves `db` beside bea of `dba`.
fn rules_with(text: &str, cache_secs: u64) -> (Policies, Arc<Says>) {
    let mut facts = facts();
    facts.set_email("cas", "Cas@example.com");
    let source = Some(Source::Url("https://people.example".into()));
    facts.put_group("pager", Group { members: vec![], source, on_call: true });
    facts.put_group("team", Group { members: vec![Who::Group("pager".into())], ..Group::default() });
    let mut db = facts.resources()["db"].clone();
    db.approvers.push(Who::Group("team".into()));
    facts.add_resource(db);
    let says = Arc::new(Says::default());
    let lookups = BTreeMap::from([("pager".to_owned(), Arc::clone(&says) as Arc<dyn Lookup>)]);
    (rules(facts, text).with_sources(lookups, cache_secs), says)
}

fn at(secs: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(secs)
}

fn asks(rules: &Policies, right: Right, who: &str, secs: i64) -> Verdict {
    rules.judge(&Question {
        now: at(secs),
        ..question(right, who, if right == Right::Request { who } else { "ana" }, "db")
    })
}

fn words(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Yes(_) => "yes",
        Verdict::No { words, .. } | Verdict::Broken { words, .. } => words,
    }
}

#[tokio::test]
async fn people_are_who_the_source_says_for_the_caches_time() {
    let (rules, says) = rules_with("", 30);
    says.say(Ok(&["CAS@EXAMPLE.COM", "nobody", " bea "]));
    rules.refresh(at(0)).await;
    assert!(is_yes(&asks(&rules, Right::Approve, "cas", 0)));
    rules.refresh(at(29)).await;
    assert_eq!(says.asked.load(Ordering::SeqCst), 1, "the answer was good still");
    says.say(Ok(&["bea"]));
    rules.refresh(at(30)).await;
    assert!(!is_yes(&asks(&rules, Right::Approve, "cas", 30)));
    assert_eq!(says.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_source_that_was_not_asked_or_is_down_is_a_no_with_a_word() {
    let (rules, says) = rules_with("", 30);
    insta::assert_snapshot!(words(&asks(&rules, Right::Approve, "cas", 0)), @"this depends on who is in `pager` (its source was not asked yet), which can't be found out right now, and what can't be found out is a no. Try again in a minute");
    says.say(Err("Slack says `ratelimited`"));
    rules.refresh(at(0)).await;
    insta::assert_snapshot!(words(&asks(&rules, Right::Approve, "cas", 0)), @"this depends on who is in `pager` (Slack says `ratelimited`), which can't be found out right now, and what can't be found out is a no. Try again in a minute");
    assert!(is_yes(&asks(&rules, Right::Approve, "bea", 0)), "bea may by a list that nobody doubts");
    assert!(is_yes(&asks(&rules, Right::Request, "ana", 0)));
    // A source that is down is asked again soon, but not at every click.
    says.say(Ok(&["cas"]));
    rules.refresh(at(1)).await;
    assert!(!is_yes(&asks(&rules, Right::Approve, "cas", 1)));
    rules.refresh(at(5)).await;
    assert!(is_yes(&asks(&rules, Right::Approve, "cas", 5)));
    // What was said long ago is not said now.
    assert!(is_yes(&asks(&rules, Right::Approve, "cas", 45)));
    insta::assert_snapshot!(words(&asks(&rules, Right::Approve, "cas", 46)), @"this depends on who is in `pager` (its source was not asked for long), which can't be found out right now, and what can't be found out is a no. Try again in a minute");
}

/// A group that is forbidden something is no door for whoever is in it while its source is down.
#[tokio::test]
async fn a_source_that_is_down_does_not_lift_a_forbid() {
    for text in [
        "@id(\"x\") forbid (principal in Countersign::Group::\"pager\", action == Countersign::Action::\"request\", resource);",
        "@id(\"x\") forbid (principal, action == Countersign::Action::\"request\", resource) unless { !(principal in Countersign::Group::\"team\") };",
        "@id(\"x\") forbid (principal, action == Countersign::Action::\"request\", resource) when { context.onCall };",
        "@id(\"x\") forbid (principal, action == Countersign::Action::\"request\", resource) when { context.requester in Countersign::Group::\"team\" };",
    ] {
        let (rules, says) = rules_with(text, 30);
        says.say(Err("it failed"));
        rules.refresh(at(0)).await;
        let verdict = asks(&rules, Right::Request, "ana", 0);
        assert!(words(&verdict).contains("this depends on who is in `pager` (it failed)"), "{text}: {verdict:?}");
        says.say(Ok(&["cas"]));
        rules.refresh(at(10)).await;
        assert!(is_yes(&asks(&rules, Right::Request, "ana", 10)), "{text}");
        says.say(Ok(&["ana"]));
        rules.refresh(at(50)).await;
        assert!(!is_yes(&asks(&rules, Right::Request, "ana", 50)), "{text}");
    }
}

#[tokio::test]
async fn nobody_in_it_is_not_the_same_as_not_known() {
    let (rules, says) = rules_with("", 30);
    says.say(Ok(&[]));
    rules.refresh(at(0)).await;
    assert!(words(&asks(&rules, Right::Approve, "cas", 0)).starts_with("you are no approver"));
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_given_up() {
    let (rules, _says) = rules_with("", 30);
    rules.refresh(at(0)).await;
    assert!(words(&asks(&rules, Right::Approve, "cas", 0)).contains("no answer within 2 s"));
}

#[tokio::test]
async fn many_clicks_at_once_ask_once() {
    let (rules, says) = rules_with("", 30);
    says.say(Ok(&["cas"]));
    let rules = Arc::new(rules);
    let mut clicks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let rules = Arc::clone(&rules);
        clicks.spawn(async move { rules.refresh(at(0)).await });
    }
    clicks.join_all().await;
    assert_eq!(says.asked.load(Ordering::SeqCst), 1);
    assert!(is_yes(&asks(&rules, Right::Approve, "cas", 0)));
}
