//! A real `MariaDB` for a test: its own copy of a data folder that is made once a checkout.
//!
//! In it: a superuser `admin`, a bot `csbot` with the rights the provider asks for and no more, a profile role `app_rw`,
//! a database `orders` with a table `orders` that `app_rw` may read and change, and a database for our events.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;

use super::process::{self, Kept, find_program, free_port, run, said, until};

/// Settings that make a server for a test quick and small: nothing in it needs to survive the machine.
const QUICK: [&str; 10] = [
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--event-scheduler=ON",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-log-file-size=4M",
    "--innodb-buffer-pool-size=16M",
    "--innodb-data-file-path=ibdata1:4M:autoextend",
    "--innodb-use-native-aio=0",
    "--performance-schema=OFF",
    "--skip-name-resolve",
];

/// What every copy has in it.
const FURNITURE: [&str; 4] = [
    "CREATE USER admin@'%' IDENTIFIED BY 'adminpw'; GRANT ALL PRIVILEGES ON *.* TO admin@'%' WITH GRANT OPTION",
    "CREATE DATABASE orders; CREATE TABLE orders.orders (id INT PRIMARY KEY, item TEXT); \
     INSERT INTO orders.orders VALUES (1, 'cogwheel'), (2, 'card'); CREATE DATABASE countersign",
    "CREATE ROLE app_rw; GRANT SELECT, INSERT, UPDATE, DELETE ON orders.* TO app_rw; \
     GRANT app_rw TO admin@'%' WITH ADMIN OPTION",
    "CREATE USER csbot@'%' IDENTIFIED BY 'botpw'; GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO csbot@'%'; \
     GRANT SELECT (User, Host, is_role, default_role) ON mysql.user TO csbot@'%'; \
     GRANT EVENT ON countersign.* TO csbot@'%'; GRANT app_rw TO csbot@'%' WITH ADMIN OPTION",
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

    /// The same with more options.
    pub fn start_with(more: &[&str]) -> Self {
        let template = template();
        let dir = folder();
        run(Command::new("cp").arg("-a").arg(template.join("data")).arg(dir.path()));
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
        format!("mysql://csbot:botpw@127.0.0.1:{}/orders", self.port)
    }

    /// What the superuser's query answers: fields with tabs between, without names.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// The same; the error is what the client said.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        client(&format!("MYSQL_PWD=adminpw mariadb --host=127.0.0.1 --port={} --user=admin", self.port), sql)
    }

    /// Users whose names begin like ours, and our events.
    pub fn left(&self) -> String {
        self.sql(
            "SELECT GROUP_CONCAT(name ORDER BY name SEPARATOR ' ') FROM (SELECT User AS name FROM mysql.user WHERE User \
             LIKE 'cs\\_%' UNION ALL SELECT CONCAT('event:', EVENT_NAME) FROM information_schema.EVENTS) AS ours",
        )
        .replace("NULL", "")
    }

    /// Stops the server as a crash would.
    pub fn crash(&mut self) {
        self.kept = None;
    }

    /// Starts it again, on the same port.
    pub fn resume(&mut self) {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        let mut arguments: Vec<String> = QUICK.iter().map(ToString::to_string).collect();
        arguments.extend([
            format!("--datadir={}", at("data")),
            // One that starts deletes the temporary tables of all others that share a folder for them.
            format!("--tmpdir={}", self.dir.path().display()),
            format!("--socket={}", at("socket")),
            format!("--pid-file={}", at("pid")),
            format!("--log-error={}", at("log")),
            format!("--port={}", self.port),
        ]);
        arguments.extend(self.more.iter().cloned());
        self.kept = Some(Kept::start_until("KILL", &binary(), &arguments, fit_user()));
        // Of the template, only root is in by then, and by its socket.
        let ready =
            |server: &Self| server.try_sql("SELECT 1").is_ok() || client(&server.by_socket(), "SELECT 1").is_ok();
        until("MariaDB answers", || ready(self));
    }

    fn by_socket(&self) -> String {
        format!("mariadb --no-defaults --user=root --socket={}", self.dir.path().join("socket").display())
    }
}

