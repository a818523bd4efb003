//! What a call may cost at most: the dearest prices of its model, for whoever keeps to a budget.

use aichat_message::Money;

use crate::catalog::Catalog;
use crate::found::Call;
use crate::price::Price;
use crate::rate::{Bucket, Condition, Prices, Rate};

/// An upper bound of what a call costs, however its input and output fall into buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ceiling {
    /// What the input and the call itself cost at most.
    pub input: Money,
    /// The most that a million tokens of output cost.
    pub output_per_million: Money,
    /// How many tokens the model writes at most, where it is known.
    pub output_limit: Option<u64>,
    /// How many tokens the model reads at most, where it is known.
    pub context_window: Option<u64>,
}

impl Ceiling {
    /// Returns what the call costs at most, where it writes no more than this.
    pub fn with_output(&self, tokens: u64) -> Money {
        self.input + self.output_per_million.times(tokens)
    }

    /// Returns how many tokens the model may write for this much in all; `None` for any number.
    pub fn affordable(&self, amount: Money) -> Option<u64> {
        let per_token = self.output_per_million.pico_dollars() / 1_000_000;
        let left = amount.pico_dollars().saturating_sub(self.input.pico_dollars());
        match (left >= 0, per_token) {
            (false, _) => Some(0),
            (true, 0) => None,
            (true, per_token) => Some(u64::try_from(left / per_token).unwrap_or(u64::MAX)),
        }
    }
}

impl Catalog {
    /// Returns what a call costs at most that reads no more than so many tokens.
    ///
    /// Every token is taken for the dearest kind of input, or of output, that has a price, in the dearest tier that
    /// the input could reach; a price that holds at certain hours counts at any. `None` where the model or one of its
    /// prices is not known, or where something is billed that is not counted: then there is no bound.
    pub fn ceiling(&self, call: &Call<'_>, input_tokens: u64) -> Option<Ceiling> {
        let found = self.find(call)?;
        let now = found.entry.rate(call.at)?;
        let hourly =
            found.entry.rates.iter().filter(|rate| matches!(rate.when, Some(Condition::Hours { .. })));
        let rates: Vec<&Rate> = hourly.chain([now]).collect();
        if rates.iter().any(|rate| rate.uncounted) {
            return None;
        }
        let prices: Vec<&Prices> = rates
            .iter()
            .flat_map(|rate| {
                let tiers = rate.tiers.iter().filter(|tier| input_tokens > tier.over_input_tokens);
                tiers.map(|tier| &tier.prices).chain([&rate.prices])
            })
            .collect();
        let dearest = |buckets: &[Bucket]| {
            let known =
                prices.iter().flat_map(|prices| buckets.iter().filter_map(|bucket| prices.of(*bucket)));
            known.max()
        };
        if !prices
            .iter()
            .all(|prices| prices.of(Bucket::Input).is_some() && prices.of(Bucket::Output).is_some())
        {
            return None;
        }
        let input =
            [Bucket::Input, Bucket::CacheRead, Bucket::CacheWrite, Bucket::CacheWrite1h, Bucket::AudioInput];
        let read = found.entry.context_window.map_or(input_tokens, |window| window.min(input_tokens));
        let fee = dearest(&[Bucket::Request]).unwrap_or(Money::ZERO).times(1);
        Some(Ceiling {
            input: dearest(&input)?.times(read) + fee,
            output_per_million: dearest(&[Bucket::Output, Bucket::Reasoning, Bucket::AudioOutput])?,
            output_limit: found.entry.output_limit,
            context_window: found.entry.context_window,
        })
    }
}
