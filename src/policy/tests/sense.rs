//! Conditions that can't be meant.

use std::collections::BTreeSet;

use insta::assert_snapshot as is;

use super::{
    cedar::{told, told_of},
    *,
};

/// What is told of a policy with this condition.
fn when(condition: &str) -> String {
    told(&format!(
        "@id(\"a\") forbid (principal, action == Countersign::Action::\"request\", resource)\nwhen {{ {condition} }};"
    ))
}

fn tagged(condition: &str) -> String {
    let mut facts = facts();
    let resource = facts.resource("db").unwrap().clone();
    let tags = BTreeSet::from(["production".to_owned(), "data".to_owned()]);
    facts.add_resource(Guarded { tags, ..Guarded::new(resource, vec![Who::Group("dba".into())]) });
    told_of(
        &format!(
            "@id(\"a\") forbid (principal, action == Countersign::Action::\"request\", resource)\nunless {{ {condition} }};"
        ),
        &facts,
    )
}

#[test]
fn a_tag_that_no_resource_has() {
    is!(tagged("resource.tags.contains(\"prodution\")"), @"2:33: warning: policy `a`: no resource has the tag `prodution` (hint: did you mean `production`?)");
    is!(tagged("resource.tags.containsAny([\"data\", \"pii\"]) && context.hour < 9"), @"2:45: warning: policy `a`: no resource has the tag `pii` (hint: put it into the `tags` of a resource, or take the condition out)");
    is!(tagged("[\"production\", \"dta\"].containsAll(resource.tags)"), @"2:25: warning: policy `a`: no resource has the tag `dta` (hint: did you mean `data`?)");
    is!(tagged("resource.tags == [\"data\", \"staging\"]"), @"2:36: warning: policy `a`: no resource has the tag `staging` (hint: put it into the `tags` of a resource, or take the condition out)");
    for fine in [
        "resource.tags.contains(\"production\") || resource.tags.containsAll([\"data\", \"production\"])",
        "context.reason == \"staging\" && resource.name == \"stage\"",
    ] {
        assert_eq!(tagged(fine), "nothing", "{fine}");
    }
}

#[test]
fn a_time_that_no_clock_shows() {
    is!(when("context.hour >= 25"), @"2:8: warning: policy `a`: `context.hour >= 25` is never so (hint: hours go from 0 to 23)");
    is!(when("context.hour > 8 && context.hour < 2500"), @"2:28: warning: policy `a`: `context.hour < 2500` is always so (hint: hours go from 0 to 23)");
    is!(when("24 == context.hour"), @"2:14: warning: policy `a`: `context.hour == 24` is never so (hint: hours go from 0 to 23)");
    is!(when("context.minute == 60"), @"2:8: warning: policy `a`: `context.minute == 60` is never so (hint: minutes go from 0 to 59)");
    is!(when("context.minutesOfDay > 1439"), @"2:8: warning: policy `a`: `context.minutesOfDay > 1439` is never so (hint: the minutes of a day go from 0 to 1439)");
    is!(when("context.weekday == 0"), @"2:8: warning: policy `a`: `context.weekday == 0` is never so (hint: days go from 1, a Monday, to 7, a Sunday)");
    is!(when("context.weekday != 0 && context.hour > 3"), @"2:8: warning: policy `a`: `context.weekday != 0` is always so (hint: days go from 1, a Monday, to 7, a Sunday)");
    is!(when("[0, 6].contains(context.weekday)"), @"2:24: warning: policy `a`: `context.weekday` is never 0 (hint: days go from 1, a Monday, to 7, a Sunday)");
    is!(when("context.hour < -1"), @"2:8: warning: policy `a`: `context.hour < -1` is never so (hint: hours go from 0 to 23)");
}

#[test]
fn a_window_that_nothing_is_in() {
    is!(when("context.hour >= 22 && context.hour < 6"), @"2:8: warning: policy `a`: what it asks of `context.hour` can't be so all at once (hint: a time over the end is two: `context.hour >= … || context.hour < …`)");
    is!(when("resource.tags.isEmpty() && context.weekday >= 6 && context.chat == \"slack\" && context.weekday < 6"), @"2:35: warning: policy `a`: what it asks of `context.weekday` can't be so all at once (hint: a time over the end is two: `context.weekday >= … || context.weekday < …`)");
    is!(when("!(context.hour < 18) && !(context.hour >= 9)"), @"2:10: warning: policy `a`: what it asks of `context.hour` can't be so all at once (hint: a time over the end is two: `context.hour >= … || context.hour < …`)");
    is!(when("context.hour < 9 }\nunless { context.hour < 12"), @"2:8: warning: policy `a`: what it asks of `context.hour` can't be so all at once (hint: a time over the end is two: `context.hour >= … || context.hour < …`)");
    is!(when("context.hour > 9 || context.hour < 18"), @"2:8: warning: policy `a`: one of what it asks of `context.hour` is always so (hint: a time within a day is both: `context.hour >= … && context.hour < …`)");
}

#[test]
fn what_can_be_meant_is_left_alone() {
    for fine in [
        "context.hour >= 22 || context.hour < 6",
        "context.hour >= 9 && context.hour < 24",
        "context.hour >= 0 && context.hour <= 23",
        "context.weekday <= 5 && context.hour >= 9 && context.hour < 18",
        "(context.hour >= 22 && context.chat == \"slack\") || (context.hour < 6 && context.chat == \"discord\")",
        "context.hour >= 22 && (context.hour < 6 || context.escalated)",
        "(context.hour > 9 && context.onCall) || context.hour < 18",
        "[6, 7].contains(context.weekday)",
        "!(context.hour >= 9 && context.hour < 18)",
        "context.hour < 6 }\nwhen { context.weekday == 7 }\nunless { context.hour < 3",
        "context.minutesOfDay >= 510 && context.minutesOfDay < 1050",
        "context.hour * 60 + context.minute > 1500",
        "if context.hour < 9 then context.hour > 9 else true",
        "context.durationSecs > 86400 && context.approvals < 1",
    ] {
        assert_eq!(when(fine), "nothing", "{fine}");
    }
}
