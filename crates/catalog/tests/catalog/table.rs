//! Tables: the built-in one is sane, names find their entries, and a wrong table is refused.

use std::error::Error as _;

use aichat_catalog::{Catalog, ErrorKind, MatchedBy, Money, Prices};

const BYTES: &str = include_str!("../../data/models.json");

fn amounts(prices: &Prices) -> Vec<(&'static str, Option<Money>)> {
    vec![
        ("input", prices.input),
        ("output", prices.output),
        ("cache_read", prices.cache_read),
        ("cache_write", prices.cache_write),
        ("cache_write_1h", prices.cache_write_1h),
        ("audio_input", prices.audio_input),
        ("reasoning", prices.reasoning),
        ("audio_output", prices.audio_output),
    ]
}

#[test]
fn every_built_in_entry_is_sane() {
    let catalog = Catalog::builtin();
    let dollars = |text: &str| text.parse::<Money>().unwrap();
    assert!(catalog.entries().len() >= 25);
    for provider in ["openai", "anthropic", "gemini", "deepseek", "groq", "mistral", "xai"] {
        assert!(catalog.entries().iter().any(|entry| entry.provider == provider), "{provider}");
    }
    for entry in catalog.entries() {
        let found = catalog.model(&entry.provider, &entry.id).unwrap();
        assert_eq!((found.entry, found.matched_by), (entry, MatchedBy::Exact));
        assert!(
            entry.context_window.is_none_or(|tokens| (8_000..=10_000_000).contains(&tokens)),
            "{entry:?}"
        );
        for prices in entry.tiers.iter().map(|tier| &tier.prices).chain([&entry.prices]) {
            for (bucket, price) in amounts(prices) {
                assert!(price.is_none_or(|p| p > Money::ZERO && p <= dollars("200")), "{bucket}: {entry:?}");
            }
            assert!(prices.input.is_some() && prices.output >= prices.input, "{entry:?}");
            assert!(prices.cache_read.is_none_or(|price| Some(price) < prices.input), "{entry:?}");
            assert!(prices.cache_write.is_none_or(|price| Some(price) >= prices.input), "{entry:?}");
            assert!(prices.cache_write_1h.is_none_or(|price| Some(price) > prices.cache_write), "{entry:?}");
        }
        for tier in &entry.tiers {
            for ((bucket, base), (_, over)) in amounts(&entry.prices).into_iter().zip(amounts(&tier.prices)) {
                assert!(base.is_some() == over.is_some() && base <= over, "{bucket}: {entry:?}");
            }
        }
    }
}

#[test]
fn the_built_in_table_says_what_it_is() {
    let catalog = Catalog::builtin();
    assert_eq!(catalog.table_hash(), blake3::hash(BYTES.as_bytes()).to_hex().as_str());
    assert!(catalog.table_source().starts_with("genai-prices "));
    assert_eq!(catalog.table_date().len(), "2026-01-31".len());
    let given = Catalog::from_json(BYTES).unwrap();
    assert_eq!(given.entries(), catalog.entries());
    assert_eq!(given.table_hash(), catalog.table_hash());
}

#[test]
fn names_find_their_entries() {
    let catalog = Catalog::builtin();
    let find = |provider, model| {
        catalog.model(provider, model).map(|found| (found.entry.id.as_str(), found.matched_by))
    };
    assert_eq!(find("openai", "gpt-4o"), Some(("gpt-4o", MatchedBy::Exact)));
    assert_eq!(find("openai", "GPT-4o-mini"), Some(("gpt-4o-mini", MatchedBy::Exact)));
    assert_eq!(find("openai", "gpt-4o-2024-11-20"), Some(("gpt-4o", MatchedBy::Alias)));
    assert_eq!(find("openai", "gpt-6-sol-2026-10-01"), Some(("gpt-6-sol", MatchedBy::Dated)));
    assert_eq!(find("anthropic", "claude-haiku-4-5-20251001"), Some(("claude-haiku-4-5", MatchedBy::Prefix)));
    // Neighbours that begin alike are other models, with other prices.
    assert_eq!(find("openai", "gpt-4o-audio"), None);
    assert_eq!(find("openai", "gpt-6-sol-mini"), None);
    assert_eq!(find("openai", "gpt-4o-mini-search-preview"), None);
    assert_eq!(find("anthropic", "claude-opus-5-5-fast"), None);
    assert_eq!(
        find("gemini", "gemini-3.5-flash-lite-001"),
        Some(("gemini-3.5-flash-lite", MatchedBy::Prefix))
    );
    assert_eq!(find("google", "gemini-2.5-pro"), None);
}

