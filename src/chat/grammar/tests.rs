use insta::assert_snapshot as is;

use super::*;

fn line(text: &str) -> String {
    match read(&Input::Line(text.into())) {
        Ok(action) => format!("{action:?}"),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

#[test]
fn a_request_with_and_without_its_word() {
    let same = line("prod-db 30m fixing INC-42");
    is!(same, @r#"Request { resource: "prod-db", span: Span(1800), reason: "fixing INC-42", plan: [], start: None }"#);
    for other in [
        "request prod-db 30m fixing INC-42",
        "/access prod-db 30m fixing INC-42",
        "/access request prod-db 30m  fixing INC-42 ",
        "  Request prod-db   30m fixing INC-42",
    ] {
        assert_eq!(line(other), same, "{other}");
    }
}

#[test]
fn ids_with_and_without_the_hash() {
    assert_eq!(line("approve 17"), line("approve #17"));
    is!(line("approve 17 looks right"), @r#"Approve { request: RequestId(17), span: None, comment: "looks right" }"#);
    is!(line("deny #17 use the replica"), @r#"Deny { request: RequestId(17), reason: "use the replica" }"#);
    is!(line("done 17"), @"Done { request: RequestId(17) }");
}

#[test]
fn what_is_missing_is_asked_for() {
    is!(line("request"), @"refused: say what you need, for how long, and why: for example `/access prod-db 30m fixing INC-42`");
    is!(line("prod-db"), @"refused: say for how long and why: `/access prod-db 30m <reason>`. `/access help` lists the other words");
    is!(line("prod-db soon please"), @"refused: `soon` is no duration: a duration looks like `30m`, `1h30m`, `2h` or `1d`; for example `/access prod-db 30m fixing INC-42`");
    is!(line("prod-db 0m why"), @"refused: a duration can't be zero; for example `/access prod-db 30m fixing INC-42`");
    is!(line("prod-db 30m"), @r#"Request { resource: "prod-db", span: Span(1800), reason: "", plan: [], start: None }"#);
    is!(line("approve"), @"refused: say which request: `/access approve 17`. `/access list` shows their ids");
    is!(line("deny all of them"), @"refused: `all` is no request's id: it is a number like `17` or `#17`. `/access list` shows them");
    is!(line("show -1"), @"refused: `-1` is no request's id: it is a number like `17` or `#17`. `/access list` shows them");
    is!(line("show 99999999999999999999999"), @"refused: `99999999999999999999999` is no request's id: it is a number like `17` or `#17`. `/access list` shows them");
    is!(line("done 17 please"), @"refused: there is more than Countersign understands after `done`. Write just `/access done <id>`");
}

#[test]
fn slips_of_a_word_get_its_usage_and_resources_with_such_names_do_not() {
    is!(line("aprove 17"), @"refused: `aprove` is no word Countersign knows. Did you mean `/access approve <id> [for <duration>] [comment]`?");
    is!(line("hepl"), @"refused: `hepl` is no word Countersign knows. Did you mean `/access help`?");
    is!(line("denny 17 no"), @"refused: `denny` is no word Countersign knows. Did you mean `/access deny <id> <reason>`?");
    // Somebody may have called a database so.
    assert!(line("lists 30m why").starts_with("Request"), "{}", line("lists 30m why"));
}

#[test]
fn nothing_is_help() {
    assert_eq!(line(""), "Help");
    assert_eq!(line("/access"), "Help");
    assert_eq!(line("HELP"), "Help");
}

#[test]
fn a_press_is_what_its_button_says() {
    let press = |button, text: &str| {
        let text = (!text.is_empty()).then(|| text.to_owned());
        match read(&Input::Press { request: RequestId(5), button, text }) {
            Ok(action) => format!("{action:?}"),
            Err(refusal) => format!("refused: {refusal}"),
        }
    };
    for button in Button::ALL {
        let text = button.form().map_or("", |_| "15m because");
        let said = line(&match button {
            Button::ApproveLess => "approve 5 for 15m because".to_owned(),
            Button::Cut => "revoke 5".to_owned(),
            Button::ReviewOk => "review 5 ok 15m because".to_owned(),
            Button::ReviewConcern => "review 5 concern 15m because".to_owned(),
            // The word `show` tells about a request; the button hands out its credential.
            Button::Show => {
                is!(press(button, ""), @"Show { request: RequestId(5) }");
                continue;
            }
            Button::Approve | Button::Deny | Button::Cancel | Button::Done | Button::Revoke | Button::Extend => {
                format!("{} 5 {text}", button.word())
            }
        });
        assert_eq!(press(button, text), said);
    }
    is!(press(Button::ApproveLess, ""), @"refused: say for how long, for example `15m only the one row`");
    is!(press(Button::Extend, "a while"), @"refused: `a` is no duration: a duration looks like `30m`, `1h30m`, `2h` or `1d`; for example `30m the fix needs a deploy`");
}

#[test]
fn a_start_and_a_reason_that_begins_with_from() {
    is!(line("db 30m from 02:00 migration"), @r#"Request { resource: "db", span: Span(1800), reason: "migration", plan: [], start: Some(Clock(02:00:00)) }"#);
    is!(line("db 30m from 2026-11-22T02:00 migration"), @r#"Request { resource: "db", span: Span(1800), reason: "migration", plan: [], start: Some(Day(2026-11-22T02:00:00)) }"#);
    is!(line("db 30m from scratch again"), @r#"Request { resource: "db", span: Span(1800), reason: "from scratch again", plan: [], start: None }"#);
    is!(line("db 30m from 25:00"), @r#"Request { resource: "db", span: Span(1800), reason: "from 25:00", plan: [], start: None }"#);
}

#[test]
fn emergencies_more_time_less_time_and_time_ahead() {
    is!(line("break-glass db 30m it is down"), @r#"BreakGlass { resource: "db", span: Span(1800), reason: "it is down", plan: [] }"#);
    is!(line("break-glas db"), @"refused: `break-glas` is no word Countersign knows. Did you mean `/access break-glass <resource> <duration> <reason>`?");
    is!(line("extend 17 30m a deploy"), @r#"Extend { request: RequestId(17), span: Span(1800), reason: "a deploy" }"#);
    is!(line("extend 17"), @"refused: say for how long, for example `/access extend 17 30m the fix needs a deploy`");
    is!(line("approve 17 for 15m only that"), @r#"Approve { request: RequestId(17), span: Some(Span(900)), comment: "only that" }"#);
    is!(line("approve 17 for the team"), @r#"Approve { request: RequestId(17), span: None, comment: "for the team" }"#);
    is!(line("review 17 OK all fine"), @r#"Review { request: RequestId(17), finding: Ok, notes: "all fine" }"#);
    is!(line("review 17 fine"), @"refused: say what you found: `/access review 17 ok <notes>` or `/access review 17 concern <notes>`");
    is!(line("allow @ana db 30m within 2h tonight"), @r#"Allow { person: "ana", resource: "db", span: Span(1800), window: Span(7200), reason: "tonight" }"#);
    is!(line("allow ana db 30m within reason"), @r#"Allow { person: "ana", resource: "db", span: Span(1800), window: Span(28800), reason: "within reason" }"#);
    is!(line("allow"), @"refused: say who may ask for what: for example `/access allow ana prod-db 30m within 8h the migration of tonight`");
}

proptest::proptest! {
    #[test]
    fn any_text_means_something_or_is_refused(text in "\\PC{0,80}") {
        let _ = line(&text);
    }

    #[test]
    fn what_is_said_back_is_short(word in "[a-z`]{0,400}") {
        let said = line(&format!("{word} never"));
        proptest::prop_assert!(said.chars().count() < 400);
    }
}

#[test]
fn what_a_form_finishes() {
    let drafted = |line| {
        let Draft { glass, resource, duration, reason } = draft(line)?;
        Some(format!("{}{resource}|{duration}|{reason}", if glass { "glass:" } else { "" }))
    };
    assert_eq!(drafted("").as_deref(), Some("||"));
    assert_eq!(drafted("/access").as_deref(), Some("||"));
    assert_eq!(drafted("prod-db").as_deref(), Some("prod-db||"));
    assert_eq!(drafted("request").as_deref(), Some("||"));
    assert_eq!(drafted("prod-db 30m").as_deref(), Some("prod-db|30m|"));
    assert_eq!(drafted("request prod-db 30m").as_deref(), Some("prod-db|30m|"));
    assert_eq!(drafted("break-glass prod-db").as_deref(), Some("glass:prod-db||"));
    for whole in
        ["prod-db 30m fixing INC-42", "request prod-db 30m x", "mine", "help", "list", "show 17", "deny", "mnie"]
    {
        assert_eq!(drafted(whole), None, "{whole}");
    }
}
