//! What Discord says of our token, application, server and channels, when somebody asks before anything depends on it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Discord, Mode, Settings, rest::RestError};
use crate::chat::Findings;

impl Discord {
    /// Asks Discord whether the token is good and of the application that is named, whether the bot is in the server, and
    /// whether it sees each channel. Posts and registers nothing.
    pub async fn check(&self) -> Findings {
        let mut findings = Findings::default();
        let Settings { guild, application, channels, mode, public_key, .. } = &self.settings;
        let own = match self.get("GET application", "/oauth2/applications/@me".to_owned(), application).await {
            Ok(own) => own,
            Err(RestError::Refused { status: 401, .. }) => {
                findings.lacking.push(
                    "Discord does not take the bot token: give Countersign the one of the application's page *Bot* \
                     (`DISCORD_BOT_TOKEN`)"
                        .to_owned(),
                );
                return findings;
            }
            Err(error) => {
                findings.lacking.push(format!("{error}: try again"));
                return findings;
            }
        };
        let text = |name: &str| own.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("id") == application {
            findings.found.push(format!("the token is of the application `{application}`"));
        } else {
            findings.lacking.push(format!(
                "the bot token is of the application `{}`, and `discord.application_id` says `{application}`: correct one \
                 of them",
                text("id")
            ));
        }
        let key = public_key.map(hex::encode);
        if *mode == Mode::Http
            && key.as_deref().is_some_and(|key| !text("verify_key").is_empty() && text("verify_key") != key)
        {
            findings.lacking.push(
                "`discord.public_key` is not the application's: copy it from *General Information*, or every click is \
                 refused"
                    .to_owned(),
            );
        }
        let invite = "invite the bot with the address in docs/discord.md";
        match self.get("GET commands", format!("/applications/{application}/guilds/{guild}/commands"), guild).await {
            Ok(_) => findings.found.push(format!("commands may be registered in the server `{guild}`")),
            Err(RestError::Refused { status: 403 | 404, .. }) => {
                findings.lacking.push(format!("the bot may register no commands in the server `{guild}`: {invite}"));
            }
            Err(error) => findings.lacking.push(format!("{error}: try again")),
        }
        let mut ids: BTreeSet<&String> = channels.named.values().collect();
        ids.insert(&channels.usual);
        for id in ids {
            let finding = match self.get("GET channel", format!("/channels/{id}"), id).await {
                Ok(channel) if channel.get("guild_id").and_then(Value::as_str) == Some(guild) => {
                    findings.found.push(format!("the bot sees the channel `{id}`"));
                    continue;
                }
                Ok(_) => format!("the channel `{id}` is not in the server `{guild}`: correct one of them"),
                Err(RestError::Refused { status: 403, .. }) => {
                    format!(
                        "the bot does not see the channel `{id}`: give it View Channel, Send Messages and Embed Links there"
                    )
                }
                Err(RestError::Refused { status: 404, .. }) => {
                    format!("Discord has no channel `{id}`: copy its id with the developer mode on")
                }
                Err(error) => format!("{error}: try again"),
            };
            findings.lacking.push(finding);
        }
        findings
    }
}
