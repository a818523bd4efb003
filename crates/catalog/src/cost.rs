//! What a call cost: an amount or none, how far it can be trusted, and how it came about.

use aichat_message::{CostStatus, Currency, Money};
use serde::{Deserialize, Serialize};

use crate::found::Assumption;
use crate::moment::Day;
use crate::names::MatchedBy;
use crate::rate::{Bucket, Condition};

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

/// What is in one bucket and what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The bucket.
    pub bucket: Bucket,
    /// Tokens in it, or searches, or calls; never zero.
    pub quantity: u64,
    /// Dollars per million of them, if known.
    pub price_per_million: Option<Money>,
    /// What they cost, if the price is known.
    pub amount: Option<Money>,
}

/// Where a price was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceRef {
    /// The day the table was made.
    pub table_date: Day,
    /// The table's BLAKE3 hash, in hexadecimal.
    pub table_hash: String,
    /// The entry, as `provider/id`.
    pub entry: String,
    /// The bound of input tokens whose tier applied, if one did.
    pub tier: Option<u64>,
    /// The day or the hours of the rate that applied, if it has a condition.
    pub when: Option<Condition>,
    /// How the model's name led to the entry.
    pub matched_by: MatchedBy,
    /// In what way the price is an assumption.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<Assumption>,
}
