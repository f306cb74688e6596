//! The whole life of a grant at each of four real targets, by the true binary: asked, countersigned, shown, used with the
//! ordinary client, ended. A session that is open at the end is cut, and afterwards nothing is left. The same with the
//! service killed between every two steps and inside them, and with a restart of the target in between.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use crate::support::{
    demo::{self, Answer},
    life::{Life, Step},
    mariadb, postgres,
    process::{said, until},
    redis,
    sshd::{Sshd, save},
    strace::Doom,
};

const ISSUED: &[&str] = &["grant.issued", "notice.sent"];
const ENDED: &[&str] = &["grant.ended"];
const SHOW: &str = "show";
/// A story whose steps still die at the so many-th call is long enough.
const WHEN_MAX: u32 = 40;

const SERVER: &str = r#"
[ledger]
path   = "LEDGER"
origin = "countersign.example/four"
[http]
listen = "127.0.0.1:0"
[playground]
channel = "approvals"
"#;

const PEOPLE: &str = r#"
[[person]]
name = "ana"
[[person]]
name = "ben"
[[group]]
name    = "dba"
members = ["ben"]
"#;

const RESOURCE: &str = r#"
[[resource]]
name         = "prod"
description  = "What is protected"
provider     = "PROVIDER"
approvers    = ["group:dba"]
max_duration = "2h"
"#;

/// One of the targets.
enum Target {
    Postgres(postgres::Server),
    Mysql(mariadb::Server),
    Redis(redis::Server),
    /// It is started when its authority is there.
    Ssh(Option<Sshd>),
}

impl Target {
    fn table(&self) -> (&'static str, &'static str) {
        match self {
            Self::Postgres(_) => ("postgres", "url_env = \"URL\"\nrole = \"app_rw\""),
            Self::Mysql(_) => ("mysql", "url_env = \"URL\"\nrole = \"app_rw\""),
            Self::Redis(_) => ("redis", "url_env = \"URL\"\nrules = [\"+@read\", \"+blpop\", \"~app:*\"]"),
            Self::Ssh(_) => ("ssh", "principals = [\"deploy\"]"),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.bot_url(),
            Self::Mysql(server) => server.bot_url(),
            Self::Redis(server) => server.bot_url(),
            Self::Ssh(_) => String::new(),
        }
    }

    /// What is with our mark on the target, in its memory or in its files.
    fn left(&self) -> String {
        match self {
            Self::Postgres(server) => {
                server.sql("SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname LIKE 'cs\\_%'")
            }
            Self::Mysql(server) => server.left(),
            Self::Redis(server) => server.left(),
            Self::Ssh(_) => String::new(),
        }
    }

    async fn restart(&mut self, life: &Life) {
        match self {
            Self::Postgres(server) => {
                server.crash();
                server.resume();
            }
            Self::Mysql(server) => {
                server.crash();
                server.resume();
            }
            Self::Redis(server) => {
                server.crash();
                server.resume();
            }
            Self::Ssh(sshd) => {
                // The old one is gone before the new one listens.
                *sshd = None;
                *sshd = Some(start_sshd(life).await);
            }
        }
    }

    /// What the ordinary client says with the credential that was shown, pasted as it is.
    fn uses(&self, shown: &Answer) -> Result<String, String> {
        match self {
            Self::Postgres(_) => pasted(&format!("{} -XAtc 'SELECT count(*) FROM orders'", shown.part("run this"))),
            Self::Mysql(_) => mariadb::client(shown.part("run this"), "SELECT COUNT(*) FROM orders"),
            Self::Redis(_) => redis::client(shown.part("run this"), "GET app:1"),
            Self::Ssh(sshd) => {
                let (_keys, mut command) = ssh(sshd.as_ref().unwrap(), shown);
                let output = command.arg("echo in").output().unwrap();
                if output.status.success() { Ok("in".into()) } else { Err(said(&output)) }
            }
        }
    }

    /// A session that does nothing and stays.
    fn session(&self, shown: &Answer) -> Session {
        let line = |line: String| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exec env {line}")]);
            command
        };
        let (keys, mut command) = match self {
            Self::Postgres(_) => (None, line(format!("{} -XAtc 'SELECT pg_sleep(600)'", shown.part("run this")))),
            Self::Mysql(_) => (None, line(format!("{} -e 'SELECT SLEEP(600)'", shown.part("run this")))),
            Self::Redis(_) => (None, line(format!("{} BLPOP app:none 600", shown.part("run this")))),
            Self::Ssh(sshd) => {
                let (keys, mut command) = ssh(sshd.as_ref().unwrap(), shown);
                command.arg("sleep 600");
                (Some(keys), command)
            }
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let session = Session { child, _keys: keys };
        until("the session is there", || match self {
            Self::Postgres(server) => {
                server.sql("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'cs\\_%'") == "1"
            }
            Self::Mysql(server) => {
                server.sql("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER LIKE 'cs\\_%'") == "1"
            }
            Self::Redis(server) => server.ask("CLIENT LIST").contains("user=cs_"),
            Self::Ssh(sshd) => sshd.as_ref().unwrap().log().contains("Starting session: forced-command"),
        });
        session
    }
}

/// A client that stays.
struct Session {
    child: Child,
    _keys: Option<tempfile::TempDir>,
}

