//! What Linux has for starting programs safely.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    process::{Pid, Resource, Rlimit, prlimit},
};

/// A file in memory. Once it is sealed nobody can change it, not even we.
pub struct Copy(File);

impl Copy {
    /// An empty one.
    pub fn new(_: &Path) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Kernels before 6.3 don't know the flag and take every such file for a program.
        let file = memfd_create("countersign-plugin", flags | MemfdFlags::EXEC)
            .or_else(|_| memfd_create("countersign-plugin", flags))?;
        Ok(Self(file.into()))
    }

    /// Puts bytes behind those that are there.
    pub fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// From now on it is as it is.
    pub fn seal(&self) -> io::Result<()> {
        fcntl_add_seals(&self.0, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(())
    }

    /// What to start it by, as long as this is held. It goes through this process's own list of files, so that nothing has to be
    /// passed on and an interpreter can open it too.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }
}

/// From now on, what this thread starts gains no privileges by what it executes.
pub fn keep_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// So many processors may be busy for a plugin until its deadline.
const PROCESSORS: u64 = 4;

/// Has a process leave no core file, which would have its secrets in it, and not burn more than it could use until then.
pub fn limit(process: Pid, deadline: Duration) {
    let most = |number: u64| Rlimit { current: Some(number), maximum: Some(number) };
    // It may be gone already; a limit that can't be set is one that is stricter.
    let _ = prlimit(Some(process), Resource::Core, most(0));
    let _ =
        prlimit(Some(process), Resource::Cpu, most(deadline.as_secs().saturating_add(1).saturating_mul(PROCESSORS)));
}
