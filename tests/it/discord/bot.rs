//! The true binary over a config of its own, with the stand-in for Discord.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use super::standin::{APPLICATION, CHANNEL, GUILD, SECURITY, Standin, TOKEN, people::Way};
use crate::support::{
    demo::{self, happened},
    process::until,
};

/// The people, by Discord's ids.
pub const ANA: &str = "990000000000000001";
pub const BEN: &str = "990000000000000002";
pub const CLEO: &str = "990000000000000003";
pub const EVE: &str = "990000000000000005";
/// In the guild, and in nobody's config.
pub const STRANGER: &str = "990000000000000666";
pub const ROLE: &str = "112233445566778877";

pub struct Bot {
    child: Child,
    pub dir: Arc<tempfile::TempDir>,
    log: Arc<Mutex<String>>,
    pub url: String,
}

/// What a test changes.
#[derive(Debug, Clone)]
pub struct Setting {
    pub mode: &'static str,
    pub token: String,
    pub log: &'static str,
    /// More of `countersign.toml`, in `[discord]`.
    pub discord: String,
    /// More tables of `countersign.toml`.
    pub tables: String,
    pub people: String,
    /// More of the environment.
    pub env: Vec<(&'static str, &'static str)>,
}

impl Setting {
    pub fn new(mode: &'static str) -> Self {
        let log = "warn,countersign=info";
        let (discord, tables, people) = (String::new(), String::new(), String::new());
        Self { mode, token: TOKEN.into(), log, discord, tables, people, env: Vec::new() }
    }
}

const RESOURCES: &str = r#"
[[resource]]
name         = "prod-api"
description  = "The admin API"
provider     = "token"
approvers    = ["group:sre"]
max_duration = "2h"
break_glass  = ["group:oncall"]
[resource.token]
issuer   = "https://countersign.example.com"
audience = "https://api.example.com"

[[resource]]
name         = "pay-api"
description  = "Payments, by two"
provider     = "token"
approvers    = ["group:sre"]
quorum       = 2
max_duration = "1h"
[resource.token]
issuer   = "https://countersign.example.com"
audience = "https://pay.example.com"

[[resource]]
name         = "vault-api"
description  = "Opened by three"
provider     = "token"
approvers    = ["group:sre", "person:eve"]
quorum       = 3
max_duration = "1h"
[resource.token]
issuer   = "https://countersign.example.com"
audience = "https://vault.example.com"

[[resource]]
name         = "role-api"
description  = "Approved by a role of the guild"
provider     = "token"
requesters   = ["group:sre"]
approvers    = ["group:role"]
max_duration = "1h"
[resource.token]
issuer   = "https://countersign.example.com"
audience = "https://role.example.com"
"#;

impl Bot {
    /// Writes a config and starts the service over it.
    pub fn start(standin: &Standin, setting: &Setting) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        write_config(&dir.path().join("bot-config"), standin, setting);
        Self::start_in(dir, setting)
    }

    /// Starts the service over a config that is there.
    pub fn start_in(dir: Arc<tempfile::TempDir>, setting: &Setting) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["run", "--config", &dir.path().join("bot-config").to_string_lossy()])
            .current_dir(dir.path())
            .env("RUST_LOG", setting.log)
            .env("DISCORD_BOT_TOKEN", &setting.token)
            .env("NO_COLOR", "1")
            .envs(setting.env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let keep = |stream: Box<dyn std::io::Read + Send>| {
            let kept = Arc::new(Mutex::new(String::new()));
            let sink = Arc::clone(&kept);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    sink.lock().unwrap().push_str(&(line + "\n"));
                }
            });
            kept
        };
        let log = keep(Box::new(child.stderr.take().unwrap()));
        let mut url = String::new();
        until("the service listens", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the service ended ({status}): {}", log.lock().unwrap());
            }
            let said = log.lock().unwrap().clone();
            let address = said.split("listening address=").nth(1).and_then(|rest| rest.split_whitespace().next());
            url = address.map(|address| format!("http://{address}")).unwrap_or_default();
            !url.is_empty()
        });
        Self { child, dir, log, url }
    }

    /// How interactions get to it.
    pub fn way(&self, setting: &Setting) -> Way {
        if setting.mode == "http" { Way::Http(self.url.clone()) } else { Way::Gateway }
    }

    pub fn logged(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    pub fn entries(&self) -> Vec<Value> {
        demo::entries(&self.ledger())
    }

    pub fn newest_request(&self) -> u64 {
        let entries = self.entries();
        entries.iter().rfind(|entry| entry["kind"] == "access.requested").unwrap()["seq"].as_u64().unwrap()
    }

    #[track_caller]
    pub fn until(&self, kind: &str, request: u64) {
        until(&format!("{kind} of {request}"), || happened(&self.entries(), kind, request));
    }

    /// Kills it as the power does.
    pub fn kill(mut self) -> Arc<tempfile::TempDir> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Arc::clone(&self.dir)
    }

    pub fn is_dead(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Asks it to stop, and waits.
    pub fn stop(mut self) -> (ExitStatus, Arc<tempfile::TempDir>) {
        demo::signal(self.child.id(), rustix::process::Signal::TERM);
        let status = self.child.wait().unwrap();
        (status, Arc::clone(&self.dir))
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a config into a folder.
pub fn config_in(dir: &std::path::Path, standin: &Standin, setting: &Setting) {
    write_config(&dir.join("bot-config"), standin, setting);
}

fn write_config(dir: &std::path::Path, standin: &Standin, setting: &Setting) {
    fs::create_dir(dir).unwrap();
    let Setting { mode, discord, tables, people, .. } = setting;
    let (url, key) = (&standin.url, hex::encode(standin.key.verifying_key().to_bytes()));
    let ledger = dir.parent().unwrap().join("ledger");
    let server = format!(
        r#"
[ledger]
path   = "{}"
origin = "countersign.example.com/discord"
[http]
listen = "127.0.0.1:0"
[limits]
group_cache = "1s"
[security]
channel = "security"
people  = ["person:ben"]
[discord]
mode           = "{mode}"
guild_id       = "{GUILD}"
application_id = "{APPLICATION}"
public_key     = "{key}"
channel        = "{CHANNEL}"
channels       = {{ security = "{SECURITY}" }}
api_url        = "{url}"
{discord}
{tables}
"#,
        ledger.display()
    );
    let people = format!(
        r#"
[[person]]
name    = "ana"
discord = "{ANA}"
slack   = "U0000000001"
[[person]]
name    = "ben"
discord = "{BEN}"
slack   = "U0000000002"
[[person]]
name    = "cleo"
discord = "{CLEO}"
slack   = "U0000000003"
[[person]]
name    = "eve"
discord = "{EVE}"
[[group]]
name    = "sre"
members = ["ana", "ben", "cleo"]
[[group]]
name    = "oncall"
members = ["ana"]
[[group]]
name         = "role"
discord_role = "{ROLE}"
{people}
"#
    );
    for (name, text) in [
        ("countersign.toml", server.as_str()),
        ("people.toml", &people),
        ("resources.toml", RESOURCES),
        ("policy.cedar", ""),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
}
