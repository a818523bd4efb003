//! The built-in table: it is whole and sane, and names find their entries.

use aichat_catalog::{Bucket, Call, Catalog, Entry, MatchedBy, Modality, Money, Reasoning};

use crate::NOW;

const TEXT: &str = include_str!("../../data/models.txt");
const SCRIPT: &str = include_str!("../../data/derive.py");

fn entry(provider: &str, id: &str) -> Entry {
    let found = Catalog::builtin().model(provider, id);
    found.unwrap_or_else(|| panic!("{provider}/{id} is not in the table")).entry
}

#[test]
fn the_table_is_what_its_script_made() {
    let format = TEXT.lines().next().unwrap();
    assert!(SCRIPT.contains(&format!("FORMAT = \"{format}\"\n")), "{format}");
    let (before, rest) = TEXT.split_once("\nhash ").unwrap();
    let (hash, hashed) = rest.split_once('\n').unwrap();
    assert_eq!(blake3::hash(hashed.as_bytes()).to_hex().as_str(), hash);
    let [table] = &Catalog::builtin().tables()[..] else { panic!("one table") };
    assert_eq!(table.hash, hash);
    assert!(before.contains(&format!("\ndate {}\n", table.date)));
    assert_eq!(table.source, "genai-prices 0.2.3, litellm 1.109.1");
    assert_eq!(before.matches(" sha256:").count(), 2);
}

/// Every line is read here, so that no later reading can fail, and every range ends where the next begins.
#[test]
fn every_entry_is_sane() {
    let catalog = Catalog::builtin();
    let dollars = |text: &str| text.parse::<Money>().unwrap();
    let entries = catalog.entries();
    assert_eq!(entries.len(), TEXT.split_once("\n\n").unwrap().1.lines().count());
    assert!(entries.len() > 2_000, "{}", entries.len());
    let names: Vec<(&str, &str)> = catalog.names().collect();
    assert!(entries.iter().map(|entry| (entry.provider.as_str(), entry.id.as_str())).eq(names));
    let mut priced = 0;
    for entry in &entries {
        let found = catalog.model(&entry.provider, &entry.id).unwrap();
        assert_eq!((&found.entry, found.matched_by), (entry, MatchedBy::Exact));
        assert!(entry.source == "genai-prices 0.2.3" || entry.source == "litellm 1.109.1", "{entry:?}");
        assert!(entry.context_window.is_none_or(|tokens| (256..=20_000_000).contains(&tokens)), "{entry:?}");
        priced += usize::from(!entry.rates.is_empty());
        for rate in &entry.rates {
            let all = rate.tiers.iter().map(|tier| &tier.prices).chain([&rate.prices]);
            for (bucket, price) in all.flat_map(|prices| prices.iter()) {
                let most = if bucket == Bucket::WebSearch { "50000" } else { "15000" };
                assert!(price >= Money::ZERO && price <= dollars(most), "{bucket:?}: {entry:?}");
            }
            assert!(
                rate.prices.of(Bucket::Input).is_some() && rate.prices.of(Bucket::Output).is_some(),
                "{entry:?}"
            );
            for tier in &rate.tiers {
                let buckets =
                    |prices: &aichat_catalog::Prices| prices.iter().map(|(b, _)| b).collect::<Vec<_>>();
                assert_eq!(buckets(&tier.prices), buckets(&rate.prices), "{entry:?}");
                assert!(tier.over_input_tokens >= 10_000, "{entry:?}");
            }
            assert!(rate.tiers.is_sorted_by_key(|tier| tier.over_input_tokens), "{entry:?}");
        }
        for name in &entry.names.aliases {
            let found = catalog.model(&entry.provider, name).unwrap();
            assert!(
                found.matched_by <= MatchedBy::Alias && found.entry.rates == entry.rates,
                "{name}: {entry:?}"
            );
        }
    }
    assert!(priced * 10 >= entries.len() * 9, "{priced} of {} have a price", entries.len());
}

#[test]
fn every_provider_we_speak_to_is_listed() {
    let catalog = Catalog::builtin();
    for (provider, at_least) in [
        ("anthropic", 20),
        ("azure", 200),
        ("deepseek", 8),
        ("gemini", 40),
        ("groq", 30),
        ("mistral", 30),
        ("openai", 90),
        ("openrouter", 800),
        ("xai", 15),
    ] {
        let listed = catalog.names().filter(|(name, _)| *name == provider).count();
        assert!(listed >= at_least, "{provider}: {listed}");
    }
    assert!(catalog.is_router("openrouter") && catalog.is_router("azure") && !catalog.is_router("openai"));
    assert!(!catalog.is_router("") && !catalog.is_router("nobody"));
}

