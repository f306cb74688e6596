//! The integration tests: one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails by panicking is doing its work"
)]

mod bad_input;
mod burst;
mod check;
mod cli;
mod crash;
mod crash_rounds;
mod discord;
mod drift;
mod explain;
mod faults;
mod house;
mod playground;
mod playground_browser;
mod playground_fake;
mod provider_conformance;
mod provider_postgres;
mod provider_postgres_faults;
mod provider_settings;
mod provider_ssh;
mod provider_throwaway;
mod provider_token;
mod rehearse;
mod rehearse_cli;
mod reload;
mod restart;
mod secrets;
mod self_approval;
mod story;
mod support;
mod sweep;
mod web;
