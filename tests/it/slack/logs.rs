//! What a run writes into its log at the most verbose level: nothing that is a secret, and nothing that people said.

use super::{
    faults::rebuilt,
    service::{ANA, BEN, CHANNEL, Service, config, standin},
    standin::{APP_TOKEN, BOT_TOKEN, Fault, Order, SIGNING_SECRET, people::words},
};
use crate::support::demo;

#[tokio::test(flavor = "multi_thread")]
async fn the_most_verbose_log_has_no_token_no_address_no_body_and_no_credential() {
    for mode in ["socket", "http"] {
        let dir = demo::folder();
        let slack = standin().await;
        config(dir.path(), &slack, mode);
        let service = Service::start(
            dir.path(),
            &[("RUST_LOG", "trace,hyper::proto=trace,tungstenite::protocol=trace,slack_morphism::hyper_tokio=trace")],
        );
        if mode == "http" {
            *slack.inner.app.lock().unwrap() = Some(service.url());
        } else {
            slack.connected(2).await;
        }
        slack.inner.state().scopes.insert("channels:history".into());
        slack.says(ANA, CHANNEL, "prod-api 10m because-of-a-very-particular-reason").await;
        slack.breaks("chat.update", [Fault::Status(500), Fault::Html, Fault::Error("invalid_blocks")]);
        let card = slack.card(CHANNEL, "Waiting").await;
        service.until("card.posted", 1);
        slack.talks(BEN, CHANNEL, &card.ts, "said-between-you-and-me").await;
        service.until("message.received", 2);
        slack.presses(BEN, CHANNEL, "approve").await;
        slack.card(CHANNEL, "Live until").await;
        slack.presses(ANA, CHANNEL, "show").await;
        let window = slack.window(ANA, "the credential", |view| view["title"]["text"] == "Your credential").await;
        let text = words(&window.json["blocks"]);
        let token = text.split(['=', '\'', '"', '\n', ' ']).find(|word| word.starts_with("ey")).unwrap().to_owned();
        if mode == "socket" {
            rebuilt(&slack, || Order::Cut).await;
        }
        slack.says(ANA, CHANNEL, "mine").await;
        let log = service.stop();
        assert!(log.contains("TRACE") || log.contains("DEBUG"), "it is verbose: {log}");
        let state = slack.inner.state();
        let mut secrets: Vec<String> =
            [BOT_TOKEN, APP_TOKEN, SIGNING_SECRET, "because-of-a-very-particular-reason", "ticket=", "/response/"]
                .map(str::to_owned)
                .into();
        secrets.push("said-between-you-and-me".into());
        secrets.push(token);
        secrets.extend(state.responses.keys().cloned());
        secrets.extend(state.triggers.keys().cloned());
        let found: Vec<&String> = secrets.iter().filter(|secret| log.contains(secret.as_str())).collect();
        let first = found.first().and_then(|secret| log.lines().find(|line| line.contains(secret.as_str())));
        assert!(found.is_empty(), "{mode}: {found:?} in {first:?}");
    }
}
