//! From token counts and prices to a cost.

use aichat_message::{Buckets, Usage};

use crate::cost::{Bucket, Cost, CostStatus, Currency, Line};
use crate::entry::{Entry, Prices};
use crate::money::Money;

/// Prices `usage` as a call of the model `entry`; the tier is given back beside a cost without a price reference.
pub(crate) fn evaluate(entry: &Entry, usage: &Usage) -> Option<(Cost, Option<u64>)> {
    let (input, output) = (usage.input_tokens?, usage.output_tokens?);
    let tier = entry.tier(input);
    let prices = tier.map_or(&entry.prices, |tier| &tier.prices);
    let buckets = usage.disjoint();
    let lines = lines(&buckets, prices);
    let priced = lines.iter().filter(|line| line.amount.is_some()).count();
    let status = match lines.len() - priced {
        0 if is_sound(&buckets, input, output) => CostStatus::Exact,
        0 => CostStatus::Estimated,
        _ if priced > 0 => CostStatus::Partial,
        _ => CostStatus::Unknown,
    };
    let amount =
        (status != CostStatus::Unknown).then(|| lines.iter().filter_map(|line| line.amount).sum::<Money>());
    let cost = Cost { amount, currency: Currency::Usd, status, lines, price: None };
    Some((cost, tier.map(|tier| tier.over_input_tokens)))
}

/// Returns a line for every bucket that holds tokens.
fn lines(buckets: &Buckets, prices: &Prices) -> Vec<Line> {
    let priced = [
        (Bucket::Input, buckets.input, prices.input),
        (Bucket::CacheRead, buckets.cache_read, prices.cache_read),
        (Bucket::CacheWrite, buckets.cache_write, prices.cache_write),
        (Bucket::CacheWrite1h, buckets.cache_write_1h, prices.cache_write_1h),
        (Bucket::AudioInput, buckets.audio_input, prices.audio_input),
        (Bucket::Output, buckets.output, prices.output),
        (Bucket::Reasoning, buckets.reasoning, prices.reasoning.or(prices.output)),
        (Bucket::AudioOutput, buckets.audio_output, prices.audio_output),
    ];
    let line = |(bucket, quantity, price_per_million): (Bucket, Option<u64>, Option<Money>)| {
        let quantity = quantity.filter(|tokens| *tokens > 0)?;
        let amount = price_per_million.map(|price| price.times(quantity));
        Some(Line { bucket, quantity, price_per_million, amount })
    };
    priced.into_iter().filter_map(line).collect()
}

/// Says whether the buckets add up to the totals reported, and cannot overlap: audio that was read from a cache
/// may be counted twice.
fn is_sound(buckets: &Buckets, input: u64, output: u64) -> bool {
    let sum = |counts: &[Option<u64>]| counts.iter().flatten().copied().map(u128::from).sum::<u128>();
    let read =
        [buckets.input, buckets.cache_read, buckets.cache_write, buckets.cache_write_1h, buckets.audio_input];
    let written = [buckets.output, buckets.reasoning, buckets.audio_output];
    let cached = sum(&read[1..4]);
    sum(&read) == u128::from(input)
        && sum(&written) == u128::from(output)
        && (cached == 0 || sum(&[buckets.audio_input]) == 0)
}
