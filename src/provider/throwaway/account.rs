//! The user a server runs as: `PostgreSQL` refuses to be root.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// Who is asked for, in this order.
const FIT: [&str; 2] = ["postgres", "nobody"];

/// A user of this machine.
pub(super) struct Account {
    pub(super) name: &'static str,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The user to run as: `None` if that is ourselves, because we are not root.
    pub(super) fn fit() -> Result<Option<Self>, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").map_err(|e| format!("can't read the list of users: {e}"))?;
        let found = FIT.iter().find_map(|name| Self::among(&users, name));
        let none = || format!("PostgreSQL doesn't run as root and there is no user `{}` or `{}`", FIT[0], FIT[1]);
        found.map(Some).ok_or_else(none)
    }

    /// The user `name` in a text of the form of `passwd(5)`.
    fn among(users: &str, name: &'static str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let own = fields.next() == Some(name);
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            own.then_some(Self { name, uid, gid })
        })
    }

    /// Whether this user can go through a folder.
    pub(super) fn enters(&self, folder: &Path) -> bool {
        fs::metadata(folder).is_ok_and(|about| {
            let mode = about.mode();
            let bit = if about.uid() == self.uid {
                0o100
            } else if about.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            mode & bit != 0
        })
    }
}
