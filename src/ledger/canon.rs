//! Canonical JSON: the subset of RFC 8785 that entries are written in.
//!
//! ASCII keys in byte order, no white space, strings, integers with |n| <= 2^53-1, booleans, arrays, objects; no floats,
//! no null. [`write`] makes it, [`Scan`] accepts nothing else: what it accepts is what writing the parsed value again
//! would give, byte for byte, so it never has to be written again to be hashed.

use serde_json::{Map, Value};

/// The largest integer that every JSON reader keeps exact.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// How deep arrays and objects may nest in a body.
pub const DEPTH_MAX: u32 = 16;

/// What makes a value unfit for a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// Null has no place in a record.
    #[error("null is not allowed")]
    Null,
    /// A number that is not a whole one of at most 2^53-1.
    #[error("{0} is not an integer of at most 2^53-1")]
    Number(String),
    /// A key outside printable ASCII, or one that would need an escape.
    #[error("the key {0:?} is not plain ASCII")]
    Key(String),
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX}")]
    Depth,
}

/// Writes an object canonically.
///
/// # Errors
/// What the subset does not have: null, floats, large integers, odd keys, depth over [`DEPTH_MAX`].
pub fn write(map: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    object(map, DEPTH_MAX, out)
}

fn object(map: &Map<String, Value>, depth: u32, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    // The map's own order depends on a feature that any dependency may turn on: sort here.
    let mut members: Vec<_> = map.iter().collect();
    members.sort_unstable_by_key(|(key, _)| *key);
    let depth = depth.checked_sub(1).ok_or(NotCanonical::Depth)?;
    let mut lead = b'{';
    for (key, member) in members {
        if !key.bytes().all(plain) {
            return Err(NotCanonical::Key(key.clone()));
        }
        out.push(lead);
        out.push(b'"');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        value(member, depth, out)?;
        lead = b',';
    }
    if map.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    Ok(())
}

fn value(value: &Value, depth: u32, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    match value {
        Value::Null => return Err(NotCanonical::Null),
        Value::Bool(yes) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Value::Number(number) => {
            let whole = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if whole.is_none_or(|n| n > INTEGER_MAX) {
                return Err(NotCanonical::Number(number.to_string()));
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            let depth = depth.checked_sub(1).ok_or(NotCanonical::Depth)?;
            out.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                self::value(item, depth, out)?;
            }
            out.push(b']');
        }
        Value::Object(map) => object(map, depth, out)?,
    }
    Ok(())
}

/// Writes a string as RFC 8785 section 3.2.2.2 has it.
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((as_it_is, [byte, after @ ..])) = until(rest, escaped).and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(as_it_is);
        if let Some(letter) = short_escape(*byte) {
            out.extend_from_slice(&[b'\\', letter]);
        } else {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(hex::encode([*byte]).as_bytes());
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn short_escape(byte: u8) -> Option<u8> {
    Some(match byte {
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        b'"' => b'"',
        b'\\' => b'\\',
        _ => return None,
    })
}

fn plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// How many bytes stand before the first at which to stop. By blocks: most text is long and plain.
fn until(bytes: &[u8], stop: impl Fn(u8) -> bool) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<16>();
    let plain = |block: &&[u8; 16]| !block.iter().fold(false, |any, byte| any | stop(*byte));
    let skip = blocks.iter().take_while(plain).count() * 16;
    Some(skip + bytes.get(skip..)?.iter().position(|byte| stop(*byte))?)
}

/// One pass over canonical bytes. Every step either takes exactly what it names or says `None`.
///
/// The bytes must be UTF-8: the caller checks that once, for the whole line.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not taken yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes exactly these bytes.
    pub fn token(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(bytes)?;
        Some(())
    }

    /// Takes `n` bytes, whatever they are.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    /// Takes a quoted string of printable ASCII that needs no escape, and gives what is between the quotes.
    pub fn plain_string(&mut self) -> Option<&'a [u8]> {
        self.token(b"\"")?;
        let text = self.take(until(self.rest, |b| !plain(b))?)?;
        self.token(b"\"")?;
        Some(text)
    }

    /// Takes one value and gives its bytes.
    pub fn value(&mut self) -> Option<&'a [u8]> {
        let before = self.rest;
        self.any(DEPTH_MAX)?;
        before.get(..before.len() - self.rest.len())
    }

    /// Takes one object and gives its bytes.
    pub fn object(&mut self) -> Option<&'a [u8]> {
        if self.rest.first() != Some(&b'{') {
            return None;
        }
        self.value()
    }

    /// Takes an integer that is not negative.
    pub fn unsigned(&mut self) -> Option<u64> {
        let digits = self.take(self.rest.iter().take_while(|b| b.is_ascii_digit()).count())?;
        if digits.is_empty() || digits.len() > 16 || (digits.len() > 1 && digits.first() == Some(&b'0')) {
            return None;
        }
        let number = digits.iter().fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'));
        (number <= INTEGER_MAX).then_some(number)
    }

    fn any(&mut self, depth: u32) -> Option<()> {
        match self.rest.first()? {
            b'"' => self.text(),
            b'{' => self.members(depth.checked_sub(1)?),
            b'[' => self.items(depth.checked_sub(1)?),
            b't' => self.token(b"true"),
            b'f' => self.token(b"false"),
            b'-' => {
                self.token(b"-")?;
                (self.unsigned()? != 0).then_some(())
            }
            _ => self.unsigned().map(|_| ()),
        }
    }

    fn text(&mut self) -> Option<()> {
        self.token(b"\"")?;
        loop {
            let at = until(self.rest, |b| b == b'"' || b == b'\\' || b < 0x20)?;
            let (_, rest) = self.rest.split_at_checked(at)?;
            self.rest = rest;
            match self.take(1)? {
                b"\"" => return Some(()),
                b"\\" => self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.take(1)?.first()? {
            b'b' | b't' | b'n' | b'f' | b'r' | b'"' | b'\\' => Some(()),
            b'u' => {
                let digits = self.take(4)?.strip_prefix(b"00")?;
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok()?;
                let [byte] = byte;
                let lower = !digits.iter().any(u8::is_ascii_uppercase);
                (lower && byte < 0x20 && short_escape(byte).is_none()).then_some(())
            }
            _ => None,
        }
    }

    fn members(&mut self, depth: u32) -> Option<()> {
        self.token(b"{")?;
        if self.token(b"}").is_some() {
            return Some(());
        }
        let mut before: Option<&[u8]> = None;
        loop {
            let key = self.plain_string()?;
            if before.is_some_and(|before| before >= key) {
                return None;
            }
            before = Some(key);
            self.token(b":")?;
            self.any(depth)?;
            if self.token(b",").is_none() {
                return self.token(b"}");
            }
        }
    }

    fn items(&mut self, depth: u32) -> Option<()> {
        self.token(b"[")?;
        if self.token(b"]").is_some() {
            return Some(());
        }
        loop {
            self.any(depth)?;
            if self.token(b",").is_none() {
                return self.token(b"]");
            }
        }
    }
}

#[cfg(test)]
mod tests;
