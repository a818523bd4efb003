//! When a call was made and from which day a price holds: moments and days, in UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind};

const SECONDS_PER_DAY: i64 = 86_400;

/// An instant, in whole seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// Returns the instant so many seconds after 1970, or before it where negative.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Returns the second that holds the instant so many microseconds after 1970.
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros.div_euclid(1_000_000))
    }

    /// Returns the day, in UTC.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(SECONDS_PER_DAY))
    }

    /// Returns the minutes that have passed since midnight, UTC.
    pub(crate) fn minute(self) -> u16 {
        // The remainder is below 86,400.
        (self.0.rem_euclid(SECONDS_PER_DAY) / 60) as u16
    }

    /// Tells whether it is Saturday or Sunday, in UTC.
    pub(crate) fn is_weekend(self) -> bool {
        // 1970 began on a Thursday.
        matches!((self.day().0 + 3).rem_euclid(7), 5 | 6)
    }
}

/// A day of the calendar, written `2026-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// Returns the instant so many minutes after the day's beginning, in UTC.
    pub const fn at_minute(self, minute: u16) -> Moment {
        Moment(self.0.saturating_mul(SECONDS_PER_DAY).saturating_add(minute as i64 * 60))
    }
}

/// Counts days from the first of March of the year 0, in cycles of 400 years, so that a leap day ends its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 3 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.saturating_add(719_468);
        let (cycle, rest) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (rest - rest / 1_460 + rest / 36_524 - rest / 146_096) / 365;
        let of_year = rest - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = cycle * 400 + year + i64::from(month < 3);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = Error;

    /// Reads `2026-01-31`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Day`] for anything else, the thirty-first of February included.
    fn from_str(text: &str) -> Result<Self, Error> {
        let number = |range| text.get(range).filter(|part: &&str| part.bytes().all(|b| b.is_ascii_digit()));
        let read = || {
            let parts = [number(0..4)?, number(5..7)?, number(8..10)?];
            let [year, month, day] = parts.map(|part| part.parse().unwrap_or(0));
            Some(Self(days(year, (1..=12).contains(&month).then_some(month)?, day)))
        };
        // A day that does not exist is written differently from how it was read.
        read()
            .filter(|day| day.to_string() == text)
            .ok_or_else(|| Error::new(ErrorKind::Day, "not a day such as 2026-01-31"))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (text, number) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2026-11-24", 20_781),
            ("2100-03-01", 47_541),
        ] {
            assert_eq!(text.parse::<Day>().unwrap(), Day(number), "{text}");
            assert_eq!(Day(number).to_string(), text);
        }
        for text in ["", "2026-2-01", "2026-02-30", "2100-02-29", "2026-13-01", "2026-00-10", "2026-01-00"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        for text in ["2026/01/01", "2026-01-011", "+026-01-01", "２026-01-01", "2026-01-1é"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_knows_its_day_and_minute() {
        // 2026-11-21 is a Saturday; 20,778 days after 1970.
        let saturday = Moment::from_unix_seconds(20_778 * 86_400 + 3_661);
        assert_eq!((saturday.day().to_string().as_str(), saturday.minute()), ("2026-11-21", 61));
        let at = |days: i64| Moment::from_unix_micros((20_778 + days) * 86_400_000_000).is_weekend();
        assert_eq!([-1, 0, 1, 2].map(at), [false, true, true, false]);
        assert_eq!(Moment::from_unix_micros(-1).day().to_string(), "1969-12-31");
    }

    proptest! {
        #[test]
        fn a_day_is_read_as_it_is_written(number in -719_000_i64..2_900_000) {
            prop_assert_eq!(Day(number).to_string().parse::<Day>().unwrap(), Day(number));
            prop_assert_eq!(Day(number).at_minute(1_439).day(), Day(number));
        }

        #[test]
        fn no_moment_is_too_far(seconds in any::<i64>()) {
            let moment = Moment::from_unix_seconds(seconds);
            prop_assert!(moment.minute() < 1_440 && !moment.day().to_string().is_empty());
        }
    }
}
