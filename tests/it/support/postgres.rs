//! A real database server for a test: its own copy of a cluster that is made once a checkout.
//!
//! In it: a superuser `admin`, a bot `csbot` with the rights the provider asks for and no more, a profile role `app_rw`
//! and a database `orders` with a table `orders` that `app_rw` may read and change.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
};

use tempfile::TempDir;

use super::process::{self, Kept, find_program, free_port, run, said, until};

/// Settings that make a server for a test quick: nothing in it needs to survive the machine.
const QUICK: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "shared_buffers=16MB",
    "max_wal_senders=0",
    "wal_level=minimal",
];

/// What every copy has in it.
const FURNITURE: [&str; 3] = [
    "CREATE ROLE app_rw NOLOGIN; CREATE ROLE csbot LOGIN CREATEROLE PASSWORD 'botpw'; \
     GRANT app_rw TO csbot WITH ADMIN OPTION; GRANT pg_signal_backend TO csbot",
    "CREATE DATABASE orders",
    "CREATE TABLE orders (id int PRIMARY KEY, item text); INSERT INTO orders VALUES (1, 'cogwheel'), (2, 'card'); \
     GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app_rw; \
     CREATE SCHEMA app AUTHORIZATION app_rw; CREATE TABLE app.notes (note text); ALTER TABLE app.notes OWNER TO app_rw",
];

/// A running server; it ends with the test.
pub struct Server {
    // Dropped in this order: the server, then its folder.
    kept: Option<Kept>,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    more: Vec<String>,
    dir: TempDir,
}

impl Server {
    /// A server with the usual furniture.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more settings (`name=value`).
    pub fn start_with(more: &[&str]) -> Self {
        let template = template();
        let dir = folder();
        copy(&template, &dir);
        let mut server =
            Self { kept: None, port: free_port(), more: more.iter().map(ToString::to_string).collect(), dir };
        server.resume();
        server
    }

    /// Where its files are.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The URL of the bot, which is no superuser.
    pub fn bot_url(&self) -> String {
        self.url("csbot", "botpw", "orders")
    }

    /// The URL of the superuser.
    pub fn admin_url(&self) -> String {
        self.url("admin", "adminpw", "orders")
    }

    /// A URL of this server.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// What the superuser's query answers, without frills.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        psql(&self.admin_url(), sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Stops the server as a crash would.
    pub fn crash(&mut self) {
        self.kept = None;
    }

    /// Starts it again, on the same port.
    pub fn resume(&mut self) {
        let mut arguments = vec!["-D".to_owned(), self.data().display().to_string()];
        let port = format!("port={}", self.port);
        for setting in QUICK.iter().copied().chain(self.more.iter().map(String::as_str)).chain([port.as_str()]) {
            arguments.extend(["-c".to_owned(), setting.to_owned()]);
        }
        self.kept = Some(Kept::start(&binary("postgres"), &arguments, fit_user()));
        until("PostgreSQL answers", || psql(&self.url("admin", "adminpw", "postgres"), "SELECT 1").is_ok());
    }
}

/// What a query answers through the ordinary client, without frills; the error is what it said.
pub fn psql(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql").args([url, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(said(&output))
    }
}

/// The client's process; it is killed when this is dropped.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A `psql` that stays.
pub struct Live {
    client: Client,
    output: BufReader<ChildStdout>,
}

impl Live {
    /// It is in.
    #[track_caller]
    pub fn open(url: &str) -> Self {
        Self::try_open(url).expect("psql is let in")
    }

