//! What is written into a command's options or a form's fields stays in them.

use super::{ANA, BEN, Scene};
use crate::support::demo;

/// The newest entry of a kind, with what is sealed in it under a name.
fn newest(scene: &Scene, kind: &str, name: &str) -> (serde_json::Map<String, serde_json::Value>, String) {
    let entries = demo::opened(&scene.bot.ledger());
    let entry = entries.into_iter().rfind(|entry| entry.kind == kind).unwrap();
    let text = demo::text_of(&entry, name);
    (entry.body, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_never_read_as_the_words_of_another() {
    let scene = Scene::start("gateway").await;
    let people = &scene.people;
    let base = || vec![("resource", "prod-api".into()), ("duration", "10m".into())];
    let starts = |body: &serde_json::Map<_, serde_json::Value>| {
        body.get("manner").is_some_and(|manner| manner["starts_at"].is_string())
    };
    for reason in ["from 02:00", "30m", "-- 9d", "\"quoted\" 'twice'", "two\nlines\nfrom 02:00"] {
        // As an option.
        let mut options = base();
        options.push(("reason", reason.into()));
        let seen = people.says(ANA, "request", &options).await;
        assert_eq!(seen.tone(), "done", "{reason:?}: {seen:?}");
        let (body, recorded) = newest(&scene, "access.requested", "reason");
        assert!(recorded == reason && !starts(&body) && body["duration_secs"] == 600, "{body:?} {recorded}");
        people.says(ANA, "cancel", &[("id", scene.bot.newest_request().into())]).await;
        // In the form.
        let form = people.says(ANA, "request", &base()).await;
        let seen = people.sends(ANA, &form.callback["data"], &[("text", reason)]).await;
        assert_eq!(seen.tone(), "done", "{reason:?}: {seen:?}");
        let (body, recorded) = newest(&scene, "access.requested", "reason");
        assert!(recorded == reason && !starts(&body) && body["duration_secs"] == 600, "{body:?} {recorded}");
        people.says(ANA, "cancel", &[("id", scene.bot.newest_request().into())]).await;
    }
    // A start that was chosen goes with the form.
    let mut options = base();
    options.push(("from", "02:00".into()));
    let form = people.says(ANA, "request", &options).await;
    assert!(form.callback["data"].to_string().contains("02:00"), "{form:?}");
    let seen = people.sends(ANA, &form.callback["data"], &[("text", "from 03:00")]).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    let (body, recorded) = newest(&scene, "access.requested", "reason");
    assert!(recorded == "from 03:00" && starts(&body), "{body:?} {recorded}");
    let later = scene.bot.newest_request();
    // A comment is no shorter time, and a shorter time that can't be read approves nothing.
    let seen = people.says(BEN, "approve", &[("id", later.into()), ("for", "a bit".into())]).await;
    assert!(seen.tone() == "refused" && seen.text.contains("no duration"), "{seen:?}");
    let seen = people.says(BEN, "approve", &[("id", later.into()), ("comment", "for 1m only".into())]).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    let (body, recorded) = newest(&scene, "request.approved", "comment");
    assert!(recorded == "for 1m only" && !body.contains_key("duration_secs"), "{body:?} {recorded}");
    scene.standin.assert_well();
}
