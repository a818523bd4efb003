//! What the lines of a batch came to, all together.

use std::collections::BTreeMap;

use aichat_message::{ErrorKind, Total};

use crate::error::Error;
use crate::turn::{Outcome, Status};

/// What all lines came to so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Tally {
    /// How many were answered.
    pub answered: u64,
    /// How many of these answers are refused or filtered.
    pub refused: u64,
    /// How many failed, by the kind of their error.
    pub failed: BTreeMap<&'static str, u64>,
    /// What the first of those failed with that the others would fail with, too: the key, the account, the store. No more
    /// need be asked then.
    pub ended_by: Option<ErrorKind>,
    /// The tokens that were read, as far as they were counted.
    pub input_tokens: u64,
    /// The tokens that were written, as far as they were counted.
    pub output_tokens: u64,
    /// How many did not say how many tokens they took in all.
    pub uncounted: u64,
    /// What they cost.
    pub cost: Total,
}

impl Tally {
    /// Counts how a line ended.
    pub fn count(&mut self, ended: &Result<Outcome, Error>) {
        let failure = match ended {
            Ok(outcome) => outcome.report().map(|report| report.kind),
            Err(error) => Some(error.kind()),
        };
        match failure {
            Some(kind) => {
                *self.failed.entry(kind.as_str()).or_default() += 1;
                self.ended_by = self.ended_by.or(is_final(kind).then_some(kind));
            }
            None => self.answered += 1,
        }
        if let Ok(outcome) = ended {
            self.refused += u64::from(outcome.status == Status::Completed && outcome.is_refused());
            self.take(outcome);
        }
    }

    /// Counts what the calls of a line took, where there was one that may have cost something.
    fn take(&mut self, outcome: &Outcome) {
        if outcome.costs.is_empty() {
            return;
        }
        let usage = outcome.usage.clone().unwrap_or_default();
        self.input_tokens += usage.input_tokens.unwrap_or(0);
        self.output_tokens += usage.output_tokens.unwrap_or(0);
        // An answer that broke off may have the counts of its beginning.
        let is_counted = outcome.status == Status::Completed
            && outcome.costs.iter().all(|call| call.input_tokens.is_some() && call.output_tokens.is_some());
        self.uncounted += u64::from(!is_counted);
        outcome.costs.iter().for_each(|call| self.cost.count(call.amount, call.status));
    }

    /// Returns how many lines ended.
    pub fn ended(&self) -> u64 {
        self.answered + self.failed.values().sum::<u64>()
    }
}

/// Tells whether the next line would fail in the same way.
fn is_final(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Auth | ErrorKind::Billing | ErrorKind::Quota | ErrorKind::Store)
}
