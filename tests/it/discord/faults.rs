//! What goes wrong with calls: limits, errors, silence, and answers that are late.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    ANA, BEN, CLEO, Manners, Scene, Setting,
    standin::{CHANNEL, Fault},
    story::asks,
};

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_kept_and_waited_for() {
    let scene = Scene::start("gateway").await;
    scene.standin.fault("POST /api/v10/channels", Fault::Limit { secs: 0.7, global: false });
    scene.standin.fault("POST /api/v10/channels", Fault::Limit { secs: 0.4, global: true });
    // More cards than the channel takes at once.
    let mut ids = Vec::new();
    for user in [ANA, BEN, CLEO] {
        for resource in ["prod-api", "pay-api", "role-api"] {
            ids.push(asks(&scene, user, resource).await);
        }
    }
    for id in &ids {
        scene.until_card(*id, "Waiting");
    }
    scene.until("every thread is begun", || scene.standin.world().threads.len() == ids.len());
    let posted = scene.standin.in_channel(CHANNEL).len();
    assert_eq!(posted, ids.len(), "each once");
    let over = scene.standin.world().calls.iter().filter(|call| call.starts_with("429")).count();
    assert_eq!(over, 0, "nothing went over a limit that was told");
    scene.standin.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_silence_are_tried_again_and_nothing_is_there_twice() {
    let scene = Scene::start("gateway").await;
    let html = || json!("<html>cloudflare</html>");
    scene.standin.fault("POST /api/v10/channels", Fault::Status(502, html()));
    // It was posted, and nobody told us.
    scene.standin.fault("POST /api/v10/channels", Fault::DoneBut(500));
    scene.standin.fault("/threads", Fault::Status(503, html()));
    scene.standin.fault("/callback", Fault::Status(500, html()));
    let id = asks(&scene, ANA, "prod-api").await;
    scene.until_card(id, "Waiting");
    assert_eq!(scene.standin.in_channel(CHANNEL).len(), 1);
    scene.standin.fault("PATCH /api/v10/channels", Fault::Status(500, html()));
    assert_eq!(scene.people.presses(BEN, "approve", id).await.tone(), "done");
    scene.until_card(id, "Live until");
    let card = scene.standin.card(CHANNEL, id).unwrap();
    scene.until("the thread tells it", || scene.standin.thread(&card).contains("approved by"));
    assert_eq!(scene.standin.thread(&card).matches("asked by").count(), 1);
    scene.standin.assert_well();
}

/// Somebody deletes the card, or the bot may not open threads: the card is what counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_card_is_posted_again_and_without_threads_there_are_cards() {
    let scene = Scene::start("gateway").await;
    scene.standin.world().no_threads = true;
    let id = asks(&scene, ANA, "prod-api").await;
    scene.until_card(id, "Waiting");
    scene.standin.world().messages.clear();
    assert_eq!(scene.people.presses(BEN, "approve", id).await.tone(), "done");
    scene.until_card(id, "Live until");
    assert!(scene.standin.world().threads.is_empty());
    assert!(scene.bot.logged().contains("it is posted again"));
    scene.standin.assert_well();
}

/// Who takes no direct messages is not written to for ever, and misses nothing that counts.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_takes_no_direct_messages() {
    let scene = Scene::start("gateway").await;
    scene.standin.world().closed.push(ANA.to_owned());
    let id = asks(&scene, ANA, "prod-api").await;
    assert_eq!(scene.people.presses(BEN, "approve", id).await.tone(), "done");
    scene.until_entry("notice.sent", id);
    assert_eq!(scene.people.presses(ANA, "show", id).await.tone(), "done");
    scene.standin.assert_well();
}

/// A group whose source does not answer for two seconds and more: the answer is deferred, and comes.
fn slow_source(dir: &std::path::Path, secs: &str) -> String {
    let script = dir.join("slow");
    std::fs::write(
        &script,
        format!("#!/bin/sh\nread _ < /dev/null\n/usr/bin/timeout {secs} /usr/bin/tail -f /dev/null\necho ben\n"),
    )
    .unwrap();
    let mut mode = std::fs::metadata(&script).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    format!("[[group]]\nname = \"slow\"\ncommand = [\"{}\"]\n", script.display())
}

