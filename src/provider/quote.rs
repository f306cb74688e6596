//! Text that is pasted into a shell.

/// `text` as one word of a POSIX shell.
pub(super) fn shell(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-~".contains(&b);
    if !text.is_empty() && !text.starts_with('~') && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
