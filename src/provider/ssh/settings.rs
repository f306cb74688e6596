//! What can be set for `ssh`.

use std::net::IpAddr;

use super::super::settings::Reader;

/// The settings, read.
pub(in super::super) struct SshSettings {
    /// The accounts a certificate opens; `None` for the one named like the resource.
    pub(super) principals: Option<Vec<String>>,
    /// A CA key of the operator's instead of one we make.
    pub(super) ca_key_file: Option<String>,
    /// As the critical option `source-address` has them, separated by commas.
    pub(super) source_addresses: Option<String>,
    /// Whether sessions are cut at the end.
    pub(super) force_end: bool,
    /// For the command that is shown.
    pub(super) host: Option<String>,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
}

/// Takes the settings out of `reader`.
pub(in super::super) fn read(reader: &mut Reader<'_>) -> SshSettings {
    let principals = reader.texts("principals");
    if principals.iter().flatten().any(|name| !is_account(name)) {
        reader.problem(
            "principals",
            "has a name that no account can have",
            "use letters, digits, `.`, `_`, `@` and `-`",
        );
    }
    let source_addresses = reader.texts("source_addresses");
    if source_addresses.iter().flatten().any(|address| !is_cidr(address)) {
        reader.problem("source_addresses", "has an entry that is no address", "write `192.0.2.0/24` or `2001:db8::1`");
    }
    let host = reader.text("host");
    if host.as_ref().is_some_and(|host| !is_host(host)) {
        reader.problem("host", "is not the name or address of a host", "write `bastion.example.com`");
    }
    let user = reader.text("user");
    if user.as_ref().is_some_and(|user| !is_account(user)) {
        reader.problem("user", "is not a name that an account can have", "use letters, digits, `.`, `_`, `@` and `-`");
    }
    SshSettings {
        principals,
        ca_key_file: reader.text("ca_key_file"),
        source_addresses: source_addresses.map(|list| list.join(",")),
        force_end: reader.flag("force_end").unwrap_or(true),
        host,
        user,
        port: reader.number("port", 1..=u16::MAX),
    }
}

fn is_account(text: &str) -> bool {
    let fit = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(fit)
}

fn is_host(text: &str) -> bool {
    let fit = |b: u8| b.is_ascii_alphanumeric() || b"._:-%".contains(&b);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(fit)
}

fn is_cidr(text: &str) -> bool {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    address.parse::<IpAddr>().is_ok_and(|address| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
    })
}
