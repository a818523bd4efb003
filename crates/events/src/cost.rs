//! Costs of a session or a turn taken together, event by event.

use aichat_message::{CostStatus, ErrorKind, Total};

use crate::envelope::Event;
use crate::fact::{
    CostCalculated, CostRevised, Fact, LlmResponseCompleted, LlmResponseFailed, LlmResponseInterrupted,
};

/// Counts what an event says of costs.
///
/// A call that ends is unpriced until its cost is told, which for one that was recorded by an early version is never.
/// What is erased is not counted.
pub fn tally(total: &mut Total, event: &Event) {
    const UNPRICED: (Option<aichat_message::Money>, CostStatus) = (None, CostStatus::Unknown);
    if let Some(fact) = CostCalculated::of(event) {
        total.revise(UNPRICED, (fact.amount, fact.status));
    } else if let Some(fact) = CostRevised::of(event) {
        total.revise((fact.was, fact.was_status), (fact.cost.amount, fact.cost.status));
    } else if may_cost(event) {
        total.count(UNPRICED.0, UNPRICED.1);
    }
}

/// Tells whether an event is the end of a call that may have cost something.
pub fn may_cost(event: &Event) -> bool {
    match event.kind() {
        LlmResponseCompleted::TYPE => LlmResponseCompleted::of(event).is_some(),
        LlmResponseInterrupted::TYPE => LlmResponseInterrupted::of(event).is_some(),
        LlmResponseFailed::TYPE => LlmResponseFailed::of(event).is_some_and(|fact| fact.may_cost()),
        _ => false,
    }
}

impl LlmResponseFailed {
    /// Tells whether the attempt may have cost something: where the provider said what it consumed, where an answer
    /// had begun, and where nobody knows what became of the request. A provider that refuses asks for nothing.
    pub fn may_cost(&self) -> bool {
        let began = self.timing.as_ref().is_some_and(|timing| timing.first_content_us.is_some());
        let is_lost = matches!(self.kind, ErrorKind::Timeout | ErrorKind::Truncated | ErrorKind::Decode);
        self.usage.is_some() || began || (is_lost && self.status.is_none_or(|status| status < 400))
    }
}
