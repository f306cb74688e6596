//! Two chats, one request: asked in Discord, decided in both, and nobody countersigns themselves from the other one.

use super::{ANA, BEN, CLEO, EVE, Manners, Scene, Setting, standin, story::asks};
use crate::{
    slack::standin::{APP_TOKEN, Acked, BOT_TOKEN, SIGNING_SECRET, Standin as Slack, TEAM, people::words},
    support::demo::assert_verifies,
};

/// The same people in Slack, and where.
const ANA_THERE: &str = "U0000000001";
const BEN_THERE: &str = "U0000000002";
const CLEO_THERE: &str = "U0000000003";
const CHANNEL_THERE: &str = "C0123456789";

#[tokio::test(flavor = "multi_thread")]
async fn asked_in_discord_approved_in_both_and_never_by_oneself() {
    let slack = Slack::start(&[ANA_THERE, BEN_THERE, CLEO_THERE], &[CHANNEL_THERE]).await;
    let mut setting = Setting::new("gateway");
    setting.tables =
        format!("[slack]\nteam_id = \"{TEAM}\"\nchannel = \"{CHANNEL_THERE}\"\napi_url = \"{}\"\n", slack.api_url());
    setting.env =
        vec![("SLACK_BOT_TOKEN", BOT_TOKEN), ("SLACK_APP_TOKEN", APP_TOKEN), ("SLACK_SIGNING_SECRET", SIGNING_SECRET)];
    let scene = Scene::start_with(setting, Manners::default()).await;
    slack.connected(2).await;
    let id = asks(&scene, ANA, "vault-api").await;
    // Approved in Slack by one.
    let there = slack.sees(CHANNEL_THERE, "approve").await;
    assert!(matches!(slack.clicks(BEN_THERE, &there).await, Acked::Yes(_)));
    slack.until_told(BEN_THERE, "Approved").await;
    scene.until_card(id, "1 of 3");
    // In Discord by another.
    assert_eq!(scene.people.presses(CLEO, "approve", id).await.tone(), "done");
    scene.until_card(id, "2 of 3");
    slack.card(CHANNEL_THERE, "2 of 3").await;
    // The third click is the requester's own, from her account in the other chat, and then from this one.
    assert!(matches!(slack.clicks(ANA_THERE, &there).await, Acked::Yes(_)));
    slack.until_told(ANA_THERE, "an't approve their own request").await;
    let refused = scene.people.presses(ANA, "approve", id).await;
    assert!(refused.tone() == "refused" && refused.text.contains("own request"), "{refused:?}");
    // One person in two chats is one person.
    let again = scene.people.presses(BEN, "approve", id).await;
    assert_eq!(again.tone(), "refused", "{again:?}");
    assert!(scene.card(id).contains("2 of 3"));
    assert_eq!(scene.people.presses(EVE, "approve", id).await.tone(), "done");
    // Both cards show one state.
    scene.until_card(id, "Live until");
    let live = slack.card(CHANNEL_THERE, "Live until").await;
    assert!(words(&live.blocks).contains("vault-api for 30m"));
    // The threads tell who decided where.
    let card = scene.standin.card(standin::CHANNEL, id).unwrap();
    scene.until("the thread tells all", || scene.standin.thread(&card).contains("opened, until"));
    let thread = scene.standin.thread(&card);
    for (who, place) in [(BEN, "Slack"), (CLEO, "Discord"), (EVE, "Discord")] {
        assert!(thread.contains(&format!("approved by <@{who}> in {place}")), "{thread}");
    }
    assert!(thread.contains(&format!("asked by <@{ANA}> in Discord")), "{thread}");
    // Given back in Slack, and over in both.
    let done = slack.sees(CHANNEL_THERE, "done").await;
    assert!(matches!(slack.clicks(ANA_THERE, &done).await, Acked::Yes(_)));
    scene.until_card(id, "Ended: given back early");
    slack.card(CHANNEL_THERE, "Ended: given back early").await;
    scene.standin.assert_well();
    let ledger = scene.bot.ledger();
    let (status, dir) = scene.bot.stop();
    assert!(status.success());
    assert_verifies(&ledger);
    drop(dir);
}
