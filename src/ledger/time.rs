//! The time of an entry: UTC with microseconds, always 27 bytes: `2026-11-20T21:39:44.123456Z`.

use chrono::{DateTime, Datelike, Timelike, Utc};

/// Length of the text.
pub const TIME_BYTES: usize = 27;

/// Microseconds since 1970 in UTC. No leap seconds: the 60th second is written as the 59th.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Micros(pub i64);

impl Micros {
    /// The time, cut to whole microseconds.
    #[must_use]
    pub fn from_utc(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }

    /// As a `DateTime`; the epoch when it is out of range, which no scanned text is.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }

    /// The text, or `None` outside the years 0 to 9999.
    #[must_use]
    pub fn text(self) -> Option<String> {
        let t = self.to_utc();
        (0..=9999).contains(&t.year()).then(|| {
            format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
                t.year(),
                t.month(),
                t.day(),
                t.hour(),
                t.minute(),
                t.second(),
                t.nanosecond() / 1_000
            )
        })
    }

    /// Reads the text; `None` unless it is exactly the form above and a real moment.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: &[u8; TIME_BYTES] = text.try_into().ok()?;
        let [
            y1,
            y2,
            y3,
            y4,
            b'-',
            mo1,
            mo2,
            b'-',
            d1,
            d2,
            b'T',
            h1,
            h2,
            b':',
            mi1,
            mi2,
            b':',
            s1,
            s2,
            b'.',
            fraction @ ..,
            b'Z',
        ] = text
        else {
            return None;
        };
        let year = number(&[*y1, *y2, *y3, *y4])?;
        let (month, day) = (number(&[*mo1, *mo2])?, number(&[*d1, *d2])?);
        let (hour, minute, second) = (number(&[*h1, *h2])?, number(&[*mi1, *mi2])?, number(&[*s1, *s2])?);
        let micros = number(fraction)?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + i64::from(leap),
            _ => return None,
        };
        if day < 1 || day > days || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
        Some(Self(seconds * 1_000_000 + micros))
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, digit| digit.is_ascii_digit().then(|| n * 10 + i64::from(digit - b'0')))
}

/// Days from 1970-01-01 in the Gregorian calendar, counting years from March so that the leap day is the last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (century, of_century) = (year.div_euclid(100), year.rem_euclid(100));
    146_097 * century.div_euclid(4)
        + 36_524 * century.rem_euclid(4)
        + 365 * of_century
        + of_century / 4
        + (153 * month + 2) / 5
        + day
        - 719_469
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refused() {
        for text in [
            "2026-02-29T00:00:00.000000Z",
            "2026-13-01T00:00:00.000000Z",
            "2026-00-01T00:00:00.000000Z",
            "2026-01-00T00:00:00.000000Z",
            "2026-01-01T24:00:00.000000Z",
            "2026-01-01T00:00:60.000000Z",
            "2026-01-01 00:00:00.000000Z",
            "2026-01-01T00:00:00.00000Z",
            "2026-01-01T00:00:00.0000000Z",
            "2026-01-01T00:00:00.00000+Z",
        ] {
            assert_eq!(Micros::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Micros(i64::MAX).text(), Some("1970-01-01T00:00:00.000000Z".into()));
        assert_eq!(Micros(300_000_000_000_000_000).text(), None);
    }

    proptest! {
        #[test]
        fn read_back(micros in -62_167_219_200_000_000i64..253_402_300_800_000_000) {
            let text = Micros(micros).text().unwrap();
            prop_assert_eq!(text.len(), TIME_BYTES);
            prop_assert_eq!(Micros::parse(text.as_bytes()), Some(Micros(micros)));
        }
    }
}
