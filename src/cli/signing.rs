//! The key that signs the ledger, when it is not kept in the ledger's folder; and the ledger, for commands that write to it.

use chrono::{DateTime, Utc};
use rand::{SeedableRng as _, rngs::StdRng};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::{
    Stop,
    chats::{Env, secret},
    modes, out, place,
    service::environment,
};
use crate::{
    access::Event,
    config::Config,
    ledger::{Ledger, Options},
};

/// Where the key is, when neither the ledger's folder nor a file that the config names has it.
const VARIABLE: &str = "COUNTERSIGN_SIGNING_KEY";

/// The key as PKCS#8 PEM; none when it is kept in the ledger's folder.
///
/// # Errors
/// A key that is said to be somewhere and isn't there.
pub fn key(config: &Config, env: &Env) -> Result<Option<SecretString>, Stop> {
    let file = config.server.signing_key_file.as_ref();
    if file.is_none() && !env.contains_key(VARIABLE) {
        return Ok(None);
    }
    let key = secret(file, env, VARIABLE);
    key.map(Some).map_err(|words| Stop::Finding(format!("the ledger can't be signed: {words}")))
}

/// Opens the ledger of a config, for a command that writes to it while the service is stopped. It makes none.
///
/// # Errors
/// A ledger that is not there or can't be used is a finding.
pub fn ledger(config: &Config, now: DateTime<Utc>) -> Result<Ledger, Stop> {
    let path = &config.server.ledger_path;
    place::must_be(path)?;
    for words in modes::open_to_others(path, config.server.signing_key_file.as_ref()) {
        out::complain(&words);
    }
    let rng = Box::new(StdRng::from_rng(&mut rand::rng()));
    let mut options = Options::new(&config.server.origin, Event::knows, now, rng);
    let key = key(config, &environment())?;
    options.signing_key = key.map(|pem| Zeroizing::new(pem.expose_secret().to_owned()));
    Ledger::open(path, options).map_err(|error| Stop::Finding(format!("{error}{}", place::next_step(&error))))
}
