//! What Slack says of our tokens, scopes and channels, when somebody asks before anything depends on it.

use std::{collections::BTreeSet, time::Duration};

use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{Method, SCOPES, Settings, Slack, api::Fault, talk};
use crate::chat::Findings;

/// One answer comes within this.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Where Slack says which scopes a token has.
const SCOPES_HEADER: &str = "x-oauth-scopes";
/// Codes after which another token is needed.
const NEXT: &str = "give Countersign the `xoxb-…` of *OAuth & Permissions* (`SLACK_BOT_TOKEN`)";

/// An answer of Slack's, and the scopes of the token that asked.
struct Told {
    body: Value,
    scopes: Option<BTreeSet<String>>,
}

impl Told {
    fn text(&self, at: &str) -> &str {
        self.body.pointer(at).and_then(Value::as_str).unwrap_or_default()
    }

    fn is(&self, at: &str) -> bool {
        self.body.pointer(at) == Some(&Value::Bool(true))
    }
}

impl Slack {
    /// Asks Slack whether the tokens are good and what the bot may do, and looks at each channel as far as it may. Posts
    /// nothing. With an app token, also whether a socket may be opened; none is.
    pub async fn check(&self) -> Findings {
        let mut findings = Findings::default();
        let Settings { team, channels, .. } = &self.settings;
        match self.ask("auth.test", "").await {
            Err(why) => findings.lacking.push(why),
            Ok(told) if !told.is("/ok") => {
                let code = told.text("/error");
                findings.lacking.push(format!("Slack does not take the bot token (`{code}`): {NEXT}"));
            }
            Ok(told) if told.text("/team_id") != team => {
                findings.lacking.push(Fault::Elsewhere(told.text("/team_id").to_owned(), team.clone()).to_string());
            }
            Ok(told) => {
                findings.found.push(format!("the bot is `{}` in `{team}`", told.text("/user")));
                scopes(told.scopes.as_ref(), &mut findings);
                let mut ids: BTreeSet<&String> = channels.named.values().collect();
                ids.insert(&channels.usual);
                for id in ids {
                    self.look_at(id, &mut findings).await;
                }
            }
        }
        if self.settings.app_token.is_some() {
            match self.api.socket_url().await {
                Ok(_) => findings.found.push("a socket may be opened".to_owned()),
                Err(Fault::Dead(code)) => findings.lacking.push(format!(
                    "Slack lets us open no socket with the app token (`{code}`): give Countersign an `xapp-…` with \
                     `connections:write` (`SLACK_APP_TOKEN`), and switch Socket Mode on in the app"
                )),
                Err(fault) => findings.lacking.push(format!("{fault}, at `apps.connections.open`: try again")),
            }
        }
        findings
    }

    async fn look_at(&self, id: &str, findings: &mut Findings) {
        let told = match self.ask(super::api::CHANNEL_INFO, id).await {
            Ok(told) => told,
            Err(why) => return findings.lacking.push(format!("channel `{id}`: {why}")),
        };
        let invite = "is its id right, and is Countersign in it? `/invite @Countersign` there";
        match told.text("/error") {
            "" if told.is("/channel/is_archived") => {
                findings.lacking.push(format!("channel `{id}` is archived: take it out of the archive, or name another"));
            }
            "" if !told.is("/channel/is_member") => {
                findings.lacking.push(format!("Countersign is not in the channel `{id}`: `/invite @Countersign` there"));
            }
            "" => {
                let shared = if told.is("/channel/is_ext_shared") {
                    ", which is shared with another organisation; its people are refused"
                } else {
                    ""
                };
                findings.found.push(format!("Countersign is in the channel `{id}`{shared}"));
            }
            // It needs no such scope for anything else.
            "missing_scope" => findings.found.push(format!(
                "channel `{id}` was not looked at: that takes `channels:read` or `groups:read`, which nothing else does. \
                 See that Countersign is invited"
            )),
            "channel_not_found" => findings.lacking.push(format!("Slack shows no channel `{id}`: {invite}")),
            code => findings.lacking.push(format!("Slack says `{code}` of the channel `{id}`: {invite}")),
        }
    }

    /// Calls a method that changes nothing. Neither the address nor the token is in what it says of a failure.
    async fn ask(&self, method: &str, channel: &str) -> Result<Told, String> {
        let base = self.settings.api_url.as_deref().unwrap_or("https://slack.com/api").trim_end_matches('/');
        let failed = |why: &str| format!("Slack can't be asked at `{method}`: {why}");
        let client = reqwest::Client::builder().timeout(ANSWER_MAX).redirect(reqwest::redirect::Policy::none());
        let client = if base.starts_with("http://") { client.no_proxy() } else { client.https_only(true) };
        let client = client.build().map_err(|_| failed("no HTTP client can be made"))?;
        let mut request = client
            .get(format!("{base}/{method}"))
            .bearer_auth(self.settings.bot_token.expose_secret())
            .header("user-agent", concat!("countersign/", env!("CARGO_PKG_VERSION")));
        if !channel.is_empty() {
            request = request.query(&[("channel", channel)]);
        }
        let answer = request.send().await.map_err(|error| {
            failed(if error.is_connect() { "it can't be reached" } else { "it gave no answer in time" })
        })?;
        let scopes = answer.headers().get(SCOPES_HEADER).and_then(|value| value.to_str().ok());
        let scopes = scopes.map(|list| list.split(',').map(|scope| scope.trim().to_owned()).collect());
        let status = answer.status();
        let body: Value =
            answer.json().await.map_err(|_| failed(&format!("its answer ({status}) is no JSON of Slack's")))?;
        Ok(Told { body, scopes })
    }
}

/// Holds what the token may do against what the code does.
fn scopes(given: Option<&BTreeSet<String>>, findings: &mut Findings) {
    let Some(given) = given else {
        findings.found.push("Slack does not say which scopes the bot has".to_owned());
        return;
    };
    let needed = SCOPES.into_iter().chain(Method::ALL.iter().filter_map(|method| method.scope()));
    for scope in needed.collect::<BTreeSet<_>>() {
        if !given.contains(scope) {
            findings.lacking.push(format!(
                "the bot lacks the scope `{scope}`: add it under *OAuth & Permissions*, and install the app again"
            ));
        }
    }
    let heard: Vec<&str> =
        talk::EVENTS.iter().map(|(_, scope)| *scope).filter(|scope| given.contains(*scope)).collect();
    findings.found.push(match heard.as_slice() {
        [] => "what people write below cards is not recorded: that takes scopes and events of its own".to_owned(),
        heard => format!("what people write below cards may be recorded: `{}` is there", heard.join("`, `")),
    });
}
