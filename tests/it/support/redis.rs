//! A real Redis for a test, with an ACL file.
//!
//! In it: a default user `admin` with all rights, a bot `csbot` with the rights the provider asks for and no more, and two
//! keys `app:1` and `other:1`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;

use super::process::{Kept, find_program, free_port, said, until};

/// Who is there at first.
const USERS: &str = "user default off\n\
                     user admin on >adminpw ~* &* +@all\n\
                     user csbot on >botpw resetchannels -@all +acl|whoami +acl|dryrun +acl|setuser +acl|deluser +acl|users +acl|getuser \
                     +acl|save +client|list +client|kill +config|get +info +time\n";

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
        Self::start_as(more, Some(USERS))
    }

    /// The same with more users.
    pub fn start_among(others: &str) -> Self {
        Self::start_as(&[], Some(&format!("{USERS}{others}")))
    }

    /// The same without an ACL file: its users are in its memory alone.
    pub fn start_plain() -> Self {
        let words: Vec<&str> = USERS
            .lines()
            .flat_map(|line| line.split_whitespace())
            .map(|word| if word == "user" { "--user" } else { word })
            .collect();
        Self::start_as(&words, None)
    }

    fn start_as(more: &[&str], users: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if let Some(users) = users {
            fs::write(dir.path().join("users.acl"), users).unwrap();
        }
        let mut server =
            Self { kept: None, port: free_port(), more: more.iter().map(ToString::to_string).collect(), dir };
        server.resume();
        server.ask("SET app:1 cogwheel");
        server.ask("SET other:1 card");
        server.ask("SAVE");
        server
    }

    /// The URL of the bot.
    pub fn bot_url(&self) -> String {
        format!("redis://csbot:botpw@127.0.0.1:{}/0", self.port)
    }

    /// What the admin is answered.
    #[track_caller]
    pub fn ask(&self, words: &str) -> String {
        self.try_ask(words).unwrap_or_else(|e| panic!("{words}: {e}"))
    }

    fn try_ask(&self, words: &str) -> Result<String, String> {
        client(&format!("REDISCLI_AUTH=adminpw redis-cli -p {} --user admin", self.port), words)
    }

    /// Users whose names begin like ours, in the server and in its file.
    pub fn left(&self) -> String {
        let name = |line: &str| line.strip_prefix("user cs_").map(|rest| rest.split(' ').next().unwrap().to_owned());
        let mut left: Vec<String> = self.ask("ACL LIST").lines().filter_map(name).collect();
        left.extend(self.saved().lines().filter_map(name).map(|name| format!("file:{name}")));
        left.join(" ")
    }

    /// The ACL file.
    pub fn saved(&self) -> String {
        fs::read_to_string(self.dir.path().join("users.acl")).unwrap()
    }

    /// Stops the server as a crash would.
    pub fn crash(&mut self) {
        self.kept = None;
    }

    /// Starts it again, on the same port.
    pub fn resume(&mut self) {
        let dir = self.dir.path().display().to_string();
        let mut arguments: Vec<String> =
            ["--bind", "127.0.0.1", "--dir", &dir, "--daemonize", "no", "--save", ""].map(ToOwned::to_owned).into();
        arguments.extend(["--port".to_owned(), self.port.to_string()]);
        if self.dir.path().join("users.acl").exists() {
            arguments.extend(["--aclfile".to_owned(), format!("{dir}/users.acl")]);
        }
        arguments.extend(["--logfile".to_owned(), format!("{dir}/log")]);
        arguments.extend(self.more.iter().cloned());
        let program = find_program(&["/usr/bin/redis-server"], "redis-server");
        self.kept = Some(Kept::start_until("KILL", &program, &arguments, None));
        until("Redis answers", || self.try_ask("PING").is_ok_and(|answer| answer == "PONG"));
    }
}

/// What words are answered through the line that starts the ordinary client, as it was pasted. An answer that is an
/// error is one.
pub fn client(line: &str, words: &str) -> Result<String, String> {
    let output =
        Command::new("sh").args(["-c", &format!("{line} --no-auth-warning -e {words}")]).stdin(Stdio::null()).output();
    let output = output.unwrap();
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
            .args(["-c", &format!("exec env {line} --no-auth-warning")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// One line of an answer.
    pub fn ask(&mut self, words: &str) -> String {
        let _ = self.child.stdin.as_mut().unwrap().write_all(format!("{words}\n").as_bytes());
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Live {
    /// What it says to more words, to its end.
    pub fn last_words(mut self, words: &str) -> String {
        let mut input = self.child.stdin.take().unwrap();
        let _ = input.write_all(format!("{words}\n").as_bytes());
        drop(input);
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
