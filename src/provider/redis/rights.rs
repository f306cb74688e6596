//! Whether our login has the rights it needs, and the exact rules that give them.

use chrono::{DateTime, Utc};

use super::{super::ProviderError, session::Session};

/// How far the server's clock may be from ours, in seconds.
const CLOCK_DIFFERENCE_MAX_SECS: i64 = 30;
/// The oldest server with selectors, which our mark is one of.
const SERVER_MIN: u32 = 7;
/// What we call: as a rule has it, and in words.
const CALLED: [(&str, &[&str]); 9] = [
    ("acl|setuser", &["ACL", "SETUSER", "x"]),
    ("acl|deluser", &["ACL", "DELUSER", "x"]),
    ("acl|users", &["ACL", "USERS"]),
    ("acl|getuser", &["ACL", "GETUSER", "x"]),
    ("acl|save", &["ACL", "SAVE"]),
    ("client|list", &["CLIENT", "LIST"]),
    ("client|kill", &["CLIENT", "KILL", "USER", "x"]),
    ("config|get", &["CONFIG", "GET", "aclfile"]),
    ("time", &["TIME"]),
];

/// What is missing: words with the rules that mend it. Empty if nothing is.
pub(super) async fn lacking(session: &mut Session, now: DateTime<Utc>) -> Result<Vec<String>, ProviderError> {
    let mut lacking = Vec::new();
    let us = session.text(&["ACL", "WHOAMI"]).await;
    let Ok(us) = us else {
        let every: Vec<String> = CALLED.iter().map(|(rule, _)| format!("+{rule}")).collect();
        return Ok(vec![format!(
            "our login may not look at the list of users: run as an admin `ACL SETUSER <our login> +acl|whoami \
             +acl|dryrun +info {}`",
            every.join(" ")
        )]);
    };
    let about = session.text(&["INFO", "server"]).await.unwrap_or_default();
    match version(&about) {
        Some(major) if major < SERVER_MIN => {
            return Ok(vec![format!("the server is older than Redis {SERVER_MIN}: upgrade it")]);
        }
        Some(_) => {}
        None => lacking.push("+info".to_owned()),
    }
    for (rule, words) in CALLED {
        let mut dry = vec!["ACL", "DRYRUN", us.as_str()];
        dry.extend(words);
        match session.text(&dry).await {
            Ok(answer) if answer == "OK" => {}
            Ok(_) => lacking.push(format!("+{rule}")),
            Err(ProviderError::Permanent(_)) => {
                lacking.push("+acl|dryrun".to_owned());
                lacking.extend(CALLED.iter().map(|(rule, _)| format!("+{rule}")));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let mut found = Vec::new();
    if !lacking.is_empty() {
        found.push(format!(
            "our login may not do all that is needed: run as an admin `ACL SETUSER {us} {}`",
            lacking.join(" ")
        ));
    }
    if let Ok(theirs) = clock(session).await {
        found.extend(clock_words(theirs.timestamp().saturating_sub(now.timestamp())));
    }
    Ok(found)
}

/// The server's clock.
pub(super) async fn clock(session: &mut Session) -> Result<DateTime<Utc>, ProviderError> {
    let unread = || ProviderError::Permanent("the server's clock can't be read".into());
    let told = session.texts(&["TIME"]).await?;
    let seconds = told.first().and_then(|seconds| seconds.parse().ok()).ok_or_else(unread)?;
    DateTime::from_timestamp(seconds, 0).ok_or_else(unread)
}

fn clock_words(ahead: i64) -> Option<String> {
    let (amount, side) = if ahead > 0 { (ahead, "ahead of") } else { (ahead.saturating_neg(), "behind") };
    (amount > CLOCK_DIFFERENCE_MAX_SECS).then(|| format!("the server's clock is {amount} s {side} ours: set it by NTP"))
}

/// A line of `INFO` by its name.
pub(super) fn told<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// The first number of the version. Valkey tells one of Redis too, for the clients.
fn version(info: &str) -> Option<u32> {
    told(info, "redis_version")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_tells_of_itself_is_read() {
        let info = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n";
        assert_eq!((version(info), told(info, "run_id")), (Some(7), Some("abc")));
        assert_eq!((version(""), told(info, "run")), (None, None));
    }
}
