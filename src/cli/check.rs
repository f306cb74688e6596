//! `check`: the config, and with `--live` what the providers say of their credentials and rights, and the chats of ours.

use std::sync::Arc;

use super::{ConfigDir, Outcome, Stop, block_on, chats, out::say, service};
use crate::{
    access::Rules as _,
    engine::clock::{Clock, SystemClock},
};

/// Check the config and, if asked, the providers and the chats
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: countersign check --config bot-config --live")]
pub struct Args {
    #[command(flatten)]
    config: ConfigDir,
    /// Also ask every provider whether its credentials and rights are there, every chat whether our tokens are good and what
    /// they let us do, and every source of a group who is in it. Nothing is posted, and nothing is opened
    #[arg(long)]
    live: bool,
    /// Take warnings for mistakes
    #[arg(long)]
    strict: bool,
}

pub fn main(args: &Args) -> Outcome {
    let config = args.config.load()?;
    let resources = &config.resources;
    for warning in &config.warnings {
        say!("{warning}\n");
    }
    say!("{}: {} resources, {} people", args.config.config.display(), resources.len(), config.people.len());
    let warned = match config.warnings.len() {
        0 => None,
        1 => Some("1 warning".to_owned()),
        many => Some(format!("{many} warnings")),
    };
    match warned {
        Some(words) if args.strict => return Err(Stop::Finding(words)),
        Some(words) => say!("{words}"),
        None => {}
    }
    if !args.live {
        return Ok(());
    }
    block_on(async {
        let clock: Arc<dyn Clock> = SystemClock::start();
        let live = service::Live::new(config.clone());
        let doors = service::doors(&live, &service::Surroundings::of_process(&config, args.config.dir())?, &clock);
        let mut lacking = 0;
        for name in resources {
            let Some(resource) = config.facts.resource(name) else { continue };
            let findings = match doors.open(name, &resource.target) {
                Ok(provider) => {
                    let mut findings = provider.check().await.unwrap_or_else(|error| vec![error.to_string()]);
                    let most = provider.describe().max_ttl_secs.map(i64::from);
                    let longest = resource.max_duration;
                    findings.extend(most.filter(|most| longest.delta().num_seconds() > *most).map(|most| {
                        format!("it takes no grant that is longer than {most} s, and `max_duration` is {longest}")
                    }));
                    findings
                }
                Err(error) => vec![error.to_string()],
            };
            say!("{name} ({}): {}", resource.target.provider, if findings.is_empty() { "ready" } else { "not ready" });
            for finding in &findings {
                say!("  {}", finding.replace('\n', "\n  "));
            }
            lacking += findings.len();
        }
        for (chat, findings) in chats::check(&live, &service::environment(), &clock).await {
            say!("{chat}: {}", if findings.lacking.is_empty() { "ready" } else { "not ready" });
            for finding in findings.lacking.iter().chain(&findings.found) {
                say!("  {finding}");
            }
            lacking += findings.lacking.len();
        }
        let rules = service::rules(&config, &service::environment())?;
        rules.refresh(clock.now()).await;
        for (group, people) in rules.sourced() {
            match people {
                Ok(people) if people.is_empty() => say!("group {group}: nobody of people.toml"),
                Ok(people) => say!("group {group}: {}", people.join(", ")),
                Err(why) => {
                    say!("group {group}: {why}");
                    lacking += 1;
                }
            }
        }
        match lacking {
            0 => Ok(()),
            1 => Err(Stop::Finding("1 finding".into())),
            lacking => Err(Stop::Finding(format!("{lacking} findings"))),
        }
    })
}