async fn deferred(mode: &'static str) {
    let scripts = tempfile::tempdir().unwrap();
    let setting = Setting { people: slow_source(scripts.path(), "2.4"), ..Setting::new(mode) };
    let scene = Scene::start_with(setting, Manners::default()).await;
    // Whoever asks just after the sources were asked is answered at once; sooner or later somebody waits.
    let mut ticks = tokio::time::interval(Duration::from_millis(1200));
    for _ in 0..20 {
        ticks.tick().await;
        let seen = scene.people.says(ANA, "help", &[]).await;
        assert_eq!(seen.tone(), "info", "{seen:?}");
        assert!(seen.took < Duration::from_secs(3), "{seen:?}");
        if seen.callback["type"] == 5 {
            scene.standin.assert_well();
            return;
        }
    }
    panic!("nobody had to wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_takes_long_is_deferred_over_the_gateway() {
    deferred("gateway").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_takes_long_is_deferred_over_http() {
    deferred("http").await;
}

/// The token is void before the answer is there: it goes as a direct message, by the bot's own token.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_tokens_end_the_bots_token_answers() {
    let scripts = tempfile::tempdir().unwrap();
    let setting = Setting { people: slow_source(scripts.path(), "2.4"), ..Setting::new("gateway") };
    let manners = Manners { token_life: Duration::from_millis(1950), ..Manners::default() };
    let scene = Scene::start_with(setting, manners).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(1200));
    for _ in 0..20 {
        ticks.tick().await;
        let value = scene.people.interaction(
            ANA,
            2,
            json!({ "name": "access", "type": 1, "id": "1",
            "options": [{ "name": "mine", "type": 1, "options": [] }] }),
        );
        let id = scene.people.delivers_only(value).await;
        let answered = || scene.standin.world().interactions[&id].callback.clone();
        scene.until("it is answered", || answered().is_some());
        if answered().unwrap()["type"] == 5 {
            scene.until("it comes as a direct message", || !scene.standin.direct_to(ANA).is_empty());
            let told = scene.standin.direct_to(ANA);
            let text = told[0].body["embeds"][0]["description"].as_str().unwrap_or_default();
            assert!(text.contains("You hold nothing"), "{text}");
            scene.standin.assert_well();
            return;
        }
    }
    panic!("nobody had to wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_discord_did_not_sign_is_not_looked_at() {
    let scene = Scene::start("http").await;
    let url = scene.bot.url.clone();
    let people = &scene.people;
    let ping = json!({ "id": "1", "application_id": super::standin::APPLICATION, "type": 1, "version": 1 }).to_string();
    assert_eq!(people.calls(&url, &ping, 0).await, (200, r#"{"type":1}"#.to_owned()));
    let value = people.interaction(
        ANA,
        2,
        json!({ "name": "access", "type": 1, "id": "1",
        "options": [{ "name": "mine", "type": 1, "options": [] }] }),
    );
    let body = value.to_string();
    people.knows(&value);
    // Too old, from the future, tampered with, without a signature, with another's.
    assert_eq!(people.calls(&url, &body, -301).await.0, 401);
    assert_eq!(people.calls(&url, &body, 302).await.0, 401);
    let other = hex::encode([7_u8; 64]);
    let now = super::People::now();
    for (timestamp, signature) in
        [(now.as_str(), other.as_str()), (&now, ""), ("", &other), (&now, "zz"), ("never", &other)]
    {
        assert_eq!(people.calls_with(&url, &body, timestamp, signature).await.0, 401, "{timestamp} {signature}");
    }
    let (timestamp, signature) = people.signs(&body, 0);
    assert_eq!(people.calls_with(&url, &format!("{body} "), &timestamp, &signature).await.0, 401, "a byte more");
    let long = "x".repeat(countersign::chat::discord::BODY_BYTES_MAX + 1);
    assert_eq!(people.calls(&url, &long, 0).await.0, 413, "more than Discord ever sends");
    let before = scene.bot.entries().len();
    // What it did sign is taken, and the same again is not done again.
    let (status, answer) = people.calls_with(&url, &body, &timestamp, &signature).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = people.calls_with(&url, &body, &timestamp, &signature).await;
    assert!(status == 200 && answer.contains("done already"), "{answer}");
    let heard = scene.bot.entries().into_iter().skip(before).filter(|entry| entry["kind"] == "message.received");
    assert_eq!(heard.count(), 1);
    // Signed, and nothing that anybody could read.
    for odd in ["{}", "[]", "null", "not json", r#"{"type":2}"#, r#"{"type":2,"id":"1","token":"a/b"}"#] {
        let (status, answer) = people.calls(&url, odd, 0).await;
        assert_eq!(status, 200, "{odd}: {answer}");
        assert!(serde_json::from_str::<Value>(&answer).unwrap()["data"]["flags"] == 64, "{answer}");
    }
}
