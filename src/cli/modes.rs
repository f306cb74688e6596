//! Whether what is secret in a ledger's folder is its owner's alone. It is said, and not refused: a service that doesn't
//! start ends no access.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::place;

/// What nobody but the owner may have of a secret file in the ledger's folder.
const OTHERS: u32 = 0o077;
/// Of one outside: it may be somebody else's, who lets our group read it.
const STRANGERS: u32 = 0o007;

/// What is open to others: in words, each with what to do. Files that are not there are none.
pub fn open_to_others(ledger: &Path, key_file: Option<&PathBuf>) -> Vec<String> {
    let names = ["signing-key.pem", "signing-key.next.pem", "signing-key.old.pem"];
    let inside = names.map(|name| (ledger.join(name), OTHERS));
    let signing = inside.into_iter().chain(key_file.map(|path| (path.clone(), STRANGERS)));
    let mut words: Vec<String> =
        signing.filter_map(|(path, mask)| Some(signing_key(&path, mode(&path, mask)?))).collect();
    let keys = ledger.join("keys");
    let inside = fs::read_dir(&keys).into_iter().flatten().flatten();
    let open = inside.filter(|file| mode(&file.path(), OTHERS).is_some()).count();
    let folder = mode(&keys, OTHERS);
    if folder.is_some() || open > 0 {
        words.push(peoples_keys(&place::whole(&keys), folder, open));
    }
    words
}

fn signing_key(path: &Path, mode: u32) -> String {
    let path = place::whole(path);
    let path = path.display();
    format!(
        "{path} is open to others (mode {mode:04o}), and whoever reads it can sign in the ledger's name: `chmod 600 {path}`, and \
         if somebody may have read it, `countersign rotate-key`"
    )
}

fn peoples_keys(keys: &Path, folder: Option<u32>, open: usize) -> String {
    let keys = keys.display();
    let folder = folder.map_or_else(String::new, |mode| format!(" (mode {mode:04o})"));
    format!(
        "{keys}{folder} or keys in it ({open}) are open to others, and whoever reads them can read what people wrote, also after \
         an erasure; whoever may change the folder can erase: `chmod -R go= {keys}`"
    )
}

/// The mode of a file or folder, if it has some of these bits. A link has none of its own.
fn mode(path: &Path, mask: u32) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & mask != 0).then_some(mode)
}
