//! What breaks between Slack and us: no click is lost, and none is done twice.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    service::{ANA, BEN, CHANNEL, CLEO, Service, config, standin},
    standin::{APP_TOKEN, Acked, BOT_TOKEN, Fault, Order, SIGNING_SECRET, Standin, people::words},
    story::lived,
};
use crate::support::{
    demo::{self, Demo, assert_verifies},
    process::until,
};

/// Waits until none of the connections there were is there any more, and two others are.
pub async fn rebuilt(slack: &Standin, order: impl Fn() -> Order) {
    let ids = |slack: &Standin| slack.inner.state().sockets.iter().map(|socket| socket.id).collect::<Vec<_>>();
    let before = ids(slack);
    slack.order(order);
    let fresh = || {
        let now = ids(slack);
        (now.len() == 2 && now.iter().all(|id| !before.contains(id))).then_some(())
    };
    slack.until("two other connections", fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_closed_hung_or_renewed_are_built_anew() {
    let (_dir, slack, service) = lived("socket").await;
    let mut asked = 0;
    let mut ask = async |what: &str| {
        asked += 1;
        let said = slack.says(ANA, CHANNEL, &format!("prod-api 10m {what}")).await;
        assert!(said.contains("Asked:"), "{what}: {said}");
        assert_eq!(service.count("access.requested"), asked);
        let said = slack.says(ANA, CHANNEL, &format!("cancel {}", service.newest())).await;
        assert!(said.contains("Withdrawn"), "{what}: {said}");
    };
    ask("at first").await;
    rebuilt(&slack, || Order::Cut).await;
    ask("after a cut").await;
    rebuilt(&slack, || Order::Close).await;
    ask("after a close").await;
    // Nothing is heard any more, although the line is open: found out by silence.
    rebuilt(&slack, || Order::Hang).await;
    ask("after silence").await;
    // Slack announces it: the new ones are there before the old ones go.
    slack.renews();
    let fresh = || slack.inner.state().sockets.iter().filter(|socket| !socket.leaving).count();
    slack.until("two fresh connections", || (fresh() >= 2).then_some(())).await;
    ask("after a renewal").await;
    let old = || {
        for socket in slack.inner.state().sockets.iter().filter(|socket| socket.leaving) {
            let _ = socket.orders.send(Order::Close);
        }
    };
    old();
    slack.until("the old ones are gone", || (slack.sockets() == 2).then_some(())).await;
    ask("at last").await;
    slack.content();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_given_and_a_socket_that_does_not_greet_are_no_end() {
    let dir = demo::folder();
    let slack = standin().await;
    config(dir.path(), &slack, "socket");
    slack.breaks("auth.test", [Fault::Status(503), Fault::Html]);
    let faults = [Fault::Limited(1), Fault::Status(500), Fault::Html, Fault::Error("internal_error")];
    slack.breaks("apps.connections.open", faults);
    slack.inner.state().mute_sockets = true;
    let service = Service::start(dir.path(), &[]);
    until("it gives one up that does not greet", || service.logged().contains("did not greet"));
    slack.inner.state().mute_sockets = false;
    slack.connected(2).await;
    assert!(slack.says(ANA, CHANNEL, "prod-api 10m here at last").await.contains("Asked:"));
    slack.content();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_delays_cards_and_neither_loses_nor_reorders_their_states() {
    let (_dir, slack, service) = lived("socket").await;
    slack.breaks("chat.postMessage", [Fault::Limited(1), Fault::Error("ratelimited")]);
    slack.says(ANA, CHANNEL, "prod-api 10m in the storm").await;
    slack.card(CHANNEL, "Waiting for approval").await;
    let storm = [
        Fault::Status(500),
        Fault::Html,
        Fault::Limited(1),
        Fault::Status(503),
        Fault::Error("fatal_error"),
        Fault::Slow(Duration::from_millis(700)),
    ];
    slack.breaks("chat.update", storm);
    slack.presses(BEN, CHANNEL, "approve").await;
    slack.card(CHANNEL, "Live until").await;
    slack.presses(ANA, CHANNEL, "done").await;
    slack.card(CHANNEL, "Ended: given back early").await;
    service.until("grant.ended", 1);
    let card = slack.cards(CHANNEL).remove(0);
    assert_eq!(slack.cards(CHANNEL).len(), 1, "it was posted once");
    // The states that were seen are in the order in which they were.
    let rank = |text: &str| {
        let states = ["Waiting for approval", "Approved.", "Live until", "Ending.", "Ended:"];
        states.iter().position(|state| text.contains(state)).unwrap_or_else(|| panic!("no state in {text}"))
    };
    let mut seen: Vec<usize> = card.before.iter().map(|look| rank(&words(&look["blocks"]))).collect();
    seen.push(rank(&words(&card.blocks)));
    assert!(seen.is_sorted(), "{seen:?}");
    slack.content();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_whose_answer_was_lost_is_found_by_what_names_it_where_we_may_look() {
    let (_dir, slack, service) = lived("socket").await;
    slack.inner.state().scopes.insert("channels:history".into());
    slack.breaks("chat.postMessage", [Fault::DoneThenStatus(500)]);
    slack.says(ANA, CHANNEL, "prod-api 10m found again").await;
    slack.until("it was looked for", || (!slack.calls("conversations.history").is_empty()).then_some(())).await;
    service.until("card.posted", 1);
    slack.presses(BEN, CHANNEL, "approve").await;
    slack.card(CHANNEL, "Live until").await;
    assert_eq!(slack.cards(CHANNEL).len(), 1);
    slack.content();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_we_may_not_look_it_may_stand_there_twice_and_the_later_one_lives() {
    let (_dir, slack, service) = lived("socket").await;
    slack.breaks("chat.postMessage", [Fault::DoneThenStatus(500)]);
    slack.says(ANA, CHANNEL, "prod-api 10m perhaps twice").await;
    slack.until("it was posted again", || (slack.cards(CHANNEL).len() == 2).then_some(())).await;
    slack.presses(BEN, CHANNEL, "approve").await;
    slack.card(CHANNEL, "Live until").await;
    // The one that is forgotten still refuses and does nothing.
    let cards = slack.cards(CHANNEL);
    assert!(words(&cards[0].blocks).contains("Waiting") && words(&cards[1].blocks).contains("Live until"));
    assert_eq!(service.count("request.approved"), 1);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_delivered_twice_is_answered_twice_and_done_once() {
    let (_dir, slack, service) = lived("socket").await;
    let payload = slack.command(ANA, CHANNEL, "prod-api 10m only once");
    let first = slack.deliver("slash_commands", payload.clone(), true).await.payload();
    assert!(words(&first["blocks"]).contains("Asked:"));
    let (again, and_again) = tokio::join!(
        slack.deliver_again("slash_commands", payload.clone(), true, Some(1)),
        slack.deliver_again("slash_commands", payload, true, Some(2)),
    );
    for again in [again, and_again] {
        let said = words(&again.payload()["blocks"]);
        assert!(said.contains("done already"), "{said}");
    }
    slack.says(ANA, CHANNEL, "prod-both 10m two of them").await;
    slack.card(CHANNEL, "prod-both").await;
    let seen = slack.sees(CHANNEL, "approve").await;
    let click = slack.click(BEN, &seen);
    let (one, two) =
        tokio::join!(slack.deliver("interactive", click.clone(), false), slack.deliver("interactive", click, false),);
    assert!(matches!((one, two), (Acked::Yes(_), Acked::Yes(_))));
    slack.card(CHANNEL, "1 of 2").await;
    // Another click of the same person counts no more than the first.
    slack.clicks(BEN, &seen).await;
    slack.until_told(BEN, "⛔").await;
    assert_eq!((service.count("access.requested"), service.count("request.approved")), (2, 1));
    // A trigger that died opens no window, and no credential is made for nobody.
    slack.presses(CLEO, CHANNEL, "approve").await;
    slack.card(CHANNEL, "prod-both for 10m\n\nLive until").await;
    let show = slack.click(ANA, &slack.sees(CHANNEL, "show").await);
    slack.triggers_expire();
    assert!(matches!(slack.deliver("interactive", show, false).await, Acked::Yes(_)));
    slack.until_told(ANA, "did not open the window in time").await;
    assert_eq!(service.count("credential.ordered"), 0);
    slack.content();
    let ledger = service.ledger();
    service.stop();
    assert_verifies(&ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_carries_on_with_the_cards_that_are_open() {
    let (dir, slack, service) = lived("socket").await;
    slack.says(ANA, CHANNEL, "prod-api 10m across a restart").await;
    let card = slack.card(CHANNEL, "Waiting for approval").await;
    service.until("card.posted", 1);
    let seen = slack.sees(CHANNEL, "approve").await;
    service.kill();
    slack.until("nobody is there", || (slack.sockets() == 0).then_some(())).await;
    assert_eq!(slack.clicks(BEN, &seen).await, Acked::Nobody, "Slack tells the person, and they press again");
    let service = Service::start(dir.path(), &[]);
    slack.connected(2).await;
    assert!(matches!(slack.clicks(BEN, &seen).await, Acked::Yes(_)));
    let live = slack.card(CHANNEL, "Live until").await;
    assert_eq!((live.ts, slack.cards(CHANNEL).len()), (card.ts, 1), "the same message");
    assert_eq!(service.count("request.approved"), 1);
    slack.content();
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_is_told_and_not_tried_for_ever() {
    let (_dir, slack, service) = lived("socket").await;
    // The app's token: its sockets go, and no others are asked for.
    slack.inner.state().app_revoked = true;
    let before = slack.calls("apps.connections.open").len();
    slack.order(|| Order::Cut);
    until("it is told", || service.logged().matches("Slack lets us open no socket").count() == 2);
    assert_eq!(slack.calls("apps.connections.open").len() - before, 2, "once for each of the two");
    service.stop();

    // The bot's token: nothing more goes out, and it is told once.
    let (_dir, slack, service) = lived("socket").await;
    slack.inner.state().bot_revoked = true;
    assert!(slack.says(ANA, CHANNEL, "prod-api 10m too late").await.contains("Asked:"), "the ledger takes it");
    until("it is told", || service.logged().contains("nothing goes to Slack any more"));
    slack.says(ANA, CHANNEL, "prod-api 10m still too late").await;
    until("it is tried by the engine alone", || service.logged().matches("a card could not be drawn").count() >= 3);
    let refused = slack.inner.state().calls.iter().filter(|call| call.outcome == "token_revoked").count();
    assert_eq!(refused, 1, "Slack was asked once");
    assert_eq!(service.logged().matches("nothing goes to Slack any more").count(), 1);
    assert!(service.logged().contains("token_revoked"));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_workspace_is_told_and_posts_nothing() {
    let dir = demo::folder();
    let slack = standin().await;
    config(dir.path(), &slack, "socket");
    slack.inner.state().team = "T9999999999".into();
    let service = Service::start(dir.path(), &[]);
    until("it is told", || service.logged().contains("`T9999999999`, and `slack.team_id` says `T0123456789`"));
    assert_eq!(slack.calls("apps.connections.open").len(), 0);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_and_nothing_of_theirs_is_recorded() {
    let (_dir, slack, service) = lived("socket").await;
    let recorded = service.entries().len();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut payload = slack.command(ANA, CHANNEL, "prod-api 10m from elsewhere");
        change(&mut payload);
        payload
    };
    for (payload, part) in [
        (with(&|p| p["team_id"] = json!("T9999999999")), "does not serve this workspace"),
        (with(&|p| p["is_enterprise_install"] = json!("true")), "does not serve this workspace"),
        (with(&|p| p["user_id"] = Value::Null), "does not say who you are"),
    ] {
        let answer = slack.deliver("slash_commands", payload, true).await.payload();
        assert!(words(&answer["blocks"]).contains(part), "{answer}");
    }
    slack.says(ANA, CHANNEL, "prod-api 10m of ours").await;
    slack.card(CHANNEL, "Waiting").await;
    let seen = slack.sees(CHANNEL, "approve").await;
    for change in [
        &(|click: &mut Value| click["user"]["team_id"] = json!("T9999999999")) as &dyn Fn(&mut Value),
        &|click| click["user"] = Value::Null,
        &|click| {
            click["team"] = Value::Null;
            click["user"] = json!({ "id": BEN });
        },
    ] {
        let mut click = slack.click(BEN, &seen);
        change(&mut click);
        assert!(matches!(slack.deliver("interactive", click, false).await, Acked::Yes(_)));
    }
    assert_eq!(service.count("request.approved"), 0);
    assert_eq!(service.entries().iter().filter(|entry| entry["kind"] == "message.received").count(), 1);
    assert!(service.entries().len() > recorded);
    service.stop();
}

/// Slack hangs over every message, and the rest of the house goes on: cards in the other chat, doors, credentials.
#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_hangs_delays_its_own_cards_and_nothing_else() {
    let dir = demo::folder();
    let slack = standin().await;
    let config = config(dir.path(), &slack, "socket");
    let server = std::fs::read_to_string(config.join("countersign.toml")).unwrap();
    std::fs::write(config.join("countersign.toml"), server + "[playground]\n").unwrap();
    std::os::unix::fs::symlink(&config, dir.path().join("bot-config")).unwrap();
    let ever = Duration::from_hours(1);
    slack.breaks("chat.postMessage", std::iter::repeat_with(|| Fault::Slow(ever)).take(200));
    let env =
        [("SLACK_BOT_TOKEN", BOT_TOKEN), ("SLACK_APP_TOKEN", APP_TOKEN), ("SLACK_SIGNING_SECRET", SIGNING_SECRET)];
    let service = Demo::serve(dir.path(), &env.map(|(name, value)| (name.to_owned(), value.to_owned())));
    slack.connected(2).await;
    for what in ["first", "second"] {
        assert_eq!(service.says("ana", &format!("prod-api 10m the {what} thing")).await.tone, "done");
        let id = service.newest_request();
        service.until_shown("ben", "c/approvals", &format!("id=\"card-{id}\"")).await;
        assert_eq!(service.presses("ben", "approve", id).await.tone, "done");
        service.until("grant.issued", id);
        service.until_shown("ana", "direct", &format!("#{id}")).await;
        assert_eq!(service.presses("ana", "show", id).await.secret.len(), 2);
        assert_eq!(service.presses("ana", "done", id).await.tone, "done");
        service.until("grant.ended", id);
        service.until_shown("ana", "c/approvals", "Ended: given back early").await;
    }
    assert!(slack.cards(CHANNEL).is_empty(), "Slack has seen nothing of it");
    // It is back: its cards are as they are by now.
    slack.inner.state().faults.clear();
    slack.until("both cards are there", || (slack.cards(CHANNEL).len() == 2).then_some(())).await;
    for card in slack.cards(CHANNEL) {
        assert!(words(&card.blocks).contains("Ended: given back early"), "{}", words(&card.blocks));
    }
    slack.content();
    let ledger = service.ledger();
    assert!(service.stop().success());
    assert_verifies(&ledger);
}
