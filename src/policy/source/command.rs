//! A program that prints one name, email or account a line.

use std::process::Stdio;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;

use crate::policy::Lookup;

/// The longest output that is read.
const OUTPUT_BYTES_MAX: u64 = 256 * 1024;
/// Where programs are found; nothing else of our environment is passed on.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

pub struct Program(pub Vec<String>);

/// A program and all it started; they end when this is dropped, at the latest.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[async_trait]
impl Lookup for Program {
    async fn members(&self) -> Result<Vec<String>, String> {
        let (program, arguments) = self.0.split_first().ok_or("its command is empty")?;
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env_clear().env("PATH", PATH).current_dir("/").process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("its command can't be started: {error}"))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = Group(group);
        let mut output = Vec::new();
        let stdout = child.stdout.take().ok_or("its command has no output")?;
        let broken = |error: std::io::Error| format!("its command's output can't be read: {error}");
        stdout.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut output).await.map_err(broken)?;
        if output.len() as u64 > OUTPUT_BYTES_MAX {
            return Err(format!("its command printed more than {OUTPUT_BYTES_MAX} bytes"));
        }
        let status = child.wait().await.map_err(broken)?;
        drop(group);
        if !status.success() {
            return Err(format!("its command failed ({status})"));
        }
        let text = String::from_utf8(output).map_err(|_| "its command printed what is no UTF-8".to_owned())?;
        Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }
}
