//! Budgets: what is not sent, what is set aside, and what is taken as spent.

use std::time::Duration;

use aichat_catalog::Catalog;
use aichat_engine::{
    Budget, CostBy, CostQuery, Engine, Fork, ForkAt, ModelRef, Outcome, Reason, Send, Status,
};
use aichat_events::{BudgetCommitted, BudgetExceeded, BudgetReleased, BudgetReserved, Fact};
use aichat_message::{CostStatus, Delta, ErrorKind, FinishReason, Money, SessionId, Usage};
use aichat_providers::{Error, Info, Provider, RetryPolicy, Scripted, Turn};
use aichat_store::{Balance, Memory, Store};

use crate::costs::Placed;
use crate::support::{Counting, Ticking, assert_rebuilds, kinds, model, quick_retries};

/// A dollar for a million tokens in and two for a million out.
const TABLE: &str = r#"{"date":"2023-11-01","entries":[{"provider":"scripted","id":"test-1","output_limit":1000000,
    "prices":{"input":"1","output":"2"}}]}"#;

fn usd(text: &str) -> Money {
    text.parse().unwrap()
}

fn answer(input: u64, output: u64) -> Turn {
    let usage = Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() };
    Turn::new().say("yes").delta(Delta::Usage(usage)).finish(FinishReason::Stop)
}

fn engine(store: &Memory, provider: &Scripted, budget: Budget) -> Engine {
    let info = Info { local: false, ..provider.info().clone() };
    Engine::builder(store.clone())
        .provider(Placed(provider.clone(), info))
        .retry(RetryPolicy { max_total: Duration::from_secs(1_000), ..quick_retries() })
        .catalog(Catalog::from_json(TABLE).unwrap())
        .budget(budget)
        .clock(Ticking::new())
        .entropy(Counting)
        .build()
}

fn day(amount: &str) -> Budget {
    Budget { day: Some(usd(amount)), ..Budget::default() }
}

async fn ask(engine: &Engine, session: Option<&SessionId>, max_tokens: Option<u64>) -> Outcome {
    let mut send = Send::new(model(), "hello");
    send.session = session.cloned();
    send.options.max_tokens = max_tokens;
    engine.send(send).await.unwrap().outcome().await.unwrap()
}

async fn facts<F: Fact>(engine: &Engine, session: &SessionId) -> Vec<F> {
    engine.events(session).await.unwrap().iter().filter_map(F::of).collect()
}

async fn today(store: &Memory) -> Balance {
    let balances = store.ledger().balances().await.unwrap();
    balances
        .into_iter()
        .find(|(key, _)| key == "day/2023-11-14")
        .map(|(_, balance)| balance)
        .unwrap_or_default()
}

fn spent(nano: u64) -> Balance {
    Balance { spent: nano, held: 0 }
}

