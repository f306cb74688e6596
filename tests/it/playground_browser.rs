//! The playground in a real browser: with scripts, without them, and what it looks like.

use countersign::chat::{
    card::{Button, Status},
    plain,
    playground::{Cast, Persona},
};

use crate::{
    playground::Served,
    playground_fake::SECRET,
    support::browser::{Driver, FAINT_TEXT, Look, Window},
};

// Keys, as WebDriver names them.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const UP: &str = "\u{e013}";
const DOWN: &str = "\u{e015}";

/// Whether the page was never left, since [`stays`] marked it.
const STAYED: &str = "window.stayed === true";

async fn stays(window: &Window) {
    window.script("window.stayed = true").await;
}

/// A page that is live.
async fn enter(served: &Served, window: &Window, path: &str) {
    window.goto(&served.url(path)).await;
    window.until("document.getElementById('connection').dataset.state === 'on'").await;
    stays(window).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_windows_are_two_people() {
    let (served, driver) = (Served::start().await, Driver::start().await);
    let (ana, ben) = (driver.open(Look::DESK).await, driver.open(Look::DESK).await);
    enter(&served, &ana, "/as/ana/").await;
    enter(&served, &ben, "/as/ben/").await;

    ana.types("#line", "prod-db 30m fixing INC-42\n").await;
    assert!(ana.text("#answer [data-tone=done]").await.contains("Only visible to you"));
    let approve = "#card-0[data-status=requested] button[value=approve]";
    ben.find(approve).await;
    ben.script(&format!("const button = document.querySelector('{approve}'); button.click(); button.click()")).await;
    assert!(ben.text("#answer [data-tone=done]").await.contains("You approved"));
    ana.find("#card-0[data-status=live]").await;
    assert_eq!(served.fake.inbounds().len(), 2, "two clicks in one breath are one");
    ana.until("document.title.startsWith('(1) ')").await;
    assert!(ana.text("#card-0 .headline").await.contains(" min)"), "the time left, in the reader's own clock");

    ana.click("#nav a[href='/as/ana/direct']").await;
    ana.click(".notice button[value=show]").await;
    let secret = ana.text("#secret [data-label=Password] code").await;
    assert_eq!(secret, SECRET);
    assert!(ana.find("#secret [data-copy]").await.is_displayed().await.unwrap());
    ana.click("#answer [data-dismiss]").await;
    ana.until("!document.body.textContent.includes('s3cret')").await;
    assert!(!ben.script("return document.documentElement.outerHTML").await.to_string().contains("s3cret"));

    ana.click("#nav a[href='/as/ana/c/approvals']").await;
    ana.click("#card-0 button[value=done]").await;
    ben.find("#card-0[data-status=ended]").await;
    ben.click("#verify").await;
    ben.find("#verified [data-ok=true]").await;
    ben.click("#card-0 .proof a").await;
    ben.until("document.querySelector('#entry-0 details').open").await;
    for window in [ana, ben] {
        window.until(STAYED).await;
        assert_eq!(window.complaints().await, [] as [&str; 0]);
        window.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn news_take_nothing_out_of_the_readers_hands() {
    let (served, driver) = (Served::start().await, Driver::start().await);
    let ben = driver.open(Look::DESK).await;
    served.fake.asks("ana", "prod-db 30m fixing INC-42").await;
    enter(&served, &ben, "/as/ben/").await;
    ben.types("#line", "prod-db 15m half a sent").await;
    ben.click("#card-0 details.ask summary").await;
    ben.until("document.activeElement.matches('#card-0 textarea')").await;
    ben.types("#card-0 textarea", "use the rep").await;
    ben.click("#head-box summary").await;
    ben.click("#entry-0 summary").await;
    ben.click("#card-0 textarea").await;

    served.fake.asks("ana", "build-host 15m log rotation").await;
    ben.find("#card-1").await;
    let still = "document.activeElement.matches('#card-0 textarea') \
        && document.activeElement.value === 'use the rep' \
        && document.getElementById('line').value === 'prod-db 15m half a sent' \
        && document.querySelector('#card-0 details.ask').open && document.querySelector('#entry-0 details').open \
        && document.getElementById('head-box').open";
    ben.until(still).await;
    ben.types("#card-0 textarea", "lica").await;

    // Somebody else was faster: the form stays until it is sent, and then the service says what is the matter.
    served.fake.presses("chris", 0, Button::Approve, None).await;
    ben.find("#card-0[data-status=live] details.ask[data-button=deny][open]").await;
    ben.until("document.activeElement.value === 'use the replica'").await;
    ben.click("#card-0 details.ask[data-button=deny] form button").await;
    assert!(ben.text("#answer [data-tone=refused]").await.contains("can't be done"));
    ben.script("document.querySelector('#card-0 details.ask[open] textarea').value = ''; document.getElementById('line').focus()").await;
    served.page.poke();
    ben.until("!document.querySelector('#card-0 [data-button=deny]') && document.querySelector('#card-0 [data-button=revoke]')").await;
    ben.until(STAYED).await;
    assert_eq!(ben.complaints().await, [] as [&str; 0]);
    ben.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_shows_who_comes_and_who_goes() {
    let (served, driver) = (Served::start().await, Driver::start().await);
    let (ana, ben) = (driver.open(Look::DESK).await, driver.open(Look::DESK).await);
    enter(&served, &ana, "/as/ana/").await;
    enter(&served, &ben, "/as/ben/").await;
    ana.types("#line", "prod-db 30m half a sen").await;
    let persona = |name: &str, title: &str| Persona { name: name.to_owned(), title: title.to_owned() };
    let people = vec![persona("ana", "Engineer, moved to platform"), persona("finn", "New here")];
    served.page.recast(Cast::new(
        people,
        vec!["approvals".to_owned(), "hosts".to_owned()],
        vec!["hosts 5m".to_owned()],
    ));
    ana.find("#others a[href='/as/finn/']").await;
    ana.find("#nav a[href='/as/ana/c/hosts']").await;
    ana.find("#tries a[data-draft='hosts 5m']").await;
    assert!(ana.text("#me").await.contains("moved to platform"));
    ana.until("!document.querySelector('#others a[href=\"/as/ben/\"], #nav a[href=\"/as/ana/c/platform\"]')").await;
    assert_eq!(ana.script("return document.getElementById('line').value").await, "prod-db 30m half a sen");
    ana.until(STAYED).await;
    assert_eq!(ana.complaints().await, [] as [&str; 0]);
    // Whoever is not in the config any more is told so, and can be somebody else.
    ben.until("document.body.textContent.includes('There is no `ben` to be.')").await;
    ben.click("a[href='/']").await;
    ben.find("#people a[data-person=finn]").await;
    for window in [ana, ben] {
        window.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_done_by_keyboard() {
    let (served, driver) = (Served::start().await, Driver::start().await);
    let ana = driver.open(Look::DESK).await;
    enter(&served, &ana, "/as/ana/").await;
    let body = ana.find("body").await;
    body.send_keys(TAB).await.unwrap();
    ana.until("document.activeElement.matches('.skip') && document.activeElement.getBoundingClientRect().top >= 0")
        .await;
    ana.types(":focus", ENTER).await;
    ana.until("document.activeElement.id === 'line'").await;
    ana.types(":focus", "prod-bd 30m x\n").await;
    ana.find("#answer [data-tone=refused]").await;
    ana.until("document.getElementById('announce').textContent.includes('prod-bd')").await;
    ana.until("document.activeElement.value === 'prod-bd 30m x'").await;
    ana.script("document.activeElement.value = ''").await;
    ana.types(":focus", "prod-db 30m fixing INC-42\n").await;
    ana.find("#card-0").await;
    ana.types(":focus", "draft").await;
    ana.types(":focus", &UP.repeat(5)).await;
    ana.until("document.activeElement.value === 'prod-bd 30m x'").await;
    ana.types(":focus", DOWN).await;
    ana.until("document.activeElement.value === 'prod-db 30m fixing INC-42'").await;
    ana.types(":focus", DOWN).await;
    ana.until("document.activeElement.value === 'draft'").await;
    ana.types(":focus", ESCAPE).await;
    ana.until("!document.querySelector('#answer .answer')").await;

    // The card's buttons in their order, and the one that was pressed is left for the card when it is gone.
    ana.script("document.querySelector('#card-0 button[value=approve]').focus()").await;
    ana.types(":focus", TAB).await;
    ana.until("document.activeElement.matches('details.ask summary')").await;
    ana.types(":focus", ENTER).await;
    ana.until("document.activeElement.matches('#card-0 textarea')").await;
    ana.types(":focus", ESCAPE).await;
    ana.until("document.activeElement.matches('details.ask:not([open]) summary')").await;
    ana.types(":focus", TAB).await;
    ana.types(":focus", ENTER).await;
    ana.find("#card-0[data-status=cancelled]").await;
    ana.until("document.activeElement.id === 'card-0'").await;
    ana.types(":focus", "/").await;
    ana.until("document.activeElement.id === 'line' && document.activeElement.value === 'draft'").await;
    ana.until(STAYED).await;
    ana.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_the_same_forms_work() {
    let (served, driver) = (Served::start().await, Driver::start().await);
    let ana = driver.open(Look::DESK).await;
    ana.scripts(false).await;
    ana.goto(&served.url("/as/ana/")).await;
    ana.click("#empty a.try").await;
    ana.types("#line", "\n").await;
    assert!(ana.text("#answer [data-tone=done]").await.contains("waits for one approval"));
    ana.screenshot("plain-answer").await;
    ana.goto(&served.url("/as/ben/")).await;
    ana.click("#card-0 details.ask summary").await;
    ana.types("#card-0 textarea", "use the replica").await;
    ana.click("#card-0 details.ask form button").await;
    ana.find("#card-0[data-status=denied]").await;
    served.fake.asks("ana", "prod-db 30m again").await;
    let id = served.fake.newest();
    served.fake.presses("ben", id, Button::Approve, None).await;
    ana.goto(&served.url("/as/ana/direct")).await;
    ana.click(".notice:last-child button[value=show]").await;
    assert_eq!(ana.text("#secret [data-label=Password] code").await, SECRET);
    assert!(!ana.find("#secret [data-copy]").await.is_displayed().await.unwrap(), "copying needs scripts");
    ana.click("#verify").await;
    ana.find("#verified [data-ok=true]").await;
    ana.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_catches_up_when_the_line_is_back() {
    let (served, driver) = (Served::start().await, Driver::start().await);
    let ana = driver.open(Look::DESK).await;
    enter(&served, &ana, "/as/ana/").await;
    let name = ana.script("return document.getElementById('message').value").await;
    ana.offline(true).await;
    ana.types("#line", "prod-db 30m fixing INC-42\n").await;
    assert!(ana.text("#answer [data-tone=fault]").await.contains("did not answer"));
    assert_eq!(ana.script("return document.getElementById('line').value").await, "prod-db 30m fixing INC-42");
    served.fake.asks("chris", "build-host 15m log rotation").await;
    ana.offline(false).await;
    ana.types("#line", "\n").await;
    ana.find("#answer [data-tone=done]").await;
    ana.find("#card-0").await;
    ana.find("#card-1").await;
    assert_eq!(
        served.fake.inbounds().last().unwrap().message,
        name.as_str().unwrap(),
        "sent again, it is the same message"
    );
    ana.until(STAYED).await;
    ana.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fits_a_phone_and_can_be_read() {
    let (served, driver) = (Served::start().await, Driver::start().await);
    let window = driver.open(Look::PHONE).await;
    every_status(&served).await;
    let long = format!("prod-db 30m {}", "Donaudampfschifffahrtsgesellschaft".repeat(20));
    served.fake.asks("ana", &long).await;
    let zoomed = Look { width: 320, height: 256, dark: false, phone: true };
    for look in [Look::PHONE, Look::PHONE.dark(), Look::DESK, Look::DESK.dark(), zoomed] {
        window.look(look).await;
        for path in ["/", "/as/ana/", "/as/ana/direct", "/as/ana/ledger"] {
            window.goto(&served.url(path)).await;
            window.until("document.documentElement.scrollWidth <= innerWidth").await;
            let faint = window.script(FAINT_TEXT).await;
            assert_eq!(faint.as_array().unwrap().as_slice(), [] as [&str; 0], "{path} {look:?}");
        }
    }
    window.look(Look::PHONE).await;
    enter(&served, &window, "/as/ana/").await;
    window.click(".card:last-child .proof a").await;
    window.until("document.body.dataset.view === 'ledger' && document.querySelector('#entries [open]')").await;
    window.client.back().await.unwrap();
    window.until("document.body.dataset.view === 'channel'").await;
    window.until(STAYED).await;
    window.close().await;
}

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
    let tablet = Look { width: 820, height: 1180, dark: false, phone: true };
    window.look(tablet).await;
    served.fake.asks("ana", "prod-db 30m fixing INC-42").await;
    served.fake.presses("ben", served.fake.newest(), Button::Approve, None).await;
    window.goto(&served.url("/as/ana/")).await;
    window.screenshot("live-tablet").await;
    window.look(Look::DESK).await;
    window.screenshot("live-desk-light").await;
    window.look(Look { width: 320, height: 256, dark: false, phone: true }).await;
    window.screenshot("live-zoomed").await;
    window.look(Look::DESK).await;
    served.fake.tamper();
    window.click("#verify").await;
    window.find("#verified [data-ok=false]").await;
    window.types("#line", "help\n").await;
    window.find("#answer [data-tone=info]").await;
    window.screenshot("tampered-desk-light").await;
    window.offline(true).await;
    window.types("#line", "mine\n").await;
    window.find("#answer [data-tone=fault]").await;
    window.screenshot("offline-desk-light").await;
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
    window.click("#head-box summary").await;
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
