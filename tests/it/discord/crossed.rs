//! Two chats, one request: asked in Discord, decided in both, and nobody countersigns themselves from the other one.

use super::{ANA, CLEO, EVE, Manners, Scene, Setting, standin, story::asks};
use crate::support::demo::{self, assert_verifies};

/// Somebody presses a button in the playground.
async fn presses_there(scene: &Scene, who: &str, button: &str, request: u64) -> demo::Answer {
    let (request, message) = (request.to_string(), demo::nonce());
    let form = [("request", request.as_str()), ("button", button), ("message", &message), ("view", "c/approvals")];
    let url = format!("{}/as/{who}/press", scene.bot.url);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    demo::answer(&http.post(url).form(&form).send().await.unwrap().text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_in_discord_approved_in_both_and_never_by_oneself() {
    let mut setting = Setting::new("gateway");
    setting.tables = "[playground]\nchannel = \"approvals\"\n".to_owned();
    let scene = Scene::start_with(setting, Manners::default()).await;
    let id = asks(&scene, ANA, "vault-api").await;
    assert_eq!(presses_there(&scene, "ben", "approve", id).await.tone, "done");
    scene.until_card(id, "1 of 3");
    assert_eq!(scene.people.presses(CLEO, "approve", id).await.tone(), "done");
    scene.until_card(id, "2 of 3");
    // The third click is the requester's own, from her account in the other chat, and then from this one.
    let refused = presses_there(&scene, "ana", "approve", id).await;
    assert!(refused.tone == "refused" && refused.text.contains("own request"), "{refused:?}");
    let refused = scene.people.presses(ANA, "approve", id).await;
    assert!(refused.tone() == "refused" && refused.text.contains("own request"), "{refused:?}");
    // One person in two chats is one person.
    let again = scene.people.presses(super::BEN, "approve", id).await;
    assert_eq!(again.tone(), "refused", "{again:?}");
    assert!(scene.card(id).contains("2 of 3"));
    assert_eq!(scene.people.presses(EVE, "approve", id).await.tone(), "done");
    scene.until_card(id, "Live until");
    // Both cards show one state.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = http.get(format!("{}/as/ben/c/approvals", scene.bot.url)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Live until"), "{page}");
    // The thread tells who decided where.
    let card = scene.standin.card(standin::CHANNEL, id).unwrap();
    scene.until("the thread tells all", || scene.standin.thread(&card).contains("opened, until"));
    let thread = scene.standin.thread(&card);
    assert!(thread.contains(&format!("asked by <@{ANA}> in Discord")), "{thread}");
    assert!(thread.contains(&format!("approved by <@{CLEO}> in Discord")), "{thread}");
    assert!(thread.contains(&format!("approved by <@{}>", super::BEN)), "{thread}");
    assert!(!thread.contains(&format!("approved by <@{}> in Discord", super::BEN)), "{thread}");
    scene.standin.assert_well();
    let ledger = scene.bot.ledger();
    let (_, dir) = scene.bot.stop();
    assert_verifies(&ledger);
    drop(dir);
}
