//! `rotate-key`: a new signing key comes in, and the old one goes.

use std::path::PathBuf;

use ed25519_dalek::{SigningKey, VerifyingKey, pkcs8::DecodePrivateKey as _};
use rand::{Rng as _, SeedableRng as _};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{
    ConfigDir, Outcome, Stop, block_on,
    out::{self, say},
    place,
    service::environment,
    signing,
};
use crate::{
    engine::clock::{Clock as _, SystemClock},
    ledger::{Ledger, ReadError, kinds},
};

/// Where a new key comes from.
const MAKE: &str = "`openssl genpkey -algorithm ed25519` makes a new one";

/// Replace the key that signs the ledger
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The new key comes in under a head that both sign, the old one is retired, and its secret is wiped. \
Both are entries, so a verifier that knows the first key follows. Stop the service first.\n\n\
A key that is not kept in the ledger's folder but in COUNTERSIGN_SIGNING_KEY or `ledger.signing_key_file` is replaced \
by the one in `--new-key-file`: make it with `openssl genpkey -algorithm ed25519`, put it in the place of the old one \
afterwards, and destroy the old one yourself.\n\n\
Example: countersign rotate-key --config bot-config"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigDir,
    /// The new key as PKCS#8 PEM, when the key is not kept in the ledger's folder
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
}

pub fn main(args: &Args) -> Outcome {
    let config = args.config.load()?;
    let clock = SystemClock::start();
    let given = args.new_key_file.as_ref().map(|path| {
        let read = std::fs::read_to_string(path).map(Zeroizing::new);
        read.map_err(|error| place::unreadable(path, &error))
    });
    let given = given.transpose()?;
    let key = signing::key(&config, &environment())?;
    match (&key, &given) {
        (Some(_), None) => {
            let words =
                "the signing key is not kept in the ledger's folder, so there is nothing to put the new one into";
            return Err(Stop::Finding(format!("{words}\n  hint: make one and name it with `--new-key-file FILE`")));
        }
        (None, Some(_)) => {
            let words = "the signing key is kept in the ledger's folder, where a new one is made";
            return Err(Stop::Finding(format!("{words}\n  hint: leave `--new-key-file` out")));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    let same = match (&args.new_key_file, &given, &key) {
        (Some(path), Some(pem), Some(key)) => {
            let none = || {
                let path = place::whole(path);
                Stop::Finding(format!("{} is no Ed25519 key in PKCS#8 PEM\n  hint: {MAKE}", path.display()))
            };
            Some(public(pem).ok_or_else(none)?) == public(key.expose_secret())
        }
        (None, _, _) | (_, None, _) | (_, _, None) => false,
    };
    let ledger = signing::ledger(&config, clock.now())?;
    // With the new key in the place of the old one the same call brings a rotation to its end that broke off.
    if same && live_keys(&ledger)? == 1 {
        let words = "the key in `--new-key-file` is the one that signs already";
        return Err(Stop::Finding(format!("{words}\n  hint: {MAKE}")));
    }
    let done = block_on(async {
        let done = if let Some(pem) = &given {
            ledger.rotate_to(pem, clock.now()).await
        } else {
            let mut secret = Zeroizing::new([0; 32]);
            rand::rngs::StdRng::from_rng(&mut rand::rng()).fill_bytes(&mut *secret);
            ledger.rotate_key(secret, clock.now()).await
        };
        done.map_err(|error| Stop::Finding(error.to_string()))
    })?;
    say!("entry {}: the old key is retired; the head is signed by the new one", done.first);
    out::part(&done.head);
    if let Some(path) = &args.new_key_file {
        say!("From now on the service needs the key in {}: put it in the place of the old one.", path.display());
    }
    Ok(())
}

/// The public half of a key.
fn public(pem: &str) -> Option<VerifyingKey> {
    SigningKey::from_pkcs8_pem(pem).ok().map(|key| key.verifying_key())
}

/// How many keys may sign now.
fn live_keys(ledger: &Ledger) -> Result<usize, ReadError> {
    let mut live = 1;
    for entry in ledger.entries(0, ledger.size())? {
        match &*entry?.kind {
            kinds::KEY_ADDED => live += 1,
            kinds::KEY_RETIRED => live -= 1,
            _ => {}
        }
    }
    Ok(live)
}
