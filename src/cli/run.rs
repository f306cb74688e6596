//! `run`: the service.

use super::{ConfigDir, Outcome, Stop, block_on, service, start_logging};

/// Run the service
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: countersign run --config /etc/countersign")]
pub struct Args {
    #[command(flatten)]
    config: ConfigDir,
}

pub fn main(args: &Args) -> Outcome {
    start_logging();
    let config = args.config.load()?;
    let server = &config.server;
    if server.playground_channel.is_none() && server.slack.channels.is_none() && server.discord.channels.is_none() {
        let words = "no chat is configured: add a `[slack]`, `[discord]` or `[playground]` table with a `channel` to \
                     countersign.toml";
        return Err(Stop::Finding(words.to_owned()));
    }
    block_on(async {
        let running = service::start(&config, service::Surroundings::of_process(&config, args.config.dir())?).await?;
        tracing::info!(address = %running.address(), "listening");
        running.until_stopped().await
    })
}
