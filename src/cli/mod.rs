//! The command line: one file a subcommand. Results go to stdout, logs to stderr.
//!
//! Exit codes: 0 done, 1 a finding (the chain doesn't verify, the config is wrong, the ledger can't be used), 2 usage,
//! 70 a fault of ours, 75 what `verify` was to check could not be read, or what any command said could not be written: it
//! says nothing about whether something is wrong, and trying again may help.

mod chats;
mod check;
mod demo;
mod erase;
mod evidence;
mod explain;
mod export;
mod log;
mod modes;
mod out;
mod place;
mod prove;
mod providers;
mod rehearse;
mod reload;
mod rotate;
mod run;
mod schema;
mod service;
mod shelf;
mod signing;
mod status;
mod sweep;
mod verify;

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::config::{self, Config, PROBLEMS_TOLD_MAX};

/// Access that is asked for in chat, countersigned, short, and provable for ever.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, propagate_version = true, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Live the whole story in a browser: a throwaway ledger, several people to be, providers that work on the spot
    Demo(demo::Args),
    /// Run the service
    Run(run::Args),
    /// Check the config and every provider's credentials and rights
    Check(check::Args),
    /// Say who may ask, who could approve, what would decide, and why not, by the ids of the policies
    Explain(explain::Args),
    /// Write a JSON Schema for each TOML file, the Cedar schema of the policies, and the policies that are always in
    /// force
    Schema(schema::Args),
    /// Play stories against a config, with a clock that they move and providers that only plan
    Rehearse(rehearse::Args),
    /// Check a ledger, a public copy, an export or a proof, with nothing but its files
    Verify(verify::Args),
    /// Write the proof that an entry is in the ledger (c2sp.org/tlog-proof@v1)
    Prove(prove::Args),
    /// Write a ledger out in the C2SP tlog-tiles layout, with `log.jsonl`
    Export(export::Args),
    /// Have a running service load its config anew
    Reload(reload::Args),
    /// List the providers and what each can do; test one against its promises
    Providers(providers::Args),
    /// End what is overdue by its own mark, without ledger or service
    Sweep(sweep::Args),
    /// Read the ledger
    Log(log::Args),
    /// Make what a person wrote, and who they are, unreadable; every proof stays valid
    Erase(erase::Args),
    /// Replace the key that signs the ledger
    RotateKey(rotate::Args),
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
enum Stop {
    /// Something is wrong with what it was pointed at, and here is what.
    Finding(String),
    /// It was asked for something that can't be done like that.
    Usage(String),
    /// What was to be checked could not be read: that is no finding.
    Unread(String),
    /// Something is wrong with us.
    Fault(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

type Outcome = Result<(), Stop>;

const EXIT_FINDING: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_FAULT: u8 = 70;
const EXIT_UNREAD: u8 = 75;

/// Reads the command line, does what it says, and says how it went.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Demo(args) => demo::main(args),
        Command::Run(args) => run::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Explain(args) => explain::main(&args),
        Command::Schema(args) => schema::main(&args),
        Command::Rehearse(args) => rehearse::main(&args),
        Command::Verify(args) => verify::main(&args),
        Command::Prove(args) => prove::main(&args),
        Command::Export(args) => export::main(&args),
        Command::Reload(args) => reload::main(&args),
        Command::Providers(args) => providers::main(&args),
        Command::Sweep(args) => sweep::main(&args),
        Command::Log(args) => log::main(&args),
        Command::Erase(args) => erase::main(&args),
        Command::RotateKey(args) => rotate::main(&args),
    };
    let code = match outcome {
        Ok(()) => None,
        Err(Stop::Finding(words)) => {
            out::complain(&words);
            Some(EXIT_FINDING)
        }
        Err(Stop::Usage(words)) => {
            out::complain(&words);
            Some(EXIT_USAGE)
        }
        Err(Stop::Unread(words)) => {
            out::complain(&words);
            Some(EXIT_UNREAD)
        }
        Err(Stop::Fault(error)) => {
            out::complain(&format_args!("countersign: {error:#}"));
            Some(EXIT_FAULT)
        }
    };
    // A verdict is one, whether it was heard or not.
    let unsaid = out::end().err().map(|error| {
        out::complain(&format_args!("the output can't be written: {error}"));
        EXIT_UNREAD
    });
    code.or(unsaid).map_or(ExitCode::SUCCESS, ExitCode::from)
}

/// Where the config is.
#[derive(Debug, clap::Args)]
struct ConfigDir {
    /// The config folder
    #[arg(long, value_name = "DIR", default_value = "bot-config")]
    config: PathBuf,
}

impl ConfigDir {
    fn load(&self) -> Result<Config, Stop> {
        load(&self.config)
    }

    fn dir(&self) -> &Path {
        &self.config
    }
}

fn load(dir: &Path) -> Result<Config, Stop> {
    if !dir.is_dir() {
        let dir = dir.display();
        let hint =
            "`bot-config/` in the source is a complete sample to start from; `--config DIR` names another folder";
        return Err(Stop::Finding(format!("there is no config folder {dir}\n  hint: {hint}")));
    }
    config::load(dir).map_err(|problems| {
        let mut words: Vec<String> = problems.iter().take(PROBLEMS_TOLD_MAX).map(ToString::to_string).collect();
        let count = |warning: bool, what: &str| match problems.iter().filter(|p| p.warning == warning).count() {
            0 => None,
            1 => Some(format!("1 {what}")),
            many => Some(format!("{many} {what}s")),
        };
        let counts: Vec<String> = [count(false, "problem"), count(true, "warning")].into_iter().flatten().collect();
        let shown = if problems.len() > PROBLEMS_TOLD_MAX {
            format!(", of which the first {PROBLEMS_TOLD_MAX} are shown")
        } else {
            String::new()
        };
        words.push(format!("{} in {}{shown}", counts.join(" and "), dir.display()));
        Stop::Finding(words.join("\n\n"))
    })
}

/// Libraries that write tokens or messages into their logs, even into warnings: they are never heard.
const NEVER_HEARD: [&str; 3] = ["serenity", "tungstenite", "tokio_tungstenite"];
/// What may carry tokens, tickets and bodies into a log, whatever `RUST_LOG` says: of these only warnings are heard.
const DISCREET: [&str; 11] = [
    "slack_morphism",
    "hyper",
    "hyper_util",
    "hyper_rustls",
    "h2",
    "reqwest",
    "rustls",
    "tower",
    "tower_http",
    "ureq",
    "ureq_proto",
];

/// Logs go to stderr. What libraries might say of the traffic is not among them, whatever `RUST_LOG` says.
fn start_logging() {
    let asked = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,countersign=info"));
    let fit = filter_fn(|metadata| {
        let root = metadata.target().split("::").next().unwrap_or_default();
        let discreet = *metadata.level() <= tracing::Level::WARN || !DISCREET.contains(&root);
        discreet && !NEVER_HEARD.contains(&root)
    });
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
    // A second start in one process keeps the first.
    let _ = tracing_subscriber::registry().with(lines.with_filter(asked.and(fit))).try_init();
}

/// The runtime every command that serves runs on.
fn block_on<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    /// A check of the history that is under way behind the service is no reason to wait for at the end.
    const LAST_WORK_MAX: Duration = Duration::from_secs(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WORK_MAX);
    outcome
}
