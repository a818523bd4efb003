//! From token counts and prices to a cost.

use aichat_message::{Buckets, CostStatus, Currency, Money, Usage};

use crate::cost::{Cost, Line};
use crate::price::Price;
use crate::rate::{Bucket, Prices, Rate};

/// Prices `usage` at a rate; the tier is given back beside a cost without a price reference.
pub(crate) fn evaluate(
    rate: &Rate,
    usage: &Usage,
    web_searches: Option<u64>,
    is_known: bool,
) -> Option<(Cost, Option<u64>)> {
    let (input, output) = (usage.input_tokens?, usage.output_tokens?);
    let tier = rate.tier(input);
    let prices = tier.map_or(&rate.prices, |tier| &tier.prices);
    let buckets = usage.disjoint();
    let lines = lines(&buckets, web_searches, prices);
    let is_exact = is_known && !rate.uncounted && is_sound(&buckets, input, output);
    let priced = lines.iter().filter(|line| line.amount.is_some()).count();
    let status = match lines.len() - priced {
        0 if is_exact => CostStatus::Exact,
        0 => CostStatus::Estimated,
        _ if priced > 0 => CostStatus::Partial,
        _ => CostStatus::Unknown,
    };
    let amount =
        (status != CostStatus::Unknown).then(|| lines.iter().filter_map(|line| line.amount).sum::<Money>());
    let cost = Cost { amount, currency: Currency::Usd, status, lines, price: None };
    Some((cost, tier.map(|tier| tier.over_input_tokens)))
}

/// Returns a line for every bucket that holds something, and for the call itself where it has a fee.
fn lines(buckets: &Buckets, web_searches: Option<u64>, prices: &Prices) -> Vec<Line> {
    let quantity = |bucket| match bucket {
        Bucket::Input => buckets.input,
        Bucket::CacheRead => buckets.cache_read,
        Bucket::CacheWrite => buckets.cache_write,
        Bucket::CacheWrite1h => buckets.cache_write_1h,
        Bucket::AudioInput => buckets.audio_input,
        Bucket::Output => buckets.output,
        Bucket::Reasoning => buckets.reasoning,
        Bucket::AudioOutput => buckets.audio_output,
        Bucket::WebSearch => web_searches,
        Bucket::Request => prices.of(bucket).map(|_| 1),
    };
    let line = |bucket| {
        let quantity = quantity(bucket).filter(|quantity| *quantity > 0)?;
        let price_per_million = prices.of(bucket);
        let amount = price_per_million.map(|price: Money| price.times(quantity));
        Some(Line { bucket, quantity, price_per_million, amount })
    };
    Bucket::ALL.into_iter().filter_map(line).collect()
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
