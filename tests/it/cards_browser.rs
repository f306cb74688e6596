//! The cards of the true service in a real browser, in every state that people bring about: nothing overlaps, nothing is
//! cut, everything can be read, on a desk and on a phone, by day and by night.

use countersign::chat::card::Button;

use crate::support::{
    browser::{Driver, FAINT_TEXT, Look, Window, keep},
    demo::{self, Demo},
};

/// Whose reason is longer than a line, and has a word that is longer than a phone is wide.
const LONG: &str = "the nightly export hangs on a lock, and https://wiki.example.com/runbooks/orders/export/what-to-do-\
                    when-the-nightly-export-hangs-on-a-lock-and-nobody-knows-why says to restart it, INC-42";

/// What is wrong with the cards, the notices and the answers on a page: text that is cut, and things to press that cover
/// one another, leave their card or are too small for a finger.
const BROKEN: &str = r"
    const found = [];
    const name = (node) => `${node.closest('[id]')?.id}: ${node.localName} ${node.textContent.trim().slice(0, 40)}`;
    const shown = (node) => node.checkVisibility() && node.getClientRects().length > 0;
    for (const card of document.querySelectorAll('.message, .answer, #side, #dock')) {
      const frame = (card.querySelector('.sheet') ?? card).getBoundingClientRect();
      for (const node of card.querySelectorAll('*')) {
        if (!shown(node) || node.closest('svg, .unseen, textarea, .nav, nav ul')) continue;
        const style = getComputedStyle(node);
        const cut = style.overflow !== 'visible' && node.scrollWidth > node.clientWidth + 1 && style.overflowX !== 'auto';
        if (cut) found.push(`cut: ${name(node)}`);
        const at = node.getBoundingClientRect();
        if (card.matches('.message') && node.closest('.sheet') && at.right > frame.right + 1) found.push(`out: ${name(node)}`);
      }
      const pressed = [...card.querySelectorAll('button, summary, a.button')].filter(shown);
      for (const [at, one] of pressed.entries()) {
        const a = one.getBoundingClientRect();
        if (innerWidth < 500 && one.matches('.button') && a.height < 40) found.push(`small: ${name(one)} ${a.height}`);
        for (const other of pressed.slice(at + 1)) {
          const b = other.getBoundingClientRect();
          const apart = a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
          if (!apart) found.push(`over each other: ${name(one)} / ${name(other)}`);
        }
      }
    }
    return found;";

struct Scene {
    demo: Demo,
    /// Every request so far, by what it shows.
    cards: Vec<(&'static str, u64)>,
}

impl Scene {
    async fn asks(&mut self, what: &'static str, who: &str, line: &str) -> u64 {
        let said = self.demo.says(who, line).await;
        assert_eq!(said.tone, "done", "{line}: {said:?}");
        let id = self.demo.newest_request();
        self.cards.push((what, id));
        id
    }

    async fn does(&self, who: &str, line: &str) {
        let said = self.demo.says(who, line).await;
        assert_eq!(said.tone, "done", "{line}: {said:?}");
    }

