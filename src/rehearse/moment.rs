//! Moments as a story writes them.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

/// A day and a time of day in a zone.
///
/// # Errors
/// Why there is no such moment, in words.
pub fn on(day: NaiveDate, time: NaiveTime, zone: Tz) -> Result<DateTime<Utc>, &'static str> {
    match zone.from_local_datetime(&day.and_time(time)) {
        chrono::LocalResult::Single(moment) => Ok(moment.to_utc()),
        chrono::LocalResult::None => Err("the clocks are set forward over this time of day, so it never comes"),
        chrono::LocalResult::Ambiguous(..) => Err("the clocks are set back over this time of day, so it comes twice"),
    }
}

/// The first moment after `now` at which it is this late in a zone.
pub fn next(time: NaiveTime, zone: Tz, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    /// A day without this time of day is followed by one that has it.
    const DAYS_TRIED: i64 = 3;
    let today = now.with_timezone(&zone).date_naive();
    (0..DAYS_TRIED)
        .filter_map(|days| today.checked_add_signed(TimeDelta::try_days(days)?))
        .filter_map(|day| zone.from_local_datetime(&day.and_time(time)).earliest())
        .map(|moment| moment.to_utc())
        .find(|moment| *moment > now)
}

/// A time of day: `09:30` or `09:30:15`.
pub fn time_of_day(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").or_else(|_| NaiveTime::parse_from_str(text, "%H:%M:%S")).ok()
}

/// A moment to the second, in the zone of the story.
pub fn told(moment: DateTime<Utc>, zone: Tz) -> String {
    moment.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_time_it_is_so_late() {
        let berlin = chrono_tz::Europe::Berlin;
        let two = time_of_day("02:00").unwrap();
        assert_eq!(next(two, berlin, moment("2026-11-21T00:59:59Z")), Some(moment("2026-11-21T01:00:00Z")));
        assert_eq!(next(two, berlin, moment("2026-11-21T01:00:00Z")), Some(moment("2026-11-22T01:00:00Z")));
        // On this day there is no half past two in Berlin.
        let half_past = time_of_day("02:30").unwrap();
        assert_eq!(next(half_past, berlin, moment("2026-03-29T00:00:00Z")), Some(moment("2026-03-30T00:30:00Z")));
    }

    #[test]
    fn a_time_that_never_comes_or_comes_twice_is_no_moment() {
        let berlin = chrono_tz::Europe::Berlin;
        let half_past = time_of_day("02:30").unwrap();
        assert!(on("2026-03-29".parse().unwrap(), half_past, berlin).is_err());
        assert!(on("2026-10-25".parse().unwrap(), half_past, berlin).is_err());
        assert!(on("2026-10-26".parse().unwrap(), half_past, berlin).is_ok());
    }
}