/// What a query answers through the line that starts the ordinary client, as it was pasted.
pub fn client(line: &str, sql: &str) -> Result<String, String> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("{line} --batch --skip-column-names")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that is not let in doesn't read.
    let _ = child.stdin.take().unwrap().write_all(format!("{sql};\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(said(&output))
    }
}

/// A client that stays.
pub struct Live {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Live {
    /// It is in.
    #[track_caller]
    pub fn open(line: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec env {line} --batch --skip-column-names --unbuffered --skip-reconnect")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut session = Self { child, output };
        assert_eq!(session.ask("SELECT 'ready'"), "ready", "the client is let in");
        session
    }

    /// One line of an answer; empty if the session has ended.
    pub fn ask(&mut self, sql: &str) -> String {
        let _ = self.child.stdin.as_mut().unwrap().write_all(format!("{sql};\n").as_bytes());
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// What it said when it ended.
    pub fn last_words(mut self) -> String {
        let _ = self.child.stdin.as_mut().unwrap().write_all(b"SELECT 'still here';\n");
        self.child.wait().unwrap();
        let mut words = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut words).unwrap();
        words
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The data folder that the others are copies of.
fn template() -> PathBuf {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    // Another server or other furniture is another template.
    let mut kind = DefaultHasher::new();
    (binary(), FURNITURE, QUICK).hash(&mut kind);
    let template = place.join(format!("mariadb-template-{:016x}", kind.finish()));
    let lock = fs::File::create(place.join("mariadb-template.lock")).unwrap();
    lock.lock().unwrap();
    if template.exists() {
        return template;
    }
    let dir = folder();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    own(&dir);
    let install = find_program(&["/usr/bin/mariadb-install-db"], "mariadb-server");
    let mut command = Command::new(install);
    command.args([
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--innodb-log-file-size=4M",
        "--innodb-data-file-path=ibdata1:4M:autoextend",
        "--innodb-use-native-aio=0",
    ]);
    command.arg(format!("--datadir={}", data.display()));
    if process::is_root() {
        command.arg("--user=mysql");
    }
    run(&mut command);
    let mut server = Server { kept: None, port: free_port(), more: Vec::new(), dir };
    server.resume();
    for sql in FURNITURE {
        client(&server.by_socket(), sql).unwrap();
    }
    // A stop in order, so that each copy starts without mending anything.
    let pid = fs::read_to_string(server.dir.path().join("pid")).unwrap();
    client(&server.by_socket(), "SHUTDOWN").unwrap();
    until("the template's server has stopped", || !PathBuf::from(format!("/proc/{}", pid.trim())).exists());
    server.crash();
    let half = place.join("mariadb-template.half");
    let _ = fs::remove_dir_all(&half);
    fs::create_dir(&half).unwrap();
    run(Command::new("cp").arg("-a").arg(server.data()).arg(&half));
    fs::rename(half, &template).unwrap();
    template
}

/// A folder that the server's user can enter.
pub fn folder() -> TempDir {
    let dir = tempfile::Builder::new().prefix("countersign-my-").tempdir_in("/tmp").unwrap();
    own(&dir);
    dir
}

/// Gives the folder and what is in it to the server's user.
pub fn own(dir: &TempDir) {
    if let Some((uid, gid)) = fit_user() {
        run(Command::new("chown").arg("-R").arg(format!("{uid}:{gid}")).arg(dir.path()));
    }
}

/// The server doesn't run as root.
fn fit_user() -> Option<(u32, u32)> {
    process::is_root().then(|| process::user("mysql"))
}

fn binary() -> String {
    find_program(&["/usr/sbin/mariadbd"], "mariadb-server")
}
