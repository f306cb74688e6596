//! Durations as people write them: `30m`, `1h30m`, `2h`, `1d`.

use std::{fmt, str::FromStr};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

const MINUTE_SECS: u64 = 60;
const HOUR_SECS: u64 = 60 * MINUTE_SECS;
const DAY_SECS: u64 = 24 * HOUR_SECS;
/// Longer than any access should be; keeps every sum of times within range.
const LONGEST_SECS: u64 = 366 * DAY_SECS;
/// `1d23h59m59s` is 11 characters; anything much longer is not a duration.
const LONGEST_TEXT_BYTES: usize = 24;

/// How long an access lasts, in whole seconds: at least one, at most 366 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Span(u64);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It does not read like one.
    #[error("a duration looks like `30m`, `1h30m`, `2h` or `1d`")]
    Form,
    /// It is nothing at all.
    #[error("a duration can't be zero")]
    Zero,
    /// It is longer than 366 days.
    #[error("a duration can't be longer than 366 days")]
    TooLong,
}

impl Span {
    /// A span of so many seconds.
    ///
    /// # Errors
    /// Zero, and more than 366 days.
    pub fn from_secs(secs: u64) -> Result<Self, DurationError> {
        match secs {
            0 => Err(DurationError::Zero),
            secs if secs > LONGEST_SECS => Err(DurationError::TooLong),
            secs => Ok(Self(secs)),
        }
    }

    /// So many hours: from 1 to what fits.
    pub(crate) const fn hours(hours: u64) -> Self {
        Self(if hours == 0 || hours > LONGEST_SECS / HOUR_SECS { HOUR_SECS } else { hours * HOUR_SECS })
    }

    /// Its length in seconds.
    #[must_use]
    pub fn secs(self) -> u64 {
        self.0
    }

    /// Its length for sums with times.
    #[must_use]
    pub fn delta(self) -> TimeDelta {
        // Within 366 days by construction, so neither step can fail; zero would only ever shorten an access.
        i64::try_from(self.0).ok().and_then(TimeDelta::try_seconds).unwrap_or_default()
    }
}

impl TryFrom<u64> for Span {
    type Error = DurationError;

    fn try_from(secs: u64) -> Result<Self, DurationError> {
        Self::from_secs(secs)
    }
}

impl From<Span> for u64 {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl FromStr for Span {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text.is_empty() || text.len() > LONGEST_TEXT_BYTES {
            return Err(DurationError::Form);
        }
        let mut total: u64 = 0;
        let mut number: Option<u64> = None;
        // Units must get smaller, so that `30m1h` and `5m5m` are slips and not sums.
        let mut smallest = u64::MAX;
        for c in text.chars() {
            if let Some(digit) = c.to_digit(10) {
                let so_far = number.unwrap_or(0);
                number = Some(so_far.saturating_mul(10).saturating_add(u64::from(digit)));
                continue;
            }
            let unit = match c.to_ascii_lowercase() {
                'd' => DAY_SECS,
                'h' => HOUR_SECS,
                'm' => MINUTE_SECS,
                's' => 1,
                _ => return Err(DurationError::Form),
            };
            let count = number.take().ok_or(DurationError::Form)?;
            if unit >= smallest {
                return Err(DurationError::Form);
            }
            smallest = unit;
            total = total.saturating_add(count.saturating_mul(unit));
        }
        if number.is_some() {
            return Err(DurationError::Form);
        }
        Self::from_secs(total)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (unit, letter) in [(DAY_SECS, 'd'), (HOUR_SECS, 'h'), (MINUTE_SECS, 'm'), (1, 's')] {
            if rest >= unit {
                write!(f, "{}{letter}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}
