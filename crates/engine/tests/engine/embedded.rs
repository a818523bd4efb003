//! The same engine over the embedded store: what it promises of the disk.

use aichat_engine::{Send, Status};
use aichat_events::Transcript;
use aichat_providers::{Scripted, Turn};
use aichat_store::{Claim, Sled, Store};

use crate::support::{assert_rebuilds, engine, model, say};

#[tokio::test]
async fn a_new_session_opens_no_database_and_the_first_reader_folds_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sled::at(folder.path());
    let here = engine(&store, &Scripted::echo());
    let outcome = say(&here, None, "hello").await;
    assert_eq!(outcome.status, Status::Completed);
    here.shutdown().await.unwrap();
    assert!(!folder.path().join("db").exists(), "a one-off prompt opens no database");
    assert_eq!(store.backlog().await.unwrap().0, 1);

    let next = engine(&Sled::at(folder.path()), &Scripted::echo());
    assert_eq!(next.list(None).await.unwrap()[0].id, outcome.session);
    assert_eq!(store.backlog().await.unwrap().0, 0, "reading folded it");
    assert_rebuilds(&next, &Sled::at(folder.path())).await;
}

#[tokio::test]
async fn the_store_is_not_held_while_the_provider_answers() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Scripted::new([Turn::text("one"), Turn::new().say("two").hang()]);
    let here = engine(&Sled::at(folder.path()), &provider);
    let session = say(&here, None, "first").await.session;
    let running = here.send(Send::to(session.clone(), "second")).await.unwrap();
    let other = engine(&Sled::at(folder.path()), &Scripted::echo());
    assert_eq!(other.list(None).await.unwrap().len(), 1, "another process reads meanwhile");
    drop(running);
    here.shutdown().await.unwrap();
    let events = other.events(&session).await.unwrap();
    assert_eq!(Transcript::fold(&events).head().unwrap().message.text(), "two");
    assert_eq!(other.verify(&session).await.unwrap().fault, None);
    say(&other, Some(&session), "third").await;
    assert_rebuilds(&other, &Sled::at(folder.path())).await;
}

#[tokio::test]
async fn a_turn_is_in_its_journal_before_the_provider_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sled::at(folder.path());
    let here = engine(&store, &Scripted::new([Turn::new().hang()]));
    let turn = here.send(Send::new(model(), "remember this")).await.unwrap();
    let pending = store.pending(Claim::Look).await.unwrap();
    let text: Vec<u8> = pending[0].records.concat();
    assert!(String::from_utf8(text).unwrap().contains("remember this"));
    drop(turn);
}
