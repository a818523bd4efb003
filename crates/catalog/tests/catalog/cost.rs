//! How far a cost can be trusted: unknown, partial, estimated, exact; and how it is written.

use aichat_catalog::{Assumption, Bucket, Call, Catalog, Cost, CostStatus};
use aichat_message::Usage;

use crate::NOW;

fn plain(input: u64, output: u64) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
}

fn cost(catalog: &Catalog, provider: &str, model: &str, usage: &Usage) -> Cost {
    catalog.cost(&Call::new(provider, model, NOW), Some(usage))
}

fn builtin(provider: &str, model: &str, usage: &Usage) -> Cost {
    cost(&Catalog::builtin(), provider, model, usage)
}

fn catalog(prices: &str) -> Catalog {
    let json = format!(
        r#"{{"source":"test","date":"2026-01-31","entries":[{{"provider":"p","id":"m","prices":{prices}}}]}}"#
    );
    Catalog::from_json(&json).expect("a well-formed table")
}

#[test]
fn what_is_unknown_has_no_amount() {
    let input_only = Usage { output_tokens: None, ..plain(10, 0) };
    let output_only = Usage { input_tokens: None, ..plain(0, 10) };
    let known = plain(10, 10);
    for (provider, model, usage) in [
        ("openai", "gpt-4o", None),
        ("openai", "gpt-4o", Some(&Usage::default())),
        ("openai", "gpt-4o", Some(&input_only)),
        ("openai", "gpt-4o", Some(&output_only)),
        ("openai", "gpt-4o-mini-search-preview", Some(&known)),
        ("", "gpt-4o", Some(&known)),
        ("openai", "", Some(&known)),
        ("openai", "claude-haiku-4-5", Some(&known)),
        ("nobody", "gpt-4o", Some(&known)),
    ] {
        let call = Call::new(provider, model, NOW);
        assert_eq!(Catalog::builtin().cost(&call, usage), Cost::unknown(), "{provider} {model} {usage:?}");
    }
    assert_eq!(Cost::unknown().amount, None);
}

#[test]
fn no_tokens_cost_nothing_and_local_is_free() {
    let cost = builtin("openai", "gpt-4o", &plain(0, 0));
    assert_eq!((cost.status, cost.lines.len()), (CostStatus::Exact, 0));
    assert_eq!(cost.amount.unwrap().to_string(), "0");
    assert_eq!(Cost::local_free().amount.unwrap().to_string(), "0");
    assert_eq!(Cost::local_free().status, CostStatus::LocalFree);
}

#[test]
fn a_bucket_without_a_price_makes_the_sum_partial() {
    // 60 * 0.2288 + 10 * 0.3432 = 13.728 + 3.432 micro-dollars; 40 cached tokens have no price
    let usage = Usage { cache_read_tokens: Some(40), ..plain(100, 10) };
    let cost = builtin("deepseek", "deepseek-v3.2", &usage);
    assert_eq!(cost.status, CostStatus::Partial);
    assert_eq!(cost.amount.unwrap().to_string(), "0.00001716");
    let unpriced: Vec<_> = cost.lines.iter().filter(|line| line.amount.is_none()).collect();
    assert_eq!((unpriced.len(), unpriced[0].bucket, unpriced[0].quantity), (1, Bucket::CacheRead, 40));

    // An empty bucket needs no price.
    let usage = Usage { cache_read_tokens: Some(0), ..plain(100, 10) };
    let cost = builtin("deepseek", "deepseek-v3.2", &usage);
    assert_eq!(cost.status, CostStatus::Exact);
}

#[test]
fn nothing_priced_is_unknown_rather_than_zero() {
    let cost = cost(&catalog("{}"), "p", "m", &plain(5, 5));
    assert_eq!((cost.status, cost.amount), (CostStatus::Unknown, None));
    assert_eq!(cost.lines.len(), 2);
    assert_eq!(cost.price.unwrap().entry, "p/m");
}

#[test]
fn counts_that_contradict_or_overlap_are_estimates() {
    let status = |usage: &Usage| builtin("gemini", "gemini-2.5-flash", usage).status;
    let sound = Usage { cache_read_tokens: Some(5), reasoning_tokens: Some(5), ..plain(10, 10) };
    assert_eq!(status(&sound), CostStatus::Exact);
    assert_eq!(status(&Usage { cache_read_tokens: Some(11), ..sound.clone() }), CostStatus::Estimated);
    assert_eq!(status(&Usage { reasoning_tokens: Some(11), ..sound.clone() }), CostStatus::Estimated);
    assert_eq!(status(&Usage { audio_input_tokens: Some(5), ..sound }), CostStatus::Estimated);
    let orphan = Usage { cache_write_1h_tokens: Some(5), ..plain(10, 10) };
    let cost = builtin("anthropic", "claude-opus-5-5", &orphan);
    assert_eq!(cost.status, CostStatus::Estimated, "written for an hour, but not among what was written");
}

