use proptest::prelude::*;
use serde_json::json;

use super::*;

fn accepts(text: &str) -> bool {
    let mut scan = Scan::new(text.as_bytes());
    scan.value().is_some() && scan.rest().is_empty()
}

fn written(value: &Value) -> Result<String, NotCanonical> {
    let mut out = Vec::new();
    write(value.as_object().unwrap(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn golden() {
    let value = json!({"b": [true, false, -7, 0], "a": "é\u{1}\n\"\\/\u{7f}", "A": {}, "c": []});
    assert_eq!(
        written(&value).unwrap(),
        "{\"A\":{},\"a\":\"é\\u0001\\n\\\"\\\\/\u{7f}\",\"b\":[true,false,-7,0],\"c\":[]}"
    );
}

#[test]
fn refused_when_written() {
    for (value, words) in [
        (json!({"a": null}), "null is not allowed"),
        (json!({"a": 1.5}), "1.5 is not an integer of at most 2^53-1"),
        (json!({"a": 9_007_199_254_740_992_u64}), "9007199254740992 is not an integer of at most 2^53-1"),
        (json!({"a": i64::MIN}), "-9223372036854775808 is not an integer of at most 2^53-1"),
        (json!({"é": 1}), "the key \"é\" is not plain ASCII"),
        (json!({"a\"": 1}), "the key \"a\\\"\" is not plain ASCII"),
    ] {
        assert_eq!(written(&value).unwrap_err().to_string(), words);
    }
    let deep = (0..DEPTH_MAX).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(written(&json!({"a": deep})), Err(NotCanonical::Depth));
}

#[test]
fn refused_when_read() {
    for text in [
        "",
        " {}",
        "{} ",
        "{\"a\":1 }",
        "{\"b\":1,\"a\":1}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,}",
        "[1,]",
        "01",
        "-0",
        "-01",
        "1.0",
        "1e3",
        "+1",
        "9007199254740992",
        "99999999999999999999",
        "null",
        "\"\\u0041\"",
        "\"\\/\"",
        "\"\\u000a\"",
        "\"\\u001F\"",
        "\"\\u00e9\"",
        "\"a\nb\"",
        "\"",
        "\"\\",
        "{\"é\":1}",
        "{\"\\u0061\":1}",
        "tru",
        "truefalse",
        "\u{feff}{}",
        "{\"a\"}",
        "[",
        "]",
    ] {
        assert!(!accepts(text), "{text}");
    }
    let deep = format!("{}1{}", "[".repeat(17), "]".repeat(17));
    assert!(!accepts(&deep));
    let bomb = "[".repeat(1 << 20);
    assert!(!accepts(&bomb));
}

#[test]
fn accepted() {
    for text in [
        "{}",
        "[]",
        "0",
        "-1",
        "9007199254740991",
        "\"\\u001f\\b\\t\\n\\f\\r\\\"\\\\\"",
        "{\"\":1,\"a\":[{}],\"b\":true}",
        "\"é\u{7f}\"",
    ] {
        assert!(accepts(text), "{text}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map("[ -!#-Z]{0,6}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_is_the_same(value in values()) {
        let body = json!({"k": value});
        let text = written(&body).unwrap();
        prop_assert!(accepts(&text));
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), body);
    }

    /// The definition: a line is canonical when writing what was parsed gives the same bytes.
    #[test]
    fn accepting_is_the_same_as_writing_again(value in values(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = written(&json!({"k": value})).unwrap().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let again = serde_json::from_str::<Value>(text).ok().filter(Value::is_object).and_then(|v| written(&v).ok());
            prop_assert_eq!(accepts(text), again.as_deref() == Some(text), "{}", text);
        }
    }
}