    /// The same; `None` if it is not let in.
    pub fn try_open(url: &str) -> Option<Self> {
        let mut child = Command::new("psql")
            .args([url, "-XAtq"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut live = Self { client: Client(child), output };
        (live.ask("SELECT 'ready'") == "ready").then_some(live)
    }

    /// One line of an answer; empty if the session has ended.
    pub fn ask(&mut self, sql: &str) -> String {
        let _ = self.client.0.stdin.as_mut().unwrap().write_all(format!("{sql};\n").as_bytes());
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Leaves it to itself, at work for ever, and says so when it has ended.
    pub fn watched(mut self, ended: impl FnOnce() + Send + 'static) -> Watched {
        let backend = self.ask("SELECT pg_backend_pid()");
        let _ = self.client.0.stdin.as_mut().unwrap().write_all(b"SELECT pg_sleep(86400);\n");
        let (tell, over) = mpsc::channel::<()>();
        let Self { client, mut output } = self;
        std::thread::spawn(move || {
            // It has nothing more to say: it is read to its end.
            let _ = output.read_to_end(&mut Vec::new());
            ended();
            drop(tell);
        });
        Watched { backend, over, _client: client }
    }

    /// What it said when it ended.
    pub fn last_words(mut self) -> String {
        let _ = self.client.0.stdin.as_mut().unwrap().write_all(b"SELECT 'still here';\n");
        self.client.0.wait().unwrap();
        let mut words = String::new();
        self.client.0.stderr.as_mut().unwrap().read_to_string(&mut words).unwrap();
        words
    }
}

/// A `psql` that is at work until its session is ended.
pub struct Watched {
    /// The server's process for it.
    pub backend: String,
    over: mpsc::Receiver<()>,
    _client: Client,
}

impl Watched {
    /// Whether its session has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.over.try_recv(), Err(mpsc::TryRecvError::Disconnected))
    }

    /// Waits for its session to end.
    pub fn wait(&self) {
        let _ = self.over.recv();
    }
}

/// The cluster that the others are copies of.
fn template() -> PathBuf {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    // Another server or other furniture is another template.
    let mut kind = DefaultHasher::new();
    (binary("postgres"), FURNITURE).hash(&mut kind);
    let template = place.join(format!("postgres-template-{:016x}", kind.finish()));
    let lock = fs::File::create(place.join("postgres-template.lock")).unwrap();
    lock.lock().unwrap();
    if template.exists() {
        return template;
    }
    let dir = folder();
    let word = dir.path().join("word");
    fs::write(&word, "adminpw").unwrap();
    own(&dir);
    let mut command = Command::new(binary("initdb"));
    command.args(["--no-sync", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "-U", "admin", "--pwfile"]);
    command.arg(&word).arg("-D").arg(dir.path().join("data")).env("LC_ALL", "C").current_dir("/");
    if let Some((uid, gid)) = fit_user() {
        command.uid(uid).gid(gid);
    }
    run(&mut command);
    let mut server = Server { kept: None, port: free_port(), more: Vec::new(), dir };
    server.resume();
    for (sql, database) in FURNITURE.iter().zip(["postgres", "postgres", "orders"]) {
        psql(&server.url("admin", "adminpw", database), sql).unwrap();
    }
    server.sql("CHECKPOINT");
    server.crash();
    fs::remove_file(&word).unwrap();
    let half = place.join("postgres-template.half");
    let _ = fs::remove_dir_all(&half);
    fs::create_dir(&half).unwrap();
    run(Command::new("cp").arg("-a").arg(server.data()).arg(&half));
    fs::rename(half, &template).unwrap();
    template
}

/// A folder that the server's user can enter.
pub fn folder() -> TempDir {
    let dir = tempfile::Builder::new().prefix("countersign-pg-").tempdir_in("/tmp").unwrap();
    own(&dir);
    dir
}

/// Gives the folder and what is in it to the server's user.
pub fn own(dir: &TempDir) {
    if let Some((uid, gid)) = fit_user() {
        run(Command::new("chown").arg("-R").arg(format!("{uid}:{gid}")).arg(dir.path()));
    }
}

fn copy(template: &std::path::Path, dir: &TempDir) {
    run(Command::new("cp").arg("-a").arg(template.join("data")).arg(dir.path()));
    let _ = fs::remove_file(dir.path().join("data/postmaster.pid"));
}

/// The server doesn't run as root.
fn fit_user() -> Option<(u32, u32)> {
    process::is_root().then(|| process::user("postgres"))
}

/// A program of the server.
fn binary(name: &str) -> String {
    // Another version than the distribution's, to see whether it behaves alike.
    if let Some(folder) = std::env::var_os("COUNTERSIGN_TEST_POSTGRES_BIN") {
        return find_program(&[&PathBuf::from(folder).join(name).display().to_string()], "it");
    }
    let places: Vec<String> = (13..=19).rev().map(|v| format!("/usr/lib/postgresql/{v}/bin/{name}")).collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    find_program(&places, "postgresql")
}
