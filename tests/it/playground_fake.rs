//! A service that behaves plausibly, so that the playground can be tried without the rest of the house: one resource,
//! a quorum of one, a "ledger" that is only a list.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

use async_trait::async_trait;
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use countersign::{
    access::{Chat, RequestId},
    chat::{
        Adapter as _, Inbound, Input, LedgerLine, LedgerView, Notice, Offer, Overview, Reply, Service, Talk, Tone,
        card::{Button, Card, Field, Line, Span, Status, Step},
        plain,
        playground::{Cast, Clock, Persona, Playground},
    },
};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

/// What the fake shows as a credential; it must turn up in one answer and nowhere else.
pub const SECRET: &str = "pg-s3cret-Zx81kq<&>";
/// A reason longer than this is refused.
const REASON_BYTES_MOST: usize = 2_000;

/// The service, and what it was told.
#[derive(Default)]
pub struct Fake {
    state: Mutex<State>,
    page: OnceLock<Arc<Playground>>,
}

#[derive(Default)]
struct State {
    entries: Vec<LedgerLine>,
    requests: BTreeMap<u64, Request>,
    answers: HashMap<String, (Tone, String)>,
    inbounds: Vec<Inbound>,
    tampered: bool,
}

#[derive(Clone)]
struct Request {
    id: u64,
    by: String,
    resource: String,
    duration: String,
    reason: String,
    status: Status,
    until: DateTime<Utc>,
    history: Vec<Step>,
}

/// The moment it is, for the fake and for the page.
pub fn now() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "the browser that looks at the page has the real clock")]
    Utc::now()
}

/// A playground with three people, and the fake behind it.
pub fn playground() -> (Arc<Playground>, Arc<Fake>) {
    let persona = |name: &str, title: &str| Persona { name: name.to_owned(), title: title.to_owned() };
    let people = vec![
        persona("ana", "Engineer, orders team"),
        persona("ben", "Database owner, in dba"),
        persona("chris", "On call, in dba and oncall"),
    ];
    let examples = ["prod-db 30m fixing INC-42", "build-host 15m log rotation", "mine", "help"];
    let clock: Clock = Arc::new(now);
    let channels = vec!["approvals".to_owned(), "platform".to_owned()];
    let page = Arc::new(Playground::new(Cast::new(people, channels, examples.map(str::to_owned).to_vec()), clock));
    let fake = Arc::new(Fake::default());
    assert!(fake.page.set(Arc::clone(&page)).is_ok());
    (page, fake)
}

impl Fake {
    /// What it was told, in order.
    pub fn inbounds(&self) -> Vec<Inbound> {
        self.state().inbounds.clone()
    }

    /// The newest request.
    pub fn newest(&self) -> u64 {
        *self.state().requests.keys().next_back().unwrap()
    }

    /// From now on the ledger doesn't verify.
    pub fn tamper(&self) {
        self.state().tampered = true;
    }

    /// Somebody asks for something.
    pub async fn asks(&self, by: &str, line: &str) -> Reply {
        let message = format!("asks{}", self.inbounds().len());
        self.submit(inbound(by, message, Input::Line(line.to_owned()))).await
    }

    /// Somebody presses something.
    pub async fn presses(&self, by: &str, request: u64, button: Button, text: Option<&str>) -> Reply {
        let message = format!("presses{}", self.inbounds().len());
        let input = Input::Press { request: RequestId(request), button, text: text.map(str::to_owned) };
        self.submit(inbound(by, message, input)).await
    }

