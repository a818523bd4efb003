//! Costs counted by hand, one provider after another; all products are micro-dollars.

use aichat_catalog::{Assumption, Bucket, Call, Catalog, Cost, CostStatus, Moment};
use aichat_message::Usage;

use crate::{NOW, moment};

fn cost(provider: &str, model: &str, at: Moment, usage: &Usage) -> Cost {
    Catalog::builtin().cost(&Call::new(provider, model, at), Some(usage))
}

#[track_caller]
fn assert_cost(cost: &Cost, status: CostStatus, amount: &str) {
    assert_eq!(cost.amount.map(|amount| amount.to_string()).as_deref(), Some(amount), "{cost:?}");
    assert_eq!(cost.status, status, "{cost:?}");
}

#[track_caller]
fn assert_exact(provider: &str, model: &str, usage: &Usage, amount: &str) {
    assert_cost(&cost(provider, model, NOW, usage), CostStatus::Exact, amount);
}

fn plain(input: u64, output: u64) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
}

#[test]
fn openai_has_the_cache_in_its_input_and_reasoning_in_its_output() {
    // 6,000 * 2 + 4,000 * 0.5 + 700 * 8 + 300 * 8 = 12,000 + 2,000 + 5,600 + 2,400
    let usage = Usage { cache_read_tokens: Some(4_000), reasoning_tokens: Some(300), ..plain(10_000, 1_000) };
    assert_exact("openai", "gpt-4.1", &usage, "0.022");
    // A cache that was not reported is inside the input: 10,000 * 2 + 1,000 * 8
    assert_exact("openai", "gpt-4.1", &plain(10_000, 1_000), "0.028");
}

#[test]
fn openai_doubles_its_price_beyond_272_000_tokens() {
    // 72,000 * 2 + 100,000 * 0.2 + 100,000 * 2.5 + 1,000 * 10 = 144,000 + 20,000 + 250,000 + 10,000
    let usage = |input| Usage {
        cache_read_tokens: Some(100_000),
        cache_write_tokens: Some(100_000),
        reasoning_tokens: Some(900),
        ..plain(input, 1_000)
    };
    assert_exact("openai", "gpt-6-sol", &usage(272_000), "0.424");
    // 72,001 * 4 + 100,000 * 0.4 + 100,000 * 5 + 1,000 * 15 = 288,004 + 40,000 + 500,000 + 15,000
    assert_exact("openai", "gpt-6-sol-2026-10-01", &usage(272_001), "0.843004");
}

#[test]
fn openai_cut_the_price_of_o3_on_a_day() {
    // 1,000 * 10 + 100 * 40, from that day on 1,000 * 2 + 100 * 8
    let day = |day| cost("openai", "o3", moment(day, 0), &plain(1_000, 100));
    assert_cost(&day("2025-06-09"), CostStatus::Exact, "0.014");
    assert_eq!(day("2025-06-09").price.unwrap().when, None);
    assert_cost(&day("2025-06-10"), CostStatus::Exact, "0.0028");
    assert_eq!(day("2025-06-10").price.unwrap().when.unwrap().to_string(), "2025-06-10");
}

#[test]
fn anthropic_prices_both_lifetimes_of_its_cache() {
    // 1,000 * 4 + 6,000 * 0.2 + 2,000 * 5 + 1,000 * 8 + 500 * 20 = 4,000 + 1,200 + 10,000 + 8,000 + 10,000
    let usage = Usage {
        cache_read_tokens: Some(6_000),
        cache_write_tokens: Some(3_000),
        cache_write_1h_tokens: Some(1_000),
        ..plain(10_000, 500)
    };
    assert_exact("anthropic", "claude-opus-5-5", &usage, "0.0332");
}

#[test]
fn anthropic_had_a_tier_until_a_day() {
    // 200,001 * 6 + 10 * 22.5 = 1,200,006 + 225, from that day on 200,001 * 3 + 10 * 15 = 600,003 + 150
    let day = |day| cost("anthropic", "claude-sonnet-4-6-20260217", moment(day, 0), &plain(200_001, 10));
    assert_cost(&day("2026-03-12"), CostStatus::Exact, "1.200231");
    assert_cost(&day("2026-03-13"), CostStatus::Exact, "0.600153");
    assert_eq!(
        (day("2026-03-12").price.unwrap().tier, day("2026-03-13").price.unwrap().tier),
        (Some(200_000), None)
    );
}

