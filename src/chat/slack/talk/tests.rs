use serde_json::json;

use super::*;

fn said(change: impl Fn(&mut Value)) -> Option<Said> {
    let mut payload = json!({
        "authorizations": [{ "team_id": "T0123456789", "user_id": "U0BOTBOTBOT", "is_bot": true }],
        "event": {
            "type": "message", "user": "U0000000001", "text": "a &lt;b&gt; &amp;amp; <@U0000000002>", "ts": "2.000001",
            "thread_ts": "1.000001", "channel": "C1", "channel_type": "channel", "client_msg_id": "x", "bot_id": null,
        },
    });
    change(&mut payload);
    read(&payload)
}

#[test]
fn a_person_s_words_in_a_thread_and_nobody_else_s() {
    let plain = said(|_| ()).unwrap();
    assert_eq!(
        (plain.user.as_str(), plain.card.as_str(), plain.message.as_str()),
        ("U0000000001", "C1:1.000001", "2.000001")
    );
    assert_eq!(plain.turn, Turn::Said("a <b> &amp; <@U0000000002>".into()));
    for (field, value) in [
        ("thread_ts", json!(null)),
        ("thread_ts", json!("2.000001")),
        ("user", json!(null)),
        ("user", json!("USLACKBOT")),
        ("user", json!("U0BOTBOTBOT")),
        ("bot_id", json!("B1")),
        ("bot_profile", json!({ "id": "B1" })),
        ("subtype", json!("bot_message")),
        ("subtype", json!("channel_join")),
        ("subtype", json!("message_replied")),
        ("channel", json!("")),
    ] {
        assert_eq!(said(|payload| payload["event"][field] = value.clone()), None, "{field}: {value}");
    }
    for subtype in SUBTYPES {
        assert!(said(|payload| payload["event"]["subtype"] = json!(subtype)).is_some());
    }
    let with_files = said(|payload| payload["event"]["files"] = json!([{ "name": "a.png" }, { "mode": "tombstone" }]));
    let words = "a <b> &amp; <@U0000000002>\n[file: a.png]\n[file: without a name]";
    assert_eq!(with_files.unwrap().turn, Turn::Said(words.into()));
    for odd in [json!(null), json!([]), json!({ "event": [] }), json!({ "event": { "subtype": "message_changed" } })] {
        assert_eq!(read(&odd), None, "{odd}");
    }
}

#[test]
fn a_change_has_other_words_and_an_unfolded_link_is_none() {
    let changed = |now: Value| {
        said(move |payload| {
            let before = payload["event"].clone();
            let mut message = before.clone();
            for (name, value) in now.as_object().unwrap() {
                message[name] = value.clone();
            }
            payload["event"] = json!({
                "type": "message", "subtype": "message_changed", "hidden": true, "channel": "C1", "ts": "9.000001",
                "message": message, "previous_message": before,
            });
        })
    };
    let edited = json!({ "user": "U0000000001", "ts": "3.000000" });
    let one = changed(json!({ "text": "b", "edited": edited })).unwrap();
    assert_eq!(one.turn, Turn::Changed { version: "3.000000".into(), text: "b".into() });
    assert_eq!(one.message, "2.000001");
    assert_eq!(changed(json!({ "text": "b" })), None, "nobody edited it");
    assert_eq!(changed(json!({ "edited": edited })), None, "the words are the same");
    let deleted = said(|payload| {
        let before = payload["event"].clone();
        payload["event"] = json!({ "subtype": "message_deleted", "channel": "C1", "deleted_ts": "2.000001", "previous_message": before });
    });
    assert_eq!(deleted.unwrap().turn, Turn::Deleted);
}
