//! What people do: sensible things, wrong things, and the same thing twice.

use chrono::{TimeDelta, Timelike as _};
use countersign::{
    access::{Chat, Phase, RequestId, Right, Span},
    chat::{Evidence, Inbound, Input, card::Button},
};
use sha2::{Digest as _, Sha256};

use super::{
    checks::Sent,
    mutants::Mutant,
    rules::{CHANNEL, CHATS, PEOPLE, RESOURCES, account},
    world::Inner,
};

const SPANS: [&str; 9] = ["1s", "30s", "2m", "5m", "10m", "30m", "1h", "2h", "3h"];
const REASONS: [&str; 3] = ["fixing INC-42", "deploy", "because `it` is *broken* <!here>"];
/// One that says nothing.
const NO_REASON: &str = "…";
const NONSENSE: [&str; 17] = [
    "log",
    "log ana",
    "log grant.issued db",
    "mine",
    "list",
    "verify",
    "help",
    "",
    "aprove 3",
    "show 0",
    "show 99999",
    "request",
    "db 30m",
    "mine all",
    "review 3 maybe",
    "extend 3",
    "allow ana db",
];

/// The name of a message in the ledger.
pub fn key(chat: Chat, account: &str, message: &str) -> String {
    let mut hash = Sha256::new();
    for part in [chat.word(), account, message] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut key = hex::encode(hash.finalize());
    key.truncate(32);
    key
}

impl Inner {
    /// Something that somebody does.
    pub fn deed(&mut self) -> Inbound {
        if self.rng.permille(100)
            && let Some(again) = self.again()
        {
            self.count("delivered again");
            return again;
        }
        let (who, input) = match self.rng.below(100) {
            0..20 => self.asks(),
            20..24 => self.breaks_the_glass(),
            24..30 => self.allows(),
            // There is nothing to act on.
            30..94 if self.checks.state.open().next().is_none() && self.rng.permille(800) => self.asks(),
            30..94 => self.acts_on_a_request(),
            94..97 => self.withdraws_what_was_said_ahead(),
            _ => (self.anybody(), Input::Line((*self.rng.pick(&NONSENSE)).to_owned())),
        };
        let account = if self.rng.permille(10) { "U-mallory".to_owned() } else { account(&who) };
        let chat = *self.rng.pick(&CHATS);
        let message = format!("m{:x}", self.rng.next());
        // One platform signs what it delivers.
        let evidence = (chat == Chat::Discord).then(|| Evidence {
            timestamp: self.wall().timestamp().to_string(),
            signature: "5e11".repeat(32),
            body: format!("{{\"id\":\"{message}\"}}"),
        });
        Inbound { chat, account, channel: CHANNEL.into(), message, input, evidence }
    }

    fn anybody(&mut self) -> String {
        (*self.rng.pick(&PEOPLE)).to_owned()
    }