#[tokio::test]
async fn what_could_cost_too_much_is_not_sent_and_the_log_says_why() {
    let (store, script) = (Memory::new(), Scripted::new([answer(10, 10)]));
    let engine = engine(&store, &script, Budget { turn: Some(usd("0.003")), ..Budget::default() });
    let outcome = ask(&engine, None, Some(1_000)).await;
    let error = outcome.error.as_ref().unwrap();
    assert_eq!((outcome.status, error.kind()), (Status::Failed, ErrorKind::Budget));
    // 1,024 tokens at a millionth of a dollar, and a thousand at two.
    insta::assert_snapshot!(error, @"scripted/test-1: 0.003 USD of 0.003 USD is left of the budget of this turn, and this request may cost up to 0.003024 USD");
    assert_eq!(script.requests().len(), 0);
    let events = engine.events(&outcome.session).await.unwrap();
    assert_eq!(
        kinds(&events),
        ["session.created", "turn.started", "message.user", "budget.exceeded", "turn.failed"]
    );
    let [fact] = &facts::<BudgetExceeded>(&engine, &outcome.session).await[..] else { panic!() };
    assert_eq!(
        (fact.limit, fact.remaining, fact.needed),
        (usd("0.003"), usd("0.003"), Some(usd("0.003024")))
    );
    assert_eq!(today(&store).await, spent(0));
    // With less there is no question.
    let outcome = ask(&engine, Some(&outcome.session), Some(900)).await;
    assert_eq!((outcome.status, outcome.cost().amount), (Status::Completed, Some(usd("0.00003"))));
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn an_answer_without_a_limit_is_limited_to_what_is_left() {
    let (store, script) = (Memory::new(), Scripted::new([answer(10, 10), answer(10, 10)]));
    let engine = engine(&store, &script, day("0.005"));
    let mut send = Send::new(model(), "hello");
    send.max_cost = Some(usd("0.003"));
    let outcome = engine.send(send).await.unwrap().outcome().await.unwrap();
    // (0.003 - 0.001024) / 0.000002
    assert_eq!(script.requests()[0].options.max_tokens, Some(988));
    assert_eq!(
        outcome.warnings,
        ["max_tokens is 988, which is what the 0.003 USD that are left of the budget pay for"]
    );
    let [reserved] = &facts::<BudgetReserved>(&engine, &outcome.session).await[..] else { panic!() };
    assert_eq!(
        (reserved.amount, reserved.input_tokens, reserved.output_tokens),
        (usd("0.003"), 1_024, Some(988))
    );
    let [committed] = &facts::<BudgetCommitted>(&engine, &outcome.session).await[..] else { panic!() };
    assert_eq!((committed.amount, committed.unproven), (usd("0.00003"), Money::ZERO));
    assert_eq!(today(&store).await, spent(30_000));
    // With more than the model can write, it may write all of that.
    let rich = self::engine(&store, &script, day("100"));
    ask(&rich, None, None).await;
    assert_eq!(script.requests()[1].options.max_tokens, Some(1_000_000));
}

#[tokio::test]
async fn an_attempt_that_is_refused_costs_nothing_and_each_one_is_set_aside_anew() {
    let refused = || Turn::refused(Error::new(ErrorKind::Overloaded, "busy"));
    let (store, script) = (Memory::new(), Scripted::new([refused(), refused(), answer(100, 100)]));
    let engine = engine(&store, &script, day("0.004"));
    let outcome = ask(&engine, None, Some(1_000)).await;
    assert_eq!(outcome.status, Status::Completed);
    let events = engine.events(&outcome.session).await.unwrap();
    let about = |kind: &&str| ["budget.", "cost.", "llm."].iter().any(|family| kind.starts_with(family));
    let kinds: Vec<&str> = kinds(&events).into_iter().filter(about).collect();
    let failed = [
        "budget.reserved",
        "llm.request.started",
        "llm.response.failed",
        "budget.released",
        "llm.request.retried",
    ];
    let answered = [
        "budget.reserved",
        "llm.request.started",
        "llm.response.first_chunk",
        "llm.response.completed",
        "cost.calculated",
        "budget.committed",
    ];
    assert_eq!(kinds, [&failed[..], &failed[..], &answered[..]].concat());
    assert_eq!(facts::<BudgetReleased>(&engine, &outcome.session).await.len(), 2);
    assert_eq!(today(&store).await, spent(300_000));
}

#[tokio::test]
async fn what_nobody_knows_is_taken_as_spent_and_a_session_goes_on_with_that() {
    let silent = || Turn::new().say("yes").finish(FinishReason::Stop);
    let (store, script) =
        (Memory::new(), Scripted::new([silent(), answer(10, 10), silent(), answer(10, 10)]));
    let budget = Budget { session: Some(usd("0.005")), ..day("1") };
    let engine = engine(&store, &script, budget);
    let first = ask(&engine, None, Some(1_000)).await;
    assert_eq!((first.cost().amount, first.cost().status), (None, CostStatus::Unknown));
    let [committed] = &facts::<BudgetCommitted>(&engine, &first.session).await[..] else { panic!() };
    assert_eq!((committed.amount, committed.unproven), (usd("0.003024"), usd("0.003024")));
    assert_eq!(today(&store).await, spent(3_024_000));
    let summary = engine.session(&first.session).await.unwrap();
    assert_eq!(
        (summary.unproven, summary.cost.to_string().as_str()),
        (usd("0.003024"), "unknown (1 call unpriced)")
    );

    let refused = ask(&engine, Some(&first.session), Some(1_000)).await;
    let message = refused.error.unwrap().to_string();
    assert!(message.contains("0.001976 USD of 0.005 USD is left of the budget of this session"), "{message}");
    // A fork is a session of its own.
    let fork = engine.fork(&first.session, &Fork::at(ForkAt::Head)).await.unwrap();
    let forked = ask(&engine, Some(&fork), Some(1_000)).await;
    assert_eq!(forked.status, Status::Completed);
    assert_eq!(script.requests().len(), 2);
    assert_rebuilds(&engine, &store).await;
}

#[tokio::test]
async fn a_model_without_a_price_is_asked_only_where_that_is_allowed() {
    let (store, script) = (Memory::new(), Scripted::new([answer(10, 10)]));
    let engine = engine(&store, &script, day("1"));
    let mut send = Send::new(ModelRef::new("scripted", "unheard-of"), "hello");
    let outcome = engine.send(send.clone()).await.unwrap().outcome().await.unwrap();
    let error = outcome.error.unwrap();
    assert_eq!(error.to_string(), "scripted/unheard-of: what it costs is not known, and a budget is set");
    assert_eq!(error.reason(), Some(Reason::Unpriced));
    assert_eq!(script.requests().len(), 0);
    send.allow_unpriced = true;
    let outcome = engine.send(send).await.unwrap().outcome().await.unwrap();
    assert_eq!((outcome.status, outcome.cost().amount), (Status::Completed, None));
    assert_eq!(today(&store).await, spent(0));
    // Nothing bounds what several answers cost.
    let mut several = Send::new(model(), "hello");
    several.options.max_tokens = Some(5);
    several.options.other.push("n", aichat_message::Json::new("3").unwrap());
    let outcome = engine.send(several).await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.error.unwrap().kind(), ErrorKind::Budget);
}

