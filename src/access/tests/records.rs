use super::*;

#[test]
fn an_unknown_kind_or_field_stops_the_reader() {
    let record = |kind: &str, body: &str| Record {
        kind: kind.into(),
        body: serde_json::from_str(body).unwrap(),
        personal: vec![],
        erased: false,
        locked: false,
    };
    let read = |kind: &str, body: &str| Event::from_record(7, record(kind, body), |kind| kind == "log.opened");
    assert!(matches!(read("log.opened", "{\"any\":1}"), Ok(Event::Ledger(_))));
    assert!(read("request.lapsed", "{\"request\":5}").is_ok());
    insta::assert_snapshot!(read("request.lapsed", "{\"request\":5,\"more\":1}").unwrap_err(), @"entry 7 of kind `request.lapsed` can't be read: unknown field `more`, expected `request`");
    insta::assert_snapshot!(read("request.vanished", "{}").unwrap_err(), @"entry 7 of kind `request.vanished` can't be read: this program is older than the entry, or the entry is not ours");
    insta::assert_snapshot!(read("request.lapsed", "{}").unwrap_err(), @"entry 7 of kind `request.lapsed` can't be read: missing field `request`");
}

#[test]
fn nothing_personal_stands_in_a_body() {
    let mut world = World::new();
    let id = world.live();
    world.says("ana", Action::Show { request: id });
    world.says("zoe", approve(id));
    world.says("cas", Action::Revoke { request: id, reason: "a private reason".into() });
    for stored in &world.log {
        if matches!(stored.event, Event::Ledger(_)) {
            continue;
        }
        let record = stored.event.to_record(|id| world.state.request(id).map(|request| request.requester)).unwrap();
        let body = serde_json::to_string(&record.body).unwrap();
        for personal in ["ana", "bea", "cas", "zoe", "INC-42", "private", "as typed"] {
            assert!(!body.contains(personal), "{} {body}", record.kind);
        }
    }
}

#[test]
fn every_kind_is_listed_once_and_is_in_the_past_tense() {
    let kinds: std::collections::BTreeSet<_> = Event::KINDS.into_iter().collect();
    assert_eq!(kinds.len(), Event::KINDS.len());
    assert!(kinds.iter().all(|kind| kind.split('.').count() == 2));
}
