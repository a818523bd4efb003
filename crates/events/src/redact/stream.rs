//! Redaction of text that arrives in pieces, cut anywhere.

use std::fmt;

use super::Redactor;

/// Masks secrets across the borders of pieces; the result is that of the whole text.
///
/// Holds back only an end that could still become a secret, so most of the time nothing.
#[derive(Clone)]
pub struct RedactStream {
    redactor: Redactor,
    held: String,
    /// How many bytes at the beginning of `held` belong to a secret whose placeholder was already returned.
    covered: usize,
}

impl RedactStream {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { redactor, held: String::new(), covered: 0 }
    }

    /// Takes a piece and returns what can be said by now.
    pub fn push(&mut self, piece: &str) -> String {
        let Some(masks) = &self.redactor.masks else { return piece.to_owned() };
        self.held.push_str(piece);
        let open = masks.open_end(&self.held);
        self.release(open)
    }

    /// Returns what was held back; the stream can then begin anew.
    pub fn finish(&mut self) -> String {
        self.release(self.held.len())
    }

    /// Returns how many bytes are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Returns everything before `open`, with the secrets masked that begin there.
    ///
    /// A secret that reaches beyond `open` is masked at once, and what it covers of the rest is remembered: a
    /// longer one cannot begin where it begins, or `open` would not lie after it.
    fn release(&mut self, open: usize) -> String {
        let Some(masks) = &self.redactor.masks else { return String::new() };
        let mut out = String::with_capacity(open);
        let mut at = 0;
        for find in masks.find(self.held.as_bytes(), self.covered) {
            if find.range.start >= open && find.secret.is_some() {
                break;
            }
            out.push_str(&self.held[at..find.range.start]);
            out.push_str(self.redactor.mask(masks, find.secret));
            at = find.range.end;
        }
        if at < open {
            out.push_str(&self.held[at..open]);
        }
        self.covered = at.saturating_sub(open);
        self.held.drain(..open);
        out
    }
}

impl fmt::Debug for RedactStream {
    /// Shows how much is held back, never what: it may be most of a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactStream")
            .field("redactor", &self.redactor)
            .field("held", &self.held.len())
            .finish()
    }
}
