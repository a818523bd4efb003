//! How far long work is, on standard error: a bar where a person looks, now and then a line where nobody may.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::talk::Talk;

/// What passes before a bar shows, and between two pictures of it.
const BAR: (Duration, Duration) = (Duration::from_millis(400), Duration::from_millis(100));
/// What passes before the first line, and between two.
const LINES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5));
/// How many columns a bar has.
const LENGTH: u64 = 24;

/// Shows how far work is. Nothing is shown of work that is done at once, nor where only errors are wanted.
pub(crate) struct Meter {
    talk: Talk,
    pace: Mutex<Pace>,
}

/// When to show something next.
struct Pace {
    next: Instant,
    every: Duration,
}

impl Pace {
    fn from(now: Instant, (first, every): (Duration, Duration)) -> Self {
        Self { next: now + first, every }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }
}

impl Meter {
    pub(crate) fn new(talk: Talk) -> Self {
        let pace = Mutex::new(Pace::from(Instant::now(), if talk.is_terminal() { BAR } else { LINES }));
        Self { talk, pace }
    }

    /// Says what is being done, how many are done, and of how many where that is known.
    pub(crate) fn tell(&self, what: &str, done: u64, of: Option<u64>) {
        let is_due = self.pace.lock().is_ok_and(|mut pace| pace.is_due(Instant::now()));
        if !is_due {
            return;
        }
        match self.talk.is_terminal() {
            true => self.talk.bar(&picture(what, done, of)),
            false => self.talk.note(&counted(what, done, of)),
        }
    }

    /// Leaves nothing of a bar.
    pub(crate) fn clear(&self) {
        self.talk.clear_bar();
    }
}

fn counted(what: &str, done: u64, of: Option<u64>) -> String {
    match (of, done) {
        (Some(of), done) => format!("{what}: {done} of {of}"),
        (None, 0) => format!("{what} …"),
        (None, done) => format!("{what}: {done}"),
    }
}

fn picture(what: &str, done: u64, of: Option<u64>) -> String {
    let counted = counted(what, done, of);
    match of.filter(|of| *of > 0) {
        Some(of) => {
            let full = (done.min(of) * LENGTH / of) as usize;
            format!("{}{} {counted}", "━".repeat(full), "·".repeat(LENGTH as usize - full))
        }
        None => counted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows_with_what_is_done() {
        assert_eq!(picture("copying", 0, Some(4)), "························ copying: 0 of 4");
        assert_eq!(picture("copying", 2, Some(4)), "━━━━━━━━━━━━············ copying: 2 of 4");
        assert_eq!(picture("copying", 9, Some(4)), "━━━━━━━━━━━━━━━━━━━━━━━━ copying: 9 of 4");
        assert_eq!(picture("reading", 7, None), "reading: 7");
        assert_eq!(picture("reading", 0, Some(0)), "reading: 0 of 0");
    }

    #[test]
    fn lines_are_few() {
        let start = Instant::now();
        let mut pace = Pace::from(start, LINES);
        let due: Vec<u64> = (0..20).filter(|s| pace.is_due(start + Duration::from_secs(*s))).collect();
        assert_eq!(due, [5, 10, 15]);
    }
}
