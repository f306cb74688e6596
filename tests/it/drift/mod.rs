//! Drift: targets that are not as the ledger says, and providers that don't do what they say.

mod clock;
mod scene;
mod yard;

use std::sync::Arc;

use chrono::{DateTime, SubsecRound};
use countersign::{
    access::{Event, Phase},
    engine::doors::Opener,
    provider,
};

use crate::support::{
    door::{Place, now},
    postgres::{Server, psql},
};
use scene::{Scene, Town};
use yard::{Mood, Yard};

/// A sweep is due within this many seconds.
const SWEEP: i64 = 61;

#[tokio::test]
async fn what_is_extra_is_recorded_told_and_removed() {
    let mut scene = Scene::new().await;
    let old = scene.live("db", "30m").await;
    scene.says("ana", &format!("done {}", old.0)).await;
    scene.ended(old);
    let calls = scene.yard.calls().len();
    for mark in [scene.mark(old.0), scene.mark(999)] {
        scene.yard.put("one", &mark);
    }
    scene.pass(SWEEP).await;
    assert_eq!(scene.yard.there("one"), [""; 0]);
    let expected = [
        format!("db Extra {} {old}", old.0),
        "db Extra 999 nobody's".into(),
        format!("closed {}", old.0),
        "closed 999".into(),
    ];
    assert_eq!(scene.drift(), expected);
    assert_eq!(scene.yard.calls()[calls..], [format!("revoke {} one", old.0), "revoke 999 one".into()]);
    let told = scene.wall.told("#security", "should not be there");
    assert_eq!(told.len(), 1, "what one look found is one bulletin: {told:?}");
    assert!(told[0].contains(&scene.mark(old.0)) && told[0].contains(&scene.mark(999)), "{told:?}");
    let size = scene.log.len();
    scene.pass(10 * SWEEP).await;
    assert_eq!(scene.log.len(), size, "there is nothing more to say");
    scene.ends().await;
}

#[tokio::test]
async fn what_is_missing_is_recorded_once_and_told_and_not_opened_again() {
    let mut scene = Scene::new().await;
    let live = scene.live("db", "30m").await;
    assert!(scene.yard.take("one", &scene.mark(live.0)));
    scene.pass(5 * SWEEP).await;
    assert_eq!(scene.drift(), [format!("db Missing {} {live}", live.0)]);
    for who in ["ana", "bea"] {
        assert_eq!(scene.wall.told(who, "not on its target any more").len(), 1, "{who}");
    }
    assert_eq!(scene.wall.told("#security", ""), [""; 0]);
    assert_eq!(scene.yard.calls(), [format!("grant {} one", live.0)]);
    assert!(scene.request(live).is_live());
    scene.pass(1800).await;
    scene.ended(live);
    scene.ends().await;
}

#[tokio::test]
async fn what_is_not_ours_is_not_touched() {
    let mut scene = Scene::new().await;
    let live = scene.live("db", "30m").await;
    let foreign = ["admin".to_owned(), "cs_aaaaaaaa_7".into(), scene.mark(7).replace("_7", "_07"), scene.mark(7) + "x"];
    for mark in &foreign {
        scene.yard.put("one", mark);
    }
    let size = scene.log.len();
    scene.pass(5 * SWEEP).await;
    assert_eq!(scene.log.len(), size);
    assert_eq!(scene.yard.calls(), [format!("grant {} one", live.0)]);
    assert!(foreign.iter().all(|mark| scene.yard.there("one").contains(mark)));
    scene.ends().await;
}

#[tokio::test]
async fn what_changes_while_a_target_is_listed_is_no_drift() {
    let mut scene = Scene::new().await;
    let over = scene.live("db", "30m").await;
    let live = scene.live("api", "30m").await;
    // The listings have looked, and answer later.
    scene.yard.hold_listings(true);
    scene.pass(SWEEP).await;
    let issued = scene.granted("db", "30m").await;
    assert!(scene.request(issued).is_live());
    scene.yard.hold_listings(false);
    scene.rest().await;
    assert_eq!(scene.drift(), [""; 0], "one was issued in between");
    // A revocation looks itself, so the sweep's look is held alone: it has seen what is then removed.
    scene.yard.hold_listings(true);
    scene.pass(SWEEP).await;
    scene.yard.hold_no_more();
    scene.says("ana", &format!("done {}", over.0)).await;
    scene.ended(over);
    scene.yard.hold_listings(false);
    scene.rest().await;
    assert_eq!(scene.drift(), [""; 0], "one was ended in between");
    assert!(scene.request(live).is_live() && scene.request(issued).is_live());
    scene.pass(5 * SWEEP).await;
    assert_eq!(scene.drift(), [""; 0]);
    scene.ends().await;
}

