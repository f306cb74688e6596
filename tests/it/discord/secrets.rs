//! Nothing secret is logged: a run with the most talkative log there is, in both modes, and then its log is searched.

use super::{ANA, BEN, Manners, Scene, Setting, standin::TOKEN, story::asks};

async fn lived(mode: &'static str) {
    let setting = Setting { log: "trace", ..Setting::new(mode) };
    let scene = Scene::start_with(setting, Manners::default()).await;
    let reason = "zebrafish aquarium overflow";
    let options = [("resource", "prod-api".into()), ("duration", "30m".into()), ("reason", reason.into())];
    assert_eq!(scene.people.says(ANA, "request", &options).await.tone(), "done");
    let id = scene.bot.newest_request();
    assert_eq!(scene.people.fills(BEN, "approve-note", id, &[("text", "pomegranate was here")]).await.tone(), "done");
    scene.until_entry("grant.issued", id);
    let shown = scene.people.presses(ANA, "show", id).await;
    let secret = shown.part("run this").unwrap().split_once('=').unwrap().1.to_owned();
    assert!(asks(&scene, BEN, "pay-api").await > id);
    scene.until("a direct message was sent", || !scene.standin.direct_to(ANA).is_empty());
    let tokens: Vec<String> = scene.standin.world().interactions.values().map(|known| known.token.clone()).collect();
    assert!(tokens.len() >= 5);
    let dispatched = scene.bot.logged();
    let (_, dir) = scene.bot.stop();
    assert!(dispatched.lines().count() > 50, "it talks");
    let secrets = tokens.iter().map(String::as_str).chain([TOKEN, &secret, reason, "pomegranate", "fixing INC-42"]);
    for secret in secrets {
        assert!(
            !dispatched.contains(secret),
            "{secret} is logged: {:?}",
            dispatched.lines().find(|line| line.contains(secret))
        );
    }
    drop(dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_the_gateway_tells_nothing() {
    lived("gateway").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_the_http_mode_tells_nothing() {
    lived("http").await;
}
