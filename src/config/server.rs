//! `countersign.toml`: the ledger, the HTTP server, the chats, the limits.

use std::{net::SocketAddr, path::PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use cron::Schedule;

use regex::{Regex, RegexBuilder};

use super::{
    chats::{self, Discord, PagerDuty, Slack},
    problem::nearest,
    reader::{Placed, Reader, Table},
    secrets,
};
use crate::access::Span;

/// How long a request waits until its approvers are reminded, unless the config says otherwise.
const REMIND_AFTER_DEFAULT_SECS: u64 = 15 * 60;
/// What a ticket in a reason looks like, unless the config says otherwise.
const TICKET_PATTERN_DEFAULT: &str = "[A-Z][A-Z0-9]+-[0-9]+";
/// A pattern that needs more memory than this is refused.
const PATTERN_SIZE_BYTES_MAX: usize = 256 * 1024;
/// For how long a source's word on who is in a group is good, unless the config says otherwise.
const GROUP_CACHE_DEFAULT_SECS: u64 = 30;
/// The longest name of a log; it stands in every signed head.
const ORIGIN_BYTES_MAX: usize = 128;

/// The service's own settings.
#[derive(Debug, Clone)]
pub struct Server {
    /// The ledger's folder.
    pub ledger_path: PathBuf,
    /// The log's name in every signed head.
    pub origin: String,
    /// A file with the key that signs the ledger, when it is not kept in the ledger's folder.
    pub signing_key_file: Option<PathBuf>,
    /// Where the HTTP server listens.
    pub listen: SocketAddr,
    /// The playground's channel, if the playground is on.
    pub playground_channel: Option<String>,
    /// What holds for every resource that doesn't say otherwise.
    pub limits: Limits,
    /// When a report is posted, if ever.
    pub digest: Option<Plan>,
    /// Where those who answer for security are told what concerns them.
    pub security_channel: Option<String>,
    /// Who they are, as they stand in the file.
    pub security: Vec<Placed<String>>,
    /// Slack.
    pub slack: Slack,
    /// Discord.
    pub discord: Discord,
    /// Where on-call schedules are asked.
    pub pagerduty: PagerDuty,
    /// What a ticket in a reason looks like.
    pub ticket_pattern: Option<Regex>,
    /// For how long a source's word on who is in a group is good, in seconds.
    pub group_cache_secs: u64,
}

/// What holds for every resource that doesn't say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a request waits for its decision.
    pub lapse_after: Span,
    /// After how long its approvers are reminded.
    pub remind_after: Span,
    /// After how long others may approve it too.
    pub escalate_after: Span,
    /// How long after its end a break-glass is to be reviewed.
    pub review_within: Span,
    /// The zone that times of day are meant in.
    pub zone: Tz,
}

/// Reads the file. `None` where something that can't be guessed is wrong; it has been reported then.
pub fn read(reader: &Reader<'_>) -> Option<Server> {
    let parsed = reader.parse();
    secrets::report(reader, &parsed);
    let top = reader.table(&parsed);
    let ledger = top.inner("ledger");
    if ledger.is_none() && top.value("ledger").is_none() {
        let hint = "for example:\n    [ledger]\n    path   = \"data\"\n    origin = \"countersign.example.com/prod\"";
        reader.report(0, "the table `[ledger]` is missing", Some(hint.into()));
    }
    let ledger = ledger.map(|table| ledger_of(reader, table));
    let listen = top.inner("http").and_then(|table| {
        let listen = listen_of(reader, &table);
        table.finish(&[]);
        listen
    });
    let playground_channel = top.inner("playground").map(|table| {
        let channel = table.text("channel").and_then(|text| super::channel_in(reader, text));
        table.finish(&[]);
        channel.map_or_else(|| "approvals".to_owned(), |channel| channel.value)
    });
    let limits_table = top.inner("limits");
    let ticket_pattern = ticket_pattern(limits_table.as_ref());
    let group_cache = limits_table.as_ref().and_then(|table| span(table, "group_cache"));
    let limits = limits(limits_table);
    let (slack, discord) = (chats::slack(top.inner("slack")), chats::discord(top.inner("discord")));
    let pagerduty = chats::pagerduty(top.inner("pagerduty"));
    let digest = top.inner("digest").and_then(|table| {
        let plan = plan(reader, &table, limits.zone);
        table.finish(&[]);
        plan
    });
    let (security_channel, security) = top.inner("security").map_or_else(Default::default, |table| {
        let channel = table.text("channel").and_then(|text| super::channel_in(reader, text));
        let people = table.texts("people").unwrap_or_default();
        table.finish(&[]);
        (channel.map(|channel| channel.value), people)
    });
    top.finish(&[]);
    let (path, origin, signing_key_file) = ledger?;
    Some(Server {
        ledger_path: path.unwrap_or_default(),
        origin: origin.unwrap_or_default(),
        signing_key_file,
        listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7070))),
        playground_channel,
        limits,
        digest,
        security_channel,
        security,
        slack,
        discord,
        pagerduty,
        ticket_pattern,
        group_cache_secs: group_cache.map_or(GROUP_CACHE_DEFAULT_SECS, Span::secs),
    })
}

