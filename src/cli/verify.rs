//! `verify`: checks what lies at a path, or what a server serves, with nothing but the bytes.

use std::{
    fmt::Display,
    fs::File,
    io::{self, ErrorKind, Read as _},
    path::Path,
    sync::mpsc::channel,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Outcome, Stop, evidence, out::say};
use crate::{
    access::Event,
    chat::discord::evidence::Key,
    ledger::{
        Class, Fault, Progress, VerifierKey,
        verify::{Anchor, Fetch, Report, VerifyError, VerifyOptions, verify, verify_public},
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
Exit code 0: nothing is wrong; 1: something is; 2: it was asked for what can't be done, or there is no such path; 75: it \
could not be read, so nothing is known.\n\n\
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

/// What is to be checked.
enum Target<'a> {
    Path(&'a Path),
    /// A public copy behind an address, its scheme in lower case.
    Served(String),
}

pub fn main(args: &Args) -> Outcome {
    let target = target(&args.path)?;
    let discord = args.discord_key.as_deref().map(|key| discord_key(key, &target, &args.path)).transpose()?;
    let mut options = VerifyOptions::new(Event::knows);
    let mut unread = Vec::new();
    for anchor in &args.anchor {
        match read_anchor(anchor)? {
            Ok(anchor) => options.anchors.push(anchor),
            Err(words) => unread.push(words),
        }
    }
    if let Some(key) = &args.key {
        let wrong = |error| Stop::Usage(format!("--key is no verifier key: {error}"));
        options.key = Some(VerifierKey::parse(key).map_err(wrong)?);
    }
    let bar = ProgressBar::hidden();
    let shown = bar.clone();
    options.progress = Box::new(move |progress| show(&shown, progress));
    let report = match &target {
        Target::Served(url) => Ok(verify_public(&Served::at(url), options)),
        Target::Path(path) => verify(path, options),
    };
    bar.finish_and_clear();
    let mut report = report.map_err(|error| stop(&error))?;
    report.faults.extend(unread.into_iter().map(|words| Fault::of_log(Class::Io, words)));
    let signed = match (discord, &target) {
        (Some(key), Target::Path(path)) => signed(path, &key, &mut report),
        (Some(_), Target::Served(_)) | (None, _) => None,
    };
    tell(&report, signed.as_ref(), args.json)
}

fn target(text: &str) -> Result<Target<'_>, Stop> {
    let path = Target::Path(Path::new(text));
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(path) };
    let of_a_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.chars().all(of_a_scheme) {
        return Ok(path);
    }
    match scheme.to_ascii_lowercase() {
        scheme if scheme == "http" || scheme == "https" => Ok(Target::Served(format!("{scheme}://{rest}"))),
        scheme => Err(Stop::Usage(format!(
            "nothing can be read over `{scheme}`: give an address that begins with http:// or https://, or a path"
        ))),
    }
}

/// The key of a Discord application, for a target that can have what Discord signed.
fn discord_key(key: &str, target: &Target<'_>, named: &str) -> Result<Key, Stop> {
    let key = evidence::key(key)?;
    let has_disclosures = match target {
        Target::Served(_) => false,
        Target::Path(path) => !path.is_file() && (path.join("journal").exists() || !path.join("checkpoint").exists()),
    };
    if has_disclosures {
        return Ok(key);
    }
    let words = format!(
        "--discord-key needs a ledger's folder with its `keys/`: what Discord signed is among the disclosures, and {named} has \
         none that are sealed"
    );
    Err(Stop::Usage(words))
}

/// Looks at what Discord signed, where a log that holds has it readable.
fn signed(path: &Path, key: &Key, report: &mut Report) -> Option<evidence::Signed> {
    let why = if report.unchecked() {
        "could not be checked"
    } else if !report.holds() {
        "has faults"
    } else if report.disclosures.not_opened > 0 {
        "was checked without its `keys/`"
    } else {
        match evidence::check(path, key) {
            Ok(signed) => return Some(signed),
            Err(error) => {
                let words = format!("what Discord signed could not be read: {error}");
                report.faults.add(Fault::of_log(Class::Io, words));
                return None;
            }
        }
    };
    report.remarks.push(format!("what Discord signed was not checked, as the ledger {why}"));
    None
}

fn stop(error: &VerifyError) -> Stop {
    let words = error.to_string();
    match error {
        VerifyError::NotFound(_) | VerifyError::NoKey => Stop::Usage(words),
        VerifyError::NotALedger(_) | VerifyError::Inside { .. } | VerifyError::NotEntries(_) | VerifyError::Both(_) => {
            Stop::Finding(words)
        }
    }
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

/// The anchor in a file if there is such a file, else the one in the text itself; the words say that the file can't be read. It
/// may be a pipe, with a program behind it.
fn read_anchor(text: &str) -> Result<Result<Anchor, String>, Stop> {
    const ANCHOR_BYTES_MAX: u64 = 1024 * 1024;
    let named = name(text);
    let wrong = |error: &dyn Display| Stop::Usage(format!("--anchor {named}: {error}"));
    let mut contents = String::new();
    let read = File::open(text).and_then(|file| file.take(ANCHOR_BYTES_MAX + 1).read_to_string(&mut contents));
    match read {
        Ok(read) if read as u64 > ANCHOR_BYTES_MAX => {
            Err(wrong(&format!("more than {ANCHOR_BYTES_MAX} bytes are no checkpoint")))
        }
        Ok(_) => Anchor::parse(&contents).map(Ok).map_err(|error| wrong(&error)),
        Err(error) => match (Anchor::parse(text), error.kind()) {
            (Ok(anchor), _) => Ok(Ok(anchor)),
            (Err(_), ErrorKind::InvalidData | ErrorKind::IsADirectory) => Err(wrong(&error)),
            // A text can be no name of a file for more than one reason.
            (Err(_), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename) => Err(wrong(
                &"there is no such file, and the words themselves hold no checkpoint and no line of the form `origin size root \
                  signature`",
            )),
            (Err(_), _) => Ok(Err(format!("the anchor {named} could not be read: {error}"))),
        },
    }
}

/// As much of an argument as fits into a message.
fn name(text: &str) -> String {
    const NAME_CHARS_MAX: usize = 100;
    let first = text.lines().next().unwrap_or_default();
    let shown: String = first.chars().take(NAME_CHARS_MAX).collect();
    if shown == text { shown } else { format!("{shown}…") }
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
    fn address(&self, path: &str) -> Option<String> {
        Some(format!("{}/{path}", self.base))
    }

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
