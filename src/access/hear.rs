//! A message from a chat: who it is from, that it is recorded, and what came of it.

use super::{
    Action, Actor, Command, Event, Message, Moment, Personal, Refusal, RequestId, State, decide, moment::Roll,
    state::Seen,
};

/// What came of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// To be recorded, whatever came of it.
    pub events: Vec<Event>,
    /// To be answered, once it is recorded.
    pub answer: Answer,
    /// Who it was, by principal name.
    pub who: Option<String>,
}

/// What is to be answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It was done, or is only to be read; the request it is about, if it is about one.
    Done(Option<RequestId>),
    /// It was refused.
    Refused(Refusal),
    /// It was delivered before.
    Again(Seen),
}

/// Takes a message. Whatever it is, it is recorded; whoever it is from has an id in the ledger afterwards.
#[must_use]
pub fn hear(state: &State, moment: Moment<'_>, message: &Message) -> Heard {
    if let Some(seen) = state.seen(&message.key) {
        return Heard { events: Vec::new(), answer: Answer::Again(seen.clone()), who: None };
    }
    let principal = moment.rules.principal(message.chat, &message.account);
    let (sort, name) = message.chat.whose(moment.rules, &message.account);
    let mut events = Vec::new();
    let subject = Roll::new(state, moment.fresh).subject(sort, &name, &mut events);
    let index = state.size() + events.len() as u64;
    events.push(Event::MessageReceived {
        from: subject,
        chat: message.chat,
        via: message.via,
        key: message.key.clone(),
        thread: None,
        text: Personal::Known(message.text.clone()),
        evidence: message.evidence.clone().map(Personal::Known),
    });
    let outcome = match (&principal, &message.action) {
        (None, _) => Err(Refusal::Stranger),
        (Some(_), Err(refusal)) => Err(refusal.clone()),
        (Some(name), Ok(action)) => {
            let channel = message.channel.clone();
            let actor = Actor { subject, name: name.clone(), chat: message.chat, channel };
            decide(state, moment, &Command::Person { actor, message: index, action: action.clone() })
                .map(|events| (events, about(action)))
        }
    };
    let answer = match outcome {
        Ok((more, about)) => {
            // These two have an id of their own: their entry's index.
            let named = |event: &Event| matches!(event, Event::AccessRequested { .. } | Event::PreapprovalGiven { .. });
            let asked = more.iter().position(named);
            let id = asked.map(|at| RequestId(state.size() + (events.len() + at) as u64));
            events.extend(more);
            Answer::Done(id.or(about))
        }
        Err(refusal) => {
            events.push(Event::MessageRefused {
                message: index,
                from: subject,
                code: refusal.code().into(),
                words: Personal::Known(refusal.to_string()),
            });
            Answer::Refused(refusal)
        }
    };
    Heard { events, answer, who: principal }
}

fn about(action: &Action) -> Option<RequestId> {
    match action {
        Action::Approve { request, .. }
        | Action::Deny { request, .. }
        | Action::Cancel { request }
        | Action::Done { request }
        | Action::Revoke { request, .. }
        | Action::Review { request, .. }
        | Action::Show { request }
        | Action::Read { request } => Some(*request),
        Action::Request { .. }
        | Action::BreakGlass { .. }
        | Action::Extend { .. }
        | Action::Allow { .. }
        | Action::Log { .. }
        | Action::Mine
        | Action::List
        | Action::Verify
        | Action::Help => None,
    }
}
