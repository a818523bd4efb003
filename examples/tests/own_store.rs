//! The store of one's own keeps the contract of every backend, and serves the engine as they do.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../own_store/shelf.rs"]
mod shelf;

use std::sync::Arc;
use std::time::Duration;

use aichat_engine::{Document, Engine, Export, ModelRef, Send, Status};
use aichat_message::ErrorKind;
use aichat_providers::{Scripted, Turn};
use aichat_store::{Scan, Store, Table, contract::Place};

use shelf::Shelf;

fn place() -> Place {
    let shelf = Shelf::new();
    Place::new(move || Arc::new(shelf.clone()))
}

aichat_store::contract!(place);

fn model() -> ModelRef {
    ModelRef::new("scripted", "any")
}

/// Returns everything that a rebuild makes anew.
async fn projections(shelf: &Shelf) -> Vec<(Table, Vec<(Vec<u8>, Vec<u8>)>)> {
    let mut all = Vec::new();
    for table in Table::ALL.iter().copied().filter(|table| table.is_projection()) {
        all.push((table, shelf.scan(table, Scan::default()).await.unwrap()));
    }
    all
}

#[tokio::test]
async fn the_engine_sends_lists_exports_and_rebuilds_over_it() {
    let shelf = Shelf::new();
    let script = Scripted::echo();
    let engine = Engine::builder(shelf.clone()).provider(script.clone()).build();
    let first = engine.send(Send::new(model(), "one")).await.unwrap().outcome().await.unwrap();
    assert_eq!((first.status, first.message.text().as_str()), (Status::Completed, "one"));
    let session = first.session;
    engine.send(Send::to(session.clone(), "two")).await.unwrap().outcome().await.unwrap();
    let context: Vec<_> = script.requests()[1].messages.iter().map(|message| message.text()).collect();
    assert_eq!(context, ["one", "one", "two"], "the second turn carries the first");
    engine.rename(&session, Some("kept")).await.unwrap();

    let list = engine.list(None).await.unwrap();
    assert_eq!((list.len(), list[0].name.as_deref(), list[0].messages), (1, Some("kept"), 4));

    let before = projections(&shelf).await;
    assert!(before.iter().any(|(_, entries)| !entries.is_empty()));
    shelf.replace_projections(Vec::new()).await.unwrap();
    assert_ne!(projections(&shelf).await, before);
    engine.rebuild().await.unwrap();
    assert_eq!(projections(&shelf).await, before, "a rebuild gives the same bytes");

    let export = Export::of([session.clone()]);
    let lines = engine.export(export.clone()).text().await.unwrap();
    let there = Shelf::new();
    let other = Engine::builder(there.clone()).provider(Scripted::echo()).build();
    other.import(&Document::parse(&lines).unwrap()).await.unwrap();
    assert_eq!(other.export(export).text().await.unwrap(), lines);
    assert_eq!(projections(&there).await, before);
    assert_eq!(other.verify(&session).await.unwrap().fault, None);
}

#[tokio::test]
async fn a_turn_that_was_dropped_keeps_its_words_and_its_session_goes_on() {
    let shelf = Shelf::new();
    let script = Scripted::new([Turn::new().say("half an ").hang(), Turn::text("whole")]);
    let engine = Engine::builder(shelf.clone()).provider(script).build();
    let mut turn = engine.send(Send::new(model(), "one")).await.unwrap();
    let session = turn.session.clone();
    futures::StreamExt::next(&mut turn).await;

    let busy = engine.send(Send::to(session.clone(), "two")).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "one turn of a session at a time");
    drop(turn);
    let patient = Send { wait: Duration::from_secs(20), ..Send::to(session.clone(), "two") };
    let second = engine.send(patient).await.unwrap().outcome().await.unwrap();
    assert_eq!(second.message.text(), "whole");
    let said: Vec<_> =
        engine.transcript(&session).await.unwrap().entries.iter().map(|entry| entry.message.text()).collect();
    assert_eq!(said, ["one", "half an ", "two", "whole"]);
    assert_eq!(engine.verify(&session).await.unwrap().fault, None);
}
