//! Slack: what is sent to it, and what is lived through it.

mod cards;
mod render;
pub mod standin;
