//! What a turn cost: by whose table, at which time, and as sure as the place that was asked.

use aichat_catalog::{Catalog, CostStatus};
use aichat_engine::{Engine, ModelRef, Send};
use aichat_events::CostCalculated;
use aichat_message::{Delta, FinishReason, Protocol, Usage};
use aichat_providers::{Call, DeltaStream, Error, Info, Provider, Scripted, Turn};
use aichat_store::Memory;
use async_trait::async_trait;

use crate::support::{Counting, Ticking};

/// A script that says it is a provider somewhere.
pub(crate) struct Placed(pub(crate) Scripted, pub(crate) Info);

#[async_trait]
impl Provider for Placed {
    fn info(&self) -> &Info {
        &self.1
    }

    async fn stream(&self, call: Call) -> Result<DeltaStream, Error> {
        self.0.stream(call).await
    }
}

/// Returns what a million tokens in and none out cost.
async fn cost(host: &str, local: bool, catalog: Option<&str>) -> CostCalculated {
    let usage = Usage { input_tokens: Some(1_000_000), output_tokens: Some(0), ..Usage::default() };
    let script =
        Scripted::new([Turn::new().say("yes").delta(Delta::Usage(usage)).finish(FinishReason::Stop)]);
    let info = Info { host: host.to_owned(), local, ..Info::new("openai", Protocol::OpenaiChat) };
    let builder = Engine::builder(Memory::new()).provider(Placed(script, info));
    let builder = builder.clock(Ticking::new()).entropy(Counting);
    let engine = match catalog {
        Some(json) => builder.catalog(Catalog::from_json(json).unwrap()).build(),
        None => builder.build(),
    };
    let turn = engine.send(Send::new(ModelRef::new("openai", "gpt-4.1"), "hello")).await.unwrap();
    turn.outcome().await.unwrap().cost()
}

fn told(cost: &CostCalculated) -> (Option<String>, CostStatus) {
    (cost.amount.map(|amount| amount.to_string()), cost.status)
}

#[tokio::test]
async fn a_price_is_as_sure_as_the_place_that_was_asked() {
    let two = Some("2".to_owned());
    assert_eq!(told(&cost("api.openai.com", false, None).await), (two.clone(), CostStatus::Exact));
    assert_eq!(told(&cost("127.0.0.1:8080", false, None).await), (two, CostStatus::Estimated));
    assert_eq!(
        told(&cost("127.0.0.1:8080", true, None).await),
        (Some("0".to_owned()), CostStatus::LocalFree)
    );
}

#[tokio::test]
async fn a_price_is_that_of_the_time_by_the_engines_clock_and_table() {
    // The clock begins at 22:13 on 2023-11-14.
    let rates = r#"[{"prices":{"input":"1","output":"1"}},
        {"when":"22:00-22:30","prices":{"input":"2","output":"1"}},
        {"when":"2023-11-15","prices":{"input":"4","output":"1"}}]"#;
    let table = format!(
        r#"{{"date":"2023-11-01","entries":[{{"provider":"openai","id":"gpt-4.1","rates":{rates}}}]}}"#
    );
    let cost = cost("127.0.0.1:8080", false, Some(&table)).await;
    assert_eq!(told(&cost), (Some("2".to_owned()), CostStatus::Exact));
    assert!(cost.price.unwrap().get().contains(r#""when":"22:00-22:30""#));
}
