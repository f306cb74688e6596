//! The integration tests: one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails by panicking is doing its work"
)]

/// The name by which the fuzz targets call their macro.
extern crate self as libfuzzer_sys;

mod bad_input;
mod burst;
mod cards_browser;
mod check;
mod cli;
mod crash;
mod crash_rounds;
mod discord;
mod drift;
mod erase;
mod explain;
mod export;
mod extend;
mod faults;
mod four_doors;
#[expect(unused_attributes, reason = "a target has no `main`, and says so")]
mod fuzz_targets;
mod house;
mod ledger_foreign;
mod log;
mod lost_keys;
mod paths;
mod playground;
mod playground_browser;
mod playground_fake;
mod plugin_story;
mod provider_conformance;
mod provider_databases_faults;
mod provider_exec;
mod provider_mysql;
mod provider_plugins;
mod provider_postgres;
mod provider_postgres_faults;
mod provider_postgres_statements;
mod provider_redis;
mod provider_settings;
mod provider_ssh;
mod provider_throwaway;
mod provider_token;
mod provider_webhook;
mod rehearse;
mod rehearse_cli;
mod reload;
mod restart;
mod secrets;
mod self_approval;
mod signing;
mod sim;
mod slack;
mod story;
mod support;
mod sweep;
mod sweep_databases;
mod unheard;
mod verify_says;
mod verify_url;
mod web;