    fn span(&mut self) -> &'static str {
        self.rng.pick::<&'static str>(&SPANS)
    }

    /// A span that the rules give, mostly.
    fn span_of(&mut self, resource: &str) -> &'static str {
        let facts = self.facts();
        let fits = |span: &&str| facts.gives(resource, span.parse::<Span>().unwrap().secs());
        let fit: Vec<&'static str> = SPANS.into_iter().filter(fits).collect();
        if fit.is_empty() || self.rng.permille(100) { self.span() } else { self.rng.pick::<&'static str>(&fit) }
    }

    fn reason(&mut self) -> &'static str {
        if self.rng.permille(50) { NO_REASON } else { self.rng.pick::<&'static str>(&REASONS) }
    }

    fn resource(&mut self) -> &'static str {
        if self.rng.permille(30) { "attic" } else { self.rng.pick::<&'static str>(&RESOURCES) }
    }

    fn asks(&mut self) -> (String, Input) {
        let (resource, reason) = (self.resource(), self.reason());
        let (span, who) = (self.span_of(resource), self.somebody_who(Right::Request, resource));
        let start = if self.rng.permille(120) {
            let ahead = i64::try_from(self.rng.within(1, 180)).unwrap();
            let at = self.now + TimeDelta::minutes(ahead);
            format!("from {:02}:{:02} ", at.hour(), at.minute())
        } else {
            String::new()
        };
        (who, Input::Line(format!("{resource} {span} {start}{reason}")))
    }

    /// Somebody who may, mostly.
    fn somebody_who(&mut self, right: Right, resource: &str) -> String {
        let facts = self.facts();
        let fit: Vec<&str> = PEOPLE.into_iter().filter(|who| facts.may(right, who, resource)).collect();
        if fit.is_empty() || self.rng.permille(200) {
            return self.anybody();
        }
        (*self.rng.pick(&fit)).to_owned()
    }

    fn breaks_the_glass(&mut self) -> (String, Input) {
        let (resource, span, reason) = (self.resource(), *self.rng.pick(&["1m", "5m", "30m"]), self.reason());
        let who = self.somebody_who(Right::BreakGlass, resource);
        (who, Input::Line(format!("break-glass {resource} {span} {reason}")))
    }

    fn allows(&mut self) -> (String, Input) {
        let (resource, reason) = (self.resource(), self.reason());
        let span = self.span_of(resource);
        let (giver, person) = (self.somebody_who(Right::Approve, resource), self.anybody());
        let within = *self.rng.pick(&["", "within 30m ", "within 8d "]);
        (giver, Input::Line(format!("allow {person} {resource} {span} {within}{reason}")))
    }

    fn withdraws_what_was_said_ahead(&mut self) -> (String, Input) {
        let ahead: Vec<(u64, String)> = self.checks.aheads.iter().map(|(id, it)| (*id, it.giver.clone())).collect();
        if ahead.is_empty() {
            return (self.anybody(), Input::Line("list".into()));
        }
        let (id, giver) = self.rng.pick(&ahead).clone();
        let who = if self.rng.permille(300) { self.anybody() } else { giver };
        let line = if self.rng.permille(300) { format!("revoke {id} called off") } else { format!("cancel {id}") };
        (who, Input::Line(line))
    }

    /// A request that is about something now, or any number.
    pub fn some_request(&mut self) -> RequestId {
        let open: Vec<RequestId> = self.checks.state.open().map(|request| request.id).collect();
        if open.is_empty() || self.rng.permille(100) {
            let all: Vec<u64> = self.checks.asks.keys().copied().collect();
            let any = self.rng.below(self.disk.size() + 3);
            return RequestId(if all.is_empty() { any } else { *self.rng.pick(&all) });
        }
        *self.rng.pick(&open)
    }

    /// The button that is most likely to mean something now; the others are refused, or should be.
    fn some_button(&mut self, request: RequestId) -> Button {
        let about = self.checks.state.request(request);
        let pending = about.is_some_and(|request| request.phase == Phase::Pending);
        let live = about.is_some_and(countersign::access::Request::is_live);
        let owes = about.is_some_and(countersign::access::Request::owes_review);
        if pending && self.rng.permille(800) {
            return if self.rng.permille(150) { Button::ApproveLess } else { Button::Approve };
        }
        if live && self.rng.permille(650) {
            return *self.rng.pick(&[Button::Show, Button::Show, Button::Done, Button::Extend, Button::Revoke]);
        }
        if owes && self.rng.permille(600) {
            return *self.rng.pick(&[Button::ReviewOk, Button::ReviewConcern]);
        }
        *self.rng.pick(&Button::ALL)
    }

    /// Who it makes sense for, mostly.
    fn somebody_for(&mut self, button: Button, request: RequestId) -> String {
        let about = self.checks.state.request(request);
        let resource = about.map(|request| request.resource.clone()).unwrap_or_default();
        let ask = self.checks.asks.get(&request.0);
        let requester = ask.map(|ask| ask.person.clone()).unwrap_or_default();
        let signed: Vec<String> = ask.map(|ask| ask.approvals.keys().cloned().collect()).unwrap_or_default();
        match button {
            Button::Approve | Button::ApproveLess | Button::Deny => self.somebody_who(Right::Approve, &resource),
            Button::Revoke | Button::Cut => self.somebody_who(Right::Revoke, &resource),
            Button::ReviewOk | Button::ReviewConcern => self.somebody_who(Right::Review, &resource),
            // Who approved may take it back.
            Button::Cancel if !signed.is_empty() && self.rng.permille(600) => self.rng.pick(&signed).clone(),
            Button::Cancel | Button::Show | Button::Done | Button::Extend => {
                if requester.is_empty() || self.rng.permille(200) { self.anybody() } else { requester }
            }
        }
    }

    fn acts_on_a_request(&mut self) -> (String, Input) {
        let request = self.some_request();
        let button = self.some_button(request);
        let who = self.somebody_for(button, request);
        let (span, reason) = (self.span(), self.reason());
        let text = button.form().map(|_| match button {
            Button::ApproveLess | Button::Extend => format!("{span} {reason}"),
            Button::Approve
            | Button::Deny
            | Button::Cancel
            | Button::Show
            | Button::Done
            | Button::Revoke
            | Button::Cut
            | Button::ReviewOk
            | Button::ReviewConcern => reason.to_owned(),
        });
        if self.rng.permille(700) {
            return (who, Input::Press { request, button, text });
        }
        let (id, words) = (request.0, text.unwrap_or_default());
        let line = match button {
            Button::ApproveLess => format!("approve {id} for {words}"),
            Button::Cut => format!("revoke {id} {words}"),
            Button::ReviewOk => format!("review {id} ok {words}"),
            Button::ReviewConcern => format!("review {id} concern {words}"),
            Button::Approve
            | Button::Deny
            | Button::Cancel
            | Button::Show
            | Button::Done
            | Button::Extend
            | Button::Revoke => format!("{} {id} {words}", button.word()),
        };
        (who, Input::Line(line))
    }

    /// Something that was delivered before, now or long ago.
    fn again(&mut self) -> Option<Inbound> {
        if self.delivered.is_empty() {
            return None;
        }
        let newest = self.delivered.len() as u64;
        let from = if self.rng.permille(700) { newest.saturating_sub(5) } else { 0 };
        let at = usize::try_from(self.rng.within(from, newest - 1)).unwrap();
        let mut again = self.delivered[at].clone();
        if self.mutant == Some(Mutant::DeliversAgainUnderAnotherId) {
            let really = key(again.chat, &again.account, &again.message);
            again.message.push('+');
            let sent = self.checks.sent.get(&really)?.clone();
            self.checks.sent.insert(key(again.chat, &again.account, &again.message), sent);
        }
        Some(again)
    }

    /// Notes what is sent. The key it has in the ledger.
    pub fn sends(&mut self, inbound: &Inbound) -> String {
        let key = key(inbound.chat, &inbound.account, &inbound.message);
        let sent = self.checks.sent.entry(key.clone()).or_insert_with(|| Sent {
            chat: inbound.chat,
            account: inbound.account.clone(),
            really: key.clone(),
            deliveries: 0,
        });
        sent.deliveries += 1;
        self.note(|| format!("{} in {:?}, {key}: {:?}", inbound.account, inbound.chat, inbound.input));
        self.delivered.push(inbound.clone());
        key
    }
}
