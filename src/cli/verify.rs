//! `verify`: checks what lies at a path, or what a server serves, with nothing but the bytes.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::mpsc::channel,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Outcome, Stop, evidence, out::say};
use crate::{
    access::Event,
    ledger::{
        Progress, VerifierKey,
        verify::{Anchor, Fetch, Report, VerifyOptions, verify, verify_public},
    },
};

/// A server that has not answered by then has not answered.
const ANSWER_SECS_MAX: u64 = 30;
/// How long to wait before each further try, when a server may answer a moment later.
const RETRIES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// A check that is shorter than this needs no bar.
const BAR_FROM_BYTES: u64 = 16 * 1024 * 1024;

/// Check a ledger's folder, a public copy, an export, a list of lines or a proof
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Inside a log nothing can show that its tail was cut off, or that it was rewritten with a live key. \
That takes a memory elsewhere: give one with --anchor, or the check says that freshness is unproven.\n\n\
Exit code 0: nothing is wrong; 1: something is; 75: it could not be read, so nothing is known.\n\n\
Example: countersign verify data --anchor checkpoint-from-monday.txt"
)]
pub struct Args {
    /// What to check: a path, or the URL of a public copy such as `https://countersign.example.com/log/`
    #[arg(value_name = "PATH|URL")]
    path: String,
    /// A head that was kept elsewhere: a checkpoint file, or the line that was posted in the chat; may be repeated
    #[arg(long, value_name = "FILE|LINE")]
    anchor: Vec<String>,
    /// The log's first verifier key, if you have pinned it. For a proof it is needed, and is the log's key that signed its
    /// head: after a rotation another one than the first; `verify` of the log or its public copy lists those that are live
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The public key of your Discord application, 64 hex digits: checks that Discord signed what came over HTTP. Needs
    /// a ledger's folder with its `keys/`
    #[arg(long, value_name = "HEX")]
    discord_key: Option<String>,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> Outcome {
    let mut options = VerifyOptions::new(Event::knows);
    for anchor in &args.anchor {
        options.anchors.push(read_anchor(anchor)?);
    }
    if let Some(key) = &args.key {
        let wrong = |error| Stop::Finding(format!("--key is no verifier key: {error}"));
        options.key = Some(VerifierKey::parse(key).map_err(wrong)?);
    }
    let bar = ProgressBar::hidden();
    let shown = bar.clone();
    options.progress = Box::new(move |progress| show(&shown, progress));
    let report = if args.path.starts_with("http://") || args.path.starts_with("https://") {
        Ok(verify_public(&Served::at(&args.path), options))
    } else {
        verify(Path::new(&args.path), options).map_err(|error| Stop::Finding(error.to_string()))
    };
    bar.finish_and_clear();
    let mut report = report?;
    let signed = match &args.discord_key {
        Some(key) if report.holds() => Some(evidence::check(Path::new(&args.path), key)?),
        Some(_) => {
            report.remarks.push("what Discord signed was not checked, as the ledger has faults".into());
            None
        }
        None => None,
    };
    tell(&report, signed.as_ref(), args.json)
}

fn tell(report: &Report, signed: Option<&evidence::Signed>, json: bool) -> Outcome {
    if json {
        let mut whole = serde_json::to_value(report)?;
        if let (Some(signed), Some(whole)) = (signed, whole.as_object_mut()) {
            whole.insert("discord".to_owned(), serde_json::to_value(signed)?);
        }
        say!("{}", serde_json::to_string_pretty(&whole)?);
    } else {
        say!("{report}");
        if let Some(signed) = signed {
            say!("{signed}");
        }
    }
    if report.unchecked() {
        return Err(Stop::Unread("it could not be checked: that says nothing about whether it holds".into()));
    }
    match report.found().len() + signed.map_or(0, |signed| signed.faults.len()) {
        0 if report.holds() => Ok(()),
        1 => Err(Stop::Finding("1 fault".into())),
        many => Err(Stop::Finding(format!("{many} faults"))),
    }
}

/// A file's contents if there is such a file, else the text itself. The file may be a pipe, with a program behind it.
fn read_anchor(text: &str) -> Result<Anchor, Stop> {
    const ANCHOR_BYTES_MAX: u64 = 1024 * 1024;
    let wrong = |error: &dyn Display| Stop::Finding(format!("--anchor {text}: {error}"));
    let mut contents = String::new();
    match File::open(text) {
        Ok(file) => {
            let read = file.take(ANCHOR_BYTES_MAX + 1).read_to_string(&mut contents).map_err(|error| wrong(&error))?;
            if read as u64 > ANCHOR_BYTES_MAX {
                return Err(wrong(&format!("more than {ANCHOR_BYTES_MAX} bytes are no checkpoint")));
            }
        }
        Err(error) if Path::new(text).exists() => return Err(wrong(&error)),
        Err(_) => text.clone_into(&mut contents),
    }
    Anchor::parse(&contents).map_err(|error| Stop::Finding(format!("--anchor: {error}")))
}

fn show(bar: &ProgressBar, progress: Progress) {
    if progress.total_bytes < BAR_FROM_BYTES {
        return;
    }
    if bar.length() != Some(progress.total_bytes) {
        bar.set_length(progress.total_bytes);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}  {eta} left") {
            bar.set_style(style);
        }
        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
    }
    bar.set_position(progress.done_bytes);
}

/// A public copy that is served over HTTP.
struct Served {
    base: String,
    agent: ureq::Agent,
}

impl Served {
    fn at(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(ANSWER_SECS_MAX)))
            .http_status_as_error(false)
            .build();
        Self { base: url.trim_end_matches('/').to_owned(), agent: config.into() }
    }

    fn once(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Unanswered> {
        let may_pass = |error: &dyn Display| Unanswered { error: io::Error::other(error.to_string()), may_pass: true };
        let answer = self.agent.get(format!("{}/{path}", self.base)).call().map_err(|error| may_pass(&error))?;
        match answer.status().as_u16() {
            200 => {
                let mut bytes = Vec::new();
                let body = answer.into_body().into_reader().take(limit as u64 + 1).read_to_end(&mut bytes);
                body.map_err(|error| may_pass(&error))?;
                Ok(Some(bytes))
            }
            404 | 410 => Ok(None),
            other => {
                let error = io::Error::other(format!("the server answers {other}"));
                Err(Unanswered { error, may_pass: other == 429 || other >= 500 })
            }
        }
    }
}

/// Why a server did not hand something out.
struct Unanswered {
    error: io::Error,
    /// Whether it may do so a moment later.
    may_pass: bool,
}

impl Fetch for Served {
    fn fetch(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let (_waiting, wait) = channel::<()>();
        for pause in RETRIES {
            match self.once(path, limit) {
                // Nobody sends: it is a rest.
                Err(unanswered) if unanswered.may_pass => drop(wait.recv_timeout(pause)),
                done => return done.map_err(|unanswered| unanswered.error),
            }
        }
        self.once(path, limit).map_err(|unanswered| unanswered.error)
    }
}
