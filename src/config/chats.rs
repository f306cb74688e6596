//! The platforms in `countersign.toml`: Slack, Discord, and where on-call schedules are asked.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    is_name,
    people::is_https_or_loopback,
    reader::{Placed, Table},
};

/// How Slack reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlackMode {
    /// We open a socket to Slack; nothing has to reach us.
    #[default]
    Socket,
    /// Slack calls us over HTTP and signs what it sends.
    Http,
}

/// How Discord reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiscordMode {
    /// We open a socket to Discord; nothing has to reach us.
    #[default]
    Gateway,
    /// Discord calls us over HTTP and signs what it sends.
    Http,
}

/// Which channel of a platform is meant by a name of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Channels {
    /// Where cards go unless something else is said; the platform's own id.
    pub usual: String,
    /// The platform's ids by our names.
    pub named: BTreeMap<String, String>,
}

/// `[slack]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slack {
    /// Whether the table is there.
    pub on: bool,
    /// How it reaches us.
    pub mode: SlackMode,
    /// The workspace that ids without a team are of.
    pub team_id: Option<String>,
    /// Where cards go; without it, Slack is there for people and groups only.
    pub channels: Option<Channels>,
    /// The base of the Web API.
    pub api_url: Option<String>,
    /// A file with the bot's token, in place of `SLACK_BOT_TOKEN`.
    pub bot_token_file: Option<PathBuf>,
    /// A file with the app's token, in place of `SLACK_APP_TOKEN`.
    pub app_token_file: Option<PathBuf>,
    /// A file with the signing secret, in place of `SLACK_SIGNING_SECRET`.
    pub signing_secret_file: Option<PathBuf>,
}

/// `[discord]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discord {
    /// Whether the table is there.
    pub on: bool,
    /// How it reaches us.
    pub mode: DiscordMode,
    /// The guild that ids without one are of, and whose roles are asked for.
    pub guild_id: Option<String>,
    /// The application that the bot belongs to.
    pub application_id: Option<String>,
    /// The key that Discord signs with what it sends over HTTP, 32 bytes.
    pub public_key: Option<[u8; 32]>,
    /// Where cards go; without it, Discord is there for people and groups only.
    pub channels: Option<Channels>,
    /// The role that is mentioned with every new card, by its id.
    pub ping_role: Option<String>,
    /// The base of the API.
    pub api_url: Option<String>,
    /// A file with the bot's token, in place of `DISCORD_BOT_TOKEN`.
    pub bot_token_file: Option<PathBuf>,
}

/// `[pagerduty]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PagerDuty {
    /// The base of the REST API.
    pub api_url: Option<String>,
    /// A file with the token, in place of `PAGERDUTY_TOKEN`.
    pub token_file: Option<PathBuf>,
}

pub(super) fn slack(table: Option<Table<'_, '_>>) -> Slack {
    let Some(table) = table else { return Slack::default() };
    let modes = [("socket", SlackMode::Socket), ("http", SlackMode::Http)];
    let slack = Slack {
        on: true,
        mode: mode(&table, modes),
        team_id: id(&table, "team_id", "T0123456789", is_slack_id),
        channels: channels(&table, "C0123456789", is_slack_id),
        api_url: api_url(&table),
        bot_token_file: file(&table, "bot_token_file"),
        app_token_file: file(&table, "app_token_file"),
        signing_secret_file: file(&table, "signing_secret_file"),
    };
    if slack.channels.is_some() && slack.team_id.is_none() {
        let hint = "the workspace's id, for example `team_id = \"T0123456789\"`: who writes from elsewhere is refused";
        table.reader().report(table.offset(), "`[slack]` has a channel and no `team_id`", Some(hint.into()));
    }
    table.finish(&[]);
    slack
}

