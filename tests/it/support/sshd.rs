//! A real sshd for a test.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

use super::process::{Kept, find_program, free_port, is_root, run, until};

/// A running sshd that trusts one CA and reads one revocation list.
pub struct Sshd {
    _kept: Kept,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    dir: TempDir,
}

impl Sshd {
    /// Starts one. Who has `principal` in their certificate may log in as the user of the tests.
    pub fn start(ca: &[u8], krl: &std::path::Path, principal: &str) -> Self {
        let program = find_program(&["/usr/sbin/sshd"], "openssh-server");
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at("host_key")));
        fs::write(at("ca.pub"), ca).unwrap();
        fs::write(at("principals"), format!("{principal}\n")).unwrap();
        if is_root() {
            // Debian's sshd wants it and doesn't make it.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let port = free_port();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {0}/host_key\nPidFile none\nTrustedUserCAKeys {0}/ca.pub\n\
             RevokedKeys {1}\nAuthorizedPrincipalsFile {0}/principals\nAuthorizedKeysFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             LogLevel VERBOSE\nSubsystem sftp internal-sftp\n",
            dir.path().display(),
            krl.display(),
        );
        fs::write(at("sshd_config"), config).unwrap();
        let arguments = ["-D", "-f", &at("sshd_config").display().to_string(), "-E", &at("log").display().to_string()];
        let kept = Kept::start(&program, &arguments.map(ToOwned::to_owned), None);
        until("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { _kept: kept, port, dir }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// An `ssh` command line up to the host, with the key at `identity` and its certificate beside it.
    pub fn client(&self, identity: &std::path::Path) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        command.args([
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "IdentityAgent=none",
            "-o",
            "LogLevel=ERROR",
        ]);
        command.arg("-i").arg(identity).arg("-p").arg(self.port.to_string()).arg("-l").arg(whoami()).arg("127.0.0.1");
        command
    }
}

/// The user of the tests.
pub fn whoami() -> String {
    run(Command::new("id").arg("-un")).trim().to_owned()
}

/// Puts a text where ssh takes it as an identity.
pub fn save(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    run(Command::new("chmod").arg("600").arg(&path));
    path
}
