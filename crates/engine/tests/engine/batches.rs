//! Batches: many messages, so many at a time, and nothing taken any more once a budget is empty.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aichat_engine::{
    Company, Done, Engine, Found, InputLine, InputLines, Question, Report, Send, Tally, TurnResult,
};
use aichat_events::{Interruption, Redactor};
use aichat_message::{ErrorKind, Money};
use aichat_providers::{Error, Scripted, Turn};
use aichat_store::{Memory, Store};
use futures::{StreamExt, stream};

use crate::support::{engine, model};

fn messages(count: usize, taken: &Arc<AtomicUsize>) -> impl stream::Stream<Item = (usize, Send)> + use<> {
    let taken = Arc::clone(taken);
    stream::iter(0..count).map(move |n| {
        taken.fetch_add(1, Ordering::Relaxed);
        (n, Send::new(model(), format!("say {n}")))
    })
}

#[tokio::test]
async fn every_message_has_an_outcome_and_what_is_left_behind_is_folded() {
    let store = Memory::new();
    let engine = engine(&store, &Scripted::echo());
    let taken = Arc::default();
    let mut batch = engine.batch(messages(600, &taken), 7, Company::new(None, Money::ZERO));
    let mut seen = Vec::new();
    while let Some((n, outcome)) = batch.next().await {
        assert_eq!(outcome.unwrap().message.text(), format!("say {n}"));
        assert!(taken.load(Ordering::Relaxed) <= seen.len() + 8, "no more are taken than there is room for");
        seen.push(n);
    }
    seen.sort_unstable();
    assert_eq!(seen, Vec::from_iter(0..600));
    drop(batch);
    assert!(store.backlog().await.unwrap().0 < 600, "some are in the log already");
    assert_eq!(engine.sessions().await.unwrap().len(), 600);
}

#[tokio::test]
async fn an_interrupted_batch_ends_what_is_in_flight_and_takes_no_more() {
    let provider = Scripted::new((0..9).map(|_| Turn::new().say("well").hang()));
    let engine = engine(&Memory::new(), &provider);
    let taken = Arc::default();
    let mut batch = engine.batch(messages(9, &taken), 3, Company::new(None, Money::ZERO));
    // Nobody gets to an end by itself.
    assert!(futures::poll!(batch.next()).is_pending());
    batch.interrupt(Interruption::User);
    let mut ends = 0;
    while let Some((_, outcome)) = batch.next().await {
        assert_eq!(outcome.unwrap().error.unwrap().kind(), ErrorKind::Cancelled);
        ends += 1;
    }
    assert_eq!((ends, taken.load(Ordering::Relaxed)), (3, 3));
}

/// Asks the lines that have no answer yet, and returns a line for each with what they came to.
async fn ask(engine: &Engine, lines: Vec<InputLine>, done: &Done) -> (String, Tally) {
    let usual = Send::new(model(), "");
    let rest = lines.into_iter().filter(|line| !done.has(line)).map(|line| {
        let send = Question::parse(&line.text).unwrap().send(&usual, &[], Found::default()).unwrap();
        (line, send)
    });
    let mut batch = engine.batch(stream::iter(rest), 1, Company::new(None, Money::ZERO));
    let (mut results, mut tally) = (String::new(), Tally::default());
    while let Some((line, ended)) = batch.next().await {
        tally.count(&ended);
        if tally.ended_by.is_some() {
            batch.close();
        }
        let masks = Redactor::none();
        let result = match &ended {
            Ok(outcome) => TurnResult::of(outcome, outcome.report(), true, &masks),
            Err(error) => TurnResult::failed(Report::from(error), &masks),
        };
        results += &serde_json::to_string(&result.of_line(line.index, None, line.hash)).unwrap();
        results.push('\n');
    }
    (results, tally)
}

#[tokio::test]
async fn a_batch_goes_on_after_what_its_results_say_is_done() {
    let lines = || {
        let mut lines =
            InputLines::of(&b"{\"prompt\":\"a\"}\n\n{\"prompt\":\"b\"}\n{\"prompt\":\"c\"}\n"[..], "f");
        std::iter::from_fn(move || lines.read().unwrap()).collect::<Vec<_>>()
    };
    let refused = Turn::refused(Error::new(ErrorKind::Auth, "the key is wrong"));
    let script = Scripted::new([Turn::text("first"), refused]);
    let engine = engine(&Memory::new(), &script);
    let (results, tally) = ask(&engine, lines(), &Done::default()).await;
    assert_eq!((tally.answered, tally.ended(), tally.ended_by), (1, 2, Some(ErrorKind::Auth)));

    let (done, whole) = Done::read(results.as_bytes(), "r").unwrap();
    assert_eq!((done.answered.len(), done.failed, whole), (1, 1, results.len() as u64));
    ["second", "third"].into_iter().for_each(|text| script.push(Turn::text(text)));
    let (more, tally) = ask(&engine, lines(), &done).await;
    assert_eq!((tally.answered, tally.failed.len()), (2, 0));
    let kept = results.split_inclusive('\n').filter(|line| Done::is_answer(line.as_bytes()));
    let all: String = kept.chain([&*more]).collect();
    let (done, _) = Done::read(all.as_bytes(), "r").unwrap();
    assert!(done.failed == 0 && lines().iter().all(|line| done.has(line) && done.check(line).is_ok()));
}
