//! Facts about money: what a call cost, and what a budget held, paid, gave back or refused.

use aichat_message::{CostStatus, Currency, Json, Money};
use serde::{Deserialize, Serialize};

/// What the attempt that just ended costs. It says everything that a table of costs needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CostCalculated {
    /// The amount; `None` where it is not known, which is not zero.
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Money>"))]
    pub amount: Option<Money>,
    /// The currency of every amount here.
    #[cfg_attr(test, schemars(with = "crate::schema::Currency"))]
    pub currency: Currency,
    /// How far the amount can be trusted.
    #[cfg_attr(test, schemars(with = "crate::schema::CostStatus"))]
    pub status: CostStatus,
    /// The parts of the amount by the price table, also where the provider named another one.
    pub lines: Vec<CostLine>,
    /// Where the prices were found, an object; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Json>"))]
    pub price: Option<Json>,
    /// What it costs by the price table, where the provider named the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Money>"))]
    pub calculated: Option<Money>,
    /// The name the provider is configured under.
    pub provider: String,
    /// The model asked for, as the provider names it.
    pub model: String,
    /// The name of the agent that the turn is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When the attempt was sent, in microseconds since 1970 UTC: prices are those of that time.
    pub asked_us: i64,
    /// When the attempt ended, in microseconds since 1970 UTC: the time of the event that says so.
    pub ended_us: i64,
    /// Everything the model read, as far as reported.
    pub input_tokens: Option<u64>,
    /// Everything the model wrote, as far as reported.
    pub output_tokens: Option<u64>,
}

/// What is in one bucket of tokens, and what it costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CostLine {
    /// The bucket's name.
    pub bucket: String,
    /// How many are in it.
    pub quantity: u64,
    /// Dollars per million of them, where known.
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Money>"))]
    pub price_per_million: Option<Money>,
    /// What they cost, where the price is known.
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Money>"))]
    pub amount: Option<Money>,
}

/// An attempt that ended earlier has another price than was recorded. The event has the turn, the call and the span
/// of that attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct CostRevised {
    /// The amount that was recorded until now.
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Money>"))]
    pub was: Option<Money>,
    /// How far that one could be trusted.
    #[cfg_attr(test, schemars(with = "crate::schema::CostStatus"))]
    pub was_status: CostStatus,
    /// What it costs.
    pub cost: CostCalculated,
}

/// What an attempt may cost at most was set aside from every budget that applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BudgetReserved {
    /// The attempt.
    pub attempt: u32,
    /// What was set aside, in dollars.
    #[cfg_attr(test, schemars(with = "crate::schema::Money"))]
    pub amount: Money,
    /// An upper bound of what the model reads, in tokens.
    pub input_tokens: u64,
    /// What it may write at most, in tokens, where that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
}

/// An attempt was paid for out of what was set aside; the rest is free again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BudgetCommitted {
    /// The attempt.
    pub attempt: u32,
    /// What was set aside, in dollars.
    #[cfg_attr(test, schemars(with = "crate::schema::Money"))]
    pub reserved: Money,
    /// What is taken as spent, in dollars.
    #[cfg_attr(test, schemars(with = "crate::schema::Money"))]
    pub amount: Money,
    /// How much of that is not known to have been spent, and is taken as spent to be on the safe side.
    #[cfg_attr(test, schemars(with = "crate::schema::Money"))]
    pub unproven: Money,
}

/// An attempt cost nothing, and what was set aside for it is free again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BudgetReleased {
    /// The attempt.
    pub attempt: u32,
    /// What had been set aside, in dollars.
    #[cfg_attr(test, schemars(with = "crate::schema::Money"))]
    pub amount: Money,
}

/// A budget does not allow an attempt; its request was not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct BudgetExceeded {
    /// The attempt.
    pub attempt: u32,
    /// Which budget, in words.
    pub budget: String,
    /// What it allows, in dollars.
    #[cfg_attr(test, schemars(with = "crate::schema::Money"))]
    pub limit: Money,
    /// What is left of it, in dollars.
    #[cfg_attr(test, schemars(with = "crate::schema::Money"))]
    pub remaining: Money,
    /// What the attempt may cost at most, in dollars; `None` where its model has no known price.
    #[cfg_attr(test, schemars(with = "Option<crate::schema::Money>"))]
    pub needed: Option<Money>,
}

super::fact! {
    CostCalculated = "cost.calculated";
    CostRevised = "cost.revised";
    BudgetReserved = "budget.reserved";
    BudgetCommitted = "budget.committed";
    BudgetReleased = "budget.released";
    BudgetExceeded = "budget.exceeded";
}
