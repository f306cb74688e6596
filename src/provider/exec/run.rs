//! One process: started, spoken to, and gone.

use std::{io, path::PathBuf, pin::pin, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, Command},
    time::{Instant, timeout, timeout_at},
};
use zeroize::Zeroizing;

use super::{
    host::{self, Copy},
    pinned,
};
use crate::provider::{
    ProviderError,
    files::Folder,
    plugin::{Heard, Lost},
    protocol::{ASIDE_BYTES_MAX, REPLY_BYTES_MAX, Verb},
};

/// How long a process that was told to end may take for it.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long what a process has written may take to arrive after its end.
const ARRIVAL_MAX: Duration = Duration::from_secs(1);
/// So much is read at once, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// How a program is started.
pub struct Start {
    pub file: PathBuf,
    pub arguments: Vec<String>,
    pub pin: [u8; 32],
    /// What it is started for.
    pub verb: Verb,
    /// Where programs are kept that have granted something.
    pub folder: Folder,
    pub env: Vec<(String, String)>,
    pub new_privileges: bool,
    /// How long it may take.
    pub limit: Duration,
}

/// A process group that is ended at the latest when this is dropped. As long as its first process is not waited for, its
/// number is nobody else's.
struct Group(Option<Pid>);

impl Group {
    fn tell(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.tell(Signal::KILL);
    }
}

/// A running plugin. The group is dropped, and with it ended, before its first process is given up.
pub struct Started {
    group: Group,
    child: Child,
    pid: Pid,
    _copy: Copy,
    _folder: TempDir,
}

/// How a conversation came to its end.
enum End {
    /// The process has ended.
    Ended,
    /// It says more than anybody reads.
    TooMuch,
    /// The time is up.
    Late,
}

/// What one of its streams said, up to a limit.
struct Kept {
    bytes: Zeroizing<Vec<u8>>,
    most: usize,
    /// Whether more was said than is kept.
    over: bool,
}

impl Kept {
    fn new(most: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::new()), most, over: false }
    }

    /// Reads to the end, or `until_over` until there is more than is kept.
    async fn read(&mut self, mut stream: impl AsyncRead + Unpin, until_over: bool) {
        let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES]);
        while let Ok(count) = stream.read(chunk.as_mut_slice()).await {
            let Some(said) = chunk.get(..count).filter(|said| !said.is_empty()) else { return };
            let room = self.most.saturating_sub(self.bytes.len());
            self.bytes.extend(said.iter().take(room));
            self.over |= said.len() > room;
            if self.over && until_over {
                return;
            }
        }
    }
}

impl Start {
    /// Starts it, if its file is the one that is pinned. Blocks.
    pub fn start(self) -> Result<Started, ProviderError> {
        let copy = pinned::fit(&self.file, &self.pin, self.verb, &self.folder)?;
        let not_started = |error: io::Error| {
            let words = format!("{} can't be started: {error}", self.file.display());
            // All else may pass: too many processes, no memory.
            let for_good = [io::ErrorKind::PermissionDenied, io::ErrorKind::NotFound].contains(&error.kind());
            if for_good { ProviderError::Permanent(words) } else { ProviderError::Retry(words) }
        };
        let folder = tempfile::Builder::new().prefix("countersign-exec-").tempdir().map_err(not_started)?;
        let mut command = Command::new(copy.path());
        command
            .arg0(&self.file)
            .args(&self.arguments)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("TMPDIR", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let child = started(command, self.new_privileges).map_err(not_started)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| ProviderError::Unknown("it was gone at once".into()))?;
        host::limit(pid, self.limit);
        Ok(Started { group: Group(Some(pid)), child, pid, _copy: copy, _folder: folder })
    }
}

/// Starts it from a thread of its own: the promise to gain no privileges is a thread's, for good.
fn started(mut command: Command, new_privileges: bool) -> io::Result<Child> {
    let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    let thread = std::thread::Builder::new().name("plugin-start".into()).spawn(move || {
        if !new_privileges {
            host::keep_privileges()?;
        }
        let _inside = runtime.enter();
        command.spawn()
    })?;
    thread.join().map_err(|_| io::Error::other("the start broke off"))?
}

