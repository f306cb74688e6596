//! `providers`: what each can do, the conformance kit, and the protocol spoken by those of this binary.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{ConfigDir, Outcome, Stop, block_on, out::say, service};
use crate::{
    access::Target,
    config::Config,
    engine::clock::{Clock, SystemClock},
    provider::{
        self, Surroundings,
        kit::{self, Report, Subject},
        protocol::Abilities,
        serve::Served,
    },
};

/// The longest request that is read, in bytes.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024;

/// List the providers and what each can do; test one against its promises
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example: countersign providers --config bot-config\n\
                  Example: countersign providers test ./group-file --set file=/etc/group.jit"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Open, repeat, shut and look; kill it in the middle; and say in words which promise is broken
    Test(Test),
    /// Answer requests of `countersign.provider/v1`, a line each, on standard input
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    config: ConfigDir,
    /// The list as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Doors of the real target are opened for somebody who is nobody, under marks that belong to no ledger, and \
shut again. Exit code 1: a promise is broken.\n\n\
Example: countersign providers test prod-db --config bot-config\n\
Example: countersign providers test ./group-file --set file=/etc/group.jit --secret token=GROUP_TOKEN"
)]
struct Test {
    /// A resource of the config, or a plugin's file (with a `/` in it)
    #[arg(value_name = "RESOURCE|FILE")]
    what: String,
    #[command(flatten)]
    config: ConfigDir,
    /// A setting of a plugin's file; JSON, or else a text
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
    /// A secret of a plugin's file, and the environment variable that holds it
    #[arg(long = "secret", value_name = "NAME=VARIABLE", value_parser = pair)]
    secrets: Vec<(String, String)>,
    /// How long a plugin's file may take to answer, in seconds
    #[arg(long, value_name = "SECS", default_value_t = 10)]
    timeout: u8,
    /// Whose access the doors are opened for, if the target wants somebody it knows
    #[arg(long, value_name = "NAME", default_value = kit::HOLDER)]
    holder: String,
    /// The result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: echo '{\"v\":\"countersign.provider/v1\",\"id\":\"1\",\"verb\":\"describe\",\"resource\":\
\"prod-host\",\"deadline\":\"2030-01-01T00:00:00Z\"}' | countersign providers serve prod-host"
)]
struct Serve {
    /// A resource of the config
    resource: String,
    #[command(flatten)]
    config: ConfigDir,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as `key=value`")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub fn main(args: &Args) -> Outcome {
    match &args.command {
        None => list(&args.list),
        Some(Command::Test(test)) => block_on(examine(test)),
        Some(Command::Serve(args)) => block_on(serve(args)),
    }
}

fn around(dir: &Path) -> Surroundings {
    let clock: Arc<dyn Clock> = SystemClock::start();
    Surroundings { dir: dir.to_owned(), env: Arc::new(service::environment()), now: Arc::new(move || clock.now()) }
}

/// A folder for the providers' own files: what is done here leaves none behind.
fn folder() -> Result<tempfile::TempDir, Stop> {
    Ok(tempfile::Builder::new().prefix("countersign-providers-").tempdir()?)
}

fn list(args: &List) -> Outcome {
    let config = args.config.load()?;
    let folder = folder()?;
    let around = around(folder.path());
    let mut all = Vec::new();
    for name in &config.resources {
        let Some(Target { provider: kind, settings }) = target(&config, name) else { continue };
        let opened =
            provider::open(&kind, name, &settings, &around).map_err(|error| Stop::Finding(error.to_string()))?;
        let description = opened.describe();
        if !args.json {
            say!("{name} ({kind})");
            description.lines().iter().for_each(|line| say!("  {line}"));
        }
        all.push(json!({ "resource": name, "provider": kind, "description": Abilities::from(&description) }));
    }
    if args.json {
        say!("{}", Value::Array(all));
    } else {
        say!("\nkinds of providers: {}", provider::NAMES.join(", "));
    }
    Ok(())
}

fn target(config: &Config, resource: &str) -> Option<Target> {
    config.facts.resource(resource).map(|resource| resource.target.clone())
}

fn wanted(config: &Config, resource: &str) -> Result<Target, Stop> {
    target(config, resource).ok_or_else(|| {
        let known = config.resources.join(", ");
        Stop::Finding(format!("there is no resource `{resource}`\n  hint: there are {known}; a file has a `/` in it"))
    })
}

