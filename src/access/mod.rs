//! The rules, pure: no I/O, no clock, no randomness.
//!
//! [`hear`] takes a message from a chat and [`decide`] a command; both say which [`Event`]s follow, or refuse.
//! [`overhear`] takes what is said in the thread of a card, which is recorded and decides nothing.
//! [`settle`] says which events are due because of the time or because a state calls for them. [`State::evolve`] folds
//! an event that is in the ledger into the state, and [`effects_of`] reads from the state what is still to be done
//! outside. Nothing else changes a state, so the state is always the fold of the ledger.

mod command;
mod decide;
mod drift;
mod effect;
mod erase;
mod event;
mod evolve;
mod hear;
mod ids;
mod life;
mod moment;
mod parts;
mod record;
mod refusal;
mod rules;
mod settle;
mod span;
mod state;
mod talk;
#[cfg(test)]
mod tests;

pub use command::{Action, Actor, Command, Message, ProviderOutcome, Start, Via};
pub use decide::{ORDERS_MAX, PENDING_PER_PERSON_MAX, REASON_CHARS_MAX, decide, phase_words};
pub use drift::{Look, marked};
pub use effect::{Effect, Notice, effects_of, notices};
pub use event::Event;
pub use hear::{Answer, Heard, hear};
pub use ids::{Chat, RequestId, SubjectId};
pub use moment::{Fresh, Moment};
pub use parts::{Call, Cause, Drift, FailureClass, Finding, Manner, Personal, Sort, Target};
pub use record::{EVIDENCE, NotAnEvent, PersonalField, Record};
pub use refusal::Refusal;
pub use rules::{PolicyId, Question, Refreshing, Resource, Right, Rules, Verdict};
pub use settle::settle;
pub use span::{DurationError, Span};
pub use state::{
    Bulletin, Decision, Files, Happening, Phase, Posted, Preapproval, Request, Review, Seen, Standing, State, Stored,
    Stray, Subject, Topic,
};
pub use talk::{TALK_EACH_MAX, TALK_MAX, Talk, Thread, Turn, Uttered, overhear};