#[tokio::test]
async fn a_provider_that_lies_is_asked_for_ever_and_people_are_told() {
    for mood in [Mood::Lies, Mood::Blind] {
        let mut scene = Scene::new().await;
        let lied = scene.live("db", "30m").await;
        let other = scene.live("api", "30m").await;
        scene.yard.is("one", mood);
        scene.says("ana", &format!("done {}", lied.0)).await;
        scene.pass(119).await;
        assert!(matches!(scene.request(lied).phase, Phase::Ending { .. }), "{:?}", scene.request(lied).phase);
        assert_eq!(scene.wall.told("ana", "can't close it"), [""; 0]);
        scene.pass(1).await;
        assert_eq!(scene.wall.told("ana", "can't close it").len(), 1, "two minutes are two minutes");
        scene.pass(3600).await;
        let Phase::Ending { failures, .. } = scene.request(lied).phase else { panic!("{mood:?}") };
        assert!(failures >= 15, "every five minutes at the least: {failures}");
        for who in ["ana", "bea"] {
            assert_eq!(scene.wall.told(who, "can't close it").len(), 1, "{who}");
        }
        scene.ended(other);
        assert_eq!(scene.drift(), [""; 0], "its door is known to be open");
        scene.yard.is("one", Mood::Well);
        scene.pass(301).await;
        scene.ended(lied);
        assert_eq!(scene.yard.there("one"), [""; 0]);
        scene.ends().await;
    }
}

#[tokio::test]
async fn a_door_that_opens_after_it_was_given_up_is_found_and_shut() {
    let mut scene = Scene::new().await;
    scene.yard.is("one", Mood::Late);
    let late = scene.granted("db", "30m").await;
    scene.pass(29).await;
    assert_eq!(scene.yard.there("one"), [""; 0]);
    scene.pass(120).await;
    scene.ended(late);
    // The order comes through a quarter of an hour later.
    scene.pass(900).await;
    scene.yard.put("one", &scene.mark(late.0));
    scene.pass(SWEEP).await;
    assert_eq!(scene.yard.there("one"), [""; 0]);
    assert_eq!(scene.drift().last().unwrap(), &format!("closed {}", late.0));
    scene.ends().await;
}

#[tokio::test]
async fn no_grant_is_forgotten_and_no_other_harmed_while_a_provider_is_bad_for_an_hour() {
    for mood in [Mood::Hangs, Mood::Away, Mood::Garbage, Mood::Lies, Mood::Late] {
        let mut scene = Scene::new().await;
        let before = scene.live("db", "30m").await;
        scene.yard.is("one", mood);
        let during = scene.granted("db", "10m").await;
        let well = scene.live("api", "40m").await;
        scene.pass(1200).await;
        assert!(scene.request(well).is_live(), "{mood:?}");
        assert!(scene.request(before).is_live(), "{mood:?}: {:?}", scene.request(before).phase);
        scene.pass(2400).await;
        scene.ended(well);
        assert_eq!(scene.yard.there("two"), [""; 0]);
        let calls =
            |what: &str| scene.yard.calls().iter().filter(|call| **call == format!("{what} {} two", well.0)).count();
        assert_eq!((calls("grant"), calls("revoke")), (1, 1), "{mood:?}");
        if mood != Mood::Late {
            assert!(matches!(scene.request(before).phase, Phase::Ending { .. }), "{mood:?}");
            for who in ["ana", "bea"] {
                assert!(!scene.wall.told(who, "can't close it").is_empty(), "{mood:?}: {who}");
            }
        }
        scene.yard.is("one", Mood::Well);
        scene.pass(600).await;
        scene.ended(before);
        assert!(scene.request(during).phase.finished(), "{mood:?}: {:?}", scene.request(during).phase);
        assert_eq!(scene.yard.there("one"), [""; 0], "{mood:?}");
        assert!(scene.drift().iter().all(|line| mood == Mood::Late || !line.contains("Extra")), "{:?}", scene.drift());
        scene.ends().await;
    }
}