impl Session {
    #[track_caller]
    fn until_cut(mut self) {
        until("the session is cut", || self.child.try_wait().unwrap().is_some());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pasted(line: &str) -> Result<String, String> {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    if output.status.success() { Ok(String::from_utf8_lossy(&output.stdout).into_owned()) } else { Err(said(&output)) }
}

fn ssh(sshd: &Sshd, shown: &Answer) -> (tempfile::TempDir, Command) {
    let dir = tempfile::tempdir().unwrap();
    // A page shows a text without the line end at its end; ssh wants one.
    let identity = save(&dir, "id", &format!("{}\n", shown.part("private key").trim_end()));
    save(&dir, "id-cert.pub", &format!("{}\n", shown.part("certificate").trim_end()));
    let command = sshd.client(&identity);
    (dir, command)
}

async fn start_sshd(life: &Life) -> Sshd {
    let ca = life.demo().get_bytes("/providers/prod/ca.pub").await;
    life.demo().get_bytes("/providers/prod/krl").await;
    Sshd::start(&ca, &life.path("ledger/providers/prod/revoked.krl"), "deploy")
}

/// The service in front of one target.
async fn opens(mut target: Target) -> (Target, Life) {
    let dir = demo::folder();
    let config = dir.path().join("bot-config");
    fs::create_dir(&config).unwrap();
    let (provider, table) = target.table();
    let ledger = dir.path().join("ledger").display().to_string();
    for (file, text) in [
        ("countersign.toml", SERVER.replace("LEDGER", &ledger)),
        ("people.toml", PEOPLE.to_owned()),
        ("resources.toml", format!("{}\n[resource.{provider}]\n{table}\n", RESOURCE.replace("PROVIDER", provider))),
        ("policy.cedar", String::new()),
    ] {
        fs::write(config.join(file), text).unwrap();
    }
    let life = Life::serve(dir, vec![("URL".to_owned(), target.url())]);
    if let Target::Ssh(sshd) = &mut target {
        *sshd = Some(start_sshd(&life).await);
    }
    (target, life)
}

/// What happens to whom in between.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Peace,
    ServiceDiesBetweenSteps,
    ServiceDiesInside(u32),
    TargetRestarts,
    BothDie,
}

/// One grant from the first word to the end; how many of its steps the service died in.
async fn lives(target: &mut Target, life: &mut Life, fate: Fate) -> u32 {
    let doom = match fate {
        Fate::ServiceDiesInside(when) => Some(Doom { call: "sendto,writev", when }),
        Fate::Peace | Fate::ServiceDiesBetweenSteps | Fate::TargetRestarts | Fate::BothDie => None,
    };
    let between = matches!(fate, Fate::ServiceDiesBetweenSteps | Fate::BothDie);
    // A certificate's session is cut at the end that it says.
    let is_ssh = matches!(target, Target::Ssh(_));
    let span = if is_ssh { "20s" } else { "10m" };
    let mut died = 0;
    let (mut session, mut shown) = (None, None);
    let mut steps = vec![Step::asks(&format!("prod {span} fixing INC-42")), Step::presses("ben", "approve", ISSUED)];
    steps.push(Step::presses("ana", SHOW, &["credential.taken"]));
    steps.push(if is_ssh { Step::waits_for(ENDED) } else { Step::presses("ana", "done", ENDED) });
    for step in steps {
        let (dead, answer) = life.step(&step, doom).await;
        died += u32::from(dead);
        if step.presses_button(SHOW) {
            let answer = answer.expect("the credential is shown in the end");
            target.uses(&answer).unwrap_or_else(|e| panic!("the credential opens: {e}"));
            session = Some(target.session(&answer));
            shown = Some(answer);
            if matches!(fate, Fate::TargetRestarts | Fate::BothDie) {
                target.restart(life).await;
            }
        }
        if between {
            life.dies_between_steps();
        }
    }
    session.unwrap().until_cut();
    let refused = target.uses(&shown.unwrap());
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(target.left(), "", "nothing is left");
    died
}

async fn lives_through_all(target: Target) {
    let (mut target, mut life) = opens(target).await;
    for fate in [Fate::Peace, Fate::ServiceDiesBetweenSteps, Fate::TargetRestarts, Fate::BothDie] {
        lives(&mut target, &mut life, fate).await;
    }
    life.ends();
}

/// Killed as it is about to say the first, second, … word to the target, in each step.
async fn dies_at_each_word(target: Target, least_deaths: u32) {
    let (mut target, mut life) = opens(target).await;
    for when in 1..=WHEN_MAX {
        if lives(&mut target, &mut life, Fate::ServiceDiesInside(when)).await == 0 {
            break;
        }
    }
    // If nothing is killed, nothing is tested.
    println!("{} deaths", life.deaths);
    assert!(life.deaths >= least_deaths, "it died only {} times", life.deaths);
    life.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_lives_through_all() {
    lives_through_all(Target::Postgres(postgres::Server::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_lives_through_all() {
    lives_through_all(Target::Mysql(mariadb::Server::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_lives_through_all() {
    lives_through_all(Target::Redis(redis::Server::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_lives_through_all() {
    lives_through_all(Target::Ssh(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_is_left_at_each_word() {
    dies_at_each_word(Target::Mysql(mariadb::Server::start()), 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_left_at_each_word() {
    dies_at_each_word(Target::Redis(redis::Server::start()), 10).await;
}
