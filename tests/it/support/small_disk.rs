//! A small disk of a test's own: a tmpfs in a mount namespace that only the test and what it starts can see.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::process::{find_program, is_root};

/// Holds the namespace until its standard input ends, that is at the latest when the test does.
const HOLDER: &str = r#"mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && read -r _"#;
const BLOCK_BYTES: usize = 64 * 1024;

/// The disk.
pub struct SmallDisk {
    holder: Child,
    place: PathBuf,
}

impl SmallDisk {
    /// Mounts one over an empty folder.
    pub fn mount(place: &Path, size: &str) -> Self {
        let unshare = find_program(&["/usr/bin/unshare", "/bin/unshare"], "util-linux");
        let mut command = Command::new(unshare);
        command.args(["--mount", "--propagation", "private"]);
        if !is_root() {
            command.arg("--map-root-user");
        }
        command.args(["/bin/sh", "-c", HOLDER, "sh", size]).arg(place);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "mounted\n", "a test needs a mount namespace of its own: run it as root");
        Self { holder, place: place.to_owned() }
    }

    /// The words before a command that is to see the disk; its process keeps its id.
    pub fn runner(&self) -> Vec<String> {
        let nsenter = find_program(&["/usr/bin/nsenter", "/bin/nsenter"], "util-linux");
        let mut words = vec![nsenter, "--mount".into(), "--target".into(), self.holder.id().to_string()];
        if !is_root() {
            words.extend(["--user".into(), "--preserve-credentials".into()]);
        }
        words.push("--".into());
        words
    }

    /// The disk's folder, as it is seen from outside.
    pub fn seen(&self) -> PathBuf {
        let inside = self.place.strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(inside)
    }

    /// Writes a file until there is no room for another byte.
    pub fn fill(&self) {
        let mut file = fs::File::options().append(true).create(true).open(self.filler()).unwrap();
        let (block, mut bytes) = (vec![b'x'; BLOCK_BYTES], BLOCK_BYTES);
        while bytes > 0 {
            if file.write_all(&block[..bytes]).is_err() {
                bytes /= 2;
            }
        }
    }

    /// Takes the file away again.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.seen().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
