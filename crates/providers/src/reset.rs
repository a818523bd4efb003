//! When a rate limit is lifted, in each of the forms that servers write it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns how long it is until then. Understood are durations as Go writes them (`1m2.5s`, `17ms`), RFC 3339
/// times, plain seconds, and seconds or milliseconds since 1970, which are told apart by their size.
pub(crate) fn reset(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let seconds = match number {
            milliseconds if milliseconds >= 1e11 => milliseconds / 1e3 - since_1970,
            seconds if seconds >= 1e8 => seconds - since_1970,
            seconds => seconds,
        };
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    span(text).or_else(|| Some(date(text)?.duration_since(now).unwrap_or_default()))
}

/// Reads a duration as Go writes it: numbers, each with its unit.
fn span(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let seconds = match unit {
            "d" => 86400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        (sum, rest) = (sum.checked_add(part)?, tail);
    }
    (!text.is_empty()).then_some(sum)
}

/// Reads a time of RFC 3339.
pub(crate) fn date(text: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let mark = |at: usize, marks: &[u8]| text.as_bytes().get(at).is_some_and(|byte| marks.contains(byte));
    if ![(4, &b"-"[..]), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")].iter().all(|(at, m)| mark(*at, m)) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let rest = text.get(19..)?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone_at);
    let fraction = if fraction.is_empty() { 0.0 } else { format!("0{fraction}").parse::<f64>().ok()? };
    let offset = match zone.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let two = |a: &u8, b: &u8| {
                Some(i64::from(char::from(*a).to_digit(10)? * 10 + char::from(*b).to_digit(10)?))
            };
            let offset = two(h1, h2)? * 3600 + two(m1, m2)? * 60;
            if *sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    let since_1970 = days(year, month, day)? * 86400 + seconds - offset;
    let whole = Duration::from_secs(u64::try_from(since_1970).ok()?);
    UNIX_EPOCH.checked_add(whole + Duration::try_from_secs_f64(fraction).ok()?)
}

/// Returns the number of a day of the Gregorian calendar, counted from 1970-01-01. Years are counted from March,
/// so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    Some(before + (month * 153 + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let now = httpdate::parse_http_date("Sun, 01 Mar 2026 00:00:00 GMT").unwrap();
        let millis = |text| reset(text, now).map(|wait| wait.as_secs_f64() * 1e3);
        for (text, wait) in [
            ("1m2.5s", 62_500.0),
            ("17ms", 17.0),
            ("6h0m0s", 21_600_000.0),
            ("2m59.56s", 179_560.0),
            ("250µs", 0.25),
            ("0s", 0.0),
            ("12", 12_000.0),
            ("0.5", 500.0),
            ("-3", 0.0),
            ("1772323210", 10_000.0),
            ("1772323210000", 10_000.0),
            ("2026-03-01T00:00:30Z", 30_000.0),
            ("2026-03-01T00:00:30.25Z", 30_250.0),
            ("2026-03-01T01:00:00+01:00", 0.0),
            ("2026-02-28T23:30:00-00:45", 900_000.0),
            ("2026-02-28T23:59:59Z", 0.0),
        ] {
            assert_eq!(millis(text), Some(wait), "{text}");
        }
        for bad in
            ["", "soon", "1x", "m", "2026-13-01T00:00:00Z", "2026-03-01", "2026-03-01T00:00:00", "NaN s", "é"]
        {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }

    #[test]
    fn days_agree_with_an_independent_calendar() {
        for number in (0..36_525).step_by(13) {
            let then = UNIX_EPOCH + Duration::from_secs(number * 86_400);
            let text = httpdate::fmt_http_date(then);
            let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
                .iter()
                .position(|name| *name == &text[8..11])
                .unwrap();
            let date = format!("{}-{:02}-{}T00:00:00Z", &text[12..16], month + 1, &text[5..7]);
            assert_eq!(super::date(&date), Some(then), "{date}");
        }
    }
}
