use proptest::prelude::*;
use serde_json::{Value, json};

use super::{commands, deed, deed::Deed, evidence, forms, heard, heard::What, markdown};
use crate::{
    access::{Action, RequestId},
    chat::{Input, card::Button, form::Form, grammar},
};

fn options(of: &[(&str, &str)]) -> heard::Options {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Each word's command has fields that are read, and is recorded as the line that says the same.
#[test]
fn every_command_is_read_and_said_as_a_line() {
    let all = options(&[
        ("resource", "prod-db"),
        ("id", "17"),
        ("duration", "30m"),
        ("reason", "fixing INC-42"),
        ("for", "15m"),
        ("comment", "fine"),
        ("finding", "ok"),
        ("notes", "as told"),
        ("person", "ana"),
        ("within", "2h"),
        ("words", "prod-db"),
        ("from", "02:00"),
    ]);
    let form = |word: &str, fields: &heard::Options| Form { word: word.into(), behind: None, fields: fields.clone() };
    for (word, _, _) in grammar::WORDS {
        let form = form(word, &all);
        // Those that stand alone take nothing, and nothing is registered for them.
        if !matches!(word, "mine" | "list" | "verify" | "help") {
            let (read, line) = (form.read(), grammar::read(&Input::Line(form.words())));
            assert!(read.is_ok() && read == line, "{}: {read:?}, {line:?}", form.words());
        }
    }
    assert_eq!(form("request", &all).words(), "request prod-db 30m from 02:00 fixing INC-42");
    assert_eq!(form("approve", &options(&[("id", "17")])).words(), "approve 17");
    assert_eq!(form("allow", &all).words(), "allow ana prod-db 30m within 2h fixing INC-42");
}

#[test]
fn what_is_registered_is_registered_again_only_when_it_differs() {
    let wanted = commands::all();
    let mut there = wanted.clone();
    // What Discord adds, and leaves out.
    there[0]["id"] = "1".into();
    there[0]["version"] = "2".into();
    there[0]["default_member_permissions"] = Value::Null;
    for option in there[0]["options"].as_array_mut().unwrap() {
        let object = option.as_object_mut().unwrap();
        if object["options"] == json!([]) {
            object.remove("options");
        }
    }
    assert!(commands::same(&wanted, &there));
    for change in [
        (|there| there[0]["description"] = "x".into()) as fn(&mut Value),
        |there| there[0]["options"][0]["options"][0]["autocomplete"] = false.into(),
        |there| there[0]["options"][3]["options"] = json!([{ "type": 3, "name": "old", "description": "x" }]),
        |there| drop(there[0]["options"].as_array_mut().unwrap().pop()),
        |there| there[0]["contexts"] = json!([0, 1]),
        |there| *there = json!([]),
    ] {
        let mut other = there.clone();
        change(&mut other);
        assert!(!commands::same(&wanted, &other), "{other}");
    }
}

#[test]
fn an_interaction_is_read_by_what_is_needed_of_it() {
    let value = json!({ "id": 1, "token": "a/b?c", "type": 5, "guild_id": "2", "channel": { "id": "3" },
        "member": { "user": { "id": "4" } }, "locale": null, "entitlements": null,
        "data": { "custom_id": "deny:17", "components": [
            { "type": 18, "component": { "type": 4, "custom_id": "text", "value": "in a label" } }] } });
    let heard = heard::read(&value).unwrap();
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(&heard.token),
        "a%2Fb%3Fc",
        "no way out of its place in an address"
    );
    assert_eq!((heard.id.as_str(), heard.channel.as_str(), heard.is_member), ("1", "3", true));
    assert_eq!(heard.what, What::Form("deny:17".into(), options(&[("text", "in a label")])));
    for odd in [
        json!(null),
        json!([]),
        json!({ "id": "1" }),
        json!({ "id": "x", "token": "t" }),
        json!({ "id": "1", "token": "" }),
    ] {
        assert!(heard::read(&odd).is_none(), "{odd}");
    }
}

