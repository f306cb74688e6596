//! HTTP mode: who is let in, and how often.

use serde_json::{Value, json};

use super::{
    service::{ANA, CHANNEL},
    standin::signed::{Signed, now},
    story::lived,
};

#[tokio::test(flavor = "multi_thread")]
async fn only_what_slack_has_signed_just_now_and_only_once() {
    let (_dir, slack, service) = lived("http").await;
    let app = service.url();
    let request = || Signed::new("slash_commands", &slack.command(ANA, CHANNEL, "prod-api 10m signed"), now());
    let status = async |request: &Signed| request.send(&app).await.unwrap().status().as_u16();

    let mut forged = request();
    forged.signature = forged.signature.replace("v0=", "v0=0");
    assert_eq!(status(&forged).await, 401);
    let mut changed = request();
    changed.body = changed.body.replace("10m", "20m");
    assert_eq!(status(&changed).await, 401, "the body is what was signed");
    let stale = Signed::new("slash_commands", &slack.command(ANA, CHANNEL, "prod-api 10m old"), now() - 301);
    assert_eq!(status(&stale).await, 401);
    let early = Signed::new("slash_commands", &slack.command(ANA, CHANNEL, "prod-api 10m early"), now() + 301);
    assert_eq!(status(&early).await, 401);
    let mut unsigned = request();
    unsigned.signature.clear();
    assert_eq!(status(&unsigned).await, 401);
    let long = Signed::new("slash_commands", &slack.command(ANA, CHANNEL, &"x".repeat(2 << 20)), now());
    assert_eq!(status(&long).await, 413);
    assert_eq!(service.count("access.requested"), 0, "nothing of it was done");

    let good = request();
    assert_eq!(status(&good).await, 200);
    assert_eq!(status(&good).await, 409, "the same again is a replay");
    // What Slack itself sends again has a signature of its own, and is answered and not done again.
    let payload = slack.command(ANA, CHANNEL, "prod-both 10m twice");
    let one = Signed::new("slash_commands", &payload, now());
    let other = Signed::new("slash_commands", &payload, now() - 1);
    assert_eq!(status(&one).await, 200);
    let again = other.send(&app).await.unwrap().text().await.unwrap();
    assert!(again.contains("done already"), "{again}");
    assert_eq!(service.count("access.requested"), 2);

    let hello = json!({ "type": "url_verification", "token": "x", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P" });
    let answer: Value = Signed::new("events_api", &hello, now()).send(&app).await.unwrap().json().await.unwrap();
    assert_eq!(answer["challenge"], hello["challenge"]);
    let junk = Signed::new("interactive", &Value::String("not an object".into()), now());
    assert!([200, 400].contains(&status(&junk).await));
    slack.content();
    service.stop();
}
