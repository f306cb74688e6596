//! The strings of SSH's wire format (RFC 4251 section 5): a `uint32` length, big-endian, and the bytes.

/// Appends `bytes` as a string.
pub(super) fn string(to: &mut Vec<u8>, bytes: &[u8]) {
    // What is written here is bounded by the settings and the register, far below 4 GiB.
    to.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend(bytes);
}

/// Appends one string that holds `texts` as strings.
pub(super) fn strings<'a>(to: &mut Vec<u8>, texts: impl IntoIterator<Item = &'a str>) {
    let mut inner = Vec::new();
    texts.into_iter().for_each(|text| string(&mut inner, text.as_bytes()));
    string(to, &inner);
}

/// The first string and what comes after it; `None` if there is no whole string.
pub(super) fn take_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
