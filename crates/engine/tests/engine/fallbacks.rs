//! Fallbacks: which failures pass a turn to another model, and what is told, paid and recorded of it.

use std::sync::Arc;

use aichat_catalog::Catalog;
use aichat_engine::{Budget, Engine, ModelRef, Progress, Send, Status};
use aichat_events::{BudgetReserved, Fact, LlmRequestRerouted, LlmRequestStarted, SessionModelSwitched};
use aichat_message::{Delta, ErrorKind, FinishReason, Money, Protocol, Usage};
use aichat_providers::{Error, Info, Plan, Scripted, Tap, Timeouts, Turn};
use aichat_store::{Balance, Memory, Store};
use bytes::Bytes;
use futures::StreamExt;

use crate::costs::Placed;
use crate::replay::{Shared, Spoken, assert_same, provider};
use crate::support::{Counting, Ticking, assert_rebuilds, kinds, quick_retries};
use crate::wire::plan;

/// A dollar and two dollars for a million tokens.
const TABLE: &str = r#"{"date":"2023-11-01","entries":[
    {"provider":"a","id":"m","output_limit":1000000,"prices":{"input":"1","output":"1"}},
    {"provider":"b","id":"m","output_limit":1000000,"prices":{"input":"2","output":"2"}}]}"#;

fn builder(store: &Memory, a: &Scripted, b: &Scripted) -> aichat_engine::Builder {
    let placed = |script: &Scripted, name: &str| {
        Placed(
            script.clone(),
            Info { host: format!("{name}.example"), ..Info::new(name, Protocol::OpenaiChat) },
        )
    };
    Engine::builder(store.clone())
        .provider(placed(a, "a"))
        .provider(placed(b, "b"))
        .retry(aichat_providers::RetryPolicy {
            max_total: std::time::Duration::from_secs(1_000),
            ..quick_retries()
        })
        .catalog(Catalog::from_json(TABLE).unwrap())
        .clock(Ticking::new())
        .entropy(Counting)
}

fn send(fallbacks: &[&str]) -> Send {
    let fallbacks = fallbacks.iter().map(|text| ModelRef::parse(text).unwrap()).collect();
    Send { fallbacks, ..Send::new(ModelRef::new("a", "m"), "hello") }
}

fn refused(kind: ErrorKind) -> Turn {
    Turn::refused(Error::new(kind, "no").with_provider("a").with_model("m"))
}

fn broke(kind: ErrorKind) -> Error {
    Error::new(kind, "broke").with_provider("a").with_model("m")
}

fn answer(input: u64, output: u64) -> Turn {
    let usage = Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() };
    Turn::new().say("yes").delta(Delta::Usage(usage)).finish(FinishReason::Stop)
}