#[test]
fn earlier_ways_win_and_the_longest_prefix_wins() {
    let entry = |rest: &str| format!(r#"{{"provider":"p","prices":{{}},{rest}}}"#);
    let entries = [
        entry(r#""id":"short","prefixes":["m"]"#),
        entry(r#""id":"long","prefixes":["m-","m-1"]"#),
        entry(r#""id":"dated","dated":["m-1-"]"#),
        entry(r#""id":"named","aliases":["m-1-20260101"]"#),
        entry(r#""id":"m-1-x""#),
    ];
    let json = format!(r#"{{"source":"test","date":"d","entries":[{}]}}"#, entries.join(","));
    let catalog = Catalog::from_json(&json).unwrap();
    for (model, id, matched_by) in [
        ("m-1-x", "m-1-x", MatchedBy::Exact),
        ("m-1-20260101", "named", MatchedBy::Alias),
        ("m-1-20260102", "dated", MatchedBy::Dated),
        ("m-1-2026", "long", MatchedBy::Prefix),
        ("mm", "short", MatchedBy::Prefix),
    ] {
        let found = catalog.model("p", model).unwrap();
        assert_eq!((found.entry.id.as_str(), found.matched_by), (id, matched_by), "{model}");
    }
}

#[test]
fn wrong_tables_are_refused() {
    let table = |entries: &str| format!(r#"{{"source":"test","date":"2026-01-31","entries":[{entries}]}}"#);
    let refusal = |json: &str| {
        let error = Catalog::from_json(json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Table);
        match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    };
    let price = |price: &str| table(&format!(r#"{{"provider":"p","id":"m","prices":{{"input":{price}}}}}"#));
    for bad in [r#""-1""#, r#""1000001""#, r#""0.0000001""#] {
        assert!(refusal(&price(bad)).starts_with("price table: p/m: a price is"), "{bad}");
    }
    assert!(refusal(&price("0.5")).contains("invalid type: floating point"));
    assert!(refusal(&price(r#""1e3""#)).contains("not a plain decimal amount"));
    let peak = r#"{"provider":"p","id":"m","prices":{"input":"1"},"peak":{}}"#;
    assert!(refusal(&table(peak)).contains("unknown field `peak`"));
    let upper = r#"{"provider":"p","id":"M","prices":{}}"#;
    assert_eq!(refusal(&table(upper)), "price table: p/M: names are lower case and not empty");
    let everything = r#"{"provider":"p","id":"m","prefixes":[""],"prices":{}}"#;
    assert_eq!(refusal(&table(everything)), "price table: p/m: names are lower case and not empty");
    let twice =
        r#"{"provider":"p","id":"m","prices":{}},{"provider":"p","id":"n","aliases":["m"],"prices":{}}"#;
    assert_eq!(refusal(&table(twice)), "price table: p/n: a name that is already taken");
    let tier = r#"{"over_input_tokens":5,"prices":{}}"#;
    let tiers = format!(r#"{{"provider":"p","id":"m","prices":{{}},"tiers":[{tier},{tier}]}}"#);
    assert_eq!(refusal(&table(&tiers)), "price table: p/m: tiers are not in ascending order");
    for json in ["", "[]", "{", &table("{}")] {
        assert!(refusal(json).starts_with("malformed price table: "), "{json}");
    }
}
