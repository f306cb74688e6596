//! The shell between us and the server: when our end of its pipe is gone, for whatever reason, it stops the server.

use std::{
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// How long the server may take to stop, in seconds.
pub(super) const STOP_LIMIT_SECS: u64 = 10;

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

/// A server and its keeper.
pub(super) struct Running {
    keeper: Child,
    /// The pipe whose end stops the server.
    pipe: ChildStdin,
}

impl Running {
    /// A command that runs `server` under a keeper; the server's arguments are to be added.
    pub(super) fn command(server: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "sh"]).arg(server);
        command
    }

    /// Starts such a command.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        // A group of its own: a Ctrl-C at the terminal is for us, who end the grants first.
        let mut keeper = command.process_group(0).stdin(Stdio::piped()).spawn()?;
        let pipe = keeper.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { keeper, pipe })
    }

    /// Whether the server has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.keeper.try_wait().is_ok_and(|ended| ended.is_some())
    }

    /// Stops the server and waits for it, for a while.
    pub(super) fn stop(mut self) {
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