#[test]
fn anthropic_asks_for_its_searches() {
    // 1,000 * 1 + 200 * 5 + 3 searches at 10,000 micro-dollars = 1,000 + 1,000 + 30,000
    let call = Call::new("anthropic", "claude-haiku-4-5", NOW).searching(3);
    let cost = Catalog::builtin().cost(&call, Some(&plain(1_000, 200)));
    assert_cost(&cost, CostStatus::Exact, "0.032");
    assert_eq!((cost.lines[2].bucket, cost.lines[2].quantity), (Bucket::WebSearch, 3));
}

#[test]
fn gemini_prices_audio_apart() {
    // 1,000 * 0.3 + 500 * 1 + 2,000 * 2.5 = 300 + 500 + 5,000
    let usage = Usage { audio_input_tokens: Some(500), reasoning_tokens: Some(1_500), ..plain(1_500, 2_000) };
    assert_exact("gemini", "gemini-2.5-flash", &usage, "0.0058");
}

#[test]
fn google_is_gemini_and_has_a_tier() {
    // 150,000 * 1.25 + 50,000 * 0.125 + 100 * 10 = 187,500 + 6,250 + 1,000
    let usage = |input| Usage { cache_read_tokens: Some(50_000), ..plain(input, 100) };
    assert_exact("google", "gemini-2.5-pro", &usage(200_000), "0.19475");
    // 150,001 * 2.5 + 50,000 * 0.25 + 100 * 15 = 375,002.5 + 12,500 + 1,500
    assert_exact("gemini", "gemini-2.5-pro-preview-06-05", &usage(200_001), "0.3890025");
}

#[test]
fn deepseek_keeps_every_digit() {
    // 210 * 0.27 + 1,024 * 0.13 + 77 * 0.95 = 56.7 + 133.12 + 73.15
    let usage = Usage { cache_read_tokens: Some(1_024), ..plain(1_234, 77) };
    assert_exact("deepseek", "deepseek-v3.1-terminus", &usage, "0.00026297");
}

#[test]
fn deepseek_asks_more_at_certain_hours_of_working_days() {
    // 1,000 * 0.15 + 1,000 * 0.003 + 100 * 0.6 = 150 + 3 + 60, at the peak 1,000 * 0.3 + 1,000 * 0.006 + 100 * 1.2
    let usage = Usage { cache_read_tokens: Some(1_000), reasoning_tokens: Some(50), ..plain(2_000, 100) };
    let at = |day, minute| cost("deepseek", "deepseek-flash", moment(day, minute), &usage);
    let (low, high) = ("0.000213", "0.000426");
    // 2026-11-20 is a Friday.
    for (minute, amount) in
        [(59, low), (60, high), (239, high), (240, low), (360, high), (599, high), (600, low)]
    {
        assert_cost(&at("2026-11-20", minute), CostStatus::Exact, amount);
        assert_cost(&at("2026-11-21", minute), CostStatus::Exact, low);
        assert_cost(&at("2026-11-22", minute), CostStatus::Exact, low);
    }
    assert_eq!(at("2026-11-20", 60).price.unwrap().when.unwrap().to_string(), "01:00-04:00 weekdays");
}

#[test]
fn groq_has_slashes_in_its_names() {
    // 80 * 0.075 + 33 * 0.3 = 6 + 9.9
    assert_exact("groq", "openai/gpt-oss-20b", &plain(80, 33), "0.0000159");
    // 600 * 0.15 + 400 * 0.075 + 60 * 0.6 = 90 + 30 + 36
    let usage = Usage { cache_read_tokens: Some(400), reasoning_tokens: Some(40), ..plain(1_000, 60) };
    assert_exact("groq", "openai/gpt-oss-120b", &usage, "0.000156");
}

#[test]
fn groq_without_a_price_for_its_cache_is_known_in_part() {
    // 900 * 0.59 + 10 * 0.79 = 531 + 7.9, and 100 cached tokens
    let usage = Usage { cache_read_tokens: Some(100), ..plain(1_000, 10) };
    assert_cost(&cost("groq", "llama-3.3-70b-versatile", NOW, &usage), CostStatus::Partial, "0.0005389");
}

#[test]
fn mistral_has_aliases_and_a_cache() {
    // 1,000 * 1.5 + 10 * 7.5 = 1,500 + 75
    assert_exact("mistral", "mistral-medium-2604", &plain(1_000, 10), "0.001575");
    // 100 * 0.5 + 900 * 0.05 + 10 * 1.5 = 50 + 45 + 15
    let usage = Usage { cache_read_tokens: Some(900), ..plain(1_000, 10) };
    assert_exact("mistral", "mistral-large-2512", &usage, "0.00011");
}

