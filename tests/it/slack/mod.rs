//! Slack: what is sent to it, and what is lived through it.

mod cards;
mod render;
mod service;
pub mod standin;
mod story;
