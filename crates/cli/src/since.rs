//! `--since`: a point in time, or how long ago it was.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// A point in time.
    Time(Timestamp),
    /// So long before now.
    Ago(SignedDuration),
}

impl Since {
    /// Returns the time in microseconds since 1970, UTC.
    pub(crate) fn at(self, now: Timestamp) -> i64 {
        match self {
            Self::Time(time) => time.as_microsecond(),
            Self::Ago(ago) => now.saturating_sub(ago).map_or(i64::MIN, |time| time.as_microsecond()),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    /// Reads RFC 3339, a date (midnight, UTC), or a number with a unit: `s`, `m`, `h`, `d`, `w`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse() {
            return Ok(Self::Time(time));
        }
        if let Ok(date) = text.parse::<Date>()
            && let Ok(day) = date.to_zoned(TimeZone::UTC)
        {
            return Ok(Self::Time(day.timestamp()));
        }
        let unit = text.chars().last().and_then(|unit| {
            Some(match unit {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                'w' => 604_800,
                _ => return None,
            })
        });
        let number = |unit: i64| Some(i64::from(text[..text.len() - 1].parse::<u32>().ok()?) * unit);
        let ago = unit.and_then(number);
        ago.map(|seconds| Self::Ago(SignedDuration::from_secs(seconds))).ok_or_else(|| {
            "write a time (2026-11-01T12:00:00Z), a date (2026-11-01) or how long ago (12h, 7d)".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_dates_and_durations_are_understood() {
        let now: Timestamp = "2026-11-08T12:00:00Z".parse().unwrap();
        for (text, time) in [
            ("2026-11-01T12:00:00Z", "2026-11-01T12:00:00Z"),
            ("2026-11-01T12:00:00+02:00", "2026-11-01T10:00:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("7d", "2026-11-01T12:00:00Z"),
            ("1w", "2026-11-01T12:00:00Z"),
            ("36h", "2026-11-07T00:00:00Z"),
            ("90m", "2026-11-08T10:30:00Z"),
            ("0s", "2026-11-08T12:00:00Z"),
        ] {
            let time: Timestamp = time.parse().unwrap();
            assert_eq!(text.parse::<Since>().unwrap().at(now), time.as_microsecond(), "{text}");
        }
        for text in ["", "d", "7", "-7d", "7x", "yesterday", "2026-13-01", "1.5h", "ü"] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
        assert!("4294967295w".parse::<Since>().unwrap().at(now) < 0);
    }
}
