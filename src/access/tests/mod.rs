//! The core, told as stories: given a log, when a message or a result comes, then these events or this refusal.

mod ahead;
mod erased;
mod glass;
mod life;
mod longer;
mod properties;
mod records;
mod refusals;
mod spans;
mod table;
mod talk;
mod waiting;

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
    /// Who may break the glass, and who may approve once it was escalated.
    pub glass: Vec<&'static str>,
    pub backup: Vec<&'static str>,
    /// Whose requests for `db` a rule approves.
    pub automatic: Vec<&'static str>,
    pub remind_secs: Option<u64>,
    pub escalate_secs: Option<u64>,
    pub broken: bool,
}

impl Default for Town {
    fn default() -> Self {
        Self {
            longest: 7200,
            quorum_db: 1,
            approvers_db: vec!["bea", "cas"],
            askers: vec!["ana", "bea", "cas", "dan"],
            glass: vec!["ana", "bea"],
            backup: vec![],
            automatic: vec![],
            remind_secs: None,
            escalate_secs: None,
            broken: false,
        }
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
            remind_after: self.remind_secs.map(|secs| Span::from_secs(secs).unwrap()),
            escalate_after: self.escalate_secs.map(|secs| Span::from_secs(secs).unwrap()),
            zone: chrono_tz::Europe::Berlin,
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
        Some("security".into())
    }

    fn judge(&self, question: &Question<'_>) -> Verdict {
        let Question { right, who, resource, escalated, .. } = *question;
        if self.broken {
            return Verdict::Broken { policies: vec!["p1".into()], words: "a rule can't be evaluated".into() };
        }
        let yes = |rule: &str| Verdict::Yes(vec![format!("{resource}.{rule}")]);
        match right {
            Right::Request if self.askers.contains(&who) => Verdict::Yes(vec!["askers".into()]),
            Right::Request => Verdict::No { policies: vec![], words: "not for you".into() },
            Right::BreakGlass if self.glass.contains(&who) => yes("break_glass"),
            Right::AutoApprove if resource == "db" && self.automatic.contains(&who) => yes("automatic"),
            Right::Approve if escalated && self.backup.contains(&who) => yes("backup"),
            Right::Approve | Right::Revoke | Right::Review if self.list(resource).contains(&who) => yes("approvers"),
            Right::Approve
            | Right::AutoApprove
            | Right::BreakGlass
            | Right::Revoke
            | Right::Review
            | Right::ReadLog
            | Right::Administer => Verdict::No { policies: vec![], words: "you are no approver".into() },
        }
    }

    fn those_who_may(&self, question: &Question<'_>) -> Vec<String> {
        let all = ["ana", "bea", "cas", "dan"].into_iter();
        let may = |who: &&str| matches!(self.judge(&Question { who, ..question.clone() }), Verdict::Yes(_));
        all.filter(|name| *name != question.requester).filter(may).map(str::to_owned).collect()
    }
}

/// A log under a clock that the test moves.
pub struct World {
    pub state: State,
    pub rules: Town,
    pub now: DateTime<Utc>,
    pub log: Vec<Stored>,
    messages: u32,
    /// What is due stays undone, as if the service had been killed just before.
    pub cut_off: bool,
}

impl World {
    pub fn new() -> Self {
        let mut world = Self {
            state: State::new("testlogs"),
            rules: Town::default(),
            now: start(),
            log: Vec::new(),
            messages: 0,
            cut_off: false,
        };
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
        while !self.cut_off {
            let due = settle(&self.state, self.moment(), 200);
            if due.is_empty() {
                return all;
            }
            all.extend(due.clone());
            self.append(due);
        }
        all
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
            evidence: None,
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

    /// What is still to be told, as `notice to name`, sorted.
    pub fn to_tell(&self, id: RequestId) -> Vec<String> {
        let mut told: Vec<String> = effects_of(self.state.request(id).unwrap(), self.now)
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Tell { notice, to } => Some(format!("{notice:?} to {}", self.state.name(to))),
                Effect::Issue { .. } | Effect::Close => None,
            })
            .collect();
        told.sort();
        told
    }

    /// Whether it is done (`+`), or the code of the refusal.
    pub fn tries(&mut self, chat: Chat, account: &str, action: Action) -> &'static str {
        let key = format!("{:032x}", u128::MAX);
        let (channel, text) = ("approvals".into(), String::new());
        let message = Message {
            chat,
            account: account.into(),
            channel,
            key,
            via: Via::Line,
            text,
            evidence: None,
            action: Ok(action),
        };
        match hear(&self.state, self.moment(), &message).answer {
            Answer::Done(_) => "+",
            Answer::Refused(refusal) => refusal.code(),
            Answer::Again(_) => unreachable!(),
        }
    }

    /// The newest request.
    pub fn newest(&self) -> RequestId {
        self.state.requests().next_back().unwrap().id
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

pub fn glass(resource: &str, secs: u64) -> Action {
    let (resource, span) = (resource.into(), Span::from_secs(secs).unwrap());
    Action::BreakGlass { resource, span, reason: "it is down".into(), plan: vec!["a token".into()] }
}

pub fn extend(request: RequestId, secs: u64) -> Action {
    Action::Extend { request, span: Span::from_secs(secs).unwrap(), reason: "one more deploy".into() }
}

pub fn review(request: RequestId, finding: Finding) -> Action {
    Action::Review { request, finding, notes: "looked at it".into() }
}

pub fn closed(request: RequestId) -> Command {
    Command::Closed { request, outcome: ProviderOutcome::Done }
}

pub fn issued(request: RequestId, attempt: u32, outcome: ProviderOutcome) -> Command {
    Command::Issued { request, attempt, outcome }
}

pub fn failed(class: FailureClass) -> ProviderOutcome {
    ProviderOutcome::Failed { class, words: "no answer".into() }
}
