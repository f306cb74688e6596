//! What a command means: the events that follow, or a refusal.

mod ask;
mod end;
mod outcome;
mod sign;
mod words;

use chrono::{DateTime, Utc};

use super::{
    Action, Actor, Command, Event, Moment, Phase, Posted, Question, Refusal, Request, RequestId, Right, Span, State,
    SubjectId, Verdict,
    drift::{looked, shut},
    settle::order,
};

pub use outcome::ORDERS_MAX;
pub(super) use sign::considered;
pub use words::{REASON_CHARS_MAX, phase_words};

/// One person's requests that wait at the same time.
pub const PENDING_PER_PERSON_MAX: usize = 20;

/// Says which events follow from a command.
///
/// # Errors
/// A [`Refusal`] for the person who asked, or for the machine that came too late; nothing follows then.
pub fn decide(state: &State, moment: Moment<'_>, command: &Command) -> Result<Vec<Event>, Refusal> {
    let now = moment.now;
    match command {
        Command::Person { actor, message, action } => Desk { state, moment, actor, message: *message }.decide(action),
        Command::Issued { request, attempt, outcome } => {
            Ok(outcome::issued(find(state, *request)?, *attempt, outcome, now))
        }
        Command::Closed { request, outcome } => Ok(outcome::closed(find(state, *request)?, outcome, now)),
        Command::CredentialCut { request, n, outcome } => Ok(vec![outcome::cut(find(state, *request)?, *n, outcome)]),
        Command::CardPosted { request, chat, channel, standing } => {
            let place = Posted { chat: *chat, channel: channel.clone() };
            let known = find(state, *request)?.cards.get(&place) == Some(standing);
            let event = Event::CardPosted {
                request: *request,
                chat: *chat,
                channel: channel.clone(),
                message: standing.message.clone(),
                told: standing.told,
            };
            Ok(if known { Vec::new() } else { vec![event] })
        }
        Command::NoticeSent { request, notice, to } => {
            let known = find(state, *request)?.told.contains(&(*notice, *to));
            let event = Event::NoticeSent { request: *request, notice: *notice, to: *to };
            Ok(if known { Vec::new() } else { vec![event] })
        }
        Command::BulletinPosted { bulletin, chat, message } => {
            let wanted = state.bulletins.get(bulletin).is_some_and(|known| !known.posted.contains_key(chat));
            let event = Event::BulletinPosted { bulletin: *bulletin, chat: *chat, message: message.clone() };
            Ok(if wanted { vec![event] } else { Vec::new() })
        }
        Command::Looked(look) => Ok(looked(state, look, now)),
        Command::Shut { drift } => Ok(shut(state, *drift)),
        Command::Load { files, widened } => Ok(vec![Event::RulesLoaded { files: files.clone(), widened: *widened }]),
        Command::Digest { due } => Ok(digest(state, *due)),
        Command::Started { version, files, widened } => {
            Ok(vec![Event::ServiceStarted { version: version.clone(), files: files.clone(), widened: *widened }])
        }
        Command::OrderAnew { request } => {
            let request = find(state, *request)?;
            // What is overdue is settled, not ordered again.
            let out = matches!(request.phase, Phase::Ordered { not_after, .. } if not_after > now);
            Ok(out.then(|| order(state, request, now)).flatten().into_iter().collect())
        }
        Command::ClockJumped { ahead_secs } => Ok(vec![Event::ClockJumped { ahead_secs: *ahead_secs }]),
        Command::ClockStepped { clock } => Ok(vec![Event::ClockStepped { clock: *clock }]),
        Command::Heartbeat => Ok(vec![Event::Heartbeat {}]),
    }
}

/// The report of the time since the last one, unless it was made already.
fn digest(state: &State, due: DateTime<Utc>) -> Vec<Event> {
    let (last, from) = state.digest.map_or((None, 0), |(_, last, to)| (Some(last), to));
    if last.is_some_and(|last| last >= due) {
        return Vec::new();
    }
    vec![Event::DigestMade { from, to: state.size, due }]
}

fn find(state: &State, id: RequestId) -> Result<&Request, Refusal> {
    state.request(id).ok_or(Refusal::NoRequest(id))
}

fn allowed(verdict: Verdict) -> Result<Vec<String>, Refusal> {
    match verdict {
        Verdict::Yes(policies) => Ok(policies),
        Verdict::No { words, .. } => Err(Refusal::Rules(words)),
        Verdict::Broken { words, .. } => Err(Refusal::RulesBroken(words)),
    }
}

/// A person who wants something, with all it takes to say what follows.
#[derive(Clone, Copy)]
struct Desk<'a> {
    state: &'a State,
    moment: Moment<'a>,
    actor: &'a Actor,
    /// The message's index in the ledger.
    message: u64,
}

impl<'a> Desk<'a> {
    fn decide(self, action: &Action) -> Result<Vec<Event>, Refusal> {
        match action {
            Action::Request { resource, span, reason, plan, start } => {
                self.ask(ask::Wish { resource, span: *span, reason, plan }, *start)
            }
            Action::BreakGlass { resource, span, reason, plan } => {
                self.break_glass(ask::Wish { resource, span: *span, reason, plan })
            }
            Action::Extend { request, span, reason } => self.extend(self.find(*request)?, *span, reason),
            Action::Allow { person, resource, span, window, reason } => {
                self.allow(person, ask::Wish { resource, span: *span, reason, plan: &[] }, *window)
            }
            Action::Approve { request, span, comment } => self.approve(self.find(*request)?, *span, comment),
            Action::Deny { request, reason } => self.deny(self.find(*request)?, reason),
            Action::Cancel { request } => self.cancel(*request),
            Action::Done { request } => self.done(self.find(*request)?),
            Action::Revoke { request, reason } => self.revoke(*request, reason),
            Action::Review { request, finding, notes } => self.review(self.find(*request)?, *finding, notes),
            Action::Show { request } => self.show(self.find(*request)?),
            Action::Log { .. } => self.read_log().map(|event| vec![event]),
            // One that is finished for long is read from the ledger.
            Action::Read { request } if request.0 < self.state.size() => Ok(Vec::new()),
            Action::Read { request } => Err(Refusal::NoRequest(*request)),
            Action::Mine | Action::List | Action::Verify | Action::Help => Ok(Vec::new()),
        }
    }

    /// Who may not read all of the ledger may read what concerns them.
    fn read_log(self) -> Result<Event, Refusal> {
        let question = Question::of(self.actor, Right::ReadLog, "", Span::hours(1), self.now());
        let whole = match self.moment.rules.judge(&question) {
            Verdict::Yes(_) => true,
            Verdict::No { .. } => false,
            Verdict::Broken { words, .. } => return Err(Refusal::RulesBroken(words)),
        };
        Ok(Event::LogRead { message: self.message, by: self.actor.subject, whole })
    }

    fn now(self) -> DateTime<Utc> {
        self.moment.now
    }

    fn find(self, id: RequestId) -> Result<&'a Request, Refusal> {
        find(self.state, id)
    }

    /// Whether the request is this person's own, by id or by name.
    fn owns(self, request: &Request) -> bool {
        request.requester == self.actor.subject || self.state.name(request.requester) == self.actor.name
    }

    /// Whether this person is surely not the one with this id.
    fn surely_differs(self, from: SubjectId) -> bool {
        self.state.surely_differ(self.actor.subject, from)
    }

    fn own(self, request: &'a Request) -> Result<&'a Request, Refusal> {
        if self.owns(request) {
            return Ok(request);
        }
        let whom = self.state.name(request.requester).to_owned();
        Err(Refusal::NotYours { request: request.id, whom })
    }
}
