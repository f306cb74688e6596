//! The playground's pages, asked for over HTTP as a browser without scripts would.

use std::{net::SocketAddr, sync::Arc};

use countersign::{
    access::RequestId,
    chat::{
        Input,
        card::{Button, Span},
        plain,
        playground::{BODY_BYTES_MOST, Playground, STREAMS_MOST, router},
    },
};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect::Policy};
use tokio::net::TcpListener;

use crate::playground_fake::{Fake, SECRET, playground};

/// A playground that is served on a free port of loopback.
pub struct Served {
    pub page: Arc<Playground>,
    pub fake: Arc<Fake>,
    pub address: SocketAddr,
    client: Client,
}

impl Served {
    pub async fn start() -> Self {
        let (page, fake) = playground();
        let router = router(Arc::clone(&page), Arc::clone(&fake) as _);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { page, fake, address, client }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    async fn page(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.client.post(self.url(path)).form(form)
    }

    /// Types a line, as the form on the page would send it.
    async fn says(&self, person: &str, line: &str) -> String {
        let form = self.page(&format!("/as/{person}/")).await;
        let message = value_of(&form, r#"name="message" id="message""#);
        let sent = [("line", line), ("message", &message), ("view", "c/approvals")];
        self.post(&format!("/as/{person}/access"), &sent).send().await.unwrap().text().await.unwrap()
    }

    /// Presses a button on a card, as its form would send it.
    async fn presses(&self, person: &str, request: &str, button: &str, text: Option<&str>) -> String {
        let mut form = vec![("request", request), ("button", button), ("message", "0a1b2c"), ("view", "c/approvals")];
        let message = format!("{}{}", button, self.fake.inbounds().len());
        form[2].1 = &message;
        form.extend(text.map(|text| ("text", text)));
        self.post(&format!("/as/{person}/press"), &form).send().await.unwrap().text().await.unwrap()
    }
}

/// The value of the input with these attributes.
fn value_of(page: &str, attributes: &str) -> String {
    let (_, after) = page.split_once(&format!(r#"{attributes} value=""#)).unwrap();
    after.split('"').next().unwrap().to_owned()
}

/// The answer on a page, as text with tags.
fn answer(page: &str) -> &str {
    let (_, after) = page.split_once(r#"<div id="answer">"#).unwrap();
    after.split_once("<template").unwrap().0
}

#[tokio::test]
async fn the_landing_page_says_what_it_is_and_whom_one_can_be() {
    let served = Served::start().await;
    let page = served.page("/").await;
    for text in
        ["Have it countersigned", "signed ledger", "Engineer, orders team", r#"href="/as/ana/""#, r#"href="/as/ben/""#]
    {
        assert!(page.contains(text), "{text}");
    }
    assert_eq!(served.get("/as/ana").await.headers()["location"], "/as/ana/");
}

#[tokio::test]
async fn every_page_carries_the_security_headers() {
    let served = Served::start().await;
    let refused = served.client.get(served.url("/")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let form = [("line", "help"), ("message", "a1"), ("view", "direct")];
    for response in [
        served.get("/").await,
        served.get("/as/ana/").await,
        served.get("/as/nobody/").await,
        served.get("/as/ana/access").await,
        served.post("/as/ana/access", &form).send().await.unwrap(),
        refused,
    ] {
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cache-control"], "no-store");
    }
    let page = served.page("/as/ana/").await;
    for inline in ["style=", "<style", "onclick", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
    assert!(!page.contains("<script>"), "scripts are files");
}

#[tokio::test]
async fn the_files_are_named_by_their_bytes_and_ask_nobody_else() {
    let served = Served::start().await;
    let page = served.page("/as/ana/").await;
    let mut files = Vec::new();
    for (before, kind) in [
        ("stylesheet\" href=\"", "text/css"),
        ("script src=\"", "text/javascript"),
        ("image/svg+xml\" href=\"", "image/svg+xml"),
    ] {
        let path = page.split_once(before).unwrap().1.split('"').next().unwrap();
        let response = served.get(path).await;
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(kind));
        assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
        let tag = response.headers()["etag"].clone();
        let again = served.client.get(served.url(path)).header("if-none-match", &tag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        files.push(response.text().await.unwrap());
    }
    for file in &files[..2] {
        assert!(!file.contains("http://") && !file.contains("https://") && !file.contains("@import"));
    }
    assert_eq!(served.get("/playground/style.0000000000000000.css").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn forms_of_other_pages_are_not_taken() {
    let served = Served::start().await;
    let form = [("line", "prod-db 30m x"), ("message", "a1"), ("view", "c/approvals")];
    for (name, value) in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site"), ("origin", "null")] {
        let response = served.post("/as/ana/access", &form).header(name, value).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{name}: {value}");
    }
    let json =
        served.client.post(served.url("/as/ana/access")).header("content-type", "text/plain").body("line=x&message=a1");
    assert_eq!(json.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(served.fake.inbounds(), []);
}

#[tokio::test]
async fn the_story_works_without_scripts() {
    let served = Served::start().await;
    assert!(served.page("/as/ana/").await.contains("Three things to try"));
    let page = served.says("ana", "prod-db 30m fixing INC-42").await;
    assert!(answer(&page).contains(r#"data-tone="done""#) && answer(&page).contains("Only visible to you"));
    assert!(page.contains(r#"id="card-0""#) && page.contains("Waiting"));
    let typed = served.fake.inbounds().remove(0);
    assert_eq!((typed.account.as_str(), typed.channel.as_str()), ("ana", "approvals"));
    assert_eq!(typed.input, Input::Line("prod-db 30m fixing INC-42".to_owned()));

    let page = served.presses("ana", "0", "approve", None).await;
    assert!(answer(&page).contains(r#"data-tone="refused""#) && answer(&page).contains("their own request"));
    let page = served.presses("ben", "0", "approve", None).await;
    assert!(answer(&page).contains(r#"data-tone="done""#) && page.contains(r#"data-status="live""#));

    assert!(served.page("/as/ana/").await.contains(r#"id="unread">1"#));
    let page = served.page("/as/ana/direct").await;
    assert!(page.contains("You hold it until") && !page.contains(r#"id="unread""#));

    let page = served.presses("ana", "0", "done", None).await;
    assert!(page.contains(r#"data-status="ended""#));
    let page = served.post("/as/ana/verify", &[("view", "direct")]).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(r#"data-ok="true""#) && page.contains("The ledger verifies"));
    served.fake.tamper();
    let page = served.post("/as/ana/verify", &[("view", "ledger")]).send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains(r#"data-ok="false""#) && page.contains("The ledger does not verify") && page.contains("entry 2")
    );
}

#[tokio::test]
async fn what_is_to_be_corrected_stays() {
    let served = Served::start().await;
    let page = served.says("ana", r#"prod-bd 30m "quoted" <b>"#).await;
    assert!(answer(&page).contains("did you mean"));
    assert!(page.contains(r#"value="prod-bd 30m &#34;quoted&#34; &#60;b&#62;""#), "the line is still in the input");
    let page = served.says("ana", "prod-db 30m good").await;
    assert!(page.contains(r#"type="text" value="""#), "what was done is gone from it");
    let page = served.presses("ben", "0", "deny", Some("   ")).await;
    assert!(answer(&page).contains("a reason is needed"));
    assert!(page.contains(r#"data-button="deny" open"#), "the form stays open");
    let page = served.presses("ben", "0", "deny", Some("use the replica")).await;
    assert!(page.contains(r#"data-status="denied""#));
    let text = |n: usize| match &served.fake.inbounds()[n].input {
        Input::Press { text, .. } => text.clone(),
        Input::Line(_) | Input::Form(_) => panic!("a press"),
    };
    assert_eq!((text(2), text(3)), (None, Some("use the replica".to_owned())));
    assert!(served.page("/as/ana/?draft=prod-db%2030m%20x").await.contains(r#"value="prod-db 30m x""#));
}

#[tokio::test]
async fn a_double_submit_is_one_message_delivered_twice() {
    let served = Served::start().await;
    let form = [("line", "prod-db 30m once"), ("message", "abc123"), ("view", "c/approvals")];
    let first = served.post("/as/ana/access", &form).send().await.unwrap().text().await.unwrap();
    let second = served.post("/as/ana/access", &form).send().await.unwrap().text().await.unwrap();
    assert!(answer(&first).contains("waits for one approval") && answer(&second).contains("done already, once"));
    assert_eq!(second.matches("<article").count(), 1);
    let inbounds = served.fake.inbounds();
    assert_eq!(inbounds[0], inbounds[1]);
    assert_eq!(inbounds[0].message, "abc123");
    let (one, other) = (served.page("/as/ana/").await, served.page("/as/ana/").await);
    let attributes = r#"name="message" id="message""#;
    assert_ne!(value_of(&one, attributes), value_of(&other, attributes), "every form has a name of its own");
}

#[tokio::test]
async fn a_credential_is_in_one_answer_and_nowhere_else() {
    let served = Served::start().await;
    served.fake.asks("ana", "prod-db 30m fixing INC-42").await;
    served.fake.presses("ben", 0, Button::Approve, None).await;
    let form = [("request", "0"), ("button", "show"), ("message", "a1"), ("view", "direct")];
    let response = served.post("/as/ana/press", &form).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let page = response.text().await.unwrap();
    let shown = SECRET.replace('<', "&#60;").replace('>', "&#62;").replace('&', "&#38;");
    let shown = shown.replace("&#38;#60;", "&#60;").replace("&#38;#62;", "&#62;");
    assert_eq!(page.matches(&shown).count(), 1);
    assert!(page.contains("Shown once"));
    for path in ["/as/ana/", "/as/ana/direct", "/as/ana/ledger", "/as/ben/", "/as/ben/direct"] {
        let page = served.page(path).await;
        assert!(!page.contains("s3cret"), "{path}");
    }
    assert!(!answer(&served.presses("ben", "0", "show", None).await).contains("s3cret"));
}

#[tokio::test]
async fn what_people_write_is_only_text() {
    let served = Served::start().await;
    let nasty = "<script>alert(1)</script> \" ' & \u{202e}gnp.exe\u{200b} \u{1b}[2J <img src=x>";
    served.says("ana", &format!("prod-db 30m {nasty}")).await;
    let lines =
        vec![vec![Span::Strong(nasty.to_owned()), Span::Code(nasty.to_owned()), Span::Person(nasty.to_owned())]];
    served.fake.tells("ana", "k", 0, lines, vec![(Button::Show, nasty.to_owned())]).await;
    for path in ["/as/ben/", "/as/ana/direct", "/as/%3Cscript%3E/"] {
        let page = served.get(path).await.text().await.unwrap();
        assert!(page.contains("&#60;script&#62;"), "{path}");
        for raw in ["<script>", "<img", "\u{202e}", "\u{200b}", "\u{1b}"] {
            assert!(!page.contains(raw), "{path}: {raw:?}");
        }
    }
    let page = served.page("/as/ben/").await;
    assert!(page.contains("�gnp.exe�") && page.contains("␛[2J"), "what hides is shown");
}

#[tokio::test]
async fn a_long_reason_is_answered_and_a_longer_one_too() {
    let served = Served::start().await;
    let reason = "\u{e9}".repeat(50_000);
    let page = served.says("ana", &format!("prod-db 30m {reason}")).await;
    assert!(answer(&page).contains("a reason may have"));
    assert_eq!(served.fake.inbounds().len(), 1, "100 kB reach the service");
    for too_much in [BODY_BYTES_MOST, 8 * BODY_BYTES_MOST] {
        let line = "x".repeat(too_much);
        let form = [("line", line.as_str()), ("message", "a1"), ("view", "c/approvals")];
        let response = served.post("/as/ana/access", &form).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(answer(&response.text().await.unwrap()).contains("more than a chat message can hold"));
    }
    assert_eq!(served.fake.inbounds().len(), 1);
}

#[tokio::test]
async fn what_no_form_of_ours_sends_is_refused_in_words() {
    let served = Served::start().await;
    let good = [("request", "0"), ("button", "approve"), ("message", "a1")];
    let long = "a".repeat(65);
    for (place, wrong) in [(0, "one"), (0, "-1"), (1, "explode"), (1, ""), (2, ""), (2, "a b"), (2, long.as_str())] {
        let mut form = good;
        form[place].1 = wrong;
        let response = served.post("/as/ana/press", &form).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{form:?}");
        assert!(answer(&response.text().await.unwrap()).contains("not a form of this page"));
    }
    assert_eq!(served.fake.inbounds(), []);
    let stale = served.presses("ana", "4711", "approve", None).await;
    assert!(answer(&stale).contains("there is no request"), "a stale button is for the service to refuse");
}

#[tokio::test]
async fn what_is_not_there_leads_back() {
    let served = Served::start().await;
    for path in ["/as/nobody/", "/as/nobody", "/as/nobody/direct", "/as/nobody/events", "/as/ana/c/nowhere"] {
        let response = served.get(path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(response.text().await.unwrap().contains("Choose whom to be"), "{path}");
    }
    for path in ["/as/ana/access", "/as/ana/press", "/as/ana/verify"] {
        let response = served.get(path).await;
        assert_eq!(
            (response.status(), response.headers()["location"].to_str().unwrap()),
            (StatusCode::SEE_OTHER, "/as/ana/")
        );
    }
}

#[tokio::test]
async fn the_ledger_stands_beside_the_chat() {
    let served = Served::start().await;
    assert!(served.page("/as/ana/").await.contains("No entry yet"));
    served.fake.asks("ana", "prod-db 30m fixing INC-42").await;
    for path in ["/as/ben/", "/as/ben/direct", "/as/ben/ledger"] {
        let page = served.page(path).await;
        assert!(page.contains(r#"id="entry-0" data-index="0" data-kind="access.requested""#), "{path}");
        assert!(
            page.contains("&#34;kind&#34;:&#34;access.requested&#34;") && page.contains("1 entry, signed"),
            "{path}"
        );
        assert!(page.contains("countersign.example.com/demo"), "{path}: the head");
    }
}

/// The next version that an event stream tells.
async fn version(stream: &mut Response) -> String {
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let lines: Vec<_> = text.trim().lines().filter(|line| !line.starts_with("retry:")).collect();
    let ["event: changed", data] = lines.as_slice() else { panic!("only ticks: {text:?}") };
    data.strip_prefix("data: ").unwrap().to_owned()
}

#[tokio::test]
async fn an_event_stream_tells_versions_and_nothing_else() {
    let served = Served::start().await;
    let mut stream = served.get("/as/ben/events").await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert_eq!(stream.headers()["cache-control"], "no-store");
    let page = served.page("/as/ben/").await;
    let now = version(&mut stream).await;
    assert!(page.contains(&format!(r#"data-version="{now}""#)), "a page knows the version it shows");
    served.fake.asks("ana", "prod-db 30m fixing INC-42").await;
    let next = version(&mut stream).await;
    assert_ne!(now, next);
    served.page.poke();
    assert_ne!(version(&mut stream).await, next);
    served.page.hang_up();
    assert_eq!(stream.chunk().await.unwrap(), None, "so that the server can stop");
}

#[tokio::test]
async fn event_streams_are_bounded_and_given_back() {
    let served = Served::start().await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS_MOST {
        let mut stream = served.get("/as/ana/events").await;
        assert_eq!(stream.status(), StatusCode::OK);
        version(&mut stream).await;
        streams.push(stream);
    }
    assert_eq!(served.get("/as/ana/events").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(streams);
    // The server sees that they are gone when it next looks; nothing but asking again tells.
    let freed = async {
        while served.get("/as/ana/events").await.status() != StatusCode::OK {
            served.page.poke();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), freed).await.unwrap();
}

#[tokio::test]
async fn a_form_in_a_direct_message_says_where_it_was_pressed() {
    let served = Served::start().await;
    served.fake.tells("ben", "k", 7, vec![plain("look")], vec![(Button::Deny, "Deny".to_owned())]).await;
    let page = served.page("/as/ben/direct").await;
    assert!(page.contains(r#"name="view" value="direct""#) && page.contains("Why not?"));
    let form = [("request", "7"), ("button", "deny"), ("message", "a1"), ("view", "direct"), ("text", "no")];
    served.post("/as/ben/press", &form).send().await.unwrap();
    let inbound = served.fake.inbounds().remove(0);
    assert_eq!(inbound.channel, "direct");
    let text = Some("no".to_owned());
    assert_eq!(inbound.input, Input::Press { request: RequestId(7), button: Button::Deny, text });
}
