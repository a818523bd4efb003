//! What a call cost: an amount or none, how far it can be trusted, and how it came about.

use serde::{Deserialize, Serialize};

use crate::entry::MatchedBy;
use crate::money::Money;

/// The cost of one call, with everything needed to recompute it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The amount; `None` when it is not known, which is not zero.
    pub amount: Option<Money>,
    /// The currency of every amount here.
    pub currency: Currency,
    /// How far the amount can be trusted.
    pub status: CostStatus,
    /// The parts of the amount: one for every bucket that holds tokens.
    pub lines: Vec<Line>,
    /// The price that was applied.
    pub price: Option<PriceRef>,
}

impl Cost {
    /// Returns the cost of a call about whose price nothing is known.
    pub fn unknown() -> Self {
        Self::bare(None, CostStatus::Unknown)
    }

    /// Returns the cost of a call to a provider that is declared local.
    pub fn local_free() -> Self {
        Self::bare(Some(Money::ZERO), CostStatus::LocalFree)
    }

    fn bare(amount: Option<Money>, status: CostStatus) -> Self {
        Self { amount, currency: Currency::Usd, status, lines: Vec::new(), price: None }
    }
}

/// A currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Currency {
    /// United States dollars.
    #[serde(rename = "USD")]
    Usd,
}

/// How far an amount can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CostStatus {
    /// Every token was counted and priced.
    Exact,
    /// Every token was priced, but the counts contradict or overlap each other.
    Estimated,
    /// Some tokens have no known price; the amount is the sum of the others, a lower bound.
    Partial,
    /// There is no amount.
    Unknown,
    /// The provider is local and asks for nothing.
    LocalFree,
    /// The provider named the amount itself.
    ProviderReported,
}

/// The tokens of one bucket and what they cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The bucket.
    pub bucket: Bucket,
    /// Tokens in it; never zero.
    pub quantity: u64,
    /// Dollars per million tokens, if known.
    pub price_per_million: Option<Money>,
    /// What they cost, if the price is known.
    pub amount: Option<Money>,
}

/// A kind of tokens that is counted and priced on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bucket {
    /// Input that is in no other bucket.
    Input,
    /// Input read from a cache.
    CacheRead,
    /// Input written to a cache with the short lifetime.
    CacheWrite,
    /// Input written to a cache with a lifetime of an hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Audio input.
    AudioInput,
    /// Output that is in no other bucket.
    Output,
    /// Reasoning.
    Reasoning,
    /// Audio output.
    AudioOutput,
}

/// Where a price was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceRef {
    /// The day whose prices the table holds, as `2026-01-31`.
    pub table_date: String,
    /// The BLAKE3 hash of the table's bytes, in hexadecimal.
    pub table_hash: String,
    /// The entry, as `provider/id`.
    pub entry: String,
    /// The bound of input tokens whose tier applied, if one did.
    pub tier: Option<u64>,
    /// How the model's name led to the entry.
    pub matched_by: MatchedBy,
}