    /// A request gets a status, whatever it had, with a line for its history.
    pub async fn becomes(&self, id: u64, status: Status, kind: &str, line: Line) {
        let card = {
            let mut state = self.state();
            state.append(kind, &format!(r#""request":{id}"#));
            let request = state.requests.get_mut(&id).unwrap();
            request.status = status;
            let seq = request.history.len() as u64;
            request.history.push(Step { seq, at: now(), line });
            let request = request.clone();
            state.card(&request)
        };
        self.page().put_card("approvals", None, &card).await.unwrap();
    }

    /// Somebody is told something.
    pub async fn tells(&self, person: &str, key: &str, id: u64, lines: Vec<Line>, buttons: Vec<(Button, String)>) {
        let notice = Notice { request: RequestId(id), lines, buttons };
        self.page().direct(person, key, &notice).await.unwrap();
    }

    fn page(&self) -> &Playground {
        self.page.get().unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn typed(&self, by: &str, line: &str) -> Reply {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] | ["help"] => info(&[
                "`/access <resource> <duration> <reason>` asks for access",
                "`/access mine` says what you hold",
                "`/access show <id>` shows one request with its history",
                "`/access done <id>` gives it back early",
            ]),
            ["mine"] => {
                let held = self.state().requests.values().filter(|r| r.by == by && r.status == Status::Live).count();
                info(&[if held == 0 { "You hold nothing." } else { "You hold prod-db." }])
            }
            ["prod-db" | "build-host", duration, ..] if !duration.ends_with(['m', 'h']) => {
                refuse("`{}` is not a duration", duration, "say it like `30m`, `1h30m` or `2h`")
            }
            ["prod-db" | "build-host", _] => {
                refuse("a reason is needed{}", "", "add it after the duration: `prod-db 30m fixing INC-42`")
            }
            [resource @ ("prod-db" | "build-host"), duration, ..] => {
                let reason = line.splitn(3, ' ').nth(2).unwrap_or_default();
                if reason.len() > REASON_BYTES_MOST {
                    return refuse("a reason may have {} bytes", "2000", "put the rest in the ticket and name it here");
                }
                self.requested(by, resource, duration, reason).await
            }
            [unknown, ..] => refuse("there is no resource `{}`", unknown, "did you mean `prod-db`?"),
        }
    }

    async fn requested(&self, by: &str, resource: &str, duration: &str, reason: &str) -> Reply {
        let (id, card) = {
            let mut state = self.state();
            let id = state.append("access.requested", &format!(r#""resource":"{resource}","duration":"{duration}""#));
            let request = Request {
                id,
                by: by.to_owned(),
                resource: resource.to_owned(),
                duration: duration.to_owned(),
                reason: reason.to_owned(),
                status: Status::Requested,
                until: now() + Duration::minutes(30),
                history: vec![Step {
                    seq: 0,
                    at: now(),
                    line: vec![Span::Person(by.to_owned()), Span::Text(" asked".to_owned())],
                }],
            };
            let card = state.card(&request);
            state.requests.insert(id, request);
            (id, card)
        };
        self.page().put_card("approvals", None, &card).await.unwrap();
        done(vec![
            Span::Text("Request ".to_owned()),
            Span::Code(format!("#{id}")),
            Span::Text(" waits for one approval by ".to_owned()),
            Span::Strong("dba".to_owned()),
            Span::Text(".".to_owned()),
        ])
    }

    async fn pressed(&self, by: &str, id: RequestId, button: Button, text: Option<String>) -> Reply {
        let Some(request) = self.state().requests.get(&id.0).cloned() else {
            return refuse("there is no request `{}`", &id.to_string(), "`/access list` shows those that wait");
        };
        let own = request.by == by;
        let person = |verb: &str| vec![Span::Person(by.to_owned()), Span::Text(format!(" {verb}"))];
        match (button, request.status) {
            (Button::Approve, Status::Requested) if own => {
                refuse("people can't approve their own request{}", "", "ask `ben` or `chris`, who are in `dba`")
            }
            (Button::Approve, Status::Requested) => {
                self.becomes(id.0, Status::Live, "request.approved", person("approved")).await;
                self.becomes(id.0, Status::Live, "grant.issued", plain("The door is open")).await;
                let lines = vec![vec![
                    Span::Text("Approved by ".to_owned()),
                    Span::Person(by.to_owned()),
                    Span::Text(". You hold it until ".to_owned()),
                    Span::Time(request.until),
                    Span::Text(".".to_owned()),
                ]];
                let buttons =
                    vec![(Button::Show, "Show credential".to_owned()), (Button::Done, "Give back".to_owned())];
                self.tells(&request.by, &format!("{id}/issued"), id.0, lines, buttons).await;
                done(vec![
                    Span::Text("You approved ".to_owned()),
                    Span::Code(id.to_string()),
                    Span::Text(".".to_owned()),
                ])
            }
            (Button::Deny, Status::Requested) if text.is_none() => {
                refuse("a reason is needed{}", "", "write it in the form")
            }
            (Button::Deny, Status::Requested) => {
                self.becomes(
                    id.0,
                    Status::Denied,
                    "request.denied",
                    person(&format!("denied: {}", text.unwrap_or_default())),
                )
                .await;
                self.tells(&request.by, &format!("{id}/denied"), id.0, vec![person("denied it")], vec![]).await;
                done(vec![Span::Text(format!("You denied {id}."))])
            }
            (Button::Cancel, Status::Requested) if own => {
                self.becomes(id.0, Status::Cancelled, "request.cancelled", person("withdrew it")).await;
                done(vec![Span::Text(format!("You withdrew {id}."))])
            }
            (Button::Show, Status::Live) if own => {
                self.state().append("credential.taken", &format!(r#""request":{}"#, id.0));
                let secret = vec![
                    ("User".to_owned(), SecretString::from("cs_prod_db_17")),
                    ("Password".to_owned(), SecretString::from(SECRET)),
                    (
                        "Connect with".to_owned(),
                        SecretString::from("psql \"host=127.0.0.1 port=5433 dbname=orders user=cs_prod_db_17\""),
                    ),
                ];
                let lines = vec![vec![
                    Span::Text("Valid until ".to_owned()),
                    Span::Time(request.until),
                    Span::Text(".".to_owned()),
                ]];
                Reply { tone: Tone::Done, lines, secret, keep_input: false }
            }
            (Button::Done, Status::Live) if own => {
                self.becomes(id.0, Status::Ended, "grant.ended", person("gave it back")).await;
                done(vec![Span::Text(format!("{id} is closed. Thank you."))])
            }
            (Button::Revoke, Status::Live) => {
                self.becomes(id.0, Status::Ended, "grant.ended", person("revoked it")).await;
                done(vec![Span::Text(format!("You ended {id}."))])
            }
            (_, _) => {
                refuse("that can't be done with {} now, or not by you", &id.to_string(), "its card says where it is")
            }
        }
    }
}

#[async_trait]
impl Service for Fake {
    async fn offers(&self, _: Chat, _: &str) -> Vec<Offer> {
        Vec::new()
    }

    async fn overview(&self, _: Chat, _: &str) -> Overview {
        Overview::default()
    }

    async fn card(&self, _: Chat, _: &str, request: RequestId) -> Option<Card> {
        let state = self.state();
        state.requests.get(&request.0).map(|request| state.card(request))
    }

    async fn overheard(&self, _: Talk) -> bool {
        true
    }

    async fn submit(&self, inbound: Inbound) -> Reply {
        let known = {
            let mut state = self.state();
            state.inbounds.push(inbound.clone());
            state.answers.get(&inbound.message).cloned()
        };
        if let Some((tone, text)) = known {
            return Reply { tone, lines: vec![plain(text)], secret: Vec::new(), keep_input: false };
        }
        let reply = match inbound.input {
            Input::Line(line) => self.typed(&inbound.account, &line).await,
            Input::Form(form) => self.typed(&inbound.account, &form.words()).await,
            Input::Press { request, button, text } => self.pressed(&inbound.account, request, button, text).await,
        };
        let said = "That was done already, once.".to_owned();
        self.state().answers.insert(inbound.message, (reply.tone, said));
        reply
    }

    async fn ledger(&self, most: usize) -> LedgerView {
        let state = self.state();
        let entries: Vec<_> = state.entries.iter().rev().take(most).rev().cloned().collect();
        let root = state.entries.iter().fold(Sha256::new(), |hash, entry| hash.chain_update(&entry.leaf)).finalize();
        let size = state.entries.len();
        let root = hex::encode(root);
        let head = format!(
            "countersign.example.com/demo\n{size}\n{root}\n\n— countersign.example.com/demo c2lnbmF0dXJlIGZyb20gdGhlIGZha2U=\n"
        );
        LedgerView { entries, head: if size == 0 { String::new() } else { head } }
    }

    async fn verify(&self) -> (bool, Vec<String>) {
        let state = self.state();
        let size = state.entries.len();
        if state.tampered {
            return (false, vec!["entry 2: the leaf hash differs from the one under the signed head".to_owned()]);
        }
        (
            true,
            vec![
                format!("{size} entries: every line hashes to its leaf, every leaf is under the head"),
                "the head is signed by countersign.example.com/demo".to_owned(),
            ],
        )
    }
}

impl State {
    fn append(&mut self, kind: &str, data: &str) -> u64 {
        let index = self.entries.len() as u64;
        let time = now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let line = format!(r#"{{"data":{{{data}}},"index":{index},"kind":"{kind}","time":"{time}","v":1}}"#);
        let leaf = hex::encode(Sha256::new().chain_update([0]).chain_update(&line).finalize());
        self.entries.push(LedgerLine { index, time, kind: kind.to_owned(), leaf, line });
        index
    }

    fn card(&self, request: &Request) -> Card {
        let text = |text: &str| vec![Span::Text(text.to_owned())];
        let live = vec![Span::Text("The door is open until ".to_owned()), Span::Time(request.until)];
        let headline = match request.status {
            Status::Requested => text("Waiting for approval, 0 of 1"),
            Status::Issuing => text("Approved. The door is being opened"),
            Status::Live => live,
            Status::Ending => text("The door is being shut"),
            Status::Ended => text("Given back. The door is shut, and that was seen"),
            Status::Denied => text("Denied. Nothing was opened"),
            Status::Cancelled => text("Withdrawn by the requester"),
            Status::Lapsed => text("Nobody answered in time"),
            Status::Failed => text("The provider could not open the door. Nothing is open"),
            Status::Scheduled | Status::Owing | Status::Extended => text("Not a part of this chat"),
        };
        let labelled = |buttons: &[(Button, &str)]| buttons.iter().map(|(b, l)| (*b, (*l).to_owned())).collect();
        let buttons = match request.status {
            Status::Requested => {
                labelled(&[(Button::Approve, "Approve"), (Button::Deny, "Deny"), (Button::Cancel, "Withdraw")])
            }
            Status::Live => {
                labelled(&[(Button::Show, "Show credential"), (Button::Done, "Give back"), (Button::Revoke, "End now")])
            }
            Status::Issuing
            | Status::Ending
            | Status::Ended
            | Status::Denied
            | Status::Cancelled
            | Status::Lapsed
            | Status::Scheduled
            | Status::Owing
            | Status::Extended
            | Status::Failed => Vec::new(),
        };
        let title = format!("{} for {}", request.resource, request.duration);
        let entry = self.entries.iter().find(|entry| entry.index == request.id);
        Card {
            request: RequestId(request.id),
            status: request.status,
            loud: false,
            headline,
            fields: vec![
                Field { label: "Requester", value: vec![Span::Person(request.by.clone())] },
                Field {
                    label: "Resource",
                    value: vec![
                        Span::Code(request.resource.clone()),
                        Span::Text(" Orders database, read and write".to_owned()),
                    ],
                },
                Field { label: "Duration", value: text(&request.duration) },
                Field { label: "Reason", value: text(&request.reason) },
            ],
            plan: vec![
                "create the login role cs_17 in orders, member of app_rw".to_owned(),
                "valid until 30 minutes from the approval, set in the database itself".to_owned(),
                "at the end: block new logins, cut its sessions, drop the role".to_owned(),
            ],
            history: request.history.clone(),
            buttons,
            proof: entry.map_or_else(String::new, |entry| entry.leaf.chars().take(8).collect()),
            terms: hex::encode(Sha256::digest(&title)),
            summary: format!("Request #{} by {}: {title}, {:?}", request.id, request.by, request.status),
            title,
        }
    }
}

fn inbound(by: &str, message: String, input: Input) -> Inbound {
    let chat = countersign::access::Chat::Playground;
    Inbound { chat, account: by.to_owned(), channel: "approvals".to_owned(), message, input, evidence: None }
}

fn done(line: Line) -> Reply {
    Reply { tone: Tone::Done, lines: vec![line], secret: Vec::new(), keep_input: false }
}

fn info(lines: &[&str]) -> Reply {
    let lines = lines.iter().map(|line| ticks(line)).collect();
    Reply { tone: Tone::Info, lines, secret: Vec::new(), keep_input: false }
}

fn refuse(why: &str, what: &str, hint: &str) -> Reply {
    let lines = vec![ticks(&why.replace("{}", what)), ticks(&format!("hint: {hint}"))];
    Reply { tone: Tone::Refused, lines, secret: Vec::new(), keep_input: true }
}

/// Text with code between backticks.
fn ticks(text: &str) -> Line {
    let span = |(place, part): (usize, &str)| match place % 2 {
        0 => Span::Text(part.to_owned()),
        _ => Span::Code(part.to_owned()),
    };
    text.split('`').enumerate().filter(|(_, part)| !part.is_empty()).map(span).collect()
}