#[test]
fn a_form_becomes_what_the_grammar_takes() {
    let fields = options(&[("span", " 15m "), ("text", "only the one row")]);
    assert_eq!(forms::text_of(&fields), "15m only the one row");
    let asked = |glass, text: &str, from: &str| {
        let fields = [("resource", "prod-db"), ("span", "30m"), ("text", text), ("from", from)];
        forms::asked(glass, &options(&fields)).read()
    };
    let read = asked(true, "a\nb", "");
    assert!(matches!(read, Ok(Action::BreakGlass { ref reason, .. }) if reason == "a\nb"), "{read:?}");
    let read = asked(false, "from 03:00", "02:00");
    assert!(
        matches!(read, Ok(Action::Request { ref reason, start: Some(_), .. }) if reason == "from 03:00"),
        "{read:?}"
    );
    // Without its duration, the text behind a button is still no duration.
    for (button, span, known) in [
        (Button::ApproveLess, "", false),
        (Button::ApproveLess, "15m", true),
        (Button::Extend, " ", false),
        (Button::Extend, "15m", true),
        (Button::Extend, "1h 30m", false),
    ] {
        let fields = options(&[("span", span), ("text", "30m for ever")]);
        let form = forms::behind(button, RequestId(17), &fields).unwrap();
        assert_eq!(form.read().is_ok(), known, "{form:?}");
        if known {
            assert_eq!(form.words(), format!("{} 17: 15m 30m for ever", button.word()));
        }
    }
    assert_eq!(forms::pressed("approve:17x"), None);
    assert_eq!(forms::pressed("approve:-1"), None);
    assert_eq!(forms::pressed("approve:+1"), None);
    assert_eq!(forms::pressed("approve"), None);
}

#[test]
fn what_was_signed_says_who_and_what() {
    let body = json!({ "id": "1", "token": "t", "type": 3, "guild_id": "2", "application_id": "9",
        "member": { "user": { "id": "4" } }, "data": { "custom_id": "approve:17" } });
    let said = evidence::said(&body.to_string()).unwrap();
    assert_eq!((said.account.as_str(), said.message.as_str()), ("2/4", "1"));
    assert_eq!(said.input.words(), "approve 17");
    assert_eq!(evidence::said("{}"), None);
}

proptest! {
    /// However long, however odd: never over its room, and nothing in it that formats.
    #[test]
    fn text_is_cut_and_escaped(text in "(\\PC|[*_~`|<>#\\[\\]\n\\\\-]){0,60}", units in 1_usize..80) {
        let shown = markdown::text(&text, units);
        prop_assert!(shown.encode_utf16().count() <= units);
        let mut escaped = false;
        for c in shown.chars() {
            let special = matches!(c, '*' | '_' | '~' | '`' | '|' | '[' | ']' | '<' | '>');
            prop_assert!(!special || escaped, "{shown:?}");
            escaped = c == '\\' && !escaped;
        }
        prop_assert!(!escaped, "an escape without what it is for: {shown:?}");
        prop_assert!(markdown::bare(&text, units).encode_utf16().count() <= units);
    }

    /// Whatever Discord sends, it is read or not, and nothing breaks.
    #[test]
    fn any_interaction_is_judged(kind in 0_u64..8, id in "[a-z-]{0,14}:?[0-9]{0,4}", name in "[a-z]{0,8}", text in "\\PC{0,30}") {
        let value = json!({ "id": "1", "token": "t", "type": kind, "guild_id": "2", "application_id": "9",
            "member": { "user": { "id": "4" } },
            "data": { "custom_id": id, "name": name, "options": [{ "type": 1, "name": text, "options": [
                { "name": name, "value": text, "focused": true }] }] } });
        let heard = heard::read(&value).unwrap();
        let judged = deed::of(&heard, "2", "9");
        let elsewhere = deed::of(&heard, "3", "9");
        prop_assert!(!matches!(elsewhere, Deed::Submit(..)));
        if let Deed::Submit(input, _) = judged {
            let _ = grammar::read(&input);
        }
    }
}
