//! What all providers share.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Holder, Order, orders,
    orders::{checked, is_of_log, log_tag, written},
    quote, random,
    register::Register,
};

fn order(request: u64, not_after: DateTime<Utc>) -> Order {
    Order {
        external_id: format!("cs_abcdefgh_{request}"),
        request,
        resource: "prod".into(),
        holder: Holder { name: "requester".into(), ssh_keys: Vec::new() },
        not_after,
    }
}

fn noon() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

#[test]
fn ids_of_ours_are_told_from_all_others() {
    assert_eq!(log_tag("cs_abcdef27_0"), Some("abcdef27"));
    assert!(is_of_log("cs_abcdef27_18446744073709551615", "abcdef27"));
    assert!(!is_of_log("cs_abcdef27_1", "abcdef26"));
    for bad in [
        "",
        "cs_",
        "cs__1",
        "cs_abcdefgh",
        "cs_abcdefgh_",
        "cs_abcdefg_1",
        "cs_abcdefghi_1",
        "cs_ABCDEFGH_1",
        "cs_abcdefg1_1",
        "cs_abcdefgh_1x",
        "cs_abcdefgh_-1",
        "cs_abcdefgh_1_2",
        "xcs_abcdefgh_1",
        "cs_abcdefgh_٣",
        " cs_abcdefgh_1",
        "cs_abcdefgh_11111111111111111111111111111111",
    ] {
        assert_eq!(log_tag(bad), None, "{bad}");
        assert!(checked(&Order { external_id: bad.into(), ..order(1, noon()) }).is_err(), "{bad}");
    }
}

#[test]
fn an_end_is_written_no_later_than_it_is() {
    let moment = noon() + TimeDelta::milliseconds(999);
    assert_eq!(written(moment), "2026-11-20 12:00:00 UTC");
    // A grant in its last second has nothing left to give.
    assert!(orders::not_over(&order(1, moment), noon()).is_err());
    assert!(orders::not_over(&order(1, noon() + TimeDelta::seconds(1)), noon()).is_ok());
}

#[test]
fn words_of_a_shell_stay_words() {
    for (text, word) in [
        ("plain-1.2_3@host:/x", "plain-1.2_3@host:/x"),
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", r"'it'\''s'"),
        ("$(reboot)", "'$(reboot)'"),
        ("~root", "'~root'"),
        ("a\\b", r"'a\b'"),
        ("é", "'é'"),
    ] {
        assert_eq!(quote::shell(text), word);
    }
}

#[test]
fn passwords_are_long_different_and_plain() {
    let all: std::collections::BTreeSet<String> = (0..100).map(|_| random::base62(32).unwrap().to_string()).collect();
    assert_eq!(all.len(), 100);
    let together: String = all.into_iter().collect();
    assert_eq!(together.len(), 3200);
    let used: std::collections::BTreeSet<char> = together.chars().collect();
    assert_eq!(used.len(), 62, "every character is used: {used:?}");
    assert!(used.iter().all(char::is_ascii_alphanumeric));
}

#[test]
fn a_register_forgets_what_has_ended_and_nothing_else() {
    let mut register = Register::<()>::default();
    let (end, later) = (noon(), noon() + TimeDelta::hours(2));
    register.open(&order(1, end));
    register.cut(&order(1, end), 1, end.timestamp(), ()).unwrap();
    register.close(&order(1, end));
    register.open(&order(2, later));
    for n in 1..=3 {
        register.cut(&order(2, later), n, later.timestamp(), ()).unwrap();
    }
    assert!(register.cut(&order(2, later), 2, later.timestamp(), ()).is_err(), "an earlier number is void");
    let void =
        |register: &Register<()>| register.doors.values().flat_map(|door| &door.keys).filter(|key| key.void).count();
    register.turn_page(end + TimeDelta::minutes(59));
    assert_eq!((register.doors.len(), void(&register)), (2, 3));
    register.turn_page(end + TimeDelta::minutes(61));
    assert_eq!((register.doors.len(), void(&register)), (1, 2));
    register.turn_page(later + TimeDelta::days(1));
    assert_eq!(register.items("abcdefgh").len(), 1, "an open door is never forgotten");
    assert_eq!(register.items("zzzzzzzz"), []);
    assert_eq!(register.edition, 3);
}

#[test]
fn a_key_does_not_outlive_an_end_that_moved() {
    let mut register = Register::<()>::default();
    let early = order(1, noon() - TimeDelta::minutes(10));
    register.open(&order(1, noon()));
    register.cut(&order(1, noon()), 1, noon().timestamp(), ()).unwrap();
    register.open(&order(1, noon() + TimeDelta::minutes(10)));
    assert!(!register.doors["cs_abcdefgh_1"].keys[0].void, "a longer grant voids nothing");
    register.open(&early);
    assert!(register.doors["cs_abcdefgh_1"].keys[0].void);
}

#[test]
fn a_door_that_opens_again_keeps_old_keys_void() {
    let mut register = Register::<()>::default();
    let order = order(1, noon());
    register.open(&order);
    register.cut(&order, 1, noon().timestamp(), ()).unwrap();
    register.close(&order);
    assert!(register.cut(&order, 2, noon().timestamp(), ()).is_err(), "closed is closed");
    register.open(&order);
    let keys = &register.doors["cs_abcdefgh_1"].keys;
    assert!(keys.iter().all(|key| key.void));
    for n in 2..=200 {
        register.cut(&order, n, noon().timestamp(), ()).unwrap();
    }
    assert!(register.cut(&order, 201, noon().timestamp(), ()).is_err(), "there is a limit");
}
