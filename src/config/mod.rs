//! `bot-config/` to typed values: checked whole before anything starts, every mistake at once.
//!
//! | file | what it holds |
//! |---|---|
//! | `countersign.toml` | the ledger, the HTTP server, the chats, the limits |
//! | `resources.toml` | what is protected, and who decides over it |
//! | `people.toml` | principals and groups |
//! | `policy.cedar` | rules beyond the lists of `resources.toml`; may be empty, but has to be there |
//!
//! A mistake stops the start; a warning does not: a person in no group, names that look alike, an approver whom no chat
//! reaches, a policy that can never apply. `countersign check --strict` takes warnings for mistakes.
//!
//! Secrets are never in these files: a key or a value that looks like one is a mistake.

pub mod chats;
mod checks;
mod look_alike;
mod people;
mod problem;
mod reader;
mod resources;
pub mod schema;
mod secrets;
mod server;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use sha2::{Digest, Sha256};

pub use people::Person;
pub use problem::{Problem, Source, nearest};
pub use server::Server;

use crate::policy::{Book, Facts, Policies};
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
    /// Groups and the people in them, right through, as far as the config itself says it.
    pub groups: BTreeMap<String, Vec<String>>,
    /// The names of the resources, in the file's order.
    pub resources: Vec<String>,
    /// People, groups and resources as the rules read them.
    pub facts: Facts,
    /// The policies.
    pub book: Book,
    /// Each file's name and the SHA-256 of its bytes, lowercase hex: the rules of the day, for the record.
    pub files: Vec<(String, String)>,
    /// What is probably a mistake.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Where the HTTP server listens.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.server.listen
    }

    /// The rules, with nobody in the groups that have a source.
    ///
    /// # Errors
    /// What the loading of the config would have found.
    pub fn policies(&self) -> Result<Policies, String> {
        let policies = Policies::new(self.facts.clone(), self.book.clone())?;
        Ok(policies.with_ticket(self.server.ticket_pattern.clone()))
    }
}

/// The files of a config folder, in the order in which they are read.
pub const FILES: [&str; 4] = ["countersign.toml", "resources.toml", "people.toml", "policy.cedar"];

/// The files of a folder, as far as they can be read.
struct Folder {
    files: Vec<(String, String)>,
    texts: BTreeMap<&'static str, String>,
    problems: Vec<Problem>,
}

impl Folder {
    fn read(dir: &Path) -> Self {
        let (files, texts, problems) = Default::default();
        let mut folder = Self { files, texts, problems };
        for file in FILES {
            match read(&dir.join(file)) {
                Ok(text) => {
                    folder.files.push((file.to_owned(), hex::encode(Sha256::digest(text.as_bytes()))));
                    folder.texts.insert(file, text);
                }
                Err(words) => folder.problems.push(whole_file(file, words)),
            }
        }
        folder
    }

    fn source<'a>(&'a self, file: &'a str) -> Source<'a> {
        Source { file, text: self.texts.get(file).map_or("", String::as_str) }
    }

    /// What is missing from a file that is missing goes without saying.
    fn note(&mut self, file: &str, found: Vec<Problem>) {
        if self.texts.contains_key(file) {
            self.problems.extend(found);
        }
    }
}

/// Loads a config folder.
///
/// # Errors
/// Every mistake in every file, in their order, and what is probably one.
pub fn load(dir: &Path) -> Result<Config, Vec<Problem>> {
    let mut folder = Folder::read(dir);
    let mut found: Vec<(&str, Vec<Problem>)> = Vec::new();

    let reader = Reader::new(folder.source("countersign.toml"));
    let server = server::read(&reader);
    found.push(("countersign.toml", reader.into_problems()));

    let reader = Reader::new(folder.source("people.toml"));
    let people::Read { people, groups, members_whole } = people::read(&reader, server.as_ref());
    let whole = reader.sound() && folder.texts.contains_key("people.toml");
    found.push(("people.toml", reader.into_problems()));

    let mut facts = Facts::new();
    for person in people.values() {
        facts.add_person(&person.name, person.accounts());
        if let Some(email) = &person.email {
            facts.set_email(&person.name, email);
        }
    }
    for (name, group) in &groups {
        facts.put_group(name, group.clone());
    }
    let reader = Reader::new(folder.source("resources.toml"));
    let known = resources::Known { people: &people, groups: &groups, server: server.as_ref(), whole };
    let resources = resources::read(&reader, &known);
    let mut of_resources = reader.into_problems();
    let reader = Reader::new(folder.source("countersign.toml"));
    let security = known.server.map(|server| resources::whos(&reader, &server.security, &known)).unwrap_or_default();
    found.push(("countersign.toml", reader.into_problems()));
    facts.set_security(server.as_ref().and_then(|server| server.security_channel.clone()), security);
    for read in &resources {
        facts.add_resource(read.guarded.clone());
    }

    let source = folder.source("policy.cedar");
    let reading = Book::read(source.text, Some(&facts));
    let of_policies = reading.remarks.iter().map(|remark| {
        let problem = source.problem(remark.offset, remark.words.clone(), remark.hint.clone());
        Problem { warning: remark.warning, ..problem }
    });
    found.push(("policy.cedar", of_policies.collect()));

    if let Some(server) = server.as_ref().filter(|_| whole) {
        let checks = checks::Checks { facts: &facts, people: &people, server };
        if members_whole {
            found.push(("people.toml", checks.of_people(&folder.source("people.toml"))));
        }
        let draft = reading.draft.as_ref();
        of_resources.extend(checks.of_resources(&folder.source("resources.toml"), &resources, draft));
    }
    found.push(("resources.toml", of_resources));

    for (file, problems) in found {
        folder.note(file, problems);
    }
    let Folder { files, mut problems, .. } = folder;
    problems.sort_by_key(|problem| (FILES.iter().position(|file| *file == problem.file), problem.line, problem.column));
    let groups = facts.flat(&BTreeMap::new());
    let groups = groups.into_iter().map(|(name, people)| (name, people.into_iter().collect())).collect();
    match (server, reading.book) {
        (Some(server), Some(book)) if problems.iter().all(|problem| problem.warning) => {
            let resources = resources.into_iter().map(|read| read.guarded.resource.name).collect();
            Ok(Config { server, people, groups, resources, facts, book, files, warnings: problems })
        }
        (Some(_) | None, Some(_) | None) => Err(problems),
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
    let hint = match file {
        "policy.cedar" => "an empty file will do: `resources.toml` then says it all",
        _ => "`bot-config/` in the source is a complete sample to start from",
    };
    let hint = Some(hint.into());
    Problem { file: file.into(), line: 0, column: 0, words, hint, source: None, warning: false }
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

/// Reads a key that has to be a channel: a name of ours, or a platform's own id.
fn channel_in(reader: &Reader<'_>, text: reader::Placed<String>) -> Option<reader::Placed<String>> {
    if chats::is_slack_id(&text.value) { Some(text) } else { name_in(reader, "channel", text) }
}
