//! Which events to show.

use super::row::{EventRow, Level};
use crate::envelope::Event;

/// Which events to show; without anything set, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these types, or families of them: `llm` and `llm.*` stand for every type that begins with `llm.`.
    pub kinds: Vec<String>,
    /// Only events with this text in their type, summary or payload, whatever its case.
    pub text: String,
    /// Only what went wrong, warnings included.
    pub errors: bool,
}

impl Filter {
    /// Tells whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.text.is_empty() && !self.errors
    }

    /// Tells whether to show an event.
    pub fn shows(&self, event: &Event, row: &EventRow) -> bool {
        let is_of = |kind: &String| {
            let family = kind.trim_end_matches('*').trim_end_matches('.');
            let rest = row.kind.strip_prefix(family);
            family.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if !self.kinds.is_empty() && !self.kinds.iter().any(is_of) {
            return false;
        }
        if self.errors && row.level == Level::Info {
            return false;
        }
        let text = self.text.to_lowercase();
        let payload = || event.payload().is_some_and(|payload| has(payload.get(), &text));
        text.is_empty() || has(&row.kind, &text) || has(&row.summary, &text) || payload()
    }
}

/// Tells whether a text holds another one, which is in lower case, whatever its own case.
pub fn has(text: &str, lower: &str) -> bool {
    if lower.is_ascii() {
        let (text, lower) = (text.as_bytes(), lower.as_bytes());
        return lower.is_empty()
            || text.windows(lower.len()).any(|window| window.eq_ignore_ascii_case(lower));
    }
    text.to_lowercase().contains(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_whatever_its_case() {
        assert!(has("Grün is the COLOUR", "colour") && has("GRÜN", "grün") && has("x", ""));
        assert!(!has("x", "xx") && !has("", "a"));
    }
}
