//! Where the server's programs are on this machine.

use std::{
    cmp::Reverse,
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where distributions put the versions side by side: a folder, what comes before the version and what comes after it.
const SHELVES: [(&str, &str, &str); 2] = [("/usr/lib/postgresql", "", "bin"), ("/usr", "pgsql-", "bin")];
/// How long a program may take to say its version, in seconds.
const VERSION_LIMIT_SECS: u64 = 10;

/// A folder with `postgres`, `initdb` and `pg_ctl`.
pub(super) struct Binaries {
    folder: PathBuf,
    version: String,
}

impl Binaries {
    /// Looks in `PATH`, then where distributions put them, newest first, then where `pg_config` says. A cluster that is
    /// there already in `data` needs its own major version.
    pub(super) async fn find(data: &Path) -> Result<Self, String> {
        let wanted = fs::read_to_string(data.join("PG_VERSION")).ok().map(|text| text.trim().to_owned());
        let mut folders: Vec<PathBuf> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
        folders.extend(SHELVES.iter().flat_map(|(shelf, before, after)| versions(shelf.as_ref(), before, after)));
        folders.extend(said_by("pg_config", "--bindir").await.map(PathBuf::from));
        // Links are followed, so that people are told where the programs really are.
        let real = |folder: PathBuf| folder.join("postgres").canonicalize().ok()?.parent().map(Path::to_owned);
        let mut folders: Vec<PathBuf> = folders.into_iter().filter_map(real).collect();
        folders.retain(|folder| ["postgres", "initdb", "pg_ctl"].iter().all(|name| folder.join(name).is_file()));
        for folder in folders {
            let Some(said) = said_by(folder.join("postgres"), "--version").await else { continue };
            // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
            let version = said.split_whitespace().nth(2).unwrap_or_default().to_owned();
            let major = version.split('.').next().unwrap_or_default();
            if wanted.as_ref().is_none_or(|wanted| wanted == major) {
                return Ok(Self { folder, version });
            }
        }
        Err(match wanted {
            Some(wanted) => format!("the cluster in this folder needs PostgreSQL {wanted}, which isn't there"),
            None => "no PostgreSQL binaries found; install them (Debian and Ubuntu: `apt-get install postgresql`) or \
                     give the URL of a server"
                .into(),
        })
    }

    /// A program among them.
    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

impl fmt::Display for Binaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {} from {}", self.version, self.folder.display())
    }
}

/// The folders of all versions on a shelf, newest first.
fn versions(shelf: &Path, before: &str, after: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(shelf).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(before)?.parse().ok()?;
            Some((number, entry.path().join(after)))
        })
        .collect();
    found.sort_by_key(|(number, _)| Reverse(*number));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The first line a program says when it is asked with one argument.
async fn said_by(program: impl AsRef<std::ffi::OsStr>, argument: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.arg(argument).stdin(std::process::Stdio::null());
    let output = super::finished(command, VERSION_LIMIT_SECS).await.ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(ToOwned::to_owned)
}
