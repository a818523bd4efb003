//! Tables of one's own: what they replace, what they leave, and what is refused.

use std::error::Error as _;

use aichat_catalog::{
    Assumption, Bucket, Call, Catalog, CostStatus, ErrorKind, MatchedBy, Modality, Reasoning,
};
use aichat_message::Usage;

use crate::NOW;

fn table(entries: &str) -> String {
    format!(r#"{{"source":"our contract","date":"2026-01-31","entries":[{entries}]}}"#)
}

fn over(entries: &str) -> Catalog {
    Catalog::builtin().with_json(&table(entries)).expect("a well-formed table")
}

fn price(catalog: &Catalog, provider: &str, model: &str) -> (String, CostStatus) {
    let usage = Usage { input_tokens: Some(1_000_000), output_tokens: Some(0), ..Usage::default() };
    let cost = catalog.cost(&Call::new(provider, model, NOW).to("127.0.0.1:1"), Some(&usage));
    (cost.amount.map_or("unknown".to_owned(), |amount| amount.to_string()), cost.status)
}

#[test]
fn a_price_of_ones_own_goes_before_the_built_in_one() {
    let catalog = over(r#"{"provider":"openai","id":"gpt-4.1","prices":{"input":"1.5","output":"6"}}"#);
    assert_eq!(price(&catalog, "openai", "gpt-4.1"), ("1.5".to_owned(), CostStatus::Exact));
    assert_eq!(price(&catalog, "openai", "gpt-4.1-mini"), ("0.4".to_owned(), CostStatus::Estimated));
    let found = catalog.model("openai", "GPT-4.1").unwrap();
    assert_eq!(
        (found.table.builtin, found.overridden, found.entry.context_window),
        (false, true, Some(1_047_576))
    );
    assert_eq!(found.entry.source, "our contract");
    let [ours, builtin] = &catalog.tables()[..] else { panic!("two tables") };
    assert_eq!((ours.builtin, builtin.builtin, ours.date.to_string().as_str()), (false, true, "2026-01-31"));
    assert_eq!(found.table, *ours);
    // So it is under every other name of the model, such as the one that the provider answers with.
    let dated = catalog.model("openai", "gpt-4.1-2025-04-14").unwrap();
    assert_eq!((&dated.entry, &dated.table, dated.matched_by), (&found.entry, ours, MatchedBy::Alias));
    assert_eq!(catalog.model("openai", "gpt-4.1-mini").unwrap().table, *builtin);
    // Another provider of the model asks for its own price.
    assert_eq!(catalog.model("azure", "gpt-4.1").unwrap().table, *builtin);
}

#[test]
fn facts_of_ones_own_leave_the_price() {
    let catalog = over(
        r#"{"provider":"openai","id":"gpt-4.1","context_window":5,"output_limit":4,"input":["text","video"],
            "tools":false,"structured_output":false,"reasoning":"budget","retires":"2030-01-01","deprecated":true}"#,
    );
    let found = catalog.model("openai", "gpt-4.1").unwrap();
    let entry = &found.entry;
    assert_eq!((entry.context_window, entry.output_limit, entry.tools), (Some(5), Some(4), Some(false)));
    assert_eq!(
        (&*entry.input, &*entry.output),
        (&[Modality::Text, Modality::Video][..], &[Modality::Text][..])
    );
    assert_eq!((entry.structured_output, entry.reasoning), (Some(false), Some(Reasoning::Budget)));
    assert!(entry.deprecated && entry.retires.unwrap().to_string() == "2030-01-01");
    assert!(found.table.builtin && found.overridden && found.entry.source.starts_with("genai-prices "));
    assert_eq!(
        price(&catalog, "openai", "gpt-4.1").1,
        CostStatus::Estimated,
        "the built-in price, elsewhere"
    );
}

#[test]
fn a_deployment_is_another_name_of_a_model() {
    let catalog =
        over(r#"{"provider":"azure","id":"grok-4.7-20260801","aliases":["ours"],"dated":["ours-"]}"#);
    let found = catalog.model("azure", "ours").unwrap();
    assert_eq!((found.matched_by, found.rule.as_str()), (MatchedBy::Alias, "ours"));
    assert_eq!(found.assumed, [], "another provider's entry by a pattern is not a model of ours");
    let catalog = over(r#"{"provider":"azure","id":"grok-4.7","aliases":["ours"],"dated":["ours-"]}"#);
    let found = catalog.model("azure", "ours").unwrap();
    assert_eq!((found.entry.context_window, found.assumed.as_slice()), (Some(500_000), &[][..]));
    assert_eq!(catalog.model("azure", "ours-20260801").unwrap().matched_by, MatchedBy::Dated);
    let catalog = over(r#"{"provider":"azure","id":"o3-2025-04-16","aliases":["thinker"]}"#);
    assert_eq!(price(&catalog, "azure", "thinker").0, "2");
}

#[test]
fn providers_and_models_of_ones_own_are_known() {
    let catalog = over(
        r#"{"provider":"work","id":"House-Model","prefixes":["house-"],"except":["free"],"rates":[
            {"prices":{"input":"1","output":"2"}},
            {"when":"2026-11-24","prices":{"input":"3","output":"4"}},
            {"when":"11:00-12:00","prices":{"input":"5","output":"6"}},
            {"when":"2026-11-25","prices":{"input":"7","output":"8"}}]}"#,
    );
    assert_eq!(price(&catalog, "work", "house-model"), ("3".to_owned(), CostStatus::Exact));
    assert_eq!(price(&catalog, "Work", "house-2"), ("3".to_owned(), CostStatus::Exact));
    assert_eq!(price(&catalog, "work", "house-free").1, CostStatus::Unknown);
    assert!(catalog.names().any(|name| name == ("work", "House-Model")));
    let entries = catalog.entries();
    assert_eq!(entries.iter().filter(|entry| entry.provider == "work").count(), 1);
    assert_eq!(entries.len(), Catalog::builtin().entries().len() + 1);
    let ids = |provider| catalog.entries_of(provider).into_iter().map(|entry| entry.id).collect::<Vec<_>>();
    assert_eq!(ids("work"), ["House-Model"]);
    assert_eq!((ids("nobody").len(), ids("google") == ids("gemini")), (0, true));
}

#[test]
fn later_tables_go_before_earlier_ones() {
    let entry = |price: &str| {
        table(&format!(r#"{{"provider":"openai","id":"gpt-4.1","prices":{{"input":"{price}"}}}}"#))
    };
    let window = table(r#"{"provider":"openai","id":"gpt-4.1","context_window":7}"#);
    let catalog = Catalog::builtin().with_json(&entry("8")).unwrap().with_json(&entry("9")).unwrap();
    let catalog = catalog.with_json(&window).unwrap();
    let found = catalog.model("openai", "gpt-4.1").unwrap();
    let input = found.entry.rate(NOW).unwrap().prices.of(Bucket::Input).unwrap();
    assert_eq!((input.to_string().as_str(), found.entry.context_window), ("9", Some(7)));
    assert_eq!(found.table, catalog.tables()[1]);
    let listed =
        catalog.entries().into_iter().find(|entry| entry.id == "gpt-4.1" && entry.provider == "openai");
    assert_eq!(listed, Some(found.entry));
    assert_eq!(Catalog::empty().entries(), []);
    assert_eq!(Catalog::empty().model("openai", "gpt-4.1"), None);
}

#[test]
fn a_provider_is_found_by_its_address_under_any_name() {
    let catalog = over(r#"{"provider":"openai","id":"gpt-4.1","prices":{"input":"1.5"}}"#);
    let call = Call::new("work", "gpt-4.1", NOW).to("https://api.openai.com/v1");
    assert!(!catalog.find(&call).unwrap().table.builtin);
    assert_eq!(catalog.find(&Call::new("work", "gpt-4.1", NOW)), None);
    let call = Call::new("openai", "gpt-4.1-mini", NOW).to("https://example.net");
    assert_eq!(catalog.find(&call).unwrap().assumed, [Assumption::OtherHost]);
}

#[test]
fn earlier_ways_win_and_the_longest_pattern_wins() {
    let entry = |rest: &str| format!(r#"{{"provider":"p",{rest}}}"#);
    let entries = [
        entry(r#""id":"short","prefixes":["m"]"#),
        entry(r#""id":"long","prefixes":["m-","m-1"]"#),
        entry(r#""id":"end","suffixes":["-2026"]"#),
        entry(r#""id":"middle","infixes":["-x-"]"#),
        entry(r#""id":"dated","dated":["m-1-"]"#),
        entry(r#""id":"named","aliases":["m-1-20260101"]"#),
        entry(r#""id":"m-1-x""#),
    ];
    let catalog = Catalog::from_json(&table(&entries.join(","))).unwrap();
    for (model, id, matched_by) in [
        ("m-1-x", "m-1-x", MatchedBy::Exact),
        ("m-1-20260101", "named", MatchedBy::Alias),
        ("m-1-20260102", "dated", MatchedBy::Dated),
        ("m-1-2026", "end", MatchedBy::Suffix),
        ("m-1-2027", "long", MatchedBy::Prefix),
        ("a-x-m", "middle", MatchedBy::Infix),
        ("mm", "short", MatchedBy::Prefix),
    ] {
        let found = catalog.model("p", model).unwrap();
        assert_eq!((found.entry.id.as_str(), found.matched_by), (id, matched_by), "{model}");
    }
}

#[test]
fn a_wrong_table_is_refused_by_place_and_field() {
    let refusal = |json: &str| {
        let error = Catalog::from_json(json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Table);
        match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    };
    let fine = r#"{"provider":"p","id":"fine"}"#;
    let entry = |rest: &str| refusal(&table(&format!(r#"{fine},{{"provider":"p","id":"m",{rest}}}"#)));
    let place = "price table: entries[1], p/m";
    for bad in [r#""-1""#, r#""1000001""#, r#""0.0000001""#] {
        let message = entry(&format!(r#""prices":{{"input":{bad}}}"#));
        assert!(message.starts_with(&format!(r#"{place}: price "input": is negative"#)), "{message}");
    }
    for (rest, what) in [
        (r#""prices":{"input":0.5}"#, r#"price "input": invalid type: floating point"#),
        (r#""prices":{"output":"1e3"}"#, r#"price "output": not a plain decimal amount"#),
        (r#""prices":{"inptu":"1"}"#, r#"price "inptu": there is no such bucket, only input, cache_read"#),
        (r#""prices":{"input":"1","input":"2"}"#, r#"price "input": is given twice"#),
        (r#""peak":{}"#, "unknown field `peak`"),
        (r#""retires":"soon""#, "not a day such as 2026-01-31"),
        (r#""rates":[{"when":"noon","prices":{}}]"#, "neither a day such as 2026-01-31 nor hours"),
        (r#""reasoning":"much""#, "unknown variant `much`"),
        (r#""aliases":["M"]"#, "other names are lower case and not empty"),
        (r#""prefixes":[""]"#, "other names are lower case and not empty"),
        (r#""aliases":["fine"]"#, r#""fine" is taken"#),
        (r#""tiers":[]"#, ""),
        (r#""tiers":[{"over_input_tokens":5,"prices":{}}]"#, "tiers stand beside prices"),
        (r#""prices":{},"rates":[{"prices":{}}]"#, "there are either prices with tiers, or rates"),
    ] {
        if what.is_empty() {
            assert!(Catalog::from_json(&table(&format!(r#"{{"provider":"p","id":"m",{rest}}}"#))).is_ok());
            continue;
        }
        let message = entry(rest);
        assert!(message.starts_with(&format!("{place}: {what}")), "{rest}: {message}");
    }
    let tier = r#"{"over_input_tokens":5,"prices":{}}"#;
    assert_eq!(
        entry(&format!(r#""prices":{{}},"tiers":[{tier},{tier}]"#)),
        format!("{place}: tiers are not in ascending order")
    );
    assert!(
        refusal(&table(r#"{"provider":"p"}"#)).starts_with("price table: entries[0]: missing field `id`")
    );
    for json in ["", "[]", "{", &table("").replace("2026-01-31", "d"), r#"{"date":"2026-01-31"}"#] {
        assert!(refusal(json).starts_with("malformed price table: "), "{json}");
    }
}
