//! Batches: many messages, so many at a time, and nothing taken any more once a budget is empty.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aichat_engine::{Company, Send};
use aichat_events::Interruption;
use aichat_message::{ErrorKind, Money};
use aichat_providers::{Scripted, Turn};
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
