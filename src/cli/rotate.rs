//! `rotate-key`: a new signing key comes in, and the old one goes.

use rand::{Rng as _, SeedableRng as _};
use zeroize::Zeroizing;

use super::{ConfigDir, Outcome, Stop, block_on};
use crate::{
    access::Event,
    engine::clock::{Clock as _, SystemClock},
    ledger::{Ledger, Options},
};

/// Replace the key that signs the ledger
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The new key comes in under a head that both sign, the old one is retired, and its secret is wiped. \
Both are entries, so a verifier that knows the first key follows. Stop the service first.\n\n\
Example: countersign rotate-key --config bot-config"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigDir,
}

pub fn main(args: &Args) -> Outcome {
    let config = args.config.load()?;
    let clock = SystemClock::start();
    let rng = || Box::new(rand::rngs::StdRng::from_rng(&mut rand::rng()));
    let options = Options::new(&config.server.origin, Event::knows, clock.now(), rng());
    let ledger = Ledger::open(&config.server.ledger_path, options).map_err(|error| Stop::Finding(error.to_string()))?;
    let mut secret = Zeroizing::new([0; 32]);
    rng().fill_bytes(&mut *secret);
    let done = block_on(async {
        ledger.rotate_key(secret, clock.now()).await.map_err(|error| Stop::Finding(error.to_string()))
    })?;
    println!("entry {}: the old key is retired; the head is signed by the new one", done.first);
    print!("{}", done.head);
    Ok(())
}
