//! The playground in a real browser: with scripts, without them, and what it looks like.

use countersign::chat::card::{Button, Status};
use countersign::chat::plain;

use crate::{
    playground::Served,
    support::browser::{Driver, Look, Window},
};

/// What is on the screen in every state that matters, kept as pictures. Fails only if a state can't be reached.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_every_state() {
    let served = Served::start().await;
    let driver = Driver::start().await;
    let looks = [
        ("desk-light", Look::DESK),
        ("desk-dark", Look::DESK.dark()),
        ("wide-light", Look::WIDE),
        ("phone-light", Look::PHONE),
        ("phone-dark", Look::PHONE.dark()),
    ];
    let window = driver.open(Look::DESK).await;
    for place in ["/", "/as/ana/"] {
        window.goto(&served.url(place)).await;
        for (name, look) in looks {
            window.look(look).await;
            let what = if place == "/" { "landing" } else { "empty" };
            window.screenshot(&format!("{what}-{name}")).await;
        }
    }
    every_status(&served).await;
    for (name, look) in looks {
        states(&served, &window, name, look).await;
    }
    window.close().await;
}

async fn every_status(served: &Served) {
    let fake = &served.fake;
    for (n, status) in [
        (0, Status::Denied),
        (1, Status::Ended),
        (2, Status::Cancelled),
        (3, Status::Lapsed),
        (4, Status::Failed),
        (5, Status::Ending),
        (6, Status::Issuing),
        (7, Status::Live),
        (8, Status::Requested),
    ] {
        let by = ["ben", "ana", "chris"][n % 3];
        let line =
            ["prod-db 30m fixing INC-42: the nightly export is stuck on a lock", "build-host 15m log rotation"][n % 2];
        let before = fake.inbounds().len();
        fake.asks(by, line).await;
        assert_eq!(fake.inbounds().len(), before + 1);
        let id = fake.newest();
        if status != Status::Requested {
            fake.becomes(id, status, "grant.changed", plain("Something happened to it")).await;
        }
    }
}

async fn states(served: &Served, window: &Window, name: &str, look: Look) {
    let shot = |what: &'static str| window.screenshot(Box::leak(format!("{what}-{name}").into_boxed_str()));
    window.look(look).await;
    window.goto(&served.url("/as/ana/")).await;
    window.until("document.getElementById('connection').dataset.state === 'on'").await;
    shot("cards").await;
    window.script("const s = document.getElementById('messages'); s.scrollTop = -s.scrollHeight / 2").await;
    shot("cards-middle").await;
    window.script("const s = document.getElementById('messages'); s.scrollTop = -s.scrollHeight").await;
    shot("cards-top").await;
    window.types("#line", "prod-bd 30m fixing INC-42\n").await;
    window.find("#answer [data-tone=refused]").await;
    shot("refused").await;
    let id = served.fake.newest();
    window.goto(&served.url("/as/ben/")).await;
    window.click(&format!("#card-{id} details.ask summary")).await;
    window.types(&format!("#card-{id} textarea"), "use the replica for this").await;
    shot("deny").await;
    if look.phone {
        window.goto(&served.url("/as/ben/ledger")).await;
    }
    window.click("#verify").await;
    window.find("#verified [data-ok=true]").await;
    window.click("#entries li:nth-child(2) summary").await;
    shot("verified").await;
    served.fake.asks("ana", "prod-db 30m fixing INC-42").await;
    let id = served.fake.newest();
    served.fake.presses("ben", id, Button::Approve, None).await;
    window.goto(&served.url("/as/ana/direct")).await;
    shot("direct").await;
    window.click(".notice:last-child button[value=show]").await;
    window.find("#secret").await;
    shot("secret").await;
    served.fake.presses("ana", id, Button::Done, None).await;
    served.fake.asks("ana", "prod-db 30m fixing INC-42").await;
}
