//! Token sums that say what they do not know.

use std::fmt;

use aichat_message::Usage;
use serde::Serialize;

use crate::envelope::Event;
use crate::fact::{Fact, LlmResponseCompleted, LlmResponseFailed, LlmResponseInterrupted};

/// What several calls consumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// How many calls were made.
    pub calls: u64,
    /// Everything the models read, cached tokens included.
    pub input: Sum,
    /// Everything the models wrote, reasoning included.
    pub output: Sum,
}

/// A sum over calls of which some may not have said their part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// The sum of what is known; `None` where nothing is.
    pub known: Option<u64>,
    /// How many calls did not say.
    pub unknown: u64,
}

impl Sum {
    fn add(&mut self, count: Option<u64>) {
        match count {
            Some(count) => self.known = Some(self.known.unwrap_or(0).saturating_add(count)),
            None => self.unknown += 1,
        }
    }
}

impl fmt::Display for Sum {
    /// Writes `12`, `at least 12` where a part is not known, and `unknown` where nothing is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.known, self.unknown) {
            (Some(known), 0) => write!(f, "{known}"),
            (Some(known), _) => write!(f, "at least {known}"),
            (None, 0) => f.write_str("0"),
            (None, _) => f.write_str("unknown"),
        }
    }
}

impl Tokens {
    /// Counts the call that this event ends, if it ends one.
    ///
    /// A call that was answered with an HTTP error and no usage consumed nothing; one that broke off without
    /// usage consumed nobody knows how much.
    pub(crate) fn count(&mut self, event: &Event) {
        let usage = match event.kind() {
            LlmResponseCompleted::TYPE => LlmResponseCompleted::of(event).and_then(|fact| fact.usage),
            LlmResponseInterrupted::TYPE => LlmResponseInterrupted::of(event).and_then(|fact| fact.usage),
            LlmResponseFailed::TYPE => match LlmResponseFailed::of(event) {
                Some(fact) if fact.usage.is_none() && fact.status.is_some_and(|status| status >= 400) => {
                    Some(Usage { input_tokens: Some(0), output_tokens: Some(0), ..Usage::default() })
                }
                fact => fact.and_then(|fact| fact.usage),
            },
            _ => return,
        };
        self.calls += 1;
        self.input.add(usage.as_ref().and_then(|usage| usage.input_tokens));
        self.output.add(usage.as_ref().and_then(|usage| usage.output_tokens));
    }
}
