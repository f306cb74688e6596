use super::*;
use crate::chat::plain;

fn card(request: u64, status: Status) -> Card {
    Card {
        request: RequestId(request),
        status,
        loud: false,
        title: format!("prod-db {request}"),
        headline: plain("…"),
        fields: Vec::new(),
        plan: Vec::new(),
        history: Vec::new(),
        buttons: Vec::new(),
        proof: String::new(),
        terms: String::new(),
        summary: String::new(),
    }
}

fn notice(request: u64, text: &str) -> Notice {
    Notice { request: RequestId(request), lines: vec![plain(text)], buttons: Vec::new() }
}

fn numbers(messages: &Messages, channel: &str) -> Vec<u64> {
    messages.cards_in(channel).iter().map(|posted| posted.card.request.0).collect()
}

const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

#[test]
fn a_card_stays_where_it_was_first_posted() {
    let mut messages = Messages::default();
    let id = messages.put_card("approvals", &card(1, Status::Requested), AT);
    messages.put_card("approvals", &card(2, Status::Requested), AT);
    messages.put_card("platform", &card(1, Status::Requested), AT);
    assert_eq!(messages.put_card("approvals", &card(1, Status::Live), AT), id);
    assert_eq!(numbers(&messages, "approvals"), [1, 2]);
    assert_eq!(numbers(&messages, "platform"), [1]);
    assert_eq!(messages.cards_in("approvals").first().unwrap().card.status, Status::Live);
    assert_eq!((messages.waiting_in("approvals"), messages.waiting_in("platform")), (1, 1));
    assert_eq!(messages.title_of(RequestId(2)).unwrap(), "prod-db 2");
}

#[test]
fn the_oldest_finished_cards_go_first() {
    let mut messages = Messages::default();
    let most = u64::try_from(CARDS_MOST).unwrap();
    for request in 0..most {
        let status = if request == 3 || request == 7 { Status::Ended } else { Status::Live };
        messages.put_card("approvals", &card(request, status), AT);
    }
    let has = |messages: &Messages, request| numbers(messages, "approvals").contains(&request);
    messages.put_card("approvals", &card(most, Status::Requested), AT);
    assert!(!has(&messages, 3) && has(&messages, 7) && has(&messages, 0));
    messages.put_card("approvals", &card(most + 1, Status::Requested), AT);
    assert!(!has(&messages, 7) && has(&messages, 0));
    messages.put_card("approvals", &card(most + 2, Status::Requested), AT);
    assert!(!has(&messages, 0), "with none finished, the oldest");
    assert_eq!(messages.cards_in("approvals").len(), CARDS_MOST);
}

#[test]
fn the_same_key_is_the_same_message() {
    let mut messages = Messages::default();
    let id = messages.direct("ana", "1/approved", &notice(1, "approved"), AT);
    assert_ne!(messages.direct("ana", "1/ended", &notice(1, "ended"), AT), id);
    assert_eq!(messages.direct("ana", "1/approved", &notice(1, "approved, and live"), AT), id);
    let texts: Vec<_> = messages.notices_for("ana").into_iter().map(|posted| posted.notice.lines.clone()).collect();
    assert_eq!(texts, [[plain("approved, and live")], [plain("ended")]]);
    assert!(messages.notices_for("ben").is_empty());
}

#[test]
fn direct_messages_are_unread_until_they_are_looked_at() {
    let mut messages = Messages::default();
    messages.direct("ana", "a", &notice(1, "one"), AT);
    messages.direct("ben", "b", &notice(1, "two"), AT);
    assert_eq!((messages.unread_by("ana"), messages.unread_by("ben"), messages.unread_by("chris")), (1, 1, 0));
    messages.mark_read("ana");
    assert_eq!((messages.unread_by("ana"), messages.unread_by("ben")), (0, 1));
    messages.direct("ana", "c", &notice(1, "three"), AT);
    assert_eq!(messages.unread_by("ana"), 1);
}

#[test]
fn the_oldest_direct_messages_go() {
    let mut messages = Messages::default();
    for n in 0..NOTICES_PER_PERSON_MOST + 5 {
        messages.direct("ana", &n.to_string(), &notice(1, "…"), AT);
    }
    let kept = messages.notices_for("ana");
    assert_eq!((kept.len(), kept.first().unwrap().number), (NOTICES_PER_PERSON_MOST, 6));
}
