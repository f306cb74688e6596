//! What is sent to Slack, looked at before it is sent.

use serde_json::Value;

use super::{
    cards,
    standin::{people::words, rules},
};

#[test]
fn nothing_that_is_sent_is_more_than_slack_takes_or_means_more_than_it_says() {
    let mut wrong = Vec::new();
    let mut look =
        |name: &str, found: Vec<String>| wrong.extend(found.into_iter().map(|words| format!("{name}: {words}")));
    for (name, message) in cards::messages() {
        look(&name, rules::message(&message));
    }
    for (name, view) in cards::views() {
        look(&name, rules::view(&view));
    }
    for (name, answer) in cards::searches() {
        look(&name, rules::options(&answer));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The rules above can find something.
#[test]
fn the_rules_find_what_is_wrong() {
    let good = cards::messages().remove(0).1;
    for (pointer, bad) in [
        ("/text", Value::from("<!channel>")),
        ("/text", Value::from("")),
        ("/blocks/0/text/text", Value::from("x".repeat(151))),
        ("/blocks/0/text/text", Value::from("a\u{202E}b")),
        ("/blocks/0/type", Value::from("header2")),
        ("/blocks/1/elements/0/elements", Value::Array(Vec::new())),
        ("/blocks/3/elements/0/value", Value::from("approve as U0000000002")),
        ("/blocks/3/elements/0/accessibility_label", Value::from("")),
        ("/blocks/3/elements/0/action_id", Value::from("deny")),
        ("/blocks/4/elements/0/text", Value::from("<@U0000000001>")),
    ] {
        let mut message = good.clone();
        *message.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in {good:#}")) = bad;
        assert!(!rules::message(&message).is_empty(), "{pointer} is not seen");
    }
    let good = cards::views().into_iter().find(|(name, _)| name == "request-chosen").unwrap().1;
    for (pointer, bad) in [
        ("/title/text", Value::from("x".repeat(25))),
        ("/private_metadata", Value::from("x".repeat(3_001))),
        ("/submit/text", Value::from("")),
    ] {
        let mut view = good.clone();
        *view.pointer_mut(pointer).unwrap() = bad;
        assert!(!rules::view(&view).is_empty(), "{pointer} is not seen");
    }
}

#[test]
fn a_card_in_every_state() {
    for (name, message) in
        cards::messages().into_iter().filter(|(name, _)| name != "card-long" && name != "bulletin-long")
    {
        let text = format!(
            "{}\n=== fallback\n{}\n=== JSON\n{}",
            words(&message["blocks"]),
            message["text"].as_str().unwrap(),
            serde_json::to_string_pretty(&message["blocks"]).unwrap()
        );
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn a_window_of_every_kind() {
    for (name, view) in cards::views().into_iter().filter(|(name, _)| name != "home-full") {
        let view_text = serde_json::to_string_pretty(&view).unwrap();
        insta::assert_snapshot!(format!("view-{name}"), view_text);
    }
}

#[test]
fn buttons_are_there_only_while_they_mean_something_and_ask_once_more_where_it_hurts() {
    let of = |card: &countersign::chat::card::Card| {
        let content = countersign::chat::slack::message::card(card, &cards::mentions());
        let row = content.blocks.iter().find(|block| block["type"] == "actions").cloned().unwrap_or_default();
        let button = |b: &Value| {
            let ask = if b.get("confirm").is_some() { "?" } else { "" };
            format!("{}{ask}", b["action_id"].as_str().unwrap())
        };
        row["elements"].as_array().into_iter().flatten().map(button).collect::<Vec<_>>().join(" ")
    };
    let mut table = String::new();
    for status in cards::STATES {
        let row = format!("{status:?}: {}", of(&cards::card(status)));
        table.push_str(row.trim_end());
        table.push('\n');
    }
    table += &["loud: ", &of(&cards::loud())].concat();
    insta::assert_snapshot!(table, @r"
    Requested: approve approve-less deny cancel
    Scheduled: cancel revoke?
    Issuing: revoke?
    Live: show extend done revoke?
    Ending:
    Ended:
    Denied:
    Cancelled:
    Lapsed:
    Failed:
    Owing: review-ok review-concern
    Extended:
    loud: show extend done? cut?
    ");
}

#[test]
fn a_search_is_never_cut_without_a_word() {
    let searches = cards::searches();
    let many = &searches.iter().find(|(name, _)| name == "many").unwrap().1;
    assert_eq!(many["option_groups"][0]["label"]["text"], "The first 100 of 340: type on to find the rest");
    assert_eq!(many["option_groups"][0]["options"].as_array().unwrap().len(), 100);
    let few = &searches.iter().find(|(name, _)| name == "few").unwrap().1;
    assert_eq!(few["options"].as_array().unwrap().len(), 10);
    assert_eq!(searches[0].1["options"].as_array().unwrap().len(), 0);
}

#[test]
fn a_credential_is_in_the_window_and_in_no_message() {
    let mentions = cards::mentions();
    let view = countersign::chat::slack::modal::answer(&cards::secret(), &mentions).to_string();
    assert!(view.contains("postgres://cs_demo_4821:s3cret@db/orders"));
    let message = countersign::chat::slack::message::answer(&cards::secret(), &mentions);
    assert!(!format!("{message:?}").contains("s3cret"));
}

#[test]
fn the_durations_that_are_offered_are_within_the_limit() {
    let view = cards::views().into_iter().find(|(name, _)| name == "request-glass").unwrap().1;
    let blocks = view["blocks"].as_array().unwrap();
    let duration = blocks.iter().find(|block| block["element"]["action_id"] == "duration").unwrap();
    let options = duration["element"]["options"].as_array().unwrap();
    let offered: Vec<&str> = options.iter().map(|option| option["value"].as_str().unwrap()).collect();
    assert_eq!(offered, ["5m", "15m", "30m"]);
    assert!(duration["element"].get("initial_option").is_none(), "45m is more than a break-glass may last");
}