#[tokio::test]
async fn a_target_that_is_away_at_a_sweep_is_no_event() {
    let mut scene = Scene::new().await;
    let live = scene.live("db", "8h").await;
    scene.yard.is("one", Mood::Away);
    scene.yard.put("one", &scene.mark(999));
    let size = scene.log.len();
    scene.pass(1800).await;
    assert_eq!(scene.log.len(), size);
    scene.yard.is("one", Mood::Well);
    scene.pass(5 * SWEEP).await;
    assert_eq!(scene.drift(), ["db Extra 999 nobody's", "closed 999"]);
    assert!(scene.request(live).is_live());
    scene.ends().await;
}

#[tokio::test]
async fn a_target_that_is_away_is_asked_less_often_and_the_others_as_before() {
    for mood in [Mood::Away, Mood::Hangs] {
        let mut scene = Scene::new().await;
        scene.pass(SWEEP).await;
        let listed = |scene: &Scene, target: &str| scene.yard.inner().listings.get(target).copied().unwrap_or_default();
        scene.yard.is("one", mood);
        let before = (listed(&scene, "one"), listed(&scene, "two"));
        scene.pass(3600).await;
        let (one, two) = (listed(&scene, "one") - before.0, listed(&scene, "two") - before.1);
        // After 1, 2, 4 and then every 5 minutes.
        assert!((13..=16).contains(&one), "{mood:?}: {one}");
        assert!((59..=61).contains(&two), "{mood:?}: {two}");
        scene.yard.is("one", Mood::Well);
        scene.pass(330).await;
        let back = listed(&scene, "one");
        scene.pass(600).await;
        assert_eq!(listed(&scene, "one") - back, 10, "{mood:?}: it is asked every minute again");
        scene.ends().await;
    }
}

#[tokio::test]
async fn what_is_extra_is_removed_after_a_restart_and_when_its_resource_is_gone() {
    let mut scene = Scene::new().await;
    scene.yard.put("one", &scene.mark(999));
    scene.yard.is("one", Mood::Lies);
    scene.pass(10 * SWEEP).await;
    assert_eq!(scene.drift(), ["db Extra 999 nobody's"], "it is tried again and again, and said once");
    assert!(scene.yard.calls().len() >= 9);
    scene.reloads(Town::new(&[("api", "two")])).await;
    scene.stops().await;
    scene.yard.is("one", Mood::Well);
    scene.starts().await;
    assert_eq!(scene.drift(), ["db Extra 999 nobody's", "closed 999"], "the first sweep is at the start");
    assert_eq!(scene.yard.there("one"), [""; 0]);
    assert_eq!(scene.wall.told("#security", "should not be there").len(), 1);
    // Somebody else may be faster than we are.
    scene.yard.put("two", &scene.mark(998));
    scene.yard.is("two", Mood::Lies);
    scene.pass(SWEEP).await;
    assert!(scene.yard.take("two", &scene.mark(998)));
    scene.pass(SWEEP).await;
    assert_eq!(scene.drift()[2..], ["api Extra 998 nobody's", "closed 998"]);
    scene.ends().await;
}

#[tokio::test]
async fn what_grants_share_is_removed_with_the_last_of_them() {
    let mut scene = Scene::of(Town::new(&[("read", "team"), ("write", "team")]), Yard::new(true)).await;
    let first = scene.live("read", "30m").await;
    let second = scene.live("write", "2h").await;
    scene.pass(1800).await;
    scene.ended(first);
    assert!(scene.request(second).is_live());
    let granted = [format!("grant {} team", first.0), format!("grant {} team", second.0)];
    assert_eq!(scene.yard.calls(), granted, "nothing is revoked while another needs it");
    // The object still bears the mark of the one that is over, and serves the other.
    assert!(scene.yard.take("team", &scene.mark(second.0)));
    scene.pass(5 * SWEEP).await;
    assert_eq!(scene.drift(), [""; 0]);
    assert_eq!(scene.yard.calls(), granted);
    scene.says("ana", &format!("done {}", second.0)).await;
    scene.ended(second);
    assert_eq!(scene.yard.calls()[2..], [format!("revoke {} team", second.0)]);
    scene.ends().await;
}

