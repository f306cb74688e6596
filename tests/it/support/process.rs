//! Running programs: output as text, servers that die with the test, waiting for a thing to be so.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Output, Stdio},
    time::Duration,
};

/// How long a condition may take to become true before the test fails, in seconds.
const PATIENCE_SECS: u64 = 20;

/// Runs a server (`"$@"`) and ends it with the signal `$0` when the pipe on standard input ends, that is when the test
/// does.
const KEEPER: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
( read -r _ <&3; kill -"$0" "$server" || kill -KILL "$server" ) 2>/dev/null &
watch=$!
exec 3<&-
wait "$server"
kill "$watch" 2>/dev/null
"#;

/// A server; it is stopped when this is dropped, or when the test's process ends in any way.
pub struct Kept {
    keeper: Child,
    pipe: Option<ChildStdin>,
}

impl Kept {
    /// Starts `program` with `arguments`, as another user if one is given.
    pub fn start(program: &str, arguments: &[String], user: Option<(u32, u32)>) -> Self {
        Self::start_until("QUIT", program, arguments, user)
    }

    /// The same for one that ends by another signal: a shell's children don't hear `QUIT` unless they ask for it.
    pub fn start_until(signal: &str, program: &str, arguments: &[String], user: Option<(u32, u32)>) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, signal, program]).args(arguments);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command.process_group(0).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keeper = command.spawn().unwrap();
        let pipe = keeper.stdin.take();
        Self { keeper, pipe }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.keeper.wait();
    }
}

/// The first of these files that is there. A test without its server fails.
pub fn find_program(places: &[&str], package: &str) -> String {
    let found = places.iter().find(|place| PathBuf::from(place).is_file());
    (*found.unwrap_or_else(|| panic!("none of {places:?} is there: install {package}"))).to_owned()
}

/// What a program printed, both streams.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command to its end; it must succeed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?} failed: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `so` is true; `what` is for the message if it never is.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let tries = PATIENCE_SECS * 50;
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    for _ in 0..tries {
        if so() {
            return;
        }
        let _ = never.recv_timeout(Duration::from_millis(20));
    }
    panic!("never so: {what}");
}

/// A free port of loopback.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The user and group of a name in `/etc/passwd`.
pub fn user(name: &str) -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with(&format!("{name}:"))).expect("the user is there");
    let mut fields = line.split(':').skip(2);
    (fields.next().unwrap().parse().unwrap(), fields.next().unwrap().parse().unwrap())
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    run(Command::new("id").arg("-u")).trim() == "0"
}
