//! The core, told as stories: given a log, when a message or a result comes, then these events or this refusal.

mod life;
mod properties;
mod records;
mod refusals;
mod spans;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;

/// 2026-11-20 09:00:00 UTC.
pub fn start() -> DateTime<Utc> {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

/// People `ana`, `bea`, `cas`, `dan`; resources `db` (one of bea, cas), `api` (two of bea, cas, dan).
#[derive(Clone)]
pub struct Town {
    pub longest: u64,
    pub quorum_db: u32,
    pub approvers_db: Vec<&'static str>,
    pub askers: Vec<&'static str>,
}

impl Default for Town {
    fn default() -> Self {
        Self { longest: 7200, quorum_db: 1, approvers_db: vec!["bea", "cas"], askers: vec!["ana", "bea", "cas", "dan"] }
    }
}

impl Town {
    fn list(&self, resource: &str) -> Vec<&'static str> {
        if resource == "db" { self.approvers_db.clone() } else { vec!["bea", "cas", "dan"] }
    }
}

impl Rules for Town {
    fn principal(&self, chat: Chat, account: &str) -> Option<String> {
        let name = match chat {
            Chat::Slack => account.strip_prefix("T/")?,
            Chat::Discord => account.strip_prefix("G/")?,
            Chat::Playground => account,
        };
        ["ana", "bea", "cas", "dan"].contains(&name).then(|| name.to_owned())
    }

    fn account(&self, _: Chat, who: &str) -> Option<String> {
        Some(who.to_owned())
    }

    fn resource(&self, name: &str) -> Option<Resource> {
        let target = Target { provider: "token".into(), settings: serde_json::Map::new() };
        let quorum = if name == "db" { self.quorum_db } else { 2 };
        ["db", "api"].contains(&name).then(|| Resource {
            lapse_after: Span::from_secs(3600).unwrap(),
            ..Resource::new(name, target, quorum, Span::from_secs(self.longest).unwrap())
        })
    }

    fn knows(&self, who: &str) -> bool {
        ["ana", "bea", "cas", "dan"].contains(&who)
    }

    fn resource_names(&self) -> Vec<String> {
        vec!["api".into(), "db".into()]
    }

    fn security_channel(&self) -> Option<String> {
        None
    }

    fn judge(&self, question: &Question<'_>) -> Verdict {
        let no = |words: &str| Verdict::No { policies: vec![], words: words.into() };
        match question.right {
            Right::Request if self.askers.contains(&question.who) => Verdict::Yes(vec!["askers".into()]),
            Right::Request => no("not for you"),
            Right::Approve | Right::Revoke if self.list(question.resource).contains(&question.who) => {
                Verdict::Yes(vec![format!("{}.approvers", question.resource)])
            }
            Right::Approve
            | Right::AutoApprove
            | Right::BreakGlass
            | Right::Revoke
            | Right::Review
            | Right::ReadLog
            | Right::Administer => no("you are no approver"),
        }
    }

    fn those_who_may(&self, question: &Question<'_>) -> Vec<String> {
        let all = self.list(question.resource).into_iter();
        all.filter(|name| *name != question.requester).map(str::to_owned).collect()
    }
}

/// A log under a clock that the test moves.
pub struct World {
    pub state: State,
    pub rules: Town,
    pub now: DateTime<Utc>,
    pub log: Vec<Stored>,
    messages: u32,
}

impl World {
    pub fn new() -> Self {
        let mut world =
            Self { state: State::new("testlogs"), rules: Town::default(), now: start(), log: Vec::new(), messages: 0 };
        world.append(vec![Event::Ledger("log.opened".into())]);
        world
    }

    /// Events go through their record and back, as they do in the ledger.
    pub fn append(&mut self, events: Vec<Event>) {
        let mut seqs = Vec::new();
        for event in events {
            let seq = self.state.size();
            let event = if matches!(event, Event::Ledger(_)) {
                event
            } else {
                let record = event.to_record(|id| self.state.request(id).map(|request| request.requester)).unwrap();
                Event::from_record(seq, record, |_| false).unwrap()
            };
            let stored = Stored { seq, time: self.now, leaf: None, event };
            self.state.evolve(&stored);
            seqs.push(seq);
            self.log.push(stored);
        }
        for seq in seqs {
            let leaf = format!("leaf-{seq}");
            self.state.committed(seq, &leaf);
            self.log[usize::try_from(seq).unwrap()].leaf = Some(leaf);
        }
    }