async fn examine(args: &Test) -> Outcome {
    let folder = folder()?;
    let around = around(folder.path());
    let refused = |error: provider::ProviderError| Stop::Finding(error.to_string());
    let (subject, table) = if args.what.contains('/') {
        let settings = of_file(args)?;
        let (subject, settings) = described(settings, &around).await.map_err(refused)?;
        (subject, Some(settings))
    } else {
        let Target { provider, settings } = wanted(&args.config.load()?, &args.what)?;
        (Subject::new(&provider, &args.what, &settings, &around).map_err(refused)?, None)
    };
    let options = kit::Options { holder: args.holder.clone(), probe: None };
    let report = subject.examine(&options).await;
    if args.json {
        say!("{}", serde_json::to_string(&report)?);
    } else {
        tell(&report);
        if let Some(table) = table.filter(|_| report.passed()) {
            say!("\n{}", in_config(&table));
        }
    }
    match report.broken().count() {
        0 => Ok(()),
        1 => Err(Stop::Finding("a promise is broken".into())),
        many => Err(Stop::Finding(format!("promises are broken in {many} ways"))),
    }
}

/// The settings for a plugin's file.
fn of_file(args: &Test) -> Result<Map<String, Value>, Stop> {
    let unread = |error: std::io::Error| Stop::Finding(format!("{} can't be read: {error}", args.what));
    let file = std::path::absolute(PathBuf::from(&args.what)).map_err(unread)?;
    let pin = hex::encode(Sha256::digest(std::fs::read(&file).map_err(unread)?));
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
    let own: Map<_, _> = args.settings.iter().map(|(key, text)| (key.clone(), value(text))).collect();
    let secrets: BTreeMap<_, _> =
        args.secrets.iter().map(|(name, variable)| (name.clone(), json!({ "env": variable }))).collect();
    let table = json!({
        "command": [file.to_string_lossy()],
        "sha256": pin,
        "timeout_secs": args.timeout,
        "settings": own,
        "secrets": secrets,
    });
    Ok(table.as_object().cloned().unwrap_or_default())
}

/// A plugin's file with the description that it gives of itself.
async fn described(
    mut settings: Map<String, Value>,
    around: &Surroundings,
) -> Result<(Subject, Map<String, Value>), provider::ProviderError> {
    const RESOURCE: &str = "test";
    let subject = Subject::new("exec", RESOURCE, &settings, around)?;
    // If it can't be asked, the kit finds that too.
    let Ok(abilities) = subject.abilities().await else { return Ok((subject, settings)) };
    if abilities != Abilities::default() {
        settings.insert("description".into(), json!(abilities));
    }
    Ok((Subject::new("exec", RESOURCE, &settings, around)?, settings))
}

fn tell(report: &Report) {
    if let Some(description) = &report.description {
        let description = description.described(report.provider);
        description.lines().iter().for_each(|line| say!("it says: {line}"));
        say!("");
    }
    for promise in &report.promises {
        match (promise.skipped, promise.broken.is_empty()) {
            (Some(why), _) => say!("skipped  {}: {why}", promise.promise),
            (None, true) => say!("kept     {}", promise.promise),
            (None, false) => say!("BROKEN   {}", promise.promise),
        }
        promise.broken.iter().for_each(|words| say!("         {words}"));
    }
    say!("\nasked {} times", report.asked);
}

/// What belongs into the config for a plugin's file.
fn in_config(table: &Map<String, Value>) -> String {
    let get = |key: &str| table.get(key).cloned().unwrap_or_default();
    let mut lines = vec![
        "[resource.exec]".to_owned(),
        format!("command = {}", get("command")),
        format!("sha256 = {}", get("sha256")),
    ];
    if let Ok(abilities) = serde_json::from_value::<Abilities>(get("description")) {
        lines.extend(abilities.written().map(|table| format!("description = {table}")));
    }
    lines.join("\n")
}

/// Answers requests until there are no more.
async fn serve(args: &Serve) -> Outcome {
    let config = args.config.load()?;
    let Target { provider, settings } = wanted(&config, &args.resource)?;
    let surroundings = service::Surroundings::of_process(&config, args.config.dir())?;
    let around = around(&surroundings.providers);
    let opened = provider::open(&provider, &args.resource, &settings, &around);
    let served = Served(opened.map_err(|error| Stop::Finding(error.to_string()))?);
    loop {
        let line = tokio::task::spawn_blocking(|| {
            let mut line = Vec::new();
            let mut input = std::io::stdin().lock().take(REQUEST_BYTES_MAX);
            input.read_until(b'\n', &mut line).map(|_| zeroize::Zeroizing::new(line))
        })
        .await??;
        if line.is_empty() {
            return Ok(());
        }
        let answer = served.answer(&line).await;
        let mut out = std::io::stdout().lock();
        out.write_all(&answer)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
}
