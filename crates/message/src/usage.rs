//! Token counts: what was reported, and nothing that was not.

use serde::{Deserialize, Serialize};

use crate::json::Json;
use crate::money::Money;

/// Token counts of one call; a count the provider did not give is `None`, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Everything the model read, cached tokens included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Everything the model wrote, reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// The part of the input that was read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// The part of the input that was written to a cache, whatever its lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// The part of `cache_write_tokens` with a lifetime of an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h_tokens: Option<u64>,
    /// The part of the output that was reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// The part of the input that was audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input_tokens: Option<u64>,
    /// The part of the output that was audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output_tokens: Option<u64>,
    /// What the call costs in dollars by the provider's own account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The provider's own usage object, unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Json>,
}

/// Usage in buckets that do not overlap, each priced on its own.
///
/// A total that was not reported leaves its bucket `None`. A subset that was not reported is taken to be
/// inside its total's bucket. A subset larger than its total, which some servers report, leaves zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Input text that was neither read from nor written to a cache.
    pub input: Option<u64>,
    /// Input read from a cache.
    pub cache_read: Option<u64>,
    /// Input written to a cache with the short lifetime.
    pub cache_write: Option<u64>,
    /// Input written to a cache with a lifetime of an hour.
    pub cache_write_1h: Option<u64>,
    /// Audio input.
    pub audio_input: Option<u64>,
    /// Output text.
    pub output: Option<u64>,
    /// Reasoning.
    pub reasoning: Option<u64>,
    /// Audio output.
    pub audio_output: Option<u64>,
}

impl Usage {
    /// Returns the counts of two calls together. What was not counted for both is unknown, and the provider's own object
    /// is that of the second call.
    #[must_use]
    pub fn and(&self, second: &Self) -> Self {
        let both = |of: fn(&Self) -> Option<u64>| of(self)?.checked_add(of(second)?);
        Self {
            input_tokens: both(|usage| usage.input_tokens),
            output_tokens: both(|usage| usage.output_tokens),
            cache_read_tokens: both(|usage| usage.cache_read_tokens),
            cache_write_tokens: both(|usage| usage.cache_write_tokens),
            cache_write_1h_tokens: both(|usage| usage.cache_write_1h_tokens),
            reasoning_tokens: both(|usage| usage.reasoning_tokens),
            audio_input_tokens: both(|usage| usage.audio_input_tokens),
            audio_output_tokens: both(|usage| usage.audio_output_tokens),
            cost: self.cost.zip(second.cost).map(|(first, second)| first + second),
            raw: second.raw.clone(),
        }
    }

    /// Returns the counts in buckets that do not overlap.
    pub fn disjoint(&self) -> Buckets {
        let subset = |count: Option<u64>| count.unwrap_or(0);
        Buckets {
            input: self.input_tokens.map(|all| {
                all.saturating_sub(subset(self.cache_read_tokens))
                    .saturating_sub(subset(self.cache_write_tokens))
                    .saturating_sub(subset(self.audio_input_tokens))
            }),
            cache_read: self.cache_read_tokens,
            cache_write: self
                .cache_write_tokens
                .map(|all| all.saturating_sub(subset(self.cache_write_1h_tokens))),
            cache_write_1h: self.cache_write_1h_tokens,
            audio_input: self.audio_input_tokens,
            output: self.output_tokens.map(|all| {
                all.saturating_sub(subset(self.reasoning_tokens))
                    .saturating_sub(subset(self.audio_output_tokens))
            }),
            reasoning: self.reasoning_tokens,
            audio_output: self.audio_output_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_stays_unknown_and_subsets_leave_their_total() {
        assert_eq!(Usage::default().disjoint(), Buckets::default());
        let usage = Usage {
            input_tokens: Some(100),
            cache_read_tokens: Some(30),
            cache_write_tokens: Some(20),
            cache_write_1h_tokens: Some(5),
            output_tokens: Some(50),
            reasoning_tokens: Some(40),
            ..Usage::default()
        };
        let buckets = usage.disjoint();
        assert_eq!((buckets.input, buckets.cache_write, buckets.output), (Some(50), Some(15), Some(10)));
        assert_eq!(buckets.audio_input, None);
    }

    #[test]
    fn a_cache_larger_than_the_input_leaves_zero() {
        let usage = Usage { input_tokens: Some(5), cache_read_tokens: Some(9), ..Usage::default() };
        assert_eq!(usage.disjoint().input, Some(0));
    }
}
