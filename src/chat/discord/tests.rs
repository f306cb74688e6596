use proptest::prelude::*;
use serde_json::{Value, json};

use super::{commands, deed, deed::Deed, evidence, forms, heard, heard::What, markdown};
use crate::{
    access::Action,
    chat::{Input, grammar},
};

fn options(of: &[(&str, &str)]) -> heard::Options {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Each word's command is a line that the grammar reads.
#[test]
fn every_command_is_a_line_of_the_grammar() {
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
    for (word, _, _) in grammar::WORDS {
        let line = commands::line(word, &all);
        let read = grammar::read(&Input::Line(line.clone()));
        // Those that stand alone take nothing, and nothing is registered for them.
        if !matches!(word, "mine" | "list" | "verify" | "help") {
            assert!(read.is_ok(), "{line}: {read:?}");
        }
    }
    let line = commands::line("request", &all);
    assert_eq!(line, "request prod-db 30m from 02:00 fixing INC-42");
    assert_eq!(commands::line("approve", &options(&[("id", "17")])), "approve 17");
    assert_eq!(commands::line("allow", &all), "allow ana prod-db 30m within 2h fixing INC-42");
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
    let fields = options(&[("resource", "prod-db"), ("span", "30m"), ("text", "a\nb")]);
    let read = grammar::read(&Input::Line(forms::asked(true, &fields)));
    assert!(matches!(read, Ok(Action::BreakGlass { ref reason, .. }) if reason == "a\nb"), "{read:?}");
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
