//! A spinner on standard error: somebody waits, and nothing hangs.

use std::io::Write;
use std::time::{Duration, Instant};

/// What passes before it shows: an answer that comes at once is not announced.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long one picture of it stays.
const BEAT: Duration = Duration::from_millis(100);
const PICTURES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Turns while there is nothing to show.
pub(crate) struct Spinner {
    since: Instant,
    turns: usize,
}

impl Spinner {
    /// Begins to wait; nothing shows yet.
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), turns: 0 }
    }

    /// Returns how long to wait for something to show before the next turn.
    pub(crate) fn pause(&self) -> Duration {
        if self.turns == 0 { PATIENCE } else { BEAT }
    }

    /// Shows its next picture, and the seconds after a few.
    pub(crate) fn turn(&mut self) {
        let picture = PICTURES[self.turns % PICTURES.len()];
        let seconds = self.since.elapsed().as_secs();
        let time = if seconds < 3 { String::new() } else { format!(" {seconds} s") };
        show(&format!("\r{picture}{time}"));
        self.turns += 1;
    }

    /// Leaves nothing of it.
    pub(crate) fn clear(self) {
        if self.turns > 0 {
            show("\r\x1b[K");
        }
    }
}

fn show(text: &str) {
    // Where nobody looks there is nobody to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
