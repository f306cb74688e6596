//! Signatures, against what another implementation wrote.

use super::sign::{private_key, public_key, sign, verify};

const SEED: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PAIR: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const PUBLIC: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
/// By OpenSSL, over `msg_1.1700000000.{"a":1}`.
const SIGNED: &str = "v1a,0pYc3grQLAYTYYtSm9Z+VOqkyvPhiL3xzHrpcxS6/6sXV93wWnX+gE4ZSgyOhnhCp3VTI/jx2HUyQVOO3T5OCg==";
const MOMENT: i64 = 1_700_000_000;
const BODY: &[u8] = br#"{"a":1}"#;

#[test]
fn it_signs_as_others_do() {
    for text in [PAIR, SEED] {
        let key = private_key(&text.into()).unwrap();
        assert_eq!(sign(&key, "msg_1", MOMENT, BODY), SIGNED);
        assert_eq!(key.verifying_key(), public_key(PUBLIC).unwrap());
    }
}

#[test]
fn it_believes_only_what_was_signed_about_now() {
    let key = public_key(PUBLIC).unwrap();
    let at = MOMENT.to_string();
    let holds = |headers: (&str, &str, &str), body: &[u8], now: i64| verify(&key, headers, body, now);
    assert_eq!(holds(("msg_1", &at, SIGNED), BODY, MOMENT), Ok(()));
    assert_eq!(holds(("msg_1", &at, &format!("v1,abc {SIGNED}")), BODY, MOMENT + 300), Ok(()));
    let unsigned = Err("its reply is not signed with the key that is pinned");
    assert_eq!(holds(("msg_2", &at, SIGNED), BODY, MOMENT), unsigned);
    assert_eq!(holds(("msg_1", &(MOMENT + 1).to_string(), SIGNED), BODY, MOMENT), unsigned);
    assert_eq!(holds(("msg_1", &at, SIGNED), b"{\"a\":2}", MOMENT), unsigned);
    assert_eq!(holds(("msg_1", &at, ""), BODY, MOMENT), unsigned);
    assert_eq!(holds(("msg_1", &at, &SIGNED.replace("v1a", "v1")), BODY, MOMENT), unsigned);
    let old = Err("its reply is more than five minutes off our clock");
    assert_eq!(holds(("msg_1", &at, SIGNED), BODY, MOMENT + 301), old);
    assert_eq!(holds(("msg_1", &at, SIGNED), BODY, MOMENT - 301), old);
    assert_eq!(holds(("msg_1", &i64::MIN.to_string(), SIGNED), BODY, MOMENT), old);
    assert_eq!(holds(("msg_1", "today", SIGNED), BODY, MOMENT), Err("its reply has no timestamp"));
}

#[test]
fn what_is_no_key_is_none() {
    let zeros = format!("whpk_{}=", "A".repeat(43));
    for text in ["", "whpk_", PUBLIC.trim_start_matches("whpk_"), SEED, PAIR, "whpk_AAAA", zeros.as_str()] {
        assert!(public_key(text).is_none(), "{text}");
    }
    let mixed = PAIR.replace("/tPJ", "/tPK");
    for text in ["", "whsk_", PUBLIC, "whsk_AAAA", mixed.as_str()] {
        assert!(private_key(&text.into()).is_none(), "{text}");
    }
}
