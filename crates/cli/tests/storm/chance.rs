//! Random instants and numbers.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Returns a number below `end`, another one each time.
pub(crate) fn below(end: u64) -> u64 {
    RandomState::new().hash_one(end) % end
}

/// Returns a duration shorter than `end`.
pub(crate) fn shorter_than(end: Duration) -> Duration {
    Duration::from_micros(below(u64::try_from(end.as_micros()).unwrap()))
}

/// Returns the number that a variable names, for runs longer than everyday ones.
pub(crate) fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}
