//! The file of a plugin, as it was when its hash was taken.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use super::host::Copy;
use crate::provider::{ProviderError, files::Folder, protocol::Verb};

/// Largest program, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// So much of it is read at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// A copy to start. A door that was opened by this very program is also looked at and shut by it when its file has been
/// replaced since, or is gone: it is kept beside the providers' own files as soon as it grants anything.
pub fn fit(path: &Path, pin: &[u8; 32], verb: Verb, folder: &Folder) -> Result<Copy, ProviderError> {
    let name = format!("plugin-{}", hex::encode(pin));
    match (copy(path, pin), verb) {
        (Ok(found), Verb::Grant) => {
            if !folder.path(&name).exists() {
                let unread =
                    |error: io::Error| ProviderError::Retry(format!("its copy can't be read: {}", error.kind()));
                let bytes = fs::read(found.path()).map_err(unread)?;
                let held = folder.lock()?;
                folder.write(&name, &bytes, &held)?;
            }
            Ok(found)
        }
        (Err(error), Verb::Revoke | Verb::List | Verb::Activity) => copy(&folder.path(&name), pin).map_err(|_| error),
        (Ok(found), _) => Ok(found),
        (Err(error), _) => Err(error),
    }
}

/// A copy of the file that can be started and can't be changed, if it is the one that is pinned.
fn copy(path: &Path, pin: &[u8; 32]) -> Result<Copy, ProviderError> {
    let shown = path.display();
    let unread = |error: io::Error| {
        let words = format!("its file {shown} can't be read: {}", error.kind());
        // A file that is being replaced is back in a moment.
        if error.kind() == io::ErrorKind::NotFound {
            ProviderError::Permanent(words)
        } else {
            ProviderError::Retry(words)
        }
    };
    let about = fs::metadata(path).map_err(unread)?;
    if !about.is_file() || about.len() > FILE_BYTES_MAX {
        return Err(ProviderError::Permanent(format!("{shown} is not a program")));
    }
    let mut file = File::open(path).map_err(unread)?.take(FILE_BYTES_MAX);
    let unsealed = |error: io::Error| {
        ProviderError::Permanent(format!(
            "no copy of it can be started on this host: {} (`sysctl vm.memfd_noexec` has to be less than 2)",
            error.kind()
        ))
    };
    let mut copy = Copy::new(path).map_err(unsealed)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut chunk).map_err(unread)?;
        let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else { break };
        hash.update(read);
        copy.add(read).map_err(unsealed)?;
    }
    if hash.finalize().as_slice() != pin {
        return Err(ProviderError::Permanent(format!(
            "its file {shown} is not the one that is pinned: it was not started; look who changed it, and then put its \
             new hash into `sha256`"
        )));
    }
    copy.seal().map_err(unsealed)?;
    Ok(copy)
}
