//! `strace`, attached to a running process so that it dies at a chosen system call.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use super::{demo::signal, process::find_program};

/// A death that waits for a process: the `when`th of these calls that any of its threads makes.
#[derive(Debug, Clone, Copy)]
pub struct Doom {
    /// As strace names it.
    pub call: &'static str,
    /// From 1.
    pub when: u32,
}

/// An attached strace.
pub struct Strace(Child);

impl Strace {
    /// Attaches, and returns once every thread is watched. The children that the process has are not.
    pub fn attach(pid: u32, doom: Doom) -> Self {
        let strace = find_program(&["/usr/bin/strace", "/bin/strace"], "strace");
        let Doom { call, when } = doom;
        let mut child = Command::new(strace)
            .args(["-f", "-o", "/dev/null", "-p", &pid.to_string(), "-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:signal=KILL:when={when}")])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = said.next().expect("strace says something").unwrap();
        assert!(first.contains("attached"), "strace can't attach: {first}");
        // A pipe that nobody reads any more would end strace, and with it what it watches goes on unwatched.
        std::thread::spawn(move || said.map_while(Result::ok).for_each(drop));
        Self(child)
    }

    /// Lets go of whatever still lives.
    pub fn detach(mut self) {
        self.let_go();
    }

    fn let_go(&mut self) {
        if self.0.try_wait().unwrap().is_none() {
            signal(self.0.id(), rustix::process::Signal::TERM);
            self.0.wait().unwrap();
        }
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.let_go();
    }
}
