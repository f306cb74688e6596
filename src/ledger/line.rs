//! One entry as a line of canonical JSON, built and read in one pass (section "Entry" of the format).
//!
//! ```json
//! {"_sd":["…"],"body":{…},"kind":"access.requested","prev":"<64 hex>","seq":17,"time":"2026-11-20T21:39:44.123456Z","v":1}
//! ```
//!
//! `_sd` is there only when the entry has disclosures.

use std::{convert::Infallible, io::Write as _};

use super::{
    canon::Scan,
    hash::{HASH_BYTES, Hash},
    ids::lower_hex,
    time::Micros,
};

/// Longest line: the limit of an entry in a C2SP bundle.
pub const LINE_MAX_BYTES: usize = 65_535;

/// Longest kind.
pub const KIND_MAX_BYTES: usize = 64;

/// The `v` that this program writes and reads.
pub const FORMAT_VERSION: u64 = 1;

/// Length of a digest in `_sd`: 32 bytes in base64url without padding.
pub const DIGEST_CHARS: usize = 43;

/// The room that is made for a front at first: most need no more.
const FRONT_USUAL_BYTES: usize = 560;

/// Why a line is not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Over [`LINE_MAX_BYTES`].
    #[error("the line has {0} bytes, more than {LINE_MAX_BYTES}")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// Not the canonical form, from about this byte on.
    #[error("the line is not canonical JSON of an entry at byte {0}")]
    NotCanonical(usize),
    /// Another format.
    #[error("the line has format version {0}, and this program reads only 1")]
    Version(u64),
}

/// What one pass over a line finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The digests, as they stand between the brackets: `"…","…"`; empty when there are none.
    pub digests: &'a [u8],
    /// The body's bytes.
    pub body: &'a [u8],
    /// `noun.verb`.
    pub kind: &'a str,
    /// The leaf hash of the entry before.
    pub prev: Hash,
    /// The index.
    pub seq: u64,
    /// When.
    pub time: Micros,
}

impl<'a> Line<'a> {
    /// Reads a line, and refuses whatever writing it again would write differently.
    ///
    /// # Errors
    /// [`LineFault`]: too long, not UTF-8, not canonical, or of another format.
    pub fn read(bytes: &'a [u8]) -> Result<Self, LineFault> {
        if bytes.len() > LINE_MAX_BYTES {
            return Err(LineFault::TooLong(bytes.len()));
        }
        if std::str::from_utf8(bytes).is_err() {
            return Err(LineFault::NotUtf8);
        }
        let mut scan = Scan::new(bytes);
        match members(&mut scan) {
            Some((_, version)) if version != FORMAT_VERSION => Err(LineFault::Version(version)),
            Some((line, _)) if scan.rest().is_empty() => Ok(line),
            Some(_) | None => Err(LineFault::NotCanonical(bytes.len() - scan.rest().len())),
        }
    }

    /// The digests, one by one.
    pub fn each_digest(&self) -> impl Iterator<Item = &'a [u8]> {
        self.digests.split(|b| *b == b',').filter_map(|quoted| quoted.strip_prefix(b"\"")?.strip_suffix(b"\""))
    }

    /// How many digests there are.
    #[must_use]
    pub fn digest_count(&self) -> usize {
        // Each takes its characters, two quotes and (but for the last) a comma.
        (self.digests.len() + 1) / (DIGEST_CHARS + 3)
    }
}

