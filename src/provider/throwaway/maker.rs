//! Making a cluster and starting it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Config, NoTls};
use zeroize::Zeroizing;

use super::{Account, Binaries, DATABASE, PROFILE, Running, WhyNot, finished, keeper::STOP_LIMIT_SECS, random};

/// The login our provider has.
pub(super) const BOT: &str = "countersign_bot";
const SUPERUSER: &str = "postgres";
/// How often a free port is tried: somebody else may take it first.
const PORT_TRIES_MAX: usize = 3;
/// How long `initdb` may take, in seconds.
const INITDB_LIMIT_SECS: u64 = 60;
/// How long the server may take to start, in seconds.
const START_LIMIT_SECS: u64 = 20;
/// How often is looked whether the server is there, in milliseconds.
const LOOK_MILLIS: u64 = 20;
/// How much of the server's log is looked at for the reason why it doesn't start, in bytes.
const LOG_READ_MAX_BYTES: u64 = 4096;
const KEPT: &str = "cluster.json";

/// What the database starts with.
const ROWS: &str = "
    CREATE TABLE orders (
        id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        customer text NOT NULL,
        item     text NOT NULL,
        quantity int NOT NULL CHECK (quantity > 0),
        state    text NOT NULL DEFAULT 'open'
    );
    INSERT INTO orders (customer, item, quantity, state) VALUES
        ('Ada', 'brass cogwheel, 40 teeth', 12, 'shipped'),
        ('Charles', 'punched cards, box of 500', 3, 'open'),
        ('Grace', 'moth, preserved', 1, 'stuck'),
        ('Edsger', 'fountain pen, black', 2, 'open');
    GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app_rw;";

/// What a later start in the same folder needs to know.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) port: u16,
    pub(super) password: Zeroizing<String>,
}

impl Kept {
    /// What was kept in a folder; `None` if no cluster was finished there.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        fs::read(dir.join(KEPT)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }
}

/// What making and starting a cluster needs.
pub(super) struct Maker {
    pub(super) dir: PathBuf,
    pub(super) data: PathBuf,
    pub(super) binaries: Binaries,
    pub(super) account: Option<Account>,
}

impl Maker {
    /// Makes a new cluster and starts it.
    pub(super) async fn make(&self) -> Result<(Running, Kept), WhyNot> {
        let random = |length| random::base62(length).map_err(|e| WhyNot(e.to_string()));
        let (master, password) = (random(32)?, random(32)?);
        self.initdb(&master).await?;
        let (running, port) = self.start(None, SUPERUSER, &master, "postgres").await?;
        let kept = Kept { port, password };
        self.furnish(&kept, &master).await.map_err(|e| WhyNot(format!("can't set up the cluster: {e}")))?;
        self.keep(&kept)?;
        Ok((running, kept))
    }

    /// Starts the cluster that is there, where possible on the port that people know.
    pub(super) async fn start_again(&self, kept: Kept) -> Result<(Running, Kept), WhyNot> {
        let (running, port) = self.start(Some(kept.port), BOT, &kept.password, DATABASE).await?;
        let kept = Kept { port, ..kept };
        self.keep(&kept)?;
        Ok((running, kept))
    }

