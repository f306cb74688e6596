//! `bot-config/` to typed values: checked whole before anything starts, every mistake at once.
//!
//! | file | what it holds |
//! |---|---|
//! | `countersign.toml` | the ledger, the HTTP server, the chats, the limits |
//! | `resources.toml` | what is protected, and who decides over it |
//! | `people.toml` | principals and groups |
//!
//! Secrets are never in these files: a key or a value that looks like one is a mistake.

mod people;
mod problem;
mod reader;
mod resources;
mod secrets;
mod server;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use sha2::{Digest, Sha256};

pub use people::Person;
pub use problem::{Problem, Source, nearest};
pub use server::Server;

use crate::policy::Facts;
use reader::Reader;

/// A config file longer than this is not one.
const FILE_SIZE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Problems are told up to this many; a file that is wholly wrong would flood the terminal.
pub const PROBLEMS_TOLD_MAX: usize = 100;

/// A whole config.
#[derive(Debug, Clone)]
pub struct Config {
    /// `countersign.toml`.
    pub server: Server,
    /// Principals, by name.
    pub people: BTreeMap<String, Person>,
    /// Groups and their members.
    pub groups: BTreeMap<String, Vec<String>>,
    /// The names of the resources, in the file's order.
    pub resources: Vec<String>,
    /// People, groups and resources as the rules read them.
    pub facts: Facts,
    /// Each file's name and the SHA-256 of its bytes, lowercase hex: the rules of the day, for the record.
    pub files: Vec<(String, String)>,
}

impl Config {
    /// Where the HTTP server listens.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.server.listen
    }
}

/// Loads a config folder.
///
/// # Errors
/// Every mistake in every file, in their order.
pub fn load(dir: &Path) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    let mut texts = BTreeMap::new();
    for file in ["countersign.toml", "resources.toml", "people.toml"] {
        match read(&dir.join(file)) {
            Ok(text) => {
                files.push((file.to_owned(), hex::encode(Sha256::digest(text.as_bytes()))));
                texts.insert(file, text);
            }
            Err(words) => {
                problems.push(whole_file(file, words));
                texts.insert(file, String::new());
            }
        }
    }
    let missing: Vec<String> = problems.iter().map(|problem| problem.file.clone()).collect();
    let text = |file: &str| texts.get(file).map_or("", String::as_str);
    let mut faults = |file: &'static str, found: Vec<Problem>| {
        // What is missing from a file that is missing goes without saying.
        if !missing.iter().any(|missing| missing == file) {
            problems.extend(found);
        }
    };

    let reader = Reader::new(Source { file: "countersign.toml", text: text("countersign.toml") });
    let server = server::read(&reader);
    faults("countersign.toml", reader.into_problems());

    let reader = Reader::new(Source { file: "people.toml", text: text("people.toml") });
    let (people, groups) = people::read(&reader);
    let whole = reader.sound() && !missing.iter().any(|file| file == "people.toml");
    faults("people.toml", reader.into_problems());

    let mut facts = Facts::new();
    for person in people.values() {
        facts.add_person(&person.name, person.accounts());
    }
    for (group, members) in &groups {
        facts.add_group(group, members.iter().cloned());
    }
    let reader = Reader::new(Source { file: "resources.toml", text: text("resources.toml") });
    let known = resources::Known { people: &people, groups: &groups, facts: &facts, server: server.as_ref(), whole };
    let resources = resources::read(&reader, &known);
    faults("resources.toml", reader.into_problems());
    let reader = Reader::new(Source { file: "countersign.toml", text: text("countersign.toml") });
    let security = known.server.map(|server| resources::whos(&reader, &server.security, &known)).unwrap_or_default();
    faults("countersign.toml", reader.into_problems());
    facts.set_security(server.as_ref().and_then(|server| server.security_channel.clone()), security);
    let names = resources.iter().map(|guarded| guarded.resource.name.clone()).collect();
    for guarded in resources {
        facts.add_resource(guarded);
    }
    match server {
        Some(server) if problems.is_empty() => Ok(Config { server, people, groups, resources: names, facts, files }),
        Some(_) | None => Err(problems),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if size > FILE_SIZE_BYTES_MAX {
        return Err(format!("{size} bytes are more than a config file may have ({FILE_SIZE_BYTES_MAX})"));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    String::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8, from byte {}; save it as UTF-8", error.utf8_error().valid_up_to()))
}

fn unreadable(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        return "there is no such file".into();
    }
    format!("can't be read: {error}")
}

fn whole_file(file: &str, words: String) -> Problem {
    let hint = Some("`bot-config/` in the source is a complete sample to start from".into());
    Problem { file: file.into(), line: 0, column: 0, words, hint, source: None }
}

/// A name that can stand in commands, ids and file names: lower case, digits, `.`, `_` and `-`, from a letter or digit.
fn is_name(text: &str) -> bool {
    const NAME_BYTES_MAX: usize = 64;
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let mut bytes = text.bytes();
    text.len() <= NAME_BYTES_MAX
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(inner)
}

/// Reads a key that has to be a name, and says what a name is where it isn't one.
fn name_in(reader: &Reader<'_>, key: &str, text: reader::Placed<String>) -> Option<reader::Placed<String>> {
    if is_name(&text.value) {
        return Some(text);
    }
    let hint = "a name is lower case letters, digits, `.`, `_` and `-`, at most 64, from a letter or a digit";
    reader.report(text.offset, format!("`{key}` is no name: {:?}", text.value), Some(hint.into()));
    None
}
