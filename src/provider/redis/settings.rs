//! What can be set for `redis`.

use super::super::settings::Reader;

/// Words that are whole rules.
const WORDS: [&str; 6] = ["allkeys", "resetkeys", "allchannels", "resetchannels", "allcommands", "nocommands"];
/// Commands by which a holder could lift their own end, or outlive it: they are taken away again, whatever the rules
/// give. A server that is told to follow another does what that one says.
pub(super) const NEVER: [&str; 10] =
    ["acl", "config", "module", "debug", "replicaof", "slaveof", "cluster", "failover", "sync", "psync"];
/// Most databases that a server can have, less one.
const DATABASE_MAX: u16 = 16_383;

/// The settings, read.
#[derive(Debug, Clone)]
pub(in super::super) struct RedisSettings {
    /// The environment variable with the admin URL; empty where a file has it.
    pub(super) url_env: String,
    /// The file with the admin URL.
    pub(super) url_file: Option<String>,
    /// What a grant may do, in the server's rules.
    pub(super) rules: Vec<String>,
    /// A file with the certificate authorities to trust instead of the public ones, PEM.
    pub(super) ca_file: Option<String>,
    /// What the holder connects to, where that is not what we connect to.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) database: Option<u16>,
}

/// Takes the settings out of `reader`.
pub(in super::super) fn read(reader: &mut Reader<'_>) -> RedisSettings {
    let (url_env, url_file) = reader.url("PROD_REDIS_URL");
    let rules = reader.needed_texts("rules", r#"["+@read", "~app:*"]"#).unwrap_or_default();
    for rule in &rules {
        if let Some((words, hint)) = wrong(rule) {
            reader.problem("rules", words, hint);
        }
    }
    RedisSettings {
        url_env,
        url_file,
        rules,
        ca_file: reader.text("ca_file"),
        host: reader.text("host"),
        port: reader.number("port", 1..=u16::MAX),
        database: reader.number("database", 0..=DATABASE_MAX),
    }
}

/// What is wrong with a rule, and a way to mend it.
fn wrong(rule: &str) -> Option<(&'static str, &'static str)> {
    const KNOWN: &str = "write commands such as `+@read` or `-flushall`, keys such as `~app:*` or `%R~app:*`, channels \
                         such as `&news:*`; who the user is and when it ends is ours to say";
    let printable = rule.bytes().all(|b| b.is_ascii_graphic());
    let pattern = ["~", "%R~", "%W~", "%RW~", "&"].iter().any(|start| rule.starts_with(start));
    if printable && (pattern || WORDS.contains(&rule)) {
        return None;
    }
    let command = rule.strip_prefix(['+', '-']).filter(|name| {
        let bare = name.strip_prefix('@').unwrap_or(name);
        !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_|.".contains(&b))
    });
    let Some(command) = command else { return Some(("has an entry that is no rule of what may be done", KNOWN)) };
    let root = command.split('|').next().unwrap_or(command);
    (rule.starts_with('+') && NEVER.contains(&root)).then_some((
        "has an entry that would let a holder lift their own end",
        "leave out `acl`, `config`, `module`, `debug` and what makes a server follow another",
    ))
}

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn rules_say_what_may_be_done_and_nothing_else() {
        for good in [
            "+@all",
            "-@dangerous",
            "+get",
            "-flushall",
            "+client|list",
            "~*",
            "~app:{x}:*",
            "%R~a",
            "%RW~b",
            "&news:*",
            "allkeys",
            "allcommands",
            "-acl",
            "~(",
            "+json.get",
        ] {
            assert_eq!(wrong(good), None, "{good}");
        }
        for bad in [
            "",
            "on",
            "off",
            "nopass",
            ">password",
            "<password",
            "#abc",
            "!abc",
            "reset",
            "resetpass",
            "(+@all ~*)",
            "clearselectors",
            "sanitize-payload",
            "+",
            "+@",
            "~a b",
            "~a\nb",
            "+GET",
            "+get ~*",
            "é",
            "+acl",
            "+acl|list",
            "+config|set",
            "+module",
            "+replicaof",
        ] {
            assert!(wrong(bad).is_some(), "{bad}");
        }
    }
}
