//! What goes wrong with the connection, and with what comes over it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    ANA, BEN, Manners, Scene, Setting, Standin,
    bot::Bot,
    standin::{Act, Fault},
    story::asks,
};

fn quick() -> Manners {
    Manners { heartbeat: Duration::from_millis(400), ..Manners::default() }
}

async fn over_the_gateway() -> Scene {
    Scene::start_with(Setting::new("gateway"), quick()).await
}

fn identified(scene: &Scene) -> usize {
    scene.standin.world().identified.len()
}

fn resumed(scene: &Scene) -> usize {
    scene.standin.world().resumed
}

/// Somebody says something until they are answered: what is said while nobody listens is lost, as with Discord itself.
async fn is_heard_again(scene: &Scene) {
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..150 {
        ticks.tick().await;
        if !scene.standin.is_connected() {
            continue;
        }
        let value = scene.people.interaction(
            ANA,
            2,
            json!({ "name": "access", "type": 1, "id": "1",
            "options": [{ "name": "mine", "type": 1, "options": [] }] }),
        );
        let id = scene.people.delivers_only(value).await;
        for _ in 0..10 {
            ticks.tick().await;
            if scene.people.seen(&id).is_some() {
                return;
            }
        }
    }
    panic!("nobody listens any more:\n{}", scene.bot.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_privileged_intents_and_not_even_the_others() {
    let scene = over_the_gateway().await;
    let identify = scene.standin.world().identified[0].clone();
    assert_eq!(identify["intents"], 0);
    scene.standin.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_taken_up_again_and_nothing_is_lost() {
    let scene = over_the_gateway().await;
    for act in [Act::Abort, Act::Close(Some(4000)), Act::Reconnect] {
        let before = resumed(&scene);
        scene.standin.act(act.clone());
        scene.until(&format!("resumed after {act:?}"), || resumed(&scene) > before);
        is_heard_again(&scene).await;
    }
    assert_eq!(identified(&scene), 1, "one session through it all");
    // Closed without a word why: taken up again or begun anew, as the library likes.
    scene.standin.act(Act::Close(None));
    let before = (resumed(&scene), identified(&scene));
    scene.until("it is there again", || (resumed(&scene), identified(&scene)) != before);
    is_heard_again(&scene).await;
    scene.standin.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_over_is_begun_anew() {
    let scene = over_the_gateway().await;
    scene.standin.act(Act::Invalid(false));
    scene.until("a new session", || identified(&scene) == 2 && scene.standin.is_connected());
    is_heard_again(&scene).await;
    scene.standin.assert_well();
}

/// Heartbeats that are not answered: the connection is there and dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_is_left() {
    let scene = over_the_gateway().await;
    scene.standin.act(Act::Zombie);
    scene.until("a new connection", || scene.standin.world().connections > 1);
    is_heard_again(&scene).await;
    scene.standin.assert_well();
}

/// The library waits for ever for an upgrade that is not answered; the watchdog does not.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_hangs_is_given_up() {
    let scene = over_the_gateway().await;
    // A few heartbeats, so that we know how often they come.
    let mut ticks = tokio::time::interval(Duration::from_millis(1500));
    ticks.tick().await;
    ticks.tick().await;
    scene.standin.world().hang_upgrades = 1;
    scene.standin.act(Act::Abort);
    is_heard_again(&scene).await;
    assert!(scene.bot.logged().contains("hung and was given up"), "{}", scene.bot.logged());
    assert!(scene.standin.world().connections >= 3);
    scene.standin.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_said_and_not_hammered() {
    let standin = Standin::start(quick()).await;
    let setting = Setting { token: "not-the-token".to_owned(), ..Setting::new("gateway") };
    let mut bot = Bot::start(&standin, &setting);
    tokio::task::block_in_place(|| {
        crate::support::process::until("it is said", || bot.logged().contains("can't be registered with Discord"));
        crate::support::process::until("and of the gateway", || {
            bot.logged().contains("does not say where its gateway is")
                || bot.logged().contains("refuses our connection")
        });
    });
    assert!(!bot.is_dead(), "it stays up, and the ledger with it");
    assert!(standin.world().calls.len() < 20, "{:?}", standin.world().calls);
    assert!(!bot.logged().contains("not-the-token"));
}

/// What the library can't parse is read by us, and done.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_library_can_not_parse_is_done_all_the_same() {
    let scene = over_the_gateway().await;
    let id = asks(&scene, ANA, "prod-api").await;
    let press = |change: &dyn Fn(&mut Value)| {
        let mut value =
            scene.people.interaction(BEN, 3, json!({ "custom_id": format!("show:{id}"), "component_type": 2 }));
        change(&mut value);
        value
    };
    let changes: [&dyn Fn(&mut Value); 5] = [
        &|value| value["entitlements"] = Value::Null,
        &|value| value["attachment_size_limit"] = Value::Null,
        &|value| value["locale"] = Value::Null,
        &|value| value["app_permissions"] = "99999999999999999999999999".into(),
        &|value| value["something_new"] = json!({ "deep": [1, 2, 3] }),
    ];
    for change in changes {
        let seen = scene.people.delivers(press(change)).await;
        assert!(seen.tone() == "refused" && seen.text.contains(&format!("#{id}")), "{seen:?}");
    }
    assert!(scene.bot.logged().contains("could not parse"), "{}", scene.bot.logged());
    // One of a type that nobody knows is answered too.
    let mut unknown = press(&|_| ());
    unknown["type"] = 3.into();
    unknown["data"] = json!({ "what": "nobody knows" });
    let seen = scene.people.delivers(unknown).await;
    assert!(seen.text.contains("can't read what Discord sent"), "{seen:?}");
    scene.standin.assert_well();
}

/// The same interaction twice, as after a resume: it is done once, and answered once.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_interaction_twice_is_one() {
    let scene = over_the_gateway().await;
    let value = scene.people.interaction(
        ANA,
        2,
        json!({ "name": "access", "type": 1, "id": "1", "options": [{
        "name": "request", "type": 1, "options": [
            { "name": "resource", "type": 3, "value": "prod-api" },
            { "name": "duration", "type": 3, "value": "30m" },
            { "name": "reason", "type": 3, "value": "once" }] }] }),
    );
    let first = scene.people.delivers(value.clone()).await;
    assert_eq!(first.tone(), "done", "{first:?}");
    scene.standin.act(Act::Dispatch("INTERACTION_CREATE", value));
    scene.until("it came again", || scene.standin.world().calls.iter().any(|call| call.starts_with("400 40060")));
    let asked = scene.bot.entries().into_iter().filter(|entry| entry["kind"] == "access.requested").count();
    assert_eq!(asked, 1);
    assert_eq!(scene.people.sees(&first.id).await.text, first.text, "the first answer stands");
    scene.standin.assert_well();
}

/// Killed with a card half way, and started again: one card, which then shows what is.
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again_it_goes_on_with_the_same_message() {
    let mut scene = over_the_gateway().await;
    let id = asks(&scene, ANA, "prod-api").await;
    scene.until_card(id, "0 of 1");
    scene.until("the thread is begun", || {
        let card = scene.standin.card(super::standin::CHANNEL, id).unwrap();
        scene.standin.thread(&card).contains("asked by")
    });
    scene.until("the place is recorded", || {
        scene
            .bot
            .entries()
            .iter()
            .any(|entry| entry["kind"] == "card.posted" && entry["body"]["told"].as_u64() > Some(0))
    });
    let setting = scene.setting.clone();
    // The edit is lost on the way; the process dies over it.
    scene.standin.fault("PATCH /api/v10/channels", Fault::Hang);
    assert_eq!(scene.people.presses(BEN, "approve", id).await.tone(), "done");
    let Scene { standin, bot, people, .. } = scene;
    let dir = bot.kill();
    scene = Scene { bot: Bot::start_in(dir, &setting), standin, people, setting };
    scene.until_card(id, "Live until");
    let cards = scene.standin.in_channel(super::standin::CHANNEL);
    assert_eq!(cards.len(), 1, "one message: {cards:#?}");
    let thread = scene.standin.thread(&cards[0]);
    assert_eq!(thread.matches("asked by").count(), 1, "{thread}");
    scene.until("the thread goes on", || scene.standin.thread(&cards[0]).contains("approved by"));
    assert_eq!(scene.standin.world().registrations, 1, "the commands are what they were");
    scene.standin.assert_well();
}