#[tokio::test]
async fn another_model_answers_where_one_gives_no_answer_and_the_log_says_so() {
    let busy = || refused(ErrorKind::Overloaded);
    // One attempt costs something although nothing came of it.
    let usage = Usage { input_tokens: Some(1_000), output_tokens: Some(0), ..Usage::default() };
    let dear = Turn::new().delta(Delta::Usage(usage)).fail(broke(ErrorKind::Server));
    let (a, b) =
        (Scripted::new([busy(), busy(), dear]), Scripted::new([busy(), answer(10, 10), Turn::text("2")]));
    let store = Memory::new();
    let engine = builder(&store, &a, &b).build();
    let mut turn = engine.send(send(&["b/m"])).await.unwrap();
    let mut told = Vec::new();
    while let Some(progress) = turn.next().await {
        match progress {
            Progress::Retrying { .. } => told.push("retrying".to_owned()),
            Progress::Rerouting(reroute) => told.push(reroute.to_string()),
            _ => {}
        }
    }
    assert_eq!(told, ["retrying", "retrying", "a/m failed (server): broke; asking b/m", "retrying"]);
    let outcome = turn.outcome().await.unwrap();
    assert_eq!((outcome.status, outcome.model.to_string().as_str()), (Status::Completed, "b/m"));
    assert_eq!(outcome.message.origin.as_ref().unwrap().provider, "b");
    assert_eq!(outcome.warnings, ["a/m failed (server): broke; asking b/m"]);
    // 1,000 at a millionth, and 20 at two.
    assert_eq!(outcome.cost().amount, Some("0.00104".parse().unwrap()));
    let balances = store.ledger().balances().await.unwrap();
    let spent = |key: &str| balances.iter().find(|(known, _)| known == key).map(|(_, balance)| *balance);
    let balance = |spent| Some(Balance { spent, held: 0 });
    assert_eq!(spent("day/2023-11-14"), balance(1_040_000));
    assert_eq!(spent("day/2023-11-14/a"), balance(1_000_000));
    assert_eq!(spent("day/2023-11-14/b"), balance(40_000));

    let events = engine.events(&outcome.session).await.unwrap();
    let asked: Vec<_> = events.iter().filter_map(LlmRequestStarted::of).collect();
    let asked: Vec<_> = asked.iter().map(|asked| (asked.attempt, asked.provider.as_str())).collect();
    assert_eq!(asked, [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "b")]);
    let calls: Vec<_> = events
        .iter()
        .filter(|event| event.kind() == LlmRequestStarted::TYPE)
        .map(|event| event.call().unwrap())
        .collect();
    assert!(calls[0] == calls[2] && calls[2] != calls[3] && calls[3] == calls[4], "a call has one model");
    let [reroute] = &events.iter().filter_map(LlmRequestRerouted::of).collect::<Vec<_>>()[..] else {
        panic!()
    };
    assert_eq!((reroute.from.as_str(), reroute.to.as_str()), ("a/m", "b/m"));
    assert_eq!(engine.verify(&outcome.session).await.unwrap().fault, None);

    // The session is still for the model that it was begun with.
    assert_eq!(engine.session(&outcome.session).await.unwrap().model.as_deref(), Some("a/m"));
    a.push(Turn::text("1"));
    let next =
        engine.send(Send::to(outcome.session.clone(), "again")).await.unwrap().outcome().await.unwrap();
    assert_eq!(next.model.to_string(), "a/m");
    let events = engine.events(&outcome.session).await.unwrap();
    let switched: Vec<_> = events.iter().filter_map(SessionModelSwitched::of).collect();
    assert_eq!(switched, [SessionModelSwitched { from: "b/m".into(), to: "a/m".into() }]);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn what_another_model_could_not_do_better_is_not_passed_on() {
    let passed = "auth permission billing quota rate_limited overloaded context_too_long not_found timeout \
        transport decode truncated server";
    for kind in ErrorKind::ALL {
        let a = Scripted::new((0..3).map(|_| refused(*kind)));
        let b = Scripted::new([Turn::text("yes")]);
        let engine = builder(&Memory::new(), &a, &b).build();
        let outcome = engine.send(send(&["b/m"])).await.unwrap().outcome().await.unwrap();
        let is_passed = passed.split_whitespace().any(|word| word == kind.as_str());
        assert_eq!(outcome.status == Status::Completed, is_passed, "{kind}");
        assert_eq!(b.requests().len(), usize::from(is_passed), "{kind}");
        assert_eq!(outcome.model.provider, if is_passed { "b" } else { "a" }, "{kind}");
    }
}

#[tokio::test]
async fn once_something_was_said_nobody_else_is_asked() {
    let broken = Turn::new().say("half").fail(Error::new(ErrorKind::Server, "broke"));
    let (a, b) = (Scripted::new([broken]), Scripted::new([Turn::text("yes")]));
    let engine = builder(&Memory::new(), &a, &b).build();
    let outcome = engine.send(send(&["b/m"])).await.unwrap().outcome().await.unwrap();
    assert_eq!((outcome.status, outcome.message.text().as_str()), (Status::Failed, "half"));
    assert_eq!((outcome.model.provider.as_str(), b.requests().len()), ("a", 0));
}

