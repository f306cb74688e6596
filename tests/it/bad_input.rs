//! What people get wrong, and what others try: each is answered to the one who did it, with what to do next; it is
//! recorded; nothing is granted by it and nothing is lost.

use std::{collections::BTreeSet, fmt::Write as _, process::Command, sync::Arc};

use countersign::ledger::{Disclosed, Entry};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::{
    demo::{self, Answer, Demo, answer, assert_verifies, key, nonce, opened},
    process::{run, until},
};

const BURST: usize = 2_000;
/// So many of a burst are under way at one time.
const BURST_WIDTH: usize = 64;

/// A demo, and what was said so far, for a snapshot.
struct Scene {
    demo: Demo,
    told: String,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn start() -> Self {
        let dir = demo::folder();
        Self { demo: Demo::start(dir.path()), told: String::new(), _dir: dir }
    }

    /// Asks for something that will be given or waits. The request's id.
    async fn asks(&self, who: &str, line: &str) -> u64 {
        let said = self.demo.says(who, line).await;
        assert_eq!(said.tone, "done", "{said:?}");
        self.demo.newest_request()
    }

    async fn approves(&self, who: &str, request: u64) {
        assert_eq!(self.demo.presses(who, "approve", request).await.tone, "done");
        self.demo.until("grant.issued", request);
    }

    /// Something that is refused, recorded, and changes nothing.
    async fn refuses(&mut self, who: &str, line: &str, request: u64) {
        let message = nonce();
        let before = effects(&opened(&self.demo.ledger()));
        let said = self.demo.tries_to_say(who, line, &message).await.unwrap();
        self.noted(who, line, &message, &said, &before, request);
    }

    async fn refuses_press(&mut self, who: &str, button: &str, request: u64) {
        let message = nonce();
        let before = effects(&opened(&self.demo.ledger()));
        let said = self.demo.tries_to_press(who, button, request, &message).await.unwrap();
        self.noted(who, &format!("[{button}]"), &message, &said, &before, request);
    }

    fn noted(&mut self, who: &str, what: &str, message: &str, said: &Answer, before: &[Entry], request: u64) {
        let entries = opened(&self.demo.ledger());
        let received = of_key(&entries, &key(who, message));
        let refused = entries.iter().find(|e| e.kind == "message.refused" && e.body["message"] == received.seq);
        let code = refused.unwrap_or_else(|| panic!("{said:?} is not recorded")).body["code"].clone();
        let seqs = |entries: &[Entry]| entries.iter().map(|entry| entry.seq).collect::<Vec<_>>();
        assert_eq!(seqs(before), seqs(&effects(&entries)), "a refused message changes nothing");
        assert_eq!(said.tone, "refused", "{said:?}");
        let what = named(what, request);
        let said_to = named(&said.text, request);
        writeln!(self.told, "{who}: {what}\n  {}: {said_to}", code.as_str().unwrap()).unwrap();
    }
}

/// The entries that change who may do what.
fn effects(entries: &[Entry]) -> Vec<Entry> {
    let effect = |kind: &str| ["access.", "request.", "grant.", "credential."].iter().any(|of| kind.starts_with(of));
    entries.iter().filter(|entry| effect(&entry.kind)).cloned().collect()
}

fn of_key<'a>(entries: &'a [Entry], key: &str) -> &'a Entry {
    entries.iter().find(|entry| entry.body.get("key").and_then(Value::as_str) == Some(key)).expect("it is recorded")
}

/// What is sealed beside an entry under a name.
fn sealed<'a>(entry: &'a Entry, name: &str) -> &'a str {
    let found = entry.disclosed.iter().find_map(|disclosed| match disclosed {
        Disclosed::Open(open) if open.name == name => Some(open.value.as_str()),
        Disclosed::Open(_) | Disclosed::Erased { .. } | Disclosed::Locked { .. } => None,
    });
    found.unwrap_or_else(|| panic!("no `{name}` beside entry {}", entry.seq))
}

