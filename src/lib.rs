//! Countersign: access that is asked for in chat, countersigned, short, and provable for ever.
//!
//! The map of the house. Data flows one way: a chat turns words and clicks into commands, [`access`] decides what they
//! mean, [`ledger`] makes the decision durable, [`engine`] carries the consequences to the providers and back to the
//! chats.
//!
//! | room | what it is for | may use |
//! |---|---|---|
//! | [`access`] | the rules, pure: commands, events, state, `decide`, `evolve`, `effects` | nothing of ours |
//! | [`ledger`] | the signed chain: entries, tree, notes, store, verify, proofs, export | nothing of ours |
//! | [`policy`] | who may ask and who may approve, behind `access::Rules` | `access` |
//! | [`config`] | `bot-config/` to typed values, every error at once | `access`, `policy`, `provider` |
//! | [`chat`] | the command grammar, the cards, and one adapter a platform | `access` |
//! | [`provider`] | the plugin trait, the plugins' protocol and its conformance kit, one folder a provider | `access` |
//! | [`audit`] | reports and searches over the ledger | `access`, `ledger` |
//! | [`web`] | the HTTP server: public ledger, provider documents, health | `access`, `ledger` |
//! | [`engine`] | the one writer, recovery, deadlines, the running of effects | all of the above |
//! | [`rehearse`] | stories: a chat transcript played against a config, with a clock and providers of its own | all of the above |
//! | [`cli`] | one file a subcommand; wires everything up | all of the above |
//!
//! A test (`tests/it/house.rs`) reads the `crate::` paths and fails on an edge that this table does not have.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod access;
pub mod audit;
pub mod chat;
pub mod cli;
pub mod config;
pub mod engine;
pub mod ledger;
pub mod policy;
pub mod provider;
pub mod rehearse;
pub mod web;