#[tokio::test]
async fn the_last_error_counts_and_all_of_them_are_told() {
    let (a, b) = (Scripted::new([refused(ErrorKind::Quota)]), Scripted::new([refused(ErrorKind::NotFound)]));
    let store = Memory::new();
    let engine = builder(&store, &a, &b).build();
    // One of them is not even known.
    let outcome = engine.send(send(&["c/m", "b/m"])).await.unwrap().outcome().await.unwrap();
    let error = outcome.error.unwrap();
    assert_eq!((outcome.status, error.kind()), (Status::Failed, ErrorKind::NotFound));
    assert_eq!(error.to_string(), "a/m: no; there is no provider named c; a/m: no");
    assert_eq!(
        outcome.warnings,
        [
            "a/m failed (quota): no; asking c/m",
            "c/m failed (not_found): there is no provider named c; asking b/m"
        ]
    );
    let events = engine.events(&outcome.session).await.unwrap();
    let count = kinds(&events).iter().filter(|kind| **kind == LlmRequestRerouted::TYPE).count();
    assert_eq!(count, 2);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn a_model_that_cannot_be_asked_at_all_is_stood_in_for_from_the_start() {
    let (a, b) = (Scripted::new([]), Scripted::new([Turn::text("yes")]));
    let engine = builder(&Memory::new(), &a, &b).build();
    let unknown = Send { model: Some(ModelRef::new("x", "m")), ..send(&["b/m"]) };
    let outcome = engine.send(unknown.clone()).await.unwrap().outcome().await.unwrap();
    assert_eq!((outcome.status, outcome.model.to_string().as_str()), (Status::Completed, "b/m"));
    assert_eq!(outcome.warnings.len(), 1);
    let events = engine.events(&outcome.session).await.unwrap();
    assert_eq!(
        kinds(&events)[..5],
        ["session.created", "turn.started", "message.user", "llm.request.rerouted", "llm.request.started"]
    );
    // Where nobody can be asked, nothing begins.
    let nobody = Send { fallbacks: vec![ModelRef::new("y", "m")], ..unknown };
    let error = engine.send(nobody).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no provider named x; there is no provider named y");
}

#[tokio::test]
async fn every_model_is_held_to_the_budget_at_its_own_price() {
    let usd = |text: &str| text.parse::<Money>().unwrap();
    let budget = || Budget { day: Some(usd("1")), turn: Some(usd("0.004")), ..Budget::default() };
    let dear = || {
        let usage = Usage { input_tokens: Some(1_000), output_tokens: Some(0), ..Usage::default() };
        Turn::new().delta(Delta::Usage(usage)).fail(broke(ErrorKind::Quota))
    };
    let (a, b) = (Scripted::new([dear()]), Scripted::new([answer(10, 10)]));
    let store = Memory::new();
    let engine = builder(&store, &a, &b).budget(budget()).build();
    let mut dear_send = send(&["b/m"]);
    dear_send.options.max_tokens = Some(400);
    let outcome = engine.send(dear_send).await.unwrap().outcome().await.unwrap();
    // What the first may have cost is not known whole, so all of it counts: 0.001424 + 2 * 0.001424 is more than 0.004.
    let error = outcome.error.as_ref().unwrap();
    assert_eq!((error.kind(), b.requests().len()), (ErrorKind::Budget, 0), "{error}");
    assert!(error.to_string().starts_with("a/m: broke; b/m: 0.002576 USD of 0.004 USD is left"), "{error}");
    assert_eq!(outcome.cost().amount, Some(usd("0.001")));

    // Where nothing is said of its length, the answer of each is limited to what is left then.
    let (a, b) = (Scripted::new([refused(ErrorKind::Quota)]), Scripted::new([answer(10, 10)]));
    let engine = builder(&store, &a, &b).budget(budget()).build();
    let outcome = engine.send(send(&["b/m"])).await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.status, Status::Completed);
    assert_eq!(a.requests()[0].options.max_tokens, Some(2_976));
    assert_eq!(b.requests()[0].options.max_tokens, Some(976));
    let events = engine.events(&outcome.session).await.unwrap();
    let reserved: Vec<_> = events.iter().filter_map(BudgetReserved::of).map(|fact| fact.attempt).collect();
    assert_eq!(reserved, [1, 2]);
    let balances = store.ledger().balances().await.unwrap();
    assert!(balances.iter().all(|(_, balance)| balance.held == 0), "{balances:?}");
    assert_rebuilds(&engine, &store).await;
}

/// Returns an engine over two servers that behave so and speak different protocols.
fn served(store: &Memory, first: Vec<Plan>, second: Vec<Plan>, budget: Budget) -> Engine {
    let server = |name: &str, plans: Vec<Plan>| {
        let tap = Arc::new(Tap::new(aichat_providers::Fault::new(plans)));
        Shared(provider(&Protocol::OpenaiChat, name, tap, Timeouts::default()).unwrap())
    };
    Engine::builder(store.clone())
        .provider(server("a", first))
        .provider(server("b", second))
        .catalog(Catalog::from_json(TABLE).unwrap())
        .budget(budget)
        .retry(aichat_providers::RetryPolicy {
            max_total: std::time::Duration::from_secs(1_000),
            ..quick_retries()
        })
        .adapters(Spoken)
        .clock(Ticking::new())
        .entropy(Counting)
        .build()
}

fn status(status: u16) -> Plan {
    Plan::answer(http::Response::builder().status(status).body(Bytes::new()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_passed_on_is_passed_on_again_in_a_replay() {
    let good = || plan(&["blue", "green"]);
    let limited = || Budget { day: Some("1".parse().unwrap()), ..Budget::default() };
    for (first, second, fallbacks, budget) in [
        (vec![status(401)], vec![good()], vec!["b/m"], Budget::default()),
        (
            vec![status(503), status(503), status(503)],
            vec![status(503), good()],
            vec!["b/m"],
            Budget::default(),
        ),
        (vec![status(503), status(401)], vec![good()], vec!["c/m", "b/m"], limited()),
        (vec![status(401)], vec![status(404)], vec!["b/m"], Budget::default()),
        (vec![status(401)], vec![], vec!["c/m"], limited()),
        (vec![status(401)], vec![good().cut(200)], vec!["b/m"], limited()),
    ] {
        let store = Memory::new();
        let engine = served(&store, first, second, budget);
        let session = engine.send(send(&fallbacks)).await.unwrap().outcome().await.unwrap().session;
        assert_same(&engine, &session).await;
    }
    // From the start.
    let store = Memory::new();
    let engine = served(&store, vec![], vec![good()], Budget::default());
    let from_start = Send { model: Some(ModelRef::new("x", "m")), ..send(&["b/m"]) };
    let session = engine.send(from_start).await.unwrap().outcome().await.unwrap().session;
    assert_same(&engine, &session).await;
}
