//! Rehearsals: a chat transcript is played against a config, with a clock that the story moves and providers that only
//! plan. The language is described in `docs/rehearse.md`.
//!
//! Nothing here plays a part of its own: the engine, its ledger, the rules, the grammar, the cards and the answers are
//! those of the service. A story stands in for the people, the providers' targets, the chats' walls and the clock
//! ([`stage`]), and looks at nothing but what the chats show, what the ledger says and which doors are open.
//!
//! | file | what it is |
//! |---|---|
//! | `parse`, `scan`, `moment`, `story` | a story's text, to statements |
//! | `cast`, `folders` | whom and what a story may name, and the configs that it loads |
//! | `stage`, `clock`, `world`, `chats`, `groups` | where it is played |
//! | `player`, `expect`, `picture` | how it is played, and what is looked at |
//! | `report` | what is told of it |

mod cast;
mod chats;
mod clock;
mod expect;
mod folders;
mod groups;
mod moment;
mod parse;
mod picture;
mod player;
mod report;
mod scan;
mod stage;
mod story;
mod world;

use std::path::Path;

pub use cast::Cast;
pub use parse::{STEPS_MAX, STORY_BYTES_MAX, parse};
pub use player::play;
pub use report::{AnswerReport, Failure, Outcome, ProblemReport, StepReport, StoryReport, summary};
pub use stage::Kit;
pub use story::Story;

use crate::config::{Config, Problem};
use folders::Folders;

/// Reads a story from its file, against the config in `folder`. Folders that it names are beside it.
///
/// # Errors
/// Every mistake in it, or why the file can't be read.
pub fn read(path: &Path, folder: &Path, config: &Config) -> Result<Story, Vec<Problem>> {
    let name = path.display().to_string();
    let whole = |words: String, hint: &str| {
        let hint = Some(hint.to_owned());
        vec![Problem { file: name.clone(), line: 0, column: 0, words, hint, source: None, warning: false }]
    };
    let bytes = read_bytes(path)
        .map_err(|error| whole(format!("it can't be read: {error}"), "a story is a text file, by custom `*.story`"))?;
    if bytes.len() > STORY_BYTES_MAX {
        let words = format!("it is longer than a story may be, {STORY_BYTES_MAX} bytes");
        return Err(whole(words, "tell it in several files"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        whole(format!("not UTF-8, from byte {}", error.utf8_error().valid_up_to()), "save it as UTF-8")
    })?;
    let mut folders =
        Folders::new(folder).map_err(|error| whole(error.to_string(), "there has to be room in `$TMPDIR`"))?;
    let beside = path.parent().unwrap_or(Path::new(""));
    parse(&name, &text, Cast::of(config), &mut |folder| folders.lay(&beside.join(folder)))
}

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    // One byte more than fits, so that a longer one is seen to be longer.
    std::fs::File::open(path)?.take(STORY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
