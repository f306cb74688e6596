//! The story through Discord: asked, approved, shown, given back; and who is refused.

use serde_json::{Value, json};

use super::{ANA, BEN, CLEO, EVE, ROLE, STRANGER, Scene, standin};
use crate::support::demo::assert_verifies;

pub async fn asks(scene: &Scene, user: &str, resource: &str) -> u64 {
    let options = [("resource", resource.into()), ("duration", "30m".into()), ("reason", "fixing INC-42".into())];
    let seen = scene.people.says(user, "request", &options).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    let id = seen.text.split("`#").nth(1).and_then(|rest| rest.split('`').next()).expect("an id");
    id.parse().unwrap()
}

async fn whole_story(mode: &'static str) {
    let scene = Scene::start(mode).await;
    let id = asks(&scene, ANA, "prod-api").await;
    scene.until_card(id, "Waiting for approval, 0 of 1");
    // Nobody approves their own, whatever they click.
    let refused = scene.people.presses(ANA, "approve", id).await;
    assert!(refused.tone() == "refused" && refused.text.contains("own request"), "{refused:?}");
    let refused = scene.people.presses(STRANGER, "approve", id).await;
    assert_eq!(refused.tone(), "refused", "{refused:?}");
    let refused = scene.people.presses(EVE, "approve", id).await;
    assert!(refused.tone() == "refused" && refused.text.contains("no approver"), "{refused:?}");
    // The form with a comment, and the click that it is.
    let done = scene.people.fills(BEN, "approve-note", id, &[("text", "go *ahead*")]).await;
    assert_eq!(done.tone(), "done", "{done:?}");
    scene.until_entry("grant.issued", id);
    scene.until_card(id, "Live until <t:");
    // Only its holder is shown the credential, and only they see it.
    let refused = scene.people.presses(BEN, "show", id).await;
    assert_eq!(refused.tone(), "refused", "{refused:?}");
    let shown = scene.people.presses(ANA, "show", id).await;
    assert_eq!(shown.tone(), "done", "{shown:?}");
    let line = shown.part("run this").unwrap_or_else(|| panic!("a part of the credential: {shown:?}"));
    let token = line.split_once('=').unwrap().1.to_owned();
    assert_eq!(token.split('.').count(), 3, "a signed token: {token}");
    assert!(shown.messages.iter().all(|message| message["flags"] == 64));
    scene.until("she is told in private", || !scene.standin.direct_to(ANA).is_empty());
    let told = scene.standin.direct_to(ANA);
    let button = &told[0].body["components"][0]["components"][0];
    assert_eq!(button["style"], 5, "no authority in a direct message: {}", told[0].body);
    let done = scene.people.says(ANA, "done", &[("id", id.into())]).await;
    assert_eq!(done.tone(), "done", "{done:?}");
    scene.until_card(id, "Ended: given back early");
    let card = scene.standin.card(standin::CHANNEL, id).unwrap();
    assert_eq!(card.body["components"], json!([]), "nothing is left to press");
    assert!(card.edits > 0 && scene.standin.in_channel(standin::CHANNEL).len() == 1, "one message, edited in place");
    scene.until("the thread tells all", || scene.standin.thread(&card).contains("seen closed"));
    let thread = scene.standin.thread(&card);
    assert!(thread.contains(&format!("approved by <@{BEN}> in Discord: go \\*ahead\\*")), "{thread}");
    // Nothing that only one person was to see is anywhere else.
    let everything = format!("{:?}{:?}", scene.standin.world().messages, scene.bot.logged());
    assert!(!everything.contains(&token));
    scene.standin.assert_well();
    let ledger = scene.bot.ledger();
    let (status, dir) = scene.bot.stop();
    assert!(status.success());
    assert_verifies(&ledger);
    drop(dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_over_the_gateway() {
    whole_story("gateway").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_over_signed_http() {
    whole_story("http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_word_has_its_command() {
    let scene = Scene::start("gateway").await;
    let people = &scene.people;
    for word in ["mine", "list", "verify", "help"] {
        let seen = people.says(ANA, word, &[]).await;
        assert_eq!(seen.tone(), "info", "{word}: {seen:?}");
    }
    // A request without a reason opens the form, filled in as far as it goes.
    let seen = people.says(ANA, "request", &[("resource", "prod-api".into()), ("duration", "30m".into())]).await;
    assert_eq!(seen.callback["type"], 9, "{seen:?}");
    let seen = people.sends(ANA, &seen.callback["data"], &[("text", "a long\nstory, INC-42")]).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    let id = scene.bot.newest_request();
    let seen = people.says(ANA, "show", &[("id", id.into())]).await;
    assert!(seen.text.contains("story, INC-42"), "{seen:?}");
    let seen = people.fills(BEN, "deny", id, &[("text", "not now")]).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    scene.until_card(id, "Denied");
    // For less, with a form; extended, with a form; revoked, with a form.
    let id = asks(&scene, ANA, "prod-api").await;
    let seen = people.fills(BEN, "approve-less", id, &[("span", "10m"), ("text", "only the one row")]).await;
    assert!(seen.tone() == "done" && seen.text.contains("for 10m"), "{seen:?}");
    scene.until_entry("grant.issued", id);
    let seen = people.fills(ANA, "extend", id, &[("span", "10m"), ("text", "needs a deploy")]).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    let more = scene.bot.newest_request();
    let seen = people.says(CLEO, "approve", &[("id", more.into()), ("comment", "fine".into())]).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    scene.until_entry("grant.extended", more);
    let seen = people.fills(BEN, "revoke", id, &[("text", "enough")]).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    scene.until_card(id, "revoked by");
    // Broken glass, cut, and reviewed with a form.
    let options = [("resource", "prod-api".into()), ("duration", "10m".into()), ("reason", "all is down".into())];
    let seen = people.says(ANA, "break-glass", &options).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    let glass = scene.bot.newest_request();
    scene.until_entry("grant.issued", glass);
    assert_eq!(people.presses(BEN, "cut", glass).await.tone(), "done");
    scene.until_card(glass, "It owes a review");
    let seen = people.fills(BEN, "review-ok", glass, &[("text", "it was as told")]).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    // Approved ahead.
    let allow = [
        ("person", "ana".into()),
        ("resource", "prod-api".into()),
        ("duration", "10m".into()),
        ("reason", "tonight".into()),
        ("within", "2h".into()),
    ];
    let seen = people.says(BEN, "allow", &allow).await;
    assert_eq!(seen.tone(), "done", "{seen:?}");
    // What can't be read is said, and given back.
    let seen =
        people.says(ANA, "extend", &[("id", 1.into()), ("duration", "soon".into()), ("reason", "x".into())]).await;
    assert!(seen.tone() == "refused" && seen.text.contains("You wrote: extend 1 soon x"), "{seen:?}");
    scene.standin.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_one_may_see_is_offered() {
    let scene = Scene::start("gateway").await;
    let people = &scene.people;
    let names =
        |choices: &[Value]| choices.iter().map(|choice| choice["value"].to_string()).collect::<Vec<_>>().join(" ");
    let all = people.types(ANA, "request", &[("resource", "".into())], "resource").await;
    assert_eq!(names(&all), r#""pay-api" "prod-api" "role-api" "vault-api""#);
    let some = people.types(ANA, "request", &[("resource", "pay".into())], "resource").await;
    assert_eq!(names(&some), r#""pay-api""#);
    let eve = people.types(EVE, "request", &[("resource", "".into())], "resource").await;
    assert_eq!(names(&eve), r#""pay-api" "prod-api" "vault-api""#, "she may not ask for the third");
    let glass = people.types(ANA, "break-glass", &[("resource", "".into())], "resource").await;
    assert_eq!(names(&glass), r#""prod-api""#);
    assert!(people.types(STRANGER, "request", &[("resource", "".into())], "resource").await.is_empty());
    let spans = [("resource", "pay-api".into()), ("duration", "".into())];
    assert_eq!(names(&people.types(ANA, "request", &spans, "duration").await), r#""15m" "30m" "1h""#);
    let id = asks(&scene, ANA, "prod-api").await;
    let ids = |choices: &[Value]| choices.iter().filter_map(|choice| choice["value"].as_u64()).collect::<Vec<_>>();
    assert_eq!(ids(&people.types(BEN, "approve", &[("id", "".into())], "id").await), [id]);
    assert!(people.types(ANA, "approve", &[("id", "".into())], "id").await.is_empty());
    assert!(people.types(EVE, "approve", &[("id", "".into())], "id").await.is_empty());
    assert_eq!(ids(&people.types(ANA, "cancel", &[("id", id.to_string().into())], "id").await), [id]);
    assert!(people.types(STRANGER, "show", &[("id", "".into())], "id").await.is_empty());
    scene.standin.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_messages_other_guilds_and_those_without_membership_carry_nothing() {
    let scene = Scene::start("gateway").await;
    let id = asks(&scene, ANA, "prod-api").await;
    let before = scene.bot.entries().len();
    let press =
        || scene.people.interaction(BEN, 3, json!({ "custom_id": format!("approve:{id}"), "component_type": 2 }));
    let mut direct = press();
    let user = direct["member"]["user"].clone();
    let object = direct.as_object_mut().unwrap();
    object.remove("member");
    object.remove("guild_id");
    object.insert("user".into(), user.clone());
    object.insert("context".into(), 1.into());
    let seen = scene.people.delivers(direct).await;
    assert!(seen.tone() == "refused" && seen.text.contains("direct message carries no authority"), "{seen:?}");
    let mut elsewhere = press();
    elsewhere["guild_id"] = "112233445566770000".into();
    let seen = scene.people.delivers(elsewhere).await;
    assert!(seen.tone() == "refused" && seen.text.contains("another server"), "{seen:?}");
    let mut left = press();
    left.as_object_mut().unwrap().remove("member");
    left["user"] = user;
    let seen = scene.people.delivers(left).await;
    assert!(seen.tone() == "refused" && seen.text.contains("member of this server"), "{seen:?}");
    let mut other = press();
    other["application_id"] = "112233445566770001".into();
    assert_eq!(scene.people.delivers(other).await.tone(), "refused");
    let seen = scene.people.does(BEN, 3, json!({ "custom_id": "approve-everything", "component_type": 2 })).await;
    assert!(seen.text.contains("does not know this button"), "{seen:?}");
    let none = scene.bot.entries().into_iter().skip(before).filter(|entry| entry["kind"] == "message.received").count();
    assert_eq!(none, 0, "nobody was asked");
    assert!(scene.card(id).contains("0 of 1"));
    scene.standin.assert_well();
}

/// Waits until Discord was asked again who has the role.
async fn asked_anew(scene: &Scene) {
    let asked = || scene.standin.world().calls.iter().filter(|call| call.contains("/members")).count();
    let before = asked();
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(200));
    while asked() == before {
        ticks.tick().await;
        scene.people.says(EVE, "mine", &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_looked_up_at_the_click_and_leaving_takes_effect() {
    let scene = Scene::start("gateway").await;
    let id = asks(&scene, ANA, "role-api").await;
    let refused = scene.people.presses(BEN, "approve", id).await;
    assert!(refused.tone() == "refused", "no role: {refused:?}");
    // She leaves the guild. What Discord said before is good for a second, as the config has it.
    scene.standin.world().members.remove(CLEO);
    asked_anew(&scene).await;
    let refused = scene.people.presses(CLEO, "approve", id).await;
    assert_eq!(refused.tone(), "refused", "{refused:?}");
    scene.standin.world().members.insert(BEN.to_owned(), vec![ROLE.to_owned()]);
    asked_anew(&scene).await;
    assert_eq!(scene.people.presses(BEN, "approve", id).await.tone(), "done");
    scene.until_entry("grant.issued", id);
    scene.standin.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_is_pinged_where_that_is_configured_and_once() {
    let mut setting = super::Setting::new("gateway");
    setting.discord = format!("ping_role = \"{ROLE}\"");
    let scene = Scene::start_with(setting, super::Manners::default()).await;
    let id = asks(&scene, ANA, "prod-api").await;
    scene.until_card(id, "Waiting");
    let card = scene.standin.card(standin::CHANNEL, id).unwrap();
    assert_eq!(card.body["allowed_mentions"], json!({ "parse": [], "roles": [ROLE] }));
    assert_eq!(card.body["content"], format!("<@&{ROLE}>"));
    scene.people.presses(BEN, "approve", id).await;
    scene.until_card(id, "Live until");
    let card = scene.standin.card(standin::CHANNEL, id).unwrap();
    assert_eq!(card.body["allowed_mentions"], json!({ "parse": [] }), "an edit pings nobody");
    scene.standin.assert_well();
}
