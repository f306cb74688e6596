use serde_json::json;

use super::*;

const TEAM: &str = "T0123456789";

fn heard(kind: Kind, payload: &Value) -> Result<What, Stranger> {
    read(kind, payload, TEAM, "delivery").map(|heard| heard.what)
}

fn click() -> Value {
    json!({
        "type": "block_actions", "team": { "id": TEAM }, "user": { "id": "U0000000001", "team_id": TEAM },
        "trigger_id": "1.2.3", "actions": [{ "action_id": "approve", "value": "17", "action_ts": "9.9" }],
    })
}

#[test]
fn a_command_with_as_little_as_slack_may_send() {
    let payload = json!({ "team_id": TEAM, "user_id": "U0000000001", "command": "/access" });
    let heard = read(Kind::Command, &payload, TEAM, "delivery").unwrap();
    assert_eq!((heard.what, heard.key.as_str(), heard.trigger), (What::Line(String::new()), "delivery", None));
    let payload =
        json!({ "team_id": TEAM, "user_id": "U0000000001", "text": "a &lt;b&gt; &amp;lt;", "trigger_id": "1.2.3" });
    let heard = read(Kind::Command, &payload, TEAM, "delivery").unwrap();
    assert_eq!((heard.what, heard.key.as_str()), (What::Line("a <b> &lt;".into()), "1.2.3"));
}

#[test]
fn strangers_and_clicks_without_a_user_are_refused() {
    let with = |pointer: &str, value: Value| {
        let mut click = click();
        *click.pointer_mut(pointer).unwrap() = value;
        heard(Kind::Interaction, &click)
    };
    assert!(heard(Kind::Interaction, &click()).is_ok());
    assert_eq!(with("/team/id", json!("T9999999999")), Err(Stranger::Team));
    assert!(with("/team", Value::Null).is_ok(), "the person's team is enough");
    let mut nowhere = click();
    nowhere["team"] = Value::Null;
    nowhere["user"] = json!({ "id": "U0000000001" });
    assert_eq!(heard(Kind::Interaction, &nowhere), Err(Stranger::Team));
    assert_eq!(with("/user/team_id", json!("T9999999999")), Err(Stranger::Outsider));
    assert_eq!(with("/user", Value::Null), Err(Stranger::Nobody));
    assert_eq!(with("/user/id", json!("<!channel>")), Err(Stranger::Nobody));
    for flag in [json!(true), json!("true")] {
        let mut click = click();
        click["is_enterprise_install"] = flag;
        assert_eq!(heard(Kind::Interaction, &click), Err(Stranger::Enterprise));
    }
    let event = json!({ "team_id": TEAM, "event": { "type": "app_home_opened", "user": "U0000000001", "tab": "home", "user_team": "T9" } });
    assert_eq!(heard(Kind::Event, &event), Err(Stranger::Outsider));
}

#[test]
fn the_same_click_has_the_same_key_and_another_has_another() {
    let key = |click: &Value| read(Kind::Interaction, click, TEAM, "delivery").unwrap().key;
    let (one, mut other) = (click(), click());
    assert_eq!(key(&one), key(&one));
    other["actions"][0]["action_ts"] = json!("9.10");
    assert_ne!(key(&one), key(&other));
}

#[test]
fn what_is_no_button_of_ours_is_nothing() {
    for (pointer, value) in [
        ("/actions/0/action_id", json!("launch")),
        ("/actions/0/value", json!("17; approve 18")),
        ("/actions/0/value", json!("-1")),
        ("/actions/0/value", Value::Null),
        ("/actions", json!([])),
        ("/type", json!("workflow_step_edit")),
    ] {
        let mut click = click();
        *click.pointer_mut(pointer).unwrap() = value;
        assert_eq!(heard(Kind::Interaction, &click), Ok(What::Nothing), "{pointer}");
    }
    let event = json!({ "team_id": TEAM, "event": { "type": "message", "user": "U0000000001" } });
    assert_eq!(heard(Kind::Event, &event), Ok(What::Nothing));
    assert_eq!(heard(Kind::Other, &Value::Null), Ok(What::Nothing));
}

#[test]
fn a_form_is_read_by_the_names_of_its_elements() {
    let payload = json!({
        "type": "view_submission", "team": { "id": TEAM }, "user": { "id": "W0000000001" },
        "view": {
            "id": "V1", "hash": "1.a", "callback_id": "press",
            "private_metadata": "{\"request\":17,\"button\":\"deny\",\"channel\":\"C1\"}",
            "state": { "values": {
                "words": { "words": { "type": "plain_text_input", "value": "use the replica" } },
                "duration:7200": { "duration": { "type": "static_select", "selected_option": { "value": "30m" } } },
                "empty": { "ticket": { "type": "plain_text_input", "value": null } },
            } },
        },
    });
    let heard = read(Kind::Interaction, &payload, TEAM, "delivery").unwrap();
    assert_eq!(heard.key, "V1/1.a");
    let What::Sent(form) = heard.what else { panic!("it is a form") };
    assert_eq!(form.press(), Some((RequestId(17), Button::Deny)));
    assert_eq!((form.value("words"), form.value("ticket"), form.value("nothing")), ("use the replica", "", ""));
    assert_eq!((form.value("duration"), form.block("duration")), ("30m", "duration:7200"));
}