#[test]
fn models_are_known_by_what_they_can_do() {
    let gpt = entry("openai", "gpt-5");
    assert_eq!((gpt.context_window, gpt.output_limit), (Some(400_000), Some(128_000)));
    assert_eq!(
        (gpt.tools, gpt.structured_output, gpt.reasoning),
        (Some(true), Some(true), Some(Reasoning::Effort))
    );
    assert_eq!(
        (&*gpt.input, &*gpt.output),
        (&[Modality::Text, Modality::Image, Modality::Pdf][..], &[Modality::Text][..])
    );
    assert_eq!(gpt.retires.unwrap().to_string(), "2026-12-11");
    assert_eq!(entry("anthropic", "claude-opus-5-5").reasoning, Some(Reasoning::Adaptive));
    assert_eq!(entry("anthropic", "claude-haiku-4-5").reasoning, Some(Reasoning::Budget));
    assert!(entry("gemini", "gemini-2.5-pro").input.contains(&Modality::Video));
    assert!(entry("openai", "gpt-4o-audio-preview").output.contains(&Modality::Audio));
    // What is not said is unknown.
    let llama = entry("groq", "llama-3.3-70b-versatile");
    assert_eq!((llama.context_window, llama.tools, llama.reasoning), (None, None, None));
}

#[test]
fn names_find_their_entries() {
    let find = |provider, model| {
        let found = Catalog::builtin().model(provider, model)?;
        Some((format!("{}/{}", found.entry.provider, found.entry.id), found.matched_by, found.assumed.len()))
    };
    let found = |name: &str, matched_by, assumed| Some((name.to_owned(), matched_by, assumed));
    for (provider, model, expected) in [
        ("openai", "gpt-4o", found("openai/gpt-4o", MatchedBy::Exact, 0)),
        ("OpenAI", "GPT-4o-mini", found("openai/gpt-4o-mini", MatchedBy::Exact, 0)),
        ("openai", "openai/gpt-4o", found("openai/gpt-4o", MatchedBy::Exact, 0)),
        ("openai", "gpt-5-2025-08-07", found("openai/gpt-5", MatchedBy::Alias, 0)),
        ("openai", "gpt-5-20250807", found("openai/gpt-5", MatchedBy::Alias, 0)),
        ("openai", "gpt-6-sol-2026-10-01", found("openai/gpt-6-sol", MatchedBy::Dated, 0)),
        ("openai", "gpt-4.1-2027-01-01", found("openai/gpt-4.1", MatchedBy::Exact, 1)),
        ("anthropic", "claude-haiku-4-5-20251001", found("anthropic/claude-haiku-4-5", MatchedBy::Prefix, 0)),
        ("gemini", "gemini-2.5-pro-001", found("gemini/gemini-2.5-pro", MatchedBy::Prefix, 0)),
        ("google", "gemini-2.5-flash", found("gemini/gemini-2.5-flash", MatchedBy::Exact, 0)),
        ("x-ai", "x-ai/grok-4.7", found("xai/grok-4.7", MatchedBy::Alias, 0)),
        ("vertex", "claude-opus-4-8@20260101", found("vertex/claude-opus-4-8", MatchedBy::Infix, 0)),
        ("azure", "my-o4-mini", found("azure/o4-mini", MatchedBy::Infix, 0)),
        ("azure", "claude-opus-4-5-x", found("anthropic/claude-opus-4-5", MatchedBy::Prefix, 1)),
        ("openrouter", "openai/gpt-5", found("openrouter/openai/gpt-5", MatchedBy::Exact, 0)),
        // Neighbours that begin alike are other models, with other prices.
        ("openai", "gpt-6-sol-mini", None),
        ("openai", "gpt-4o-mini-search-preview", None),
        ("anthropic", "claude-opus-5-5-fast", None),
        ("gemini", "gemini-2.5-pro-tts-2", None),
        ("openrouter", "openai/gpt-4.1-mini:floor", None),
        ("openrouter", "anthropic/claude-haiku-4-5-20251001:online", None),
        ("openrouter", "openai/gpt-99", None),
        ("openai", "claude-opus-5-5", None),
        ("openai", "", None),
        ("nobody", "gpt-4o", None),
    ] {
        assert_eq!(find(provider, model), expected, "{provider} {model}");
    }
}

#[test]
fn a_match_explains_itself() {
    let explain = |provider, model, address| {
        Catalog::builtin().find(&Call::new(provider, model, NOW).to(address)).unwrap().to_string()
    };
    let table = "in the built-in table of 2026-11-24 (genai-prices 0.2.3)";
    assert_eq!(
        explain("work", "gpt-5-2025-08-07", "https://api.openai.com/v1"),
        format!("openai/gpt-5, by its other name gpt-5-2025-08-07, the provider by its address, {table}")
    );
    assert_eq!(
        explain("openai", "gpt-4.1-2027-01-01", "http://127.0.0.1:1/v1"),
        format!(
            "openai/gpt-4.1, by its own name, {table}; assumed, for the address is not this provider's; \
             assumed, for it is that of another snapshot"
        )
    );
    assert_eq!(
        explain("azure", "claude-opus-4-5-x", "https://mine.services.ai.azure.com/openai/v1"),
        format!(
            "anthropic/claude-opus-4-5, by names that begin with claude-opus-4-5, {table}; \
             assumed, for it is another provider's"
        )
    );
    let ours =
        r#"{"date":"2026-01-31","source":"ours","entries":[{"provider":"p","id":"m","dated":["m-"]}]}"#;
    let found = Catalog::from_json(ours).unwrap().model("p", "m-20260101").unwrap();
    assert_eq!(found.to_string(), "p/m, by its name m- and a date, in a given table of 2026-01-31 (ours)");
}
