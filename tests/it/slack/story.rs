//! The whole story through Slack, with the true binary.

use serde_json::{Value, json};

use super::{
    service::{ANA, BEN, CHANNEL, CLEO, EVE, SECURITY, Service, config, standin},
    standin::{Acked, Standin, people::words},
};
use crate::support::{
    demo::{self, assert_verifies},
    jwt,
};

/// A stand-in, and the service that is connected to it.
pub async fn lived(mode: &str) -> (tempfile::TempDir, Standin, Service) {
    let dir = demo::folder();
    let standin = standin().await;
    config(dir.path(), &standin, mode);
    let service = Service::start(dir.path(), &[]);
    if mode == "http" {
        *standin.inner.app.lock().unwrap() = Some(service.url());
    } else {
        standin.connected(2).await;
    }
    (dir, standin, service)
}

fn read_token(window: &Value) -> String {
    let text = words(&window["blocks"]);
    let word = text.split(['=', '\'', '"', '\n', ' ']).find(|word| word.starts_with("ey") && word.contains('.'));
    word.unwrap_or_else(|| panic!("no token in {text}")).to_owned()
}

async fn whole_story(mode: &str) {
    let (_dir, slack, service) = lived(mode).await;

    // Asked, and refused to its own requester.
    let said = slack.says(ANA, CHANNEL, "prod-api 10m fixing INC-42 <!channel>").await;
    assert!(said.contains("It needs one approval"), "{said}");
    let id = service.newest();
    let card = slack.card(CHANNEL, "Waiting for approval, 0 of 1").await;
    let shown = words(&card.blocks);
    for part in
        ["prod-api for 10m", "Requester: @U0000000001", "What exactly will be granted", "fixing INC-42 <!channel>"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let own = slack.sees(CHANNEL, "approve").await;
    assert!(matches!(slack.clicks(ANA, &own).await, Acked::Yes(_)));
    slack.until_told(ANA, "an't approve their own request").await;
    // Whoever may approve is reminded where they are, and approves there.
    let ben_direct = "D0000000002";
    slack.card(ben_direct, "waits for your approval").await;
    assert!(matches!(slack.presses(BEN, ben_direct, "approve").await, Acked::Yes(_)));
    slack.until_told(BEN, "Approved").await;
    let live = slack.card(CHANNEL, "Live until").await;
    assert_eq!(live.ts, card.ts, "the same message, changed in place");
    slack.card(ben_direct, "Since then: ").await;
    assert_eq!(slack.cards(CHANNEL).len(), 1);

    // A second click, too late, by somebody else: told so, and nothing happens.
    assert!(matches!(slack.clicks(CLEO, &own).await, Acked::Yes(_)));
    let late = slack.until_told(CLEO, "⛔").await;
    assert!(late.contains(&format!("#{id}")), "{late}");

    // The credential, in a window, for its holder alone.
    let show = slack.sees(CHANNEL, "show").await;
    assert!(matches!(slack.clicks(BEN, &show).await, Acked::Yes(_)));
    let refused = slack.window(BEN, "a refusal", |view| view["title"]["text"] == "Not done").await;
    assert!(!words(&refused.json["blocks"]).contains("ey"), "{:#}", refused.json);
    assert!(matches!(slack.clicks(ANA, &show).await, Acked::Yes(_)));
    let window = slack.window(ANA, "the credential", |view| view["title"]["text"] == "Your credential").await;
    let token = read_token(&window.json);
    let keys =
        reqwest::get(format!("{}/providers/prod-api/jwks.json", service.url())).await.unwrap().text().await.unwrap();
    let claims = jwt::believed(&token, &keys, "https://api.example", "https://countersign.example").unwrap();
    assert_eq!(claims["claims"]["sub"], "ana");

    // Given back; the card says how it ended, and the thread says everything.
    assert!(matches!(slack.presses(ANA, CHANNEL, "done").await, Acked::Yes(_)));
    slack.card(CHANNEL, "Ended: given back early").await;
    assert!(slack.sees_none(CHANNEL, &["approve", "show", "done", "revoke"]));
    service.until("grant.ended", 1);
    let told = |part: &str| {
        let thread = slack.messages(CHANNEL).into_iter().filter(|message| message.thread.is_some());
        thread.map(|message| words(&message.blocks)).any(|text| text.contains(part)).then_some(())
    };
    for part in ["approved by @U0000000002", "took credential 1", "given back by", "seen closed"] {
        slack.until(part, || told(part)).await;
    }
    // Nowhere but in the window is the credential, and nowhere is there a button that says more than which request.
    let kept = format!("{:?}", (slack.messages(CHANNEL), slack.told(ANA), slack.messages("D0000000001")));
    assert!(!kept.contains(&token), "the credential is in a message");

    // Denied, with a reason from a form that comes back until it is right.
    slack.says(ANA, CHANNEL, "prod-api 10m one more").await;
    slack.card(CHANNEL, "Waiting for approval").await;
    assert!(matches!(slack.presses(BEN, CHANNEL, "deny").await, Acked::Yes(_)));
    let form = slack.window(BEN, "a form", |view| view["callback_id"] == "press").await;
    assert!(words(&form.json["blocks"]).contains("prod-api for 10m"), "it says what it is about");
    let answer = slack.submits(BEN, &form, &[("words", json!("use the replica"))]).await;
    assert_eq!(answer["response_action"], "update", "{answer:#}");
    slack.card(CHANNEL, "Denied").await;

    // One of two.
    slack.says(ANA, CHANNEL, "prod-both 10m rotating a key").await;
    slack.card(CHANNEL, "Waiting for approval, 0 of 2").await;
    slack.presses(BEN, CHANNEL, "approve").await;
    slack.card(CHANNEL, "Waiting for approval, 1 of 2").await;
    slack.presses(CLEO, CHANNEL, "approve").await;
    slack.card(CHANNEL, "prod-both for 10m\n\nLive until").await;

    // Strangers, and things that are no command.
    let said = slack.says(EVE, CHANNEL, "prod-api 10m let me in").await;
    assert!(said.contains("⛔"), "{said}");
    assert!(slack.says(ANA, CHANNEL, "aprove 17").await.contains("Did you mean"));
    assert!(slack.says(ANA, CHANNEL, "help").await.contains("/access break-glass"));
    assert!(slack.says(ANA, CHANNEL, "mine").await.contains("prod-both"));
    assert!(slack.says(ANA, CHANNEL, &format!("show {id}")).await.contains("given back by"));

    // In an emergency: loud, told in the security channel's place, cut by security with one confirmed click.
    let said = slack.says(ANA, CHANNEL, "break-glass prod-api 10m the orders are down").await;
    assert!(said.contains("You broke the glass"), "{said}");
    slack.card(SECURITY, "BREAK-GLASS: prod-api").await;
    let cut = slack.sees(SECURITY, "cut").await;
    assert!(cut.button.get("confirm").is_some());
    slack.card(SECURITY, "Open before any approval").await;
    slack.clicks(CLEO, &slack.sees(SECURITY, "cut").await).await;
    slack.card(SECURITY, "It owes a review").await;
    slack.presses(BEN, SECURITY, "review-ok").await;
    let form = slack
        .window(BEN, "a review", |view| view["title"]["text"].as_str().is_some_and(|t| t.contains("Review")))
        .await;
    slack.submits(BEN, &form, &[("words", json!("it was right"))]).await;
    slack.card(SECURITY, "Reviewed, and found in order").await;

    slack.content();
    let ledger = service.ledger();
    service.stop();
    assert_verifies(&ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_story_by_socket() {
    whole_story("socket").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_story_over_http() {
    whole_story("http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_command_opens_a_form_with_what_one_may_ask_for() {
    let (_dir, slack, service) = lived("socket").await;
    assert_eq!(slack.types(ANA, CHANNEL, "").await, Acked::Yes(Value::Null));
    let form = slack.window(ANA, "the form", |view| view["callback_id"] == "request").await;
    // Only what ana may ask for, searched.
    let found = slack.searches(ANA, &form, "resource", "").await;
    let names = |found: &Value| {
        let options = found["options"].as_array().unwrap();
        options.iter().map(|option| option["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&found), ["prod-api", "prod-both"]);
    let found = slack.searches(ANA, &form, "resource", "BOTH").await;
    assert_eq!(names(&found), ["prod-both"]);
    // The durations follow the resource.
    assert!(matches!(slack.chooses(ANA, &form, "resource", &found["options"][0]).await, Acked::Yes(_)));
    let form = slack.window(ANA, "its durations", |view| view.to_string().contains("duration:3600")).await;
    let blocks = form.json["blocks"].as_array().unwrap();
    let duration = blocks.iter().find(|block| block["element"]["action_id"] == "duration").unwrap();
    let hour = duration["element"]["options"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(hour["value"], "1h");
    let filled = [("duration", hour), ("reason", json!("rotating\na key")), ("ticket", json!("INC-42"))];
    let answer = slack.submits(ANA, &form, &filled).await;
    assert_eq!(answer["response_action"], "update", "{answer:#}");
    assert!(words(&answer["view"]["blocks"]).contains("It needs 2 approvals"), "{answer:#}");
    let card = slack.card(CHANNEL, "prod-both for 1h").await;
    assert!(words(&card.blocks).contains("rotating\na key INC-42"), "{}", words(&card.blocks));

    // An incomplete one opens it filled in as far as it goes; a refusal comes back to its field.
    slack.types(ANA, CHANNEL, "break-glass prod-api 10m").await;
    let form = slack.window(ANA, "the glass", |view| view["title"]["text"] == "Break the glass").await;
    let chosen = |element: &str| {
        let blocks = form.json["blocks"].as_array().unwrap();
        let block = blocks.iter().find(|block| block["element"]["action_id"] == element).unwrap();
        block["element"]["initial_option"]["value"].clone()
    };
    assert_eq!((chosen("resource"), chosen("duration")), (json!("prod-api"), json!("10m")));
    let payload = slack.submission(ANA, &form, &[("reason", json!("the orders are down"))]);
    let first = slack.deliver("interactive", payload.clone(), true).await.payload();
    slack.submitted(&form, &first);
    assert_eq!(first["response_action"], "update", "{first:#}");
    // The same form once more is answered again, and nothing is done twice.
    assert_eq!(slack.deliver_again("interactive", payload, true, Some(1)).await.payload(), first);
    assert_eq!(service.count("access.requested"), 2);

    slack.types(EVE, CHANNEL, "").await;
    slack.window(EVE, "nothing", |view| words(&view["blocks"]).contains("nothing that you may ask for")).await;
    slack.content();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn app_home_has_what_i_hold_what_waits_for_me_and_what_i_asked() {
    let (_dir, slack, service) = lived("socket").await;
    slack.says(ANA, CHANNEL, "prod-api 10m fixing INC-42").await;
    let id = service.newest().to_string();
    let home = slack.home(ANA).await;
    assert!(words(&home.json["blocks"]).contains("prod-api for 10m"));
    let theirs = slack.home(BEN).await;
    assert!(matches!(slack.presses_home(BEN, &theirs, "approve", &id).await, Acked::Yes(_)));
    slack.window(BEN, "it is approved", |view| words(&view["blocks"]).contains("Approved")).await;
    service.until("grant.issued", 1);
    let home = slack.home(ANA).await;
    assert!(words(&home.json["blocks"]).contains("Live until"));
    slack.presses_home(ANA, &home, "extend", &id).await;
    let form = slack.window(ANA, "more time", |view| view["callback_id"] == "press").await;
    let answer = slack.submits(ANA, &form, &[("words", json!("nonsense"))]).await;
    assert_eq!(answer["response_action"], "errors", "{answer:#}");
    let answer = slack.submits(ANA, &form, &[("words", json!("10m one more fix"))]).await;
    assert_eq!(answer["response_action"], "update", "{answer:#}");
    slack.presses_home(ANA, &home, "done", &id).await;
    slack.window(ANA, "it is given back", |view| words(&view["blocks"]).contains("is being closed")).await;
    service.until("grant.ended", 1);
    slack.content();
    service.stop();
}