fn members<'a>(scan: &mut Scan<'a>) -> Option<(Line<'a>, u64)> {
    scan.token(b"{")?;
    let digests = if scan.token(b"\"_sd\":[").is_some() { digests(scan)? } else { b"" };
    scan.token(b"\"body\":")?;
    let body = scan.object()?;
    scan.token(b",\"kind\":")?;
    let kind = std::str::from_utf8(scan.plain_string()?).ok().filter(|kind| is_kind(kind))?;
    scan.token(b",\"prev\":")?;
    let prev = lower_hex(std::str::from_utf8(scan.plain_string()?).ok()?)?;
    scan.token(b",\"seq\":")?;
    let seq = scan.unsigned()?;
    scan.token(b",\"time\":")?;
    let time = Micros::parse(scan.plain_string()?)?;
    scan.token(b",\"v\":")?;
    let version = scan.unsigned()?;
    scan.token(b"}")?;
    Some((Line { digests, body, kind, prev, seq, time }, version))
}

fn digests<'a>(scan: &mut Scan<'a>) -> Option<&'a [u8]> {
    let (start, mut before): (&[u8], &[u8]) = (scan.rest(), b"");
    loop {
        let digest = scan.plain_string()?;
        let url_safe = digest.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_');
        if digest.len() != DIGEST_CHARS || !url_safe || digest <= before {
            return None;
        }
        before = digest;
        if scan.token(b",").is_none() {
            let list = start.get(..start.len() - scan.rest().len())?;
            scan.token(b"],")?;
            return Some(list);
        }
    }
}

/// Whether a text can be a kind: lower-case words, digits, `_` and `-`, with at least one dot between them.
#[must_use]
pub fn is_kind(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    };
    text.len() <= KIND_MAX_BYTES && text.contains('.') && text.split('.').all(word)
}

/// What comes first in a line, and is known before its place in the log is: the body and the kind. Whoever hands it in
/// writes it, so that this is not left to the one thread that chains all lines.
#[derive(Debug, Clone)]
pub struct Front(Vec<u8>);

impl Front {
    /// The front with such a body, which `write` adds in canonical form, and a kind, which must be one.
    ///
    /// # Errors
    /// What `write` says.
    pub fn new<E>(kind: &str, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Self, E> {
        let mut text = Vec::with_capacity(FRONT_USUAL_BYTES);
        text.extend_from_slice(b"{\"body\":");
        write(&mut text)?;
        for part in [b",\"kind\":\"", kind.as_bytes(), b"\",\"prev\":\""] {
            text.extend_from_slice(part);
        }
        Ok(Self(text))
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Where an entry stands: what comes last in a line.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The leaf hash of the entry before.
    pub prev: &'a Hash,
    /// The index.
    pub seq: u64,
    /// The time, as [`Micros::text`] gives it.
    pub time: &'a str,
}

/// Adds a line to `out`, with the digests of its disclosures, which must be sorted.
pub fn write(digests: &[String], front: &Front, standing: Standing<'_>, out: &mut Vec<u8>) {
    let Standing { prev, seq, time } = standing;
    let mut lead: &[u8] = b"{\"_sd\":[\"";
    for digest in digests {
        out.extend_from_slice(lead);
        out.extend_from_slice(digest.as_bytes());
        lead = b"\",\"";
    }
    let brace = usize::from(!digests.is_empty());
    if brace == 1 {
        out.extend_from_slice(b"\"],");
    }
    out.extend_from_slice(front.0.get(brace..).unwrap_or_default());
    let mut link = [0; 2 * HASH_BYTES];
    // It is twice as long, so this does not fail.
    let _ = hex::encode_to_slice(prev, &mut link);
    out.extend_from_slice(&link);
    // Into memory, so this does not fail.
    let _ = write!(out, "\",\"seq\":{seq},\"time\":\"{time}\",\"v\":{FORMAT_VERSION}}}");
}

/// A line from a body that is canonical already.
#[must_use]
pub fn build(digests: &[String], body: &[u8], kind: &str, standing: Standing<'_>) -> Vec<u8> {
    let (Ok(front), mut line) = (
        Front::new(kind, |text| {
            text.extend_from_slice(body);
            Ok::<_, Infallible>(())
        }),
        Vec::new(),
    );
    write(digests, &front, standing, &mut line);
    line
}

#[cfg(test)]
mod tests;