    pub fn moment(&self) -> Moment<'_> {
        let mut fresh = [0; 16];
        fresh[15] = u8::try_from(self.state.size() % 256).unwrap();
        Moment { rules: &self.rules, now: self.now, fresh: Fresh(fresh) }
    }

    fn settle(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            let due = settle(&self.state, self.moment(), 200);
            if due.is_empty() {
                return all;
            }
            all.extend(due.clone());
            self.append(due);
        }
    }

    /// Somebody does something; what follows, a line each, without the entries every message has.
    pub fn says(&mut self, who: &str, action: Action) -> String {
        self.says_on(Chat::Playground, who, action)
    }

    pub fn says_on(&mut self, chat: Chat, who: &str, action: Action) -> String {
        self.messages += 1;
        self.delivers(chat, who, action, &format!("{:032x}", self.messages))
    }

    pub fn delivers(&mut self, chat: Chat, account: &str, action: Action, key: &str) -> String {
        let message = Message {
            chat,
            account: account.into(),
            channel: "approvals".into(),
            key: key.into(),
            via: Via::Line,
            text: "as typed".into(),
            action: Ok(action),
        };
        let heard = hear(&self.state, self.moment(), &message);
        self.append(heard.events.clone());
        let mut events = heard.events;
        events.extend(self.settle());
        match heard.answer {
            Answer::Refused(refusal) => format!("refused: {refusal}"),
            Answer::Again(seen) => {
                format!("again: message {}, request {:?}", seen.message, seen.request.map(|id| id.0))
            }
            Answer::Done(_) => lines(&events),
        }
    }

    pub fn command(&mut self, command: &Command) -> String {
        match decide(&self.state, self.moment(), command) {
            Ok(mut events) => {
                self.append(events.clone());
                events.extend(self.settle());
                lines(&events)
            }
            Err(refusal) => format!("refused: {refusal}"),
        }
    }

    /// The service stops and starts.
    pub fn restart(&mut self) -> String {
        let mut told = vec![self.command(&Command::Started { version: "0".into(), files: vec![], widened: 0 })];
        let ordered: Vec<RequestId> = self
            .state
            .open()
            .filter(|request| matches!(request.phase, Phase::Ordered { .. }))
            .map(|request| request.id)
            .collect();
        told.extend(ordered.into_iter().map(|request| self.command(&Command::OrderAnew { request })));
        told.join("\n")
    }

    pub fn after(&mut self, secs: i64) -> String {
        self.now += TimeDelta::seconds(secs);
        lines(&self.settle())
    }

    /// `db` for half an hour, by ana, on the disk. Its id.
    pub fn asked(&mut self) -> RequestId {
        self.says("ana", ask("db", 1800));
        self.state.requests().next_back().unwrap().id
    }

    /// The same, approved by bea and issued.
    pub fn live(&mut self) -> RequestId {
        let id = self.asked();
        self.says("bea", approve(id));
        self.command(&issued(id, 1, ProviderOutcome::Done));
        id
    }

    pub fn phase(&self, id: RequestId) -> &Phase {
        &self.state.request(id).unwrap().phase
    }
}

/// Events a line each: kind and body, without what every message leaves behind.
fn lines(events: &[Event]) -> String {
    let lines: Vec<String> = events
        .iter()
        .filter(|event| !matches!(event, Event::SubjectEnrolled { .. } | Event::MessageReceived { .. }))
        .map(|event| {
            let record = event.to_record(|_| Some(SubjectId([0; 16]))).unwrap();
            let body: std::collections::BTreeMap<_, _> = record.body.into_iter().collect();
            format!("{} {}", record.kind, serde_json::to_string(&body).unwrap())
        })
        .collect();
    if lines.is_empty() { "nothing".into() } else { lines.join("\n") }
}

pub fn ask(resource: &str, secs: u64) -> Action {
    Action::Request {
        resource: resource.into(),
        span: Span::from_secs(secs).unwrap(),
        reason: "fixing INC-42".into(),
        plan: vec!["a token".into()],
        start: None,
    }
}

pub fn approve(request: RequestId) -> Action {
    Action::Approve { request, span: None, comment: String::new() }
}

pub fn deny(request: RequestId) -> Action {
    Action::Deny { request, reason: "use the replica".into() }
}

pub fn issued(request: RequestId, attempt: u32, outcome: ProviderOutcome) -> Command {
    Command::Issued { request, attempt, outcome }
}

pub fn failed(class: FailureClass) -> ProviderOutcome {
    ProviderOutcome::Failed { class, words: "no answer".into() }
}