    /// Lives through everything that a request can come to with providers that work.
    async fn plays(&mut self) {
        self.asks("requested", "ana", &format!("prod-host 10m {LONG}")).await;
        let half = self.asks("half", "ben", "prod-api 20m reading a customer's settings").await;
        self.does("cleo", &format!("approve {half} looks right to me, ask dora for the second one")).await;
        let tonight = self.asks("scheduled", "ana", "prod-host 30m from 02:00 the nightly migration").await;
        self.does("cleo", &format!("approve {tonight}")).await;
        let live = self.asks("live", "ben", "prod-host 2h looking at the load").await;
        self.does("dora", &format!("approve {live} for 1h that has to be enough")).await;
        self.demo.until("grant.issued", live);
        let more = self.asks("extended", "ben", &format!("extend {live} 30m nearly there")).await;
        self.does("cleo", &format!("approve {more}")).await;
        self.demo.until("grant.extended", more);
        let denied = self.asks("denied", "dora", "prod-api 5m curious").await;
        self.does("cleo", &format!("deny {denied} {LONG}")).await;
        let withdrawn = self.asks("withdrawn", "dora", "prod-host 5m never mind").await;
        self.does("dora", &format!("cancel {withdrawn}")).await;
        let back = self.asks("given-back", "dora", "prod-host 5m a quick look").await;
        self.does("cleo", &format!("approve {back}")).await;
        self.demo.until("grant.issued", back);
        self.does("dora", &format!("done {back}")).await;
        self.demo.until("grant.ended", back);

        for (what, who, by, then) in [
            ("glass-reviewed", "ben", "cleo", "review"),
            ("glass-owing", "cleo", "dora", "cut"),
            ("glass-live", "ana", "", ""),
        ] {
            let fire = self.asks(what, who, &format!("break-glass prod-host 30m {LONG}")).await;
            self.demo.until("grant.issued", fire);
            if !by.is_empty() {
                assert_eq!(self.demo.presses(by, Button::Cut.word(), fire).await.tone, "done");
                self.demo.until("grant.ended", fire);
            }
            if then == "review" {
                self.does("dora", &format!("review {fire} concern {LONG}")).await;
            }
        }
    }
}

async fn is_well(window: &Window, what: &str) {
    let broken = window.script(BROKEN).await;
    assert_eq!(broken.as_array().unwrap().as_slice(), [] as [&str; 0], "{what}");
    let faint = window.script(FAINT_TEXT).await;
    assert_eq!(faint.as_array().unwrap().as_slice(), [] as [&str; 0], "{what}");
    window.until("document.documentElement.scrollWidth <= innerWidth").await;
}

async fn pictured(window: &Window, id: u64, name: &str) {
    window.script(&format!("document.getElementById('card-{id}').scrollIntoView({{ block: 'center' }})")).await;
    let card = window.find(&format!("#card-{id}")).await;
    keep(name, &card.screenshot().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_fits_and_can_be_read() {
    let dir = demo::folder();
    let mut scene = Scene { demo: Demo::start(dir.path()), cards: Vec::new() };
    scene.plays().await;
    let newest = scene.cards.last().unwrap().1;
    scene.demo.until_shown("dora", "direct", &format!("#{newest}")).await;
    let driver = Driver::start().await;
    let window = driver.open(Look::DESK).await;
    let tall = |look: Look| Look { height: 1400, ..look };
    for (name, look) in [
        ("desk-light", Look::DESK),
        ("desk-dark", Look::DESK.dark()),
        ("phone-light", Look::PHONE),
        ("phone-dark", Look::PHONE.dark()),
    ] {
        window.look(tall(look)).await;
        for (who, view) in [("dora", "c/approvals"), ("dora", "c/security"), ("dora", "direct"), ("ana", "c/approvals")]
        {
            window.goto(&format!("{}/as/{who}/{view}", scene.demo.url)).await;
            window.until("document.getElementById('connection').dataset.state === 'on'").await;
            is_well(&window, &format!("{view} of {who}, {name}")).await;
            window.screenshot(&format!("life-{}-{who}-{name}", view.replace('/', "-"))).await;
        }
        for (what, id) in &scene.cards {
            let folds = format!("document.querySelectorAll('#card-{id} .folds details')");
            window.script(&format!("for (const fold of {folds}) fold.open = true")).await;
            is_well(&window, &format!("{what}, {name}")).await;
            pictured(&window, *id, &format!("card-{what}-{name}")).await;
        }
        // Every form that a button opens.
        for (what, id) in &scene.cards {
            let forms = format!(
                "return [...document.querySelectorAll('#card-{id} details.ask')].map((ask) => ask.dataset.button)"
            );
            for form in window.script(&forms).await.as_array().unwrap() {
                let ask = format!("#card-{id} details.ask[data-button={}]", form.as_str().unwrap());
                let opens =
                    format!("const word = document.querySelector('{ask} > summary'); word.focus(); word.click()");
                window.script(&opens).await;
                window.until(&format!("document.activeElement.matches('{ask} textarea')")).await;
                is_well(&window, &format!("{ask} of {what}, {name}")).await;
                pictured(&window, *id, &format!("card-{what}-{}-{name}", form.as_str().unwrap())).await;
                window.script(&format!("document.querySelector('{ask}').open = false")).await;
            }
        }
    }
    window.close().await;
}
