use super::*;
use crate::{
    access::RequestId,
    chat::{card::Status, plain},
};

fn playground() -> Playground {
    let people = vec![Persona { name: "ana".to_owned(), title: "Engineer".to_owned() }];
    let examples = vec!["/access prod-db 30m fixing INC-42".to_owned()];
    let cast = Cast::new(people, vec!["#approvals".to_owned()], examples);
    Playground::new(cast, Arc::new(|| DateTime::UNIX_EPOCH))
}

fn card() -> Card {
    Card {
        request: RequestId(7),
        status: Status::Requested,
        loud: false,
        title: "prod-db for 30m".to_owned(),
        headline: plain("Waiting"),
        fields: Vec::new(),
        plan: Vec::new(),
        history: Vec::new(),
        buttons: Vec::new(),
        proof: String::new(),
        terms: String::new(),
        summary: String::new(),
    }
}

#[test]
fn the_slash_may_be_typed_too() {
    for (typed, line) in [
        ("prod-db 30m x", "prod-db 30m x"),
        ("  /access prod-db 30m x ", "prod-db 30m x"),
        ("/access", ""),
        ("/access\tmine", "mine"),
        ("/accessory", "/accessory"),
        ("", ""),
    ] {
        assert_eq!(crate::chat::grammar::after_the_slash(typed), line, "{typed:?}");
    }
}

#[tokio::test]
async fn a_message_is_posted_once_and_every_change_is_told() {
    let playground = playground();
    assert!(playground.forgets());
    assert_eq!(playground.cast().examples, ["prod-db 30m fixing INC-42"]);
    let before = playground.version();
    let id = playground.put_card("approvals", None, &card()).await.unwrap();
    let after = playground.version();
    assert_ne!(before, after);
    assert_eq!(playground.put_card("#approvals", Some(&id), &card()).await.unwrap(), id);
    assert_ne!(playground.version(), after);
    assert_eq!(playground.messages().cards_in("approvals").len(), 1);
}

#[tokio::test]
async fn what_the_platform_does_not_have_is_an_error() {
    let playground = playground();
    let error = playground.put_card("nowhere", None, &card()).await.unwrap_err();
    assert_eq!(error.to_string(), "the playground has no channel `nowhere`");
    let notice = Notice { request: RequestId(7), lines: Vec::new(), buttons: Vec::new() };
    let error = playground.direct("nobody", "key", &notice).await.unwrap_err();
    assert_eq!(error.to_string(), "the playground has no person `nobody`");
}

#[test]
fn two_runs_have_no_version_in_common() {
    assert_ne!(playground().version(), playground().version());
}

#[tokio::test]
async fn other_people_come_and_channels_with_messages_stay() {
    let playground = playground();
    playground.put_card("approvals", None, &card()).await.unwrap();
    let before = playground.version();
    let people = vec![Persona { name: "eve".to_owned(), title: "Engineer".to_owned() }];
    playground.recast(Cast::new(people.clone(), vec!["#platform".to_owned()], Vec::new()));
    assert_ne!(playground.version(), before, "open pages look again");
    assert!(playground.person("ana").is_none() && playground.person("eve").is_some());
    assert_eq!(playground.cast().channels, ["platform", "approvals"], "the card in it can still be drawn");
    playground.put_card("approvals", None, &card()).await.unwrap();
    playground.recast(Cast::new(people.clone(), vec!["approvals".to_owned()], Vec::new()));
    assert_eq!(playground.cast().channels, ["approvals"], "nothing stood in the other one");
}
