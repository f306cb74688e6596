//! `rehearse`: plays stories against a config.

use std::path::{Path, PathBuf};

use super::{
    ConfigDir, Outcome, Stop,
    out::{self, say},
    service, start_logging,
};
use crate::{
    config::Config,
    engine::Fatal,
    rehearse::{self, Kit, StoryReport, summary},
};

/// The language, in brief.
const HELP: &str = "A story is a chat transcript, a statement a line:

  @name: /access …                 what a person says to Countersign; `$fix` in it is a request's id
  @name: /access … => $fix         and what the request that comes of it is called from now on
  @name on slack in #dba: …        from that account of theirs, in that channel
  @name presses Approve on $fix    a button of the card; `: text` fills in the form behind it
  @name repeats                    the same message is delivered once more
  after 31m                        time passes, through everything that is due
  at 2026-11-21 02:00              up to a moment; as the first statement, when the story starts
  restart                          the service stops, and starts again over the same ledger
  reload stricter                  the config in this folder, beside the story, holds from now on
  group oncall is @a, @b           who is in a group that is kept elsewhere; or `nobody`, or `away`
  clock is 2h behind               what the machine's clock shows; or `clock is right`
  provider prod-db fails           or `hangs`, or `is back`
  expect card $fix in #approvals: prod-db, 0 of 1
  expect refusal: words            or its code; without this, what is refused fails the story
  expect answer: words             expect fault: words
  expect grant $fix live           also `live until 09:30`, `ended expired`
  expect notice to @name: words    expect entry grant.issued    expect verify
  expect in #security: words       what was posted for the whole channel
  expect no card …                 also `no notice`, `no entry`, `nothing in #channel`
  # a comment

docs/rehearse.md has every form. Exit code 0 if all stories go as they say, 1 if not, 2 for a wrong command line.

Example: countersign rehearse --config bot-config bot-config/stories/*.story";

/// Play stories against a config, with a clock that they move and providers that only plan
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The stories; of a folder, all its `*.story` files
    #[arg(required = true, value_name = "STORY")]
    stories: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigDir,
    /// Keep the ledger that the story writes in DIR, which is not there yet or empty; of several, each in a folder of its
    /// name
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write a JSON object a story, a line each
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> Outcome {
    // Logs are for whoever looks for a fault of ours; a story is told by its report.
    if std::env::var_os("RUST_LOG").is_some() {
        start_logging();
    }
    let config = args.config.load()?;
    let stories = files(&args.stories)?;
    if let Some(dir) = &args.keep {
        be_empty(dir)?;
    }
    let mut kept = Vec::new();
    let mut reports = Vec::new();
    for path in &stories {
        let keep = args.keep.as_ref().map(|dir| match stories.as_slice() {
            [_] => dir.clone(),
            _ => dir.join(own_name(path, &mut kept)),
        });
        let report = rehearse(path, (&args.config.config, &config), keep.as_deref())?;
        if args.json {
            say!("{}", serde_json::to_string(&report)?);
        } else {
            out::part(&report);
        }
        reports.push(report);
    }
    let failed = reports.iter().any(|report| report.outcome != rehearse::Outcome::Passed);
    let summary = summary(&reports);
    if failed {
        return Err(Stop::Finding(summary));
    }
    if !args.json {
        say!("{summary}");
    }
    Ok(())
}

/// Plays one story, in a runtime with one thread: what it does is done in the same order every time.
fn rehearse(path: &Path, (folder, config): (&Path, &Config), keep: Option<&Path>) -> Result<StoryReport, Stop> {
    let story = match rehearse::read(path, folder, config) {
        Ok(story) => story,
        Err(problems) => return Ok(StoryReport::unreadable(&path.display().to_string(), problems)),
    };
    let temporary = tempfile::Builder::new().prefix("countersign-rehearsal-").tempdir()?;
    let data = match keep {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|error| Stop::Finding(format!("{}: {error}", dir.display())))?;
            dir.to_owned()
        }
        None => temporary.path().join("ledger"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kit = Kit { book: service::rehearsed, widened: service::widened };
    let providers = temporary.path().join("providers");
    let played = runtime.block_on(rehearse::play(&story, config, kit, (&data, &providers)));
    let mut report = played.map_err(|error| match error.downcast_ref::<Fatal>() {
        Some(Fatal::Open(_)) => Stop::Finding(format!("{error:#}")),
        Some(Fatal::Entry(_) | Fatal::Read(_) | Fatal::Broken(_)) | None => Stop::Fault(error),
    })?;
    report.ledger = keep.map(|dir| dir.display().to_string());
    Ok(report)
}

/// The stories that were named, and those in folders that were named.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, Stop> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "story") {
                inside.push(path);
            }
        }
        if inside.is_empty() {
            return Err(Stop::Finding(format!("there is no `*.story` file in {}", path.display())));
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

fn be_empty(dir: &Path) -> Result<(), Stop> {
    let wrong = |why: String| Stop::Finding(format!("--keep {}: {why}", dir.display()));
    match std::fs::read_dir(dir) {
        Ok(entries) => match entries.count() {
            0 => Ok(()),
            _ => Err(wrong("the folder is not empty".to_owned())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// A folder's name for a story's ledger that no other story has.
fn own_name(path: &Path, taken: &mut Vec<String>) -> String {
    let stem = path.file_stem().map_or_else(|| "story".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let mut name = stem.clone();
    let mut n = 1;
    while taken.contains(&name) {
        n += 1;
        name = format!("{stem}-{n}");
    }
    taken.push(name.clone());
    name
}