#[tokio::test]
async fn what_was_spent_before_there_was_a_budget_counts() {
    let (store, script) = (Memory::new(), Scripted::new([answer(1_000, 1_000), answer(10, 10)]));
    ask(&engine(&store, &script, Budget::default()), None, None).await;
    assert_eq!(today(&store).await, spent(3_000_000));
    assert_eq!(script.requests()[0].options.max_tokens, None);
    let engine = engine(&store, &script, day("0.006"));
    let outcome = ask(&engine, None, Some(1_000)).await;
    assert!(
        outcome
            .error
            .unwrap()
            .to_string()
            .contains("0.003 USD of 0.006 USD is left of the budget of this day")
    );
    let other = Budget { providers: [("other".to_owned(), usd("0.000001"))].into(), ..Budget::default() };
    assert_eq!(ask(&self::engine(&store, &script, other), None, Some(1_000)).await.status, Status::Completed);
    let scripted = Budget { providers: [("scripted".to_owned(), usd("0.006"))].into(), ..Budget::default() };
    let outcome = ask(&self::engine(&store, &script, scripted), None, Some(1_000)).await;
    let message = outcome.error.unwrap().to_string();
    assert!(
        message.contains("0.00297 USD of 0.006 USD is left of the budget of this day for scripted"),
        "{message}"
    );
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test]
async fn turns_at_once_never_overdraw_a_day() {
    let store = Memory::new();
    let script = Scripted::new((0..32).map(|_| answer(1_024, 1_000)));
    // Three of them, and most of a fourth.
    let engine = engine(&store, &script, day("0.012"));
    let turns: Vec<_> = (0..32)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move { ask(&engine, None, Some(1_000)).await.status })
        })
        .collect();
    let mut completed = 0;
    for turn in turns {
        completed += u64::from(turn.await.unwrap() == Status::Completed);
    }
    assert_eq!((completed, script.requests().len()), (3, 3));
    assert_eq!(today(&store).await, spent(3 * 3_024_000));
    let costs = engine.costs(&CostQuery { by: vec![CostBy::Day], ..CostQuery::default() }).await.unwrap();
    assert_eq!((costs.total.cost.amount, costs.total.cost.calls), (usd("0.009072"), 3));
    assert_eq!((costs.groups.len(), costs.groups[0].day.as_deref()), (1, Some("2023-11-14")));
}
