//! Which providers there are, and how one is opened.

use std::sync::Arc;

use super::{
    Provider, ProviderError, Settings, SettingsProblem, Surroundings, exec, mysql,
    plugin::Plugin,
    postgres, redis,
    settings::{Reader, did_you_mean, listed},
    ssh, token, webhook,
};

/// The names of the providers in this binary, as they stand in `provider = "…"`.
pub const NAMES: [&str; 7] = ["exec", "mysql", "postgres", "redis", "ssh", "token", "webhook"];
/// Longest name of a resource, in bytes: it names a folder.
const RESOURCE_MAX_BYTES: usize = 64;

/// Opens the provider `name` for the target that `settings` describe. No I/O: keys are made and servers are called
/// when they are first needed.
///
/// # Errors
///
/// [`ProviderError::Permanent`] if there is no such provider, if the settings are wrong or if the resource's name can't
/// be the name of a folder.
pub fn open(
    name: &str,
    resource: &str,
    settings: &Settings,
    surroundings: &Surroundings,
) -> Result<Arc<dyn Provider>, ProviderError> {
    fit(name, resource, settings)?;
    let mut reader = Reader::new(settings);
    Ok(match name {
        exec::NAME => Arc::new(exec::plugin(resource, exec::read(&mut reader), surroundings)),
        mysql::NAME => Arc::new(mysql::Mysql::new(resource, mysql::read(&mut reader), surroundings)),
        postgres::NAME => Arc::new(postgres::Postgres::new(resource, postgres::read(&mut reader), surroundings)),
        redis::NAME => Arc::new(redis::Redis::new(resource, redis::read(&mut reader), surroundings)),
        ssh::NAME => Arc::new(ssh::Ssh::new(resource, ssh::read(&mut reader), surroundings)),
        token::NAME => Arc::new(token::Token::new(resource, token::read(&mut reader), surroundings)),
        webhook::NAME => Arc::new(webhook::plugin(resource, webhook::read(&mut reader), surroundings)?),
        _ => return Err(ProviderError::Permanent(unknown(name).0)),
    })
}

/// The same, spoken to through the plugins' protocol whatever it is.
pub(super) fn plugin(
    name: &str,
    resource: &str,
    settings: &Settings,
    surroundings: &Surroundings,
) -> Result<Plugin, ProviderError> {
    fit(name, resource, settings)?;
    let mut reader = Reader::new(settings);
    match name {
        exec::NAME => Ok(exec::plugin(resource, exec::read(&mut reader), surroundings)),
        webhook::NAME => webhook::plugin(resource, webhook::read(&mut reader), surroundings),
        _ => Ok(Plugin::served(resource, open(name, resource, settings, surroundings)?, surroundings)),
    }
}

fn fit(name: &str, resource: &str, settings: &Settings) -> Result<(), ProviderError> {
    let problems = check_settings(name, settings);
    if !problems.is_empty() {
        return Err(ProviderError::Permanent(sentence(name, &problems)));
    }
    if !is_folder_name(resource) {
        return Err(ProviderError::Permanent(format!(
            "the resource's name can't name a folder; use letters, digits, `.`, `_` and `-`, at most {RESOURCE_MAX_BYTES}"
        )));
    }
    Ok(())
}

/// Everything that is wrong with the settings of provider `name`, all at once; empty if they are fit for [`open`].
/// Looks at nothing but its arguments.
#[must_use]
pub fn check_settings(name: &str, settings: &Settings) -> Vec<SettingsProblem> {
    let mut reader = Reader::new(settings);
    match name {
        exec::NAME => drop(exec::read(&mut reader)),
        mysql::NAME => drop(mysql::read(&mut reader)),
        postgres::NAME => drop(postgres::read(&mut reader)),
        redis::NAME => drop(redis::read(&mut reader)),
        ssh::NAME => drop(ssh::read(&mut reader)),
        token::NAME => drop(token::read(&mut reader)),
        webhook::NAME => drop(webhook::read(&mut reader)),
        _ => {
            let (words, hint) = unknown(name);
            return vec![SettingsProblem { key: None, words, hint: Some(hint) }];
        }
    }
    reader.finish()
}

fn unknown(name: &str) -> (String, String) {
    let hint = match did_you_mean(name, &NAMES) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}", listed(&NAMES)),
    };
    let shown: String = name.chars().filter(|c| !c.is_control()).take(RESOURCE_MAX_BYTES).collect();
    (format!("there is no provider `{shown}`; {hint}"), hint)
}

fn sentence(name: &str, problems: &[SettingsProblem]) -> String {
    let each = problems.iter().map(|problem| match &problem.key {
        Some(key) => format!("`{name}.{key}` {}", problem.words),
        None => problem.words.clone(),
    });
    each.collect::<Vec<_>>().join("; ")
}

fn is_folder_name(text: &str) -> bool {
    let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=RESOURCE_MAX_BYTES).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(fit)
}
