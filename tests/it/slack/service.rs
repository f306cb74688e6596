//! The true binary, set up for a Slack that stands in.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use super::standin::{APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, Standin, TEAM};
use crate::support::{
    demo::{entries, signal},
    process::until,
};

/// Who is in the stand-in, and where.
pub const ANA: &str = "U0000000001";
pub const BEN: &str = "U0000000002";
pub const CLEO: &str = "U0000000003";
/// Nobody in `people.toml`.
pub const EVE: &str = "U0000000009";
pub const CHANNEL: &str = "C0123456789";
pub const SECURITY: &str = "C0000000002";

const PEOPLE: &str = r#"
[[person]]
name  = "ana"
slack = "U0000000001"
[[person]]
name  = "ben"
slack = "U0000000002"
[[person]]
name  = "cleo"
slack = "U0000000003"
[[group]]
name    = "approvers"
members = ["ben", "cleo"]
"#;

const RESOURCES: &str = r#"
[[resource]]
name         = "prod-api"
description  = "The admin API <!here>"
provider     = "token"
approvers    = ["group:approvers"]
max_duration = "2h"
break_glass     = ["person:ana"]
break_glass_max = "30m"
[resource.token]
issuer   = "https://countersign.example"
audience = "https://api.example"

[[resource]]
name         = "prod-both"
description  = "Needs two"
provider     = "token"
approvers    = ["group:approvers"]
quorum       = 2
max_duration = "1h"
[resource.token]
issuer   = "https://countersign.example"
audience = "https://both.example"

[[resource]]
name         = "for-ben"
provider     = "token"
requesters   = ["person:ben"]
approvers    = ["group:approvers"]
max_duration = "1h"
[resource.token]
issuer   = "https://countersign.example"
audience = "https://ben.example"
"#;

/// A stand-in with everybody in it.
pub async fn standin() -> Standin {
    Standin::start(&[ANA, BEN, CLEO, EVE], &[CHANNEL, SECURITY]).await
}

/// Writes the config for a stand-in; the ledger is beside it.
pub fn config(dir: &Path, standin: &Standin, mode: &str) -> PathBuf {
    let config = dir.join("config");
    fs::create_dir_all(&config).unwrap();
    let server = format!(
        "[ledger]\npath = \"{}\"\norigin = \"countersign.example/slack\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [limits]\nremind_after = \"2s\"\n[security]\nchannel = \"security\"\npeople = [\"person:cleo\"]\n\
         [slack]\nmode = \"{mode}\"\nteam_id = \"{TEAM}\"\nchannel = \"{CHANNEL}\"\napi_url = \"{}\"\n\
         [slack.channels]\nsecurity = \"{SECURITY}\"\n",
        dir.join("ledger").display(),
        standin.api_url(),
    );
    fs::write(config.join("countersign.toml"), server).unwrap();
    fs::write(config.join("people.toml"), PEOPLE).unwrap();
    fs::write(config.join("policy.cedar"), "").unwrap();
    fs::write(config.join("resources.toml"), RESOURCES).unwrap();
    config
}

/// A running service; it is killed when this is dropped.
pub struct Service {
    child: Child,
    log: Arc<Mutex<String>>,
    dir: PathBuf,
}

impl Service {
    /// Starts it in a folder that has a config, and waits until it listens.
    pub fn start(dir: &Path, env: &[(&str, &str)]) -> Self {
        Self::start_by(dir, env, &[])
    }

    /// The same, with words before its command.
    pub fn start_by(dir: &Path, env: &[(&str, &str)], runner: &[String]) -> Self {
        let mut service = Self::spawn(dir, env, runner);
        until("the service listens", || {
            let ended = service.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", service.logged());
            service.logged().contains("listening")
        });
        service
    }

    fn spawn(dir: &Path, env: &[(&str, &str)], runner: &[String]) -> Self {
        let own = env!("CARGO_BIN_EXE_countersign").to_owned();
        let mut words = runner.iter().chain([&own]);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .args(["run", "--config"])
            .arg(dir.join("config"))
            .env("SLACK_BOT_TOKEN", BOT_TOKEN)
            .env("SLACK_APP_TOKEN", APP_TOKEN)
            .env("SLACK_SIGNING_SECRET", SIGNING_SECRET)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (sink, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, log, dir: dir.to_owned() }
    }

    /// What it has logged so far.
    pub fn logged(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        let log = self.logged();
        let (_, rest) = log.split_once("address=").unwrap();
        format!("http://{}", rest.split_whitespace().next().unwrap())
    }

    pub fn ledger(&self) -> PathBuf {
        self.dir.join("ledger")
    }

    pub fn entries(&self) -> Vec<Value> {
        entries(&self.ledger())
    }

    /// How many entries there are of a kind.
    pub fn count(&self, kind: &str) -> usize {
        self.entries().iter().filter(|entry| entry["kind"] == kind).count()
    }

    /// The id of the newest request.
    pub fn newest(&self) -> u64 {
        self.entries().iter().rfind(|entry| entry["kind"] == "access.requested").unwrap()["seq"].as_u64().unwrap()
    }

    /// Waits until there are so many entries of a kind.
    #[track_caller]
    pub fn until(&self, kind: &str, count: usize) {
        until(&format!("{count} of {kind}"), || self.count(kind) >= count);
    }

    /// Kills it as the power does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits; what it logged.
    #[track_caller]
    pub fn stop(mut self) -> String {
        signal(self.child.id(), rustix::process::Signal::TERM);
        assert!(self.child.wait().unwrap().success(), "{}", self.logged());
        self.logged()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
