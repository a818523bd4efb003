//! Costs counted by hand, one provider after another; all products are micro-dollars.

use aichat_catalog::{Catalog, Cost, CostStatus};
use aichat_message::Usage;

fn cost(provider: &str, model: &str, usage: &Usage) -> Cost {
    Catalog::builtin().cost(provider, model, Some(usage))
}

#[track_caller]
fn assert_exact(provider: &str, model: &str, usage: &Usage, amount: &str) {
    let cost = cost(provider, model, usage);
    assert_eq!(cost.status, CostStatus::Exact, "{cost:?}");
    assert_eq!(cost.amount.map(|amount| amount.to_string()).as_deref(), Some(amount), "{cost:?}");
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
fn gemini_prices_audio_apart() {
    // 1,000 * 0.3 + 500 * 1 + 2,000 * 2.5 = 300 + 500 + 5,000
    let usage = Usage { audio_input_tokens: Some(500), reasoning_tokens: Some(1_500), ..plain(1_500, 2_000) };
    assert_exact("gemini", "gemini-2.5-flash", &usage, "0.0058");
}

#[test]
fn deepseek_keeps_every_digit() {
    // 210 * 0.27 + 1,024 * 0.13 + 77 * 0.95 = 56.7 + 133.12 + 73.15
    let usage = Usage { cache_read_tokens: Some(1_024), ..plain(1_234, 77) };
    assert_exact("deepseek", "deepseek-v3.1-terminus", &usage, "0.00026297");
}

#[test]
fn groq_has_slashes_in_its_names() {
    // 80 * 0.075 + 33 * 0.3 = 6 + 9.9
    assert_exact("groq", "openai/gpt-oss-20b", &plain(80, 33), "0.0000159");
}

#[test]
fn mistral_has_aliases() {
    // 1,000 * 1.5 + 10 * 7.5 = 1,500 + 75
    assert_exact("mistral", "mistral-medium-2604", &plain(1_000, 10), "0.001575");
}

#[test]
fn xai_changes_its_tier_between_199_999_and_200_000() {
    // 199,999 * 2 + 1,000 * 6, then 200,000 * 4 + 1,000 * 12
    assert_exact("xai", "grok-4.7", &plain(199_999, 1_000), "0.405998");
    assert_exact("xai", "grok-4.7", &plain(200_000, 1_000), "0.812");
    let tier = |input| cost("xai", "grok-4.7", &plain(input, 1)).price.unwrap().tier;
    assert_eq!((tier(199_999), tier(200_000)), (None, Some(199_999)));
}

#[test]
fn the_tier_is_chosen_by_all_input_and_applies_to_all_of_it() {
    // 1 * 0.1 + 99,999 * 0.01 = 0.1 + 999.99, then 1 * 0.5 + 100,000 * 0.05 + 2 * 2.5 = 0.5 + 5,000 + 5
    let usage = |cached, output| Usage { cache_read_tokens: Some(cached), ..plain(cached + 1, output) };
    assert_exact("anthropic", "claude-haiku-5-5", &usage(99_999, 0), "0.00100009");
    assert_exact("anthropic", "claude-haiku-5-5", &usage(100_000, 2), "0.0050055");
}
