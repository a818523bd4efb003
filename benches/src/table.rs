//! Tables of medians, and ratios beside their goals.

use std::time::Duration;

use crate::measure::{Sample, Subject};

/// Prints one line per subject that was measured.
pub(crate) fn print(subjects: &[Subject<'_>], medians: &[Option<Sample>]) {
    println!("{:<28}{:>10}{:>12}{:>10}{:>10}", "", "CPU ms", "first ms", "wall ms", "RSS MiB");
    for (subject, median) in subjects.iter().zip(medians) {
        if let Some(median) = median {
            println!(
                "{:<28}{:>10.2}{:>12.2}{:>10.2}{:>10.1}",
                subject.name,
                ms(median.cpu),
                ms(median.first),
                ms(median.wall),
                median.rss as f64 / 1024.0
            );
        }
    }
    println!();
}

/// Prints `value` beside the goal that it be at most `most`.
pub(crate) fn at_most(what: &str, value: f64, most: f64) {
    println!("{what}: {value:.3} (goal: at most {most}){}", if value <= most { "" } else { " MISSED" });
}

/// Prints `value` beside the goal that it be at least `least`.
pub(crate) fn at_least(what: &str, value: f64, least: f64) {
    println!("{what}: {value:.3} (goal: at least {least}){}", if value >= least { "" } else { " MISSED" });
}

/// Returns how many times `b` goes into `a`.
pub(crate) fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-9)
}

/// Returns a time in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