#[tokio::test]
async fn what_grants_share_is_ordered_until_the_last_of_them_ends() {
    let mut scene = Scene::of(Town::new(&[("read", "team"), ("write", "team")]), Yard::new(true)).await;
    let long = scene.live("write", "2h").await;
    let short = scene.live("read", "30m").await;
    let until: Vec<_> = scene.yard.inner().orders.iter().map(|order| order.not_after).collect();
    assert_eq!(until[0], until[1], "the second order does not cut the first one short");
    assert!(scene.request(short).not_after.unwrap() < until[1], "it is no longer for that");
    scene.pass(1800).await;
    scene.ended(short);
    let kept: Vec<_> = scene
        .log
        .iter()
        .filter_map(|stored| {
            let Event::GrantEnded { request, kept_for, .. } = &stored.event else { return None };
            Some((*request, *kept_for))
        })
        .collect();
    assert_eq!(kept, [(short, Some(long))], "nobody was called, and the ledger says why");
    scene.ends().await;
}

#[tokio::test]
async fn an_order_and_a_revocation_of_what_is_shared_never_overtake_each_other() {
    let mut scene = Scene::of(Town::new(&[("read", "team"), ("write", "team")]), Yard::new(true)).await;
    let first = scene.live("read", "30m").await;
    scene.yard.is("team", Mood::Hangs);
    let second = scene.granted("write", "2h").await;
    scene.says("ana", &format!("done {}", first.0)).await;
    let granted = [format!("grant {} team", first.0), format!("grant {} team", second.0)];
    assert_eq!(scene.yard.calls(), granted, "the order is out, so the revocation waits");
    scene.yard.is("team", Mood::Well);
    scene.pass(31).await;
    // Nobody knows what became of the order: both are ended, one after the other.
    scene.ended(first);
    scene.ended(second);
    assert_eq!(scene.yard.calls().iter().filter(|call| call.starts_with("revoke")).count(), 2);
    assert_eq!(scene.yard.there("team"), [""; 0]);
    scene.ends().await;
}

#[tokio::test]
async fn a_role_that_the_ledger_does_not_know_is_dropped_and_a_foreign_one_is_not() {
    let server = Server::start();
    let place = Place::new(&[("PROD_DB_URL", &server.bot_url())]);
    let surroundings = place.surroundings();
    let settings = serde_json::json!({ "url_env": "PROD_DB_URL", "role": "app_rw" });
    let settings = settings.as_object().unwrap().clone();
    let opener: Opener = Arc::new(move |_, resource, _| provider::open("postgres", resource, &settings, &surroundings));
    let mut scene = Scene::with(Town::new(&[("db", "one")]), Yard::new(false), opener, now().trunc_subsecs(6)).await;
    let live = scene.live("db", "30m").await;
    let tag = scene.state.log_tag().to_owned();
    let mark = |id: &str| {
        let exp = DateTime::UNIX_EPOCH.timestamp();
        serde_json::json!({ "countersign": id, "log": tag, "request": 999, "resource": "db", "exp": exp }).to_string()
    };
    let (ours, unmarked) = (scene.mark(999), scene.mark(998));
    let sql = format!(
        "CREATE ROLE {ours} LOGIN IN ROLE app_rw; COMMENT ON ROLE {ours} IS '{}'; CREATE ROLE {unmarked}; CREATE ROLE reader",
        mark(&ours)
    );
    psql(&server.bot_url(), &sql).unwrap();
    scene.pass(SWEEP).await;
    assert_eq!(scene.drift(), ["db Extra 999 nobody's", "closed 999"]);
    let roles = "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'cs\\_%' OR rolname = 'reader'";
    let mut expected = [scene.mark(live.0), unmarked, "reader".into()];
    expected.sort();
    assert_eq!(server.sql(roles), expected.join(" "));
    // Somebody drops the role of a live grant by hand.
    server.sql(&format!("DROP ROLE {}", scene.mark(live.0)));
    scene.pass(3 * SWEEP).await;
    assert_eq!(scene.drift()[2..], [format!("db Missing {} {live}", live.0)]);
    scene.says("ana", &format!("done {}", live.0)).await;
    scene.ended(live);
    assert!(scene.log.iter().any(|stored| matches!(stored.event, Event::GrantEnded { .. })));
    scene.ends().await;
}
