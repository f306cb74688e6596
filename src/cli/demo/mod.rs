//! `demo`: the whole story on loopback, with nothing but the binary.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{Outcome, Stop, block_on, load, out::say, place, service, start_logging};
use crate::provider::throwaway::Cluster;

const SERVER: &str = include_str!("countersign.toml");
const PEOPLE: &str = include_str!("people.toml");
const RESOURCES: &str = include_str!("resources.toml");
const DATABASE: &str = include_str!("database.toml");
const POLICY: &str = include_str!("policy.cedar");
/// Names the database's URL in the demo's config.
const DATABASE_URL_ENV: &str = "PROD_DB_URL";
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7070);

/// Live the whole story in a browser
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: countersign demo --keep /tmp/countersign-demo")]
pub struct Args {
    /// Where to listen; loopback only. Without it: 127.0.0.1:7070, or a free port if that is taken
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Keep everything in DIR, and go on there the next time
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Use the database behind the URL in this environment variable, in place of a throwaway cluster. The URL's role
    /// has to be able to create roles, and to grant `app_rw`
    #[arg(long, value_name = "NAME")]
    postgres_url_env: Option<String>,
}

pub fn main(args: Args) -> Outcome {
    start_logging();
    if let Some(dir) = &args.keep {
        be_ours(dir)?;
    }
    // Dropped, and with it removed, after everything in it has stopped.
    let throwaway = match &args.keep {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("countersign-demo-").tempdir()?),
    };
    let dir = match (&args.keep, &throwaway) {
        (Some(dir), _) => dir.clone(),
        (None, Some(dir)) => dir.path().to_owned(),
        (None, None) => std::env::temp_dir(),
    };
    block_on(live(args, &dir))
}

/// Refuses a folder with anything in it that is not of a demo: the config in it would be written over.
fn be_ours(dir: &Path) -> Result<(), Stop> {
    // Its first line.
    let mark = SERVER.lines().next().unwrap_or_default();
    let text = |file: &Path| std::fs::read_to_string(file).unwrap_or_default();
    if text(&dir.join("bot-config/countersign.toml")).starts_with(mark) {
        return Ok(());
    }
    let names = match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<std::io::Result<Vec<_>>>(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    // A demo that was killed at its start may have come no further than these.
    let begun = |name: &std::ffi::OsString| match name.to_str() {
        Some("postgres") => true,
        // One may also be given a disk of its own.
        Some("ledger") => !dir.join(name).join("journal").exists(),
        Some("bot-config") => {
            let mut files = std::fs::read_dir(dir.join(name)).into_iter().flatten().flatten();
            files.all(|file| file.file_name() == "countersign.toml" && text(&file.path()).is_empty())
        }
        Some(_) | None => false,
    };
    if names.map_err(|error| place::unreadable(dir, &error))?.iter().all(begun) {
        return Ok(());
    }
    let hint = "`--keep` takes a folder that a demo was kept in, that is empty or that is not there yet";
    let dir = place::whole(dir);
    Err(Stop::Finding(format!("{} is no folder of a demo, and not empty\n  hint: {hint}", dir.display())))
}

async fn live(args: Args, dir: &Path) -> Outcome {
    std::fs::create_dir_all(dir).map_err(|error| Stop::Finding(place::cant("made", dir, &error)))?;
    let database = Database::find(args.postgres_url_env.as_deref(), dir).await?;
    let config_dir = write_config(dir, database.url.is_some())?;
    let config = load(&config_dir)?;
    let mut env = service::environment();
    if let Some(url) = &database.url {
        env.insert(DATABASE_URL_ENV.to_owned(), url.clone());
    }
    let listen = args.listen.unwrap_or_else(|| {
        let free = std::net::TcpListener::bind(LISTEN_DEFAULT).is_ok();
        if free { LISTEN_DEFAULT } else { SocketAddr::new(LISTEN_DEFAULT.ip(), 0) }
    });
    let surroundings = service::Surroundings {
        data: dir.join("ledger"),
        providers: dir.join("providers"),
        // What is thrown away is not signed with a key that is worth something.
        signing_key: None,
        env,
        listen,
        config: config_dir,
    };
    let running = service::start(&config, surroundings).await?;
    greet(&args, dir, &running, &database);
    let outcome = running.until_stopped().await;
    if let Some(cluster) = database.cluster {
        cluster.stop().await;
    }
    outcome
}

fn greet(args: &Args, dir: &Path, running: &service::Running, database: &Database) {
    let first = if database.url.is_some() { "prod-db" } else { "prod-host" };
    let approver = if database.url.is_some() { "ben" } else { "cleo" };
    let kept = match &args.keep {
        Some(dir) => format!("kept in {}", dir.display()),
        None => format!("in {} until you stop it; --keep DIR keeps it", dir.display()),
    };
    say!(
        "Countersign demo, {kept}\n\
         \n  ssh       our own CA; certificates that end by themselves\
         \n  token     signed tokens; /providers/prod-api/jwks.json checks them\
         \n  postgres  {words}\n\
         \nOpen http://{address}/ and try three things:\
         \n  1. Be ana, and ask:             {first} 10m fixing INC-42\
         \n  2. Be {approver} in a second window, and press Approve. Then, as ana: Show credential\
         \n  3. Press \"Verify the whole ledger\", or run:  countersign verify {ledger}\n\
         \nCtrl-C stops it.",
        words = database.words,
        address = running.address(),
        ledger = dir.join("ledger").display(),
    );
}

/// The demo's config, written out so that it can be read; an edited one is kept.
fn write_config(dir: &Path, with_database: bool) -> Result<PathBuf, Stop> {
    let config = dir.join("bot-config");
    std::fs::create_dir_all(&config)?;
    // The path is absolute, so that the other commands find the ledger with `--config`, wherever they are called.
    let ledger = toml::Value::String(std::path::absolute(dir)?.join("ledger").to_string_lossy().into_owned());
    let server = SERVER.replacen("\"ledger\"", &ledger.to_string(), 1);
    let resources = if with_database { format!("{DATABASE}\n{RESOURCES}") } else { RESOURCES.to_owned() };
    for (file, text) in [
        ("countersign.toml", server.as_str()),
        ("people.toml", PEOPLE),
        ("resources.toml", resources.as_str()),
        ("policy.cedar", POLICY),
    ] {
        std::fs::write(config.join(file), text)?;
    }
    Ok(config)
}

/// The database behind `prod-db`, if there is one.
struct Database {
    url: Option<secrecy::SecretString>,
    cluster: Option<Cluster>,
    words: String,
}

impl Database {
    async fn find(url_env: Option<&str>, dir: &Path) -> Result<Self, Stop> {
        if let Some(name) = url_env {
            let url = service::environment().remove(name);
            let missing =
                || Stop::Finding(format!("`--postgres-url-env {name}`: there is no such environment variable"));
            return Ok(Self {
                url: Some(url.ok_or_else(missing)?),
                cluster: None,
                words: format!("the URL in {name}"),
            });
        }
        Ok(match Cluster::open(&dir.join("postgres")).await {
            Ok(cluster) => {
                let words = cluster.words().to_owned();
                Self { url: Some(cluster.admin_url().clone()), cluster: Some(cluster), words }
            }
            Err(why) => Self { url: None, cluster: None, words: format!("left out: {why}") },
        })
    }
}
