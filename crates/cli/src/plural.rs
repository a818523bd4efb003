//! How many there are of something, in words.

/// Returns a number with a noun whose plural ends in s: `1 turn`, `2 turns`.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
