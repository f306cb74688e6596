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
    is!(same, @r#"Request { resource: "prod-db", span: Span(1800), reason: "fixing INC-42", plan: [] }"#);
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
    is!(line("approve 17 looks right"), @r#"Approve { request: RequestId(17), comment: "looks right" }"#);
    is!(line("deny #17 use the replica"), @r#"Deny { request: RequestId(17), reason: "use the replica" }"#);
    is!(line("done 17"), @"Done { request: RequestId(17) }");
}

#[test]
fn what_is_missing_is_asked_for() {
    is!(line("request"), @"refused: say what you need, for how long, and why: for example `/access prod-db 30m fixing INC-42`");
    is!(line("prod-db"), @"refused: say for how long and why: `/access prod-db 30m <reason>`. `/access help` lists the other words");
    is!(line("prod-db soon please"), @"refused: `soon` is no duration: a duration looks like `30m`, `1h30m`, `2h` or `1d`; for example `/access prod-db 30m fixing INC-42`");
    is!(line("prod-db 0m why"), @"refused: a duration can't be zero; for example `/access prod-db 30m fixing INC-42`");
    is!(line("prod-db 30m"), @r#"Request { resource: "prod-db", span: Span(1800), reason: "", plan: [] }"#);
    is!(line("approve"), @"refused: say which request: `/access approve 17`. `/access list` shows their ids");
    is!(line("deny all of them"), @"refused: `all` is no request's id: it is a number like `17` or `#17`. `/access list` shows them");
    is!(line("show -1"), @"refused: `-1` is no request's id: it is a number like `17` or `#17`. `/access list` shows them");
    is!(line("show 99999999999999999999999"), @"refused: `99999999999999999999999` is no request's id: it is a number like `17` or `#17`. `/access list` shows them");
    is!(line("done 17 please"), @"refused: there is more than Countersign understands after `done`. Write just `/access done <id>`");
}

#[test]
fn slips_of_a_word_get_its_usage_and_resources_with_such_names_do_not() {
    is!(line("aprove 17"), @"refused: `aprove` is no word Countersign knows. Did you mean `/access approve <id> [comment]`?");
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
    for button in Button::ALL {
        let text = button.form().map(|_| "because".to_owned());
        let press = Input::Press { request: RequestId(5), button, text };
        let action = format!("{:?}", read(&press).unwrap()).to_lowercase();
        assert!(action.starts_with(button.word()), "{action}");
    }
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
