//! A throwaway `PostgreSQL` cluster, so that `countersign demo` has a real database to open the door of.
//!
//! It lives in one folder, listens on a free port of 127.0.0.1 only and has no Unix socket. It has a database
//! [`DATABASE`] with a few rows, a profile role [`PROFILE`] that may read and change them, and a bot that may grant
//! that role and is no superuser; the superuser's password is forgotten as soon as this stands.
//!
//! The server dies with us, also when we are killed: a small shell between us and it waits for the end of a pipe that
//! we hold and that nobody else inherits. Opening the same folder again starts the same cluster, with the roles in it.

mod account;
mod binaries;

use std::{
    fmt,
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Config, NoTls};
use zeroize::Zeroizing;

use super::random;
use account::Account;
use binaries::Binaries;

/// The database in the cluster.
pub const DATABASE: &str = "orders";
/// The profile role in the cluster.
pub const PROFILE: &str = "app_rw";
const BOT: &str = "countersign_bot";
const SUPERUSER: &str = "postgres";
/// How often a free port is tried: somebody else may take it first.
const PORT_TRIES_MAX: usize = 3;
/// How long `initdb` may take, in seconds.
const INITDB_LIMIT_SECS: u64 = 60;
/// How long the server may take to start, in seconds.
const START_LIMIT_SECS: u64 = 20;
/// How long the server may take to stop, in seconds.
const STOP_LIMIT_SECS: u64 = 10;
/// How often is looked whether the server is there, in milliseconds.
const LOOK_MILLIS: u64 = 20;
/// How much of the server's log is looked at for the reason why it doesn't start, in bytes.
const LOG_READ_MAX_BYTES: u64 = 4096;

/// Starts the server (`"$@"`) and stops it when the pipe on standard input ends.
const KEEPER: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
( read -r _ <&3; kill -INT "$server" ) 2>/dev/null &
watch=$!
exec 3<&-
wait "$server"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
"#;

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

/// Why there is no throwaway cluster, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WhyNot(String);

/// A running cluster; it is stopped when this is dropped.
pub struct Cluster {
    admin_url: SecretString,
    words: String,
    running: Option<Running>,
    /// Held as long as we run the cluster in this folder.
    _lock: File,
}

/// What a later start in the same folder needs to know.
#[derive(Serialize, Deserialize)]
struct Kept {
    port: u16,
    password: Zeroizing<String>,
}

struct Running {
    keeper: Child,
    /// The pipe whose end stops the server.
    pipe: ChildStdin,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cluster").field(&self.words).finish()
    }
}

impl Cluster {
    /// Starts the cluster in `dir`, which is made if it isn't there; the first time takes a second or two. If we are
    /// root, the server runs as `postgres` or `nobody`, who must be able to enter every folder above `dir`.
    ///
    /// # Errors
    ///
    /// There are no binaries, no fit user, the folder is in use or can't be entered, or the server doesn't start: each
    /// in one line for people.
    pub async fn open(dir: &Path) -> Result<Self, WhyNot> {
        let account = Account::fit().map_err(WhyNot)?;
        let dir = make_folder(dir, account.as_ref())?;
        let lock = lock(&dir)?;
        let data = dir.join("data");
        let kept = kept(&dir);
        if kept.is_none() && data.exists() {
            // Somebody was killed in the middle of making it.
            fs::remove_dir_all(&data).map_err(|e| WhyNot(format!("can't remove a half-made cluster: {e}")))?;
        }
        let binaries = Binaries::find(&data).await.map_err(WhyNot)?;
        let maker = Maker { dir, data, binaries, account };
        maker.stop_leftover().await;
        let (running, kept) = match kept {
            Some(kept) => maker.start_again(kept).await?,
            None => maker.make().await?,
        };
        let Kept { port, password } = &kept;
        Ok(Self {
            admin_url: format!("postgres://{BOT}:{}@127.0.0.1:{port}/{DATABASE}?sslmode=disable", password.as_str())
                .into(),
            words: format!("{}, a throwaway cluster on 127.0.0.1:{port}", maker.binaries),
            running: Some(running),
            _lock: lock,
        })
    }

