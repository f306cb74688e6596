//! `check --live` against the stand-in: what is there, what lacks, and what would mend it; and never a secret.

use std::path::Path;

use super::{
    service::{CHANNEL, SECURITY, config, standin},
    standin::{APP_TOKEN, BOT_TOKEN, Fault, SIGNING_SECRET, Standin},
};
use crate::support::demo::{self, countersign_with};

/// What it says of Slack, and its exit code.
async fn checked(dir: &Path, env: &[(&str, &str)]) -> (i32, String) {
    let folder = dir.join("config").to_string_lossy().into_owned();
    let env: Vec<(String, String)> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let said = tokio::task::spawn_blocking(move || {
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        countersign_with(&["check", "--config", &folder, "--live"], &env)
    });
    let (code, said, errors) = said.await.unwrap();
    for secret in [BOT_TOKEN, APP_TOKEN, SIGNING_SECRET, "xoxb-of-nobody", "ticket="] {
        assert!(!said.contains(secret) && !errors.contains(secret), "{said}{errors}");
    }
    let of_slack = said.split_once("slack: ").unwrap().1;
    (code, of_slack.to_owned())
}

fn tokens() -> [(&'static str, &'static str); 3] {
    [("SLACK_BOT_TOKEN", BOT_TOKEN), ("SLACK_APP_TOKEN", APP_TOKEN), ("SLACK_SIGNING_SECRET", SIGNING_SECRET)]
}

async fn scene(mode: &str) -> (tempfile::TempDir, Standin) {
    let (dir, slack) = (demo::folder(), standin().await);
    config(dir.path(), &slack, mode);
    (dir, slack)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_as_the_manifest_makes_it_is_ready() {
    let (dir, slack) = scene("socket").await;
    let (code, said) = checked(dir.path(), &tokens()).await;
    insta::assert_snapshot!(format!("{code}\n{said}"), @r#"
    0
    ready
      the bot is `countersign` in `T0123456789`
      what people write below cards is not recorded: that takes scopes and events of its own
      channel `C0000000002` was not looked at: that takes `channels:read` or `groups:read`, which nothing else does. See that Countersign is invited
      channel `C0123456789` was not looked at: that takes `channels:read` or `groups:read`, which nothing else does. See that Countersign is invited
      a socket may be opened
    "#);
    let called: Vec<String> = slack.inner.state().calls.iter().map(|call| call.method.clone()).collect();
    assert!(
        called
            .iter()
            .all(|method| ["auth.test", "conversations.info", "apps.connections.open"].contains(&method.as_str()))
    );
    assert!(slack.messages(CHANNEL).is_empty() && slack.sockets() == 0, "nothing is posted or opened");
    // With more scopes it sees more.
    slack.inner.state().scopes.extend(["channels:read", "channels:history"].map(str::to_owned));
    let (code, said) = checked(dir.path(), &tokens()).await;
    insta::assert_snapshot!(format!("{code}\n{said}"), @r#"
    0
    ready
      the bot is `countersign` in `T0123456789`
      what people write below cards may be recorded: `channels:history` is there
      Countersign is in the channel `C0000000002`
      Countersign is in the channel `C0123456789`
      a socket may be opened
    "#);
    // Over HTTP there is no app token to ask about.
    let (dir, _slack) = scene("http").await;
    let (code, said) = checked(dir.path(), &tokens()[..1]).await;
    assert!(code == 1 && said.contains("`SLACK_SIGNING_SECRET` is not set"), "{said}");
    let (code, said) = checked(dir.path(), &tokens()).await;
    assert!(code == 0 && !said.contains("socket"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lacks_is_told_with_what_would_mend_it() {
    let (dir, slack) = scene("socket").await;
    let (code, said) = checked(dir.path(), &[("SLACK_APP_TOKEN", APP_TOKEN)]).await;
    assert!(code == 1 && said.contains("`SLACK_BOT_TOKEN` is not set"), "{said}");
    let (code, said) =
        checked(dir.path(), &[("SLACK_BOT_TOKEN", "xoxb-of-nobody"), ("SLACK_APP_TOKEN", APP_TOKEN)]).await;
    assert!(
        code == 1
            && said.contains("does not take the bot token (`invalid_auth`)")
            && said.contains("*OAuth & Permissions*"),
        "{said}"
    );
    {
        let mut state = slack.inner.state();
        state.app_revoked = true;
        state.scopes = ["commands", "channels:read"].map(str::to_owned).into();
        state.left.insert(CHANNEL.into());
        state.channels.remove(SECURITY);
    }
    let (code, said) = checked(dir.path(), &tokens()).await;
    insta::assert_snapshot!(format!("{code}\n{said}"), @r#"
    1
    not ready
      the bot lacks the scope `chat:write`: add it under *OAuth & Permissions*, and install the app again
      the bot lacks the scope `im:write`: add it under *OAuth & Permissions*, and install the app again
      Slack shows no channel `C0000000002`: is its id right, and is Countersign in it? `/invite @Countersign` there
      Countersign is not in the channel `C0123456789`: `/invite @Countersign` there
      Slack lets us open no socket with the app token (`token_revoked`): give Countersign an `xapp-…` with `connections:write` (`SLACK_APP_TOKEN`), and switch Socket Mode on in the app
      the bot is `countersign` in `T0123456789`
      what people write below cards is not recorded: that takes scopes and events of its own
    "#);
    slack.inner.state().team = "T9999999999".into();
    let (code, said) = checked(dir.path(), &tokens()).await;
    assert!(code == 1 && said.contains("`T9999999999`, and `slack.team_id` says `T0123456789`"), "{said}");
    // Slack away, and a page in its place.
    slack.breaks("auth.test", [Fault::Html, Fault::Status(503)]);
    for _ in 0..2 {
        let (code, said) = checked(dir.path(), &tokens()).await;
        assert!(code == 1 && said.contains("is no JSON of Slack's"), "{said}");
    }
}
