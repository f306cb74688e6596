//! `check --live` against the stand-in: what is there, what lacks, and what would mend it; and never the token.

use super::{
    bot::{Setting, config_in},
    standin::{self, Manners, Standin, TOKEN},
};
use crate::support::demo::countersign_with;

/// What it says of Discord, and its exit code.
async fn checked(dir: &std::path::Path, token: &'static str) -> (i32, String) {
    let folder = dir.join("bot-config").to_string_lossy().into_owned();
    let said = tokio::task::spawn_blocking(move || {
        countersign_with(&["check", "--config", &folder, "--live"], &[("DISCORD_BOT_TOKEN", token)])
    });
    let (code, said, errors) = said.await.unwrap();
    assert!(!said.contains(TOKEN) && !errors.contains(TOKEN), "{said}{errors}");
    let of_discord = said.split_once("discord: ").unwrap().1;
    (code, of_discord.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_in_its_server_is_ready() {
    let standin = Standin::start(Manners::default()).await;
    for mode in ["gateway", "http"] {
        let dir = tempfile::tempdir().unwrap();
        config_in(dir.path(), &standin, &Setting::new(mode));
        let (code, said) = checked(dir.path(), TOKEN).await;
        insta::allow_duplicates! { insta::assert_snapshot!(format!("{code}\n{said}"), @r#"
        0
        ready
          the token is of the application `112233445566778800`
          commands may be registered in the server `112233445566778899`
          the bot sees the channel `112233445566778811`
          the bot sees the channel `112233445566778812`
        group role: nobody of people.toml
        "#); }
    }
    let world = standin.world();
    assert!(world.messages.is_empty() && world.commands.is_null() && world.connections == 0, "nothing is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lacks_is_told_with_what_would_mend_it() {
    let standin = Standin::start(Manners::default()).await;
    let dir = tempfile::tempdir().unwrap();
    config_in(dir.path(), &standin, &Setting::new("http"));
    let (code, said) = checked(dir.path(), "of-nobody").await;
    assert!(code == 1 && said.contains("does not take the bot token") && said.contains("DISCORD_BOT_TOKEN"), "{said}");
    let (code, said) = checked(dir.path(), "").await;
    assert!(code == 1 && said.contains("`DISCORD_BOT_TOKEN` is empty"), "{said}");
    let file = dir.path().join("bot-config/countersign.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let key = hex::encode(standin.key.verifying_key().to_bytes());
    let other = hex::encode(ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes());
    let changed = text.replace(standin::APPLICATION, "112233445566770001").replace(&key, &other);
    std::fs::write(&file, changed.replace(standin::SECURITY, "112233445566770002")).unwrap();
    standin.world().hidden.insert(standin::CHANNEL.to_owned());
    let (code, said) = checked(dir.path(), TOKEN).await;
    insta::assert_snapshot!(format!("{code}\n{said}"), @r#"
    1
    not ready
      the bot token is of the application `112233445566778800`, and `discord.application_id` says `112233445566770001`: correct one of them
      `discord.public_key` is not the application's: copy it from *General Information*, or every click is refused
      the bot may register no commands in the server `112233445566778899`: invite the bot with the address in docs/discord.md
      Discord has no channel `112233445566770002`: copy its id with the developer mode on
      the bot does not see the channel `112233445566778811`: give it View Channel, Send Messages and Embed Links there
    group role: nobody of people.toml
    "#);
}