/// What a ticket looks like, as a word of its own.
fn ticket_pattern(table: Option<&Table<'_, '_>>) -> Option<Regex> {
    let placed = table.and_then(|table| table.text("ticket_pattern"));
    let (pattern, offset) =
        placed.map_or_else(|| (TICKET_PATTERN_DEFAULT.to_owned(), 0), |placed| (placed.value, placed.offset));
    let built = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_SIZE_BYTES_MAX).build();
    // By itself first: what is wrong in it may be right within the frame.
    match built(&pattern).and_then(|_| built(&format!(r"\b(?:{pattern})\b"))) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let why = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            if let Some(table) = table {
                let hint = format!("a regular expression, for example `'{TICKET_PATTERN_DEFAULT}'`");
                table.reader().report(offset, format!("`ticket_pattern` can't be read: {why}"), Some(hint));
            }
            None
        }
    }
}

fn limits(table: Option<Table<'_, '_>>) -> Limits {
    let mut limits = Limits {
        lapse_after: Span::hours(8),
        remind_after: Span::from_secs(REMIND_AFTER_DEFAULT_SECS).unwrap_or(Span::hours(1)),
        escalate_after: Span::hours(1),
        review_within: Span::hours(24),
        zone: Tz::UTC,
    };
    let Some(table) = table else { return limits };
    let read = |key, limit: &mut Span| *limit = span(&table, key).unwrap_or(*limit);
    read("lapse_after", &mut limits.lapse_after);
    read("remind_after", &mut limits.remind_after);
    read("escalate_after", &mut limits.escalate_after);
    read("review_within", &mut limits.review_within);
    limits.zone = zone(&table, "timezone").unwrap_or(limits.zone);
    table.finish(&[]);
    limits
}

fn ledger_of(reader: &Reader<'_>, table: Table<'_, '_>) -> (Option<PathBuf>, Option<String>, Option<PathBuf>) {
    let path = table.need("path", table.text("path"), "path = \"data\"").map(|text| PathBuf::from(text.value));
    let origin = table.need("origin", table.text("origin"), "origin = \"countersign.example.com/prod\"");
    let origin = origin.and_then(|text| {
        let fit = !text.value.is_empty()
            && text.value.len() <= ORIGIN_BYTES_MAX
            && text.value.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
        if fit {
            return Some(text.value);
        }
        let hint = "a name like a URL without a scheme: no spaces, no `+`, at most 128 bytes";
        reader.report(text.offset, "`origin` can't name a log", Some(hint.into()));
        None
    });
    let key = table.text("signing_key_file").map(|text| PathBuf::from(text.value));
    table.finish(&[]);
    (path, origin, key)
}

fn listen_of(reader: &Reader<'_>, table: &Table<'_, '_>) -> Option<SocketAddr> {
    let text = table.text("listen")?;
    text.value.parse().map_or_else(
        |_| {
            let hint = "an address and a port, for example `127.0.0.1:7070`";
            reader.report(text.offset, format!("`listen` is no address: {:?}", text.value), Some(hint.into()));
            None
        },
        Some,
    )
}

/// A duration like `2h`.
pub fn span(table: &Table<'_, '_>, key: &'static str) -> Option<Span> {
    let text = table.text(key)?;
    match text.value.parse() {
        Ok(span) => Some(span),
        Err(error) => {
            table.reader().report(text.offset, format!("`{key}` is no duration: {error}"), None);
            None
        }
    }
}

