//! One attempt: what it has given so far, and when.

use aichat_events::{Kept, Timing};
use aichat_message::{Delta, Fold};

/// What one attempt has given so far.
pub(super) struct Attempt {
    pub(super) fold: Fold,
    pub(super) queue_us: u64,
    pub(super) begun_us: u64,
    pub(super) last_us: u64,
    pub(super) first_byte_us: Option<u64>,
    pub(super) first_content_us: Option<u64>,
    pub(super) chunks: u64,
    pub(super) longest_gap_us: u64,
    /// Whether a secret was masked in what came.
    pub(super) is_masked: bool,
}

impl Attempt {
    pub(super) fn new(now_us: u64, turn_us: u64) -> Self {
        Self {
            fold: Fold::new(),
            queue_us: now_us.saturating_sub(turn_us),
            begun_us: now_us,
            last_us: now_us,
            first_byte_us: None,
            first_content_us: None,
            chunks: 0,
            longest_gap_us: 0,
            is_masked: false,
        }
    }

    /// Says what there is of an answer that did not come to its end.
    pub(super) fn kept(&self) -> Option<Kept> {
        kept(&self.fold)
    }

    /// Takes a delta, and tells whether it is the first content.
    pub(super) fn take(&mut self, delta: &Delta, now_us: u64) -> bool {
        self.fold.apply(delta);
        if matches!(delta, Delta::Heartbeat | Delta::Start(_)) {
            return false;
        }
        if self.chunks > 0 {
            self.longest_gap_us = self.longest_gap_us.max(now_us.saturating_sub(self.last_us));
        }
        self.last_us = now_us;
        self.chunks += 1;
        let first = self.first_content_us.is_none() && delta.part().is_some();
        if first {
            self.first_content_us = Some(now_us.saturating_sub(self.begun_us));
        }
        first
    }

    pub(super) fn timing(&self, now_us: u64) -> Timing {
        Timing {
            queue_us: Some(self.queue_us),
            first_byte_us: self.first_byte_us,
            first_content_us: self.first_content_us,
            total_us: now_us.saturating_sub(self.begun_us),
            chunks: self.chunks,
            longest_gap_us: self.longest_gap_us,
        }
    }
}

/// Says what there is of an answer that did not come to its end.
pub(crate) fn kept(fold: &Fold) -> Option<Kept> {
    let message = fold.message();
    let text_bytes = message.text().len() as u64;
    (!message.is_empty()).then_some(Kept { parts: message.parts.len() as u64, text_bytes })
}
