//! Why an answer ended.

use serde::{Deserialize, Serialize};

/// Why an answer ended: the unified reason and the provider's own word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finish {
    /// The reason in one vocabulary for all providers.
    pub reason: FinishReason,
    /// The provider's word, where it gave one.
    #[serde(default)]
    pub raw: Option<String>,
}

/// Why an answer ended, in one vocabulary for all providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model came to its end, or to a stop sequence.
    Stop,
    /// The output limit was reached.
    Length,
    /// The model waits for the results of its tool calls.
    ToolCalls,
    /// The provider's filter cut the answer off.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// The provider paused a long turn; sending it back continues it.
    Pause,
    /// The context window is full.
    ContextWindow,
    /// Something else; the raw word says what.
    #[serde(other)]
    Other,
}