    /// The URL our provider connects with; it is a secret.
    #[must_use]
    pub fn admin_url(&self) -> &SecretString {
        &self.admin_url
    }

    /// What was found and where it listens, in one line.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Stops the server and waits for it, at most ten seconds.
    pub async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            // A thread that is broken off has told the server to stop all the same.
            drop(tokio::task::spawn_blocking(move || running.stop()).await);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

impl Running {
    fn stop(mut self) {
        drop(self.pipe);
        let (done, stopped) = mpsc::channel();
        std::thread::spawn(move || {
            drop(self.keeper.wait());
            // Nobody listens any more if it took too long.
            let _ = done.send(());
        });
        let _ = stopped.recv_timeout(Duration::from_secs(STOP_LIMIT_SECS));
    }
}

/// What making and starting a cluster needs.
struct Maker {
    dir: PathBuf,
    data: PathBuf,
    binaries: Binaries,
    account: Option<Account>,
}

impl Maker {
    /// Makes a new cluster and starts it.
    async fn make(&self) -> Result<(Running, Kept), WhyNot> {
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
    async fn start_again(&self, kept: Kept) -> Result<(Running, Kept), WhyNot> {
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
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "sh"]).arg(self.binaries.path("postgres")).arg("-D").arg(&self.data);
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
        // A group of its own: a Ctrl-C at the terminal is for us, who end the grants first.
        command.process_group(0).stdin(Stdio::piped()).stdout(log.try_clone().map_err(fault)?).stderr(log);
        let mut keeper = command.spawn().map_err(fault)?;
        let pipe = keeper.stdin.take().ok_or_else(|| WhyNot("can't start the server: no pipe".into()))?;
        Ok(Running { keeper, pipe })
    }

    async fn until_ready(&self, running: &mut Running, config: &Config) -> Result<(), WhyNot> {
        let ready = async {
            let mut look = tokio::time::interval(Duration::from_millis(LOOK_MILLIS));
            loop {
                look.tick().await;
                if running.keeper.try_wait().is_ok_and(|ended| ended.is_some()) {
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
    async fn stop_leftover(&self) {
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

const KEPT: &str = "cluster.json";

fn kept(dir: &Path) -> Option<Kept> {
    fs::read(dir.join(KEPT)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// The folder, as an absolute path without links; the server's user can enter it.
fn make_folder(dir: &Path, account: Option<&Account>) -> Result<PathBuf, WhyNot> {
    let mode = if account.is_some() { 0o711 } else { 0o700 };
    let there = || {
        fs::DirBuilder::new().recursive(true).mode(mode).create(dir)?;
        let dir = dir.canonicalize()?;
        fs::set_permissions(&dir, Permissions::from_mode(mode))?;
        Ok(dir)
    };
    let dir = there().map_err(|e: io::Error| WhyNot(format!("can't make the folder of the cluster: {e}")))?;
    if let Some(account) = account
        && let Some(closed) = dir.ancestors().find(|folder| !account.enters(folder))
    {
        return Err(WhyNot(format!(
            "`{}` can't be entered by `{}`, whom PostgreSQL would run as: choose a folder elsewhere, for example in /var/tmp",
            closed.display(),
            account.name,
        )));
    }
    Ok(dir)
}

fn lock(dir: &Path) -> Result<File, WhyNot> {
    let fault = |e: io::Error| WhyNot(format!("can't lock the folder of the cluster: {e}"));
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WhyNot("another process runs the cluster in this folder".into())),
        Err(TryLockError::Error(e)) => Err(fault(e)),
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

/// Runs a program to its end; one that is late is killed.
async fn finished(command: Command, limit_secs: u64) -> io::Result<std::process::Output> {
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).output();
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    tokio::time::timeout(Duration::from_secs(limit_secs), output).await.map_err(late)?
}

fn last_line(text: &str) -> String {
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim().to_owned()
}