/// A time zone like `Europe/Berlin`.
pub fn zone(table: &Table<'_, '_>, key: &'static str) -> Option<Tz> {
    let text = table.text(key)?;
    text.value.parse().map_or_else(
        |_| {
            let near = nearest(&text.value, TZ_VARIANTS.iter().map(|zone| zone.name()));
            let hint = near.map_or_else(
                || "a name of the IANA list, for example `Europe/Berlin`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            table.reader().report(text.offset, format!("`{key}` is no time zone: {:?}", text.value), Some(hint));
            None
        },
        Some,
    )
}

/// When something is done again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The `cron` expression: seconds, minutes, hours, day of the month, month, day of the week, and maybe the year.
    pub cron: Schedule,
    /// The zone that it is meant in.
    pub zone: Tz,
}

impl Plan {
    /// The newest moment of the plan that is after `after` and not after `until`.
    #[must_use]
    pub fn newest(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // What is looked at backwards from is not itself looked at, so it is looked from a second later, in which there may
        // be another one.
        let from = until.with_timezone(&self.zone).checked_add_signed(TimeDelta::seconds(1))?;
        let mut back = self.cron.after(&from).rev().map(|at| at.with_timezone(&Utc));
        back.find(|at| *at <= until).filter(|newest| *newest > after)
    }
}

fn plan(reader: &Reader<'_>, table: &Table<'_, '_>, usual: Tz) -> Option<Plan> {
    let cron = table.need("cron", table.text("cron"), "cron = \"0 0 9 * * Mon\"");
    let zone = zone(table, "timezone").unwrap_or(usual);
    let cron = cron?;
    if let Ok(schedule) = cron.value.parse::<Schedule>() {
        if schedule.after(&DateTime::UNIX_EPOCH).next().is_none() {
            let hint = "no year has such a day; every Monday at nine is `0 0 9 * * Mon`";
            reader.report(cron.offset, format!("`cron` never comes: {:?}", cron.value), Some(hint.into()));
            return None;
        }
        return Some(Plan { cron: schedule, zone });
    }
    let hint = "seconds, minutes, hours, day of the month, month, day of the week: `0 0 9 * * Mon`";
    reader.report(cron.offset, format!("`cron` is no expression: {:?}", cron.value), Some(hint.into()));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(cron: &str, zone: &str) -> Plan {
        Plan { cron: cron.parse().unwrap(), zone: zone.parse().unwrap() }
    }

    fn newest(plan: &Plan, after: &str, until: &str) -> String {
        let found = plan.newest(after.parse().unwrap(), until.parse().unwrap());
        found.map_or_else(|| "none".to_owned(), |at| at.to_rfc3339())
    }

    #[test]
    fn the_newest_moment_of_a_week_in_its_zone() {
        let mondays = plan("0 0 9 * * Mon", "Europe/Berlin");
        let newest = |after, until| newest(&mondays, after, until);
        assert_eq!(newest("2026-11-16T08:00:00Z", "2026-11-16T08:30:00Z"), "none", "it was made already");
        assert_eq!(newest("2026-11-16T07:59:59Z", "2026-11-16T08:00:00Z"), "2026-11-16T08:00:00+00:00");
        assert_eq!(newest("2026-11-16T07:00:00Z", "2026-11-16T07:59:59.999Z"), "none", "not yet");
        assert_eq!(
            newest("2026-10-01T00:00:00Z", "2026-11-19T00:00:00Z"),
            "2026-11-16T08:00:00+00:00",
            "the newest of many"
        );
        assert_eq!(newest("2026-07-01T00:00:00Z", "2026-07-09T00:00:00Z"), "2026-07-06T07:00:00+00:00", "in summer");
    }

    #[test]
    fn the_newest_of_those_that_come_every_second_and_every_minute() {
        let seconds = plan("* * * * * *", "UTC");
        assert_eq!(newest(&seconds, "2026-11-16T08:00:00Z", "2026-11-16T08:00:05.5Z"), "2026-11-16T08:00:05+00:00");
        assert_eq!(newest(&seconds, "2026-11-16T08:00:05Z", "2026-11-16T08:00:05.5Z"), "none");
        let minutes = plan("0 * * * * *", "UTC");
        assert_eq!(newest(&minutes, "2026-11-16T08:00:00Z", "2026-11-16T08:01:59.9Z"), "2026-11-16T08:01:00+00:00");
    }

    #[test]
    fn the_night_that_has_no_half_past_two() {
        let nights = plan("0 30 2 * * *", "Europe/Berlin");
        let found = newest(&nights, "2027-03-27T12:00:00Z", "2027-03-28T12:00:00Z");
        assert!(found == "none" || found.starts_with("2027-03-28"), "{found}");
        assert_eq!(newest(&nights, "2027-03-28T12:00:00Z", "2027-03-29T12:00:00Z"), "2027-03-29T00:30:00+00:00");
    }
}
