//! What a platform signed, held against the entries that it is kept with.

use std::{fmt, path::Path};

use serde::Serialize;

use super::Stop;
use crate::{
    access::{Chat, Event},
    chat::{
        Evidence,
        discord::evidence::{Key, Unproven, said},
    },
    engine::{message_key, recorded_words},
    ledger::{
        Disclosed, Entry,
        history::{self, HistoryError},
    },
};

/// Faults are told up to this many.
const TOLD_MAX: usize = 100;

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Signed {
    /// Messages that came with Discord's signature, and it holds for what the entry says.
    pub proven: u64,
    /// Messages from Discord without one: they came over the gateway, which signs nothing.
    pub unsigned: u64,
    /// Messages whose author was erased, and the signed text with them.
    pub erased: u64,
    /// Messages that can't be opened, though their author was not erased: the key is missing or not the right one.
    pub locked: u64,
    /// What does not hold.
    pub faults: Vec<Wrong>,
}

/// An entry whose evidence does not hold.
#[derive(Debug, Serialize)]
pub struct Wrong {
    /// The entry's index.
    pub entry: u64,
    /// Why.
    pub why: String,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proven, unsigned, erased, locked, faults } = self;
        write!(f, "Discord signed {proven} messages")?;
        if *unsigned > 0 {
            write!(f, "; {unsigned} came over the gateway, which signs nothing")?;
        }
        if *erased > 0 {
            write!(f, "; {erased} can't be read any more, their authors were erased")?;
        }
        if *locked > 0 {
            write!(f, "; {locked} can't be opened, the keys of their authors are lost")?;
        }
        for wrong in faults.iter().take(TOLD_MAX) {
            write!(f, "\nentry {}: {}", wrong.entry, wrong.why)?;
        }
        if let Some(more) = faults.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
            write!(f, "\n… and {more} more")?;
        }
        Ok(())
    }
}

/// Reads the public key of a Discord application.
///
/// # Errors
/// When it is none.
pub fn key(text: &str) -> Result<Key, Stop> {
    let mut bytes = [0; 32];
    let decoded = hex::decode_to_slice(text, &mut bytes).ok().and_then(|()| Key::new(&bytes));
    let words = "--discord-key is no key: it is the 64 hex digits of `PUBLIC KEY` on the application's page";
    decoded.ok_or_else(|| Stop::Usage(words.to_owned()))
}

/// Checks every message of a ledger's folder that Discord signed.
///
/// # Errors
/// A ledger that can't be read.
pub fn check(ledger: &Path, key: &Key) -> Result<Signed, HistoryError> {
    let mut signed = Signed::default();
    history::entries(ledger, Event::knows, |entry| signed.look(key, &entry))?;
    Ok(signed)
}

impl Signed {
    fn look(&mut self, key: &Key, entry: &Entry) {
        let of = |name: &str| entry.body.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        if entry.kind != "message.received" || of("chat") != Chat::Discord.word() {
            return;
        }
        let (mut text, mut evidence) = (String::new(), None);
        for disclosed in &entry.disclosed {
            match disclosed {
                Disclosed::Erased { .. } => {
                    self.erased += 1;
                    return;
                }
                Disclosed::Locked { .. } => {
                    self.locked += 1;
                    return;
                }
                Disclosed::Open(open) if open.name == crate::access::EVIDENCE => evidence = Some(open.value.as_str()),
                Disclosed::Open(open) => text.clone_from(&open.value),
            }
        }
        let Some(evidence) = evidence else {
            self.unsigned += 1;
            return;
        };
        match proven(key, entry, (&text, of("key")), evidence) {
            Ok(()) => self.proven += 1,
            Err(why) => self.faults.push(Wrong { entry: entry.seq, why: why.to_string() }),
        }
    }
}

/// Whether Discord delivered this very message: its signature, its time, its author, its id and its words.
fn proven(key: &Key, entry: &Entry, (text, named): (&str, &str), evidence: &str) -> Result<(), Unproven> {
    let mut lines = evidence.splitn(3, '\n').map(str::to_owned);
    let (Some(timestamp), Some(signature), Some(body)) = (lines.next(), lines.next(), lines.next()) else {
        return Err(Unproven::Signature);
    };
    let evidence = Evidence { timestamp, signature, body };
    key.check(&evidence, entry.time)?;
    let said = said(&evidence.body).ok_or(Unproven::Content)?;
    let same =
        message_key(Chat::Discord, &said.account, &said.message) == named && recorded_words(said.input.words()) == text;
    if same { Ok(()) } else { Err(Unproven::Content) }
}