/// The request's own number as `ID`, since it depends on what else was written meanwhile.
fn named(text: &str, request: u64) -> String {
    let own = request.to_string();
    let word = |word: &str| {
        let bare = word.trim_start_matches('#').trim_end_matches(['.', ',', ':', '`']);
        if bare == own { word.replacen(&own, "ID", 1) } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_mean_nothing_get_the_next_step() {
    let mut scene = Scene::start();
    for line in [
        "prod-bd 30m fixing INC-42",
        "the-moon 30m fixing INC-42",
        "prod-db",
        "prod-db fixing INC-42",
        "prod-db 30 fixing INC-42",
        "prod-db 0m fixing INC-42",
        "prod-db 400d fixing INC-42",
        "prod-db 3h fixing INC-42",
        "prod-db -5m fixing INC-42",
        "prod-db 30m",
        "prod-db 30m ...",
        "request",
        "aprove 17",
        "frobnicate",
        "mine please",
        "show",
        "show me",
        "approve 99999999999999999999999",
        "approve -1",
        "approve 4711",
        "deny 4711 no",
        "done 4711",
        "revoke 0 no",
    ] {
        scene.refuses("ana", line, u64::MAX).await;
    }
    insta::assert_snapshot!(scene.told, @"
    ana: prod-bd 30m fixing INC-42
      no_resource: There is no resource prod-bd. Did you mean prod-db?
    ana: the-moon 30m fixing INC-42
      no_resource: There is no resource the-moon. Try prod-api, prod-db or prod-host.
    ana: prod-db
      words: Say for how long and why: /access prod-db 30m <reason>. /access help lists the other words.
    ana: prod-db fixing INC-42
      words: fixing is no duration: a duration looks like 30m, 1h30m, 2h or 1d; for example /access prod-db 30m fixing INC-42.
    ana: prod-db 30 fixing INC-42
      words: 30 is no duration: a duration looks like 30m, 1h30m, 2h or 1d; for example /access prod-db 30m fixing INC-42.
    ana: prod-db 0m fixing INC-42
      words: A duration can't be zero; for example /access prod-db 30m fixing INC-42.
    ana: prod-db 400d fixing INC-42
      words: A duration can't be longer than 366 days; for example /access prod-db 30m fixing INC-42.
    ana: prod-db 3h fixing INC-42
      too_long: prod-db is given for 2h at most, and this asks for 3h. Ask for 2h.
    ana: prod-db -5m fixing INC-42
      words: -5m is no duration: a duration looks like 30m, 1h30m, 2h or 1d; for example /access prod-db 30m fixing INC-42.
    ana: prod-db 30m
      no_reason: A reason is needed, for the people concerned and for the log, for example /access prod-db 30m fixing INC-42.
    ana: prod-db 30m ...
      no_reason: A reason is needed, for the people concerned and for the log, for example /access prod-db 30m fixing INC-42.
    ana: request
      words: Say what you need, for how long, and why: for example /access prod-db 30m fixing INC-42.
    ana: aprove 17
      words: aprove is no word Countersign knows. Did you mean /access approve <id> [for <duration>] [comment]?
    ana: frobnicate
      words: Say for how long and why: /access frobnicate 30m <reason>. /access help lists the other words.
    ana: mine please
      words: There is more than Countersign understands after mine. Write just /access mine.
    ana: show
      words: Say which request: /access show 17. /access list shows their ids.
    ana: show me
      words: me is no request's id: it is a number like 17 or #17. /access list shows them.
    ana: approve 99999999999999999999999
      words: 99999999999999999999999 is no request's id: it is a number like 17 or #17. /access list shows them.
    ana: approve -1
      words: -1 is no request's id: it is a number like 17 or #17. /access list shows them.
    ana: approve 4711
      no_request: There is no request #4711. /access list shows what is pending or live.
    ana: deny 4711 no
      no_request: There is no request #4711. /access list shows what is pending or live.
    ana: done 4711
      no_request: There is no request #4711. /access list shows what is pending or live.
    ana: revoke 0 no
      no_request: There is no request #0. /access list shows what is pending or live.
    ");
    assert_verifies(&scene.demo.ledger());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_who_may() {
    let mut scene = Scene::start();
    scene.refuses("eve", "prod-db 10m curiosity", u64::MAX).await;
    let id = scene.asks("ana", "prod-db 10m fixing INC-42").await;
    scene.refuses("ana", "prod-db 20m once more", id).await;
    scene.refuses_press("ana", "approve", id).await;
    scene.refuses("ana", &format!("deny {id} no"), id).await;
    scene.refuses_press("eve", "approve", id).await;
    scene.refuses_press("eve", "deny", id).await;
    scene.refuses_press("ben", "deny", id).await;
    scene.refuses_press("ben", "cancel", id).await;
    scene.refuses_press("ben", "show", id).await;
    scene.refuses_press("ana", "show", id).await;
    scene.refuses_press("ana", "done", id).await;
    scene.refuses("ben", &format!("revoke {id} not yet"), id).await;
    scene.approves("ben", id).await;
    scene.refuses_press("ben", "approve", id).await;
    scene.refuses_press("ben", "deny", id).await;
    scene.refuses_press("ana", "cancel", id).await;
    scene.refuses_press("ben", "show", id).await;
    scene.refuses_press("ben", "done", id).await;
    scene.refuses("eve", &format!("revoke {id} because"), id).await;
    scene.refuses("ana", &format!("revoke {id} because"), id).await;
    scene.refuses("ben", &format!("revoke {id}"), id).await;
    assert_eq!(scene.demo.presses("ana", "done", id).await.tone, "done");
    scene.demo.until("grant.ended", id);
    scene.refuses_press("ana", "done", id).await;
    scene.refuses_press("ana", "show", id).await;
    scene.refuses_press("cleo", "approve", id).await;
    scene.refuses("ben", &format!("revoke {id} because"), id).await;
    insta::assert_snapshot!(scene.told, @"
    eve: prod-db 10m curiosity
      rules: You may not ask for prod-db: its requesters don't name you, and no policy lets you. Whoever looks after resources.toml can add you.
    ana: prod-db 20m once more
      already_held: You already have #ID for prod-db, which waits for approval. /access cancel ID withdraws it.
    ana: [approve]
      own_request: People can't approve their own request, from any account. Ask ben, cleo or dora.
    ana: deny ID no
      words: #ID is your own: /access cancel ID withdraws it.
    eve: [approve]
      rules: You are no approver of prod-db. Ask ben, cleo or dora.
    eve: [deny]
      rules: You are no approver of prod-db. Ask ben, cleo or dora.
    ben: [deny]
      no_reason: A reason is needed, for the people concerned and for the log, for example /access deny 17 use the replica instead.
    ben: [cancel]
      not_yours: #ID is not yours: only ana can do that.
    ben: [show]
      not_yours: #ID is not yours: only ana can do that.
    ana: [show]
      wrong_phase: #ID waits for approval, so nothing is open yet. /access cancel ID withdraws it.
    ana: [done]
      wrong_phase: #ID waits for approval, so nothing is open yet. /access cancel ID withdraws it.
    ben: revoke ID not yet
      wrong_phase: #ID waits for approval, so nothing is open yet. /access deny ID <reason> denies it.
    ben: [approve]
      wrong_phase: #ID is live, so it was decided already. /access revoke ID <reason> ends it.
    ben: [deny]
      wrong_phase: #ID is live, so it was decided already. /access revoke ID <reason> ends it.
    ana: [cancel]
      wrong_phase: #ID is live. /access done ID gives it back.
    ben: [show]
      not_yours: #ID is not yours: only ana can do that.
    ben: [done]
      not_yours: #ID is not yours: only ana can do that.
    eve: revoke ID because
      rules: You may not end access to prod-db. Ask ben, cleo or dora.
    ana: revoke ID because
      words: #ID is your own: /access done ID gives it back.
    ben: revoke ID
      no_reason: A reason is needed, for the people concerned and for the log, for example /access revoke 17 the incident is over.
    ana: [done]
      wrong_phase: #ID was given back. Ask again if it is needed.
    ana: [show]
      wrong_phase: #ID was given back. Ask again if it is needed.
    cleo: [approve]
      wrong_phase: #ID was given back, so there is nothing left to do. /access show ID tells more.
    ben: revoke ID because
      wrong_phase: #ID was given back, so there is nothing left to do. /access show ID tells more.
    ");

    // Two are needed: the same one twice is one.
    let mut scene = Scene { told: String::new(), ..scene };
    let id = scene.asks("ana", "prod-api 10m rotating a key").await;
    assert_eq!(scene.demo.presses("ben", "approve", id).await.tone, "done");
    scene.refuses_press("ben", "approve", id).await;
    insta::assert_snapshot!(scene.told, @"
    ben: [approve]
      decided_already: You have already approved #ID. It waits for somebody else.
    ");
    assert_verifies(&scene.demo.ledger());
}

/// The very same click again, as an impatient browser or network sends it: done once, and said.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_twice_is_done_once() {
    let scene = Scene::start();
    let message = nonce();
    let line = "prod-db 10m fixing INC-42";
    assert_eq!(scene.demo.tries_to_say("ana", line, &message).await.unwrap().tone, "done");
    let id = scene.demo.newest_request();
    let again = scene.demo.tries_to_say("ana", line, &message).await.unwrap();
    insta::assert_snapshot!(named(&again.text, id), @"This was done already, and was not done again. #ID waits for approval.");
    let entries = scene.demo.entries();
    assert_eq!(entries.iter().filter(|entry| entry["kind"] == "access.requested").count(), 1);
    // What was refused is refused in the same words.
    let message = nonce();
    let first = scene.demo.tries_to_press("eve", "approve", id, &message).await.unwrap();
    let again = scene.demo.tries_to_press("eve", "approve", id, &message).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(again.tone, "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_of_100_kb_is_refused_and_stays_in_the_input() {
    let scene = Scene::start();
    let reason = "all work and no play ".repeat(5_000);
    let (line, message) = (format!("prod-db 10m {reason}"), nonce());
    let form = [("line", line.as_str()), ("message", message.as_str()), ("view", "c/approvals")];
    let page = scene.demo.post_page("ana", "access", &form).await.unwrap();
    let said = answer(&page);
    assert_eq!(said.tone, "refused");
    insta::assert_snapshot!(said.text, @"The reason has 104999 characters and a card has room for 1000. Shorten it, or link to a ticket.");
    assert!(page.contains(&format!("value=\"{line}\"")), "it stays in the input");
    let entries = opened(&scene.demo.ledger());
    assert_eq!(sealed(of_key(&entries, &key("ana", &message)), "text"), line.trim(), "it is recorded whole");
    assert_eq!(effects(&entries), Vec::new());
    // And the reason of a denial stays in its form.
    let id = scene.asks("ana", "prod-db 10m fixing INC-42").await;
    let (request, message) = (id.to_string(), nonce());
    let form = [
        ("request", request.as_str()),
        ("button", "deny"),
        ("text", reason.as_str()),
        ("message", message.as_str()),
        ("view", "c/approvals"),
    ];
    let page = scene.demo.post_page("ben", "press", &form).await.unwrap();
    assert_eq!(answer(&page).tone, "refused");
    assert!(page.contains(&reason), "it stays in the form");
    // More than a chat message can hold is not even read.
    let line = "x".repeat(3 * 1024 * 1024);
    let said = scene.demo.says("ana", &line).await;
    insta::assert_snapshot!(format!("{}: {}", said.tone, said.text), @"refused: That is more than a chat message can hold (1 MiB). Nothing was done; say it shorter.");
    assert_verifies(&scene.demo.ledger());
}

/// What can't be seen, or changes what is seen, is shown as something visible, and kept as it was.
#[tokio::test(flavor = "multi_thread")]
async fn hidden_characters_are_shown_and_kept() {
    let scene = Scene::start();
    let reason = "a\u{1b}[2Jb\u{0}c\u{202e}dbm evil\u{202c} \u{200b}e\u{feff}f\u{7}\u{9b}g";
    let (line, message) = (format!("prod-db 10m {reason}"), nonce());
    let said = scene.demo.tries_to_say("ana", &line, &message).await.unwrap();
    assert_eq!(said.tone, "done", "{said:?}");
    scene.demo.until("card.posted", scene.demo.newest_request());
    let entries = opened(&scene.demo.ledger());
    assert_eq!(sealed(of_key(&entries, &key("ana", &message)), "text"), line, "exactly as it came");
    let page = scene.demo.get("/as/ben/c/approvals").await;
    assert!(page.contains("a␛[2Jb␀c�dbm evil� �e�f␇�g"), "the card shows what is hidden");
    // The same in an answer that says a word back.
    let said_back = scene.demo.says("ana", "pro\u{202e}d-\u{1b}db 10m why").await;
    insta::assert_snapshot!(said_back.text, @"There is no resource pro�d-␛db. Did you mean prod-db?");
    let all = scene.demo.get("/as/ana/c/approvals").await + &said_back.text + &page;
    let hidden = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{202c}\u{200b}\u{feff}".contains(c);
    assert!(!all.contains(hidden), "nothing hidden gets to the page");
    assert_verifies(&scene.demo.ledger());
}

#[tokio::test(flavor = "multi_thread")]
async fn markup_and_sql_are_words_like_others() {
    let scene = Scene::start();
    let reason = r#"<script>alert(1)</script> '; DROP TABLE orders; -- "quoted" `code` {{x}} &amp; <b>"#;
    let id = scene.asks("ana", &format!("prod-db 10m {reason}")).await;
    scene.approves("ben", id).await;
    let page = scene.demo.get("/as/ben/c/approvals").await;
    assert!(!page.contains("<script>alert") && !page.contains("<b>\""), "markup stays text");
    assert!(page.contains("DROP TABLE orders; --"), "the card shows the words");
    let entries = opened(&scene.demo.ledger());
    let requested = entries.iter().find(|entry| entry.kind == "access.requested").unwrap();
    assert_eq!(sealed(requested, "reason"), reason);
    let shown = scene.demo.presses("ana", "show", id).await;
    let line = shown.part("run this");
    let counted = run(Command::new("sh").args(["-c", &format!("{line} -Atc 'select count(*) from orders'")]));
    assert_eq!(counted.trim(), "4", "the table is there");
    // A name with markup is no way in either.
    let said = scene.demo.says("ana", "<img/src=x> 10m why").await;
    insta::assert_snapshot!(said.text, @"There is no resource <img/src=x>. Try prod-api, prod-db or prod-host.");
    assert_verifies(&scene.demo.ledger());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_somebody_who_is_not_there() {
    let scene = Scene::start();
    until("the start is recorded", || scene.demo.entries().iter().any(|entry| entry["kind"] == "service.started"));
    let before = scene.demo.entries().len();
    let form = [("line", "prod-db 10m why"), ("message", "abc"), ("view", "c/approvals")];
    for who in ["zoe", "Ana", "ana%20", "%3Cb%3E"] {
        let page = scene.demo.post_page(who, "access", &form).await.unwrap();
        assert!(page.contains("Nobody here by that name"), "{who}: {page}");
        assert!(!page.contains("There is no `<b>`"), "{page}");
    }
    // A form of another making, and a button that there isn't.
    let said = answer(&scene.demo.post_page("ana", "access", &[("line", "mine")]).await.unwrap());
    insta::assert_snapshot!(format!("{}: {}", said.tone, said.text), @"refused: That is not a form of this page. Nothing was done; reload the page and try again.");
    let form = [("request", "4"), ("button", "explode"), ("message", "abc"), ("view", "c/approvals")];
    assert_eq!(answer(&scene.demo.post_page("ben", "press", &form).await.unwrap()).tone, "refused");
    assert_eq!(scene.demo.entries().len(), before);
}

/// One person, two thousand requests at once: one is taken, all the others are told why not, and the others in the
/// house are served meanwhile. The ledger verifies at every moment of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_requests_is_answered_and_harms_nobody() {
    let dir = demo::folder();
    let demo = Arc::new(Demo::start(dir.path()));
    let mut burst = JoinSet::new();
    for sender in 0..BURST_WIDTH {
        let demo = Arc::clone(&demo);
        burst.spawn(async move {
            let mut said = Vec::new();
            for _ in (sender..BURST).step_by(BURST_WIDTH) {
                said.push(demo.says("ana", "prod-db 10m fixing INC-42").await);
            }
            said
        });
    }
    // Others are served meanwhile, and the ledger verifies while it grows.
    let mut said = Vec::new();
    while let Some(some) = burst.join_next().await {
        said.extend(some.unwrap());
        assert_eq!(demo.says("cleo", "list").await.tone, "info");
        if burst.len() % 8 == 0 {
            assert_verifies(&demo.ledger());
        }
    }
    assert_eq!(said.len(), BURST);
    assert_eq!(said.iter().filter(|answer| answer.tone == "done").count(), 1);
    let id = demo.newest_request();
    let words: BTreeSet<_> = said.iter().filter(|answer| answer.tone != "done").map(|a| named(&a.text, id)).collect();
    insta::assert_snapshot!(words.into_iter().collect::<Vec<_>>().join("\n"), @"You already have #ID for prod-db, which waits for approval. /access cancel ID withdraws it.");
    let asked = demo.entries().iter().filter(|entry| entry["kind"] == "access.requested").count();
    assert_eq!(asked, 1);
    assert_verifies(&demo.ledger());
}
