//! Slack: what is sent to it, and what is lived through it.

mod cards;
mod check;
mod ends;
mod faults;
mod foreign;
mod forms;
mod http;
mod inside;
mod logs;
mod manifest;
mod render;
mod service;
pub mod standin;
mod stop;
mod story;
mod talk;
