//! A wall clock that is set back while turns are running.

use std::sync::atomic::{AtomicI64, Ordering};

use aichat_engine::{Clock, Engine};
use aichat_events::Timeline;
use aichat_providers::Scripted;
use aichat_store::Memory;

use crate::support::{Counting, assert_rebuilds, say};

/// An hour earlier with every look at the wall clock; the other clock stands still, as one of an old machine may.
struct Backwards(AtomicI64);

impl Clock for Backwards {
    fn now_us(&self) -> i64 {
        self.0.fetch_sub(3_600_000_000, Ordering::Relaxed)
    }
    fn mono_us(&self) -> u64 {
        0
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_breaks_nothing() {
    for begun in [1_700_000_000_000_000, 3_600_000_000, i64::MIN + 3_600_000_000_000] {
        let store = Memory::new();
        let clock = Backwards(AtomicI64::new(begun));
        let engine =
            Engine::builder(store.clone()).provider(Scripted::echo()).clock(clock).entropy(Counting).build();
        let first = say(&engine, None, "one").await.session;
        let updated = engine.session(&first).await.unwrap().updated_us;
        let second = say(&engine, None, "other").await.session;
        for text in ["two", "three"] {
            say(&engine, Some(&first), text).await;
        }
        let summary = engine.session(&first).await.unwrap();
        assert_eq!(
            (summary.turns, summary.updated_us),
            (3, updated),
            "it was never used earlier than it was"
        );
        let listed: Vec<_> = engine.list(None).await.unwrap().into_iter().map(|summary| summary.id).collect();
        assert_eq!(listed, [first.clone(), second], "in the order of the time that was told");
        let events = engine.events(&first).await.unwrap();
        assert!(events.iter().zip(1..).all(|(event, seq)| event.seq() == seq));
        assert!(events.windows(2).all(|pair| pair[1].ts() < pair[0].ts()), "the clock did go back");
        let messages = engine.transcript(&first).await.unwrap();
        let said: Vec<_> = messages.entries.iter().map(|entry| entry.message.text()).collect();
        assert_eq!(said, ["one", "one", "two", "two", "three", "three"]);
        let timeline = Timeline::of(&events);
        for turn in &timeline.turns {
            let hour = 3_600_000_000;
            assert!(turn.total_us < hour, "a turn of {} us", turn.total_us);
            let rows = turn.rows.iter().map(|row| row.offset_us.max(row.duration_us.unwrap_or(0)));
            assert!(rows.max().is_none_or(|most| most < hour), "{:?}", turn.rows);
        }
        assert!(!timeline.render(80).is_empty());
        engine.verify(&first).await.unwrap();
        assert_rebuilds(&engine, &store).await;
    }
}
