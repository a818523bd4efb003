//! Times and durations as people read them.

use jiff::Timestamp;

/// Returns microseconds since 1970 as RFC 3339 in UTC to the second; a number outside of the calendar as it is.
pub(crate) fn rfc3339(us: i64) -> String {
    match Timestamp::from_microsecond(us) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => format!("{us} us"),
    }
}

/// Returns microseconds since 1970 as date and time in UTC to the minute; a number outside of the calendar as nothing.
pub(crate) fn minute(us: i64) -> String {
    Timestamp::from_microsecond(us)
        .map_or_else(|_| " ".repeat(16), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

/// Returns microseconds since 1970 as date and time in UTC to the millisecond; a number outside of the calendar as it is.
pub(crate) fn exact(us: i64) -> String {
    match Timestamp::from_microsecond(us) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string(),
        Err(_) => format!("{us} us"),
    }
}

/// Returns a duration in the unit that suits it.
pub(crate) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us / 100 % 10),
        1_000_000..60_000_000 => format!("{}.{:02} s", us / 1_000_000, us / 10_000 % 100),
        _ => format!("{} min {} s", us / 60_000_000, us / 1_000_000 % 60),
    }
}

/// Returns how long ago something was, roughly.
pub(crate) fn age(us: i64) -> String {
    let minutes = us / 60_000_000;
    match minutes {
        ..1 => "now".to_owned(),
        1..60 => format!("{minutes} min"),
        60..2_880 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / 1_440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_inside_and_outside_of_the_calendar() {
        assert_eq!(rfc3339(1_767_225_600_999_999), "2026-01-01T00:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339(i64::MAX), "9223372036854775807 us");
    }

    #[test]
    fn ages_are_rough() {
        let ages = [-5, 59, 60, 3_600, 172_799, 172_800, 8_640_000].map(|seconds| age(seconds * 1_000_000));
        assert_eq!(ages, ["now", "now", "1 min", "1 h", "47 h", "2 d", "100 d"]);
    }

    #[test]
    fn durations_in_the_unit_that_suits() {
        let texts: Vec<String> = [999, 1_050, 59_999_999, 61_000_000, u64::MAX].map(duration).into();
        assert_eq!(texts, ["999 us", "1.0 ms", "59.99 s", "1 min 1 s", "307445734561 min 49 s"]);
    }
}
