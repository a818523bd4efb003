//! Following and looking: every event once, wherever it is, and nothing is folded.

use std::collections::HashSet;

use aichat_engine::{Engine, Happened, Send};
use aichat_message::EventId;
use aichat_providers::{Scripted, Turn};
use aichat_store::{Memory, Sled, Store};

use crate::support::{Counting, engine, first_text, model, say};

fn ids(events: &[Happened]) -> Vec<EventId> {
    let id = |event: &Happened| match event {
        Happened::Flying(draft) => draft.id.clone(),
        Happened::Logged(event) => event.id().clone(),
    };
    events.iter().map(id).collect()
}

fn flying(events: &[Happened]) -> usize {
    events.iter().filter(|event| matches!(event, Happened::Flying(_))).count()
}

fn observer(store: &(impl Store + Clone + 'static)) -> Engine {
    Engine::builder(store.clone()).entropy(Counting).looking().build()
}

async fn follow_through(store: &(impl Store + Clone + 'static)) {
    let provider = Scripted::new([Turn::text("one"), Turn::new().say("two").hang(), Turn::text("three")]);
    let writer = engine(store, &provider);
    let session = say(&writer, None, "first").await.session;
    let watcher = observer(store);
    let mut follow = watcher.follow(None);
    let mut all = ids(&follow.last(100).await.unwrap());
    let whole = all.len();
    assert!(whole > 5);
    assert_eq!(ids(&watcher.follow(Some(session.clone())).last(2).await.unwrap()), all[whole - 2..]);
    assert!(follow.news().await.unwrap().is_empty());

    let mut turn = writer.send(Send::to(session.clone(), "second")).await.unwrap();
    first_text(&mut turn).await;
    let news = follow.news().await.unwrap();
    assert!(flying(&news) >= 3, "a turn in flight is seen: {news:?}");
    let looked = watcher.look(&session, 0).await.unwrap();
    assert!(!looked.flying.is_empty());
    assert_eq!(looked.flying[0].seq(), looked.events.len() as u64 + 1);
    all.extend(ids(&news));
    drop(turn);
    writer.shutdown().await.unwrap();
    say(&writer, Some(&session), "third").await;
    all.extend(ids(&follow.news().await.unwrap()));
    writer.fold().await.unwrap();
    all.extend(ids(&follow.news().await.unwrap()));
    writer.rename(&session, Some("sky")).await.unwrap();
    all.extend(ids(&follow.news().await.unwrap()));

    let log = writer.events(&session).await.unwrap();
    let told: HashSet<_> = all.iter().cloned().collect();
    assert_eq!((told.len(), told.len()), (all.len(), log.len()), "each once, and none is missing");
    let looked = watcher.look(&session, 3).await.unwrap();
    assert_eq!((&looked.events[..], looked.flying.len()), (&log[3..], 0));
}

#[tokio::test]
async fn each_event_is_told_once() {
    follow_through(&Memory::new()).await;
    let folder = tempfile::tempdir().unwrap();
    follow_through(&Sled::at(folder.path())).await;
}

#[tokio::test]
async fn an_observer_folds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sled::at(folder.path());
    let writer = engine(&store, &Scripted::echo());
    let watcher = observer(&store);
    let nothing = watcher.pulse().await.unwrap();
    assert!(!nothing.is_after(&nothing));
    let session = say(&writer, None, "hello").await.session;
    assert!(watcher.pulse().await.unwrap().is_after(&nothing));
    assert_eq!(ids(&watcher.follow(None).last(100).await.unwrap()).len(), 9);
    assert!(!folder.path().join("db").exists(), "no log was opened");
    assert_eq!(watcher.list(None).await.unwrap()[0].id, session);
    assert_eq!(watcher.events(&session).await.unwrap().len(), 9);
    watcher.shutdown().await.unwrap();
    assert_eq!(store.backlog().await.unwrap().0, 1, "the turn still waits");
}

#[tokio::test]
async fn a_turn_that_was_folded_and_not_forgotten_is_told_once() {
    let store = Memory::new();
    let writer = engine(&store, &Scripted::echo());
    let session = say(&writer, None, "hello").await.session;
    let mut follow = observer(&store).follow(Some(session.clone()));
    let before = follow.last(3).await.unwrap();
    assert_eq!((before.len(), flying(&before)), (3, 3));
    writer.fold().await.unwrap();
    assert!(follow.news().await.unwrap().is_empty());
    let mut send = Send::new(model(), "more");
    send.session = Some(session);
    writer.send(send).await.unwrap().outcome().await.unwrap();
    assert!(!follow.news().await.unwrap().is_empty());
}