pub(super) fn discord(table: Option<Table<'_, '_>>) -> Discord {
    let Some(table) = table else { return Discord::default() };
    let modes = [("gateway", DiscordMode::Gateway), ("http", DiscordMode::Http)];
    let discord = Discord {
        on: true,
        mode: mode(&table, modes),
        guild_id: id(&table, "guild_id", "112233445566778899", is_discord_id),
        application_id: id(&table, "application_id", "112233445566778800", is_discord_id),
        public_key: public_key(&table),
        channels: channels(&table, "112233445566778811", is_discord_id),
        ping_role: id(&table, "ping_role", "112233445566778822", is_discord_id),
        api_url: api_url(&table),
        bot_token_file: file(&table, "bot_token_file"),
    };
    let lacks = |what: &str, hint: &str| {
        let words = format!("`[discord]` has a channel and no `{what}`");
        table.reader().report(table.offset(), words, Some(hint.to_owned()));
    };
    if discord.channels.is_some() {
        if discord.guild_id.is_none() {
            lacks("guild_id", "the server's id: who writes from elsewhere is refused");
        }
        if discord.application_id.is_none() {
            lacks(
                "application_id",
                "from the application's page, for example `application_id = \"112233445566778800\"`",
            );
        }
        if discord.mode == DiscordMode::Http && discord.public_key.is_none() {
            lacks(
                "public_key",
                "with `mode = \"http\"` everything is held against it: 64 hex digits, from the application's page",
            );
        }
    }
    table.finish(&[]);
    discord
}

pub(super) fn pagerduty(table: Option<Table<'_, '_>>) -> PagerDuty {
    let Some(table) = table else { return PagerDuty::default() };
    let (api_url, token_file) = (api_url(&table), file(&table, "token_file"));
    table.finish(&[]);
    PagerDuty { api_url, token_file }
}

fn mode<T: Copy + Default>(table: &Table<'_, '_>, modes: [(&str, T); 2]) -> T {
    let Some(text) = table.text("mode") else { return T::default() };
    if let Some((_, mode)) = modes.iter().find(|(word, _)| *word == text.value) {
        return *mode;
    }
    let [(one, _), (other, _)] = modes;
    let hint = format!("`{one}` or `{other}`");
    table.reader().report(text.offset, format!("`mode` is unknown: {:?}", text.value), Some(hint));
    T::default()
}

/// Our names, and the platform's ids behind them.
fn channels(table: &Table<'_, '_>, example: &str, fits: fn(&str) -> bool) -> Option<Channels> {
    let usual = id(table, "channel", example, fits);
    let mut named = BTreeMap::new();
    if let Some(inner) = table.inner("channels") {
        for (name, text) in inner.all_texts() {
            let Placed { value, offset } = text;
            if !is_name(&name) {
                inner.reader().report(offset, format!("{name:?} is no name of a channel"), None);
            } else if fits(&value) {
                named.insert(name, value);
            } else {
                let hint = format!("the channel's id, for example `{name} = \"{example}\"`");
                inner.reader().report(offset, format!("`{name}` is no channel's id: {value:?}"), Some(hint));
            }
        }
        if usual.is_none() {
            let hint = format!("where everything else goes: `channel = \"{example}\"`");
            inner.reader().report(inner.offset(), "there are channels and no `channel`", Some(hint));
        }
    }
    usual.map(|usual| Channels { usual, named })
}

fn id(table: &Table<'_, '_>, key: &'static str, example: &str, fits: fn(&str) -> bool) -> Option<String> {
    let Placed { value, offset } = table.text(key)?;
    if !fits(&value) {
        let hint = format!("an id like `{example}`");
        table.reader().report(offset, format!("`{key}` is no id: {value:?}"), Some(hint));
    }
    Some(value)
}

/// Whether it can be an id of Slack's: capital letters and digits, a letter first. No name of ours has capital letters.
#[must_use]
pub fn is_slack_id(text: &str) -> bool {
    (2..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Whether it can be an id of Discord's: a number of up to 20 digits.
#[must_use]
pub fn is_discord_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn public_key(table: &Table<'_, '_>) -> Option<[u8; 32]> {
    let text = table.text("public_key")?;
    let mut key = [0; 32];
    if hex::decode_to_slice(&text.value, &mut key).is_ok() {
        return Some(key);
    }
    let hint = "64 hex digits, from the application's page";
    table.reader().report(text.offset, "`public_key` is no key", Some(hint.into()));
    None
}

/// Where a platform is asked: it gets our token, so nobody in between may read it.
fn api_url(table: &Table<'_, '_>) -> Option<String> {
    let text = table.text("api_url")?;
    if !is_https_or_loopback(&text.value) {
        let hint = "the token would go over plain HTTP; only loopback may do without TLS";
        table.reader().report(text.offset, "`api_url` is to be an `https://` address", Some(hint.into()));
    }
    Some(text.value.trim_end_matches('/').to_owned())
}

fn file(table: &Table<'_, '_>, key: &'static str) -> Option<PathBuf> {
    table.text(key).map(|text| PathBuf::from(text.value))
}
