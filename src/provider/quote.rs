//! Text that is pasted into a shell or a URL.

/// `text` as one word of a POSIX shell.
pub(super) fn shell(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-~".contains(&b);
    if !text.is_empty() && !text.starts_with('~') && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Lines that set variables in a POSIX shell; those without a value are left out.
pub(super) fn exports(variables: &[(&str, &str)]) -> String {
    let set = variables.iter().filter(|(_, value)| !value.is_empty());
    set.map(|(name, value)| format!("export {name}={}", shell(value))).collect::<Vec<_>>().join("\n")
}

/// A part of a URL, percent-encoded (RFC 3986).
pub(super) fn percent(part: &str) -> String {
    let encoded = |b: u8| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }
    };
    part.bytes().map(encoded).collect()
}