#[test]
fn xai_changes_its_tier_between_199_999_and_200_000() {
    // 199,999 * 2 + 1,000 * 6, then 200,000 * 4 + 1,000 * 12
    assert_exact("xai", "grok-4.7", &plain(199_999, 1_000), "0.405998");
    assert_exact("xai", "grok-4.7", &plain(200_000, 1_000), "0.812");
    let tier = |input| cost("xai", "grok-4.7", NOW, &plain(input, 1)).price.unwrap().tier;
    assert_eq!((tier(199_999), tier(200_000)), (None, Some(199_999)));
}

#[test]
fn xai_cut_a_price_with_its_tier() {
    // 100,000 * 4 + 100,000 * 0.4 + 1,000 * 12, from that day on 100,000 * 2.5 + 100,000 * 0.4 + 1,000 * 5
    let usage =
        Usage { cache_read_tokens: Some(100_000), reasoning_tokens: Some(1_000), ..plain(200_000, 1_000) };
    let day = |day| cost("x-ai", "grok-4.20", moment(day, 0), &usage);
    assert_cost(&day("2026-04-29"), CostStatus::Exact, "0.452");
    assert_cost(&day("2026-04-30"), CostStatus::Exact, "0.295");
}

#[test]
fn openrouter_has_prices_of_its_own() {
    // 1,000 * 1.25 + 1,000 * 0.125 + 500 * 10 = 1,250 + 125 + 5,000
    let usage = Usage { cache_read_tokens: Some(1_000), reasoning_tokens: Some(400), ..plain(2_000, 500) };
    assert_exact("openrouter", "openai/gpt-5", &usage, "0.006375");
    // 900 * 0.22 + 100 * 1.8 = 198 + 180, from a day on 900 * 0.3 + 100 * 1 = 270 + 100
    let day = |day| cost("openrouter", "qwen/qwen3-coder", moment(day, 0), &plain(900, 100));
    assert_cost(&day("2026-10-18"), CostStatus::Exact, "0.000378");
    assert_cost(&day("2026-10-19"), CostStatus::Exact, "0.00037");
    assert_exact("openrouter", "deepseek/deepseek-r1:free", &usage, "0");
}

#[test]
fn openrouter_asks_for_what_it_does_not_list_as_its_maker_does() {
    // 1,000 * 1 + 10 * 5
    let cost = cost("openrouter", "anthropic/claude-haiku-4-5-20251001", NOW, &plain(1_000, 10));
    assert_cost(&cost, CostStatus::Estimated, "0.00105");
    let price = cost.price.unwrap();
    assert_eq!(
        (price.entry.as_str(), &*price.assumed),
        ("anthropic/claude-haiku-4-5", &[Assumption::OtherProvider][..])
    );
}

#[test]
fn azure_has_prices_of_its_own_by_region() {
    // 600 * 0.25 + 400 * 0.025 + 100 * 2 = 150 + 10 + 200
    let usage = Usage { cache_read_tokens: Some(400), reasoning_tokens: Some(64), ..plain(1_000, 100) };
    assert_exact("azure", "gpt-5-mini", &usage, "0.00036");
    // 600 * 1.375 + 400 * 0.1375 + 100 * 11 = 825 + 55 + 1,100
    assert_exact("azure", "eu/gpt-5", &usage, "0.00198");
}

#[test]
fn azure_asks_for_what_it_does_not_list_as_the_maker_does() {
    // 1,000 * 2 + 100 * 6
    let cost = cost("azure", "grok-4.7-20260801", NOW, &plain(1_000, 100));
    assert_cost(&cost, CostStatus::Estimated, "0.0026");
    assert_eq!(cost.price.unwrap().entry, "xai/grok-4.7");
}

#[test]
fn perplexity_asks_for_every_call() {
    // 100 * 3 + 10 * 15 + one call at 14,000 = 300 + 150 + 14,000
    assert_exact("perplexity", "sonar-pro", &plain(100, 10), "0.01445");
}

#[test]
fn the_tier_is_chosen_by_all_input_and_applies_to_all_of_it() {
    // 1 * 0.1 + 99,999 * 0.01 = 0.1 + 999.99, then 1 * 0.5 + 100,000 * 0.05 + 2 * 2.5 = 0.5 + 5,000 + 5
    let usage = |cached, output| Usage { cache_read_tokens: Some(cached), ..plain(cached + 1, output) };
    assert_exact("anthropic", "claude-haiku-5-5", &usage(99_999, 0), "0.00100009");
    assert_exact("anthropic", "claude-haiku-5-5", &usage(100_000, 2), "0.0050055");
}