#[test]
fn reasoning_costs_what_output_costs_unless_priced_apart() {
    let usage = Usage { reasoning_tokens: Some(400_000), ..plain(0, 1_000_000) };
    let amount = |prices| cost(&catalog(prices), "p", "m", &usage).amount.unwrap().to_string();
    assert_eq!(amount(r#"{"output":"2"}"#), "2");
    assert_eq!(amount(r#"{"output":"2","reasoning":"3"}"#), "2.4");
}

#[test]
fn no_count_is_too_large() {
    let all = Some(u64::MAX);
    let cost = builtin("xai", "grok-4.7", &plain(u64::MAX, u64::MAX));
    assert_eq!(cost.status, CostStatus::Exact);
    assert_eq!(cost.amount.unwrap().pico_dollars(), i128::from(u64::MAX) * (4 + 12) * 1_000_000);

    let usage = Usage {
        cache_read_tokens: all,
        cache_write_tokens: all,
        cache_write_1h_tokens: all,
        reasoning_tokens: all,
        audio_input_tokens: all,
        audio_output_tokens: all,
        ..plain(u64::MAX, u64::MAX)
    };
    let dearest = r#"{"input":"1000000","cache_read":"1000000","cache_write":"1000000","cache_write_1h":"1000000",
        "audio_input":"1000000","output":"1000000","reasoning":"1000000","audio_output":"1000000"}"#;
    let cost = self::cost(&catalog(dearest), "p", "m", &usage);
    // Five subsets are full; what their totals leave is empty.
    assert_eq!((cost.status, cost.lines.len()), (CostStatus::Estimated, 5));
    assert_eq!(cost.amount.unwrap().to_string(), (u128::from(u64::MAX) * 5).to_string());
}

#[test]
fn a_cost_is_written_with_plain_strings_and_read_back() {
    let catalog = catalog(r#"{"input":"0.15","cache_write_1h":"1"}"#);
    let usage = Usage { cache_write_tokens: Some(2), cache_write_1h_tokens: Some(2), ..plain(5, 7) };
    let cost = cost(&catalog, "p", "M", &usage);
    let json = serde_json::to_string(&cost).unwrap();
    let expected = [
        r#"{"amount":"0.00000245","currency":"USD","status":"partial","lines":["#,
        r#"{"bucket":"input","quantity":3,"price_per_million":"0.15","amount":"0.00000045"},"#,
        r#"{"bucket":"cache_write_1h","quantity":2,"price_per_million":"1","amount":"0.000002"},"#,
        r#"{"bucket":"output","quantity":7,"price_per_million":null,"amount":null}],"#,
        r#""price":{"table_date":"2026-01-31","table_hash":""#,
        &catalog.tables()[0].hash,
        r#"","entry":"p/m","tier":null,"when":null,"matched_by":"exact"}}"#,
    ];
    assert_eq!(json, expected.concat());
    assert_eq!(serde_json::from_str::<Cost>(&json).unwrap(), cost);
    let unknown = r#"{"amount":null,"currency":"USD","status":"unknown","lines":[],"price":null}"#;
    assert_eq!(serde_json::to_string(&Cost::unknown()).unwrap(), unknown);
}

#[test]
fn the_highest_tier_passed_applies_alone() {
    let json = r#"{"source":"test","date":"2026-01-31","entries":[{"provider":"p","id":"m","prices":{"input":"1"},"tiers":[
        {"over_input_tokens":10,"prices":{"input":"2"}},{"over_input_tokens":20,"prices":{"input":"3"}}]}]}"#;
    let catalog = Catalog::from_json(json).unwrap();
    let micros = |input| {
        let cost = cost(&catalog, "p", "m", &plain(input, 0));
        (cost.amount.unwrap().pico_dollars() / 1_000_000, cost.price.unwrap().tier)
    };
    assert_eq!([micros(10), micros(20), micros(21)], [(10, None), (40, Some(10)), (63, Some(20))]);
}

#[test]
fn a_price_at_another_host_is_an_estimate() {
    let cost = |provider, address| {
        let call = Call::new(provider, "gpt-4.1", NOW).to(address);
        let cost = Catalog::builtin().cost(&call, Some(&plain(1_000, 0)));
        (cost.status, cost.price.map(|price| (price.entry, price.assumed)))
    };
    let openai = |assumed: &[Assumption]| Some(("openai/gpt-4.1".to_owned(), assumed.to_vec()));
    let elsewhere = openai(&[Assumption::OtherHost]);
    assert_eq!(cost("openai", "https://api.openai.com/v1"), (CostStatus::Exact, openai(&[])));
    assert_eq!(cost("openai", "api.openai.com:443"), (CostStatus::Exact, openai(&[])));
    assert_eq!(cost("openai", ""), (CostStatus::Exact, openai(&[])));
    assert_eq!(cost("openai", "127.0.0.1:4000"), (CostStatus::Estimated, elsewhere.clone()));
    assert_eq!(cost("openai", "https://api.openai.com.example.net"), (CostStatus::Estimated, elsewhere));
    // Whoever calls it something else, but calls it there, pays its prices.
    assert_eq!(cost("work", "https://api.openai.com/v1"), (CostStatus::Exact, openai(&[])));
    assert_eq!(cost("work", "https://gateway.example.net"), (CostStatus::Unknown, None));
}

#[test]
fn what_tokens_do_not_show_makes_an_estimate() {
    let searching = builtin("openai", "gpt-4o-search-preview", &plain(1, 1));
    assert_eq!(searching.status, CostStatus::Estimated);
    let rates = r#"[{"prices":{"input":"1","output":"2"},"uncounted":true}]"#;
    let json = format!(r#"{{"date":"2026-01-31","entries":[{{"provider":"p","id":"m","rates":{rates}}}]}}"#);
    let cost = cost(&Catalog::from_json(&json).unwrap(), "p", "m", &plain(1, 1));
    assert_eq!((cost.status, cost.amount.unwrap().to_string().as_str()), (CostStatus::Estimated, "0.000003"));
}

#[test]
fn a_search_without_a_price_makes_the_sum_partial() {
    let call = Call::new("p", "m", NOW).searching(2);
    let cost = catalog(r#"{"input":"1","output":"1"}"#).cost(&call, Some(&plain(1, 1)));
    assert_eq!((cost.status, cost.lines[2].amount), (CostStatus::Partial, None));
}