impl Started {
    /// Says the line, and hears what is answered until the process has ended or the time is up. Afterwards it is gone.
    pub async fn converse(mut self, line: &[u8], deadline: Instant, limit: Duration) -> Result<Heard, Lost> {
        let (mut reply, mut aside) = (Kept::new(REPLY_BYTES_MAX), Kept::new(ASIDE_BYTES_MAX));
        let streams = (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(ProviderError::Unknown("it has no standard streams".into()).into());
        };
        let end = {
            let mut said = pin!(hear(line, stdin, (&mut reply, stdout), (&mut aside, stderr)));
            let mut ended = pin!(has_ended(self.pid));
            let mut all_said = false;
            let end = tokio::select! {
                too_much = &mut said => {
                    all_said = true;
                    if too_much {
                        End::TooMuch
                    } else {
                        timeout_at(deadline, &mut ended).await.map_or(End::Late, |()| End::Ended)
                    }
                },
                () = &mut ended => End::Ended,
                () = tokio::time::sleep_until(deadline) => End::Late,
            };
            if let End::Late = end {
                self.group.tell(Signal::TERM);
                // It is heard all the same: a process that can't write doesn't end either.
                let last = async {
                    tokio::select! {
                        () = &mut ended => {}
                        _ = &mut said, if !all_said => ended.await,
                    }
                };
                let _ = timeout(LAST_WORDS, last).await;
            }
            self.group.tell(Signal::KILL);
            if let (End::Ended, false) = (&end, all_said) {
                // What it wrote before its end; what has got away from its group may hold the streams open for ever.
                let _ = timeout(ARRIVAL_MAX, said).await;
            }
            end
        };
        // Its number is free from here on.
        self.group.0 = None;
        let status = timeout(ARRIVAL_MAX, self.child.wait()).await;
        let aside = aside.bytes.to_vec();
        let lost = |words: String| Err(Lost { error: ProviderError::Unknown(words), aside: aside.clone() });
        match (end, status) {
            (End::Late, _) => lost(format!("it did not answer within {} s", limit.as_secs_f32())),
            (End::TooMuch, _) => lost(format!("it answered more than {REPLY_BYTES_MAX} bytes")),
            (End::Ended, Ok(Ok(status))) if status.success() && reply.over => {
                lost(format!("it answered more than {REPLY_BYTES_MAX} bytes"))
            }
            (End::Ended, Ok(Ok(status))) if status.success() => Ok(Heard { reply: reply.bytes, aside }),
            (End::Ended, Ok(Ok(status))) => lost(format!("it failed ({status})")),
            (End::Ended, Ok(Err(_)) | Err(_)) => lost("how it ended is not known".into()),
        }
    }
}

/// Writes the line and reads both streams to their ends; whether standard output had more than is read.
async fn hear(
    line: &[u8],
    mut stdin: ChildStdin,
    (reply, stdout): (&mut Kept, impl AsyncRead + Unpin),
    (aside, stderr): (&mut Kept, impl AsyncRead + Unpin),
) -> bool {
    let say = async {
        // It may answer without having read.
        let _ = stdin.write_all(line).await;
        let _ = stdin.write_all(b"\n").await;
        drop(stdin);
    };
    let answer = async {
        reply.read(stdout, true).await;
        reply.over
    };
    let mut rest = pin!(async { tokio::join!(say, aside.read(stderr, false)) });
    let mut answer = pin!(answer);
    tokio::select! {
        _ = &mut rest => answer.await,
        over = &mut answer => {
            if !over {
                rest.await;
            }
            over
        }
    }
}

/// Waits for the end of a process without taking its number from it.
async fn has_ended(pid: Pid) {
    let wait = move || loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => return,
        }
    };
    // A runtime that ends takes the process with it.
    let _ = tokio::task::spawn_blocking(wait).await;
}
