//! What holds for any counts, any prices and any question.

use aichat_catalog::{Bucket, Call, Catalog, Cost, CostStatus, Moment, Money};
use aichat_message::Usage;
use proptest::option;
use proptest::prelude::*;

use crate::NOW;

/// Counts of all sizes, the largest among them.
fn count() -> impl Strategy<Value = Option<u64>> {
    option::of(prop_oneof![Just(0), 0..10_u64, 0..1_000_000_u64, any::<u64>(), Just(u64::MAX)])
}

prop_compose! {
    fn usage()(counts in prop::array::uniform8(count())) -> Usage {
        let [input, output, read, write, write_1h, reasoning, audio_in, audio_out] = counts;
        Usage {
            input_tokens: input,
            output_tokens: output,
            cache_read_tokens: read,
            cache_write_tokens: write,
            cache_write_1h_tokens: write_1h,
            reasoning_tokens: reasoning,
            audio_input_tokens: audio_in,
            audio_output_tokens: audio_out,
            cost: None,
            raw: None,
        }
    }
}

/// Returns counts that add up: each bucket by itself, and the totals as their sums.
fn sound([input, read, write, write_1h, audio_in, output, reasoning, audio_out]: [u64; 8]) -> Usage {
    Usage {
        input_tokens: Some(input + read + write + write_1h + audio_in),
        output_tokens: Some(output + reasoning + audio_out),
        cache_read_tokens: Some(read),
        cache_write_tokens: Some(write + write_1h),
        cache_write_1h_tokens: Some(write_1h),
        reasoning_tokens: Some(reasoning),
        audio_input_tokens: Some(audio_in),
        audio_output_tokens: Some(audio_out),
        cost: None,
        raw: None,
    }
}

/// Prices of some buckets, in millionths of a dollar.
fn prices() -> impl Strategy<Value = Vec<Option<u64>>> {
    prop::collection::vec(option::of(prop_oneof![0..50_000_000_u64, Just(1_000_000_000_000)]), 10)
}

fn catalog(prices: &[Option<u64>]) -> Catalog {
    let price = |(bucket, price): (Bucket, &Option<u64>)| {
        let price = Money::from_pico_dollars(i128::from((*price)?) * 1_000_000);
        Some(format!(r#""{}":"{price}""#, bucket.name()))
    };
    let prices: Vec<String> = Bucket::ALL.into_iter().zip(prices).filter_map(price).collect();
    let entry = format!(r#"{{"provider":"p","id":"m","prices":{{{}}}}}"#, prices.join(","));
    Catalog::from_json(&format!(r#"{{"date":"2026-01-31","entries":[{entry}]}}"#))
        .expect("a well-formed table")
}

fn cost(catalog: &Catalog, usage: &Usage, searches: Option<u64>) -> Cost {
    let mut call = Call::new("p", "m", NOW);
    call.web_searches = searches;
    catalog.cost(&call, Some(usage))
}

proptest! {
    #[test]
    fn lines_sum_to_the_total_and_nothing_unknown_is_zero(
        prices in prices(), usage in usage(), searches in count(),
    ) {
        let cost = cost(&catalog(&prices), &usage, searches);
        let known: Vec<Money> = cost.lines.iter().filter_map(|line| line.amount).collect();
        match cost.status {
            CostStatus::Unknown => prop_assert!(cost.amount.is_none() && known.is_empty()),
            CostStatus::Partial => prop_assert!(!known.is_empty() && known.len() < cost.lines.len()),
            _ => prop_assert_eq!(known.len(), cost.lines.len()),
        }
        if let Some(amount) = cost.amount {
            prop_assert_eq!(amount, known.into_iter().sum::<Money>());
        }
        if usage.input_tokens.is_none() || usage.output_tokens.is_none() {
            prop_assert_eq!(&cost, &Cost::unknown());
        }
        for line in &cost.lines {
            prop_assert!(line.quantity > 0);
            prop_assert_eq!(line.amount.is_some(), line.price_per_million.is_some());
            let pico = |price: Money| price.pico_dollars() / 1_000_000 * i128::from(line.quantity);
            prop_assert_eq!(line.amount.map(Money::pico_dollars), line.price_per_million.map(pico));
        }
        let json = serde_json::to_string(&cost).unwrap();
        prop_assert_eq!(serde_json::from_str::<Cost>(&json).unwrap(), cost);
    }

    #[test]
    fn more_of_anything_never_costs_less(prices in prices(), counts in prop::array::uniform8(0..1_000_000_u64), which in 0..8_usize, more in 1..1_000_000_u64) {
        let catalog = catalog(&prices);
        let mut grown = counts;
        grown[which] += more;
        let (before, after) = (cost(&catalog, &sound(counts), None), cost(&catalog, &sound(grown), None));
        prop_assert!(after.amount >= before.amount || after.status == CostStatus::Unknown, "{before:?} {after:?}");
    }

    #[test]
    fn no_call_costs_more_than_its_ceiling(prices in prices(), counts in prop::array::uniform8(0..1_000_000_u64), more in 0..1_000_u64) {
        let (catalog, usage) = (catalog(&prices), sound(counts));
        let call = Call::new("p", "m", NOW);
        let (input, output) = (usage.input_tokens.unwrap(), usage.output_tokens.unwrap());
        let Some(ceiling) = catalog.ceiling(&call, input + more) else {
            let is_priced = |bucket: Bucket| prices[bucket as usize].is_some();
            prop_assert!(!is_priced(Bucket::Input) || !is_priced(Bucket::Output));
            return Ok(());
        };
        let cost = cost(&catalog, &usage, None);
        prop_assert!(cost.amount.unwrap_or_default() <= ceiling.with_output(output), "{cost:?} {ceiling:?}");
        // What can be paid for is all that can be.
        let all = ceiling.with_output(output);
        prop_assert!(ceiling.affordable(all).is_none_or(|tokens| tokens == output));
        if ceiling.affordable(all).is_some() {
            let less = Money::from_pico_dollars(all.pico_dollars() - 1);
            prop_assert_eq!(ceiling.affordable(less), Some(output.saturating_sub(1)));
        }
    }

    #[test]
    fn the_built_in_table_bears_any_question(
        provider in "[a-z-]{0,10}|openrouter|azure|xai|gemini|vertex|openai",
        model in "(openai/|~|anthropic/|[a-z]{0,5}/)?(gpt-|claude-|o3|é|:|){0,2}[ -~é]{0,12}(-2026[-0-9]{0,6})?",
        address in "[ -~é]{0,30}|https://[a-z.]{0,20}(:[0-9]{0,3})?/.{0,5}",
        seconds in any::<i64>(),
        usage in usage(),
    ) {
        let call = Call::new(&provider, &model, Moment::from_unix_seconds(seconds)).to(&address);
        let cost = Catalog::builtin().cost(&call, Some(&usage));
        prop_assert_eq!(cost.amount.is_none(), cost.status == CostStatus::Unknown);
    }
}