    async fn initdb(&self, master: &str) -> Result<(), WhyNot> {
        let fault = |e: io::Error| WhyNot(format!("can't make a cluster: {e}"));
        let mut word = tempfile::Builder::new().prefix(".word-").tempfile_in(&self.dir).map_err(fault)?;
        word.write_all(master.as_bytes()).map_err(fault)?;
        fs::DirBuilder::new().mode(0o700).create(&self.data).map_err(fault)?;
        for path in [word.path(), &self.data] {
            self.hand_over(path).map_err(fault)?;
        }
        let mut command = self.command("initdb");
        command.args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "-U", SUPERUSER]);
        command.arg("--pwfile").arg(word.path()).arg("-D").arg(&self.data);
        let output = finished(command, INITDB_LIMIT_SECS).await.map_err(fault)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(WhyNot(format!("`initdb` failed: {}", last_line(&said))))
    }

    /// Starts the server and waits until somebody can log in.
    async fn start(
        &self,
        wish: Option<u16>,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<(Running, u16), WhyNot> {
        let mut wish = wish.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
        let mut why = WhyNot("no free port found".into());
        for _ in 0..PORT_TRIES_MAX {
            let port = match wish.take() {
                Some(port) => port,
                None => free_port().map_err(|e| WhyNot(format!("no free port found: {e}")))?,
            };
            let mut running = self.launch(port)?;
            match self.until_ready(&mut running, &config(port, user, password, database)).await {
                Ok(()) => return Ok((running, port)),
                Err(reason) => {
                    running.stop();
                    why = reason;
                }
            }
        }
        Err(why)
    }

    fn launch(&self, port: u16) -> Result<Running, WhyNot> {
        let fault = |e: io::Error| WhyNot(format!("can't start the server: {e}"));
        let log = File::create(self.log()).map_err(fault)?;
        let mut command = Running::command(&self.binaries.path("postgres"));
        command.arg("-D").arg(&self.data);
        for setting in [
            "listen_addresses=127.0.0.1",
            &format!("port={port}"),
            "unix_socket_directories=",
            "max_connections=50",
            "shared_buffers=16MB",
            "password_encryption=scram-sha-256",
            "log_min_messages=warning",
        ] {
            command.args(["-c", setting]);
        }
        self.fit_out(&mut command);
        command.stdout(log.try_clone().map_err(fault)?).stderr(log);
        Running::start(command).map_err(fault)
    }

    async fn until_ready(&self, running: &mut Running, config: &Config) -> Result<(), WhyNot> {
        let ready = async {
            let mut look = tokio::time::interval(Duration::from_millis(LOOK_MILLIS));
            loop {
                look.tick().await;
                if running.has_ended() {
                    return Err(WhyNot(format!("the server doesn't start: {}", self.last_logged())));
                }
                if connect(config).await.is_ok() {
                    return Ok(());
                }
            }
        };
        let late = || WhyNot(format!("the server doesn't answer within {START_LIMIT_SECS} s: {}", self.last_logged()));
        tokio::time::timeout(Duration::from_secs(START_LIMIT_SECS), ready).await.unwrap_or_else(|_| Err(late()))
    }

    /// Roles, database and rows.
    async fn furnish(&self, kept: &Kept, master: &str) -> Result<(), tokio_postgres::Error> {
        let verifier = postgres_protocol::password::scram_sha_256(kept.password.as_bytes());
        let postgres = connect(&config(kept.port, SUPERUSER, master, "postgres")).await?;
        postgres
            .batch_execute(&format!(
                "CREATE ROLE {PROFILE} NOLOGIN; CREATE ROLE {BOT} LOGIN CREATEROLE PASSWORD '{verifier}'; \
                 GRANT {PROFILE} TO {BOT} WITH ADMIN OPTION; GRANT pg_signal_backend TO {BOT};"
            ))
            .await?;
        postgres.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
        connect(&config(kept.port, SUPERUSER, master, DATABASE)).await?.batch_execute(ROWS).await
    }

    /// A server that still runs here (its keeper was killed) or still stops is stopped, so that the next one is ours.
    pub(super) async fn stop_leftover(&self) {
        let Ok(lock_file) = fs::read_to_string(self.data.join("postmaster.pid")) else { return };
        let pid = lock_file.lines().next().unwrap_or_default();
        // The number may be somebody else's by now: a server sits in its data folder.
        let here = pid
            .parse::<u32>()
            .is_ok_and(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|place| place == self.data));
        if here {
            let mut command = self.command("pg_ctl");
            command.args(["stop", "-m", "fast", "-w", "-t", &STOP_LIMIT_SECS.to_string(), "-D"]).arg(&self.data);
            // If it doesn't stop, starting says why.
            drop(finished(command, STOP_LIMIT_SECS + 1).await);
        }
    }

    fn keep(&self, kept: &Kept) -> Result<(), WhyNot> {
        let written = || {
            let mut file = tempfile::Builder::new().prefix(".kept-").tempfile_in(&self.dir)?;
            serde_json::to_writer(&mut file, kept)?;
            file.as_file().sync_all()?;
            file.persist(self.dir.join(KEPT)).map_err(|e| e.error)
        };
        written().map(drop).map_err(|e: io::Error| WhyNot(format!("can't keep the cluster's port: {e}")))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.path(program));
        command.stdin(Stdio::null());
        self.fit_out(&mut command);
        command
    }

    /// The user, the folder and the few variables that the binaries need.
    fn fit_out(&self, command: &mut Command) {
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        command.current_dir(&self.dir).env_clear().env("PATH", path).env("LC_ALL", "C");
    }

    fn hand_over(&self, path: &Path) -> io::Result<()> {
        let Some(account) = &self.account else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid))
    }

    fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    fn last_logged(&self) -> String {
        let mut text = String::new();
        let read = File::open(self.log()).and_then(|file| file.take(LOG_READ_MAX_BYTES).read_to_string(&mut text));
        if read.is_err() { "its log can't be read".into() } else { last_line(&text) }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn config(port: u16, user: &str, password: &str, database: &str) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(user).password(password).dbname(database);
    config.connect_timeout(Duration::from_secs(START_LIMIT_SECS));
    config
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    // It ends with its client; what goes wrong with it, the client's calls say.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

fn last_line(text: &str) -> String {
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim().to_owned()
}
