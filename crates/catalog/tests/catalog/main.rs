//! The catalogue from outside: the built-in table, how names are matched, what calls cost.

use aichat_catalog::{Day, Moment};

mod cost;
mod given;
mod golden;
mod laws;
mod table;

/// Noon of 2026-11-24, a Tuesday, in UTC.
pub(crate) const NOW: Moment = Moment::from_unix_seconds(20_781 * 86_400 + 43_200);

/// Returns a minute of a day, in UTC.
pub(crate) fn moment(day: &str, minute: u16) -> Moment {
    day.parse::<Day>().expect("a day").at_minute(minute)
}
