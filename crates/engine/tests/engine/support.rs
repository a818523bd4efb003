//! Engines that repeat themselves: a clock that counts, ids that count.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aichat_engine::{Clock, Engine, Entropy, Export, ModelRef, Outcome, Send};
use aichat_events::Event;
use aichat_message::SessionId;
use aichat_providers::{RetryPolicy, Scripted};
use aichat_store::{Scan, Store, Table};
use futures::StreamExt;

/// One second passes with every look at it.
pub(crate) struct Ticking(AtomicI64);

impl Ticking {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(0))
    }
}

impl Clock for Ticking {
    fn now_us(&self) -> i64 {
        1_700_000_000_000_000 + self.0.fetch_add(1_000_000, Ordering::Relaxed)
    }
    fn mono_us(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// Never gives the same bytes twice, to no engine.
pub(crate) struct Counting;

static COUNTED: AtomicU64 = AtomicU64::new(1);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let n = COUNTED.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.iter_mut().enumerate().for_each(|(i, byte)| *byte = n.get(i).copied().unwrap_or(0));
        bytes.reverse();
    }
}

pub(crate) fn model() -> ModelRef {
    ModelRef::new("scripted", "test-1")
}

pub(crate) fn quick_retries() -> RetryPolicy {
    let base = Duration::from_millis(1);
    RetryPolicy { max_attempts: 3, max_total: Duration::from_secs(10), base, cap: base }
}

pub(crate) fn engine(store: &(impl Store + Clone + 'static), provider: &Scripted) -> Engine {
    Engine::builder(store.clone())
        .provider(provider.clone())
        .retry(quick_retries())
        .clock(Ticking::new())
        .entropy(Counting)
        .build()
}

pub(crate) async fn say(engine: &Engine, session: Option<&SessionId>, text: &str) -> Outcome {
    let mut send = Send::new(model(), text);
    send.session = session.cloned();
    engine.send(send).await.unwrap().outcome().await.unwrap()
}

/// Returns a session as lines.
pub(crate) async fn export(engine: &Engine, session: &SessionId) -> String {
    engine.export(Export::of([session.clone()])).text().await.unwrap()
}

pub(crate) fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::kind).collect()
}

/// Every entry of every projection.
pub(crate) async fn projections(store: &dyn Store) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    for table in Table::ALL.iter().filter(|table| table.is_projection()) {
        let entries = store.scan(*table, Scan::default()).await.unwrap();
        all.extend(entries.into_iter().map(|(key, value)| (*table, key, value)));
    }
    store.release().await.unwrap();
    all
}

/// Deletes and rebuilds every projection, and says whether all bytes are the same.
pub(crate) async fn assert_rebuilds(engine: &Engine, store: &dyn Store) {
    engine.fold().await.unwrap();
    let before = projections(store).await;
    assert!(!before.is_empty());
    store.replace_projections(Vec::new()).await.unwrap();
    store.release().await.unwrap();
    assert!(projections(store).await.is_empty());
    engine.rebuild().await.unwrap();
    assert!(projections(store).await == before, "a rebuild gives the same bytes");
}

pub(crate) async fn text_of(stream: &mut aichat_engine::TurnStream) -> String {
    let mut text = String::new();
    while let Some(progress) = stream.next().await {
        if let aichat_engine::Progress::Delta(aichat_message::Delta::Text { text: piece, .. }) = progress {
            text.push_str(&piece);
        }
    }
    text
}

/// Waits for the first text of an answer.
pub(crate) async fn first_text(stream: &mut aichat_engine::TurnStream) {
    while let Some(progress) = stream.next().await {
        if matches!(progress, aichat_engine::Progress::Delta(aichat_message::Delta::Text { .. })) {
            return;
        }
    }
}
